//! Clerk's webhooks, sent by the official library that signs them.

use core_service::{ClerkSettings, Config};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::Harness;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The same settings with Clerk's webhooks.
pub(crate) fn taking_webhooks(config: Config) -> Config {
    let clerk = ClerkSettings {
        webhook_secret: Some(SecretString::from(SECRET)),
        sessions: None,
    };
    Config { clerk, ..config }
}

async fn with_clerk() -> Harness {
    Harness::with_config(taking_webhooks).await
}

/// Sends webhooks one after the other; the status of each.
pub(crate) async fn deliver(h: &Harness, deliveries: &[Value]) -> Vec<i64> {
    let list = Value::from(deliveries).to_string();
    let environment = [("CLERK_SECRET", SECRET), ("DELIVERIES", &list)];
    let printed = h.python("clerk_sender.py", &environment).await;
    serde_json::from_str(&printed).unwrap()
}

/// An account as Clerk shows it at the `version`-th second of its life.
fn account(id: &str, version: i64) -> Value {
    json!({
        "id": id, "object": "user", "username": format!("{id}-{version}"), "first_name": "Ann",
        "last_name": format!("V{version}"), "external_id": format!("case-{id}"), "created_at": 1_700_000_000_000_i64,
        "updated_at": 1_700_000_000_000_i64 + version * 1000, "primary_email_address_id": "e1",
        "email_addresses": [{"id": "e1", "email_address": format!("{id}.{version}@mail.example"), "object": "email_address"}],
        "primary_phone_number_id": "p1", "phone_numbers": [{"id": "p1", "phone_number": format!("+1-{version}")}],
        "public_metadata": {}, "banned": false,
    })
}

fn delivery(webhook: &str, kind: &str, data: &Value) -> Value {
    json!({"id": webhook, "body": {"type": kind, "object": "event", "data": data, "timestamp": 1}})
}

pub(crate) fn deleted(webhook: &str, id: &str) -> Value {
    delivery(
        webhook,
        "user.deleted",
        &json!({"id": id, "object": "user", "deleted": true}),
    )
}

/// Every order of a list.
fn orders(list: &[Value]) -> Vec<Vec<Value>> {
    if list.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 0..list.len() {
        let mut rest = list.to_vec();
        let first = rest.remove(first);
        for order in orders(&rest) {
            all.push([vec![first.clone()], order].concat());
        }
    }
    all
}

#[tokio::test]
async fn an_account_at_clerk_is_a_client_here() {
    let h = with_clerk().await;
    let sent = [
        delivery("msg_1", "user.created", &account("user_a", 1)),
        delivery("msg_2", "user.updated", &account("user_a", 2)),
        delivery("msg_3", "session.created", &json!({"id": "sess_1"})),
    ];
    assert_eq!(deliver(&h, &sent).await, [204, 204, 204]);
    let made = h.events("core.user.created").await;
    assert_eq!((made.len(), &made[0]["kind"]), (1, &json!("client")));
    let id = made[0]["user_id"].as_str().unwrap();
    let rows = h.audited("e.actor = 'clerk'").await;
    assert_eq!(rows.len(), 2, "one for each change");
    assert_eq!(rows[1]["people"], json!([id]));
    let seen = h.call("admin").get(&format!("/v1/users/{id}")).await;
    for (field, value) in [
        ("username", "user_a-2"),
        ("email", "user_a.2@mail.example"),
        ("full_name", "Ann V2"),
        ("display_name", "Ann"),
        ("phone", "+1-2"),
        ("external_id", "case-user_a"),
        ("status", "active"),
    ] {
        assert_eq!(seen.at(&format!("/{field}")), &json!(value), "{field}");
    }
}

#[tokio::test]
async fn every_order_and_every_repeat_ends_in_the_same_state() {
    let h = with_clerk().await;
    let mut sent = Vec::new();
    let all_orders = orders(&[json!(0), json!(1), json!(2)]);
    for (number, order) in all_orders.iter().enumerate() {
        let id = format!("user_{number}");
        let told = [
            delivery(&format!("msg_{id}_0"), "user.created", &account(&id, 1)),
            delivery(&format!("msg_{id}_1"), "user.updated", &account(&id, 2)),
            delivery(&format!("msg_{id}_2"), "user.updated", &account(&id, 3)),
        ];
        for index in order {
            let one = told[usize::try_from(index.as_u64().unwrap()).unwrap()].clone();
            sent.extend([one.clone(), one]);
        }
        sent.extend(told);
    }
    let answers = deliver(&h, &sent).await;
    assert_eq!(answers, vec![204; sent.len()]);
    let newest =
        "select count(*) from core.users where username = clerk_user_id || '-3' and full_name = 'Ann V3'
        and email = clerk_user_id || '.3@mail.example' and phone = '+1-3'";
    assert_eq!(h.database.count(newest).await, 6);
    let accounts = "select count(*) from core.users where clerk_user_id is not null";
    assert_eq!(h.database.count(accounts).await, 6);
    assert_eq!(h.events("core.user.created").await.len(), 6);
}

#[tokio::test]
async fn of_two_words_of_one_time_the_same_one_holds_in_both_orders() {
    let h = with_clerk().await;
    let mut sent = Vec::new();
    for (id, order) in [("user_a", [0, 1]), ("user_b", [1, 0])] {
        let mut other = account(id, 1);
        other["first_name"] = json!("Bea");
        let told = [
            delivery(&format!("msg_1_{id}"), "user.created", &account(id, 1)),
            delivery(&format!("msg_2_{id}"), "user.updated", &other),
        ];
        sent.extend(order.map(|index| told[index].clone()));
    }
    assert_eq!(deliver(&h, &sent).await, [204; 4]);
    let second = "select count(*) from core.users where display_name = 'Bea'";
    assert_eq!(h.database.count(second).await, 2);
}

