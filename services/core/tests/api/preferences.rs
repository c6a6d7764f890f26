//! Preferences, profile, and what clients say they like: theirs to write, and read by who cares for them.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, column, pointers};

const PREFERENCES: &str = "/v1/users/client-a/preferences";
const PROFILE: &str = "/v1/users/client-a/profile";
const STATED: &str = "/v1/users/client-a/stated-preferences";

fn likes(value: &str) -> Value {
    json!({"kind": "like", "category": "activity", "value": value})
}

#[tokio::test]
async fn preferences_are_the_defaults_until_they_are_stated_and_then_replaced_whole() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    let defaults = json!({
        "user_id": "client-a", "custom_hours": null, "theme": null, "communication_preferences": {},
        "onboarding_completed": false, "updated_at": null,
    });
    assert_eq!(client.get(PREFERENCES).await.json, defaults);
    let stated = json!({
        "custom_hours": {"start": "22:00", "end": "06:30", "days": {"saturday": false, "sunday": false}},
        "theme": "dark", "communication_preferences": {"email": false, "push": true}, "onboarding_completed": true,
    });
    let answer = client.put(PREFERENCES, &stated).await;
    assert_eq!(answer.code(), 200);
    for caller in [h.call("client-a"), h.call("app"), h.call("counselor")] {
        let read = caller.get(PREFERENCES).await;
        assert_eq!((read.code(), &read.bytes), (200, &answer.bytes));
    }
    for (field, value) in stated.as_object().unwrap() {
        assert_eq!(&answer.json[field], value);
    }
    let less = h
        .app_for("client-a")
        .put(PREFERENCES, &json!({"theme": "light"}))
        .await;
    assert_eq!(less.at("/custom_hours"), &Value::Null);
    assert_eq!(less.at("/communication_preferences"), &json!({}));
    assert_eq!(less.at("/onboarding_completed"), &json!(false));
    assert_eq!(
        h.database
            .count("select count(*) from core.user_preferences")
            .await,
        1
    );
}

#[tokio::test]
async fn every_fault_of_preferences_is_named_at_once() {
    let h = Harness::with_client("client-a").await;
    let bad = json!({
        "custom_hours": {"start": "9:00", "end": "25:00", "days": {"monday": 1, "sunday": "no", "holiday": true}, "zone": "UTC"},
        "theme": "", "communication_preferences": {"email": "yes", "pigeon": true}, "onboarding_completed": null,
        "quiet_hours": {}, "user_id": "client-b",
    });
    let refused = h.call("client-a").put(PREFERENCES, &bad).await;
    let mut named = pointers(&refused);
    named.sort_unstable();
    assert_eq!(refused.code(), 422);
    assert_eq!(
        named,
        [
            "/communication_preferences/email",
            "/communication_preferences/pigeon",
            "/custom_hours/days/holiday",
            "/custom_hours/days/monday",
            "/custom_hours/days/sunday",
            "/custom_hours/end",
            "/custom_hours/start",
            "/custom_hours/zone",
            "/quiet_hours",
            "/theme",
            "/user_id",
        ]
    );
    for (body, pointer) in [
        (json!({"custom_hours": {"start": "09:00"}}), "/custom_hours/end"),
        (
            json!({"custom_hours": {"start": "09:00", "end": "09:00"}}),
            "/custom_hours/end",
        ),
        (json!({"custom_hours": []}), "/custom_hours"),
        (
            json!({"communication_preferences": true}),
            "/communication_preferences",
        ),
        (json!({"onboarding_completed": "true"}), "/onboarding_completed"),
    ] {
        let refused = h.call("client-a").put(PREFERENCES, &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![pointer.to_owned()])
        );
    }
    assert_eq!(
        h.database
            .count("select count(*) from core.user_preferences")
            .await,
        0
    );
}

