//! Broadcasting: what a room sends goes to its connections at the cost of the writes.
//!
//! [`Fanout::send`] and its siblings only note what is to be sent, and [`Fanout::flush`] sends it: each frame is encoded
//! once for all, and what gathered between two flushes is one write for each connection. Each connection is sent everything
//! in the order in which it was noted.
//!
//! A small room writes to the sockets from its own task. A large one has a task for each worker thread, its *shards*, with a
//! part of the connections each.

use std::{collections::HashMap, mem, sync::Arc};

use axum::body::Bytes;
use roommate_partykit::proto::{Audience, ConnectionId};
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

/// The connections of a room, and what is to be sent to them.
#[derive(Debug)]
pub(crate) struct Fanout {
    connections: HashMap<ConnectionId, Arc<Connection>>,
    /// What has been looked up since the last connection came or went.
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

    /// Adds a connection. It is sent what is noted from now on.
    pub(crate) fn join(&mut self, connection: Arc<Connection>) {
        connection.notify(Arc::clone(&self.notices));
        self.rosters.clear();
        self.connections.insert(connection.id(), connection);
    }

    /// Forgets a connection. What has been noted for it is sent nevertheless.
    pub(crate) fn leave(&mut self, connection: ConnectionId) {
        self.rosters.clear();
        self.connections.remove(&connection);
    }

    /// Notes a text frame for an audience. The payload has to be UTF-8.
    ///
    /// Members that are not here, or not any more, are passed over.
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

    /// Notes a ping that carries a token.
    pub(crate) fn ping(&mut self, connection: ConnectionId, token: u64) {
        if let Some(connection) = self.connections.get(&connection) {
            self.batch.ping(connection, token);
        }
    }

    /// Notes that a connection that was behind is sent frames again from now on.
    pub(crate) fn resume(&mut self, connection: ConnectionId) {
        if let Some(connection) = self.connections.get(&connection) {
            self.batch.resume(connection);
        }
    }

    /// Notes that a connection is to be closed, and forgets it.
    pub(crate) fn close(&mut self, connection: ConnectionId, frame: CloseFrame) {
        if let Some(connection) = self.connections.get(&connection) {
            self.batch.close(connection, frame);
        }
        self.leave(connection);
    }

    /// Sends what has been noted. Waits while the shards are busy with what was sent before, and for nobody's network.
    pub(crate) async fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = mem::take(&mut self.batch).seal();
        if let Err(Lost) = self.shards.deliver(batch, self.connections.len()).await {
            // Nobody knows what has been sent, so nobody may go on from there.
            error!("a task of the fan-out has ended, and all connections of its room are closed");
            self.close_all(&GONE);
        }
    }

    /// How many bytes have been noted and not sent yet. Flush before that becomes much: it is memory.
    pub(crate) fn size(&self) -> usize {
        self.batch.size()
    }

    /// What connections have notified the room of since the last time, in order.
    pub(crate) fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// Closes all connections, whatever is still queued.
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
