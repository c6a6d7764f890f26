//! Names of receivers: looked up once for each connection, which goes to the addresses that were looked at.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::all_allowed;
use crate::domain::callback::Reach;

/// A name that leads inside.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("leads to an address that webhooks do not go to")]
pub(super) struct Inside;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Looks names up for the HTTP client.
pub(super) struct Resolver(pub(super) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = addresses(name.as_str(), reach).await?;
            Ok::<Addrs, AnyError>(Box::new(found.into_iter()))
        })
    }
}

/// The addresses of a name. One of them inside is refused with all others: whoever names it could choose.
///
/// # Errors
/// [`Inside`], or that of looking up.
pub(super) async fn addresses(name: &str, reach: Reach) -> Result<Vec<SocketAddr>, AnyError> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
    if all_allowed(reach, found.iter().map(SocketAddr::ip)) {
        Ok(found)
    } else {
        Err(Inside.into())
    }
}
