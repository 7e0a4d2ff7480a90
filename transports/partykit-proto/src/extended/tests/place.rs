//! What the property asks of a room.

use roommate::{Changes, Content};

/// A room and its server, without a network. Connections have numbers.
pub(super) trait Place {
    fn connect(&mut self, connection: u64);
    fn disconnect(&mut self, connection: u64);
    fn take(&mut self, connection: u64, frame: &str);
    fn put(&mut self, content: &Content);
    /// A stock client changes something.
    fn change(&mut self, changes: &Changes);
    /// The server dies and comes back, with what it had stored.
    fn crash(&mut self);
    /// The connection is too slow: a snapshot is sent in place of what has not left.
    fn summarise(&mut self, connection: u64);
    /// The room forgets a client.
    fn forget(&mut self, client: &str);
    /// The room is of another mind about what it refuses.
    fn rule(&mut self, _: Mood) {}
    /// What has come to be sent.
    fn sent(&mut self) -> Vec<(u64, Down)>;
    fn content(&self) -> Option<Content>;
    /// Everything that was ever accepted, in order.
    fn accepted(&self) -> &[Changes];
}

/// What a room refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// What [`super::is_refused`] says.
    #[default]
    Usual,
    Everything,
    /// Every so many-th number that is written.
    Some(u32),
}

/// What a connection brings a client.
#[derive(Clone, Debug)]
pub(super) enum Down {
    Frame(String),
    /// It ends, with this code.
    Close(u16),
}
