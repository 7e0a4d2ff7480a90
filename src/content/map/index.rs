//! Which slot has which id.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

/// A hash table of slots alone: the ids lie in the slots. Seeded, since ids come from strangers.
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
            // It grows by `insert`, which knows the ids.
            index.slots.insert_unique(hash, slot as u32, |_| hash);
        }
        index
    }

    /// The index of as many ids, by slot, unless two of them are one.
    pub(super) fn of_distinct<'a>(count: usize, ids: impl Iterator<Item = &'a super::Id> + Clone) -> Option<Self> {
        let known: Vec<&[u8]> = ids.map(super::Id::as_bytes).collect();
        let mut index = Self { slots: HashTable::with_capacity(count), seed: RandomState::default() };
        for (slot, id) in known.iter().enumerate() {
            let hash = index.hash(id);
            match index.slots.entry(hash, |other| known[*other as usize] == *id, |_| hash) {
                Entry::Occupied(_) => return None,
                // There is room for all of them, so it does not ask for the hashes of the others.
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

    /// Notes a slot; `id_of` tells the ids of those that were noted before.
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
