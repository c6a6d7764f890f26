//! Signing in, staying signed in, signing out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Answer, Client};

use crate::harness::{Harness, pointers};

/// What people of these tests sign in with.
pub(crate) const PASSWORD: &str = "a pin by the sea";

/// A person's tokens.
pub(crate) struct SignedIn {
    pub(crate) caller: Client,
    pub(crate) refresh_token: String,
}

impl Harness {
    /// Gives a staff user or a client (planted before) an address and the password of these tests.
    pub(crate) async fn may_sign_in(&self, user_id: &str) -> String {
        let email = format!("{user_id}@mail.example");
        self.run(&format!(
            "update core.users set email = '{email}' where user_id = '{user_id}'"
        ))
        .await;
        let line = format!("password --user {user_id}");
        let done = self.admin_with(&line, &format!("{PASSWORD}\n")).await;
        assert_eq!(done.unwrap(), format!("{user_id} has a new password\n"));
        email
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.anonymous().post("/v1/auth/login", &body).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        let body = json!({"refresh_token": token});
        self.anonymous().post("/v1/auth/refresh", &body).await
    }

    pub(crate) fn tokens(&self, answer: &Answer) -> SignedIn {
        assert_eq!(answer.code(), 200, "{}", answer.json);
        let text = |pointer: &str| answer.at(pointer).as_str().expect("a token").to_owned();
        SignedIn {
            caller: self.anonymous().with_token(&text("/access_token")),
            refresh_token: text("/refresh_token"),
        }
    }

    pub(crate) async fn signed_in(&self, email: &str) -> SignedIn {
        self.tokens(&self.login(email, PASSWORD).await)
    }
}

/// Waits until a token is refused: the service hears of a revocation a moment after it.
pub(crate) async fn is_refused(caller: &Client) {
    let refused = async { while caller.get("/v1/me").await.code() != 401 {} };
    tokio::time::timeout(Duration::from_secs(5), refused)
        .await
        .expect("the token is refused");
}

/// What may be told of a refusal: everything but its own id.
pub(crate) fn told(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json.clone();
    body["request_id"].take();
    (answer.code(), body)
}

#[tokio::test]
async fn a_person_signs_in_by_address_and_password() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.may_sign_in("client-a").await;
    let answer = h.login("CLIENT-A@mail.example", PASSWORD).await;
    assert_eq!(answer.code(), 200, "case of the address does not matter");
    assert_eq!(answer.at("/token_type"), "Bearer");
    assert_eq!(answer.at("/expires_in"), 900);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let person = h.tokens(&answer);
    let me = person.caller.get("/v1/me").await;
    assert_eq!(
        (me.at("/id"), me.at("/kind")),
        (&json!("client-a"), &json!("client"))
    );
}

#[tokio::test]
async fn tokens_are_stored_as_hashes_and_passwords_by_argon2id() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let answer = h.login(&email, PASSWORD).await;
    for (pointer, table, prefix) in [
        ("/access_token", "access_tokens", "rcv_"),
        ("/refresh_token", "refresh_tokens", "rcvr_"),
    ] {
        let token = answer.at(pointer).as_str().unwrap();
        assert!(token.starts_with(prefix), "{token}");
        let found = format!("select count(*) from core.{table} where token_hash = sha256('{token}'::bytea)");
        assert_eq!(h.database.count(&found).await, 1);
    }
    let strong =
        "select count(*) from core.credentials where password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(h.database.count(strong).await, 1);
}

#[tokio::test]
async fn every_reason_gets_the_same_refusal_at_the_same_time() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    h.client("client-b", &[]).await;
    let (good, suspended) = (h.may_sign_in("client-a").await, h.may_sign_in("client-b").await);
    h.run(
        "update core.users set status = 'suspended' where user_id = 'client-b';
         update core.users set email = 'none@mail.example' where user_id = 'staff-oncall'",
    )
    .await;
    let mut answers = Vec::new();
    for (email, password) in [
        (good.as_str(), "not the password"),
        (&suspended, PASSWORD),
        ("none@mail.example", PASSWORD),
        ("nobody@mail.example", PASSWORD),
        ("' or true --", PASSWORD),
    ] {
        let began = Instant::now();
        let refused = h.login(email, password).await;
        assert!(began.elapsed() >= Duration::from_millis(500), "{email}");
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        answers.push(told(&refused));
        h.run("delete from core.sign_in_failures").await;
    }
    assert_eq!(answers[0].0, 401);
    assert_eq!(answers[0].1["type"], "/problems/sign-in-failed");
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(
        h.database.count("select count(*) from core.refresh_tokens").await,
        0
    );
}

