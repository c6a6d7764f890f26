//! The turns of a rotation as moments: whose they are, from when to when, in the time zone of the schedule.
//!
//! Clocks change: a local time that exists twice is the first of the two, and one that does not exist is the moment of
//! the jump. So every handover is one moment, none comes before an earlier one, and a turn ends where the next begins.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The longest turn.
pub(crate) const MAX_SHIFT_DAYS: i32 = 28;

/// Clocks never jump further: a zone that changes the side of the date line leaves out a day.
const MAX_JUMP_HOURS: i64 = 26;

/// Turns in which members are on call, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rotation {
    pub(crate) zone: Tz,
    /// Days from one handover to the next, from 1.
    pub(crate) shift_days: i32,
    /// Local time of the handovers.
    pub(crate) handover_time: NaiveTime,
    /// Day of the first.
    pub(crate) starts_on: NaiveDate,
    /// Day of the last, at which nobody takes over.
    pub(crate) ends_on: Option<NaiveDate>,
    /// Days on which it is active, 1 for Monday; empty: all.
    pub(crate) weekdays: Vec<i16>,
    /// Local times from and until which it is active on such a day; the second is on the day after where it is not later.
    pub(crate) hours: Option<(NaiveTime, NaiveTime)>,
    /// Staff in the order of their turns.
    pub(crate) members: Vec<String>,
}

/// Somebody on duty from a moment to another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Duty {
    pub(crate) staff_id: String,
    pub(crate) starts_at: DateTime<Utc>,
    pub(crate) ends_at: DateTime<Utc>,
}

/// The shifts of a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filled {
    /// In the order of time, each whole.
    pub(crate) shifts: Vec<Duty>,
    /// The handover from which on none is in there; `None` where the rotation has ended.
    pub(crate) until: Option<DateTime<Utc>>,
}

/// The moment at which clocks in a zone show a local time first, or first show a later one.
pub(crate) fn moment(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    if let Some(found) = zone.from_local_datetime(&local).earliest() {
        return found.with_timezone(&Utc);
    }
    // The jump is the first moment at which the clocks show more.
    let shows_more = |at: NaiveDateTime| zone.from_utc_datetime(&at).naive_local() > local;
    let (mut before, mut width) = (
        local - TimeDelta::hours(MAX_JUMP_HOURS),
        2 * MAX_JUMP_HOURS * 3_600,
    );
    while width > 1 {
        let middle = before + TimeDelta::seconds(width / 2);
        if !shows_more(middle) {
            before = middle;
        }
        width -= width / 2;
    }
    // A local time may have a fraction of a second; clocks jump on a whole one.
    let jump = before + TimeDelta::seconds(1);
    jump.and_utc()
}

impl Rotation {
    /// The shifts of all turns that end after a moment and begin before another.
    pub(crate) fn fill(&self, from: DateTime<Utc>, before: DateTime<Utc>) -> Filled {
        let mut shifts = Vec::new();
        let mut turn = self.turn_before(from);
        loop {
            let Some((starts_at, ends_at)) = self.turn(turn) else {
                return Filled { shifts, until: None };
            };
            if starts_at >= before {
                return Filled {
                    shifts,
                    until: Some(starts_at),
                };
            }
            if ends_at > from
                && let Some(staff_id) = self.member(turn)
            {
                let active = self.active(starts_at, ends_at);
                shifts.extend(active.into_iter().map(|(starts_at, ends_at)| Duty {
                    staff_id: staff_id.to_owned(),
                    starts_at,
                    ends_at,
                }));
            }
            turn += 1;
        }
    }

    /// A turn that has begun at a moment, and is the one of that moment or the one before.
    fn turn_before(&self, at: DateTime<Utc>) -> u64 {
        let days = (at.with_timezone(&self.zone).date_naive() - self.starts_on).num_days();
        let turns = days / i64::from(self.shift_days.max(1)) - 1;
        turns.try_into().unwrap_or(0)
    }

