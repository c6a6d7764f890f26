//! What another threshold would have done in the past: how many more pages, and which relapses would have been seen
//! coming, how early.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use common::Probability;

use super::level::Reading;
use super::metrics::quantile::quantile;
use super::outcome::Horizon;

const DAY_SECONDS: f64 = 86_400.0;
const WEEK_SECONDS: f64 = 7.0 * DAY_SECONDS;

/// The time that is looked at, `[from, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Window {
    /// `None` of no time at all.
    #[cfg(test)]
    pub(crate) fn new(from: DateTime<Utc>, until: DateTime<Utc>) -> Option<Self> {
        (from < until).then_some(Self { from, until })
    }

    /// From the first moment of a day to the first after another.
    pub(crate) fn days(first: NaiveDate, last: NaiveDate) -> Self {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        Self {
            from: midnight(first),
            until: midnight(last + Days::new(1)),
        }
    }

    fn has(self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.until
    }

    fn weeks(self) -> f64 {
        (self.until - self.from).as_seconds_f64() / WEEK_SECONDS
    }
}

/// How to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) window: Window,
    pub(crate) horizon: Horizon,
    /// How long an episode stays open after its page. No client is paged twice for one episode.
    pub(crate) episode: TimeDelta,
}

/// What is known of one client. Readings before the window are wanted too, a horizon's length at least: they say
/// whether the client was over the threshold when it began, and what foretold its first relapses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Course {
    pub(crate) readings: Vec<Reading>,
    /// Relapses and lapses.
    pub(crate) relapses: Vec<DateTime<Utc>>,
}

/// Three quarters of the leads are at least `low` days, half the median, a quarter `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quartiles {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// What a threshold did, or would have done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Replay {
    pub(crate) pages: u64,
    pub(crate) pages_per_week: f64,
    /// In the window.
    pub(crate) relapses: u64,
    /// Those with any reading in the horizon before: no threshold could have caught the others.
    pub(crate) foreseeable: u64,
    /// Those with an alert in the horizon before.
    pub(crate) caught: u64,
    /// From the first of these alerts to the relapse; `None` where nothing was caught.
    pub(crate) lead_days: Option<Quartiles>,
}

/// Relapses whose first alert moved, and by how many days in the median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moved {
    pub(crate) relapses: u64,
    pub(crate) median_days: f64,
}

/// A candidate beside the threshold of today: "40 more pages a week, 3 relapses caught that were missed, 5 caught 2
/// days earlier".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) today: Replay,
    pub(crate) candidate: Replay,
    /// Candidate less today: negative where it pages less.
    pub(crate) more_pages_per_week: f64,
    pub(crate) newly_caught: u64,
    pub(crate) no_longer_caught: u64,
    /// Of those that both catch.
    pub(crate) earlier: Option<Moved>,
    pub(crate) later: Option<Moved>,
}

impl Comparison {
    /// The same in a sentence.
    pub(crate) fn summary(&self) -> String {
        let more = self.more_pages_per_week;
        let pages = if more < 0.0 { "fewer" } else { "more" };
        let mut parts = vec![format!("{:.1} {pages} pages a week", more.abs())];
        let mut count = |count: u64, words: &str| {
            if count > 0 {
                parts.push(format!("{count} {words}"));
            }
        };
        count(self.newly_caught, "relapses caught that were missed");
        count(self.no_longer_caught, "relapses missed that were caught");
        let mut moved = |moved: Option<Moved>, word: &str| {
            if let Some(moved) = moved {
                parts.push(format!(
                    "{} caught {:.1} days {word}",
                    moved.relapses, moved.median_days
                ));
            }
        };
        moved(self.earlier, "earlier");
        moved(self.later, "later");
        parts.join(", ")
    }
}

/// Plays both thresholds over the same past.
pub(crate) fn compare(
    courses: &[Course],
    today: Probability,
    candidate: Probability,
    rules: Rules,
) -> Comparison {
    let courses = sorted(courses);
    let (before, after) = (
        Played::of(&courses, today, rules),
        Played::of(&courses, candidate, rules),
    );
    let leads = || before.leads.iter().zip(&after.leads);
    let count = |lost: bool| {
        let changed = leads().filter(|(before, after)| before.is_some() != after.is_some());
        changed.filter(|(before, _)| before.is_some() == lost).count() as u64
    };
    let moves: Vec<f64> = leads()
        .filter_map(|(before, after)| Some(days((*after)? - (*before)?)))
        .collect();
    let (today, candidate) = (before.result(rules), after.result(rules));
    Comparison {
        today,
        candidate,
        more_pages_per_week: candidate.pages_per_week - today.pages_per_week,
        newly_caught: count(false),
        no_longer_caught: count(true),
        earlier: moved(moves.iter().copied().filter(|days| *days > 0.0)),
        later: moved(moves.iter().filter(|days| **days < 0.0).map(|days| -days)),
    }
}

/// Plays one threshold over the past.
pub(crate) fn replay(courses: &[Course], threshold: Probability, rules: Rules) -> Replay {
    Played::of(&sorted(courses), threshold, rules).result(rules)
}