#[tokio::test]
async fn a_profile_is_written_by_key_read_by_key_and_forgotten() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    let path = format!("{PROFILE}/favourite_place");
    let entry = json!({"profile_value": "the river", "source": "onboarding", "metadata": {"turn": 3}});
    let first = client.put(&path, &entry).await;
    assert_eq!((first.code(), first.at("/is_sensitive")), (201, &json!(false)));
    assert_eq!(first.at("/profile_value"), &Value::Null, "it is not sent back");
    let read = client.get(&path).await;
    for (field, value) in entry.as_object().unwrap() {
        assert_eq!(&read.json[field], value);
    }
    let second = client.put(&path, &json!({"profile_value": "the hills"})).await;
    assert_eq!(second.code(), 200);
    assert_eq!(second.at("/created_at"), first.at("/created_at"));
    let read = client.get(&path).await;
    assert_eq!(
        read.json,
        json!({
            "profile_key": "favourite_place", "profile_value": "the hills", "is_sensitive": false, "source": null,
            "metadata": null, "created_at": second.at("/created_at"), "updated_at": second.at("/updated_at"),
        })
    );
    assert_eq!(h.call("counselor").get(&path).await.bytes, read.bytes);
    assert_eq!(client.delete(&path).await.code(), 204);
    assert_eq!(client.get(&path).await.code(), 404);
    assert_eq!(client.delete(&path).await.code(), 404);
    let empty = client.get(PROFILE).await;
    assert_eq!((empty.code(), empty.items()), (200, Vec::new()));
}

#[tokio::test]
async fn staff_do_not_see_that_a_sensitive_entry_is_there() {
    let mut h = Harness::with_client("client-a").await;
    h.client("client-b", &["supervisor"]).await;
    h.run(
        "insert into core.caseload_assignments (client_id, staff_id) values ('client-a', 'staff-supervisor')",
    )
    .await;
    let app = h.call("app");
    for (key, is_sensitive) in [("a-open", false), ("b-hidden", true), ("c-open", false)] {
        let entry = json!({"profile_value": "value", "is_sensitive": is_sensitive});
        assert_eq!(app.put(&format!("{PROFILE}/{key}"), &entry).await.code(), 201);
    }
    for (caller, keys, code) in [
        ("client-a", vec!["a-open", "b-hidden", "c-open"], 200),
        ("app", vec!["a-open", "b-hidden", "c-open"], 200),
        ("counselor", vec!["a-open", "c-open"], 404),
        ("supervisor", vec!["a-open", "c-open"], 404),
    ] {
        let caller = h.call(caller);
        assert_eq!(column(&caller.get(PROFILE).await, "profile_key"), keys);
        assert_eq!(caller.get(&format!("{PROFILE}/b-hidden")).await.code(), code);
    }
    let first = h.call("counselor").get(&format!("{PROFILE}?limit=1")).await;
    let next = first.at("/next_cursor").as_str().expect("more").to_owned();
    let path = format!("{PROFILE}?limit=1&cursor={next}");
    let second = h.call("counselor").get(&path).await;
    assert_eq!(
        (column(&second, "profile_key"), second.at("/next_cursor")),
        (vec![json!("c-open")], &Value::Null)
    );
    assert_eq!(
        h.call("client-a").get(&path).await.code(),
        422,
        "a cursor is its caller's own"
    );
    let hidden = json!({"profile_value": "value", "is_sensitive": true});
    app.put(&format!("{PROFILE}/a-open"), &hidden).await;
    assert_eq!(
        h.call("counselor").get(&format!("{PROFILE}/a-open")).await.code(),
        404
    );
}

