//! TLS, the same for the socket and for HTTP.

use std::sync::{Arc, OnceLock};

use roommate::{Error, ErrorKind, Result};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};

/// Mozilla's roots, and the program's crypto provider if it has installed one.
///
/// The provider is named rather than left to rustls, which panics when a program was built with several and chose none.
pub(crate) fn tls_config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            let message = "the installed crypto provider knows no version of TLS that is safe";
            Error::with_source(ErrorKind::Unsupported, message, error)
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}