#[tokio::test]
async fn who_has_no_password_costs_as_much_as_who_has_one() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let mut medians = Vec::new();
    for email in [email.as_str(), "nobody@mail.example"] {
        let mut times = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            assert_eq!(h.login(email, "not the password").await.code(), 401);
            times.push(began.elapsed());
            h.run("delete from core.sign_in_failures").await;
        }
        times.sort_unstable();
        medians.push(times[2]);
    }
    let (known, unknown) = (medians[0], medians[1]);
    assert!(
        known.abs_diff(unknown) < Duration::from_millis(100),
        "{medians:?}"
    );
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_once_for_a_new_pair() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let first = h.signed_in(&email).await;
    let second = h.tokens(&h.refresh(&first.refresh_token).await);
    assert_ne!(first.refresh_token, second.refresh_token);
    for caller in [&first.caller, &second.caller] {
        assert_eq!(
            caller.get("/v1/me").await.code(),
            200,
            "the old one until it expires"
        );
    }
    assert_eq!(h.refresh(&second.refresh_token).await.code(), 200);
}

#[tokio::test]
async fn a_replayed_refresh_token_revokes_its_family() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let (first, elsewhere) = (h.signed_in(&email).await, h.signed_in(&email).await);
    let second = h.tokens(&h.refresh(&first.refresh_token).await);
    assert_eq!(second.caller.get("/v1/me").await.code(), 200);
    let replayed = h.refresh(&first.refresh_token).await;
    assert_eq!(told(&replayed).1["type"], "/problems/sign-in-failed");
    assert_eq!(h.refresh(&second.refresh_token).await.code(), 401);
    is_refused(&first.caller).await;
    is_refused(&second.caller).await;
    assert_eq!(
        elsewhere.caller.get("/v1/me").await.code(),
        200,
        "another sign-in goes on"
    );
    assert_eq!(h.refresh(&elsewhere.refresh_token).await.code(), 200);
}

#[tokio::test]
async fn of_two_who_refresh_at_once_not_both_win() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    for _ in 0..5 {
        let person = h.signed_in(&email).await;
        let tries = (0..4).map(|_| h.refresh(&person.refresh_token));
        let answers = futures::future::join_all(tries).await;
        let won: Vec<&Answer> = answers.iter().filter(|answer| answer.code() == 200).collect();
        assert_eq!(won.len(), 1);
        let winner = h.tokens(won[0]);
        is_refused(&winner.caller).await;
        assert_eq!(
            h.refresh(&winner.refresh_token).await.code(),
            401,
            "and the theft is noticed"
        );
    }
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token_and_the_other_way_round() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let answer = h.login(&email, PASSWORD).await;
    let (access, refresh) = (
        answer.at("/access_token").as_str().unwrap(),
        answer.at("/refresh_token").as_str().unwrap(),
    );
    assert_eq!(h.anonymous().with_token(refresh).get("/v1/me").await.code(), 401);
    let bare = refresh.replacen("rcvr_", "rcv_", 1);
    for token in [access, &bare, "rcvr_unknown", &refresh[..refresh.len() - 1], "x"] {
        let refused = h.refresh(token).await;
        assert_eq!(
            (refused.code(), refused.at("/type")),
            (401, &json!("/problems/sign-in-failed"))
        );
    }
    assert_eq!(h.refresh(refresh).await.code(), 200, "none of these used it up");
}

