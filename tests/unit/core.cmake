# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_core LINKS facet_core)
