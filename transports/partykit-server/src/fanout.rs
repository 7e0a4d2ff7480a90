//! Sends a room's frames to its connections, at little more than the cost of the writes.
//!
//! [`Fanout::send`] and its siblings add to a batch, and [`Fanout::flush`] sends the batch. Each frame is encoded once
//! for all connections, and a batch is one write for each connection. A connection is sent its frames in the order in
//! which they were added.
//!
//! A small room writes to the sockets from its own task. A large room has one task for each worker thread, its
//! *shards*. Each shard has a part of the connections.

use std::{collections::HashMap, mem, sync::Arc};

use axum::body::Bytes;
use roommate_partykit_proto::{Audience, ConnectionId};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tracing::error;

use crate::connection::{Connection, GONE};

mod batch;
mod buffers;
mod notices;
mod roster;
mod shards;

use batch::Batch;
pub(crate) use notices::{Notice, Notices};
use roster::Roster;
use shards::{Lost, Shards};

/// The connections of a room, and the frames to send to them.
#[derive(Debug)]
pub(crate) struct Fanout {
    connections: HashMap<ConnectionId, Arc<Connection>>,
    /// Audiences whose connections have been looked up since a connection last joined or left.
    rosters: Vec<Arc<Roster>>,
    batch: Batch,
    notices: Arc<Notices>,
    shards: Shards,
}

/// How many audiences are remembered.
const ROSTERS: usize = 8;

impl Fanout {
    pub(crate) fn new() -> Self {
        Self {
            connections: HashMap::new(),
            rosters: Vec::new(),
            batch: Batch::default(),
            notices: Arc::default(),
            shards: Shards::default(),
        }
    }

    /// Adds a connection. It is sent frames that are added from now on.
    pub(crate) fn join(&mut self, connection: Arc<Connection>) {
        connection.notify(Arc::clone(&self.notices));
        self.rosters.clear();
        self.connections.insert(connection.id(), connection);
    }

    /// Forgets a connection. Frames that were added for it before are still sent.
    pub(crate) fn leave(&mut self, connection: ConnectionId) {
        self.rosters.clear();
        self.connections.remove(&connection);
    }

    /// Adds a text frame for an audience. The payload has to be UTF-8.
    ///
    /// Members of the audience that are not, or no longer, connected are skipped.
    pub(crate) fn send(&mut self, to: &Audience, payload: &Bytes) {
        match to {
            Audience::One(member) => {
                if let Some(connection) = self.connections.get(member) {
                    self.batch.text(connection, payload);
                }
            }
            Audience::All { members, except } => {
                let roster = self.roster(members);
                let except = except.and_then(|except| self.connections.get(&except));
                self.batch.broadcast(&roster, except, payload);
            }
        }
    }

    /// Adds a ping that carries a token.
    pub(crate) fn ping(&mut self, connection: ConnectionId, token: u64) {
        if let Some(connection) = self.connections.get(&connection) {
            self.batch.ping(connection, token);
        }
    }

    /// Adds that a connection that was behind is sent frames again from this point on.
    pub(crate) fn resume(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.connections.get(&connection) {
            self.batch.resume(connection);
        }
    }

    /// Adds that a connection is closed at this point, and forgets the connection.
    pub(crate) fn close(&mut self, connection: ConnectionId, frame: CloseFrame) {
        if let Some(connection) = self.connections.get(&connection) {
            self.batch.close(connection, frame);
        }
        self.leave(connection);
    }

    /// Sends the batch. Waits for the shards to finish earlier batches, but never for a client to read.
    pub(crate) async fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = mem::take(&mut self.batch).seal();
        if let Err(Lost) = self.shards.deliver(batch, self.connections.len()).await {
            // It is unknown what has been sent, so no connection may continue.
            error!("a task of the fan-out has ended, and all connections of its room are closed");
            self.close_all(&GONE);
        }
    }

    /// The size of the batch in bytes. Flush before it becomes large.
    pub(crate) fn size(&self) -> usize {
        self.batch.size()
    }

    /// The notices of the connections to the room.
    pub(crate) fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// Closes all connections, and drops what is still queued.
    pub(crate) fn close_all(&self, frame: &CloseFrame) {
        self.connections.values().for_each(|connection| connection.close(frame.clone()));
    }

    fn roster(&mut self, members: &Arc<[ConnectionId]>) -> Arc<Roster> {
        if let Some(roster) = self.rosters.iter().find(|roster| roster.is_of(members)) {
            return Arc::clone(roster);
        }
        let roster = Arc::new(Roster::new(members, &self.connections));
        if self.rosters.len() == ROSTERS {
            self.rosters.remove(0);
        }
        self.rosters.push(Arc::clone(&roster));
        roster
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.close_all(&GONE);
    }
}

#[cfg(test)]
mod tests;