#[tokio::test]
async fn expired_and_suspended_sign_ins_are_not_renewed() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let person = h.signed_in(&email).await;
    h.run("update core.users set status = 'suspended'").await;
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 401);
    h.run("update core.users set status = 'active'; update core.refresh_tokens set expires_at = now()")
        .await;
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 401);
    h.run("update core.refresh_tokens set expires_at = now() + interval '1 minute'")
        .await;
    assert_eq!(h.refresh(&person.refresh_token).await.code(), 200);
}

#[tokio::test]
async fn staff_are_signed_in_for_twelve_hours_and_clients_for_as_long_as_they_come_back() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    for (user_id, ends) in [
        ("client-a", "now() + interval '30 days'"),
        ("staff-counselor", "now() + interval '3 hours'"),
    ] {
        let email = h.may_sign_in(user_id).await;
        let person = h.signed_in(&email).await;
        let shorten = format!(
            "update core.refresh_tokens set expires_at = now() + interval '3 hours' where subject = '{user_id}'"
        );
        h.run(&shorten).await;
        h.tokens(&h.refresh(&person.refresh_token).await);
        let same = format!(
            "select count(*) from core.refresh_tokens where subject = '{user_id}' and used_at is null
             and abs(extract(epoch from expires_at - ({ends}))) < 60"
        );
        assert_eq!(h.database.count(&same).await, 1, "{user_id}");
    }
}

#[tokio::test]
async fn who_signs_out_is_out_with_every_token_of_the_sign_in_and_no_other() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let (here, there) = (h.signed_in(&email).await, h.signed_in(&email).await);
    let renewed = h.tokens(&h.refresh(&here.refresh_token).await);
    let out = renewed.caller.post("/v1/auth/logout", &json!({})).await;
    assert_eq!(out.code(), 204);
    is_refused(&here.caller).await;
    is_refused(&renewed.caller).await;
    assert_eq!(h.refresh(&renewed.refresh_token).await.code(), 401);
    assert_eq!(there.caller.get("/v1/me").await.code(), 200);
    let again = renewed.caller.post("/v1/auth/logout", &json!({})).await;
    assert_eq!(again.code(), 401);
    assert_eq!(
        h.anonymous().post("/v1/auth/logout", &json!({})).await.code(),
        401
    );
}

#[tokio::test]
async fn a_token_that_an_operator_made_is_given_up_alone() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let person = h.signed_in(&email).await;
    assert_eq!(
        h.call("counselor")
            .post("/v1/auth/logout", &json!({}))
            .await
            .code(),
        204
    );
    is_refused(&h.call("counselor")).await;
    assert_eq!(person.caller.get("/v1/me").await.code(), 200);
}

#[tokio::test]
async fn a_bcrypt_hash_of_the_older_system_signs_in_and_is_made_anew() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let old = bcrypt::hash("s3cret of old", 4).unwrap();
    h.run(&format!(
        "update core.users set email = 'a@mail.example' where user_id = 'client-a';
         insert into core.credentials (user_id, password_hash) values ('client-a', '{old}')"
    ))
    .await;
    assert_eq!(h.login("a@mail.example", "s3cret of new").await.code(), 401);
    let same = format!("select count(*) from core.credentials where password_hash = '{old}'");
    assert_eq!(h.database.count(&same).await, 1);
    h.tokens(&h.login("a@mail.example", "s3cret of old").await);
    let renewed = "select count(*) from core.credentials where password_hash like '$argon2id$%'";
    assert_eq!(h.database.count(renewed).await, 1);
    h.tokens(&h.login("a@mail.example", "s3cret of old").await);
}

#[tokio::test]
async fn no_answer_with_a_secret_is_stored() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let body = json!({"email": email, "password": PASSWORD});
    let keyed = h.anonymous().with_header("idempotency-key", "k1");
    let (first, second) = (
        keyed.post("/v1/auth/login", &body).await,
        keyed.post("/v1/auth/login", &body).await,
    );
    assert_eq!((first.code(), second.code()), (200, 200));
    assert_ne!(first.at("/access_token"), second.at("/access_token"));
    let stored = "select count(*) from core.idempotency_keys";
    assert_eq!(h.database.count(stored).await, 0);
}

