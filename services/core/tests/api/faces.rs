//! Faces: kept under a consent, found among the own clients, gone with the consent.

use futures::StreamExt;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Harness, column, pointers};

const OF_A: &str = "/v1/users/client-a/face-embeddings";
const SEARCH: &str = "/v1/search/face";

/// A face whose first two numbers are these.
fn numbers(first: f64, second: f64) -> Vec<f64> {
    let mut numbers = vec![0.0; 512];
    (numbers[0], numbers[1]) = (first, second);
    numbers
}

fn face(hash: &str, embedding: &[f64]) -> Value {
    json!({"embedding": embedding, "model_name": "face-512", "idempotency_hash": hash})
}

fn looking_for(embedding: &[f64]) -> Value {
    json!({"embedding": embedding, "purpose": "arrival", "limit": 3})
}

/// Lets every consent have run out.
pub(crate) const RUN_OUT: &str = "
    set session_replication_role = replica;
    update core.consents set granted_at = now() - interval '2 days', expires_at = now() - interval '1 day'";

impl Harness {
    /// A client of the counselor who consents to biometrics; returns the consent's id.
    async fn consenting(&mut self, user_id: &str, staff: &[&str]) -> Value {
        self.client(user_id, staff).await;
        let path = format!("/v1/users/{user_id}/consents");
        let given = self
            .call("app")
            .post(&path, &json!({"purpose": "biometrics"}))
            .await;
        assert_eq!(given.code(), 201);
        given.at("/consent_id").clone()
    }

    async fn keep(&self, user_id: &str, hash: &str, embedding: &[f64]) -> u16 {
        let path = format!("/v1/users/{user_id}/face-embeddings");
        self.call("app").post(&path, &face(hash, embedding)).await.code()
    }

    async fn faces(&self) -> i64 {
        self.database
            .count("select count(*) from core.face_embeddings")
            .await
    }
}

#[tokio::test]
async fn a_face_is_kept_under_a_consent_and_listed_without_its_embedding() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    for caller in ["app", "counselor"] {
        let refused = h.call(caller).post(OF_A, &face("one", &numbers(1.0, 0.0))).await;
        assert_eq!(refused.at("/type"), "/problems/consent-required", "{caller}");
        assert_eq!(refused.code(), 403);
    }
    let consent = json!({"purpose": "biometrics"});
    h.call("client-a")
        .post("/v1/users/client-a/consents", &consent)
        .await;
    let kept = h
        .call("counselor")
        .post(OF_A, &face("one", &numbers(3.0, -4.0)))
        .await;
    assert_eq!((kept.code(), kept.at("/model_name")), (201, &json!("face-512")));
    assert_eq!(h.keep("client-a", "two", &numbers(1.0, 0.0)).await, 201);
    for caller in ["client-a", "app", "counselor"] {
        let listed = h.call(caller).get(OF_A).await;
        assert_eq!(column(&listed, "idempotency_hash"), ["two", "one"], "{caller}");
        assert!(listed.at("/items/0/embedding").is_null());
    }
    let first = h.call("client-a").get(&format!("{OF_A}?limit=1")).await;
    let next = first.at("/next_cursor").as_str().unwrap();
    let second = h
        .call("client-a")
        .get(&format!("{OF_A}?limit=1&cursor={next}"))
        .await;
    assert_eq!(column(&second, "idempotency_hash"), ["one"]);
}

#[tokio::test]
async fn the_same_face_again_changes_nothing_and_another_one_under_its_hash_is_refused() {
    let mut h = Harness::new().await;
    h.consenting("client-a", &["counselor"]).await;
    h.consenting("client-b", &["counselor"]).await;
    let kept = h.call("app").post(OF_A, &face("one", &numbers(1.0, 2.0))).await;
    let again = h
        .call("counselor")
        .post(OF_A, &face("one", &numbers(1.0, 2.0)))
        .await;
    assert_eq!((again.code(), &again.json), (200, &kept.json));
    let other = h.call("app").post(OF_A, &face("one", &numbers(1.0, 2.1))).await;
    assert_eq!(
        (other.code(), other.at("/type")),
        (409, &json!("/problems/differs"))
    );
    let with_session = json!({"embedding": numbers(1.0, 2.0), "model_name": "face-512", "idempotency_hash": "one",
        "source_session_id": "s-1"});
    assert_eq!(h.call("app").post(OF_A, &with_session).await.code(), 409);
    assert_eq!(
        h.keep("client-b", "one", &numbers(1.0, 2.1)).await,
        201,
        "hashes are each client's own"
    );
    assert_eq!(h.faces().await, 2);
}

