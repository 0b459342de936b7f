# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_params LINKS facet_graph)
fct_unit_test(test_graph SOURCES small_net.c LINKS facet_graph Threads::Threads)
fct_unit_test(test_memory_plan SOURCES small_net.c LINKS facet_model)
fct_unit_test(test_model LINKS facet_model)
fct_unit_test(test_optim SOURCES small_net.c LINKS facet_optim)
fct_unit_test(test_schedule LINKS facet_optim)