#[tokio::test]
async fn what_cannot_sign_in_is_refused_by_name() {
    let h = Harness::new().await;
    for (path, body, named) in [
        ("/v1/auth/login", json!({}), vec!["/email", "/password"]),
        (
            "/v1/auth/login",
            json!({"email": 7, "password": "", "role": "admin"}),
            vec!["/email", "/password", "/role"],
        ),
        (
            "/v1/auth/login",
            json!({"email": "a\u{0}b", "password": "x".repeat(1_025)}),
            vec!["/email", "/password"],
        ),
        (
            "/v1/auth/refresh",
            json!({"token": "x"}),
            vec!["/refresh_token", "/token"],
        ),
    ] {
        let refused = h.anonymous().post(path, &body).await;
        assert_eq!(
            (refused.code(), pointers(&refused)),
            (422, named.iter().map(ToString::to_string).collect())
        );
    }
    let nothing = h
        .database
        .count("select count(*) from core.sign_in_failures")
        .await;
    assert_eq!(nothing, 0, "what could not be read was no attempt");
}

#[tokio::test]
async fn nobody_reads_what_people_sign_in_with_but_the_service_itself() {
    let h = Harness::new().await;
    h.may_sign_in("staff-counselor").await;
    h.signed_in("staff-counselor@mail.example").await;
    h.run(
        "insert into core.sign_in_failures (subject_hash) values (sha256('x'));
         insert into core.password_resets (token_hash, user_id, expires_at) values (sha256('x'), 'staff-counselor', now());
         insert into core.sign_in_tickets (token_hash, user_id, expires_at) values (sha256('x'), 'staff-counselor', now());
         insert into core.totp_secrets (user_id, secret_sealed) values ('staff-counselor', 'x');
         insert into core.recovery_codes (user_id, code_hash) values ('staff-counselor', sha256('x'))",
    )
    .await;
    let admin = db::Actor::Staff("staff-admin".to_owned());
    let own = db::Actor::Staff("staff-counselor".to_owned());
    for table in [
        "credentials",
        "refresh_tokens",
        "sign_in_failures",
        "password_resets",
        "sign_in_tickets",
        "totp_secrets",
        "recovery_codes",
    ] {
        let sql = format!("select count(*) as rows from core.{table}");
        for actor in [&admin, &own] {
            let seen: i64 = h.database.seen_by("core", actor, &sql).await[0].get("rows");
            assert_eq!(seen, 0, "{table}");
        }
        assert_eq!(h.database.count(&sql).await, 1, "{table}");
    }
}

#[tokio::test]
async fn nobody_s_transaction_reads_or_writes_who_somebody_is_and_whom_they_see() {
    let mut h = Harness::new().await;
    h.client("client-a", &["counselor"]).await;
    h.crisis("client-a", "oncall").await;
    h.run(
        "with made as (insert into core.teams (name) values ('team') returning team_id)
         insert into core.team_members (team_id, staff_id, part) select m.team_id, 'staff-counselor', 'member' from made m",
    )
    .await;
    let rights = "
        select count(*) from unnest(array['access_tokens', 'api_clients', 'staff_roles', 'caseload_assignments',
            'temporary_access', 'teams', 'team_members']) as t (name)
        cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate']) as p (privilege)
        where has_table_privilege('recoverly_core', 'core.' || t.name, p.privilege)";
    assert_eq!(h.database.count(rights).await, 0);
    // Were one of them granted again, the policies would stand.
    h.run("grant select, insert, update, delete on all tables in schema core to recoverly_core")
        .await;
    let admin = db::Actor::Staff("staff-admin".to_owned());
    for table in [
        "access_tokens",
        "api_clients",
        "staff_roles",
        "caseload_assignments",
        "temporary_access",
        "teams",
        "team_members",
    ] {
        let sql = format!("select count(*) as rows from core.{table}");
        let seen: i64 = h.database.seen_by("core", &admin, &sql).await[0].get("rows");
        assert_eq!(seen, 0, "{table}");
        assert!(h.database.count(&sql).await > 0, "{table}");
    }
    let tx = h.database.pools("core").begin(&admin).await.unwrap();
    let role = "insert into core.staff_roles (user_id, role) values ('staff-admin', 'auditor')";
    assert!(tx.execute(role, &[]).await.is_err());
}

