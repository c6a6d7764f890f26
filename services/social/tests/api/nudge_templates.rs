//! What nudges say: texts by kind and language, kept by the programme.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{Harness, scores};

fn text(nudge_type: &str, locale: &str, message: &str) -> Value {
    json!({"nudge_type": nudge_type, "locale": locale, "message": message})
}

impl Harness {
    /// Keeps a text; returns where it is.
    async fn keep(&self, text: &Value) -> String {
        let kept = self.call("supervisor").post("/v1/nudge-templates", text).await;
        assert_eq!(kept.code(), 201, "{}", kept.json);
        format!("/v1/nudge-templates/{}", kept.at("/template_id"))
    }

    /// Where the text that came with the software is.
    async fn place_of(&self, nudge_type: &str, locale: &str) -> String {
        let sql = format!(
            "select template_id from social.nudge_templates where nudge_type = '{nudge_type}' and locale = '{locale}'"
        );
        format!("/v1/nudge-templates/{}", self.database.count(&sql).await)
    }

    /// The text of the newest nudge.
    async fn newest_message(&self) -> String {
        let nudges = self.call("counselor").get("/v1/users/client-a/nudges").await;
        nudges.at("/items/0/nudge_message").as_str().unwrap().to_owned()
    }
}

/// What a moderate risk first says to a client of this locale and name.
async fn said_to(locale: &str, name: &str) -> String {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.keep(&text("buddy_connection", "de-AT", "Servus {name}, ruf an!"))
        .await;
    let sql =
        format!("update core.users set locale = {locale}, display_name = {name} where user_id = 'client-a'");
    h.database.superuser().await.run(&sql).await;
    h.writes("client-a", &scores(0.4, 0.1)).await;
    h.newest_message().await
}

#[tokio::test]
async fn a_client_reads_the_text_of_the_closest_language_in_which_all_is_known() {
    let german = "Dein Buddy würde sich freuen, von dir zu hören. Eine kurze Nachricht genügt.";
    let english = "Your buddy would be glad to hear from you. A short message is enough.";
    for (locale, name, expected) in [
        ("'de-AT'", "'Resi'", "Servus Resi, ruf an!"),
        ("'de-AT'", "null", german),
        ("'de-CH'", "'Resi'", german),
        ("'fr'", "'Resi'", english),
        ("null", "null", english),
    ] {
        assert_eq!(said_to(locale, name).await, expected, "{locale} {name}");
    }
}

#[tokio::test]
async fn a_text_names_the_first_crisis_line_of_the_region() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let anew = text("crisis_resources", "de", "Ruf an: {crisis_line}");
    let place = h.place_of("crisis_resources", "de").await;
    assert_eq!(h.call("supervisor").put(&place, &anew).await.code(), 200);
    let sql = "update core.users set locale = 'de-AT' where user_id = 'client-a';
        insert into social.crisis_resources (region, name, phone, hours, position)
        values ('CH', 'Line', '143', 'always', 0), ('AT', 'Second', '147', 'always', 2), ('AT', 'First', '142', 'always', 1)";
    h.database.superuser().await.run(sql).await;
    h.writes("client-a", &scores(0.9, 0.1)).await;
    assert_eq!(h.newest_message().await, "Ruf an: 142");
}

#[tokio::test]
async fn supervisors_and_admins_keep_texts_and_counselors_read_them() {
    let h = Harness::new().await;
    let place = h.keep(&text("check_in", "en", "How are you, {name}?")).await;
    let anew = json!({"nudge_type": "check_in", "locale": "en", "message": "And you?", "active": false});
    let written = h.call("admin").put(&place, &anew).await;
    assert_eq!((written.code(), written.at("/active")), (200, &json!(false)));
    let read = h.call("counselor").get(&place).await;
    assert_eq!((read.code(), read.at("/message")), (200, &json!("And you?")));
    let refused = h.call("counselor").put(&place, &anew).await;
    assert_eq!(refused.code(), 403);
    let list = h.call("counselor").get("/v1/nudge-templates?limit=200").await;
    assert_eq!(list.items().last(), Some(&read.json));
    assert_eq!(h.call("supervisor").delete(&place).await.code(), 204);
    assert_eq!(h.call("supervisor").delete(&place).await.code(), 404);
    assert_eq!(h.call("counselor").get(&place).await.code(), 404);
}

