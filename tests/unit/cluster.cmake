# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_checkpoint LINKS facet_cluster)
