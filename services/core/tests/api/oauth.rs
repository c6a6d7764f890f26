//! OAuth 2 for programs, as RFC 6749, 7009 and 7662 say it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::Harness;

const FORM: &str = "application/x-www-form-urlencoded";

impl Harness {
    /// Posts a form with the secret of a program in the header.
    pub(crate) async fn oauth(&self, path: &str, (client_id, secret): (&str, &str), form: &str) -> Answer {
        let pair = STANDARD.encode(format!("{client_id}:{secret}"));
        let caller = self
            .anonymous()
            .with_header("authorization", &format!("Basic {pair}"));
        post(&caller, path, form).await
    }

    /// Asks for a token; `more` is what the form says besides.
    pub(crate) async fn grant(&self, client_id: &str, secret: &str, more: &str) -> Answer {
        let form = format!("grant_type=client_credentials{more}");
        self.oauth("/oauth/token", (client_id, secret), &form).await
    }

    /// A token.
    pub(crate) async fn token(&self, client_id: &str, secret: &str, more: &str) -> String {
        let granted = self.grant(client_id, secret, more).await;
        assert_eq!(granted.code(), 200, "{}", granted.json);
        granted.at("/access_token").as_str().expect("a token").to_owned()
    }

    /// Waits until a caller is refused: the service hears of a revocation a moment after it.
    pub(crate) async fn refused_soon(&self, caller: &Client) {
        let refused = async { while caller.get("/v1/me").await.code() != 401 {} };
        tokio::time::timeout(Duration::from_secs(5), refused)
            .await
            .expect("the revocation is heard of");
    }
}

async fn post(caller: &Client, path: &str, form: &str) -> Answer {
    caller
        .with_header("content-type", FORM)
        .send(Method::POST, path, Some(form.as_bytes().to_vec()))
        .await
}

