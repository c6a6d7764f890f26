//! Staff sign in with a second factor.

use core_service::Config;
use serde_json::{Value, json};
use testkit::{Answer, Client};
use totp_rs::{Builder, Secret, Totp};

use crate::harness::{Harness, pointers};
use crate::sign_in::{PASSWORD, told};

const EMAIL: &str = "staff-counselor@mail.example";

/// A member of staff whose app counts codes.
struct Enrolled {
    app: Totp,
    recovery_codes: Vec<String>,
}

impl Enrolled {
    /// The code of now, or of so many steps later.
    fn code(&self, steps: i64) -> String {
        let at = chrono::Utc::now().timestamp() + 30 * steps;
        self.app.generate(u64::try_from(at).unwrap()).to_string()
    }
}

fn app_of(secret: &Value) -> Totp {
    let secret = Secret::try_from_base32(secret.as_str().unwrap()).unwrap();
    Builder::new().with_secret(secret).build().unwrap()
}

fn with_key(key: &'static str) -> impl FnOnce(Config) -> Config {
    move |config| Config {
        totp_key: Some(key.into()),
        ..config
    }
}

impl Harness {
    async fn with_totp() -> Self {
        Self::with_config(with_key("a key of tests, thirty-two bytes and more")).await
    }

    /// Enrols the counselor, whose last code then lies in the past.
    async fn enrolled(&self) -> Enrolled {
        self.may_sign_in("staff-counselor").await;
        let person = self.signed_in(EMAIL).await;
        let told = person
            .caller
            .post("/v1/me/totp", &json!({ "password": PASSWORD }))
            .await;
        assert_eq!(told.code(), 201, "{}", told.json);
        let app = app_of(told.at("/secret"));
        let mut enrolled = Enrolled {
            app,
            recovery_codes: Vec::new(),
        };
        let confirmed = confirm(&person.caller, &enrolled.code(0)).await;
        assert_eq!(confirmed.code(), 200, "{}", confirmed.json);
        enrolled.recovery_codes = serde_json::from_value(confirmed.at("/recovery_codes").clone()).unwrap();
        self.time_passes_for_codes().await;
        enrolled
    }

    async fn time_passes_for_codes(&self) {
        self.run("update core.totp_secrets set last_step = last_step - 3")
            .await;
    }

    async fn ticket(&self) -> String {
        let answer = self.login(EMAIL, PASSWORD).await;
        assert_eq!((answer.code(), answer.at("/totp_required")), (200, &json!(true)));
        assert_eq!(answer.at("/access_token"), &Value::Null);
        assert_eq!(answer.at("/expires_in"), 300);
        answer.at("/ticket").as_str().unwrap().to_owned()
    }

    async fn with_code(&self, ticket: &str, code: &str) -> Answer {
        let body = json!({"ticket": ticket, "code": code});
        self.anonymous().post("/v1/auth/totp", &body).await
    }
}

async fn confirm(caller: &Client, code: &str) -> Answer {
    caller.post("/v1/me/totp/confirm", &json!({ "code": code })).await
}

/// A code that the app does not show now.
fn wrong(enrolled: &Enrolled) -> String {
    let shown = [-1, 0, 1].map(|steps| enrolled.code(steps));
    let mut guesses = (0..10).map(|digit| format!("{digit}00000"));
    guesses.find(|guess| !shown.contains(guess)).unwrap()
}

#[tokio::test]
async fn an_enrolled_person_signs_in_by_password_and_code() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    let ticket = h.ticket().await;
    let answer = h.with_code(&ticket, &enrolled.code(0)).await;
    let person = h.tokens(&answer);
    assert_eq!(person.caller.get("/v1/me").await.at("/id"), "staff-counselor");
    let by_code = "e.action = 'POST /v1/auth/totp'";
    assert_eq!(h.audited(by_code).await[0]["people"], json!(["staff-counselor"]));
    assert_eq!(
        h.refresh(&person.refresh_token).await.code(),
        200,
        "no code for that"
    );
}

#[tokio::test]
async fn who_found_a_token_enrols_nothing() {
    let h = Harness::with_totp().await;
    h.may_sign_in("staff-counselor").await;
    let person = h.signed_in(EMAIL).await;
    for _ in 0..5 {
        let guess = json!({"password": "not the password"});
        let refused = person.caller.post("/v1/me/totp", &guess).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/password".to_owned()])
        );
    }
    let guess = json!({"password": PASSWORD});
    let refused = person.caller.post("/v1/me/totp", &guess).await;
    assert_eq!(refused.code(), 429, "guesses are counted as everywhere");
    assert_eq!(
        h.database.count("select count(*) from core.totp_secrets").await,
        0
    );
}

