//! Sign-ins: how long their tokens last, and what a refresh token is worth.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::token::PERSON_SECONDS;
use crate::domain::user::Kind;

/// How long a client may stay away and still be signed in, in days: every exchange begins them anew. To be shut out of
/// the app for want of a password is what somebody in a crisis needs least.
const CLIENT_REFRESH_DAYS: i64 = 30;
/// How long a member of staff stays signed in, in hours, whatever they do: a shift, on a desk that others may sit at.
const STAFF_SIGN_IN_HOURS: i64 = 12;

/// When the tokens of an exchange end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) access: DateTime<Utc>,
    pub(crate) refresh: DateTime<Utc>,
}

/// When the tokens that are made now end; `parent` is the end of the refresh token they are made for, if there is one.
pub(crate) fn ends(kind: Kind, parent: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Ends {
    let refresh = match (kind, parent) {
        (Kind::Client, _) => now + TimeDelta::days(CLIENT_REFRESH_DAYS),
        (Kind::Staff, None) => now + TimeDelta::hours(STAFF_SIGN_IN_HOURS),
        (Kind::Staff, Some(parent)) => parent,
    };
    let access = now + TimeDelta::seconds(i64::from(PERSON_SECONDS));
    Ends {
        access: access.min(refresh),
        refresh,
    }
}

/// What is stored of a refresh token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) is_used: bool,
    pub(crate) is_revoked: bool,
    /// Whether its person may sign in at all.
    pub(crate) is_active: bool,
}

/// What becomes of a refresh token that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is exchanged.
    Good,
    /// It is refused, and that is all.
    Refused,
    /// It was exchanged before: either this holder or the one before has stolen it, so both lose the sign-in.
    Replayed,
}

impl Standing {
    pub(crate) fn verdict(&self, now: DateTime<Utc>) -> Verdict {
        if self.is_revoked {
            Verdict::Refused
        } else if self.is_used {
            Verdict::Replayed
        } else if self.is_active && self.expires_at > now {
            Verdict::Good
        } else {
            Verdict::Refused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    #[test]
    fn a_client_stays_as_long_as_they_come_back() {
        let first = ends(Kind::Client, None, at(0));
        assert_eq!(first.refresh, at(30 * 24));
        assert_eq!(first.access, at(0) + TimeDelta::minutes(15));
        assert_eq!(ends(Kind::Client, Some(at(1)), at(0)).refresh, at(30 * 24));
    }

    #[test]
    fn staff_are_signed_out_after_twelve_hours_whatever_they_do() {
        let first = ends(Kind::Staff, None, at(0));
        assert_eq!(first.refresh, at(12));
        let last = ends(Kind::Staff, Some(first.refresh), at(12) - TimeDelta::minutes(5));
        assert_eq!((last.refresh, last.access), (at(12), at(12)));
    }

    #[test]
    fn a_refresh_token_is_good_once_while_it_and_its_person_last() {
        let good = Standing {
            expires_at: at(1),
            is_used: false,
            is_revoked: false,
            is_active: true,
        };
        assert_eq!(good.verdict(at(0)), Verdict::Good);
        assert_eq!(good.verdict(at(1)), Verdict::Refused);
        let suspended = Standing {
            is_active: false,
            ..good
        };
        assert_eq!(suspended.verdict(at(0)), Verdict::Refused);
        let used = Standing {
            is_used: true,
            ..good
        };
        assert_eq!(used.verdict(at(0)), Verdict::Replayed);
        assert_eq!(used.verdict(at(2)), Verdict::Replayed);
        let ended = Standing {
            is_revoked: true,
            ..used
        };
        assert_eq!(ended.verdict(at(0)), Verdict::Refused);
    }
}
