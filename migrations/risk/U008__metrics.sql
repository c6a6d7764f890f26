drop table risk.drift_alerts;
drop table risk.model_metrics;
drop trigger raise_metric_days_deleted on risk.model_predictions;
drop trigger raise_metric_days_labelled on risk.model_predictions;
drop trigger raise_metric_days_stored on risk.model_predictions;
drop function risk.raise_metric_days();
drop table risk.metric_days;
