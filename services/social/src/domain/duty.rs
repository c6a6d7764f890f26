//! Who is on duty from when to when: the shifts of a schedule with what people changed by hand. The same as
//! `social.oncall_at` says of each moment.

use chrono::{DateTime, Utc};

use crate::domain::rotation::Duty;

/// Somebody stands in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StandIn {
    pub(crate) duty: Duty,
    /// Instead of whom, where that person is on duty; `None`: of everybody.
    pub(crate) replaces: Option<String>,
}

/// Applies stand-ins in the order in which they were made, later ones over earlier ones; by time, then person.
pub(crate) fn with_stand_ins(shifts: Vec<Duty>, stand_ins: &[StandIn]) -> Vec<Duty> {
    let mut duties = shifts;
    for stand_in in stand_ins {
        duties = with_stand_in(duties, stand_in);
    }
    joined(duties)
}

fn with_stand_in(duties: Vec<Duty>, stand_in: &StandIn) -> Vec<Duty> {
    let StandIn {
        duty: cover,
        replaces,
    } = stand_in;
    let mut changed = Vec::new();
    for duty in duties {
        let is_replaced = replaces
            .as_ref()
            .is_none_or(|replaced| *replaced == duty.staff_id);
        let (from, until) = (
            duty.starts_at.max(cover.starts_at),
            duty.ends_at.min(cover.ends_at),
        );
        if !is_replaced || from >= until {
            changed.push(duty);
            continue;
        }
        let staff_id = &duty.staff_id;
        changed.extend(stretch(staff_id, duty.starts_at, from));
        changed.extend(stretch(staff_id, until, duty.ends_at));
        if replaces.is_some() {
            changed.extend(stretch(&cover.staff_id, from, until));
        }
    }
    if replaces.is_none() {
        changed.push(cover.clone());
    }
    changed
}

fn stretch(staff_id: &str, starts_at: DateTime<Utc>, ends_at: DateTime<Utc>) -> Option<Duty> {
    (starts_at < ends_at).then(|| Duty {
        staff_id: staff_id.to_owned(),
        starts_at,
        ends_at,
    })
}

/// Stretches of one person that touch are one.
fn joined(mut duties: Vec<Duty>) -> Vec<Duty> {
    duties.sort_by(|a, b| (&a.staff_id, a.starts_at).cmp(&(&b.staff_id, b.starts_at)));
    let mut whole: Vec<Duty> = Vec::new();
    for duty in duties {
        match whole.last_mut() {
            Some(last) if last.staff_id == duty.staff_id && last.ends_at >= duty.starts_at => {
                last.ends_at = last.ends_at.max(duty.ends_at);
            }
            Some(_) | None => whole.push(duty),
        }
    }
    whole.sort_by(|a, b| (a.starts_at, &a.staff_id).cmp(&(b.starts_at, &b.staff_id)));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::<Utc>::default() + TimeDelta::hours(hour)
    }

    fn duty(staff_id: &str, from: i64, until: i64) -> Duty {
        Duty {
            staff_id: staff_id.to_owned(),
            starts_at: at(from),
            ends_at: at(until),
        }
    }

    fn stand_in(staff_id: &str, replaces: Option<&str>, from: i64, until: i64) -> StandIn {
        StandIn {
            duty: duty(staff_id, from, until),
            replaces: replaces.map(str::to_owned),
        }
    }

    #[test]
    fn a_stand_in_takes_the_part_of_a_shift_and_a_later_one_a_part_of_that() {
        let shifts = vec![duty("a", 0, 12), duty("b", 12, 24)];
        let changes = [
            stand_in("c", Some("a"), 4, 20),
            stand_in("d", Some("c"), 6, 8),
            stand_in("b", None, 22, 30),
        ];
        assert_eq!(
            with_stand_ins(shifts, &changes),
            [
                duty("a", 0, 4),
                duty("c", 4, 6),
                duty("d", 6, 8),
                duty("c", 8, 12),
                duty("b", 12, 30)
            ]
        );
    }

    fn stretches() -> impl Strategy<Value = (String, i64, i64)> {
        ("[abc]", 0..20_i64, 1..10_i64).prop_map(|(staff, from, hours)| (staff, from, from + hours))
    }

    proptest! {
        #[test]
        fn at_each_moment_it_is_the_shifts_with_one_change_after_the_other(
            shifts in prop::collection::vec(stretches(), 0..6),
            changes in prop::collection::vec((stretches(), prop::option::of("[abc]")), 0..6),
            hour in 0..30_i64,
        ) {
            let shifts: Vec<Duty> = shifts.iter().map(|(s, from, until)| duty(s, *from, *until)).collect();
            let changes: Vec<StandIn> = changes
                .iter()
                .map(|((s, from, until), replaces)| stand_in(s, replaces.as_deref(), *from, *until))
                .collect();
            let holds = |duty: &Duty| duty.starts_at <= at(hour) && at(hour) < duty.ends_at;
            let mut expected: BTreeSet<&str> =
                shifts.iter().filter(|s| holds(s)).map(|s| s.staff_id.as_str()).collect();
            for change in changes.iter().filter(|change| holds(&change.duty)) {
                match &change.replaces {
                    None => expected = BTreeSet::from([change.duty.staff_id.as_str()]),
                    Some(replaced) => {
                        if expected.remove(replaced.as_str()) {
                            expected.insert(&change.duty.staff_id);
                        }
                    }
                }
            }
            let found = with_stand_ins(shifts.clone(), &changes);
            let found: Vec<&str> = found.iter().filter(|d| holds(d)).map(|d| d.staff_id.as_str()).collect();
            prop_assert_eq!(found.len(), expected.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
