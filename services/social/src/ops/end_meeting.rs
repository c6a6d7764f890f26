//! How a meeting went, and what follows where the client did not come.

use bus::NewEvent;
use chrono::{DateTime, Utc};
use common::MeetingStatus;
use db::Tx;

use super::raise::raise;
use crate::domain::meeting::{Slot, missed};
use crate::error::Error;
use crate::store::caseload;
use crate::store::meetings::{self, Insert, Meeting};

/// How a meeting went, as a counselor says it.
pub(crate) struct Ending {
    pub(crate) came: bool,
    pub(crate) notes: Option<String>,
    /// When the next one is proposed for, where the client did not come.
    pub(crate) next_contact_at: Option<DateTime<Utc>>,
}

/// Ends a locked meeting that was confirmed and has begun; what the others must be told besides.
pub(crate) async fn end(
    tx: &Tx,
    meeting: &Meeting,
    ending: &Ending,
    staff_id: &str,
    now: DateTime<Utc>,
) -> Result<(Meeting, Vec<NewEvent>), Error> {
    let notes = ending.notes.as_deref();
    if ending.came {
        let completed = meetings::complete(tx, meeting.meeting_id, (staff_id, notes), now).await?;
        return Ok((completed, Vec::new()));
    }
    let ended = meetings::miss(tx, meeting.meeting_id, notes).await?;
    let follow_up = Insert {
        user_id: &ended.user_id,
        meeting_type: "follow_up",
        counselor_id: ended.standing.counselor_id.as_deref(),
        slot: ending.next_contact_at.map(|starts_at| Slot {
            starts_at,
            minutes: ended.duration_minutes,
        }),
        status: MeetingStatus::Proposed,
        is_agreed: false,
        notes: None,
        follow_up_of: Some(ended.meeting_id),
    };
    meetings::insert(tx, &follow_up, Some(now)).await?;
    let profile = tx
        .query_opt(&caseload::find_sql(), &[&ended.user_id])
        .await?
        .ok_or(Error::NotFound)?;
    let label = caseload::profile_from_row(&profile)?.current_risk_label;
    let Some(trigger) = missed(&ended.user_id, ended.meeting_id, label) else {
        return Ok((ended, Vec::new()));
    };
    let raised = raise(tx, &[trigger], Some(now)).await?;
    Ok((ended, raised.events))
}
