//! What decisions about nudges must know of clients: what they got, when they are reached and how, and what can be said.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use db::{Row, Tx};

use super::nudge_templates;
use crate::domain::nudge::{BUDGET_HOURS, Channel, Circumstances};
use crate::domain::quiet::Hours;
use crate::domain::template::{DEFAULT_LOCALE, Reader, Templates};

/// When a nudge `g` reached its client, or will: one held overnight counts from the morning on, and one that was sent much
/// later than it could have been counts from then on. The seconds between two rounds of the job count for nothing.
const REACHED: &str =
    "case when g.sent_at > greatest(g.timestamp, g.send_after) + interval '1 minute' then g.sent_at
    else greatest(g.timestamp, g.send_after) end";

/// What decisions about nudges must know of clients. `$1` the clients, `$2` since when each has the label, `$3` now, `$4` the
/// hours that limits reach back, `$5` in which states a nudge counts for them.
pub(super) fn sql() -> String {
    format!(
        "with clock as (select coalesce($3::timestamptz, now()) as now)
         select u.user_id, clock.now, u.timezone, u.locale, u.display_name, p.custom_hours,
            (p.communication_preferences ->> 'in_app')::boolean as in_app,
            (p.communication_preferences ->> 'push')::boolean as push,
            coalesce(n.reached, '{{}}') as reached, n.since_label,
            exists (select from social.escalations e where e.user_id = u.user_id and e.urgency = 'critical'
                and e.status in ('pending', 'notified', 'acknowledged')) as in_crisis,
            (select r.phone from social.crisis_resources r
             where r.phone is not null
               and (r.region is null or r.region = upper(substring(u.locale from '[-_]([A-Za-z]{{2}})$')))
             order by r.region nulls last, r.position, r.resource_id limit 1) as crisis_line
         from unnest($1::varchar[], $2::timestamptz[]) as c (user_id, label_since)
         cross join clock
         join core.users u on u.user_id = c.user_id
         left join core.user_preferences p on p.user_id = u.user_id
         cross join lateral (
            select array_agg({REACHED}) filter (where {REACHED} > clock.now - make_interval(hours => $4)) as reached,
                count(*) filter (where g.source = 'rule' and g.timestamp >= c.label_since) as since_label
            from social.nudges g
            where g.user_id = c.user_id and g.status = any ($5) and g.source <> 'meeting') as n"
    )
}

/// Nudges that count for the limits when one is made: those that still wait have their place.
const COUNTED: [&str; 5] = ["pending", "held", "sent", "viewed", "responded"];
/// Nudges that count when one is sent: those that were.
pub(super) const ARRIVED: [&str; 3] = ["sent", "viewed", "responded"];

/// A client whose circumstances are asked for, and since when they have their label.
pub(crate) type Asked<'a> = (&'a str, DateTime<Utc>);

/// The circumstances of clients for whom a nudge may be made, and the texts that there are for them.
pub(crate) async fn read(
    tx: &Tx,
    asked: &[Asked<'_>],
    now: Option<DateTime<Utc>>,
) -> Result<(HashMap<String, Circumstances>, Templates), db::Error> {
    let (clients, since): (Vec<&str>, Vec<DateTime<Utc>>) = asked.iter().copied().unzip();
    let sql = sql();
    let counted = COUNTED.as_slice();
    let of_clients: db::Params<'_> = &[&clients, &since, &now, &BUDGET_HOURS, &counted];
    let of_languages: db::Params<'_> = &[&clients, &DEFAULT_LOCALE];
    let results = tx
        .pipeline(&[(&sql, of_clients), (nudge_templates::FOR, of_languages)])
        .await?;
    let [found, templates] = results.as_slice() else {
        return Err(db::Error::Row(
            "circumstances are read by two statements".to_owned(),
        ));
    };
    let templates = templates.iter().map(nudge_templates::from_row);
    Ok((by_client(found)?, Templates(templates.collect::<Result<_, _>>()?)))
}

pub(super) fn by_client(rows: &[Row]) -> Result<HashMap<String, Circumstances>, db::Error> {
    rows.iter()
        .map(|row| Ok((row.try_get("user_id")?, from_row(row)?)))
        .collect()
}

fn from_row(row: &Row) -> Result<Circumstances, db::Error> {
    let zone: &str = row.try_get("timezone")?;
    let stated: Option<serde_json::Value> = row.try_get("custom_hours")?;
    Ok(Circumstances {
        now: row.try_get("now")?,
        // Core refuses unknown zones; one that the zone database has dropped since counts as UTC.
        zone: zone.parse().unwrap_or(Tz::UTC),
        hours: stated.as_ref().and_then(Hours::stated).unwrap_or_default(),
        channel: Channel::preferred(row.try_get("in_app")?, row.try_get("push")?),
        reader: Reader {
            locale: row.try_get("locale")?,
            name: row.try_get("display_name")?,
            crisis_line: row.try_get("crisis_line")?,
        },
        in_crisis: row.try_get("in_crisis")?,
        reached: row.try_get("reached")?,
        since_label: row.try_get("since_label")?,
    })
}
