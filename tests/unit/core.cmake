# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_core LINKS facet_core)
# It needs no CUDA.
fct_unit_test(test_dnn_cache LINKS facet_core SOURCES ${CMAKE_SOURCE_DIR}/src/backend/cuda/dnn_cache.c)
