//! HTTP, as much of it as the proxy has to understand.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Get,
    Put,
    /// A GET that wants to become a WebSocket connection.
    Upgrade,
    Other,
}

/// The head of a request, and what else was read with it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
    pub(super) asks: Asks,
    /// How much of the body has yet to come.
    pub(super) body_left: u64,
}

/// A whole response, with its length and an announcement that the connection ends.
pub(crate) fn response(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

impl Head {
    /// Reads the next request's head; `None` at the end of the connection, even in the middle of a head.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let length = loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
            if let Some(start) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break start + 4;
            }
        };
        let text = String::from_utf8_lossy(&bytes[..length]).to_ascii_lowercase();
        let header =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let body: u64 = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let asks = match text.split(' ').next() {
            Some("get") if header("upgrade") == Some("websocket") => Asks::Upgrade,
            Some("get") => Asks::Get,
            Some("put") => Asks::Put,
            _ => Asks::Other,
        };
        let body_left = body.saturating_sub((bytes.len() - length) as u64);
        Ok(Some(Self { bytes, asks, body_left }))
    }
}
