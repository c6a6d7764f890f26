//! Quiet hours, counted in the client's own time zone.

use chrono::{DateTime, Days, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

const QUIET_FROM_HOUR: u32 = 22;
const QUIET_UNTIL_HOUR: u32 = 8;

/// The first instant from `now` on that is not quiet: `now` itself by day, the next 8 o'clock by night.
pub(crate) fn earliest_send(now: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let local = now.with_timezone(&zone);
    let morning = if local.hour() >= QUIET_FROM_HOUR {
        local.date_naive().checked_add_days(Days::new(1))
    } else if local.hour() < QUIET_UNTIL_HOUR {
        Some(local.date_naive())
    } else {
        None
    };
    // Eight o'clock exists in every zone on every day that clocks have been changed on so far; where it did not,
    // sending at once is better than never.
    morning
        .and_then(|day| day.and_hms_opt(QUIET_UNTIL_HOUR, 0, 0))
        .and_then(|time| zone.from_local_datetime(&time).earliest())
        .map_or(now, |at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_default()
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
            assert_eq!(earliest_send(utc(now), zone), utc(expected), "{now} in {zone}");
        }
    }

    #[test]
    fn the_night_in_which_the_clocks_change_ends_at_eight_as_well() {
        assert_eq!(
            earliest_send(utc("2026-03-28T23:00:00Z"), Tz::Europe__Berlin),
            utc("2026-03-29T06:00:00Z")
        );
        assert_eq!(
            earliest_send(utc("2026-10-24T22:00:00Z"), Tz::Europe__Berlin),
            utc("2026-10-25T07:00:00Z")
        );
    }
}