fn error(answer: &Answer) -> (u16, &str) {
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    (answer.code(), answer.at("/error").as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_secret_gets_a_token_of_an_hour_by_header_or_by_form() {
    let h = Harness::new().await;
    let secret = h.program("night-batch", "pipeline", &[]).await;
    let by_header = h.grant("night-batch", &secret, "").await;
    let form = format!("grant_type=client_credentials&client_id=night-batch&client_secret={secret}");
    let by_form = post(&h.anonymous(), "/oauth/token", &form).await;
    for granted in [by_header, by_form] {
        assert_eq!(granted.code(), 200);
        assert_eq!(
            (
                granted.at("/token_type"),
                granted.at("/expires_in"),
                granted.at("/scope")
            ),
            (&json!("Bearer"), &json!(3600), &Value::Null)
        );
        assert_eq!(granted.headers["cache-control"], "no-store");
        assert_eq!(granted.headers["pragma"], "no-cache");
        let token = granted.at("/access_token").as_str().unwrap();
        let me = h.anonymous().with_token(token).get("/v1/me").await;
        assert_eq!(
            (me.at("/id"), me.at("/kind")),
            (&json!("night-batch"), &json!("pipeline"))
        );
    }
    let an_hour = "select count(*) from core.access_tokens where client_id = 'night-batch'
        and expires_at between now() + interval '59 minutes' and now() + interval '1 hour'";
    assert_eq!(h.database.count(an_hour).await, 2);
}

#[tokio::test]
async fn who_has_no_good_secret_learns_nothing_else() {
    let h = Harness::new().await;
    let secret = h.program("night-batch", "pipeline", &[]).await;
    let mut answers = Vec::new();
    for (client_id, secret) in [
        ("night-batch", "rcs_wrong"),
        ("night-batch", ""),
        ("nobody", secret.as_str()),
        ("program-app", "rcs_x"),
        ("night-batch", "rcv_test_pipeline"),
    ] {
        let refused = h.grant(client_id, secret, "").await;
        assert_eq!(error(&refused), (401, "invalid_client"), "{client_id}");
        assert_eq!(refused.headers["www-authenticate"], r#"Basic realm="recoverly""#);
        answers.push(refused.bytes);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let bare = post(&h.anonymous(), "/oauth/token", "grant_type=client_credentials").await;
    assert_eq!(error(&bare), (401, "invalid_client"));
    let bearer = h.call("pipeline");
    let refused = post(&bearer, "/oauth/token", "grant_type=client_credentials").await;
    assert_eq!(error(&refused), (401, "invalid_client"));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_the_standards_words() {
    let h = Harness::new().await;
    let secret = h.program("night-batch", "pipeline", &["messages:write"]).await;
    let by = ("night-batch", secret.as_str());
    for (form, word) in [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        (
            "grant_type=client_credentials&grant_type=client_credentials",
            "invalid_request",
        ),
        ("grant_type=client_credentials&scope=%zz", "invalid_request"),
        (
            "grant_type=client_credentials&scope=messages:read",
            "invalid_scope",
        ),
        ("grant_type=client_credentials&scope=everything", "invalid_scope"),
        (
            "grant_type=client_credentials&client_secret=twice",
            "invalid_request",
        ),
        (
            "grant_type=client_credentials&client_id=somebody-else",
            "invalid_request",
        ),
    ] {
        let refused = h.oauth("/oauth/token", by, form).await;
        assert_eq!(error(&refused), (400, word), "{form}");
    }
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let refused = h.oauth(path, by, "token_type_hint=access_token").await;
        assert_eq!(error(&refused), (400, "invalid_request"));
    }
    let unknown_is_ignored = h.grant("night-batch", &secret, "&audience=x&resource=y").await;
    assert_eq!(unknown_is_ignored.code(), 200);
}

#[tokio::test]
async fn a_form_of_another_type_or_size_is_refused_as_everywhere() {
    let h = Harness::new().await;
    let json = h
        .anonymous()
        .post("/oauth/token", &json!({"grant_type": "client_credentials"}))
        .await;
    assert_eq!(
        (json.code(), json.at("/type")),
        (415, &json!("/problems/unsupported-media-type"))
    );
    let large = format!("grant_type=client_credentials&scope={}", "x".repeat(20_000));
    let refused = post(&h.anonymous(), "/oauth/token", &large).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (413, &json!("/problems/too-large"))
    );
    assert_eq!(h.anonymous().get("/oauth/token").await.code(), 405);
}

#[tokio::test]
async fn guesses_are_throttled_and_the_programs_next_to_them_are_not() {
    let h = Harness::new().await;
    let other = h.program("other", "pipeline", &[]).await;
    h.program("night-batch", "pipeline", &[]).await;
    for _ in 0..10 {
        let wrong = h.grant("night-batch", "rcs_guess", "").await;
        assert_eq!(wrong.code(), 401);
    }
    let refused = h.grant("night-batch", "rcs_guess", "").await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (429, &json!("/problems/too-many-requests"))
    );
    assert_eq!(refused.headers["retry-after"], "60");
    assert_eq!(h.grant("other", &other, "").await.code(), 200);
    for name in 0..90 {
        h.grant(&format!("name-{name}"), "rcs_guess", "").await;
    }
    assert_eq!(
        h.grant("other", &other, "").await.code(),
        429,
        "the address itself has tried too much"
    );
}

#[tokio::test]
async fn a_token_is_limited_to_its_scopes() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let secret = h.program("front", "app", &["messages:read", "users:read"]).await;
    let lease = json!({"limit": 1, "model_version": "v1", "lease_seconds": 60});
    let all = h.anonymous().with_token(&h.token("front", &secret, "").await);
    assert_eq!(all.get("/v1/users/client-a").await.code(), 200);
    assert_eq!(all.get("/v1/users/client-a/messages").await.code(), 200);
    let refused = all
        .post(
            "/v1/messages",
            &json!({"user_id": "client-a", "message_text": "x", "conversation_type": "buddy"}),
        )
        .await;
    assert_eq!(
        (refused.code(), refused.at("/detail")),
        (403, &json!("This token lacks the scope messages:write."))
    );
    let one = h.token("front", &secret, "&scope=users%3Aread").await;
    let one = h.anonymous().with_token(&one);
    assert_eq!(one.get("/v1/users/client-a").await.code(), 200);
    let refused = one.get("/v1/users/client-a/messages").await;
    assert_eq!(
        (refused.code(), refused.at("/detail")),
        (403, &json!("This token lacks the scope messages:read."))
    );
    assert_eq!(one.get("/v1/me").await.at("/scopes"), &json!(["users:read"]));
    let kind_first = one.post("/v1/messages:lease", &lease).await;
    assert_eq!(kind_first.at("/detail"), &json!("This is open to: pipeline."));
}

#[tokio::test]
async fn a_program_learns_what_its_own_tokens_are_worth_and_a_service_of_all() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let own = h.program("night-batch", "pipeline", &["messages:write"]).await;
    let other = h.program("other", "app", &[]).await;
    let service = h.program("watcher", "service", &[]).await;
    let token = h.token("night-batch", &own, "").await;
    let ask = async |client_id: &str, secret: &str, token: &str| {
        let form = format!("token={token}&token_type_hint=access_token");
        let answer = h.oauth("/oauth/introspect", (client_id, secret), &form).await;
        assert_eq!(answer.code(), 200);
        answer.json
    };
    let seen = ask("night-batch", &own, &token).await;
    assert_eq!(
        (
            &seen["active"],
            &seen["client_id"],
            &seen["sub"],
            &seen["scope"],
            &seen["token_type"]
        ),
        (
            &json!(true),
            &json!("night-batch"),
            &json!("night-batch"),
            &json!("messages:write"),
            &json!("Bearer")
        )
    );
    assert_eq!(
        seen["exp"].as_i64().unwrap() - seen["iat"].as_i64().unwrap(),
        3600
    );
    let inactive = json!({"active": false});
    assert_eq!(ask("other", &other, &token).await, inactive);
    assert_eq!(ask("night-batch", &own, "rcv_unknown").await, inactive);
    assert_eq!(
        ask("night-batch", &own, h.principals.token("client-a")).await,
        inactive
    );
    assert_eq!(ask("watcher", &service, &token).await["client_id"], "night-batch");
    let persons = ask("watcher", &service, h.principals.token("client-a")).await;
    assert_eq!(
        (&persons["sub"], &persons["client_id"]),
        (&json!("client-a"), &Value::Null)
    );
    h.run("update core.users set status = 'suspended' where user_id = 'client-a'")
        .await;
    assert_eq!(
        ask("watcher", &service, h.principals.token("client-a")).await,
        inactive
    );
}

