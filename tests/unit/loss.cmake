# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_loss LINKS facet_loss facet_core)
fct_script_test(test_loss_torch.py LABEL interop TIMEOUT 120)
add_executable(loss_table loss_table.c)
target_include_directories(loss_table PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(loss_table PRIVATE facet_loss facet_core facet_flags)
