//! Clients of whom nobody has heard when somebody should have.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Harness, noon, scores};

impl Harness {
    /// Clients whose silence was told now.
    async fn told_of_silence(&self) -> u64 {
        self.app.round("silence").await.unwrap()
    }

    /// A client of the counselor whose crisis was resolved without having reached them: the next contact is due in a day.
    async fn promised() -> Self {
        let mut h = Self::new().await;
        h.client("client-a", &["counselor"]).await;
        let crisis = h.writes("client-a", &scores(0.9, 0.1)).await;
        h.unreached(crisis.at("/escalation_id")).await;
        h
    }

    /// Resolves an episode without having reached the client: the next contact is due in a day.
    async fn unreached(&self, escalation_id: &Value) {
        let due = self.clock.fixed().unwrap() + TimeDelta::days(1);
        let outcome = json!({"outcome": "unreachable", "next_contact_at": due});
        let path = format!("/v1/escalations/{escalation_id}/resolve");
        let resolved = self.call("counselor").post(&path, &outcome).await;
        assert_eq!(resolved.code(), 200, "{}", resolved.json);
    }

    /// Episodes of silence, oldest first.
    async fn silences(&self) -> Vec<Value> {
        let listed = self.call("counselor").get("/v1/escalations").await;
        let mut found = listed.items();
        found.retain(|episode| episode["escalation_type"] == "silence");
        found.reverse();
        found
    }

    async fn contacted(&self, outcome: &str) {
        let contact = json!({"method": "call", "outcome": outcome});
        let path = "/v1/users/client-a/contacts";
        let made = self.call("counselor").post(path, &contact).await;
        assert_eq!(made.code(), 201, "{}", made.json);
    }

    /// A meeting with client-a at noon of the next day.
    async fn meeting(&self, status: &str, completed_at: &str) {
        self.database
            .superuser()
            .await
            .run(&format!(
                // As it stands by then, however it came there.
                "set session_replication_role = replica;
                 insert into social.meetings (user_id, created_at, meeting_type, status, scheduled_time, ends_at, completed_at,
                    user_consent)
                 select 'client-a', m.at, 'check_in', '{status}', m.at + interval '1 day',
                    m.at + interval '1 day 30 minutes', {completed_at}, true
                 from (values (timestamptz '{}')) as m (at)",
                noon().to_rfc3339()
            ))
            .await;
    }
}

#[tokio::test]
async fn a_contact_that_was_promised_and_missed_reaches_staff_once() {
    let h = Harness::promised().await;
    h.clock.advance(TimeDelta::hours(35));
    assert_eq!(
        h.told_of_silence().await,
        0,
        "eleven hours late is not missed yet"
    );
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(h.told_of_silence().await, 1);
    let silences = h.silences().await;
    assert_eq!(silences.len(), 1);
    assert_eq!(
        (&silences[0]["urgency"], &silences[0]["status"]),
        (&json!("high"), &json!("notified"))
    );
    assert_eq!(
        silences[0]["trigger_data"][0]["expected_at"],
        json!("2026-06-16T12:00:00Z")
    );
    assert!(silences[0]["trigger_data"][0]["escalation_id"].is_i64());
    let told = format!(
        "select count(*) from social.notification_deliveries where escalation_id = {} and staff_id = 'staff-counselor'",
        silences[0]["escalation_id"]
    );
    assert_eq!(h.database.count(&told).await, 1);
    h.clock.advance(TimeDelta::days(2));
    assert_eq!(h.told_of_silence().await, 0, "told once");
    assert_eq!(h.silences().await[0]["trigger_count"], 1);
}

#[tokio::test]
async fn only_who_was_reached_is_not_silent() {
    for (outcome, told) in [
        ("left_message", 1),
        ("unreachable", 1),
        ("spoke", 0),
        ("emergency_services", 0),
        ("false_alarm", 0),
    ] {
        let h = Harness::promised().await;
        h.clock.advance(TimeDelta::hours(30));
        h.contacted(outcome).await;
        h.clock.advance(TimeDelta::hours(12));
        assert_eq!(h.told_of_silence().await, told, "{outcome}");
    }
}

#[tokio::test]
async fn who_was_reached_before_the_promise_was_made_is_expected_again() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let crisis = h.writes("client-a", &scores(0.9, 0.1)).await;
    h.contacted("spoke").await;
    h.clock.advance(TimeDelta::minutes(1));
    h.unreached(crisis.at("/escalation_id")).await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 1);
}

