//! One attempt to connect: host look-up, TCP, TLS, upgrade.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use roommate::{Error, ErrorKind, Result};
use tokio::{
    net::{TcpStream, lookup_host},
    select,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        self,
        client::IntoClientRequest,
        handshake::client::{Request, Response},
        http::{HeaderName, HeaderValue, header},
        protocol::WebSocketConfig,
    },
};

use super::{
    metered::{Metered, Vitals},
    tls,
};
use crate::proto::socket::{PartySocketOptions, Target};

pub(super) type WebSocket = WebSocketStream<MaybeTlsStream<Metered<TcpStream>>>;

/// Why an attempt failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether the server may have accepted the connection all the same.
    pub(super) may_have_opened: bool,
}

/// How many bytes tungstenite buffers before it writes.
const WRITE_BUFFER: usize = 128 << 10;

/// How long one address is tried alone before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// How much of a refusal's body the error includes.
const EXCERPT: usize = 200;

/// Makes one attempt.
pub(super) async fn connect(target: &Target, vitals: Arc<Vitals>) -> Result<WebSocket, Failure> {
    let options = &target.options;
    let not_opened = |error| Failure { error, may_have_opened: false };
    let query = options.query.resolve().await.map_err(not_opened)?;
    let url = options.socket_url(&target.id, &query).map_err(not_opened)?;
    let request = upgrade_request(&url, options).map_err(not_opened)?;
    match timeout(options.connection_timeout, upgrade(request, options, vitals)).await {
        Ok(result) => result,
        Err(_) => Err(Failure {
            error: Error::new(
                ErrorKind::Unavailable,
                format!("no answer from {} within {:?}", options.host, options.connection_timeout),
            ),
            may_have_opened: true,
        }),
    }
}

async fn upgrade(request: Request, options: &PartySocketOptions, vitals: Arc<Vitals>) -> Result<WebSocket, Failure> {
    let not_opened = |error| Failure { error, may_have_opened: false };
    let uri = request.uri();
    let is_tls = uri.scheme_str() == Some("wss");
    let host = uri.host().unwrap_or_default();
    // A resolver does not accept brackets.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let connecting = async { connect_any(lookup_host((host, port)).await?).await };
    let stream = connecting.await.map_err(|error| {
        let message = format!("cannot connect to {host} port {port}: {error}");
        not_opened(Error::with_source(ErrorKind::Unavailable, message, error))
    })?;
    // A failure only adds some latency.
    let _ = stream.set_nodelay(true);
    let connector = tls::connector(options).map_err(not_opened)?;
    let max = options.max_message_size;
    let config = WebSocketConfig::default()
        .write_buffer_size(WRITE_BUFFER)
        // The limit admits one message of the largest size after an almost full buffer, and its frame header.
        .max_write_buffer_size(WRITE_BUFFER.saturating_add(max).saturating_add(64))
        .max_message_size(Some(max))
        .max_frame_size(Some(max));
    match tls::upgrade(request, Metered::new(stream, vitals), config, connector).await {
        Ok(socket) => Ok(socket),
        Err(error) => Err(failure(error, &options.host)),
    }
}

/// Connects to the first address that responds. A slow address does not delay the next one.
async fn connect_any(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.peekable();
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        running.extend(addresses.next().map(TcpStream::connect));
        select! {
            result = running.next() => match result {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => drop(first_error.get_or_insert(error)),
                None => return Err(first_error.unwrap_or_else(|| io::Error::other("the name has no address"))),
            },
            () = sleep(HEAD_START), if addresses.peek().is_some() => {}
        }
    }
}

fn upgrade_request(url: &str, options: &PartySocketOptions) -> Result<Request> {
    let invalid = |what: &str, error: tungstenite::Error| {
        Error::with_source(ErrorKind::Invalid, format!("{what} cannot be sent: {error}"), error)
    };
    let mut request = url.into_client_request().map_err(|error| invalid(url, error))?;
    let headers = request.headers_mut();
    for (name, value) in &options.headers {
        let parsed = HeaderName::try_from(name).map_err(tungstenite::Error::from);
        let parsed = parsed.and_then(|name| Ok((name, HeaderValue::try_from(value)?)));
        let (name, value) = parsed.map_err(|error| invalid(&format!("the header {name}"), error))?;
        match name {
            header::HOST => drop(headers.insert(name, value)),
            _ => drop(headers.append(name, value)),
        }
    }
    if !options.protocols.is_empty() {
        let protocols = HeaderValue::try_from(options.protocols.join(", "));
        let protocols = protocols.map_err(|error| invalid("the subprotocols", error.into()))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    Ok(request)
}

fn failure(error: tungstenite::Error, host: &str) -> Failure {
    match error {
        tungstenite::Error::Http(response) => Failure { error: answered(&response, host), may_have_opened: false },
        tungstenite::Error::Io(error) => Failure {
            error: Error::with_source(ErrorKind::Unavailable, format!("cannot connect to {host}: {error}"), error),
            may_have_opened: true,
        },
        error @ tungstenite::Error::Protocol(tungstenite::error::ProtocolError::HandshakeIncomplete) => Failure {
            error: Error::with_source(ErrorKind::Unavailable, format!("{host} hung up while connecting"), error),
            may_have_opened: true,
        },
        error => Failure {
            error: Error::with_source(
                ErrorKind::Corrupt,
                format!("{host} answered with something that is no WebSocket: {error}"),
                error,
            ),
            may_have_opened: true,
        },
    }
}

/// The error for a response other than 101.
fn answered(response: &Response, host: &str) -> Error {
    let status = response.status();
    let kind = match status.as_u16() {
        408 | 425 | 429 | 500.. => ErrorKind::Unavailable,
        300.. => ErrorKind::Refused,
        _ => ErrorKind::Corrupt,
    };
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
    let body: String = body.trim().chars().filter(|char| !char.is_control()).take(EXCERPT).collect();
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let mut message = format!("{host} answered the upgrade with {status}");
    if let Some(location) = location {
        message.push_str(&format!(" to {location}, which a socket does not follow"));
    }
    if !body.is_empty() {
        message.push_str(&format!(": {body}"));
    }
    match status.as_u16() {
        401 | 403 => message.push_str(" (look at the socket's query and headers)"),
        404 => message.push_str(" (look at host, party and room)"),
        _ => {}
    }
    Error::new(kind, message)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_does_not_answer_keeps_no_other_from_being_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let there = listener.local_addr().expect("an address");
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address");
        // An address of a documentation network: packets to it are lost.
        let nowhere = "192.0.2.1:9".parse().expect("an address");
        let stream = connect_any([nowhere, closed, there].into_iter()).await.expect("the last one answers");
        assert_eq!(stream.peer_addr().expect("connected"), there);
        let error = connect_any([closed].into_iter()).await.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect_any([].into_iter()).await.is_err());
    }
}
