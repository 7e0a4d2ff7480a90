//! What a persister is told when it is made.

use std::{sync::Arc, time::Duration};

use crate::proto::{Limits, LinkOptions};

/// How to speak to a room's store: the options of TinyBase's `createPartyKitPersister`, and a few of our own.
///
/// Prefix and path have to be the server's, as in TinyBase.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartyKitConfig {
    /// The protocol of HTTP requests. By default the one that goes with the socket's: `http` with `ws`, `https` with
    /// `wss`. (In JavaScript it is `https` whatever the socket has, so that a room on `localhost` needs it set.)
    pub store_protocol: Option<StoreProtocol>,
    /// The path of the store behind that of the room. `/store` by default.
    pub store_path: String,
    /// What stands before each message, to tell TinyBase's from others'. Empty by default.
    pub message_prefix: Arc<str>,
    /// Whether to open a second connection that hears everything. True by default.
    pub listening_connection: bool,
    /// Whether to speak the extended dialect with a server that does. True by default.
    pub extended_dialect: bool,
    /// How long an HTTP request may wait for the server to go on, besides the time that its own body takes at 16 KiB a second.
    /// 30 s by default.
    pub request_timeout: Duration,
    /// The largest content that is read, in bytes of JSON. 256 MiB by default.
    pub max_content_size: usize,
    /// What the room can take. PartyKit's by default.
    pub limits: Limits,
    /// How long a change may take to come back before the room is asked what became of it. 5 s by default.
    pub patience: Duration,
}

/// The protocol of HTTP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreProtocol {
    /// Plain: for this machine and trusted networks.
    Http,
    /// Over TLS.
    Https,
}

impl StoreProtocol {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Default for PartyKitConfig {
    fn default() -> Self {
        let LinkOptions { limits, patience, .. } = LinkOptions::default();
        Self {
            store_protocol: None,
            store_path: "/store".to_owned(),
            message_prefix: "".into(),
            listening_connection: true,
            extended_dialect: true,
            request_timeout: Duration::from_secs(30),
            max_content_size: 256 << 20,
            limits,
            patience,
        }
    }
}

impl PartyKitConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the protocol of HTTP requests.
    #[must_use]
    pub fn with_store_protocol(self, store_protocol: StoreProtocol) -> Self {
        Self { store_protocol: Some(store_protocol), ..self }
    }

    /// Sets the path of the store.
    #[must_use]
    pub fn with_store_path(self, store_path: impl Into<String>) -> Self {
        Self { store_path: store_path.into(), ..self }
    }

    /// Sets what stands before each message.
    #[must_use]
    pub fn with_message_prefix(self, message_prefix: impl Into<Arc<str>>) -> Self {
        Self { message_prefix: message_prefix.into(), ..self }
    }

    /// Sets whether to open a second connection that hears everything.
    ///
    /// Without it there is one connection instead of two, and this client does not hear where its own changes stand in
    /// the room's order: a save counts as done once it is handed to an open socket. Then two clients that write one cell
    /// at the same moment may stay apart until one of them loads again; what the room refuses stays in this store
    /// unnoticed; and what is lost with a connection is sent again only if it was sent within [`Self::patience`] of the
    /// loss. These are the losses of TinyBase's own client.
    #[must_use]
    pub fn with_listening_connection(self, listening_connection: bool) -> Self {
        Self { listening_connection, ..self }
    }

    /// Sets whether to speak the extended dialect with a server that does, such as Roommate's own.
    ///
    /// Then everything travels on the persister's own connection in both directions, every change takes effect once however
    /// often its connection breaks, and a reconnection costs what was missed. A server that does not speak it is found out by
    /// its answer to a request, and gets TinyBase's own dialect. Without a
    /// [listening connection](Self::with_listening_connection) it is never spoken.
    #[must_use]
    pub fn with_extended_dialect(self, extended_dialect: bool) -> Self {
        Self { extended_dialect, ..self }
    }

    /// Sets how long an HTTP request may wait for the server to go on.
    #[must_use]
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Sets the largest content that is read.
    #[must_use]
    pub fn with_max_content_size(self, max_content_size: usize) -> Self {
        Self { max_content_size, ..self }
    }

    /// Sets what the room can take.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets how long a change may take to come back before the room is asked what became of it.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}
