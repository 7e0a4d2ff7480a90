//! The interface of a room that the property test needs.

use roommate::{Changes, Content};

/// A room and its server, without a network. Connections have numbers.
pub(super) trait Place {
    fn connect(&mut self, connection: u64);
    fn disconnect(&mut self, connection: u64);
    fn take(&mut self, connection: u64, frame: &str);
    fn put(&mut self, content: &Content);
    /// Makes a change as a stock client.
    fn change(&mut self, changes: &Changes);
    /// Kills the server and restarts it with its stored data.
    fn crash(&mut self);
    /// Sends a snapshot in place of the unsent messages of a connection that is too slow.
    fn summarise(&mut self, connection: u64);
    /// Makes the room forget a client.
    fn forget(&mut self, client: &str);
    /// Sets what the room refuses.
    fn rule(&mut self, _: Mood) {}
    /// Returns the messages that the room has sent since the last call.
    fn sent(&mut self) -> Vec<(u64, Down)>;
    fn content(&self) -> Option<Content>;
    /// Returns everything that was ever accepted, in order.
    fn accepted(&self) -> &[Changes];
}

/// What a room refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// The data that [`super::is_refused`] names.
    #[default]
    Usual,
    Everything,
    /// Every n-th number that is written.
    Some(u32),
}

/// What a client receives on a connection.
#[derive(Clone, Debug)]
pub(super) enum Down {
    Frame(String),
    /// The connection ends, with this close code.
    Close(u16),
}
