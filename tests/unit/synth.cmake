# SPDX-License-Identifier: Apache-2.0
fct_unit_test(test_synth LINKS facet_synth facet_datasets facet_core PkgConfig::CAIRO)
fct_unit_test(test_face LINKS facet_synth facet_datasets facet_core PkgConfig::CAIRO)
