fct_unit_test(test_core LINKS facet_core)