#[tokio::test]
async fn a_program_revokes_its_own_tokens_and_nobody_elses() {
    let h = Harness::new().await;
    let own = h.program("night-batch", "pipeline", &[]).await;
    let other = h.program("other", "pipeline", &[]).await;
    let token = h.token("night-batch", &own, "").await;
    let caller = h.anonymous().with_token(&token);
    let form = format!("token={token}");
    let refused = h.oauth("/oauth/revoke", ("other", &other), &form).await;
    assert_eq!(error(&refused), (400, "invalid_grant"));
    assert_eq!(caller.get("/v1/me").await.code(), 200);
    for again in [false, true] {
        let revoked = h.oauth("/oauth/revoke", ("night-batch", &own), &form).await;
        assert_eq!((revoked.code(), revoked.bytes.len()), (200, 0), "again: {again}");
    }
    h.refused_soon(&caller).await;
    let unknown = h
        .oauth("/oauth/revoke", ("night-batch", &own), "token=rcv_unknown")
        .await;
    assert_eq!(unknown.code(), 200);
    let wrong = h
        .oauth("/oauth/revoke", ("night-batch", "rcs_wrong"), &form)
        .await;
    assert_eq!(error(&wrong), (401, "invalid_client"));
}

#[tokio::test]
async fn an_ordinary_oauth_client_gets_and_uses_a_token() {
    let h = Harness::new().await;
    let secret = h.program("night-batch", "pipeline", &["messages:write"]).await;
    let environment = [
        ("RECOVERLY_CLIENT_ID", "night-batch"),
        ("RECOVERLY_CLIENT_SECRET", &secret),
    ];
    h.python("oauth_client.py", &environment).await;
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_a_program_that_is_not_there() {
    let h = Harness::new().await;
    let long = "x".repeat(300);
    for id in ["a%00", "a b", &long] {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret=x");
        let refused = post(&h.anonymous(), "/oauth/token", &form).await;
        assert!([400, 401].contains(&refused.code()), "{id}: {}", refused.code());
    }
    let refused = h
        .oauth("/oauth/token", ("a\0", "x"), "grant_type=client_credentials")
        .await;
    assert_eq!(refused.code(), 401);
}