#[tokio::test]
async fn a_deleted_account_never_comes_back_in_any_order() {
    let h = with_clerk().await;
    let mut sent = Vec::new();
    for (number, order) in orders(&[json!(0), json!(1), json!(2)]).iter().enumerate() {
        let id = format!("user_{number}");
        let told = [
            delivery(&format!("msg_{id}_0"), "user.created", &account(&id, 1)),
            delivery(&format!("msg_{id}_1"), "user.updated", &account(&id, 2)),
            deleted(&format!("msg_{id}_2"), &id),
        ];
        for index in order {
            sent.push(told[usize::try_from(index.as_u64().unwrap()).unwrap()].clone());
        }
    }
    assert_eq!(deliver(&h, &sent).await, [204; 18]);
    let active = "select count(*) from core.users where clerk_user_id is not null and status = 'active'";
    assert_eq!(h.database.count(active).await, 0);
    let left = "select count(*) from core.clerk_accounts where deleted_at is not null";
    assert_eq!(h.database.count(left).await, 6);
}

#[tokio::test]
async fn a_deleted_account_is_signed_out() {
    let mut h = with_clerk().await;
    h.client("client-a", &[]).await;
    h.run("update core.users set clerk_user_id = 'user_a' where user_id = 'client-a'")
        .await;
    let caller = h.call("client-a");
    assert_eq!(caller.get("/v1/me").await.code(), 200);
    assert_eq!(deliver(&h, &[deleted("msg_1", "user_a")]).await, [204]);
    h.refused_soon(&caller).await;
}

#[tokio::test]
async fn what_clerk_did_not_sign_just_now_changes_nothing() {
    let h = with_clerk().await;
    let good = delivery("msg_1", "user.created", &account("user_a", 1));
    let with = |field: &str, value: Value| {
        let mut sent = good.clone();
        sent[field] = value;
        sent
    };
    let sent = [
        with("secret", json!(OTHER_SECRET)),
        with("age_seconds", json!(301)),
        with("age_seconds", json!(-302)),
        with(
            "sent_body",
            json!({"type": "user.created", "data": account("user_b", 1)}),
        ),
    ];
    assert_eq!(deliver(&h, &sent).await, [401; 4]);
    let unsigned = h.anonymous().post("/v1/webhooks/clerk", &good["body"]).await;
    assert_eq!(
        (unsigned.code(), unsigned.at("/type")),
        (401, &json!("/problems/unauthenticated"))
    );
    let body = json!({"type": "user.created", "data": {"id": "user_a"}});
    let malformed = json!({"id": "msg_2", "body": body});
    assert_eq!(deliver(&h, &[malformed]).await, [400]);
    let kept =
        "select (select count(*) from core.webhook_receipts) + (select count(*) from core.clerk_accounts)
        + (select count(*) from core.users where clerk_user_id is not null)";
    assert_eq!(h.database.count(kept).await, 0);
}

#[tokio::test]
async fn a_name_that_is_taken_changes_nothing_until_it_is_free() {
    let h = with_clerk().await;
    let taken = json!({"user_id": "client-old", "kind": "client", "email": "USER_A.1@mail.example"});
    assert_eq!(h.call("admin").post("/v1/users", &taken).await.code(), 201);
    let sent = [delivery("msg_1", "user.created", &account("user_a", 1))];
    assert_eq!(deliver(&h, &sent).await, [409]);
    let kept =
        "select (select count(*) from core.webhook_receipts) + (select count(*) from core.clerk_accounts)";
    assert_eq!(h.database.count(kept).await, 0);
    h.run("update core.users set email = null where user_id = 'client-old'")
        .await;
    assert_eq!(deliver(&h, &sent).await, [204]);
}

#[tokio::test]
async fn old_receipts_go_and_new_ones_stay() {
    let h = with_clerk().await;
    h.run(
        "insert into core.webhook_receipts (webhook_id, received_at)
         values ('old', now() - interval '31 days'), ('young', now() - interval '29 days')",
    )
    .await;
    assert_eq!(deliver(&h, &[deleted("msg_1", "user_a")]).await, [204]);
    let left = h
        .database
        .query("select string_agg(webhook_id, ' ' order by webhook_id) as ids from core.webhook_receipts")
        .await;
    assert_eq!(left[0].get::<_, String>("ids"), "msg_1 young");
}

#[tokio::test]
async fn without_its_settings_nothing_of_clerk_is_there() {
    let h = Harness::new().await;
    let webhook = h.anonymous().post("/v1/webhooks/clerk", &json!({})).await;
    let exchange = h.anonymous().post("/v1/auth/clerk", &json!({"token": "x"})).await;
    assert_eq!((webhook.code(), exchange.code()), (404, 404));
}

#[tokio::test]
async fn who_leaves_here_is_not_brought_back_by_what_clerk_still_sends() {
    let h = with_clerk().await;
    let made = deliver(&h, &[delivery("w1", "user.created", &account("user_a", 1))]).await;
    assert_eq!(made, [204]);
    let of = "select user_id from core.users where clerk_user_id = 'user_a'";
    let id: String = h.database.query(of).await[0].get("user_id");
    let left = h.call("app").delete(&format!("/v1/users/{id}/opt-out")).await;
    assert_eq!(left.code(), 200, "{}", left.json);
    deliver(&h, &[delivery("w2", "user.updated", &account("user_a", 2))]).await;
    assert!(h.database.query(of).await.is_empty());
    assert_eq!(
        h.database
            .count("select count(*) from core.users where kind = 'client'")
            .await,
        0
    );
}
