//! Connections: how long one may say nothing, and how they end with the server.

use std::time::Duration;

use super::site::*;
use crate::{Readiness, ServerSettings};

#[tokio::test]
async fn a_stopping_server_says_so_and_then_closes() {
    let site = start(
        &ServerSettings {
            drain_pause: Duration::from_millis(300),
            ..settings()
        },
        Readiness::new(),
    );
    let (handle, address) = (site.handle.clone(), site.address);
    let stop = handle.stop();
    let watch = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        get(address, "/readyz", "").await
    };
    let ((), received) = tokio::join!(stop, watch);
    assert_eq!(
        (received.status, received.json()["status"].as_str().unwrap()),
        (503, "stopping")
    );
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Clients open connections ahead: an answer that comes before any question would be taken for that of the first one.
#[tokio::test]
async fn a_connection_that_has_asked_nothing_yet_is_as_idle_as_one_that_has() {
    let settings = ServerSettings {
        keep_alive: Duration::from_millis(200),
        ..settings()
    };
    let site = start(&settings, Readiness::new());
    let given_up = exchange(site.address, b"");
    // Five seconds is what the framework would grant by itself, however long an idle one may stay.
    let received = tokio::time::timeout(Duration::from_secs(4), given_up)
        .await
        .unwrap();
    assert_eq!(received.status, 408);
}
