# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_health LINKS facet_train)
fct_unit_test(test_init_match LINKS facet_train)
fct_unit_test(test_csv_widen LINKS facet_train)
fct_unit_test(test_net_device LINKS facet_train)