#[tokio::test]
async fn a_profile_entry_that_cannot_be_is_refused_by_name() {
    let h = Harness::with_client("client-a").await;
    let path = format!("{PROFILE}/key");
    for (body, named, code) in [
        (json!({}), vec!["/profile_value"], 422),
        (json!({"profile_value": ""}), vec!["/profile_value"], 422),
        (json!({"profile_value": "a\u{0}b"}), vec!["/profile_value"], 422),
        (
            json!({"profile_value": "x".repeat(8_193)}),
            vec!["/profile_value"],
            413,
        ),
        (
            json!({"profile_value": "v", "metadata": {"k": "x".repeat(17_000)}}),
            vec!["/metadata"],
            413,
        ),
        (
            json!({"profile_value": 7, "is_sensitive": "no", "source": "", "metadata": [], "user_id": "client-b"}),
            vec![
                "/profile_value",
                "/is_sensitive",
                "/source",
                "/metadata",
                "/user_id",
            ],
            422,
        ),
    ] {
        let refused = h.call("client-a").put(&path, &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (code, named.into_iter().map(str::to_owned).collect())
        );
    }
    let largest = json!({"profile_value": "x".repeat(8_192)});
    assert_eq!(h.call("client-a").put(&path, &largest).await.code(), 201);
    for bad in ["a%20b", "a%00", "%27--"] {
        let refused = h
            .call("client-a")
            .put(&format!("{PROFILE}/{bad}"), &largest)
            .await;
        assert_eq!(refused.code(), 404, "{bad}");
    }
}

#[tokio::test]
async fn a_preference_is_stated_once_and_a_thing_is_liked_or_disliked() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    let mut walks = likes("walks");
    walks["weight"] = json!(0.123_456_7);
    walks["source_session_id"] = json!("session-1");
    let first = client.post(STATED, &walks).await;
    assert_eq!(
        (first.code(), first.at("/value")),
        (201, &Value::Null),
        "it is not sent back"
    );
    let listed = client.get(STATED).await;
    let kept = &listed.items()[0];
    assert_eq!((&kept["id"], &kept["value"]), (first.at("/id"), &json!("walks")));
    assert_eq!(
        (&kept["kind"], &kept["weight"]),
        (&json!("like"), &json!(0.123_457))
    );
    walks["source_session_id"] = json!("session-2");
    let again = h.call("app").post(STATED, &walks).await;
    assert_eq!((again.code(), &again.bytes), (200, &first.bytes));
    for (field, value) in [("kind", json!("dislike")), ("weight", json!(0.5))] {
        let mut other = walks.clone();
        other[field] = value;
        let refused = client.post(STATED, &other).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (409, &json!("/problems/differs"))
        );
    }
    let mut in_a_role = walks.clone();
    in_a_role["role"] = json!("local_guide");
    in_a_role["kind"] = json!("dislike");
    assert_eq!(client.post(STATED, &in_a_role).await.code(), 201);
    let path = format!("{STATED}/{}", first.at("/id"));
    assert_eq!(client.delete(&path).await.code(), 204);
    assert_eq!(client.delete(&path).await.code(), 404);
    walks["kind"] = json!("dislike");
    assert_eq!(client.post(STATED, &walks).await.code(), 201);
    assert_eq!(column(&client.get(STATED).await, "kind"), ["dislike", "dislike"]);
}

#[tokio::test]
async fn what_was_forgotten_of_a_profile_or_preferences_is_kept_by_no_answer() {
    let h = Harness::with_client("client-a").await;
    let keyed = |key: &str| h.call("client-a").with_header("idempotency-key", key);
    let path = format!("{PROFILE}/marker");
    let entry = json!({"profile_value": "marker", "source": "marker", "metadata": {"of": "marker"}});
    let mut likes = likes("marker");
    (likes["category"], likes["source_session_id"]) = (json!("marker"), json!("marker"));
    let written = keyed("one").put(&path, &entry).await;
    let stated = keyed("two").post(STATED, &likes).await;
    let again = keyed("three").post(STATED, &likes).await;
    assert_eq!((written.code(), stated.code(), again.code()), (201, 201, 200));
    let client = h.call("client-a");
    assert_eq!(client.delete(&path).await.code(), 204);
    let stated_path = format!("{STATED}/{}", stated.at("/id"));
    assert_eq!(client.delete(&stated_path).await.code(), 204);
    assert_eq!(h.answers_that_say("marker").await, 0);
    assert_eq!(keyed("one").put(&path, &entry).await.bytes, written.bytes);
    assert_eq!(keyed("two").post(STATED, &likes).await.bytes, stated.bytes);
}

