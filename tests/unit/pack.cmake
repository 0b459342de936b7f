# SPDX-License-Identifier: Apache-2.0
# datasets/: pictures, label names, pack.
fct_unit_test(test_align LINKS facet_datasets facet_core)
fct_unit_test(test_npy LINKS facet_datasets facet_core)
fct_unit_test(test_labels LINKS facet_datasets facet_core)
fct_unit_test(test_image LINKS facet_datasets facet_core)
fct_unit_test(test_pack_plan LINKS facet_datasets facet_core)
fct_unit_test(test_pack LINKS facet_datasets facet_core)
fct_unit_test(test_pack_file LINKS facet_datasets facet_core)
fct_unit_test(test_record_io LINKS facet_datasets facet_core)
