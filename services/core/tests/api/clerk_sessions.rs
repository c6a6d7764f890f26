//! Session tokens of Clerk, signed here by keys that a server of the test publishes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpResponse, HttpServer, web};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use config::Env;
use core_service::{ClerkSettings, Config, SessionSettings};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use testkit::Answer;

use crate::harness::Harness;
use crate::sign_in::is_refused;

const ISSUER: &str = "https://clerk.test.example";
const APP: &str = "https://app.test.example";

/// A key of Clerk's.
struct Key {
    id: &'static str,
    pair: RsaKeyPair,
}

impl Key {
    fn new(id: &'static str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self { id, pair }
    }

    fn modulus(&self) -> Vec<u8> {
        self.pair
            .public_key()
            .modulus()
            .big_endian_without_leading_zero()
            .to_vec()
    }

    fn published(&self) -> Value {
        let exponent = self
            .pair
            .public_key()
            .exponent()
            .big_endian_without_leading_zero()
            .to_vec();
        json!({
            "kid": self.id, "kty": "RSA", "use": "sig", "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(self.modulus()), "e": URL_SAFE_NO_PAD.encode(exponent),
        })
    }

    /// A token with these claims over those of a good one.
    fn token(&self, claims: &Value) -> String {
        let unsigned = unsigned(&json!({"alg": "RS256", "typ": "JWT", "kid": self.id}), claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                unsigned.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let now = Utc::now().timestamp();
    let mut all = json!({
        "sub": "user_a", "iss": ISSUER, "azp": APP, "sts": "active", "sid": "sess_1", "iat": now, "nbf": now - 5,
        "exp": now + 60,
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(&all))
}

/// What Clerk publishes, and how often it was asked for it.
struct Published {
    keys: Mutex<Vec<Value>>,
    asked: AtomicUsize,
}

impl Published {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn set(&self, keys: &[&Key]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| key.published()).collect();
    }
}

async fn keys(published: Data<Published>) -> HttpResponse {
    published.asked.fetch_add(1, Ordering::SeqCst);
    let keys = published.keys.lock().unwrap().clone();
    HttpResponse::Ok().json(json!({ "keys": keys }))
}

struct Site {
    h: Harness,
    published: Arc<Published>,
    server: ServerHandle,
}

impl Site {
    /// A service that knows Clerk, and a client with an account there.
    async fn new(first: &[&Key], change: impl FnOnce(&mut SessionSettings)) -> Self {
        let published = Arc::new(Published {
            keys: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        published.set(first);
        let data = Data::from(Arc::clone(&published));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/jwks.json", web::get().to(keys))
        })
        .workers(1)
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        let running = server.run();
        let handle = running.handle();
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(running);
        let mut sessions = SessionSettings {
            jwks_url: format!("http://{address}/jwks.json").parse().unwrap(),
            issuer: ISSUER.to_owned(),
            audience: None,
            authorized_party: Some(APP.to_owned()),
            keys_pause: Duration::ZERO,
        };
        change(&mut sessions);
        let clerk = ClerkSettings {
            webhook_secret: None,
            sessions: Some(sessions),
        };
        let mut h = Harness::with_config(|config| Config { clerk, ..config }).await;
        h.client("client-a", &[]).await;
        h.run("update core.users set clerk_user_id = 'user_a' where user_id = 'client-a'")
            .await;
        Self {
            h,
            published,
            server: handle,
        }
    }

    async fn exchange(&self, token: &str) -> Answer {
        self.h
            .anonymous()
            .post("/v1/auth/clerk", &json!({ "token": token }))
            .await
    }
}

#[tokio::test]
async fn a_session_at_clerk_is_exchanged_for_a_token_of_15_minutes() {
    let key = Key::new("k1");
    let site = Site::new(&[&key], |_| {}).await;
    let got = site.exchange(&key.token(&json!({}))).await;
    assert_eq!((got.code(), got.at("/expires_in")), (200, &json!(900)));
    let token = got.at("/access_token").as_str().unwrap();
    let me = site.h.anonymous().with_token(token).get("/v1/me").await;
    assert_eq!(
        (me.at("/id"), me.at("/kind")),
        (&json!("client-a"), &json!("client"))
    );
    let rows = site.h.audited("e.event_type = 'sign_in'").await;
    assert_eq!(rows[0]["who"], "client-a");
    let person = site.h.anonymous().with_token(token);
    assert_eq!(person.post("/v1/auth/logout", &json!({})).await.code(), 204);
    is_refused(&person).await;
    assert_eq!(site.exchange(&key.token(&json!({}))).await.code(), 200);
    assert_eq!(site.published.asked(), 1, "keys are remembered");
}

#[tokio::test]
async fn every_token_that_is_not_good_gets_the_same_answer() {
    let (key, stranger) = (Key::new("k1"), Key::new("k1"));
    let site = Site::new(&[&key], |_| {}).await;
    let now = Utc::now().timestamp();
    let good = key.token(&json!({}));
    let none = format!("{}.", unsigned(&json!({"alg": "none", "kid": "k1"}), &json!({})));
    let with_public_key = {
        let unsigned = unsigned(&json!({"alg": "HS256", "kid": "k1"}), &json!({}));
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.modulus()).unwrap();
        mac.update(unsigned.as_bytes());
        format!(
            "{unsigned}.{}",
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        )
    };
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other_claims = unsigned(&json!({"alg": "RS256", "kid": "k1"}), &json!({"sub": "user_b"}));
    let mut answers = Vec::new();
    for (what, token) in [
        (
            "wrong issuer",
            key.token(&json!({"iss": "https://clerk.evil.example"})),
        ),
        ("no issuer", key.token(&json!({"iss": null}))),
        ("expired", key.token(&json!({"exp": now - 11}))),
        ("no end", key.token(&json!({"exp": null}))),
        ("not yet", key.token(&json!({"nbf": now + 60}))),
        (
            "of another app",
            key.token(&json!({"azp": "https://other.example"})),
        ),
        ("of no app", key.token(&json!({"azp": null}))),
        ("with something left to do", key.token(&json!({"sts": "pending"}))),
        ("of nobody we know", key.token(&json!({"sub": "user_z"}))),
        ("signed by nobody", none),
        ("signed with the public key", with_public_key),
        ("signed by a stranger", stranger.token(&json!({}))),
        ("with other claims", format!("{other_claims}.{signature}")),
        ("cut", signed.to_owned()),
        ("no token", "x".to_owned()),
        ("one of ours", site.h.principals.token("client-a").to_owned()),
    ] {
        let refused = site.exchange(&token).await;
        assert_eq!(refused.code(), 401, "{what}");
        answers.push((refused.at("/type").clone(), refused.at("/detail").clone()));
    }
    site.h
        .run("update core.users set status = 'suspended' where user_id = 'client-a'")
        .await;
    let suspended = site.exchange(&good).await;
    answers.push((suspended.at("/type").clone(), suspended.at("/detail").clone()));
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let made = "select count(*) from core.access_tokens where created_at > now() - interval '14 minutes'
        and expires_at < now() + interval '20 minutes'";
    assert_eq!(site.h.database.count(made).await, 0);
}

#[tokio::test]
async fn a_token_may_be_a_few_seconds_off() {
    let key = Key::new("k1");
    let site = Site::new(&[&key], |_| {}).await;
    let now = Utc::now().timestamp();
    let token = key.token(&json!({"exp": now - 3, "nbf": now + 3}));
    assert_eq!(site.exchange(&token).await.code(), 200);
}

#[tokio::test]
async fn a_key_that_is_not_known_is_looked_for_and_one_that_is_gone_is_not() {
    let (first, second) = (Key::new("k1"), Key::new("k2"));
    let site = Site::new(&[&first], |_| {}).await;
    assert_eq!(site.exchange(&first.token(&json!({}))).await.code(), 200);
    site.published.set(&[&second]);
    assert_eq!(site.exchange(&second.token(&json!({}))).await.code(), 200);
    assert_eq!(site.published.asked(), 2);
    assert_eq!(site.exchange(&first.token(&json!({}))).await.code(), 401);
}

#[tokio::test]
async fn invented_keys_cause_no_more_than_one_fetch_in_the_pause() {
    let (key, invented) = (Key::new("k1"), Key::new("k9"));
    let site = Site::new(&[&key], |sessions| {
        sessions.keys_pause = Duration::from_secs(3_600)
    })
    .await;
    for _ in 0..5 {
        assert_eq!(site.exchange(&invented.token(&json!({}))).await.code(), 401);
    }
    assert_eq!(site.exchange(&key.token(&json!({}))).await.code(), 200);
    assert_eq!(site.published.asked(), 1);
}

#[tokio::test]
async fn many_at_once_share_one_fetch() {
    let key = Key::new("k1");
    let site = Site::new(&[&key], |sessions| {
        sessions.keys_pause = Duration::from_secs(3_600)
    })
    .await;
    let token = key.token(&json!({}));
    let answers = futures::future::join_all((0..10).map(|_| site.exchange(&token))).await;
    assert!(answers.iter().all(|answer| answer.code() == 200));
    assert_eq!(site.published.asked(), 1);
}

#[tokio::test]
async fn while_the_keys_are_away_new_sessions_wait_and_known_keys_serve() {
    let key = Key::new("k1");
    let site = Site::new(&[&key], |_| {}).await;
    let other = Site::new(&[&key], |_| {}).await;
    assert_eq!(site.exchange(&key.token(&json!({}))).await.code(), 200);
    site.server.stop(false).await;
    other.server.stop(false).await;
    assert_eq!(site.exchange(&key.token(&json!({}))).await.code(), 200);
    let refused = other.exchange(&key.token(&json!({}))).await;
    assert_eq!(
        (refused.code(), refused.at("/type")),
        (503, &json!("/problems/unavailable"))
    );
    assert_eq!(refused.headers["retry-after"], "5");
}

#[tokio::test]
async fn a_token_is_for_the_audience_where_one_is_named() {
    let key = Key::new("k1");
    let site = Site::new(&[&key], |sessions| {
        sessions.audience = Some("recoverly".to_owned())
    })
    .await;
    for (claims, code) in [
        (json!({"aud": "recoverly"}), 200),
        (json!({"aud": ["other", "recoverly"]}), 200),
        (json!({"aud": "other"}), 401),
        (json!({}), 401),
    ] {
        assert_eq!(site.exchange(&key.token(&claims)).await.code(), code, "{claims}");
    }
    let strange = site
        .h
        .anonymous()
        .post("/v1/auth/clerk", &json!({"session": "x"}))
        .await;
    assert_eq!(strange.code(), 422);
}

#[test]
fn settings_of_clerk_are_all_there_or_none_and_faults_name_the_variable() {
    let read = |pairs: &[(&str, &str)]| {
        let mut env = Env::from_pairs(pairs);
        let clerk = ClerkSettings::read(&mut env);
        env.finish(|| clerk).map_err(|error| error.to_string())
    };
    let (url, issuer) = ("RECOVERLY_CLERK_JWKS_URL", "RECOVERLY_CLERK_ISSUER");
    let none = read(&[]).unwrap();
    assert!(none.sessions.is_none() && none.webhook_secret.is_none());
    let all = read(&[(url, "https://clerk.test.example/jwks"), (issuer, ISSUER)]).unwrap();
    assert_eq!(
        all.sessions.map(|sessions| sessions.issuer),
        Some(ISSUER.to_owned())
    );
    for (pairs, named) in [
        (vec![(url, "https://clerk.test.example/jwks")], issuer),
        (vec![(issuer, ISSUER)], url),
        (vec![("RECOVERLY_CLERK_AUDIENCE", "x")], issuer),
        (
            vec![(url, "http://clerk.test.example/jwks"), (issuer, ISSUER)],
            url,
        ),
        (vec![(url, "nothing"), (issuer, ISSUER)], url),
        (
            vec![("RECOVERLY_CLERK_WEBHOOK_SECRET", "hunter2")],
            "RECOVERLY_CLERK_WEBHOOK_SECRET",
        ),
    ] {
        let refused = read(&pairs).unwrap_err();
        assert!(
            refused.contains(named) && !refused.contains("hunter2"),
            "{refused}"
        );
    }
}
