//! Every version that is listened to is measured for each day that is over, and once more when all labels of the window are
//! settled: until then those of who relapsed are known and those of who did not are not.

use chrono::{Days, Utc};

use crate::error::Error;
use crate::ops::measure::{Subject, measure, window};
use crate::state::State;
use crate::store::model_metrics;

/// The windows that are measured, days.
pub(crate) const WINDOWS: [i16; 3] = [7, 30, 90];

/// Measures one version over one window; returns how many there were.
pub(crate) async fn round(state: &State) -> Result<u64, Error> {
    let now = state.clock.fixed();
    let yesterday = now.unwrap_or_else(Utc::now).date_naive() - Days::new(1);
    let tx = state.db.begin_worker().await?;
    let Some((version, days, last)) = model_metrics::due(&tx, &WINDOWS, yesterday, now).await? else {
        tx.rollback().await?;
        return Ok(0);
    };
    let subject = Subject::from(version);
    let window = window(days.unsigned_abs(), last);
    let found = measure(&tx, &state.counted, &subject, window).await?;
    model_metrics::keep(&tx, &subject.id, &found, now).await?;
    tx.commit().await?;
    Ok(1)
}
