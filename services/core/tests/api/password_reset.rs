//! A forgotten password is set anew by mail.

use core_service::{Config, MailConfig};
use serde_json::{Value, json};
use testkit::{Answer, Received, SmtpSink};

use crate::harness::{Harness, pointers};
use crate::sign_in::{PASSWORD, is_refused, told};

const NEW: &str = "a tin on the hill";
const PAGE: &str = "https://app.example/new-password";

impl Harness {
    async fn with_mail(sink: &SmtpSink) -> Self {
        let mail = MailConfig::smtp(&sink.url(), "Support <support@mail.example>", PAGE);
        Self::with_config(|config| Config { mail, ..config }).await
    }

    async fn forgot(&self, email: &str) -> Answer {
        let body = json!({ "email": email });
        self.anonymous().post("/v1/auth/password-reset", &body).await
    }

    async fn set_anew(&self, token: &str, new_password: &str) -> Answer {
        let body = json!({"token": token, "new_password": new_password});
        self.anonymous()
            .post("/v1/auth/password-reset/confirm", &body)
            .await
    }

    async fn may_ask_again(&self) {
        self.run("update core.password_resets set created_at = created_at - interval '3 minutes'")
            .await;
    }
}

fn token_in(mail: &Received) -> String {
    let (_, link) = mail.data.split_once(PAGE).expect("a link");
    let token = link.strip_prefix("#token=").expect("a token in the fragment");
    token.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_mailed_token_sets_a_new_password_and_ends_every_sign_in() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::with_mail(&sink).await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let person = h.signed_in(&email).await;
    assert_eq!(h.forgot(&email.to_uppercase()).await.code(), 202);
    let mail = sink.mail().await;
    assert_eq!(mail.to, email);
    let token = token_in(&mail);
    let stored =
        format!("select count(*) from core.password_resets where token_hash = sha256('{token}'::bytea)");
    assert_eq!(h.database.count(&stored).await, 1);
    assert_eq!(h.set_anew(&token, NEW).await.code(), 204);
    for (action, who) in [
        ("POST /v1/auth/password-reset", "anybody"),
        ("POST /v1/auth/password-reset/confirm", "client"),
    ] {
        let rows = h.audited(&format!("e.action = '{action}'")).await;
        assert_eq!(rows.len(), 1, "{action}");
        assert_eq!(
            (&rows[0]["actor_kind"], &rows[0]["people"]),
            (&json!(who), &json!(["client-a"]))
        );
    }
    is_refused(&person.caller).await;
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 401);
    assert_eq!(h.login(&email, PASSWORD).await.code(), 401);
    assert_eq!(h.login(&email, NEW).await.code(), 200);
}

#[tokio::test]
async fn the_mail_says_nothing_of_recovery() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::with_mail(&sink).await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    h.forgot(&email).await;
    let mail = sink.mail().await.data.to_lowercase();
    assert!(mail.contains("subject: set a new password"), "{mail}");
    for word in ["recover", "sober", "counsel", "relapse", "treatment"] {
        assert!(!mail.contains(word), "{word}");
    }
}

#[tokio::test]
async fn who_asks_learns_nothing_and_nobody_is_mailed_in_vain() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::with_mail(&sink).await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    let (known, suspended) = (h.may_sign_in("client-a").await, h.may_sign_in("client-b").await);
    h.run("update core.users set status = 'suspended' where user_id = 'client-b'")
        .await;
    let mut answers: Vec<(u16, Value)> = Vec::new();
    for email in ["nobody@mail.example", "no address", &suspended, &known, &known] {
        answers.push(told(&h.forgot(email).await));
    }
    assert_eq!(answers[0].0, 202);
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(sink.mail().await.to, known);
    h.may_ask_again().await;
    h.forgot(&known).await;
    assert_eq!(sink.mail().await.to, known);
    assert_eq!(
        sink.waiting(),
        0,
        "those before it were looked into, and one was too soon"
    );
}

#[tokio::test]
async fn a_token_works_once_for_half_an_hour_and_ends_those_beside_it() {
    let mut sink = SmtpSink::new().await;
    let mut h = Harness::with_mail(&sink).await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        h.forgot(&email).await;
        tokens.push(token_in(&sink.mail().await));
        h.may_ask_again().await;
    }
    let lasts = "select count(*) from core.password_resets
        where expires_at - created_at between interval '30 minutes' and interval '40 minutes'";
    assert_eq!(h.database.count(lasts).await, 3);
    let late = format!(
        "update core.password_resets set expires_at = now() where token_hash = sha256('{}'::bytea)",
        tokens[0]
    );
    h.run(&late).await;
    let mut refusals = vec![told(&h.set_anew(&tokens[0], NEW).await)];
    assert_eq!(h.set_anew(&tokens[1], NEW).await.code(), 204);
    let bare = tokens[2].replacen("rcvp_", "rcv_", 1);
    for token in [&tokens[1], &tokens[2], &bare, "rcvp_unknown"] {
        refusals.push(told(&h.set_anew(token, "another tin on it").await));
    }
    assert_eq!(
        (refusals[0].0, &refusals[0].1["type"]),
        (401, &json!("/problems/sign-in-failed"))
    );
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
    assert_eq!(h.login(&email, NEW).await.code(), 200);
}

