//! Staff name how they are reached, and show that they are.

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::{Value, json};
use social_service::{Config, PagingConfig};
use testkit::{Answer, SmtpSink, WebhookSink};

use crate::harness::Harness;
use crate::receiver::verified;

const PATH: &str = "/v1/contact-methods";
const ADDRESS: &str = "somebody@mail.example";

/// How staff are reached in these tests.
pub(crate) fn paging(smtp_url: Option<&str>, insecure_callbacks: bool) -> Config {
    let dashboard = "https://desk.example/queue".parse().unwrap();
    Config {
        paging: Some(PagingConfig::for_testing(dashboard, smtp_url, insecure_callbacks)),
        ..Config::default()
    }
}

impl Harness {
    pub(crate) async fn paging(smtp_url: Option<&str>, insecure_callbacks: bool) -> Self {
        let nowhere = SecretString::from("amqp://127.0.0.1:1/none");
        Self::with_config(nowhere, &paging(smtp_url, insecure_callbacks)).await
    }

    async fn names(&self, who: &str, method: &str, address: &str) -> Answer {
        let body = json!({"method": method, "address": address});
        self.call(who).post(PATH, &body).await
    }

    async fn sends_back(&self, who: &str, method: &Answer, code: &str) -> Answer {
        let path = format!("{PATH}/{}/verify", method.at("/contact_method_id"));
        self.call(who).post(&path, &json!({"code": code})).await
    }

    /// A verified mailbox of this member of staff.
    pub(crate) async fn has_mailbox(&self, sink: &mut SmtpSink, who: &str) {
        let address = format!("{who}@mail.example");
        let named = self.names(who, "email", &address).await;
        assert_eq!(named.code(), 201, "{}", named.json);
        assert_eq!(self.app.round("codes").await.unwrap(), 1);
        let code = code_in(&sink.mail().await.data);
        assert_eq!(self.sends_back(who, &named, &code).await.code(), 200);
    }

    /// A verified webhook of this member of staff; its secret.
    pub(crate) async fn has_webhook(&self, receiver: &mut WebhookSink, who: &str) -> String {
        let named = self.names(who, "webhook", &receiver.url()).await;
        assert_eq!(named.code(), 201, "{}", named.json);
        assert_eq!(self.app.round("codes").await.unwrap(), 1);
        let sent = receiver.request().await.json();
        let code = sent["data"]["code"].as_str().unwrap();
        assert_eq!(self.sends_back(who, &named, code).await.code(), 200);
        named.at("/secret").as_str().unwrap().to_owned()
    }

    async fn methods_of(&self, who: &str) -> Vec<String> {
        let sql = format!("select m as method from social.methods_of('staff-{who}', null) m");
        let rows = self.database.query(&sql).await;
        rows.iter().map(|row| row.get("method")).collect()
    }
}

