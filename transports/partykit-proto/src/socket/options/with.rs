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

    /// Sets what stands before party and room.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: Some(prefix.into()), ..self }
    }

    /// Sets the path behind the room.
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

    /// Sets the query: names and values, such as `[("token", "secret")]`. A value may be an `Option`; a pair without one is
    /// left out.
    #[must_use]
    pub fn with_query<N: Into<String>, V: Into<QueryValue>>(self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into().0)).collect();
        Self { query: Query::Pairs(pairs), ..self }
    }

    /// Sets a function that is asked for the query of each attempt.
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

    /// Sets the wait before the second attempt.
    #[must_use]
    pub fn with_min_reconnection_delay(self, min_reconnection_delay: Duration) -> Self {
        Self { min_reconnection_delay, ..self }
    }

    /// Sets the longest wait between attempts.
    #[must_use]
    pub fn with_max_reconnection_delay(self, max_reconnection_delay: Duration) -> Self {
        Self { max_reconnection_delay, ..self }
    }

    /// Sets how much longer each wait is than the one before it.
    #[must_use]
    pub fn with_reconnection_delay_grow_factor(self, reconnection_delay_grow_factor: f64) -> Self {
        Self { reconnection_delay_grow_factor, ..self }
    }

    /// Sets how long a connection must last for the waits to start over.
    #[must_use]
    pub fn with_min_uptime(self, min_uptime: Duration) -> Self {
        Self { min_uptime, ..self }
    }

    /// Sets how long an attempt may take.
    #[must_use]
    pub fn with_connection_timeout(self, connection_timeout: Duration) -> Self {
        Self { connection_timeout, ..self }
    }

    /// Sets how many attempts may follow a failed one.
    #[must_use]
    pub fn with_max_retries(self, max_retries: u32) -> Self {
        Self { max_retries: Some(max_retries), ..self }
    }

    /// Sets how many attempts in a row may be refused.
    #[must_use]
    pub fn with_max_refusals(self, max_refusals: u32) -> Self {
        Self { max_refusals, ..self }
    }

    /// Sets how many messages may wait to be written.
    #[must_use]
    pub fn with_max_enqueued_messages(self, max_enqueued_messages: usize) -> Self {
        Self { max_enqueued_messages, ..self }
    }

    /// Sets how many bytes may wait to be written.
    #[must_use]
    pub fn with_max_enqueued_bytes(self, max_enqueued_bytes: usize) -> Self {
        Self { max_enqueued_bytes, ..self }
    }

    /// Sets the largest message that is taken or sent.
    #[must_use]
    pub fn with_max_message_size(self, max_message_size: usize) -> Self {
        Self { max_message_size, ..self }
    }

    /// Sets how much the waits vary, as a part of them: 0 is not at all.
    #[must_use]
    pub fn with_jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// Sets how the socket finds out that the server is gone.
    #[must_use]
    pub fn with_heartbeat(self, heartbeat: Option<Heartbeat>) -> Self {
        Self { heartbeat, ..self }
    }
}
