//! The setters of [`PartySocketOptions`].

use std::{sync::Arc, time::Duration};

use roommate::Result;

use super::{PartySocketOptions, SocketProtocol};
use crate::socket::{Heartbeat, Query, QueryPairs, QueryValue};

impl PartySocketOptions {
    /// Sets the server.
    #[must_use]
    pub fn with_host(self, host: impl Into<String>) -> Self {
        Self { host: host.into(), ..self }
    }

    /// Sets the room.
    #[must_use]
    pub fn with_room(self, room: impl Into<String>) -> Self {
        Self { room: Some(room.into()), ..self }
    }

    /// Sets the party.
    #[must_use]
    pub fn with_party(self, party: impl Into<String>) -> Self {
        Self { party: party.into(), ..self }
    }

    /// Sets the whole path of the room.
    #[must_use]
    pub fn with_base_path(self, base_path: impl Into<String>) -> Self {
        Self { base_path: Some(base_path.into()), ..self }
    }

    /// Sets the path segment before party and room. Defaults to `parties`.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: Some(prefix.into()), ..self }
    }

    /// Sets the path that follows the room.
    #[must_use]
    pub fn with_path(self, path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// Sets the protocol.
    #[must_use]
    pub fn with_protocol(self, protocol: SocketProtocol) -> Self {
        Self { protocol: Some(protocol), ..self }
    }

    /// Sets the subprotocols.
    #[must_use]
    pub fn with_protocols<P: Into<String>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        Self { protocols: protocols.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets the connection's id.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Sets the query as names and values, such as `[("token", "secret")]`. A value may be an `Option`; a pair whose
    /// value is `None` is left out.
    #[must_use]
    pub fn with_query<N: Into<String>, V: Into<QueryValue>>(self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into().0)).collect();
        Self { query: Query::Pairs(pairs), ..self }
    }

    /// Sets a function that is called for the query of each attempt.
    #[must_use]
    pub fn with_query_function<F, Fut>(self, function: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<QueryPairs>> + Send + 'static,
    {
        Self { query: Query::Function(Arc::new(move || Box::pin(function()))), ..self }
    }

    /// Adds a header of the upgrade request.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a certificate to trust, in DER.
    #[must_use]
    pub fn with_root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(der.into());
        self
    }

    /// Sets whether to wait for `reconnect` before the first attempt.
    #[must_use]
    pub fn with_start_closed(self, start_closed: bool) -> Self {
        Self { start_closed, ..self }
    }

    /// Sets the delay before the second attempt. Defaults to 3 s.
    #[must_use]
    pub fn with_min_reconnection_delay(self, min_reconnection_delay: Duration) -> Self {
        Self { min_reconnection_delay, ..self }
    }

    /// Sets the longest delay between attempts, before jitter. Defaults to 10 s.
    #[must_use]
    pub fn with_max_reconnection_delay(self, max_reconnection_delay: Duration) -> Self {
        Self { max_reconnection_delay, ..self }
    }

    /// Sets the factor by which each delay is longer than the one before it. Defaults to 1.3.
    #[must_use]
    pub fn with_reconnection_delay_grow_factor(self, reconnection_delay_grow_factor: f64) -> Self {
        Self { reconnection_delay_grow_factor, ..self }
    }

    /// Sets how long a connection must last before the delays start over. Defaults to 5 s.
    #[must_use]
    pub fn with_min_uptime(self, min_uptime: Duration) -> Self {
        Self { min_uptime, ..self }
    }

    /// Sets how long an attempt may take. Defaults to 4 s.
    #[must_use]
    pub fn with_connection_timeout(self, connection_timeout: Duration) -> Self {
        Self { connection_timeout, ..self }
    }

    /// Sets how many attempts may follow a failed one. Defaults to no limit.
    #[must_use]
    pub fn with_max_retries(self, max_retries: u32) -> Self {
        Self { max_retries: Some(max_retries), ..self }
    }

    /// Sets how many attempts in a row may be refused. Defaults to 3.
    #[must_use]
    pub fn with_max_refusals(self, max_refusals: u32) -> Self {
        Self { max_refusals, ..self }
    }

    /// Sets how many messages may be queued. Defaults to 1024.
    #[must_use]
    pub fn with_max_enqueued_messages(self, max_enqueued_messages: usize) -> Self {
        Self { max_enqueued_messages, ..self }
    }

    /// Sets how many bytes may be queued. Defaults to 64 MiB.
    #[must_use]
    pub fn with_max_enqueued_bytes(self, max_enqueued_bytes: usize) -> Self {
        Self { max_enqueued_bytes, ..self }
    }

    /// Sets the largest message that is received or sent, in bytes. Defaults to 64 MiB.
    #[must_use]
    pub fn with_max_message_size(self, max_message_size: usize) -> Self {
        Self { max_message_size, ..self }
    }

    /// Sets how much the delays vary, as a fraction: 0 disables jitter. Defaults to 0.25.
    #[must_use]
    pub fn with_jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// Sets how the socket detects that the server is gone without a close frame.
    #[must_use]
    pub fn with_heartbeat(self, heartbeat: Option<Heartbeat>) -> Self {
        Self { heartbeat, ..self }
    }
}
