# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_margin LINKS facet_loss facet_core)
fct_script_test(test_margin_torch.py LABEL interop TIMEOUT 120)
add_executable(head_table head_table.c)
target_include_directories(head_table PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(head_table PRIVATE facet_head facet_flags)
