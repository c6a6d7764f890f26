drop table risk.client_levels;
drop table risk.prediction_reviews;
drop table risk.outcomes;
drop table risk.xai_explanations;
drop table risk.model_predictions;
