//! Telling somebody who watches what has happened: on record first, as every read of people's data is.

use web::Problem;

use crate::domain::stream::{self, Happened, Place, Snapshot, Watcher};
use web::Caller;

/// Events that are told at once. Who has more to catch up with asks for the lists again.
pub(crate) const MAX_EVENTS: usize = 1_000;

/// What is sent of what has happened; `None` where nothing of it is for this watcher. What `seen` sees was told before.
///
/// # Errors
/// 503 when it cannot be put on record: nothing may be sent then.
pub(crate) async fn text(
    (caller, watcher): (&Caller, Watcher),
    happened: &[Happened],
    seen: &Snapshot,
    place: &Place,
) -> Result<Option<String>, Problem> {
    if happened.len() > MAX_EVENTS {
        return Ok(Some(stream::reset(place)));
    }
    let (mut shown, mut clients) = (Vec::new(), Vec::new());
    for one in happened.iter().filter(|one| !seen.sees(one.xid)) {
        if let Some(text) = watcher.shown(one) {
            shown.push(text);
            clients.extend(one.client().map(str::to_owned));
        }
    }
    if shown.is_empty() {
        return Ok(None);
    }
    caller.on_record(clients).await?;
    Ok(Some(stream::events(&shown, place)))
}
