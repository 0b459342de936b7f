# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_graph SOURCES small_net.c LINKS facet_graph Threads::Threads)
