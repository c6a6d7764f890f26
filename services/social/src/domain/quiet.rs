//! Quiet hours, counted in the client's own time zone.
//!
//! Clocks change: the hours of a day begin and end at the moments that [`moment`] finds for their local times.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::Deserialize;

use super::rotation::moment;

/// Days in which hours that hold on some weekday come round, the day before among them: its hours may go past midnight.
const MAX_DAYS: usize = 9;

/// The hours in which a client is reached; all others are quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    from: NaiveTime,
    /// On the day after where it is not later.
    until: NaiveTime,
    /// Days on which nobody is to be reached.
    off: Vec<Weekday>,
}

impl Default for Hours {
    /// By day, for a client who stated nothing: 8 to 22.
    fn default() -> Self {
        Self {
            from: NaiveTime::from_hms_opt(8, 0, 0).unwrap_or_default(),
            until: NaiveTime::from_hms_opt(22, 0, 0).unwrap_or_default(),
            off: Vec::new(),
        }
    }
}

/// Hours as core stores them.
#[derive(Deserialize)]
struct Stated {
    start: String,
    end: String,
    #[serde(default)]
    days: BTreeMap<String, bool>,
}

impl Hours {
    /// The hours that a client stated, in place of the usual ones. `None` where they are not what core stores.
    pub(crate) fn stated(stated: &serde_json::Value) -> Option<Self> {
        let stated = Stated::deserialize(stated).ok()?;
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok();
        let days = stated.days.iter().filter(|(_, holds)| !**holds);
        let off: Result<_, _> = days.map(|(day, _)| day.parse::<Weekday>()).collect();
        Some(Self {
            from: time(&stated.start)?,
            until: time(&stated.end)?,
            off: off.ok()?,
        })
    }

    /// When they begin and end that belong to a day.
    fn of(&self, day: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let last = if self.until > self.from {
            day
        } else {
            day.succ_opt()?
        };
        let (from, until) = (
            moment(zone, day.and_time(self.from)),
            moment(zone, last.and_time(self.until)),
        );
        // A jump may swallow them.
        (from < until).then_some((from, until))
    }
}