#[tokio::test]
async fn nothing_changes_before_a_code_confirms_the_app() {
    let h = Harness::with_totp().await;
    h.may_sign_in("staff-counselor").await;
    let person = h.signed_in(EMAIL).await;
    let first = person
        .caller
        .post("/v1/me/totp", &json!({ "password": PASSWORD }))
        .await;
    let second = person
        .caller
        .post("/v1/me/totp", &json!({ "password": PASSWORD }))
        .await;
    assert_ne!(first.at("/secret"), second.at("/secret"), "begun anew");
    let url = second.at("/otpauth_url").as_str().unwrap();
    assert!(
        url.starts_with("otpauth://totp/Recoverly:staff-counselor?secret="),
        "{url}"
    );
    h.signed_in(EMAIL).await;
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    let code = app_of(first.at("/secret")).generate(now).to_string();
    let refused = confirm(&person.caller, &code).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/code".to_owned()])
    );
    h.signed_in(EMAIL).await;
    let code = app_of(second.at("/secret")).generate(now).to_string();
    let confirmed = confirm(&person.caller, &code).await;
    assert_eq!(confirmed.at("/recovery_codes").as_array().map(Vec::len), Some(10));
    h.ticket().await;
    for _ in 0..6 {
        let again = person
            .caller
            .post("/v1/me/totp", &json!({ "password": PASSWORD }))
            .await;
        assert_eq!(again.code(), 409, "a right password is no failure");
    }
    for again in [
        person
            .caller
            .post("/v1/me/totp", &json!({ "password": PASSWORD }))
            .await,
        confirm(&person.caller, &code).await,
    ] {
        assert_eq!(
            (again.code(), again.at("/type")),
            (409, &json!("/problems/wrong-state"))
        );
    }
}

#[tokio::test]
async fn a_code_and_a_ticket_work_once() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    let (first, second) = (h.ticket().await, h.ticket().await);
    let code = enrolled.code(0);
    assert_eq!(h.with_code(&first, &code).await.code(), 200);
    let mut refusals = vec![
        told(&h.with_code(&second, &code).await),
        told(&h.with_code(&first, &enrolled.code(1)).await),
    ];
    h.run("update core.sign_in_tickets set expires_at = now()").await;
    refusals.push(told(&h.with_code(&second, &enrolled.code(1)).await));
    refusals.push(told(&h.with_code("rcvt_unknown", &code).await));
    refusals.push(told(&h.with_code("rcv_unknown", &code).await));
    assert_eq!(
        (refusals[0].0, &refusals[0].1["type"]),
        (401, &json!("/problems/sign-in-failed"))
    );
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
}

#[tokio::test]
async fn of_two_who_send_a_code_at_once_one_wins() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    let (first, second) = (h.ticket().await, h.ticket().await);
    let code = enrolled.code(0);
    let answers = futures::future::join(h.with_code(&first, &code), h.with_code(&second, &code)).await;
    let mut codes = [answers.0.code(), answers.1.code()];
    codes.sort_unstable();
    assert_eq!(codes, [200, 401]);
}

#[tokio::test]
async fn a_code_on_paper_works_once_in_place_of_the_app() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    let paper = &enrolled.recovery_codes[3];
    for (code, status) in [(paper.to_uppercase().replace('-', ""), 200), (paper.clone(), 401)] {
        assert_eq!(h.with_code(&h.ticket().await, &code).await.code(), status);
    }
    let clear = format!(
        "select count(*) from core.recovery_codes where encode(code_hash, 'escape') like '%{paper}%'"
    );
    assert_eq!(h.database.count(&clear).await, 0);
    assert_eq!(
        h.database
            .count("select count(*) from core.recovery_codes where used_at is null")
            .await,
        9
    );
}

