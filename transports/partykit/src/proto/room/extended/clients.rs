//! What a room remembers of each client, so that a change takes effect once and its fate can be told again.

use std::{collections::BTreeMap, sync::Arc};

use roommate::{Cell, Json};

use crate::proto::{
    refusals::Tally,
    storage::{Batch, StorageKey},
};

/// The clients of whom a change was decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    known: BTreeMap<Arc<str>, Client>,
    /// Those not connected, by when they were last heard of.
    away: BTreeMap<u64, Arc<str>>,
    /// The next moment. Moments only count, and no two clients are heard of at one.
    now: u64,
}

#[derive(Clone, Debug, Default)]
struct Client {
    last: u64,
    heard: u64,
    /// The JSON of what was refused of its changes and is not acknowledged, by their ids.
    refused: BTreeMap<u64, Arc<str>>,
    refused_bytes: usize,
}

impl Clients {
    /// Takes up what is stored of a client.
    pub(super) fn restore(&mut self, client: Arc<str>, record: &Cell) {
        let record = record.as_json().and_then(|record| serde_json::from_str::<[u64; 2]>(record.as_str()).ok());
        let Some([last, heard]) = record else { return };
        self.now = self.now.max(heard + 1);
        self.away.insert(heard, Arc::clone(&client));
        let known = self.known.entry(client).or_default();
        (known.last, known.heard) = (last, heard);
    }

    /// Takes up a stored refusal.
    pub(super) fn restore_refused(&mut self, client: Arc<str>, id: u64, refused: &Cell) {
        if let Some(refused) = refused.as_json() {
            self.known.entry(client).or_default().refuse(id, refused.as_str().into());
        }
    }

    /// Every change of the client up to this is decided; `None` if the client is unknown.
    pub(super) fn last(&self, client: &str) -> Option<u64> {
        self.known.get(client).map(|client| client.last)
    }

    /// What was refused of the client's changes and is not acknowledged: ids, in order, and the JSON of the changes.
    pub(super) fn refused(&self, client: &str) -> impl Iterator<Item = (u64, &Arc<str>)> {
        let refused = self.known.get(client).map(|client| &client.refused);
        refused.into_iter().flatten().map(|(id, refused)| (*id, refused))
    }

    /// Whether a client leaves more refusals unacknowledged than it may.
    pub(super) fn owes_acknowledgement(&self, client: &str, most: Tally) -> bool {
        let tally = |client: &Client| Tally { count: client.refused.len(), bytes: client.refused_bytes };
        self.known.get(client).is_some_and(|client| tally(client).exceeds(most))
    }

    /// Notes that a client is connected: it will not be forgotten.
    pub(super) fn comes(&mut self, client: &str) {
        if let Some(known) = self.known.get(client) {
            self.away.remove(&known.heard);
        }
    }

    /// Notes that a client is not connected any more.
    pub(super) fn goes(&mut self, client: &Arc<str>) {
        if let Some(known) = self.known.get_mut(client) {
            known.heard = self.now;
            self.away.insert(self.now, Arc::clone(client));
            self.now += 1;
        }
    }

    /// Notes that the change `id` of a connected client is decided, and the JSON of what was refused of it, if any was.
    pub(super) fn decide(&mut self, client: &Arc<str>, id: u64, refused: Option<&Arc<str>>, writes: &mut Writes<'_>) {
        let known = self.known.entry(Arc::clone(client)).or_default();
        (known.last, known.heard) = (id, self.now);
        self.now += 1;
        writes.put(&StorageKey::Client(Arc::clone(client)), format!("[{id},{}]", known.heard));
        if let Some(refused) = refused {
            known.refuse(id, Arc::clone(refused));
            writes.put(&StorageKey::Refused(id, Arc::clone(client)), &**refused);
        }
    }

    /// Forgets the refusals that a client acknowledges: those up to `id`.
    pub(super) fn acknowledge(&mut self, client: &Arc<str>, id: u64, writes: &mut Writes<'_>) {
        let Some(known) = self.known.get_mut(client) else { return };
        while let Some(refusal) = known.refused.first_entry().filter(|refusal| *refusal.key() <= id) {
            let (id, refused) = refusal.remove_entry();
            known.refused_bytes -= refused.len();
            writes.delete(&StorageKey::Refused(id, Arc::clone(client)));
        }
    }

    /// Forgets those heard of longest ago, connected ones excepted, while there are more than `max_clients`.
    pub(super) fn forget(&mut self, max_clients: usize, writes: &mut Writes<'_>) {
        while self.known.len() > max_clients {
            let Some((_, client)) = self.away.pop_first() else { return };
            for id in self.known.remove(&client).unwrap_or_default().refused.into_keys() {
                writes.delete(&StorageKey::Refused(id, Arc::clone(&client)));
            }
            writes.delete(&StorageKey::Client(client));
        }
    }
}

impl Client {
    fn refuse(&mut self, id: u64, refused: Arc<str>) {
        self.refused_bytes += refused.len();
        self.refused.insert(id, refused);
    }
}

/// What has to be written so that storage keeps up.
#[derive(Debug)]
pub(super) struct Writes<'a> {
    pub(super) prefix: &'a str,
    pub(super) batch: &'a mut Batch,
}

impl Writes<'_> {
    fn put(&mut self, key: &StorageKey, json: impl AsRef<str>) {
        if let Some(json) = Json::new(json.as_ref()) {
            self.batch.puts.push((key.encode(self.prefix), Cell::Json(json)));
        }
    }

    fn delete(&mut self, key: &StorageKey) {
        self.batch.deletes.push(key.encode(self.prefix));
    }
}
