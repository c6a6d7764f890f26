//! Programs: registered by admins, with secrets that are shown once.

use serde_json::{Value, json};
use testkit::Answer;

use crate::harness::{Harness, column, pointers};

impl Harness {
    /// Registers a program; returns its secret.
    pub(crate) async fn program(&self, client_id: &str, kind: &str, scopes: &[&str]) -> String {
        let body = json!({"client_id": client_id, "kind": kind, "name": client_id, "scopes": scopes});
        let made = self.call("admin").post("/v1/api-clients", &body).await;
        assert_eq!(made.code(), 201, "{}", made.json);
        secret(&made)
    }

    async fn rotate(&self, client_id: &str, body: Value) -> Answer {
        let path = format!("/v1/api-clients/{client_id}/rotate");
        self.call("admin").post(&path, &body).await
    }

    /// Whether a program gets a token for a secret.
    async fn gets_token(&self, client_id: &str, secret: &str) -> bool {
        self.grant(client_id, secret, "").await.code() == 200
    }
}

fn secret(answer: &Answer) -> String {
    answer.at("/client_secret").as_str().expect("a secret").to_owned()
}

#[tokio::test]
async fn a_secret_is_shown_once_and_stored_as_a_hash() {
    let h = Harness::new().await;
    let body = json!({"client_id": "night-batch", "kind": "pipeline", "name": "Nightly", "scopes": ["messages:write"]});
    let admin = h.call("admin").with_header("idempotency-key", "k1");
    let made = admin.post("/v1/api-clients", &body).await;
    assert_eq!(
        (made.code(), made.at("/scopes")),
        (201, &json!(["messages:write"]))
    );
    let secret = secret(&made);
    assert!(secret.starts_with("rcs_") && secret.len() == 47);
    let found =
        format!("select count(*) from core.api_client_secrets where secret_hash = sha256('{secret}'::bytea)");
    assert_eq!(h.database.count(&found).await, 1);
    assert_eq!(
        h.database
            .count("select count(*) from core.idempotency_keys")
            .await,
        0
    );
    let again = admin.post("/v1/api-clients", &body).await;
    assert_eq!(
        (again.code(), pointers(&again)),
        (409, vec!["/client_id".to_owned()])
    );
    let list = h.call("admin").get("/v1/api-clients").await;
    assert!(!String::from_utf8(list.bytes).unwrap().contains(&secret));
}

