//! What a room remembers of each client, so that a change takes effect once and its outcome can be sent again.

use std::{collections::BTreeMap, sync::Arc};

use crate::{record::Decided, refusals::Tally, snapshot::KnownClient};

/// The clients that have had a change decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    known: BTreeMap<Arc<str>, Client>,
    /// The clients that are not connected, by the moment when they were last active.
    away: BTreeMap<u64, Arc<str>>,
    /// The next moment. Moments only order the clients, and no two clients have the same.
    now: u64,
}

#[derive(Clone, Debug, Default)]
struct Client {
    last: u64,
    heard: u64,
    /// The client knows the outcome of its changes up to this id.
    acknowledged: u64,
    /// The JSON of the refused parts that are not acknowledged, by the ids of their changes.
    refused: BTreeMap<u64, Arc<str>>,
    refused_bytes: usize,
}

impl Clients {
    /// Restores a client, which is not connected, from a snapshot.
    pub(super) fn restore(&mut self, known: KnownClient) {
        let client = self.known.entry(Arc::clone(&known.client)).or_default();
        client.last = known.last;
        for (id, refused) in known.refused {
            client.refuse(id, refused);
        }
        client.heard = self.now;
        self.away.insert(self.now, known.client);
        self.now += 1;
    }

    /// Takes up what a record has of a change of a client, which is not connected.
    pub(super) fn replay(&mut self, client: &Arc<str>, decided: &Decided) {
        self.comes(client);
        self.acknowledge(client, decided.acknowledged);
        self.decide(client, decided.id, decided.refused.as_ref());
        self.goes(client);
    }

    /// The clients for a snapshot, by the moment when they were last active.
    pub(super) fn snapshot(&self) -> Vec<KnownClient> {
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_unstable_by_key(|(_, client)| client.heard);
        let known = known.into_iter().map(|(id, client)| KnownClient {
            client: Arc::clone(id),
            last: client.last,
            refused: client.refused.iter().map(|(id, refused)| (*id, Arc::clone(refused))).collect(),
        });
        known.collect()
    }

    /// The id up to which every change of the client is decided; `None` if the client is unknown.
    pub(super) fn last(&self, client: &str) -> Option<u64> {
        self.known.get(client).map(|client| client.last)
    }

    /// The id up to which the client knows the outcome of its changes.
    pub(super) fn acknowledged(&self, client: &str) -> u64 {
        self.known.get(client).map_or(0, |client| client.acknowledged)
    }

    /// The refusals that the client has not acknowledged: ids, in order, and the JSON of the refused parts.
    pub(super) fn refused(&self, client: &str) -> impl Iterator<Item = (u64, &Arc<str>)> {
        let refused = self.known.get(client).map(|client| &client.refused);
        refused.into_iter().flatten().map(|(id, refused)| (*id, refused))
    }

    /// Whether the client has more unacknowledged refusals than it may have.
    pub(super) fn owes_acknowledgement(&self, client: &str, most: Tally) -> bool {
        let tally = |client: &Client| Tally { count: client.refused.len(), bytes: client.refused_bytes };
        self.known.get(client).is_some_and(|client| tally(client).exceeds(most))
    }

    /// Notes that a client is connected, so that it will not be forgotten.
    pub(super) fn comes(&mut self, client: &str) {
        if let Some(known) = self.known.get(client) {
            self.away.remove(&known.heard);
        }
    }

    /// Notes that a client is no longer connected.
    pub(super) fn goes(&mut self, client: &Arc<str>) {
        if let Some(known) = self.known.get_mut(client) {
            known.heard = self.now;
            self.away.insert(self.now, Arc::clone(client));
            self.now += 1;
        }
    }

    /// Notes that the change `id` of a connected client is decided, with the JSON of its refused part, if any.
    pub(super) fn decide(&mut self, client: &Arc<str>, id: u64, refused: Option<&Arc<str>>) {
        let known = self.known.entry(Arc::clone(client)).or_default();
        (known.last, known.heard) = (id, self.now);
        self.now += 1;
        if let Some(refused) = refused {
            known.refuse(id, Arc::clone(refused));
        }
    }

    /// Forgets the refusals that a client acknowledges: those up to `id`, of changes that are decided.
    ///
    /// The acknowledgement is stored with the client's next change. If the room is opened again before that, the client
    /// acknowledges again when it joins.
    pub(super) fn acknowledge(&mut self, client: &Arc<str>, id: u64) {
        let Some(known) = self.known.get_mut(client) else { return };
        known.acknowledged = known.acknowledged.max(id.min(known.last));
        while let Some(refusal) = known.refused.first_entry().filter(|refusal| *refusal.key() <= id) {
            known.refused_bytes -= refusal.remove().len();
        }
    }

    /// Forgets clients while there are more than `max_clients`: those with the oldest activity first, never connected
    /// ones.
    pub(super) fn forget(&mut self, max_clients: usize) {
        while self.known.len() > max_clients {
            let Some((_, client)) = self.away.pop_first() else { return };
            self.known.remove(&client);
        }
    }
}

impl Client {
    fn refuse(&mut self, id: u64, refused: Arc<str>) {
        self.refused_bytes += refused.len();
        if let Some(replaced) = self.refused.insert(id, refused) {
            self.refused_bytes -= replaced.len();
        }
    }
}