#[tokio::test]
async fn a_password_that_the_rules_refuse_leaves_the_token_as_it_is() {
    let mut sink = SmtpSink::new().await;
    let h = Harness::with_mail(&sink).await;
    let email = h.may_sign_in("staff-counselor").await;
    h.forgot(&email).await;
    let token = token_in(&sink.mail().await);
    for bad in ["eleven here", "password12345", "staff-counselor 7"] {
        let refused = h.set_anew(&token, bad).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/new_password".to_owned()])
        );
    }
    let empty = h
        .anonymous()
        .post("/v1/auth/password-reset/confirm", &json!({}))
        .await;
    assert_eq!(pointers(&empty), ["/token", "/new_password"]);
    let nobody = h
        .anonymous()
        .post("/v1/auth/password-reset", &json!({"mail": 1}))
        .await;
    assert_eq!(pointers(&nobody), ["/email", "/mail"]);
    assert_eq!(h.set_anew(&token, NEW).await.code(), 204);
}

#[tokio::test]
async fn of_two_who_use_a_token_at_once_one_wins() {
    let mut sink = SmtpSink::new().await;
    let h = Harness::with_mail(&sink).await;
    let email = h.may_sign_in("staff-counselor").await;
    h.forgot(&email).await;
    let token = token_in(&sink.mail().await);
    let answers =
        futures::future::join(h.set_anew(&token, NEW), h.set_anew(&token, "a bin in the shed")).await;
    let mut codes = [answers.0.code(), answers.1.code()];
    codes.sort_unstable();
    assert_eq!(codes, [204, 401]);
}

#[tokio::test]
async fn a_reset_lifts_the_lock_of_the_account() {
    let mut sink = SmtpSink::new().await;
    let h = Harness::with_mail(&sink).await;
    let email = h.may_sign_in("staff-counselor").await;
    h.login(&email, "not the password").await;
    h.run(
        "update core.sign_in_failures set blocked_until = now() + interval '1 day' where user_id is not null",
    )
    .await;
    assert_eq!(h.login(&email, PASSWORD).await.code(), 429);
    h.forgot(&email).await;
    let token = token_in(&sink.mail().await);
    assert_eq!(h.set_anew(&token, NEW).await.code(), 204);
    assert_eq!(h.login(&email, NEW).await.code(), 200);
}

#[tokio::test]
async fn a_mail_that_is_not_taken_may_be_asked_for_again_at_once() {
    let mut sink = SmtpSink::refusing().await;
    let h = Harness::with_mail(&sink).await;
    let email = h.may_sign_in("staff-counselor").await;
    for _ in 0..2 {
        assert_eq!(h.forgot(&email).await.code(), 202);
        let token = token_in(&sink.mail().await);
        let forgotten =
            format!("select count(*) from core.password_resets where token_hash = sha256('{token}'::bytea)");
        let gone = async { while h.database.count(&forgotten).await != 0 {} };
        tokio::time::timeout(std::time::Duration::from_secs(5), gone)
            .await
            .expect("the token is forgotten");
        assert_eq!(h.set_anew(&token, NEW).await.code(), 401);
    }
    let ready = h.anonymous().get("/readyz").await;
    assert_eq!((ready.code(), ready.at("/checks/mail")), (200, &json!("down")));
}

#[tokio::test]
async fn without_a_mail_server_the_answer_is_the_same_and_readiness_shows_it() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    assert_eq!(h.forgot(&email).await.code(), 202);
    assert_eq!(
        h.database
            .count("select count(*) from core.password_resets")
            .await,
        0
    );
    let ready = h.anonymous().get("/readyz").await;
    assert_eq!((ready.code(), ready.at("/checks/mail")), (200, &json!("down")));
    let sink = SmtpSink::new().await;
    let with_mail = Harness::with_mail(&sink).await;
    let ready = with_mail.anonymous().get("/readyz").await;
    assert_eq!((ready.code(), ready.at("/checks/mail")), (200, &json!("ok")));
}