#[tokio::test]
async fn parallel_statements_of_one_thing_are_one() {
    let h = Harness::with_client("client-a").await;
    let caller = h.call("app");
    let answers = join_all((0..20).map(|_| {
        let caller = caller.clone();
        async move { caller.post(STATED, &likes("walks")).await.code() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|code| **code == 201).count(), 1);
    assert_eq!(answers.iter().filter(|code| **code == 200).count(), 19);
}

#[tokio::test]
async fn a_statement_that_cannot_be_is_refused_by_name() {
    let h = Harness::with_client("client-a").await;
    let with = |field: &str, value: Value| {
        let mut sent = likes("walks");
        sent[field] = value;
        sent
    };
    for (field, value) in [
        ("kind", json!("love")),
        ("category", json!("")),
        ("category", json!("x".repeat(101))),
        ("value", json!("x".repeat(501))),
        ("value", json!(7)),
        ("weight", json!(-0.01)),
        ("weight", json!(1.01)),
        ("weight", json!("1")),
        ("role", json!("a b")),
        ("source_session_id", json!("")),
        ("created_at", json!("2026-01-01T00:00:00Z")),
    ] {
        let refused = h.call("client-a").post(STATED, &with(field, value)).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, vec![format!("/{field}")])
        );
    }
    let infinite = br#"{"kind": "like", "category": "c", "value": "v", "weight": 1e999}"#.to_vec();
    let refused = h
        .call("client-a")
        .send(Method::POST, STATED, Some(infinite))
        .await;
    assert_eq!(
        (refused.code(), pointers(&refused)),
        (422, vec!["/weight".to_owned()])
    );
    assert_eq!(
        h.database
            .count("select count(*) from core.stated_preferences")
            .await,
        0
    );
}

#[tokio::test]
async fn what_was_stated_comes_newest_first_page_by_page() {
    let h = Harness::with_client("client-a").await;
    for n in 1..=5 {
        h.call("client-a")
            .post(STATED, &likes(&format!("walk {n}")))
            .await;
    }
    let counselor = h.call("counselor");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = counselor.get(&format!("{STATED}?limit=2{cursor}")).await;
        seen.extend(column(&page, "value"));
        let Some(next) = page.at("/next_cursor").as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["walk 5", "walk 4", "walk 3", "walk 2", "walk 1"]);
    for query in ["limit=-1", "limit=1000000000", "cursor=AAAA", "kind=like"] {
        let refused = counselor.get(&format!("{STATED}?{query}")).await;
        assert_eq!(refused.code(), 422, "{query}");
    }
}

/// What each route of a client answers to a caller, by method and path.
async fn answers(h: &Harness, caller: &testkit::Client, user_id: &str, id: &Value) -> Vec<(String, u16)> {
    let base = format!("/v1/users/{user_id}");
    let entry = json!({"profile_value": "value"});
    let mut codes = Vec::new();
    for (method, path, body) in [
        (Method::GET, format!("{base}/preferences"), None),
        (Method::GET, format!("{base}/profile"), None),
        (Method::GET, format!("{base}/profile/key"), None),
        (Method::GET, format!("{base}/stated-preferences"), None),
        (
            Method::PUT,
            format!("{base}/preferences"),
            Some(json!({"theme": "dark"})),
        ),
        (Method::PUT, format!("{base}/profile/key"), Some(entry)),
        (
            Method::POST,
            format!("{base}/stated-preferences"),
            Some(likes("walks")),
        ),
        (Method::DELETE, format!("{base}/profile/key"), None),
        (Method::DELETE, format!("{base}/stated-preferences/{id}"), None),
    ] {
        let body = body.map(|body| body.to_string().into_bytes());
        let answer = caller.send(method.clone(), &path, body).await;
        codes.push((format!("{method} {path}"), answer.code()));
    }
    let rows =
        "select (select count(*) from core.user_preferences) + (select count(*) from core.user_profiles)
        + (select count(*) from core.stated_preferences)";
    assert_eq!(h.database.count(rows).await, 3, "nothing is written or forgotten");
    codes
}

