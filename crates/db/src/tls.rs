//! TLS to Postgres, verified against the system's roots. `sslmode` in the URL decides whether it is used.

use std::sync::{Arc, LazyLock};

use rustls::ClientConfig;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

/// The system's roots, read once in a process.
static CONFIG: LazyLock<Result<ClientConfig, String>> = LazyLock::new(|| {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A root that rustls cannot read is left out: the others still verify.
        let _ = roots.add(certificate);
    }
    // The provider is named here, so that no process-wide default is needed.
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
});

/// What connections are made with.
pub(crate) fn connector() -> Result<MakeRustlsConnect, Error> {
    match &*CONFIG {
        Ok(config) => Ok(MakeRustlsConnect::new(config.clone())),
        Err(reason) => Err(Error::Settings(reason.clone())),
    }
}