#[tokio::test]
async fn what_is_no_face_is_refused_by_name() {
    let mut h = Harness::new().await;
    h.consenting("client-a", &["counselor"]).await;
    let lengths = [vec![1.0; 511], vec![1.0; 513], Vec::new(), vec![0.0; 512]];
    for bad in lengths {
        for (path, caller, body) in [
            (OF_A, "app", face("one", &bad)),
            (SEARCH, "counselor", looking_for(&bad)),
        ] {
            let refused = h.call(caller).post(path, &body).await;
            assert_eq!(
                (refused.code(), pointers(&refused)),
                (422, vec!["/embedding".to_owned()])
            );
        }
    }
    let body = face("one", &numbers(1.0, 0.0)).to_string();
    for bad in ["1e999", "NaN", "-Infinity", "\"1\"", "null"] {
        let body = body.replacen("[1.0", &format!("[{bad}"), 1).into_bytes();
        let refused = h.call("app").send(reqwest::Method::POST, OF_A, Some(body)).await;
        assert_eq!(refused.code(), 422, "{bad}");
    }
    for model in ["text-1536", "nobody-s"] {
        let body = json!({"embedding": numbers(1.0, 0.0), "model_name": model, "idempotency_hash": "one"});
        let refused = h.call("app").post(OF_A, &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec!["/model_name".to_owned()])
        );
    }
    let without_purpose = json!({"embedding": numbers(1.0, 0.0), "limit": 101, "purpose": "curiosity"});
    let refused = h.call("counselor").post(SEARCH, &without_purpose).await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/limit".to_owned(), "/purpose".to_owned()])
    );
    assert_eq!(h.faces().await, 0);
}

#[tokio::test]
async fn the_nearest_of_the_own_clients_who_consent_are_found() {
    let mut h = Harness::new().await;
    for (user_id, staff) in [
        ("client-near", &["counselor"][..]),
        ("client-far", &["counselor"]),
        ("client-of-others", &["counselor_other"]),
        ("client-revoking", &["counselor"]),
        ("client-in-crisis", &[]),
    ] {
        let consent = h.consenting(user_id, staff).await;
        let far = f64::from(u8::from(user_id == "client-far"));
        assert_eq!(h.keep(user_id, "one", &numbers(1.0, far)).await, 201);
        if user_id == "client-revoking" {
            assert_eq!(
                h.call("app")
                    .with_header("x-on-behalf-of", user_id)
                    .delete(&format!("/v1/consents/{consent}"))
                    .await
                    .code(),
                204
            );
        }
    }
    h.run(
        "update core.users set external_id = 'ext-7' where user_id = 'client-near';
           insert into core.staff_roles (user_id, role) values ('staff-counselor', 'oncall')",
    )
    .await;
    h.crisis("client-in-crisis", "counselor").await;
    let found = h
        .call("counselor")
        .post(SEARCH, &looking_for(&numbers(10.0, 0.0)))
        .await;
    assert_eq!(found.code(), 200, "{}", found.json);
    assert_eq!(column(&found, "user_id"), ["client-near", "client-far"]);
    assert_eq!(found.at("/items/0/external_id"), "ext-7");
    assert_eq!(found.at("/items/0/display_name"), "client-near");
    assert!(found.at("/items/0/embedding_id").is_i64());
    assert_eq!(found.at("/items/0/distance"), 0.0);
    let distance = found.at("/items/1/distance").as_f64().unwrap();
    assert!((distance - (1.0 - 0.5_f64.sqrt())).abs() < 1e-6, "{distance}");
    let of_the_seed = h
        .call("counselor")
        .post("/search/face", &looking_for(&numbers(10.0, 0.0)))
        .await;
    assert_eq!(of_the_seed.json, found.json);
    for caller in [
        "client-near",
        "app",
        "oncall",
        "supervisor",
        "admin",
        "auditor",
        "pipeline",
    ] {
        let refused = h
            .call(caller)
            .post(SEARCH, &looking_for(&numbers(1.0, 0.0)))
            .await;
        assert_eq!(refused.code(), 403, "{caller}");
    }
}