    /// When a turn begins and ends; `None` behind the last one.
    fn turn(&self, turn: u64) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let days = u64::try_from(self.shift_days.max(1)).ok()?;
        let first = self
            .starts_on
            .checked_add_days(Days::new(turn.checked_mul(days)?))?;
        let next = first.checked_add_days(Days::new(days))?;
        let last = self.ends_on.unwrap_or(NaiveDate::MAX);
        let handover = |day: NaiveDate| moment(self.zone, day.and_time(self.handover_time));
        (first < last).then(|| (handover(first), handover(next.min(last))))
    }

    fn member(&self, turn: u64) -> Option<&str> {
        let count = u64::try_from(self.members.len()).ok()?;
        let place = usize::try_from(turn.checked_rem(count)?).ok()?;
        self.members.get(place).map(String::as_str)
    }

    /// The parts of a turn in which the rotation is active.
    fn active(
        &self,
        starts_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut parts: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for (from, until) in self.windows(starts_at, ends_at) {
            let (from, until) = (from.max(starts_at), until.min(ends_at));
            match parts.last_mut() {
                _ if from >= until => {}
                Some(last) if last.1 >= from => last.1 = until,
                Some(_) | None => parts.push((from, until)),
            }
        }
        parts
    }

    /// The active hours of the days that a turn touches, in the order of time.
    fn windows(
        &self,
        starts_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
    ) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        if self.weekdays.is_empty() && self.hours.is_none() {
            return vec![(starts_at, ends_at)];
        }
        let day_of = |at: DateTime<Utc>| at.with_timezone(&self.zone).date_naive();
        // Hours over midnight of the day before reach into the turn.
        let first = day_of(starts_at).pred_opt().unwrap_or(NaiveDate::MIN);
        let (from, until) = self.hours.unwrap_or((NaiveTime::MIN, NaiveTime::MIN));
        let days = first
            .iter_days()
            .take_while(|day| *day <= day_of(ends_at))
            .filter(|day| self.is_active_on(*day));
        days.map(|day| {
            let last = if until > from {
                day
            } else {
                day.succ_opt().unwrap_or(day)
            };
            (
                moment(self.zone, day.and_time(from)),
                moment(self.zone, last.and_time(until)),
            )
        })
        .collect()
    }

    fn is_active_on(&self, day: NaiveDate) -> bool {
        let number = i16::try_from(day.weekday().number_from_monday()).unwrap_or_default();
        self.weekdays.is_empty() || self.weekdays.contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_default()
    }

    fn time(hour: u32, minute: u32) -> NaiveTime {
        NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or_default()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap_or_default()
    }

    fn daily(zone: Tz, handover_time: NaiveTime, starts_on: &str) -> Rotation {
        Rotation {
            zone,
            shift_days: 1,
            handover_time,
            starts_on: day(starts_on),
            ends_on: None,
            weekdays: Vec::new(),
            hours: None,
            members: vec!["a".to_owned(), "b".to_owned()],
        }
    }

    #[test]
    fn a_local_time_that_exists_twice_is_the_first_and_one_that_does_not_exist_the_jump() {
        for (zone, local, expected) in [
            (Tz::Europe__Berlin, "2026-06-15T09:00:00", "2026-06-15T07:00:00Z"),
            (Tz::Europe__Berlin, "2026-03-29T02:30:00", "2026-03-29T01:00:00Z"),
            (Tz::Europe__Berlin, "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            (
                Tz::America__New_York,
                "2026-03-08T02:00:00",
                "2026-03-08T07:00:00Z",
            ),
            (
                Tz::America__New_York,
                "2026-11-01T01:59:59",
                "2026-11-01T05:59:59Z",
            ),
            (
                Tz::Australia__Lord_Howe,
                "2026-10-04T02:15:00",
                "2026-10-03T15:30:00Z",
            ),
            (
                Tz::America__Santiago,
                "2026-09-06T00:00:00",
                "2026-09-06T04:00:00Z",
            ),
            // The day that Samoa left out.
            (Tz::Pacific__Apia, "2011-12-30T08:00:00", "2011-12-30T10:00:00Z"),
        ] {
            let local = local.parse().unwrap_or_default();
            assert_eq!(moment(zone, local), utc(expected), "{local} in {zone}");
        }
    }

    #[test]
    fn the_day_on_which_clocks_change_has_a_shift_of_23_or_25_hours() {
        let rotation = daily(Tz::Europe__Berlin, time(8, 0), "2026-03-27");
        let spring = rotation.fill(utc("2026-03-28T12:00:00Z"), utc("2026-03-29T12:00:00Z"));
        let hours: Vec<i64> = spring
            .shifts
            .iter()
            .map(|s| (s.ends_at - s.starts_at).num_hours())
            .collect();
        assert_eq!(hours, [23, 24]);
        let autumn = rotation.fill(utc("2026-10-24T12:00:00Z"), utc("2026-10-24T13:00:00Z"));
        let hours: Vec<i64> = autumn
            .shifts
            .iter()
            .map(|s| (s.ends_at - s.starts_at).num_hours())
            .collect();
        assert_eq!(hours, [25]);
    }

    #[test]
    fn members_take_turns_until_the_day_on_which_the_rotation_ends() {
        let rotation = Rotation {
            shift_days: 7,
            ends_on: Some(day("2026-06-17")),
            ..daily(Tz::UTC, time(9, 0), "2026-06-01")
        };
        let filled = rotation.fill(utc("2026-01-01T00:00:00Z"), utc("2027-01-01T00:00:00Z"));
        let turns: Vec<(&str, DateTime<Utc>, DateTime<Utc>)> = filled
            .shifts
            .iter()
            .map(|s| (s.staff_id.as_str(), s.starts_at, s.ends_at))
            .collect();
        assert_eq!(
            turns,
            [
                ("a", utc("2026-06-01T09:00:00Z"), utc("2026-06-08T09:00:00Z")),
                ("b", utc("2026-06-08T09:00:00Z"), utc("2026-06-15T09:00:00Z")),
                ("a", utc("2026-06-15T09:00:00Z"), utc("2026-06-17T09:00:00Z")),
            ]
        );
        assert_eq!(filled.until, None);
    }

    #[test]
    fn nights_of_working_days_belong_to_the_day_on_which_they_begin() {
        let rotation = Rotation {
            shift_days: 7,
            weekdays: vec![5],
            hours: Some((time(22, 0), time(6, 0))),
            ..daily(Tz::Europe__Berlin, time(0, 0), "2026-03-23")
        };
        let filled = rotation.fill(utc("2026-03-23T00:00:00Z"), utc("2026-03-30T00:00:00Z"));
        let turns: Vec<(DateTime<Utc>, DateTime<Utc>)> =
            filled.shifts.iter().map(|s| (s.starts_at, s.ends_at)).collect();
        assert_eq!(
            turns,
            [
                (utc("2026-03-27T21:00:00Z"), utc("2026-03-28T05:00:00Z")),
                (utc("2026-04-03T20:00:00Z"), utc("2026-04-04T04:00:00Z")),
            ]
        );
    }

    #[test]
    fn working_days_in_a_row_are_one_shift() {
        let rotation = Rotation {
            shift_days: 7,
            weekdays: vec![1, 2, 3, 4, 5],
            ..daily(Tz::UTC, time(0, 0), "2026-06-15")
        };
        let filled = rotation.fill(utc("2026-06-15T00:00:00Z"), utc("2026-06-16T00:00:00Z"));
        assert_eq!(filled.shifts.len(), 1);
        assert!(
            filled
                .shifts
                .iter()
                .all(|s| s.ends_at == utc("2026-06-20T00:00:00Z"))
        );
    }

    #[test]
    fn a_rotation_that_all_have_left_has_no_shifts() {
        let rotation = Rotation {
            members: Vec::new(),
            ..daily(Tz::UTC, time(9, 0), "2026-06-01")
        };
        let filled = rotation.fill(utc("2026-06-01T00:00:00Z"), utc("2026-06-03T00:00:00Z"));
        assert_eq!(filled.shifts, []);
        assert_eq!(filled.until, Some(utc("2026-06-03T09:00:00Z")));
    }

    /// Zones that change by an hour, by half an hour, at midnight, in the other half of the year, and not at all.
    fn zones() -> impl Strategy<Value = Tz> {
        prop::sample::select(vec![
            Tz::Europe__Berlin,
            Tz::America__New_York,
            Tz::Australia__Lord_Howe,
            Tz::America__Santiago,
            Tz::Africa__Casablanca,
            Tz::Asia__Beirut,
            Tz::Pacific__Apia,
            Tz::Asia__Kathmandu,
            Tz::UTC,
        ])
    }

    fn rotations() -> impl Strategy<Value = Rotation> {
        let times =
            || (0..24_u32, prop::sample::select(vec![0_u32, 15, 30, 59])).prop_map(|(h, m)| time(h, m));
        (zones(), 1..=28_i32, times(), 0..6_000_u64, 1..5_usize).prop_map(
            |(zone, shift_days, handover_time, days, members)| Rotation {
                zone,
                shift_days,
                handover_time,
                // From 2010 on: the year in which Samoa left out a day is among them.
                starts_on: day("2010-06-01")
                    .checked_add_days(Days::new(days))
                    .unwrap_or_default(),
                ends_on: None,
                weekdays: Vec::new(),
                hours: None,
                members: (0..members).map(|n| format!("m{n}")).collect(),
            },
        )
    }

    fn hours() -> impl Strategy<Value = (NaiveTime, NaiveTime)> {
        (0..24_u32, 1..24_u32).prop_map(|(from, more)| (time(from, 0), time((from + more) % 24, 0)))
    }

    proptest! {
        #[test]
        fn whole_days_leave_no_gap_and_no_overlap_and_hand_over_at_the_local_time(rotation in rotations()) {
            let start = moment(rotation.zone, rotation.starts_on.and_time(rotation.handover_time));
            let filled = rotation.fill(start, start + TimeDelta::days(400));
            prop_assert_eq!(filled.shifts.first().map(|shift| shift.starts_at), Some(start));
            prop_assert_eq!(filled.shifts.last().map(|shift| shift.ends_at), filled.until);
            for (one, next) in filled.shifts.iter().zip(filled.shifts.iter().skip(1)) {
                prop_assert_eq!(one.ends_at, next.starts_at);
            }
            prop_assert!(filled.shifts.iter().all(|shift| shift.starts_at < shift.ends_at));
            // Wherever the local time of a handover exists, somebody takes over then.
            let days = u64::try_from(rotation.shift_days).unwrap_or(1);
            let turns = (0..400 / days).filter_map(|turn| rotation.starts_on.checked_add_days(Days::new(turn * days)));
            let due = turns
                .map(|day| day.and_time(rotation.handover_time))
                .filter_map(|local| rotation.zone.from_local_datetime(&local).earliest());
            let taken_over: BTreeSet<DateTime<Utc>> = filled.shifts.iter().map(|shift| shift.starts_at).collect();
            for due in due.skip(1) {
                prop_assert!(taken_over.contains(&due.with_timezone(&Utc)), "{}", due);
            }
        }

        #[test]
        fn filled_piece_by_piece_it_is_the_same(rotation in rotations(), pieces in prop::collection::vec(1..60_i64, 1..6)) {
            let start = moment(rotation.zone, rotation.starts_on.and_time(rotation.handover_time));
            let (mut from, mut before, mut shifts) = (start, start, Vec::new());
            for days in pieces {
                before += TimeDelta::days(days);
                let piece = rotation.fill(from, before);
                from = piece.until.unwrap_or(from);
                shifts.extend(piece.shifts);
            }
            prop_assert_eq!(shifts, rotation.fill(start, before).shifts);
        }

        #[test]
        fn active_hours_are_covered_and_nothing_else(
            rotation in rotations(),
            weekdays in prop::sample::subsequence(vec![1_i16, 2, 3, 4, 5, 6, 7], 0..7),
            hours in prop::option::of(hours()),
            minute in 0..120_000_i64,
        ) {
            let rotation = Rotation { weekdays, hours, ..rotation };
            let start = moment(rotation.zone, rotation.starts_on.and_time(rotation.handover_time));
            let at = start + TimeDelta::minutes(minute);
            let filled = rotation.fill(start, start + TimeDelta::days(120));
            let on_duty = filled.shifts.iter().filter(|s| s.starts_at <= at && at < s.ends_at).count();
            let local = at.with_timezone(&rotation.zone).naive_local();
            let (from, until) = rotation.hours.unwrap_or((NaiveTime::MIN, NaiveTime::MIN));
            let over_midnight = until <= from;
            let today = rotation.is_active_on(local.date())
                && at >= moment(rotation.zone, local.date().and_time(from))
                && (over_midnight || at < moment(rotation.zone, local.date().and_time(until)));
            let yesterday = local.date().pred_opt().unwrap_or_default();
            let since_yesterday = over_midnight
                && rotation.is_active_on(yesterday)
                && at < moment(rotation.zone, local.date().and_time(until));
            prop_assert_eq!(on_duty, usize::from(today || since_yesterday), "{}", local);
        }
    }
}
