//! `reco.client_state`.

use common::contracts::ProfileChanged;
use db::Tx;

/// Keeps the newest state of each client; an older one never overwrites it, in whatever order they come.
pub(crate) async fn save(tx: &Tx, profiles: &[ProfileChanged]) -> Result<(), db::Error> {
    tx.execute(
        SAVE,
        &[
            &profiles.iter().map(|p| p.user_id.as_str()).collect::<Vec<_>>(),
            &profiles
                .iter()
                .map(|p| p.current_risk_label.as_str())
                .collect::<Vec<_>>(),
            &profiles.iter().map(|p| p.risk_trend.as_str()).collect::<Vec<_>>(),
            &profiles.iter().map(|p| p.computed_at).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

// The join leaves out who was erased before the event came; the order keeps two replicas from a deadlock.
const SAVE: &str = "
    insert into reco.client_state as s (user_id, current_risk_label, risk_trend, computed_at)
    select distinct on (u.user_id) u.user_id, n.current_risk_label, n.risk_trend, n.computed_at
    from unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::timestamptz[])
        as n (user_id, current_risk_label, risk_trend, computed_at)
    join core.users u on u.user_id = n.user_id
    order by u.user_id, n.computed_at desc
    on conflict (user_id) do update
    set current_risk_label = excluded.current_risk_label, risk_trend = excluded.risk_trend,
        computed_at = excluded.computed_at
    where s.computed_at < excluded.computed_at";