#[tokio::test]
async fn what_sign_ins_leave_behind_is_forgotten_when_it_is_of_no_more_use() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let person = h.signed_in(&email).await;
    let renewed = h.tokens(&h.refresh(&person.refresh_token).await);
    h.login("nobody@mail.example", "not the password").await;
    h.run(
        "insert into core.password_resets (token_hash, user_id, expires_at) values (sha256('x'), 'staff-counselor', now());
         insert into core.sign_in_tickets (token_hash, user_id, expires_at) values (sha256('x'), 'staff-counselor', now())",
    )
    .await;
    assert_eq!(h.app.round("forget_sign_ins").await.unwrap(), 2);
    assert_eq!(h.refresh(&renewed.refresh_token).await.code(), 200);
    h.run(
        "update core.access_tokens set expires_at = now() - interval '2 days' where subject = 'staff-counselor';
         update core.refresh_tokens set expires_at = now() - interval '1 second';
         update core.sign_in_failures set updated_at = now() - interval '2 days'",
    )
    .await;
    assert_eq!(h.app.round("forget_sign_ins").await.unwrap(), 4 + 3 + 2);
    assert_eq!(h.app.round("forget_sign_ins").await.unwrap(), 0);
    let left = "select count(*) from core.access_tokens where subject = 'staff-counselor'";
    assert_eq!(h.database.count(left).await, 0, "also what an operator made");
}

#[tokio::test]
async fn a_password_that_changes_while_it_is_verified_signs_nobody_in() {
    let h = Harness::new().await;
    let email = h.may_sign_in("staff-counselor").await;
    let holder = h.database.superuser().await;
    holder
        .run("begin; select pg_advisory_xact_lock(hashtextextended('core.sign_in|staff-counselor', 0))")
        .await;
    let change = async {
        // Verified by now: it waits to open the sign-in.
        let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())";
        while h.database.count(waiting).await == 0 {}
        holder
            .run("update core.credentials set password_hash = 'another'; commit")
            .await;
    };
    let (answer, ()) = futures::future::join(h.login(&email, PASSWORD), change).await;
    assert_eq!(answer.code(), 401);
    let opened = "select count(*) from core.refresh_tokens";
    assert_eq!(h.database.count(opened).await, 0);
}

impl Harness {
    /// Erases an account, and once the erasure has begun and waits for something else, lets these requests meet it; what
    /// each of them is told.
    pub(crate) async fn meeting_an_erasure<const N: usize>(
        &self,
        user_id: &str,
        requests: [futures::future::BoxFuture<'_, Answer>; N],
    ) -> Vec<u16> {
        let working = self.database.superuser().await;
        working
            .run("begin; lock table social.user_risk_profiles in access exclusive mode")
            .await;
        let admin = self.call("admin");
        let path = format!("/v1/users/{user_id}/opt-out");
        let meeting = async {
            self.so_many_wait(1).await;
            let release = async {
                self.so_many_wait(1 + i64::try_from(N).unwrap()).await;
                working.run("commit").await;
            };
            futures::join!(futures::future::join_all(requests), release).0
        };
        let (left, answers) = futures::join!(admin.delete(&path), meeting);
        assert_eq!(left.code(), 200, "{}", left.json);
        answers.iter().map(Answer::code).collect()
    }
}

#[tokio::test]
async fn who_signs_in_while_they_are_erased_is_told_what_everybody_is_told_who_is_not_there() {
    let mut h = Harness::new().await;
    h.client("client-a", &[]).await;
    let email = h.may_sign_in("client-a").await;
    let person = h.signed_in(&email).await;
    let change = json!({"current": PASSWORD, "new": "a tin on the hill"});
    let answers = h
        .meeting_an_erasure(
            "client-a",
            [
                Box::pin(h.login(&email, PASSWORD)),
                Box::pin(h.refresh(&person.refresh_token)),
                Box::pin(person.caller.put("/v1/me/password", &change)),
            ],
        )
        .await;
    assert_eq!(answers, [401, 401, 404]);
    assert_eq!(h.traces_in_short("client-a").await, ["core.outbox 1"]);
}
