//! The connections of an audience, looked up once.

use std::{collections::HashMap, sync::Arc};

use roommate_partykit_proto::ConnectionId;

use crate::connection::Connection;

/// The connections of an audience, in the order of their ids.
#[derive(Debug)]
pub(super) struct Roster {
    /// The audience that this was looked up for. It is held, so that its address is not reused.
    members: Arc<[ConnectionId]>,
    /// The ids are stored here as well, so that comparing one does not fetch the connection into the processor's cache.
    connections: Vec<(ConnectionId, Arc<Connection>)>,
}

impl Roster {
    pub(super) fn new(members: &Arc<[ConnectionId]>, all: &HashMap<ConnectionId, Arc<Connection>>) -> Self {
        let mut connections: Vec<_> =
            members.iter().filter_map(|member| Some((*member, Arc::clone(all.get(member)?)))).collect();
        connections.sort_unstable_by_key(|(id, _)| *id);
        connections.dedup_by_key(|(id, _)| *id);
        Self { members: Arc::clone(members), connections }
    }

    pub(super) fn is_of(&self, members: &Arc<[ConnectionId]>) -> bool {
        Arc::ptr_eq(&self.members, members)
    }

    pub(super) fn connections(&self) -> &[(ConnectionId, Arc<Connection>)] {
        &self.connections
    }

    pub(super) fn contains(&self, connection: ConnectionId) -> bool {
        self.connections.binary_search_by_key(&connection, |(id, _)| *id).is_ok()
    }
}
