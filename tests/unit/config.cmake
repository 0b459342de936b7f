# src/config, src/metrics and the argument parser of src/cmd
fct_unit_test(test_options LINKS facet_config)
fct_unit_test(test_args SOURCES ${CMAKE_SOURCE_DIR}/src/cmd/cmd_args.c LINKS facet_core)
