//! The index from ids to slots.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

/// A hash table of slots alone: the ids are in the slots. The hash is seeded, since ids come from untrusted clients.
#[derive(Clone, Default)]
pub(super) struct Index {
    slots: HashTable<u32>,
    seed: RandomState,
}

impl Index {
    pub(super) fn of<'a>(ids: impl Iterator<Item = (usize, &'a super::Id)>) -> Self {
        let mut index = Self { slots: HashTable::with_capacity(2 * super::UNINDEXED), seed: RandomState::default() };
        for (slot, id) in ids {
            let hash = index.hash(id.as_bytes());
            // Only `insert`, which knows the ids, makes it grow.
            index.slots.insert_unique(hash, slot as u32, |_| hash);
        }
        index
    }

    /// The index of `count` ids, by slot; none if two of the ids are equal.
    pub(super) fn of_distinct<'a>(count: usize, ids: impl Iterator<Item = &'a super::Id> + Clone) -> Option<Self> {
        let known: Vec<&[u8]> = ids.map(super::Id::as_bytes).collect();
        let mut index = Self { slots: HashTable::with_capacity(count), seed: RandomState::default() };
        for (slot, id) in known.iter().enumerate() {
            let hash = index.hash(id);
            match index.slots.entry(hash, |other| known[*other as usize] == *id, |_| hash) {
                Entry::Occupied(_) => return None,
                // The table has room for all ids, so it does not need the hashes of the others.
                Entry::Vacant(vacant) => drop(vacant.insert(slot as u32)),
            }
        }
        Some(index)
    }

    #[inline]
    pub(super) fn find(&self, id: &[u8], is: impl Fn(usize) -> bool) -> Option<usize> {
        self.slots.find(self.hash(id), |slot| is(*slot as usize)).map(|slot| *slot as usize)
    }

    /// The slot that an id most likely has; none if it has none.
    #[inline]
    pub(super) fn guess(&self, id: &[u8]) -> Option<usize> {
        self.find(id, |_| true)
    }

    /// Adds a slot; `id_of` returns the ids of the slots that were added before.
    pub(super) fn insert<'a>(&mut self, id: &[u8], slot: usize, id_of: impl Fn(usize) -> &'a [u8]) {
        let Self { slots, seed } = self;
        let hash = |id: &[u8]| seed.hash_one(id);
        slots.insert_unique(hash(id), slot as u32, |slot| hash(id_of(*slot as usize)));
    }

    pub(super) fn remove(&mut self, id: &[u8], slot: usize) {
        let hash = self.hash(id);
        if let Ok(entry) = self.slots.find_entry(hash, |known| *known as usize == slot) {
            entry.remove();
        }
    }

    #[inline]
    fn hash(&self, id: &[u8]) -> u64 {
        self.seed.hash_one(id)
    }
}
