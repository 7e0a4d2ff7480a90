//! The configuration of a persister.

use std::{sync::Arc, time::Duration};

use crate::proto::{Limits, LinkOptions};

/// How a persister connects to a room's store: the options of TinyBase's `createPartyKitPersister`, and a few more.
///
/// The message prefix and the store path must match the server's, as in TinyBase.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartyKitConfig {
    /// The protocol of HTTP requests. Defaults to the one that matches the socket's: `http` for `ws`, `https` for
    /// `wss`. (In JavaScript it defaults to `https` for every socket, so a room on `localhost` needs this option.)
    pub store_protocol: Option<StoreProtocol>,
    /// The path of the store, appended to the room's path. Defaults to `/store`.
    pub store_path: String,
    /// The prefix of each message, which distinguishes TinyBase's messages from others. Defaults to empty.
    pub message_prefix: Arc<str>,
    /// Whether to open a second connection that receives everything. Defaults to true.
    pub listening_connection: bool,
    /// Whether to speak the extended dialect with a server that supports it. Defaults to true.
    pub extended_dialect: bool,
    /// How long an HTTP request may wait for the server to make progress, in addition to the time that its own body
    /// takes at 16 KiB a second. Defaults to 30 s.
    pub request_timeout: Duration,
    /// The largest content that is read, in bytes of JSON. Defaults to 256 MiB.
    pub max_content_size: usize,
    /// The room's limits. Defaults to PartyKit's.
    pub limits: Limits,
    /// How long the client waits for the broadcast of its own change before it checks the room. Defaults to 5 s.
    pub patience: Duration,
}

/// The protocol of HTTP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreProtocol {
    /// Without TLS: for this machine and trusted networks.
    Http,
    /// With TLS.
    Https,
}

impl StoreProtocol {
    /// Returns `http` or `https`.
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
    /// Creates a configuration with all defaults.
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

    /// Sets the prefix of each message.
    #[must_use]
    pub fn with_message_prefix(self, message_prefix: impl Into<Arc<str>>) -> Self {
        Self { message_prefix: message_prefix.into(), ..self }
    }

    /// Sets whether to open a second connection that receives everything. Defaults to true.
    ///
    /// Without it there is one connection instead of two, and this client does not learn the position of its own
    /// changes in the room's order: a save counts as done once it is handed to an open socket. Then two clients that
    /// write one cell at the same moment may differ until one of them loads again. What the room refuses stays in this
    /// store unnoticed. What is lost with a connection is sent again only if it was sent within [`Self::patience`] of
    /// the loss. TinyBase's own client has the same limits.
    #[must_use]
    pub fn with_listening_connection(self, listening_connection: bool) -> Self {
        Self { listening_connection, ..self }
    }

    /// Sets whether to speak the extended dialect with a server that supports it, such as Roommate's own. Defaults to
    /// true.
    ///
    /// In the extended dialect everything travels on the persister's own connection in both directions, every change
    /// takes effect exactly once, however often its connection breaks, and a reconnection transfers only what was
    /// missed. The persister detects the dialect by a request, and speaks TinyBase's own dialect with a server that
    /// does not support the extended one. Without a [listening connection](Self::with_listening_connection) the
    /// extended dialect is never used.
    #[must_use]
    pub fn with_extended_dialect(self, extended_dialect: bool) -> Self {
        Self { extended_dialect, ..self }
    }

    /// Sets how long an HTTP request may wait for the server to make progress. Defaults to 30 s.
    #[must_use]
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Sets the largest content that is read, in bytes of JSON. Defaults to 256 MiB.
    #[must_use]
    pub fn with_max_content_size(self, max_content_size: usize) -> Self {
        Self { max_content_size, ..self }
    }

    /// Sets the room's limits. Defaults to PartyKit's.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets how long the client waits for the broadcast of its own change before it checks the room. Defaults to 5 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}