#[tokio::test]
async fn a_face_whose_consent_has_run_out_is_not_found_and_goes() {
    let mut h = Harness::new().await;
    h.consenting("client-a", &["counselor"]).await;
    h.keep("client-a", "one", &numbers(1.0, 0.0)).await;
    h.run(RUN_OUT).await;
    let found = h
        .call("counselor")
        .post(SEARCH, &looking_for(&numbers(1.0, 0.0)))
        .await;
    assert_eq!((found.code(), found.items().len()), (200, 0));
    assert_eq!(h.keep("client-a", "two", &numbers(1.0, 0.0)).await, 403);
    h.consenting("client-b", &[]).await;
    h.keep("client-b", "one", &numbers(1.0, 0.0)).await;
    assert_eq!(h.app.round("forget_faces").await.unwrap(), 1);
    assert_eq!(
        h.app.round("forget_faces").await.unwrap(),
        0,
        "again does nothing"
    );
    assert_eq!(h.faces().await, 1, "that of who consents stays");
}

#[tokio::test]
async fn every_search_is_on_record_with_its_purpose_and_whom_it_found() {
    let mut h = Harness::new().await;
    h.consenting("client-a", &["counselor"]).await;
    h.keep("client-a", "one", &numbers(1.0, 0.0)).await;
    h.call("counselor")
        .post(SEARCH, &looking_for(&numbers(1.0, 0.0)))
        .await;
    h.call("counselor_other")
        .post(SEARCH, &looking_for(&numbers(1.0, 0.0)))
        .await;
    let rows = h.audited("e.object_type = 'search'").await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["who"].as_str().unwrap(),
                row["event_type"].as_str().unwrap(),
                row["reason"].as_str().unwrap(),
                &row["people"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("staff-counselor", "read", "arrival", &json!(["client-a"])),
            ("staff-counselor_other", "read", "arrival", &json!([])),
        ]
    );
    let seen = h.call("client-a").get("/v1/users/client-a/access-log").await;
    assert_eq!(seen.at("/items/0/what"), "POST /v1/search/face");
}

#[tokio::test]
async fn nobody_looks_for_faces_by_the_hundred() {
    let h = Harness::new().await;
    let search = looking_for(&numbers(1.0, 0.0));
    let counselor = h.call("counselor");
    let asked = join_all((0..31).map(|_| counselor.post(SEARCH, &search))).await;
    let refused: Vec<_> = asked.iter().filter(|answer| answer.code() == 429).collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].headers.contains_key("retry-after"));
    assert_eq!(h.call("counselor_other").post(SEARCH, &search).await.code(), 200);
}

#[tokio::test]
async fn a_face_is_forgotten_by_those_who_may_keep_it_and_by_the_person() {
    let mut h = Harness::new().await;
    h.consenting("client-a", &["counselor"]).await;
    h.consenting("client-b", &[]).await;
    for hash in ["one", "two", "three"] {
        h.keep("client-a", hash, &numbers(1.0, 0.0)).await;
    }
    let ids = column(&h.call("client-a").get(OF_A).await, "id");
    for (caller, id, code) in [
        ("counselor_other", 0, 404),
        ("client-b", 0, 404),
        ("supervisor", 0, 403),
        ("client-a", 0, 204),
        ("client-a", 0, 404),
        ("app", 1, 204),
        ("counselor", 2, 204),
    ] {
        let path = format!("{OF_A}/{}", ids[id]);
        assert_eq!(h.call(caller).delete(&path).await.code(), code, "{caller}");
    }
    assert_eq!(h.faces().await, 0);
}

#[tokio::test]
async fn a_crisis_opens_no_faces() {
    let mut h = Harness::new().await;
    h.consenting("client-a", &["counselor"]).await;
    assert_eq!(h.keep("client-a", "one", &numbers(1.0, 0.0)).await, 201);
    let helper = h.helper_in_a_crisis("client-a").await;
    let listed = h.call("counselor").get(OF_A).await;
    let one = format!("{OF_A}/{}", listed.items()[0]["id"]);
    assert_eq!(helper.get(OF_A).await.code(), 404);
    assert_eq!(helper.delete(&one).await.code(), 404);
    assert_eq!(
        helper.post(OF_A, &face("two", &numbers(1.0, 0.0))).await.code(),
        404
    );
    assert_eq!(h.faces().await, 1);
}

