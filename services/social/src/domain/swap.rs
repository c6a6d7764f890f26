//! Staff offer their own duty to colleagues: who may take, decline and withdraw an offer, and what taking it comes to.

use chrono::{DateTime, Utc};

use crate::domain::duty::StandIn;
use crate::domain::rotation::Duty;

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    Taken,
    Declined,
    Withdrawn,
}

impl Status {
    const ALL: [Self; 4] = [Self::Open, Self::Taken, Self::Declined, Self::Withdrawn];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Taken => "taken",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The status of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// An offer.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// The duty, and whose it is.
    pub(crate) duty: Duty,
    /// Who alone may take it; `None`: whoever is on call.
    pub(crate) offered_to: Option<String>,
    pub(crate) status: Status,
}

/// Why an offer is not made, taken, declined or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is open no more.
    Is(Status),
    /// Its time has begun.
    Begun,
    /// Who offers it is not on duty for the whole of it.
    NotTheirs,
    /// Who would take it is on duty then anyway: one person less would be.
    OnDuty,
    /// Nobody takes the own duty over.
    Own,
    /// It is offered to somebody else.
    ForAnother,
    /// Somebody else made it.
    OfAnother,
}

impl Offer {
    /// Whether who offers it is on duty for the whole of it, by the duties of its schedule.
    pub(crate) fn must_be_theirs(&self, duties: &[Duty]) -> Result<(), Refusal> {
        let Duty {
            staff_id,
            starts_at,
            ends_at,
        } = &self.duty;
        duties
            .iter()
            .any(|duty| {
                duty.staff_id == *staff_id && duty.starts_at <= *starts_at && duty.ends_at >= *ends_at
            })
            .then_some(())
            .ok_or(Refusal::NotTheirs)
    }

    /// How somebody stands in who takes it now.
    pub(crate) fn take(&self, taker: &str, duties: &[Duty], now: DateTime<Utc>) -> Result<StandIn, Refusal> {
        if self.duty.staff_id == taker {
            return Err(Refusal::Own);
        }
        if self.offered_to.as_deref().is_some_and(|one| one != taker) {
            return Err(Refusal::ForAnother);
        }
        self.must_be_open()?;
        if self.duty.starts_at <= now {
            return Err(Refusal::Begun);
        }
        self.must_be_theirs(duties)?;
        let is_busy = |duty: &Duty| {
            duty.staff_id == taker && duty.starts_at < self.duty.ends_at && duty.ends_at > self.duty.starts_at
        };
        if duties.iter().any(is_busy) {
            return Err(Refusal::OnDuty);
        }
        Ok(StandIn {
            duty: Duty {
                staff_id: taker.to_owned(),
                ..self.duty.clone()
            },
            replaces: Some(self.duty.staff_id.clone()),
        })
    }

    /// Whether somebody may decline it: it was offered to them and to nobody else.
    pub(crate) fn decline(&self, by: &str) -> Result<(), Refusal> {
        if self.offered_to.as_deref() != Some(by) {
            return Err(Refusal::ForAnother);
        }
        self.must_be_open()
    }

    /// Whether somebody may take it back.
    pub(crate) fn withdraw(&self, by: &str, is_supervisor: bool) -> Result<(), Refusal> {
        if self.duty.staff_id != by && !is_supervisor {
            return Err(Refusal::OfAnother);
        }
        self.must_be_open()
    }

    fn must_be_open(&self) -> Result<(), Refusal> {
        match self.status {
            Status::Open => Ok(()),
            Status::Taken | Status::Declined | Status::Withdrawn => Err(Refusal::Is(self.status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn duty(staff_id: &str, from: i64, until: i64) -> Duty {
        let at = |hour| DateTime::<Utc>::default() + TimeDelta::hours(hour);
        Duty {
            staff_id: staff_id.to_owned(),
            starts_at: at(from),
            ends_at: at(until),
        }
    }

    fn offer(offered_to: Option<&str>) -> Offer {
        Offer {
            duty: duty("a", 4, 8),
            offered_to: offered_to.map(str::to_owned),
            status: Status::Open,
        }
    }

    #[test]
    fn who_takes_an_offer_stands_in_for_who_made_it_and_for_that_time() {
        let taken = offer(None).take("b", &[duty("a", 0, 12)], DateTime::default());
        let expected = StandIn {
            duty: duty("b", 4, 8),
            replaces: Some("a".to_owned()),
        };
        assert_eq!(taken, Ok(expected));
    }

    #[test]
    fn an_offer_is_taken_by_whom_it_is_for_while_it_is_theirs_who_made_it() {
        let now = DateTime::default();
        let whole = [duty("a", 0, 12)];
        let parts = [duty("a", 0, 6), duty("c", 6, 7), duty("a", 7, 12)];
        let closed = Offer {
            status: Status::Declined,
            ..offer(None)
        };
        let busy = [duty("a", 0, 12), duty("b", 7, 20)];
        let next = [duty("a", 0, 12), duty("b", 8, 20)];
        for (offer, taker, duties, now, refusal) in [
            (offer(None), "a", &whole[..], now, Some(Refusal::Own)),
            (offer(Some("c")), "b", &whole, now, Some(Refusal::ForAnother)),
            (offer(Some("b")), "b", &whole, now, None),
            (closed, "b", &whole, now, Some(Refusal::Is(Status::Declined))),
            (
                offer(None),
                "b",
                &whole,
                now + TimeDelta::hours(4),
                Some(Refusal::Begun),
            ),
            (offer(None), "b", &parts, now, Some(Refusal::NotTheirs)),
            (offer(None), "b", &[], now, Some(Refusal::NotTheirs)),
            (offer(None), "b", &busy, now, Some(Refusal::OnDuty)),
            (offer(None), "b", &next, now, None),
        ] {
            assert_eq!(
                offer.take(taker, duties, now).err(),
                refusal,
                "{offer:?} {taker} {duties:?}"
            );
        }
    }
}
