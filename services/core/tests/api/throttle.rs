//! Guessing is slow, and harms nobody who is signed in.

use serde_json::json;

use crate::harness::Harness;
use crate::sign_in::{PASSWORD, told};

impl Harness {
    /// Lets every wait end, as time would.
    async fn wait_is_over(&self) {
        self.run("update core.sign_in_failures set blocked_until = now()")
            .await;
    }

    async fn failures(&self, count: i32) {
        self.run(&format!(
            "update core.sign_in_failures set failed_attempts = {count}, blocked_until = null"
        ))
        .await;
    }

    async fn retry_after(&self, email: &str) -> u64 {
        let refused = self.login(email, PASSWORD).await;
        assert_eq!(refused.code(), 429);
        refused.headers["retry-after"].to_str().unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn from_the_fifth_failure_on_whoever_it_is_must_wait_ever_longer() {
    let h = Harness::new().await;
    let known = h.may_sign_in("staff-counselor").await;
    let mut answers = Vec::new();
    for email in [known.as_str(), "nobody@mail.example"] {
        for _ in 0..5 {
            assert_eq!(h.login(email, "not the password").await.code(), 401);
        }
        let blocked = h.login(email, PASSWORD).await;
        assert_eq!(blocked.code(), 429, "also with the right password");
        answers.push(told(&blocked).1["type"].clone());
        let first = h.retry_after(email).await;
        assert!((1..=15).contains(&first), "{first}");
        h.wait_is_over().await;
        assert_eq!(h.login(email, "not the password").await.code(), 401);
        let second = h.retry_after(email).await;
        assert!((16..=30).contains(&second), "{second}");
        h.run("delete from core.sign_in_failures").await;
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn the_fiftieth_failure_locks_for_a_day_and_an_operator_lifts_it() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    h.login(&email, "not the password").await;
    h.failures(49).await;
    assert_eq!(h.login(&email, "not the password").await.code(), 401);
    let wait = h.retry_after(&email).await;
    assert!((86_000..=86_400).contains(&wait), "{wait}");
    // The address has its own count.
    h.run("delete from core.sign_in_failures where user_id is null")
        .await;
    assert_eq!(h.login(&email, PASSWORD).await.code(), 429);
    let lifted = h.admin("unlock --user staff-counselor").await.unwrap();
    assert_eq!(lifted, "1 counts of failures of staff-counselor are forgotten\n");
    h.run("delete from core.sign_in_failures").await;
    assert_eq!(h.login(&email, PASSWORD).await.code(), 200);
}

#[tokio::test]
async fn an_address_that_fails_for_many_accounts_must_wait_too() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    for number in 0..5 {
        let other = format!("nobody-{number}@mail.example");
        assert_eq!(h.login(&other, "not the password").await.code(), 401);
    }
    h.retry_after(&email).await;
}

#[tokio::test]
async fn a_success_ends_the_count_of_the_account_and_not_that_of_the_address() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    for _ in 0..3 {
        h.login(&email, "not the password").await;
    }
    assert_eq!(h.login(&email, PASSWORD).await.code(), 200);
    let counts = "select failed_attempts::bigint from core.sign_in_failures where user_id is null";
    assert_eq!(h.database.count(counts).await, 3);
    let of_account = "select count(*) from core.sign_in_failures where user_id is not null";
    assert_eq!(h.database.count(of_account).await, 0);
}

#[tokio::test]
async fn many_guesses_at_once_do_not_outrun_the_count() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let guesses = (0..20).map(|_| h.login(&email, "not the password"));
    let answers = futures::future::join_all(guesses).await;
    let tried = answers.iter().filter(|answer| answer.code() == 401).count();
    assert_eq!(tried, 5);
    assert!(answers.iter().all(|answer| matches!(answer.code(), 401 | 429)));
}

