# SPDX-License-Identifier: Apache-2.0
set(library)
if(TARGET facet_cuda)
  set(library FACET_TEST_CUDA=$<TARGET_FILE:facet_cuda>)
endif()
fct_unit_test(test_load_cuda LINKS facet_backend ENV ${library})
fct_unit_test(test_vec_step LINKS facet_backend)
