//! The store of a room over HTTP.

use std::time::Duration;

use reqwest::{
    Client, Method,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, PRAGMA},
};
use roommate::{Content, Error, ErrorKind, Result};
use tokio::time::timeout;
use tracing::warn;

use super::PartyKitConfig;
use crate::{
    proto::{DIALECT_HEADER, OFFER_HEADER, Put, Spoken, StoreAnswer},
    socket::{PartySocket, for_http},
};

/// The slowest upload, in bytes a second, that is not treated as a timeout. A slower upload looks the same as a server
/// that is gone: the HTTP client does not report how much of a body was sent.
const SLOWEST_UPLOAD: usize = 16 << 10;

/// The HTTP endpoint of a room's whole content.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    url: String,
    max_content_size: usize,
    request_timeout: Duration,
    /// The socket, whose headers the requests use as well.
    socket: PartySocket,
}

impl Endpoint {
    pub(super) fn new(socket: &PartySocket, config: &PartyKitConfig) -> Result<Self> {
        let options = socket.options();
        let protocol = match config.store_protocol {
            Some(protocol) => protocol.as_str(),
            None => options.effective_protocol().http(),
        };
        let url = options.http_url(protocol, &config.store_path)?;
        let client = for_http(Client::builder(), &url, &options)?
            .connect_timeout(config.request_timeout)
            // The socket uses no proxy either: both must reach the same server.
            .no_proxy()
            .build()
            .map_err(|error| Error::with_source(ErrorKind::Unsupported, "cannot make an HTTP client", error))?;
        Ok(Self {
            client,
            url,
            max_content_size: config.max_content_size,
            request_timeout: config.request_timeout,
            socket: socket.clone(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the room's content; `None` if nothing was ever saved.
    pub(super) async fn get(&self) -> Result<Option<Content>> {
        let request = format!("GET {}", self.url);
        let answer = self.request(&request, Method::GET, None).await?;
        let Some(decoded) = answer.of(&request).content()? else {
            return Ok(None);
        };
        if decoded.unrepresentable > 0 {
            warn!(self.url, decoded.unrepresentable, "left out cells of the room that no cell here can hold");
        }
        Ok(Some(decoded.value))
    }

    /// Returns the dialect that the server speaks.
    ///
    /// # Errors
    /// A temporary error if the server cannot say.
    pub(super) async fn spoken(&self) -> Result<Spoken> {
        let request = format!("HEAD {}", self.url);
        let answer = self.request(&request, Method::HEAD, None).await?;
        let says = answer.headers.get(DIALECT_HEADER).and_then(|says| says.to_str().ok());
        Spoken::of(answer.of(&request), says)
    }

    /// Offers a first content. `offer` identifies the edits in it that the server decides together with it.
    pub(super) async fn put(&self, content: &Content, offer: Option<String>) -> Result<Put> {
        let request = format!("PUT {}", self.url);
        self.request(&request, Method::PUT, Some((content.to_json(), offer))).await?.of(&request).put()
    }

    async fn request(&self, name: &str, method: Method, body: Option<(String, Option<String>)>) -> Result<Answer> {
        let mut request =
            self.client.request(method, &self.url).header(CACHE_CONTROL, "no-cache").header(PRAGMA, "no-cache");
        for (name, value) in &self.socket.options().headers {
            request = request.header(name, value);
        }
        // Not reqwest's read timeout, which also runs while the body is being sent.
        let mut patience = self.request_timeout;
        if let Some((body, offer)) = body {
            patience = patience.saturating_add(Duration::from_secs((body.len() / SLOWEST_UPLOAD) as u64));
            if let Some(offer) = offer {
                request = request.header(OFFER_HEADER, offer);
            }
            request = request.header(CONTENT_TYPE, "text/plain;charset=UTF-8").body(body);
        }
        let failed = |error: reqwest::Error| {
            // A URL or header that cannot be sent will not be sent later either.
            let kind = if error.is_builder() { ErrorKind::Invalid } else { ErrorKind::Unavailable };
            let what = if error.is_timeout() { "took too long" } else { "did not get through" };
            Error::with_source(kind, format!("{name} {what}"), error.without_url())
        };
        let silent = |_| Error::new(ErrorKind::Unavailable, format!("{name} took too long"));
        let mut response = timeout(patience, request.send()).await.map_err(silent)?.map_err(failed)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) =
            timeout(self.request_timeout, response.chunk()).await.map_err(silent)?.map_err(failed)?
        {
            if body.len() + chunk.len() > self.max_content_size {
                let message = format!("{name} brings more than max_content_size ({}) allows", self.max_content_size);
                return Err(Error::new(ErrorKind::Refused, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

/// The response to a request.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn of<'a>(&'a self, request: &'a str) -> StoreAnswer<'a> {
        StoreAnswer { request, status: self.status, body: &self.body }
    }
}