#[tokio::test]
async fn a_text_of_other_placeholders_or_another_active_one_is_refused() {
    let h = Harness::new().await;
    let supervisor = h.call("supervisor");
    let wrong = json!({"nudge_type": "Check In", "locale": "en_US", "message": "Hi {diagnosis}"});
    let refused = supervisor.post("/v1/nudge-templates", &wrong).await;
    let faults = refused.at("/errors").as_array().unwrap();
    let pointers: Vec<&str> = faults.iter().map(|f| f["pointer"].as_str().unwrap()).collect();
    assert_eq!(refused.code(), 422);
    assert_eq!(pointers, ["/nudge_type", "/locale", "/message"]);
    let second = text("wellness_check", "EN", "Well?");
    let refused = supervisor.post("/v1/nudge-templates", &second).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (409, &json!("/problems/taken"))
    );
    let inactive =
        json!({"nudge_type": "wellness_check", "locale": "EN", "message": "Well?", "active": false});
    assert_eq!(
        supervisor.post("/v1/nudge-templates", &inactive).await.code(),
        201
    );
}

#[tokio::test]
async fn where_help_is_can_always_be_said_to_everybody() {
    let h = Harness::new().await;
    let place = h.place_of("crisis_resources", "en").await;
    let supervisor = h.call("supervisor");
    let good = text("crisis_resources", "en", "Help is here.");
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for body in [
        with("active", json!(false)),
        with("locale", json!("de-AT")),
        with("nudge_type", json!("check_in")),
        with("message", json!("Call {crisis_line}")),
    ] {
        let refused = supervisor.put(&place, &body).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (409, &json!("/problems/wrong-state")),
            "{body}"
        );
    }
    assert_eq!(supervisor.delete(&place).await.code(), 409);
    assert_eq!(supervisor.put(&place, &good).await.code(), 200);
}

#[tokio::test]
async fn a_kind_without_a_text_is_no_arm_to_draw_and_the_record_says_so() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.call("admin")
        .delete(&h.place_of("coping_exercise", "en").await)
        .await;
    h.writes("client-a", &scores(0.4, 0.1)).await;
    h.clock.advance(TimeDelta::hours(23));
    let later = h.writes("client-a", &scores(0.4, 0.1)).await;
    assert_eq!(later.at("/actions/0/chosen"), &json!("counselor_encouragement"));
    let rows = h
        .database
        .query("select eligible, arms, probability, seed from social.actions order by action_id desc limit 1")
        .await;
    assert_eq!(
        rows[0].get::<_, Value>("arms"),
        json!([
            {"arm": "counselor_encouragement", "eligible": true},
            {"arm": "coping_exercise", "eligible": false, "reason": "no_template"},
        ])
    );
    assert_eq!(
        rows[0].get::<_, Value>("eligible"),
        json!(["counselor_encouragement"])
    );
    assert_eq!(rows[0].get::<_, Option<f64>>("probability"), None);
    assert_eq!(rows[0].get::<_, Option<i64>>("seed"), None);
}

#[tokio::test]
async fn a_counselor_sends_a_text_that_is_kept_or_must_write_one() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    let counselor = h.call("counselor");
    let none = json!({"nudge_type": "check_in"});
    let refused = counselor.post("/v1/users/client-a/nudges", &none).await;
    assert_eq!(
        (refused.code(), refused.at("/errors/0/pointer")),
        (422, &json!("/nudge_message"))
    );
    h.keep(&text("check_in", "en", "How did it go?")).await;
    let made = counselor.post("/v1/users/client-a/nudges", &none).await;
    assert_eq!(
        (made.code(), made.at("/nudge_message")),
        (201, &json!("How did it go?"))
    );
    let data = "select action_data from social.actions where source = 'staff'";
    let data: Value = h.database.query(data).await[0].get("action_data");
    assert!(data["template_id"].is_i64(), "{data}");
}
