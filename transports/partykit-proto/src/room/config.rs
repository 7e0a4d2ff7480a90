//! The configuration of a room.

use std::sync::Arc;

use crate::{
    dialect::{DIALECT_HEADER, DIALECT_VERSION},
    http::{Headers, cors_headers},
    policy::{AllowAll, Policy},
    refusals::{MOST_REFUSED, Tally},
};

/// The configuration of a room.
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
    /// Creates the default configuration: TinyBase's defaults, a policy that allows everything, messages of up to 1
    /// MiB, first contents of up to 32 MiB, repairs of stock clients, and the extended dialect for clients that ask for
    /// it.
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

    /// Sets the end of the path of requests for the store. Defaults to `/store`.
    pub fn with_store_path(mut self, store_path: impl Into<Arc<str>>) -> Self {
        self.store_path = store_path.into();
        self
    }

    /// Sets the prefix of each message. Defaults to no prefix.
    pub fn with_message_prefix(mut self, message_prefix: impl Into<Arc<str>>) -> Self {
        self.message_prefix = message_prefix.into();
        self
    }

    /// Sets the headers of every answer. Defaults to headers that allow pages of any origin ([`cors_headers`]).
    pub fn with_response_headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.response_headers = headers.into_iter().collect();
        self
    }

    /// Sets the policy, which decides what each client may do. Defaults to a policy that allows everything.
    pub fn with_policy(mut self, policy: impl Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Sets the maximum size of a message in bytes. Defaults to 1 MiB. A client that sends more is disconnected with
    /// close code 1009.
    pub fn with_max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets the maximum size of the first content of a room in bytes. Defaults to 32 MiB. A larger one is answered with
    /// 413.
    pub fn with_max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// Sets whether the room repairs stock clients, so that they end up with equal content. Defaults to `true`.
    ///
    /// Without the repairs, the room sends a stock client exactly what TinyBase's own server sends. With them, it also
    /// sends the client
    ///
    /// * the room's state of a cell or value, if the client's change of it was refused or may have crossed another
    ///   client's change of it,
    /// * the whole content after the client's connection has opened, and when the room's store is created.
    ///
    /// A change that sets something in a room without a store creates the store, where TinyBase's server drops the
    /// change. The new store does not contain what the client had before and has never sent.
    pub fn with_cures(mut self, cures: bool) -> Self {
        self.cures = cures;
        self
    }

    /// Sets whether the room speaks the extended dialect with clients that ask for it. Defaults to `true`.
    pub fn with_extended(mut self, extended: bool) -> Self {
        self.extended = extended;
        self
    }

    /// Sets how much a returning client may have missed, in records and in total bytes. Defaults to 4096 records and 4
    /// MiB.
    ///
    /// Once a client of the extended dialect has joined, the room keeps this many records in memory. It reads records
    /// that are not in memory from its storage. A client that missed more is sent the whole content.
    pub fn with_max_log(mut self, entries: usize, bytes: usize) -> Self {
        self.max_log = (entries, bytes);
        self
    }

    /// Sets how many clients the room remembers, so that their changes take effect once. Defaults to 4096. Beyond that,
    /// the room forgets disconnected clients, the one with the oldest activity first.
    pub fn with_max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients;
        self
    }

    /// Sets how many bytes of log make a snapshot worthwhile. Defaults to 1 MiB, which takes about 10 ms to read.
    ///
    /// A snapshot is due when the log since the last snapshot has this many bytes, and as many as that snapshot.
    pub fn with_snapshot_after(mut self, bytes: usize) -> Self {
        self.snapshot_after = bytes;
        self
    }

    /// Sets how much a client may leave unacknowledged. Clients have to know the bound: the dialect defines a single
    /// one.
    #[cfg(test)]
    pub(crate) fn with_max_refused(mut self, most: Tally) -> Self {
        self.max_refused = most;
        self
    }

    /// The end of the path of requests for the store.
    pub fn store_path(&self) -> &str {
        &self.store_path
    }

    /// The prefix of each message.
    pub fn message_prefix(&self) -> &str {
        &self.message_prefix
    }

    /// The headers of every answer.
    pub fn response_headers(&self) -> &Headers {
        &self.response_headers
    }

    /// The headers of answers to requests for the store, which say whether the room speaks the extended dialect.
    pub(crate) fn store_headers(&self) -> Headers {
        if !self.extended {
            return Arc::clone(&self.response_headers);
        }
        let dialect = [(DIALECT_HEADER, DIALECT_VERSION), ("access-control-expose-headers", DIALECT_HEADER)];
        let dialect = dialect.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.response_headers.iter().cloned().chain(dialect).collect()
    }

    /// The policy.
    pub fn policy(&self) -> &dyn Policy {
        &*self.policy
    }

    /// The maximum size of a message in bytes.
    pub fn max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// The maximum size of the first content of a room in bytes.
    pub fn max_body_size(&self) -> usize {
        self.max_body_size
    }

    /// Whether the room repairs stock clients.
    pub fn cures(&self) -> bool {
        self.cures
    }

    /// Whether the room speaks the extended dialect with clients that ask for it.
    pub fn extended(&self) -> bool {
        self.extended
    }

    /// How much a returning client may have missed: records, and bytes of all of them together.
    pub fn max_log(&self) -> (usize, usize) {
        self.max_log
    }

    /// How many clients the room remembers.
    pub fn max_clients(&self) -> usize {
        self.max_clients
    }

    /// How many bytes of log make a snapshot worthwhile.
    pub fn snapshot_after(&self) -> usize {
        self.snapshot_after
    }

    /// How much a client may leave unacknowledged of what was refused.
    pub(crate) fn max_refused(&self) -> Tally {
        self.max_refused
    }
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self::new()
    }
}