#[tokio::test]
async fn wrong_codes_are_counted_and_a_right_password_does_not_clear_them() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    for _ in 0..5 {
        let ticket = h.ticket().await;
        assert_eq!(h.with_code(&ticket, &wrong(&enrolled)).await.code(), 401);
        // The address has its own count.
        h.run("delete from core.sign_in_failures where user_id is null")
            .await;
    }
    let blocked = h.with_code(&h.ticket().await, &enrolled.code(0)).await;
    assert_eq!(blocked.code(), 429);
    let detail = blocked.at("/detail").as_str().unwrap();
    assert!(
        detail.starts_with("Too many passwords or codes were wrong"),
        "{detail}"
    );
    h.run("update core.sign_in_failures set blocked_until = now()")
        .await;
    let ticket = h.ticket().await;
    assert_eq!(h.with_code(&ticket, &enrolled.code(0)).await.code(), 200);
    assert_eq!(
        h.database
            .count("select count(*) from core.sign_in_failures")
            .await,
        0
    );
}

#[tokio::test]
async fn a_new_password_ends_tickets_too() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    let ticket = h.ticket().await;
    h.admin_with("password --user staff-counselor", "a tin on the hill\n")
        .await
        .unwrap();
    assert_eq!(h.with_code(&ticket, &enrolled.code(0)).await.code(), 401);
}

#[tokio::test]
async fn the_secret_is_sealed_and_another_key_takes_codes_on_paper_only() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    let secret = hex(enrolled.app.secret().as_bytes());
    let clear = format!(
        "select count(*) from core.totp_secrets where encode(secret_sealed, 'hex') like '%{secret}%'"
    );
    assert_eq!(h.database.count(&clear).await, 0);
    let other = h.replica_with(with_key("another key of tests, of thirty-two bytes"));
    let anonymous = Client::new(&other.base_url());
    for (code, status) in [(enrolled.code(0), 401), (enrolled.recovery_codes[0].clone(), 200)] {
        let body = json!({"ticket": h.ticket().await, "code": code});
        assert_eq!(anonymous.post("/v1/auth/totp", &body).await.code(), status);
    }
}

#[tokio::test]
async fn who_lost_everything_is_let_in_by_an_operator() {
    let h = Harness::with_totp().await;
    h.enrolled().await;
    let done = h.admin("forget-totp --user staff-counselor").await.unwrap();
    assert_eq!(done, "staff-counselor is no longer asked for codes\n");
    let person = h.signed_in(EMAIL).await;
    assert_eq!(
        person
            .caller
            .post("/v1/me/totp", &json!({ "password": PASSWORD }))
            .await
            .code(),
        201
    );
    assert_eq!(
        h.admin("forget-totp --user staff-oncall").await.unwrap(),
        "staff-oncall was not asked for codes\n"
    );
}

#[tokio::test]
async fn second_factors_are_for_staff_on_a_server_with_a_key() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    for path in ["/v1/me/totp", "/v1/me/totp/confirm"] {
        for caller in ["client-a", "app", "pipeline", "service"] {
            assert_eq!(
                h.call(caller).post(path, &json!({})).await.code(),
                403,
                "{caller} {path}"
            );
        }
        assert_eq!(h.anonymous().post(path, &json!({})).await.code(), 401);
    }
    let refused = h
        .call("counselor")
        .post("/v1/me/totp", &json!({ "password": PASSWORD }))
        .await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    let unread = h
        .call("counselor")
        .post("/v1/me/totp/confirm", &json!({"key": 1}))
        .await;
    assert_eq!(pointers(&unread), ["/code", "/key"]);
    let nothing = confirm(&h.call("counselor"), "123456").await;
    assert_eq!(nothing.code(), 409);
    let unread = h.anonymous().post("/v1/auth/totp", &json!({})).await;
    assert_eq!(pointers(&unread), ["/ticket", "/code"]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn codes_that_meet_an_erasure_find_nobody() {
    let h = Harness::with_totp().await;
    let enrolled = h.enrolled().await;
    let (ticket, code) = (h.ticket().await, enrolled.code(0));
    let answers = h
        .meeting_an_erasure("staff-counselor", [Box::pin(h.with_code(&ticket, &code))])
        .await;
    assert_eq!(answers, [401]);

    let email = h.may_sign_in("staff-oncall").await;
    let oncall = h.signed_in(&email).await.caller;
    let password = json!({ "password": PASSWORD });
    let told = oncall.post("/v1/me/totp", &password).await;
    let app = app_of(told.at("/secret"));
    let enrolling = Enrolled {
        app,
        recovery_codes: Vec::new(),
    };
    let code = enrolling.code(0);
    let answers = h
        .meeting_an_erasure("staff-oncall", [Box::pin(confirm(&oncall, &code))])
        .await;
    assert_eq!(answers, [404]);
}
