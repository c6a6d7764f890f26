drop table risk.model_versions;
drop table risk.feature_snapshots;
drop table risk.feature_sets;
