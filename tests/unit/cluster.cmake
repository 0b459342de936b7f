# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_checkpoint LINKS facet_cluster)
fct_unit_test(test_self_test LINKS facet_cluster)
fct_unit_test(test_self_test_device LINKS facet_cluster)
fct_unit_test(test_topology LINKS facet_train facet_cluster PkgConfig::HWLOC)
fct_unit_test(test_lifecycle LINKS facet_cluster)
fct_unit_test(test_slurm LINKS facet_cluster)
fct_unit_test(test_watchdog LINKS facet_cluster)
