//! The frame around every route: refusals, ids, limits, health, documentation, stopping.

use std::num::NonZeroU32;
use std::time::Duration;

use super::site::*;
use crate::{RateSettings, Readiness, ServerSettings};

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_problem_says_what_where_and_under_which_id() {
    let site = start(&settings(), Readiness::new());
    let headers = format!(
        "{}X-Request-Id: r-1\r\nContent-Type: application/json\r\n",
        bearer(COUNSELOR)
    );
    let received = post(site.address, "/v1/things", &headers, br#"{"name":"n"}"#).await;
    assert_eq!(
        received.header("content-type").as_deref(),
        Some("application/problem+json")
    );
    insta::assert_json_snapshot!(received.json(), @r#"
    {
      "detail": "One value is not valid; see errors.",
      "errors": [
        {
          "detail": "is required",
          "pointer": "/p"
        }
      ],
      "instance": "/v1/things",
      "request_id": "r-1",
      "status": 422,
      "title": "Some values are not valid",
      "type": "/problems/invalid"
    }
    "#);
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer() {
    let site = start(&settings(), Readiness::new());
    let long = format!("rcv_{}", "x".repeat(300));
    let mut answers = Vec::new();
    for headers in [
        String::new(),
        bearer("abc_wrong_prefix"),
        bearer(&long),
        "Authorization: Basic eDp5\r\n".into(),
    ] {
        let received = get(
            site.address,
            "/v1/things",
            &format!("{headers}X-Request-Id: same\r\n"),
        )
        .await;
        assert_eq!(received.header("www-authenticate").as_deref(), Some("Bearer"));
        answers.push((received.status, received.body));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn an_unknown_token_is_not_let_in_while_postgres_is_away() {
    let site = start(&settings(), Readiness::new());
    let received = get(site.address, "/v1/things", &bearer("rcv_unknown")).await;
    assert_eq!(
        (received.status, received.header("retry-after").is_some()),
        (503, true)
    );
}

#[tokio::test]
async fn who_may_not_write_learns_nothing_about_the_body() {
    let site = start(&settings(), Readiness::new());
    let headers = format!("{}Content-Type: application/json\r\n", bearer(ADMIN));
    let received = post(site.address, "/v1/things", &headers, b"{nonsense").await;
    assert_eq!(received.status, 403);
    assert_eq!(received.json()["detail"], "This is open to: counselor, app.");
}

#[tokio::test]
async fn a_refusal_is_told_to_the_audit_and_a_stranger_is_not() {
    let site = start(&settings(), Readiness::new());
    let headers = format!("{}Content-Type: application/json\r\n", bearer(ADMIN));
    post(site.address, "/v1/things", &headers, b"{}").await;
    post(
        site.address,
        "/v1/things",
        "Content-Type: application/json\r\n",
        b"{}",
    )
    .await;
    let kept = serde_json::to_value(site.auditor.kept()).unwrap();
    assert_eq!(kept.as_array().unwrap().len(), 1);
    assert_eq!(kept[0]["action"], "POST /v1/things");
    assert_eq!(kept[0]["decision"], "deny");
    assert_eq!(kept[0]["actor"], "a1");
}

#[tokio::test]
async fn an_app_acts_for_the_client_it_names_and_nobody_else_may() {
    let site = start(&settings(), Readiness::new());
    let cases = [
        (APP, "X-On-Behalf-Of: u1\r\n", 200),
        (APP, "", 400),
        (APP, "X-On-Behalf-Of: u 1\r\n", 400),
        (COUNSELOR, "", 200),
        (COUNSELOR, "X-On-Behalf-Of: u1\r\n", 403),
    ];
    for (token, header, status) in cases {
        let received = get(
            site.address,
            "/v1/things/1",
            &format!("{}{header}", bearer(token)),
        )
        .await;
        assert_eq!(received.status, status, "{token} {header}");
    }
    let received = get(
        site.address,
        "/v1/things/1",
        &format!("{}X-On-Behalf-Of: u1\r\n", bearer(APP)),
    )
    .await;
    assert_eq!(received.json()["actor"], "client:u1");
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_not_found() {
    let site = start(&settings(), Readiness::new());
    for id in ["x", "1.5", "99999999999999999999", "%00"] {
        let received = get(site.address, &format!("/v1/things/{id}"), &bearer(COUNSELOR)).await;
        assert_eq!(
            (received.status, received.json()["type"].as_str().unwrap()),
            (404, "/problems/not-found"),
            "{id}"
        );
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_another_method_405() {
    let site = start(&settings(), Readiness::new());
    assert_eq!(get(site.address, "/v1/nothing", "").await.status, 404);
    let received = exchange(
        site.address,
        b"DELETE /v1/things HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(
        (received.status, received.header("allow").as_deref()),
        (405, Some("GET, POST"))
    );
    assert_eq!(received.json()["instance"], "/v1/things");
}

#[tokio::test]
async fn a_usable_request_id_is_kept_and_any_other_replaced() {
    let site = start(&settings(), Readiness::new());
    let given = async |id: &str| {
        let received = get(site.address, "/healthz", &format!("X-Request-Id: {id}\r\n")).await;
        received.header("x-request-id").unwrap()
    };
    assert_eq!(given("a.B-3_c").await, "a.B-3_c");
    assert_eq!(given("two words").await.len(), 36);
    assert_eq!(given(&"x".repeat(129)).await.len(), 36);
}

#[tokio::test]
async fn a_traceparent_comes_back() {
    let site = start(&settings(), Readiness::new());
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let received = get(site.address, "/healthz", &format!("traceparent: {sent}\r\n")).await;
    assert_eq!(received.header("traceparent").as_deref(), Some(sent));
}

#[tokio::test]
async fn answers_are_neither_sniffed_nor_stored() {
    let site = start(&settings(), Readiness::new());
    let received = get(site.address, "/v1/nothing", "").await;
    assert_eq!(
        received.header("x-content-type-options").as_deref(),
        Some("nosniff")
    );
    assert_eq!(received.header("cache-control").as_deref(), Some("no-store"));
}

#[tokio::test]
async fn who_asks_too_often_waits_and_nobody_else_does() {
    let one = NonZeroU32::MIN;
    let rate = RateSettings {
        person_per_second: one,
        address_per_second: one,
        ..RateSettings::default()
    };
    let site = start(&ServerSettings { rate, ..settings() }, Readiness::new());
    let statuses = async |headers: &str| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let received = get(site.address, "/v1/things", headers).await;
            assert_eq!(received.header("retry-after").is_some(), received.status == 429);
            statuses.push(received.status);
        }
        statuses
    };
    assert_eq!(
        statuses(&bearer("wrong")).await,
        [401, 401, 429],
        "guessing is charged to the address"
    );
    assert_eq!(
        statuses(&bearer(COUNSELOR)).await,
        [200, 200, 429],
        "a live session is charged to the principal"
    );
    assert_eq!(statuses(&bearer(OTHER_COUNSELOR)).await, [200, 200, 429]);
    assert_eq!(get(site.address, "/v1/nothing", "").await.status, 429);
    assert_eq!(get(site.address, "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn a_token_that_nobody_looks_at_spares_no_address() {
    let rate = RateSettings {
        address_per_second: NonZeroU32::MIN,
        ..RateSettings::default()
    };
    for headers in [String::new(), bearer("wrong"), bearer(COUNSELOR)] {
        let site = start(&ServerSettings { rate, ..settings() }, Readiness::new());
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(get(site.address, "/v1/open", &headers).await.status);
        }
        assert_eq!(statuses, [200, 200, 429], "{headers}");
    }
}

#[tokio::test]
async fn behind_a_gateway_the_hop_that_it_wrote_is_charged_and_no_other() {
    let rate = RateSettings {
        address_per_second: NonZeroU32::MIN,
        behind_gateway: true,
        ..RateSettings::default()
    };
    let site = start(&ServerSettings { rate, ..settings() }, Readiness::new());
    let mut statuses = Vec::new();
    for made_up in 1..=3 {
        let headers = format!(
            "Forwarded: for=192.0.2.{made_up}\r\nX-Forwarded-For: 192.0.2.{made_up}\r\n\
             X-Forwarded-For: 192.0.2.{made_up}, 198.51.100.1\r\n"
        );
        statuses.push(get(site.address, "/v1/open", &headers).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    let other = "X-Forwarded-For: 198.51.100.1, [2001:db8::1]:4711\r\n";
    assert_eq!(get(site.address, "/v1/open", other).await.status, 200);
}

#[tokio::test]
async fn an_account_with_the_id_of_a_program_has_a_bucket_of_its_own() {
    let rate = RateSettings {
        person_per_second: NonZeroU32::MIN,
        machine_per_second: NonZeroU32::MIN,
        ..RateSettings::default()
    };
    let site = start(&ServerSettings { rate, ..settings() }, Readiness::new());
    for token in [NAMESAKE, APP] {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(get(site.address, "/v1/things", &bearer(token)).await.status);
        }
        assert_eq!(statuses, [200, 200, 429], "{token}");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let site = start(&settings(), Readiness::new());
    let received = get(site.address, "/v1/slow", "X-Request-Id: slow-1\r\n").await;
    assert_eq!(received.status, 503);
    assert_eq!(received.json()["request_id"], "slow-1");
    assert!(
        get(site.metrics_address, "/metrics", "")
            .await
            .body
            .contains(r#"http_route="timed_out""#)
    );
}

#[tokio::test]
async fn readiness_says_which_is_down() {
    let readiness = Readiness::new()
        .require("schema", || async { Ok::<_, String>(()) })
        .watch("broker", || async { Err("refused") });
    let site = start(
        &settings(),
        readiness.clone().require("postgres", || async { Err("away") }),
    );
    let received = get(site.address, "/readyz", "").await;
    assert_eq!(received.status, 503);
    insta::assert_snapshot!(received.body, @r#"{"status":"not_ready","checks":{"broker":"down","postgres":"down","schema":"ok"}}"#);

    let site = start(&settings(), readiness);
    let received = get(site.address, "/readyz", "").await;
    assert_eq!(
        (received.status, received.json()["status"].as_str().unwrap()),
        (200, "ready")
    );
}

#[tokio::test]
async fn a_header_that_is_not_in_its_form_or_there_twice_is_a_bad_request() {
    let site = start(&settings(), Readiness::new());
    let json = "Content-Type: application/json\r\n";
    let long = "k".repeat(256);
    for headers in [
        "Idempotency-Key: a b\r\n".to_owned(),
        format!("Idempotency-Key: {long}\r\n"),
        "Idempotency-Key: one\r\nIdempotency-Key: two\r\n".to_owned(),
        "X-On-Behalf-Of: a b\r\n".to_owned(),
        "X-On-Behalf-Of: one\r\nX-On-Behalf-Of: two\r\n".to_owned(),
    ] {
        let sent = format!("{}{json}{headers}", bearer(APP));
        let received = post(site.address, "/v1/things", &sent, br#"{"name":"n","p":0.5}"#).await;
        assert_eq!(
            (received.status, received.json()["type"].as_str()),
            (400, Some("/problems/bad-request")),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn a_check_that_hangs_counts_as_down() {
    let hanging = Readiness::new().require("postgres", std::future::pending::<Result<(), String>>);
    let site = start(
        &ServerSettings {
            request_timeout: Duration::from_secs(10),
            ..settings()
        },
        hanging,
    );
    let received = get(site.address, "/readyz", "").await;
    assert_eq!(
        (received.status, received.json()["checks"]["postgres"].as_str()),
        (503, Some("down"))
    );
}

#[tokio::test]
async fn metrics_are_for_admins_or_the_private_address_and_know_routes_not_ids() {
    let site = start(&settings(), Readiness::new());
    get(site.address, "/v1/things/77", &bearer(COUNSELOR)).await;
    get(site.address, "/v1/nobody-77", &bearer(COUNSELOR)).await;
    assert_eq!(get(site.address, "/metrics", "").await.status, 401);
    assert_eq!(
        get(site.address, "/metrics", &bearer(COUNSELOR)).await.status,
        403
    );
    assert_eq!(get(site.address, "/metrics", &bearer(ADMIN)).await.status, 200);
    let text = get(site.metrics_address, "/metrics", "").await.body;
    assert!(text.contains(r#"http_route="/v1/things/{id}""#), "{text}");
    assert!(text.contains(r#"http_route="unmatched""#), "{text}");
    // Of the labels: a measured duration may well have these digits.
    let mut labels = text
        .lines()
        .filter_map(|line| line.split_once('}'))
        .map(|(labels, _)| labels);
    assert!(!labels.any(|labels| labels.contains("77")), "{text}");
}

#[tokio::test]
async fn the_documentation_is_served_offline() {
    let site = start(&settings(), Readiness::new());
    let api = get(site.address, "/openapi.json", "").await.json();
    let create = &api["paths"]["/v1/things"]["post"];
    assert_eq!(create["x-principals"], serde_json::json!(["counselor", "app"]));
    assert_eq!(
        create["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"],
        "#/components/schemas/Problem"
    );
    assert!(api["components"]["schemas"]["Problem"]["properties"]["request_id"].is_object());
    assert_eq!(
        get(site.address, "/docs", "").await.header("location").as_deref(),
        Some("docs/")
    );
    let page = get(site.address, "/docs/", "").await;
    assert!(
        page.status == 200 && !page.body.contains("https://"),
        "{}",
        page.body
    );
    let script = get(site.address, "/docs/swagger-initializer.js", "").await;
    assert!(script.body.contains("../openapi.json"), "{}", script.body);
}

#[tokio::test]
async fn a_problem_type_leads_to_its_explanation() {
    let site = start(&settings(), Readiness::new());
    assert_eq!(
        get(site.address, "/problems/in-flight", "").await.json()["status"],
        409
    );
    assert!(
        get(site.address, "/problems/in-flight", "Accept: text/html\r\n")
            .await
            .body
            .starts_with("<!doctype html>")
    );
    assert_eq!(get(site.address, "/problems/nonsense", "").await.status, 404);
}
