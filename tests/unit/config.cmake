# SPDX-License-Identifier: Apache-2.0
# src/config, src/metrics and the argument parser of src/cmd
fct_unit_test(test_options LINKS facet_config)
fct_unit_test(test_args SOURCES ${CMAKE_SOURCE_DIR}/src/cmd/cmd_args.c LINKS facet_config facet_core)
fct_unit_test(test_classification LINKS facet_metrics)
fct_unit_test(test_points_score LINKS facet_metrics)
add_executable(matrix_report matrix_report.c)
target_link_libraries(matrix_report PRIVATE facet_metrics facet_flags)
fct_script_test(test_classification_sklearn.py LABEL interop)
add_executable(verification_probe verification_probe.c)
target_include_directories(verification_probe PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(verification_probe PRIVATE facet_metrics facet_core m facet_flags)
fct_script_test(test_verification_sklearn.py LABEL interop)
fct_unit_test(test_allreduce_model SOURCES ${CMAKE_SOURCE_DIR}/src/cmd/allreduce_model.c
              ${CMAKE_SOURCE_DIR}/src/cmd/op_cost.c LINKS facet_backend)
