//! TLS, the same for the socket and for HTTP.

use std::sync::Arc;

use reqwest::ClientBuilder;
use roommate::{Error, ErrorKind, Result};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    Connector, client_async_tls_with_config,
    tungstenite::{self, handshake::client::Request, protocol::WebSocketConfig},
};

use super::{connect::WebSocket, metered::Metered};
use crate::proto::socket::{PartySocketOptions, SocketProtocol};

/// Fails if no connection can be made with these options.
pub(crate) fn check(options: &PartySocketOptions) -> Result<()> {
    tls_config(options).map(drop)
}

/// Returns how a socket with these options connects.
pub(super) fn connector(options: &PartySocketOptions) -> Result<Connector> {
    Ok(match options.effective_protocol() {
        SocketProtocol::Wss => Connector::Rustls(Arc::new(tls_config(options)?)),
        SocketProtocol::Ws => Connector::Plain,
    })
}

/// Encrypts the connection if the options say so, and makes it a WebSocket.
pub(super) async fn upgrade(
    request: Request,
    stream: Metered<TcpStream>,
    config: WebSocketConfig,
    connector: Connector,
) -> tungstenite::Result<WebSocket> {
    let (socket, _) = client_async_tls_with_config(request, stream, Some(config), Some(connector)).await?;
    Ok(socket)
}

/// Makes an HTTP client connect to `url` as a socket with these options does.
pub(crate) fn for_http(client: ClientBuilder, _url: &str, options: &PartySocketOptions) -> Result<ClientBuilder> {
    Ok(client.tls_backend_preconfigured(tls_config(options)?))
}

/// Trusts Mozilla's roots and the options', and uses the program's crypto provider if it has installed one.
///
/// The provider is named rather than left to rustls, which panics when a program was built with several and chose none.
fn tls_config(options: &PartySocketOptions) -> Result<ClientConfig> {
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