fn sorted(courses: &[Course]) -> Vec<Course> {
    let mut courses = courses.to_vec();
    for course in &mut courses {
        course.readings.sort_unstable();
    }
    courses
}

fn moved(days: impl Iterator<Item = f64>) -> Option<Moved> {
    let mut days: Vec<f64> = days.collect();
    days.sort_by(f64::total_cmp);
    Some(Moved {
        relapses: days.len() as u64,
        median_days: quantile(&days, 0.5)?,
    })
}

fn days(time: TimeDelta) -> f64 {
    time.as_seconds_f64() / DAY_SECONDS
}

#[derive(Default)]
struct Played {
    pages: u64,
    foreseeable: u64,
    /// Of every relapse in the window, in the order of the courses.
    leads: Vec<Option<TimeDelta>>,
}

impl Played {
    fn of(courses: &[Course], threshold: Probability, rules: Rules) -> Self {
        let mut played = Self::default();
        for course in courses {
            played.pages += pages(&course.readings, threshold, rules);
            for relapse in course.relapses.iter().filter(|at| rules.window.has(**at)) {
                let foretold = foretelling(&course.readings, *relapse, rules.horizon);
                played.foreseeable += u64::from(!foretold.is_empty());
                let alert = foretold.iter().find(|reading| reading.score >= threshold);
                played.leads.push(alert.map(|alert| *relapse - alert.at));
            }
        }
        played
    }

    fn result(&self, rules: Rules) -> Replay {
        let mut leads: Vec<f64> = self.leads.iter().flatten().copied().map(days).collect();
        leads.sort_by(f64::total_cmp);
        let quartiles = || {
            Some(Quartiles {
                low: quantile(&leads, 0.25)?,
                median: quantile(&leads, 0.5)?,
                high: quantile(&leads, 0.75)?,
            })
        };
        Replay {
            pages: self.pages,
            pages_per_week: self.pages as f64 / rules.window.weeks(),
            relapses: self.leads.len() as u64,
            foreseeable: self.foreseeable,
            caught: leads.len() as u64,
            lead_days: quartiles(),
        }
    }
}

/// A page is a crossing: a reading at or over the threshold whose predecessor is under it, or that has none. A crossing
/// while the client's episode is open joins it. A client who stays over the threshold is not paged again, however long.
fn pages(readings: &[Reading], threshold: Probability, rules: Rules) -> u64 {
    let mut pages = 0;
    let (mut was_over, mut open_until) = (false, None);
    for reading in readings {
        let over = reading.score >= threshold;
        let open = open_until.is_some_and(|until| reading.at < until);
        if over && !was_over && !open {
            open_until = Some(reading.at + rules.episode);
            pages += u64::from(rules.window.has(reading.at));
        }
        was_over = over;
    }
    pages
}

