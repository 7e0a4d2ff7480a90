//! TLS, the same for the socket and for HTTP.

use std::sync::Arc;

use roommate::{Error, ErrorKind, Result};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer};

use crate::proto::socket::PartySocketOptions;

/// Trusts Mozilla's roots and the options', and uses the program's crypto provider if it has installed one.
///
/// The provider is named rather than left to rustls, which panics when a program was built with several and chose none.
pub(crate) fn tls_config(options: &PartySocketOptions) -> Result<ClientConfig> {
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for der in &options.root_certificates {
        roots.add(CertificateDer::from(der.as_slice())).map_err(|error| {
            let message = format!("a root certificate cannot be read, which must be in DER: {error}");
            Error::with_source(ErrorKind::Invalid, message, error)
        })?;
    }
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| {
            let message = "the installed crypto provider knows no version of TLS that is safe";
            Error::with_source(ErrorKind::Unsupported, message, error)
        })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