#[tokio::test]
async fn every_fault_of_a_program_is_named_at_once() {
    let h = Harness::new().await;
    let bad = json!({"client_id": "a b", "kind": "robot", "name": "", "scopes": ["messages:read", "messages:eat", 7], "secret": "x"});
    let refused = h.call("admin").post("/v1/api-clients", &bad).await;
    let mut named = pointers(&refused);
    named.sort_unstable();
    assert_eq!(
        (refused.code(), named),
        (
            422,
            [
                "/client_id",
                "/kind",
                "/name",
                "/scopes/1",
                "/scopes/2",
                "/secret"
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
}

#[tokio::test]
async fn only_admins_manage_programs() {
    let h = Harness::new().await;
    let body = json!({"kind": "app", "name": "x", "scopes": []});
    for caller in ["supervisor", "app", "service", "auditor"] {
        let caller = h.call(caller);
        for refused in [
            caller.post("/v1/api-clients", &body).await,
            caller.get("/v1/api-clients").await,
            caller
                .post("/v1/api-clients/program-app/rotate", &json!({}))
                .await,
            caller.delete("/v1/api-clients/program-app").await,
        ] {
            assert_eq!(refused.code(), 403);
        }
    }
}

#[tokio::test]
async fn a_rotated_program_has_two_secrets_and_never_three() {
    let h = Harness::new().await;
    let first = h.program("night-batch", "pipeline", &[]).await;
    let second = secret(&h.rotate("night-batch", json!({})).await);
    assert!(h.gets_token("night-batch", &first).await);
    assert!(h.gets_token("night-batch", &second).await);
    let third = secret(&h.rotate("night-batch", json!({})).await);
    assert!(!h.gets_token("night-batch", &first).await);
    assert!(h.gets_token("night-batch", &second).await);
    assert!(h.gets_token("night-batch", &third).await);
    let list = h.call("admin").get("/v1/api-clients?limit=1").await;
    assert_eq!(list.at("/items/0/client_id"), &json!("night-batch"));
    assert_eq!(list.at("/items/0/secrets").as_array().map(Vec::len), Some(2));
    assert!(list.at("/items/0/secrets/0/last_used_at").is_string());
    let one_too_many = "insert into core.api_client_secrets (client_id, place, secret_hash, expires_at)
        select 'night-batch', p, sha256('x'), now() + interval '1 day' from generate_series(1, 2) as p";
    let refused = h
        .database
        .pools("core")
        .worker_query(one_too_many, &[])
        .await
        .unwrap_err();
    assert_eq!(refused.constraint(), Some("uq_api_client_secrets_live"));
}

#[tokio::test]
async fn the_secret_before_ends_with_the_overlap() {
    let h = Harness::new().await;
    let first = h.program("night-batch", "pipeline", &[]).await;
    let second = secret(&h.rotate("night-batch", json!({"overlap_minutes": 60})).await);
    let overlap = "select count(*) from core.api_client_secrets
        where place = 1 and expires_at between now() + interval '59 minutes' and now() + interval '60 minutes'";
    assert_eq!(h.database.count(overlap).await, 1);
    let leaked = h.rotate("night-batch", json!({"overlap_minutes": 0})).await;
    assert!(!h.gets_token("night-batch", &first).await);
    assert!(!h.gets_token("night-batch", &second).await);
    assert!(h.gets_token("night-batch", &secret(&leaked)).await);
    for bad in [json!(-1), json!(10_081), json!("1")] {
        let refused = h.rotate("night-batch", json!({"overlap_minutes": bad})).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/overlap_minutes".to_owned()])
        );
    }
    assert_eq!(h.rotate("nobody", json!({})).await.code(), 404);
}

#[tokio::test]
async fn a_secret_that_ran_out_gets_no_token_and_gives_up_its_place() {
    let h = Harness::new().await;
    let first = h.program("night-batch", "pipeline", &[]).await;
    h.run("update core.api_client_secrets set created_at = now() - interval '91 days', expires_at = now() - interval '1 day'")
        .await;
    assert!(!h.gets_token("night-batch", &first).await);
    let listed = h.call("admin").get("/v1/api-clients?limit=1").await;
    assert_eq!(listed.at("/items/0/secrets"), &json!([]));
    for _ in 0..3 {
        let next = h.rotate("night-batch", json!({})).await;
        assert!(h.gets_token("night-batch", &secret(&next)).await);
    }
    let refused = h
        .database
        .pools("core")
        .worker_query(
            "update core.api_client_secrets set expires_at = created_at + interval '91 days'",
            &[],
        )
        .await
        .unwrap_err();
    assert_eq!(refused.constraint(), Some("ck_api_client_secrets_life"));
}

#[tokio::test]
async fn a_program_that_is_switched_off_is_refused_with_all_it_had() {
    let h = Harness::new().await;
    let secret = h.program("night-batch", "pipeline", &[]).await;
    let token = h.token("night-batch", &secret, "").await;
    let caller = h.anonymous().with_token(&token);
    assert_eq!(caller.get("/v1/me").await.code(), 200);
    let (admin, path) = (h.call("admin"), "/v1/api-clients/night-batch");
    assert_eq!(admin.delete(path).await.code(), 204);
    assert!(!h.gets_token("night-batch", &secret).await);
    h.refused_soon(&caller).await;
    assert_eq!(admin.delete(path).await.code(), 204, "it is off already");
    let refused = h.rotate("night-batch", json!({})).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (409, &json!("/problems/wrong-state"))
    );
    assert_eq!(admin.delete("/v1/api-clients/nobody").await.code(), 404);
    let listed = admin.get("/v1/api-clients?limit=1").await;
    assert!(listed.at("/items/0/disabled_at").is_string());
}

#[tokio::test]
async fn programs_come_in_pages() {
    let h = Harness::new().await;
    let first = h.call("admin").get("/v1/api-clients?limit=2").await;
    assert_eq!(column(&first, "client_id"), ["program-app", "program-pipeline"]);
    let next = first
        .at("/next_cursor")
        .as_str()
        .expect("a second page")
        .to_owned();
    let path = format!("/v1/api-clients?limit=2&cursor={next}");
    let second = h.call("admin").get(&path).await;
    assert_eq!(
        (column(&second, "client_id"), second.at("/next_cursor")),
        (vec![json!("program-service")], &Value::Null)
    );
    assert_eq!(h.call("admin").get("/v1/api-clients?kind=app").await.code(), 422);
}
