//! Queries and cursors.

use super::site::*;
use crate::Readiness;

const COUNSELOR_TOKEN: &str = "Authorization: Bearer rcv_counselor\r\n";

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let site = start(&settings(), Readiness::new());
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10 {
        let page = get(
            site.address,
            &format!("/v1/things?limit=4{cursor}"),
            COUNSELOR_TOKEN,
        )
        .await
        .json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item.as_i64().unwrap()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn bad_query_parameters_are_refused_by_name() {
    let site = start(&settings(), Readiness::new());
    let page = get(site.address, "/v1/things?limit=1", COUNSELOR_TOKEN)
        .await
        .json();
    let real = page["next_cursor"].as_str().unwrap().to_owned();
    let forged = format!("{}{}", if real.starts_with('A') { 'B' } else { 'A' }, &real[1..]);
    let cases = [
        ("limit=-1", "?limit"),
        ("limit=0", "?limit"),
        ("limit=201", "?limit"),
        ("limit=1000000000", "?limit"),
        ("limit=ten", "?limit"),
        ("limit=%2B5", "?limit"),
        ("limit=1&limit=1", "?limit"),
        ("page=2", "?page"),
        ("cursor=", "?cursor"),
        ("cursor=AAAA", "?cursor"),
        ("cursor=%00", "?cursor"),
        (&format!("cursor={forged}"), "?cursor"),
    ];
    for (query, pointer) in cases {
        let received = get(site.address, &format!("/v1/things?{query}"), COUNSELOR_TOKEN).await;
        assert_eq!(
            (received.status, received.pointers()),
            (422, vec![pointer.to_owned()]),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_cursor_is_of_use_to_its_owner_only() {
    let site = start(&settings(), Readiness::new());
    let page = get(site.address, "/v1/things?limit=1", COUNSELOR_TOKEN)
        .await
        .json();
    let path = format!("/v1/things?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(get(site.address, &path, COUNSELOR_TOKEN).await.status, 200);
    assert_eq!(
        get(
            site.address,
            &path,
            &format!("Authorization: Bearer {OTHER_COUNSELOR}\r\n")
        )
        .await
        .status,
        422
    );
}