fn code_in(mail: &str) -> String {
    let (_, rest) = mail.split_once("Your code is ").expect("a code");
    rest.chars().take_while(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn an_address_is_used_once_the_code_that_was_sent_there_came_back() {
    let mut sink = SmtpSink::new().await;
    let h = Harness::paging(Some(&sink.url()), false).await;
    let named = h.names("counselor", "email", ADDRESS).await;
    assert_eq!((named.code(), named.at("/verified_at")), (201, &Value::Null));
    assert_eq!(named.at("/secret"), &Value::Null);
    assert_eq!(h.app.round("codes").await.unwrap(), 1);
    assert_eq!(h.app.round("codes").await.unwrap(), 0);
    let mail = sink.mail().await;
    assert_eq!(mail.to, ADDRESS);
    assert!(!mail.data.to_lowercase().contains("recover"), "{}", mail.data);
    assert_eq!(h.methods_of("counselor").await, ["in_app"]);
    let code = code_in(&mail.data);
    let other = if code == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    assert_eq!(h.sends_back("counselor", &named, other).await.code(), 422);
    // Somebody else has no such method.
    assert_eq!(h.sends_back("oncall", &named, &code).await.code(), 404);
    let verified = h.sends_back("counselor", &named, &code).await;
    assert_eq!(
        (verified.code(), verified.at("/verified_at")),
        (200, &json!("2026-06-15T12:00:00Z"))
    );
    assert_eq!(h.methods_of("counselor").await, ["in_app", "email"]);
    // Used up.
    assert_eq!(h.sends_back("counselor", &named, &code).await.code(), 422);
    assert_eq!(
        h.names("counselor", "email", "other@mail.example").await.code(),
        409
    );
}

#[tokio::test]
async fn a_code_is_good_for_fifteen_minutes_and_five_tries() {
    let mut sink = SmtpSink::new().await;
    let h = Harness::paging(Some(&sink.url()), false).await;
    let named = h.names("counselor", "email", ADDRESS).await;
    h.app.round("codes").await.unwrap();
    let code = code_in(&sink.mail().await.data);
    let other = if code == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    for _ in 0..5 {
        assert_eq!(h.sends_back("counselor", &named, other).await.code(), 422);
    }
    assert_eq!(h.sends_back("counselor", &named, &code).await.code(), 422);
    // A new code, which is too old.
    let named = h.names("counselor", "email", ADDRESS).await;
    h.app.round("codes").await.unwrap();
    let code = code_in(&sink.mail().await.data);
    h.clock.advance(TimeDelta::minutes(15));
    assert_eq!(h.sends_back("counselor", &named, &code).await.code(), 422);
    assert_eq!(h.methods_of("counselor").await, ["in_app"]);
}

#[tokio::test]
async fn a_code_that_is_not_taken_is_sent_three_times_and_its_owner_told_why() {
    let mut sink = SmtpSink::refusing().await;
    let h = Harness::paging(Some(&sink.url()), false).await;
    h.names("counselor", "email", ADDRESS).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        assert_eq!(h.app.round("codes").await.unwrap(), 1);
        assert_eq!(h.app.round("codes").await.unwrap(), 0);
        codes.push(code_in(&sink.mail().await.data));
        h.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(h.app.round("codes").await.unwrap(), 0);
    codes.dedup();
    assert_eq!(codes.len(), 3, "a new one each time");
    let own = h.call("counselor").get(PATH).await;
    assert_eq!(
        own.at("/items/0/code_error"),
        &json!("the mail server refused for now (451)")
    );
}

#[tokio::test]
async fn a_webhook_is_verified_like_a_mailbox_and_its_secret_is_shown_once() {
    let mut receiver = WebhookSink::new().await;
    let h = Harness::paging(None, true).await;
    let named = h.names("oncall", "webhook", &receiver.url()).await;
    let secret = named.at("/secret").as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    h.app.round("codes").await.unwrap();
    let sent = receiver.request().await;
    assert_eq!(verified(&secret, &[&sent]).await, [true]);
    let code = sent.json()["data"]["code"].as_str().unwrap().to_owned();
    let kept = h.sends_back("oncall", &named, &code).await;
    assert_eq!((kept.code(), kept.at("/secret")), (200, &Value::Null));
    assert_eq!(
        h.call("oncall").get(PATH).await.at("/items/0/secret"),
        &Value::Null
    );
    let plain = format!(
        "select count(*) from social.contact_methods c where strpos(encode(c.secret_sealed, 'base64'), '{}') > 0",
        &secret[6..30]
    );
    assert_eq!(h.database.count(&plain).await, 0);
}

#[tokio::test]
async fn a_webhook_to_what_is_inside_is_refused_by_address_and_by_name() {
    let h = Harness::paging(None, false).await;
    for address in [
        "https://127.0.0.1:8443/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]:8443/hook",
        "https://localhost:8443/hook",
        "http://hooks.example/hook",
        "https://somebody:secret@hooks.example/hook",
    ] {
        // Each by somebody whose minute is not over.
        h.database
            .superuser()
            .await
            .run("delete from social.contact_methods")
            .await;
        let mut body = h.names("counselor", "webhook", address).await;
        if body.code() == 429 {
            body = h.names("oncall", "webhook", address).await;
        }
        assert_eq!(
            (body.code(), body.at("/errors/0/pointer")),
            (422, &json!("/address")),
            "{address}"
        );
    }
}

#[tokio::test]
async fn without_a_mail_server_a_mailbox_is_refused_with_what_to_do() {
    let h = Harness::new().await;
    let refused = h.names("counselor", "email", ADDRESS).await;
    assert_eq!(refused.code(), 409);
    assert!(
        refused
            .at("/detail")
            .as_str()
            .unwrap()
            .contains("RECOVERLY_SMTP_URL")
    );
    let refused = h.names("counselor", "webhook", "https://93.184.215.14/").await;
    assert_eq!(refused.code(), 409);
    assert!(
        refused
            .at("/detail")
            .as_str()
            .unwrap()
            .contains("RECOVERLY_CONTACT_KEY")
    );
    let ready = h.call("counselor").get("/readyz").await;
    assert_eq!(ready.at("/checks/mail"), &json!("down"));
}

#[tokio::test]
async fn nobody_sees_where_somebody_else_is_reached_and_an_admin_sees_who_is() {
    let mut sink = SmtpSink::new().await;
    let h = Harness::paging(Some(&sink.url()), false).await;
    h.has_mailbox(&mut sink, "counselor").await;
    let own = h.call("counselor").get(PATH).await;
    assert_eq!(own.at("/items/0/address"), &json!("counselor@mail.example"));
    for who in ["oncall", "supervisor", "admin"] {
        assert!(h.call(who).get(PATH).await.items().is_empty(), "{who}");
    }
    let made_up = h.call("counselor").get(&format!("{PATH}?cursor=x")).await;
    assert_eq!(
        (made_up.code(), made_up.at("/errors/0/pointer")),
        (422, &json!("?cursor"))
    );
    let everybody = format!("{PATH}?everybody=true");
    assert_eq!(h.call("supervisor").get(&everybody).await.code(), 403);
    let held = h.call("admin").get(&everybody).await;
    assert_eq!(held.code(), 200, "{}", held.json);
    assert_eq!(
        held.at("/items"),
        &json!([{
            "staff_id": "staff-counselor", "method": "email", "created_at": "2026-06-15T12:00:00Z",
            "verified_at": "2026-06-15T12:00:00Z",
        }])
    );
    // Nor does a statement of somebody else.
    let actor = db::Actor::Staff("staff-oncall".to_owned());
    let tx = h.database.pools("social").begin(&actor).await.unwrap();
    let seen = tx
        .query("select c.address from social.contact_methods c", &[])
        .await
        .unwrap();
    let held = tx
        .query("select h.staff_id from social.contact_methods_held() h", &[])
        .await
        .unwrap();
    assert_eq!((seen.len(), held.len()), (0, 0));
}

#[tokio::test]
async fn a_method_that_is_removed_is_used_no_more() {
    let mut sink = SmtpSink::new().await;
    let h = Harness::paging(Some(&sink.url()), false).await;
    h.has_mailbox(&mut sink, "counselor").await;
    let id = h
        .call("counselor")
        .get(PATH)
        .await
        .at("/items/0/contact_method_id")
        .clone();
    let path = format!("{PATH}/{id}");
    assert_eq!(h.call("oncall").delete(&path).await.code(), 404);
    assert_eq!(h.call("counselor").delete(&path).await.code(), 204);
    assert_eq!(h.call("counselor").delete(&path).await.code(), 404);
    assert_eq!(h.methods_of("counselor").await, ["in_app"]);
}

#[tokio::test]
async fn nobody_has_mail_sent_to_strangers_more_often_than_three_times_a_minute() {
    let sink = SmtpSink::new().await;
    let h = Harness::paging(Some(&sink.url()), false).await;
    for _ in 0..3 {
        assert_eq!(h.names("counselor", "email", ADDRESS).await.code(), 201);
    }
    assert_eq!(h.names("counselor", "email", ADDRESS).await.code(), 429);
    assert_eq!(h.names("oncall", "email", ADDRESS).await.code(), 201);
}
