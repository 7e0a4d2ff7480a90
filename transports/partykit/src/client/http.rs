//! The store of a room over HTTP.

use std::str;

use reqwest::{
    Client, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA},
};
use roommate::{Content, Decoded, Error, ErrorKind, Result};
use tracing::warn;

use super::PartyKitConfig;
use crate::socket::{PartySocket, tls_config};

/// Where a room's whole content is read and written.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    url: String,
    max_content_size: usize,
    /// Its headers are those of the requests.
    socket: PartySocket,
}

/// What became of a first content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It was taken, or what of it the room did not refuse.
    Created,
    /// The room has one already.
    Existed,
}

/// How much of an error's body is worth telling.
const MOST_OF_A_REASON: usize = 300;

impl Endpoint {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig) -> Result<Self> {
        let options = socket.options();
        let protocol = match config.store_protocol {
            Some(protocol) => protocol.as_str(),
            None => options.effective_protocol().http(),
        };
        let url = options.http_url(protocol, &config.store_path)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls_config(&options)?)
            .connect_timeout(config.request_timeout)
            .read_timeout(config.request_timeout)
            // The socket uses none either: both are to speak to one server.
            .no_proxy()
            .build()
            .map_err(|error| Error::with_source(ErrorKind::Unsupported, "cannot make an HTTP client", error))?;
        Ok(Self { client, url, max_content_size: config.max_content_size, socket: socket.clone() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The room's content; `None` where nothing was ever saved.
    pub(super) async fn get(&self) -> Result<Option<Content>> {
        let response = self.request(Method::GET, None).await?;
        let body = self.body(response).await?;
        if body.is_empty() {
            return Ok(None);
        }
        let corrupt = |error: Error| {
            let message = format!("GET {} was answered with something that is no content: {error}", self.url);
            Error::with_source(ErrorKind::Corrupt, message, error)
        };
        let text = str::from_utf8(&body)
            .map_err(|error| corrupt(Error::with_source(ErrorKind::Corrupt, error.to_string(), error)))?;
        let Decoded { mut value, unrepresentable } = Content::from_json(text).map_err(corrupt)?;
        if unrepresentable > 0 {
            warn!(url = self.url, unrepresentable, "left out cells of the room that no cell here can hold");
        }
        value.prune();
        Ok(Some(value))
    }

    /// Offers a first content.
    pub(super) async fn put(&self, content: &Content) -> Result<Put> {
        let response = self.request(Method::PUT, Some(content.to_json())).await?;
        match response.status() {
            StatusCode::RESET_CONTENT => Ok(Put::Existed),
            _ => Ok(Put::Created),
        }
    }

    /// Sends a request and takes a success for an answer.
    async fn request(&self, method: Method, body: Option<String>) -> Result<Response> {
        let mut request =
            self.client.request(method.clone(), &self.url).header(CACHE_CONTROL, "no-cache").header(PRAGMA, "no-cache");
        for (name, value) in &self.socket.options().headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "text/plain;charset=UTF-8").body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&method, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut reason = match self.body(response).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(_) => String::new(),
        };
        if let Some((end, _)) = reason.char_indices().nth(MOST_OF_A_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        Err(self.failed(&method, status, reason.trim()))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
        let method = Method::GET;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&method, error))? {
            if body.len() + chunk.len() > self.max_content_size {
                let message = format!("{} holds more than max_content_size ({})", self.url, self.max_content_size);
                return Err(Error::new(ErrorKind::Refused, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, method: &Method, error: reqwest::Error) -> Error {
        // A URL or header that cannot be sent will not be sent later either.
        let kind = if error.is_builder() { ErrorKind::Invalid } else { ErrorKind::Unavailable };
        let what = if error.is_timeout() { "took too long" } else { "did not get through" };
        Error::with_source(kind, format!("{method} {} {what}", self.url), error.without_url())
    }

    fn failed(&self, method: &Method, status: StatusCode, reason: &str) -> Error {
        let url = &self.url;
        let separator = if reason.is_empty() { "" } else { ": " };
        let (kind, advice) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                (ErrorKind::Refused, "; the headers of the socket's options are sent with it")
            }
            StatusCode::NOT_FOUND => (ErrorKind::Refused, "; check host, party and store path"),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                (ErrorKind::Unavailable, "")
            }
            status if status.is_server_error() => (ErrorKind::Unavailable, ""),
            _ => (ErrorKind::Refused, ""),
        };
        Error::new(kind, format!("{method} {url} was answered with {status}{separator}{reason}{advice}"))
    }
}