/// The first instant from `now` on that is not quiet: `now` itself in the hours of the client, else when they begin next.
/// `None` where they hold on no day.
pub(crate) fn earliest_send(now: DateTime<Utc>, zone: Tz, hours: &Hours) -> Option<DateTime<Utc>> {
    let yesterday = now.with_timezone(&zone).date_naive().pred_opt()?;
    yesterday
        .iter_days()
        .take(MAX_DAYS)
        .filter(|day| !hours.off.contains(&day.weekday()))
        .filter_map(|day| hours.of(day, zone))
        .find(|(_, until)| *until > now)
        .map(|(from, _)| from.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, Timelike};
    use proptest::prelude::*;
    use serde_json::json;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_default()
    }

    fn by_day(now: &str, zone: Tz) -> Option<DateTime<Utc>> {
        earliest_send(utc(now), zone, &Hours::default())
    }

    #[test]
    fn a_nudge_of_the_night_waits_for_eight_oclock_local_time() {
        for (now, zone, expected) in [
            ("2026-07-01T12:00:00Z", Tz::Europe__Berlin, "2026-07-01T12:00:00Z"),
            ("2026-07-01T19:59:59Z", Tz::Europe__Berlin, "2026-07-01T19:59:59Z"),
            ("2026-07-01T20:00:00Z", Tz::Europe__Berlin, "2026-07-02T06:00:00Z"),
            ("2026-07-02T05:59:59Z", Tz::Europe__Berlin, "2026-07-02T06:00:00Z"),
            ("2026-07-02T06:00:00Z", Tz::Europe__Berlin, "2026-07-02T06:00:00Z"),
            (
                "2026-07-01T03:00:00Z",
                Tz::Asia__Hong_Kong,
                "2026-07-01T03:00:00Z",
            ),
        ] {
            assert_eq!(by_day(now, zone), Some(utc(expected)), "{now} in {zone}");
        }
    }

    #[test]
    fn the_night_in_which_the_clocks_change_ends_at_eight_as_well() {
        for (now, zone, expected) in [
            ("2026-03-28T23:00:00Z", Tz::Europe__Berlin, "2026-03-29T06:00:00Z"),
            ("2026-10-24T22:00:00Z", Tz::Europe__Berlin, "2026-10-25T07:00:00Z"),
            (
                "2026-03-08T04:00:00Z",
                Tz::America__New_York,
                "2026-03-08T12:00:00Z",
            ),
            (
                "2026-11-01T04:00:00Z",
                Tz::America__New_York,
                "2026-11-01T13:00:00Z",
            ),
            // Half an hour.
            (
                "2026-04-04T12:00:00Z",
                Tz::Australia__Lord_Howe,
                "2026-04-04T21:30:00Z",
            ),
        ] {
            assert_eq!(by_day(now, zone), Some(utc(expected)), "{now} in {zone}");
        }
    }

    #[test]
    fn stated_hours_hold_in_place_of_the_usual_ones_on_the_days_that_are_not_off() {
        let stated = json!({"start": "20:00", "end": "02:00", "days": {"tuesday": false, "monday": true}});
        let nights = Hours::stated(&stated);
        // 2026-06-15 is a Monday.
        for (now, expected) in [
            ("2026-06-15T12:00:00Z", "2026-06-15T20:00:00Z"),
            ("2026-06-15T23:00:00Z", "2026-06-15T23:00:00Z"),
            // Past midnight they still belong to Monday.
            ("2026-06-16T01:59:59Z", "2026-06-16T01:59:59Z"),
            ("2026-06-16T02:00:00Z", "2026-06-17T20:00:00Z"),
        ] {
            let found = nights
                .as_ref()
                .and_then(|hours| earliest_send(utc(now), Tz::UTC, hours));
            assert_eq!(found, Some(utc(expected)), "{now}");
        }
        for bad in [
            json!({"start": "20:00"}),
            json!({"start": "x", "end": "02:00"}),
            json!([]),
        ] {
            assert_eq!(Hours::stated(&bad), None);
        }
    }

    #[test]
    fn a_client_who_is_reached_on_no_day_is_never_reached() {
        let days = [
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
        ];
        let off: BTreeMap<&str, bool> = days.iter().map(|day| (*day, false)).collect();
        let never = Hours::stated(&json!({"start": "09:00", "end": "17:00", "days": off}));
        assert_eq!(
            never.and_then(|hours| earliest_send(utc("2026-06-15T12:00:00Z"), Tz::UTC, &hours)),
            None
        );
    }

    #[test]
    fn hours_that_a_jump_swallows_are_those_of_the_next_day() {
        let swallowed = Hours::stated(&json!({"start": "02:10", "end": "02:50"}));
        let found = swallowed
            .and_then(|hours| earliest_send(utc("2026-03-28T23:00:00Z"), Tz::Europe__Berlin, &hours));
        assert_eq!(found, Some(utc("2026-03-30T00:10:00Z")));
    }

    proptest! {
        /// Around the nights in which clocks change, in zones on both sides of the equator.
        #[test]
        fn no_instant_before_the_first_one_is_within_the_hours(
            zone in prop::sample::select(vec![Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe,
                Tz::America__Santiago, Tz::Asia__Hong_Kong, Tz::UTC]),
            day in prop::sample::select(vec!["2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-04",
                "2026-10-25", "2026-11-01", "2026-06-15"]),
            minutes in -1_440_i64..2_880,
            (from, until) in (3_u32..24, 3_u32..24).prop_filter("hours", |(from, until)| from != until),
        ) {
            let hours = Hours {
                from: NaiveTime::from_hms_opt(from, 0, 0).unwrap_or_default(),
                until: NaiveTime::from_hms_opt(until, 0, 0).unwrap_or_default(),
                off: Vec::new(),
            };
            let now = utc(&format!("{day}T00:00:00Z")) + TimeDelta::minutes(minutes);
            let within = |at: DateTime<Utc>| {
                let hour = at.with_timezone(&zone).hour();
                if from < until { (from..until).contains(&hour) } else { hour >= from || hour < until }
            };
            let found = earliest_send(now, zone, &hours).unwrap_or_default();
            prop_assert!(found >= now && within(found), "{found}");
            let mut before = now;
            while before < found {
                prop_assert!(!within(before), "{before}");
                before += TimeDelta::minutes(1);
            }
        }
    }
}