#[tokio::test]
async fn a_meeting_that_nobody_held_is_missed_and_one_that_was_held_or_called_off_is_not() {
    for (status, completed_at, told) in [
        ("scheduled", "null", 1),
        ("confirmed", "null", 1),
        ("completed", "m.at + interval '1 day'", 0),
        ("cancelled", "null", 0),
        ("proposed", "null", 0),
    ] {
        let mut h = Harness::new().await;
        h.client("client-a", &["counselor"]).await;
        h.meeting(status, completed_at).await;
        h.clock.advance(TimeDelta::hours(35));
        assert_eq!(h.told_of_silence().await, 0, "{status}");
        h.clock.advance(TimeDelta::hours(1));
        assert_eq!(h.told_of_silence().await, told, "{status}");
    }
}

#[tokio::test]
async fn a_meeting_that_was_held_keeps_the_promise() {
    let h = Harness::promised().await;
    h.meeting("completed", "m.at + interval '1 day'").await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 0);
}

#[tokio::test]
async fn a_follow_up_that_was_moved_is_expected_at_its_new_time() {
    let h = Harness::promised().await;
    h.database
        .superuser()
        .await
        .run(
            "update social.meetings set status = 'scheduled', scheduled_time = scheduled_time + interval '2 days',
                ends_at = ends_at + interval '2 days'
             where meeting_type = 'follow_up'",
        )
        .await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 0);
    h.clock.advance(TimeDelta::days(2));
    assert_eq!(h.told_of_silence().await, 1);
    let told = &h.silences().await[0]["trigger_data"][0]["expected_at"];
    assert_eq!(told, &json!("2026-06-18T12:00:00Z"));
}

#[tokio::test]
async fn another_meeting_ahead_hides_no_promise() {
    let h = Harness::promised().await;
    h.meeting("scheduled", "null").await;
    h.database
        .superuser()
        .await
        .run(
            "update social.meetings set scheduled_time = scheduled_time + interval '20 days',
                ends_at = ends_at + interval '20 days'
             where meeting_type = 'check_in'",
        )
        .await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 1);
}

#[tokio::test]
async fn silence_that_lasts_is_told_anew_for_every_promise() {
    let h = Harness::promised().await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 1);
    h.unreached(&h.silences().await[0]["escalation_id"]).await;
    h.clock.advance(TimeDelta::hours(35));
    assert_eq!(h.told_of_silence().await, 0);
    h.clock.advance(TimeDelta::hours(1));
    assert_eq!(h.told_of_silence().await, 1);
    let counts: Vec<Value> = h
        .silences()
        .await
        .iter()
        .map(|episode| episode["trigger_count"].clone())
        .collect();
    assert_eq!(counts, [1, 1], "another episode, since the first was resolved");
}

#[tokio::test]
async fn a_second_contact_that_is_missed_meanwhile_joins_the_open_episode_once() {
    let h = Harness::promised().await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 1);
    h.meeting("scheduled", "null").await;
    h.database
        .superuser()
        .await
        .run(
            "update social.meetings set scheduled_time = scheduled_time + interval '1 day',
                ends_at = ends_at + interval '1 day'
             where meeting_type = 'check_in'",
        )
        .await;
    h.clock.advance(TimeDelta::days(1));
    assert_eq!((h.told_of_silence().await, h.told_of_silence().await), (1, 0));
    let silences = h.silences().await;
    assert_eq!((silences.len(), &silences[0]["trigger_count"]), (1, &json!(2)));
}

#[tokio::test]
async fn of_two_that_look_at_once_one_tells() {
    let h = Harness::promised().await;
    h.clock.advance(TimeDelta::hours(36));
    let told = tokio::join!(h.told_of_silence(), h.told_of_silence(), h.told_of_silence());
    assert_eq!(told.0 + told.1 + told.2, 1);
    assert_eq!(h.silences().await[0]["trigger_count"], 1);
}

#[tokio::test]
async fn what_was_missed_a_month_ago_pages_nobody_today() {
    let h = Harness::promised().await;
    h.clock.advance(TimeDelta::days(32));
    assert_eq!(h.told_of_silence().await, 0);
}

#[tokio::test]
async fn a_client_without_a_profile_is_not_forgotten() {
    let h = Harness::promised().await;
    h.database
        .superuser()
        .await
        .run("delete from social.user_risk_profiles where user_id = 'client-a'")
        .await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 1);
}

#[tokio::test]
async fn a_follow_up_of_a_meeting_to_which_the_client_did_not_come_is_expected_though_nobody_confirmed_it() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.meeting("proposed", "null").await;
    let follow_up =
        "set session_replication_role = replica; update social.meetings set follow_up_of = meeting_id";
    h.database.superuser().await.run(follow_up).await;
    h.clock.advance(TimeDelta::hours(36));
    assert_eq!(h.told_of_silence().await, 1);
}