#[tokio::test]
async fn a_crowd_of_guesses_gets_no_more_than_a_few() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let guesses = (0..60).map(|_| h.login(&email, "not the password"));
    let answers = futures::future::join_all(guesses).await;
    let tried = answers.iter().filter(|answer| answer.code() == 401).count();
    assert_eq!(tried, 5);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.code(), 401 | 429 | 503))
    );
}

#[tokio::test]
async fn right_passwords_that_come_together_from_one_address_all_sign_in() {
    let mut h = Harness::new().await;
    let mut emails = Vec::new();
    for number in 0..14 {
        let client = format!("client-{number}");
        h.client(&client, &[]).await;
        emails.push(h.may_sign_in(&client).await);
    }
    h.login("nobody@mail.example", "not the password").await;
    let sign_ins = emails.iter().map(|email| h.login(email, PASSWORD));
    let codes: Vec<u16> = futures::future::join_all(sign_ins)
        .await
        .iter()
        .map(testkit::Answer::code)
        .collect();
    assert_eq!(codes, [200; 14]);
    let of_address = "select failed_attempts::bigint from core.sign_in_failures where under_way = '{}'
        and user_id is null order by updated_at desc limit 1";
    assert_eq!(h.database.count(of_address).await, 1, "none of them has failed");
}

#[tokio::test]
async fn one_person_signs_in_on_many_devices_and_by_two_processes_at_once() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let other = h.replica();
    let elsewhere = testkit::Client::new(&other.base_url());
    let body = json!({"email": email, "password": PASSWORD});
    let here = futures::future::join_all((0..10).map(|_| h.login(&email, PASSWORD)));
    let there = futures::future::join_all((0..10).map(|_| elsewhere.post("/v1/auth/login", &body)));
    let (here, there) = futures::join!(here, there);
    let codes: Vec<u16> = here.iter().chain(&there).map(testkit::Answer::code).collect();
    assert_eq!(codes, [200; 20]);
    let counts = "select count(*) from core.sign_in_failures";
    assert_eq!(h.database.count(counts).await, 0);
}

#[tokio::test]
async fn a_refusal_says_which_limit_it_was_and_what_to_do() {
    let h = Harness::new().await;
    for _ in 0..5 {
        h.login("nobody@mail.example", "not the password").await;
    }
    let refused = h.login("nobody@mail.example", PASSWORD).await;
    let detail = refused.at("/detail").as_str().unwrap();
    assert!(
        detail.starts_with("Too many passwords or codes were wrong"),
        "{detail}"
    );
}

#[tokio::test]
async fn guessing_does_not_touch_who_is_signed_in() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let person = h.signed_in(&email).await;
    h.login(&email, "not the password").await;
    h.failures(50).await;
    h.login(&email, "not the password").await;
    assert_eq!(h.login(&email, PASSWORD).await.code(), 429);
    assert_eq!(person.caller.get("/v1/me").await.code(), 200);
    let renewed = h.tokens(&h.refresh(&person.refresh_token).await);
    let change = json!({"current": PASSWORD, "new": "a tin on the hill"});
    assert_eq!(renewed.caller.put("/v1/me/password", &change).await.code(), 204);
}

#[tokio::test]
async fn counts_outlive_the_service_and_name_nobody_in_clear() {
    let h = Harness::new().await;
    for _ in 0..5 {
        h.login("nobody@mail.example", "not the password").await;
    }
    let other = h.replica();
    let body = json!({"email": "nobody@mail.example", "password": PASSWORD});
    let refused = testkit::Client::new(&other.base_url())
        .post("/v1/auth/login", &body)
        .await;
    assert_eq!(refused.code(), 429);
    for name in ["nobody@mail.example", "127.0.0.1"] {
        let plain = format!(
            "select count(*) from core.sign_in_failures
             where subject_hash in (sha256('{name}'), sha256('unknown|{name}'), sha256('address|{name}'))"
        );
        assert_eq!(h.database.count(&plain).await, 0);
    }
}
