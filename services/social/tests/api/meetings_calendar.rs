//! The calendar of a counselor's meetings: behind a secret link, and read by an ordinary calendar program.

use serde_json::json;

use crate::harness::Harness;
use crate::oncall_calendar::read;

/// Of one counselor a meeting that is confirmed, one that is not, and one that was called off; and one of another.
const PLANTED: &str = "
    insert into core.consents (user_id, purpose) values ('client-a', 'meeting');
    insert into social.meetings (user_id, meeting_type, scheduled_time, ends_at, counselor_id, user_consent, status, notes)
    select 'client-a', 'session', at, at + interval '30 minutes', staff, true, 'scheduled', 'about client-a'
    from (values (timestamptz '2026-06-15T13:00:00Z', 'staff-counselor'), ('2026-06-16T13:00:00Z', 'staff-counselor'),
        ('2026-06-17T13:00:00Z', 'staff-counselor'), ('2026-06-18T13:00:00Z', 'staff-counselor_other'),
        ('2026-12-01T13:00:00Z', 'staff-counselor')) as m (at, staff);
    update social.meetings set status = 'confirmed' where scheduled_time = '2026-06-16T13:00:00Z';
    update social.meetings set status = 'cancelled' where scheduled_time = '2026-06-17T13:00:00Z'";

async fn link(h: &Harness) -> String {
    let made = h
        .call("counselor")
        .post("/v1/meetings/calendar-link", &json!({}))
        .await;
    assert_eq!(made.code(), 200, "{}", made.json);
    made.at("/path").as_str().unwrap().to_owned()
}

async fn harness() -> Harness {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor", "counselor_other"]).await;
    h.database.superuser().await.run(PLANTED).await;
    h
}

#[tokio::test]
async fn a_counselor_reads_the_own_meetings_in_an_ordinary_calendar_program() {
    let h = harness().await;
    let link = link(&h).await;
    assert_eq!(
        read(&h, &link).await,
        [
            "Meetings",
            "2026-06-15T13:00:00Z | 2026-06-15T13:30:00Z | Meeting",
            "2026-06-16T13:00:00Z | 2026-06-16T13:30:00Z | Meeting",
        ]
    );
    let feed = h.stranger().get(&link).await;
    let feed = String::from_utf8_lossy(&feed.bytes).into_owned();
    assert_eq!(feed.matches("STATUS:TENTATIVE").count(), 1, "{feed}");
    assert_eq!(feed.matches("STATUS:CONFIRMED").count(), 1, "{feed}");
    assert!(!feed.contains("client-a") && !feed.contains("staff-"), "{feed}");
}

#[tokio::test]
async fn a_link_shows_nothing_once_it_is_renewed_or_ended_or_its_counselor_is_none_any_more() {
    let h = harness().await;
    let (first, second) = (link(&h).await, link(&h).await);
    let stranger = h.stranger();
    assert_eq!(stranger.get(&first).await.code(), 404);
    assert_eq!(stranger.get(&second).await.code(), 200);
    let counselor = h.call("counselor");
    assert_eq!(counselor.delete("/v1/meetings/calendar-link").await.code(), 204);
    assert_eq!(stranger.get(&second).await.code(), 404);
    let third = link(&h).await;
    for (change, expected) in [
        (
            "delete from core.staff_roles where user_id = 'staff-counselor'",
            404,
        ),
        (
            "insert into core.staff_roles (user_id, role) values ('staff-counselor', 'counselor')",
            200,
        ),
        (
            "update core.users set status = 'suspended' where user_id = 'staff-counselor'",
            404,
        ),
    ] {
        h.database.superuser().await.run(change).await;
        assert_eq!(stranger.get(&third).await.code(), expected, "{change}");
    }
}

#[tokio::test]
async fn the_secret_is_stored_nowhere_and_who_guesses_is_asked_to_wait() {
    let h = harness().await;
    let link = link(&h).await;
    let secret = link.rsplit('=').next().unwrap();
    for table in [
        "social.meeting_calendars",
        "social.idempotency_keys",
        "core.audit_events",
    ] {
        let sql = format!("select count(*) from {table} t where t::text like '%{secret}%'");
        assert_eq!(h.database.count(&sql).await, 0, "{table}");
    }
    let mut codes = Vec::new();
    for guess in 0..11 {
        let path = format!("/v1/meetings/calendar.ics?secret=guess-{guess}");
        codes.push(h.stranger().get(&path).await.code());
    }
    assert_eq!((codes[9], codes[10]), (404, 429));
}
