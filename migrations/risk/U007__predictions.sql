drop trigger settle_stage on risk.model_versions;
drop function risk.settle_stage();
drop table risk.stage_settlings;
drop table risk.client_levels;
drop table risk.prediction_reviews;
drop table risk.outcomes;
drop table risk.xai_explanations;
drop table risk.model_predictions;