/// The readings whose horizon has the relapse.
fn foretelling(readings: &[Reading], relapse: DateTime<Utc>, horizon: Horizon) -> &[Reading] {
    let begin = readings.partition_point(|reading| reading.at + horizon.length() < relapse);
    let end = readings.partition_point(|reading| reading.at < relapse);
    readings.get(begin..end).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn p(value: f64) -> Probability {
        Probability::new(value).unwrap()
    }

    fn day(day: f64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes((day * 1_440.0) as i64)
    }

    fn course(readings: &[(f64, f64)], relapses: &[f64]) -> Course {
        let reading = |(at, score): &(f64, f64)| Reading {
            at: day(*at),
            score: p(*score),
        };
        Course {
            readings: readings.iter().map(reading).collect(),
            relapses: relapses.iter().map(|at| day(*at)).collect(),
        }
    }

    /// Four weeks from day 10 on, a horizon of seven days, episodes of two.
    fn rules() -> Rules {
        Rules {
            window: Window::new(day(10.0), day(38.0)).unwrap(),
            horizon: Horizon::new(7).unwrap(),
            episode: TimeDelta::days(2),
        }
    }

    fn paged(readings: &[(f64, f64)]) -> u64 {
        replay(&[course(readings, &[])], p(0.8), rules()).pages
    }

    #[test]
    fn a_page_is_a_crossing_not_every_reading_over_the_threshold() {
        assert_eq!(paged(&[(11.0, 0.7), (12.0, 0.8), (13.0, 0.9), (20.0, 0.8)]), 1);
        assert_eq!(paged(&[(11.0, 0.9), (15.0, 0.1), (20.0, 0.9)]), 2);
        assert_eq!(paged(&[(11.0, 0.799_999)]), 0);
    }

    #[test]
    fn a_crossing_while_the_episode_is_open_is_not_paged_again() {
        assert_eq!(paged(&[(11.0, 0.9), (12.0, 0.1), (12.9, 0.9)]), 1);
        assert_eq!(paged(&[(11.0, 0.9), (12.0, 0.1), (13.0, 0.9)]), 2);
        // Over the threshold when the episode ends: no crossing.
        assert_eq!(paged(&[(11.0, 0.9), (12.0, 0.1), (12.9, 0.9), (14.0, 0.9)]), 1);
    }

    #[test]
    fn what_was_before_the_window_is_not_counted_and_not_forgotten() {
        assert_eq!(paged(&[(5.0, 0.9), (11.0, 0.9)]), 0);
        assert_eq!(paged(&[(9.0, 0.9), (9.5, 0.1), (10.5, 0.9)]), 0);
        assert_eq!(paged(&[(38.0, 0.9)]), 0);
    }

    #[test]
    fn the_lead_is_from_the_first_alert_within_the_horizon_to_the_relapse() {
        let found = |readings: &[(f64, f64)], relapse| {
            let found = replay(&[course(readings, &[relapse])], p(0.8), rules());
            (
                found.foreseeable,
                found.caught,
                found.lead_days.map(|lead| lead.median),
            )
        };
        assert_eq!(found(&[(12.0, 0.9), (14.0, 0.9)], 20.0), (1, 1, Some(6.0)));
        assert_eq!(
            found(&[(13.0, 0.9)], 20.0),
            (1, 1, Some(7.0)),
            "the horizon's end is in it"
        );
        assert_eq!(
            found(&[(20.0, 0.9)], 20.0),
            (0, 0, None),
            "an alert at the relapse foretells nothing"
        );
        assert_eq!(found(&[(19.0, 0.5)], 20.0), (1, 0, None));
        assert_eq!(found(&[(12.0, 0.9)], 20.0), (0, 0, None));
        assert_eq!(
            found(&[(8.0, 0.9)], 11.0),
            (1, 1, Some(3.0)),
            "alerts before the window count"
        );
    }

    #[test]
    fn quartiles_of_leads_and_pages_a_week() {
        let courses: Vec<_> = [1.0, 2.0, 4.0, 6.0]
            .iter()
            .map(|lead| course(&[(20.0 - lead, 0.9)], &[20.0, 50.0]))
            .collect();
        let found = replay(&courses, p(0.8), rules());
        let quartiles = Quartiles {
            low: 1.75,
            median: 3.0,
            high: 4.5,
        };
        assert_eq!(found.lead_days, Some(quartiles));
        assert_eq!((found.pages, found.pages_per_week), (4, 1.0));
        assert_eq!(
            (found.relapses, found.caught),
            (4, 4),
            "day 50 is after the window"
        );
    }

    #[test]
    fn a_lower_threshold_is_told_by_pages_and_by_relapses_caught_and_caught_earlier() {
        let courses = [
            course(&[(15.0, 0.6), (17.0, 0.9)], &[20.0]),
            course(&[(25.0, 0.6)], &[30.0]),
            course(&[(12.0, 0.6)], &[]),
        ];
        let found = compare(&courses, p(0.8), p(0.5), rules());
        assert_eq!((found.today.pages, found.candidate.pages), (1, 3));
        assert_eq!(found.more_pages_per_week, 0.5);
        assert_eq!((found.newly_caught, found.no_longer_caught), (1, 0));
        let moved = Moved {
            relapses: 1,
            median_days: 2.0,
        };
        assert_eq!((found.earlier, found.later), (Some(moved), None));
        let back = compare(&courses, p(0.5), p(0.8), rules());
        assert_eq!((back.newly_caught, back.no_longer_caught), (0, 1));
        assert_eq!((back.earlier, back.later), (None, Some(moved)));
        assert_eq!(back.more_pages_per_week, -0.5);
    }

    proptest! {
        #[test]
        fn a_lower_threshold_misses_nothing_that_a_higher_one_catches_and_catches_nothing_later(
            readings in prop::collection::vec((0_i16..50, 0_i16..=10), 0..40),
            relapses in prop::collection::vec(0_i16..50, 0..6),
            low in 1_i16..=10,
            more in 0_i16..=9,
        ) {
            let tenth = |tenths: i16| f64::from(tenths) / 10.0;
            let readings: Vec<_> = readings.iter().map(|(at, score)| (f64::from(*at), tenth(*score))).collect();
            let relapses: Vec<_> = relapses.into_iter().map(f64::from).collect();
            let (low, high) = (p(tenth(low)), p(tenth((low + more).min(10))));
            let found = compare(&[course(&readings, &relapses)], high, low, rules());
            prop_assert_eq!((found.no_longer_caught, found.later), (0, None));
            prop_assert_eq!(found.candidate.caught, found.today.caught + found.newly_caught);
            prop_assert!(found.candidate.caught <= found.candidate.foreseeable);
            prop_assert!(found.candidate.foreseeable <= found.candidate.relapses);
        }
    }

    #[test]
    fn nothing_at_all_is_no_page_and_no_lead() {
        let found = replay(&[], p(0.8), rules());
        assert_eq!(
            (found.pages, found.pages_per_week, found.lead_days),
            (0, 0.0, None)
        );
        assert_eq!(Window::new(day(1.0), day(1.0)), None);
    }
}