#[tokio::test]
async fn preferences_are_the_client_s_and_read_by_who_cares_for_them() {
    let mut h = Harness::with_client("client-a").await;
    h.client("client-b", &["counselor_other"]).await;
    h.run("insert into core.staff_roles (user_id, role) values ('staff-counselor_other', 'oncall')")
        .await;
    h.crisis("client-a", "counselor_other").await;
    let client = h.call("client-a");
    client.put(PREFERENCES, &json!({"theme": "dark"})).await;
    client
        .put(&format!("{PROFILE}/key"), &json!({"profile_value": "v"}))
        .await;
    let stated = client.post(STATED, &likes("walks")).await;
    let id = stated.at("/id");
    for (caller, user_id, read, written) in [
        (h.call("counselor"), "client-a", 200, 403),
        (h.call("counselor_other"), "client-a", 404, 403),
        (h.call("supervisor"), "client-a", 404, 403),
        (h.call("client-b"), "client-a", 404, 404),
        (h.app_for("client-b"), "client-a", 404, 404),
        (h.call("app"), "nobody", 404, 404),
        (h.call("app"), "staff-admin", 404, 404),
        (h.call("oncall"), "client-a", 403, 403),
        (h.call("admin"), "client-a", 403, 403),
        (h.call("auditor"), "client-a", 403, 403),
        (h.call("pipeline"), "client-a", 403, 403),
        (h.call("service"), "client-a", 403, 403),
        (h.anonymous(), "client-a", 401, 401),
    ] {
        for (route, code) in answers(&h, &caller, user_id, id).await {
            let expected = if route.starts_with("GET") { read } else { written };
            assert_eq!(code, expected, "{route}");
        }
    }
}

#[tokio::test]
async fn it_is_the_row_policies_that_keep_preferences_apart() {
    let h = Harness::with_client("client-a").await;
    let client = h.call("client-a");
    client.put(PREFERENCES, &json!({"theme": "dark"})).await;
    client
        .put(&format!("{PROFILE}/key"), &json!({"profile_value": "v"}))
        .await;
    client.post(STATED, &likes("walks")).await;
    let seen = async |staff_id: &str| {
        let actor = db::Actor::Staff(staff_id.to_owned());
        let rows = "select p.user_id from core.user_preferences p union all select p.user_id from core.user_profiles p
            union all select s.user_id from core.stated_preferences s";
        h.database.seen_by("core", &actor, rows).await.len()
    };
    assert_eq!(
        (seen("staff-counselor").await, seen("staff-counselor_other").await),
        (3, 0)
    );
    for table in ["user_preferences", "user_profiles", "stated_preferences"] {
        h.run(&format!("alter table core.{table} disable row level security"))
            .await;
    }
    assert_eq!(seen("staff-counselor_other").await, 3);
}

#[tokio::test]
async fn social_reads_preferences_and_nothing_else_of_these() {
    let h = Harness::with_client("client-a").await;
    h.call("client-a")
        .put(PREFERENCES, &json!({"theme": "dark"}))
        .await;
    let social = h.database.pools("social");
    let read = "select p.custom_hours, p.communication_preferences from core.user_preferences p";
    assert_eq!(social.worker_query(read, &[]).await.unwrap().len(), 1);
    let hidden = [
        "select 1 from core.user_profiles",
        "select 1 from core.stated_preferences",
        "select 1 from core.disclosures",
        "delete from core.user_preferences",
    ];
    testkit::serving::may_read_none_of(&social, &hidden).await;
    let risk = h.database.pools("risk");
    testkit::serving::may_read_none_of(&risk, &["select 1 from core.user_preferences"]).await;
}
