//! The replacement for TLS in a build without the feature `tls`: an error for each host that needs TLS.

use reqwest::ClientBuilder;
use roommate::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, client_async_with_config,
    tungstenite::{self, handshake::client::Request, protocol::WebSocketConfig},
};

use super::{connect::WebSocket, metered::Metered};
use crate::proto::socket::{PartySocketOptions, SocketProtocol};

/// Connects without TLS.
pub(super) struct Plain;

/// Fails if no connection can be made with these options.
pub(crate) fn check(options: &PartySocketOptions) -> Result<()> {
    connector(options).map(drop)
}

/// Returns how a socket with these options connects.
pub(super) fn connector(options: &PartySocketOptions) -> Result<Plain> {
    match options.effective_protocol() {
        SocketProtocol::Wss => Err(lacks_tls(&format!("wss://{}", options.host))),
        SocketProtocol::Ws => Ok(Plain),
    }
}

/// Makes the connection a WebSocket.
#[cfg_attr(feature = "tls", expect(dead_code, reason = "only the errors are tested beside TLS"))]
pub(super) async fn upgrade(
    request: Request,
    stream: Metered<TcpStream>,
    config: WebSocketConfig,
    Plain: Plain,
) -> tungstenite::Result<WebSocket> {
    let (socket, _) = client_async_with_config(request, MaybeTlsStream::Plain(stream), Some(config)).await?;
    Ok(socket)
}

/// Makes an HTTP client connect to `url` as a socket with these options does.
pub(crate) fn for_http(client: ClientBuilder, url: &str, _: &PartySocketOptions) -> Result<ClientBuilder> {
    if url.starts_with("https:") { Err(lacks_tls(url)) } else { Ok(client) }
}

fn lacks_tls(url: &str) -> Error {
    let message = format!(
        "{url} needs TLS, and this program was built without it: turn on the feature `tls` of roommate-partykit, or set \
         the protocol (`with_protocol`, `with_store_protocol`) for a server without TLS"
    );
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use reqwest::Client;

    use super::*;

    #[test]
    fn a_host_that_needs_tls_is_refused_with_what_to_do() {
        let options = PartySocketOptions::new("example.com", "my_room");
        let error = check(&options).expect_err("there is no TLS");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let message = error.to_string();
        assert!(message.contains("wss://example.com") && message.contains("feature `tls`"), "{message}");
        assert!(for_http(Client::builder(), "https://example.com/store", &options).is_err());
    }

    #[test]
    fn a_host_that_needs_no_tls_is_connected_to() {
        let local = PartySocketOptions::new("127.0.0.1:1999", "my_room");
        assert!(check(&local).is_ok());
        assert!(check(&PartySocketOptions::new("example.com", "my_room").with_protocol(SocketProtocol::Ws)).is_ok());
        assert!(for_http(Client::builder(), "http://127.0.0.1:1999/store", &local).is_ok());
    }
}
