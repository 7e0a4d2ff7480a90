//! The opening handshake of a WebSocket connection. axum's own handshake does not give access to the socket.

use axum::{
    body::Body,
    extract::{FromRequestParts, WebSocketUpgrade},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::connection::Io;

/// A valid request to open a WebSocket connection.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// Checks a request with axum's own extractor.
    ///
    /// # Errors
    ///
    /// Returns the response that rejects the request.
    pub(crate) async fn from_request_parts(parts: &mut Parts) -> Result<Self, Response> {
        let upgrade = parts.extensions.get::<OnUpgrade>().cloned();
        let _checked = WebSocketUpgrade::from_request_parts(parts, &()).await.map_err(IntoResponse::into_response)?;
        let key = parts.headers.get(header::SEC_WEBSOCKET_KEY);
        // The request has both, in any version of HTTP whose requests have the header `Upgrade`.
        let (Some(upgrade), Some(key)) = (upgrade, key) else { return Err(StatusCode::BAD_REQUEST.into_response()) };
        let Ok(accept) = derive_accept_key(key.as_bytes()).try_into() else {
            return Err(StatusCode::BAD_REQUEST.into_response());
        };
        // A browser that offers protocols fails if none is selected.
        let protocol = parts.headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| {
            let first = offered.as_bytes().split(|byte| *byte == b',').next()?.trim_ascii();
            HeaderValue::from_bytes(first).ok()
        });
        Ok(Self { accept, protocol, upgrade })
    }

    /// Returns the response that accepts the request, and a future of the socket, which resolves once the response is
    /// sent.
    pub(crate) fn accept(self) -> (Response, impl Future<Output = hyper::Result<Box<dyn Io>>> + Send) {
        let Self { accept, protocol, upgrade } = self;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let socket = async move {
            let socket: Box<dyn Io> = Box::new(TokioIo::new(upgrade.await?));
            Ok(socket)
        };
        (response, socket)
    }
}
