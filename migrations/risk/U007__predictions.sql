create or replace function risk.erase_user(erased varchar) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    select core.erase_from('risk', erased)
$$;
drop trigger settle_stage on risk.model_versions;
drop function risk.settle_stage();
drop table risk.stage_settlings;
drop trigger settle_labels_stored on risk.model_predictions;
drop function risk.settle_labels_stored();
drop function risk.settle_labels(bigint[], timestamptz);
drop table risk.client_levels;
drop table risk.prediction_reviews;
drop table risk.outcomes;
drop table risk.xai_explanations;
drop table risk.model_predictions;
