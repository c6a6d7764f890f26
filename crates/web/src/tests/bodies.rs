//! The refusals of bodies, each by its name.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::site::*;
use crate::{Readiness, ServerSettings};

const JSON: &str = "Authorization: Bearer rcv_counselor\r\nContent-Type: application/json\r\n";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn thing(field: &str, value: &str) -> String {
    let others = [("name", r#""n""#), ("p", "0.5")]
        .into_iter()
        .filter(|(name, _)| *name != field);
    let members = others
        .chain([(field, value)])
        .map(|(name, value)| format!("{name:?}:{value}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Well-formed, but not valid: the name of the case, the body, the status and the pointers of all faults.
#[rustfmt::skip]
fn invalid() -> Vec<(&'static str, String, u16, Vec<&'static str>)> {
    vec![
        ("NaN", thing("p", "NaN"), 422, vec!["/p"]),
        ("Infinity", thing("p", "Infinity"), 422, vec!["/p"]),
        ("-Infinity", thing("p", "-Infinity"), 422, vec!["/p"]),
        ("1e999", thing("p", "1e999"), 422, vec!["/p"]),
        ("-1e999 between spaces", thing("p", " -1e999 "), 422, vec!["/p"]),
        ("NaN in a batch", r#"{"items":[0,{"p":NaN}]}"#.into(), 422, vec!["/items/1/p"]),
        ("below zero", thing("p", "-0.01"), 422, vec!["/p"]),
        ("above one", thing("p", "1.01"), 422, vec!["/p"]),
        ("null probability", thing("p", "null"), 422, vec!["/p"]),
        ("a number in quotes", thing("p", r#""0.5""#), 422, vec!["/p"]),
        ("U+0000 in text", thing("note", r#""a\u0000b""#), 422, vec!["/note"]),
        ("empty text", thing("note", r#""""#), 422, vec!["/note"]),
        ("text over its limit", thing("note", &format!("{:?}", "x".repeat(101))), 413, vec!["/note"]),
        ("unknown field", thing("role", r#""admin""#), 422, vec!["/role"]),
        ("unknown field with a slash", thing("a/b~c", "1"), 422, vec!["/a~1b~0c"]),
        ("identifier with a space", thing("name", r#""a b""#), 422, vec!["/name"]),
        ("time before 2000", thing("at", r#""1999-12-31T23:59:59Z""#), 422, vec!["/at"]),
        ("time in the future", thing("at", r#""2098-01-01T00:00:00Z""#), 422, vec!["/at"]),
        ("time without a zone", thing("at", r#""2026-01-01T00:00:00""#), 422, vec!["/at"]),
        ("several at once", r#"{"p":2,"x":1}"#.into(), 422, vec!["/name", "/p", "/x"]),
        ("an array", "[1]".into(), 422, vec![""]),
    ]
}

#[tokio::test]
async fn values_that_are_not_valid_are_refused_by_their_place() {
    let site = start(&settings(), Readiness::new());
    for (name, body, status, pointers) in invalid() {
        let received = post(site.address, "/v1/things", JSON, body.as_bytes()).await;
        assert_eq!(
            (received.status, received.pointers()),
            (status, pointers.iter().map(|&p| p.into()).collect()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_of_ours_is_malformed() {
    let site = start(&settings(), Readiness::new());
    let cases = [
        ("lone surrogate", thing("note", r#""\ud800""#)),
        ("duplicate keys", r#"{"name":"n","p":0.5,"p":0.5}"#.into()),
        (
            "duplicate keys among many",
            format!(
                "{{{}\"k1\":0}}",
                (0..50).map(|n| format!("\"k{n}\":0,")).collect::<String>()
            ),
        ),
        ("nesting of 33", format!("{}{}", "[".repeat(33), "]".repeat(33))),
        ("an unknown word", thing("p", "nan")),
        ("single quotes", "{'name': 1}".into()),
        ("two documents", "{} {}".into()),
        ("nothing", String::new()),
    ];
    for (name, body) in cases {
        let received = post(site.address, "/v1/things", JSON, body.as_bytes()).await;
        let kind = received.json()["type"].clone();
        assert_eq!(
            (received.status, kind.as_str()),
            (400, Some("/problems/malformed-body")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_is_no_plain_json_body_is_refused() {
    let site = start(&settings(), Readiness::new());
    let token = "Authorization: Bearer rcv_counselor\r\n";
    let good = thing("p", "0.5");
    let bomb = gzip(&vec![b' '; 1_000_000]);
    let zipped = format!("{JSON}Content-Encoding: gzip\r\n");
    let cases: [(&str, String, &[u8], u16); 10] = [
        ("good", JSON.into(), good.as_bytes(), 201),
        ("good and compressed", zipped.clone(), &gzip(good.as_bytes()), 201),
        ("no content type", token.into(), good.as_bytes(), 415),
        (
            "a form",
            format!("{token}Content-Type: text/plain\r\n"),
            good.as_bytes(),
            415,
        ),
        (
            "another charset",
            format!("{token}Content-Type: application/json; charset=latin1\r\n"),
            good.as_bytes(),
            415,
        ),
        (
            "unknown encoding",
            format!("{JSON}Content-Encoding: br\r\n"),
            good.as_bytes(),
            415,
        ),
        ("gzip bomb", zipped.clone(), &bomb, 413),
        ("not gzip", zipped, good.as_bytes(), 400),
        ("over the limit", JSON.into(), &[b' '; 3_000], 413),
        (
            "invalid UTF-8",
            JSON.into(),
            b"{\"name\":\"\xff\",\"p\":0.5}",
            400,
        ),
    ];
    for (name, headers, body, status) in cases {
        let received = post(site.address, "/v1/things", &headers, body).await;
        assert_eq!(received.status, status, "{name}: {}", received.body);
    }
}

#[tokio::test]
async fn deep_nesting_is_refused_without_a_stack_overflow() {
    let site = start(&settings(), Readiness::new());
    let deep = format!(r#"{{"items":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let received = post(site.address, "/v1/things:batch", JSON, deep.as_bytes()).await;
    assert_eq!(received.status, 400, "{}", received.body);
}

#[tokio::test]
async fn a_slow_body_is_given_up_and_never_taken_for_a_slow_service() {
    let body_timeout = settings().body_timeout;
    for request_timeout in [body_timeout / 2, body_timeout, body_timeout * 2] {
        let settings = ServerSettings {
            request_timeout,
            ..settings()
        };
        let site = start(&settings, Readiness::new());
        let head = format!("POST /v1/things HTTP/1.1\r\nHost: t\r\nContent-Length: 50\r\n{JSON}\r\n{{");
        let received = exchange(site.address, head.as_bytes()).await;
        assert_eq!(
            (received.status, received.json()["type"].as_str().unwrap()),
            (408, "/problems/timeout"),
            "{request_timeout:?}"
        );
        // Of a body in chunks the server waits for the end, so that the connection closes later than it answers.
        let head =
            format!("POST /v1/things HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n{JSON}\r\n1\r\n{{");
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 408", "{request_timeout:?}");
    }
}

#[tokio::test]
async fn a_batch_names_every_bad_index_and_has_a_limit() {
    let site = start(&settings(), Readiness::new());
    let (good, bad) = (thing("p", "0.5"), thing("p", "7"));
    let send = async |items: &[&str]| {
        let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
        post(site.address, "/v1/things:batch", JSON, body.as_bytes()).await
    };
    assert_eq!(send(&[&good, &good]).await.status, 200);
    let refused = send(&[&bad, &good, "5"]).await;
    assert_eq!(
        (refused.status, refused.pointers()),
        (422, vec!["/items/0/p".into(), "/items/2".into()])
    );
    assert_eq!(send(&[good.as_str(); 4]).await.status, 413);
    assert_eq!(send(&[]).await.status, 422);
}