#[tokio::test]
async fn a_revocation_waits_for_the_face_that_is_being_kept_and_takes_it_along() {
    let mut h = Harness::new().await;
    let consent = h.consenting("client-a", &["counselor"]).await;
    // One under the same hash that comes to nothing: whoever keeps a face has seen the consent when they wait for it.
    let other = h.database.superuser().await;
    other
        .run(
            "set session_replication_role = replica; begin;
             insert into core.face_embeddings (user_id, embedding, model_name, idempotency_hash)
             values ('client-a', array_fill(1, array[512])::public.vector, 'face-512', 'one')",
        )
        .await;
    let embedding = numbers(1.0, 0.0);
    let revoke = async {
        h.so_many_wait(1).await;
        let path = format!("/v1/consents/{consent}");
        h.call("client-a").delete(&path).await.code()
    };
    let release = async {
        h.so_many_wait(2).await;
        other.run("rollback").await;
    };
    let (kept, revoked, ()) = futures::join!(h.keep("client-a", "one", &embedding), revoke, release);
    assert_eq!((kept, revoked), (201, 204));
    assert_eq!(h.faces().await, 0);
}

#[tokio::test]
async fn of_a_hundred_faces_that_race_a_revocation_none_stays() {
    let mut h = Harness::new().await;
    let consent = h.consenting("client-a", &["counselor"]).await;
    assert_eq!(h.keep("client-a", "before", &numbers(1.0, 0.0)).await, 201);
    let (app, person) = (h.call("app"), h.call("client-a"));
    let revocation = format!("/v1/consents/{consent}");
    let race = |n: usize| {
        let (app, person, revocation) = (app.clone(), person.clone(), revocation.clone());
        let body = face(&format!("race-{n}"), &numbers(1.0, 0.5));
        async move {
            if n == 50 {
                person.delete(&revocation).await.code()
            } else {
                app.post(OF_A, &body).await.code()
            }
        }
    };
    let codes: Vec<u16> = futures::stream::iter((0..=100).map(race))
        .buffer_unordered(16)
        .collect()
        .await;
    let count = |code| codes.iter().filter(|found| **found == code).count();
    assert_eq!((count(204), count(201) + count(403)), (1, 100), "{codes:?}");
    assert!(count(201) > 0 && count(403) > 0, "{codes:?}");
    assert_eq!(h.faces().await, 0);
}

#[tokio::test]
async fn without_the_trigger_a_revocation_leaves_faces() {
    let mut h = Harness::new().await;
    let consent = h.consenting("client-a", &[]).await;
    h.keep("client-a", "one", &numbers(1.0, 0.0)).await;
    h.run("drop trigger forget_faces on core.consents").await;
    let revoked = h
        .call("client-a")
        .delete(&format!("/v1/consents/{consent}"))
        .await;
    assert_eq!((revoked.code(), h.faces().await), (204, 1));
}

#[tokio::test]
async fn the_database_takes_no_face_without_a_consent_from_its_owner_either() {
    let h = Harness::with_client("client-a").await;
    let insert = "insert into core.face_embeddings (user_id, embedding, model_name, idempotency_hash)
        values ('client-a', array_fill(1, array[512])::public.vector, 'face-512', 'one')";
    assert!(h.owner_is_refused(insert, "ck_face_embeddings_consent").await);
}

#[tokio::test]
async fn a_new_consent_brings_back_no_face_of_one_that_has_run_out() {
    let mut h = Harness::new().await;
    h.consenting("client-a", &["counselor"]).await;
    assert_eq!(h.keep("client-a", "one", &numbers(1.0, 0.0)).await, 201);
    h.run(RUN_OUT).await;
    let again = json!({"purpose": "biometrics"});
    let given = h
        .call("client-a")
        .post("/v1/users/client-a/consents", &again)
        .await;
    assert_eq!((given.code(), h.faces().await), (201, 0));
    assert_eq!(h.keep("client-a", "two", &numbers(1.0, 0.0)).await, 201);
    assert_eq!(
        h.app.round("forget_faces").await.unwrap(),
        0,
        "what the new one covers stays"
    );
}
