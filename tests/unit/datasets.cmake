fct_unit_test(test_sampler LINKS facet_datasets)
fct_unit_test(test_shard SOURCES shard_maker.c LINKS facet_datasets)
