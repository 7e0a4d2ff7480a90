//! How a room is set up.

use std::sync::Arc;

use crate::{
    dialect::{DIALECT_HEADER, DIALECT_VERSION},
    http::{Headers, cors_headers},
    policy::{AllowAll, Policy},
    refusals::{MOST_REFUSED, Tally},
};

/// How a room is set up.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    store_path: Arc<str>,
    message_prefix: Arc<str>,
    response_headers: Headers,
    policy: Arc<dyn Policy>,
    max_message_size: usize,
    max_body_size: usize,
    cures: bool,
    extended: bool,
    max_log: (usize, usize),
    max_clients: usize,
    max_refused: Tally,
    snapshot_after: usize,
}

impl RoomConfig {
    /// TinyBase's defaults, a policy that allows everything, messages up to 1 MiB and contents up to 32 MiB, stock
    /// clients set right, and the extended dialect for those who ask for it.
    pub fn new() -> Self {
        Self {
            store_path: "/store".into(),
            message_prefix: "".into(),
            response_headers: cors_headers(),
            policy: Arc::new(AllowAll),
            max_message_size: 1 << 20,
            max_body_size: 32 << 20,
            cures: true,
            extended: true,
            max_log: (4096, 4 << 20),
            max_clients: 4096,
            max_refused: MOST_REFUSED,
            snapshot_after: 1 << 20,
        }
    }

    /// Sets what a request's path ends with when it means the store; `/store` otherwise.
    pub fn with_store_path(mut self, store_path: impl Into<Arc<str>>) -> Self {
        self.store_path = store_path.into();
        self
    }

    /// Sets what each message begins with; nothing otherwise.
    pub fn with_message_prefix(mut self, message_prefix: impl Into<Arc<str>>) -> Self {
        self.message_prefix = message_prefix.into();
        self
    }

    /// Sets the headers of every answer, in place of those that let pages of any origin in ([`cors_headers`]).
    pub fn with_response_headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.response_headers = headers.into_iter().collect();
        self
    }

    /// Sets who may do what; everybody may do everything otherwise.
    pub fn with_policy(mut self, policy: impl Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Sets how many bytes a message may have; 1 MiB otherwise. Whoever sends more is cut off with code 1009.
    pub fn with_max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets how many bytes the first content of a room may have; 32 MiB otherwise. More is answered with 413.
    pub fn with_max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// Sets whether the room sets stock clients right, so that they end equal; it does otherwise.
    ///
    /// Without these cures it tells a stock client what TinyBase's own server tells it, to the letter. With them a client
    /// is also told
    ///
    /// * what holds in place of a change of its that was refused, or that may have crossed somebody else's change of the
    ///   same,
    /// * the whole content when its connection has opened, and when the room's store is made.
    ///
    /// A change that sets something in a room without a store makes the store, where TinyBase's server drops it. What the
    /// client had before and never managed to send is not in it.
    pub fn with_cures(mut self, cures: bool) -> Self {
        self.cures = cures;
        self
    }

    /// Sets whether the room speaks the extended dialect with those who ask for it; it does otherwise.
    pub fn with_extended(mut self, extended: bool) -> Self {
        self.extended = extended;
        self
    }

    /// Sets how many records, and bytes in all of them, a client may have missed that comes back. Defaults to 4096 and 4 MiB.
    /// The room keeps them in memory once such a client has joined, and reads from its storage what it did not keep. A client
    /// that missed more is sent the whole content.
    pub fn with_max_log(mut self, entries: usize, bytes: usize) -> Self {
        self.max_log = (entries, bytes);
        self
    }

    /// Sets how many clients are remembered, for their changes to take effect once; 4096 otherwise. Those who are not
    /// connected and were not heard of for longest are forgotten first.
    pub fn with_max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients;
        self
    }

    /// Sets how many bytes of log are worth a snapshot. Defaults to 1 MiB, which takes some 10 ms to read again.
    ///
    /// A snapshot is stored when the log since the last one has as many bytes, and as many as that one.
    pub fn with_snapshot_after(mut self, bytes: usize) -> Self {
        self.snapshot_after = bytes;
        self
    }

    /// Sets what a client may leave unacknowledged. Its clients have to know: the dialect names one bound.
    #[cfg(test)]
    pub(crate) fn with_max_refused(mut self, most: Tally) -> Self {
        self.max_refused = most;
        self
    }

    /// What a request's path ends with when it means the store.
    pub fn store_path(&self) -> &str {
        &self.store_path
    }

    /// What each message begins with.
    pub fn message_prefix(&self) -> &str {
        &self.message_prefix
    }

    /// The headers of every answer.
    pub fn response_headers(&self) -> &Headers {
        &self.response_headers
    }

    /// The headers of answers to requests for the store, which say whether the dialect is spoken.
    pub(crate) fn store_headers(&self) -> Headers {
        if !self.extended {
            return Arc::clone(&self.response_headers);
        }
        let dialect = [(DIALECT_HEADER, DIALECT_VERSION), ("access-control-expose-headers", DIALECT_HEADER)];
        let dialect = dialect.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.response_headers.iter().cloned().chain(dialect).collect()
    }

    /// Who may do what.
    pub fn policy(&self) -> &dyn Policy {
        &*self.policy
    }

    /// How many bytes a message may have.
    pub fn max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// How many bytes the first content of a room may have.
    pub fn max_body_size(&self) -> usize {
        self.max_body_size
    }

    /// Whether the room sets stock clients right.
    pub fn cures(&self) -> bool {
        self.cures
    }

    /// Whether the room speaks the extended dialect with those who ask for it.
    pub fn extended(&self) -> bool {
        self.extended
    }

    /// How many records, and bytes in all of them, a client may have missed that comes back.
    pub fn max_log(&self) -> (usize, usize) {
        self.max_log
    }

    /// How many clients are remembered.
    pub fn max_clients(&self) -> usize {
        self.max_clients
    }

    /// How many bytes of log are worth a snapshot.
    pub fn snapshot_after(&self) -> usize {
        self.snapshot_after
    }

    /// What a client may leave unacknowledged of what was refused.
    pub(crate) fn max_refused(&self) -> Tally {
        self.max_refused
    }
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self::new()
    }
}
