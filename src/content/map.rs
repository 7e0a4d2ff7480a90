//! A map from ids that remembers the order of insertion, as JavaScript's `Map` does.

use std::{fmt, mem, ops::Index as IndexOf, sync::Arc};

use super::Id;

mod build;
mod holes;
mod index;
mod iter;

pub(crate) use build::Builder;
use index::Index;
pub(super) use iter::{IntoIter, Iter};

/// How many entries a shared chunk has.
const CHUNK: usize = 64;

/// Up to how many slots are searched one by one.
const UNINDEXED: usize = 12;

/// A map from [`Id`] to `V` that iterates in the order of insertion.
///
/// Replacing an entry keeps its position; removing and inserting it again moves it to the end, as in TinyBase's maps.
/// Two maps are equal when they hold the same entries, in any order.
///
/// A clone is cheap: it shares the entries, in chunks of 64. A later change, in either map, first copies the chunk that
/// it changes.
//
// Each entry has a slot. A removed entry leaves a hole, so nothing moves; `compact` closes the holes once they
// outnumber the entries. Slots up to a multiple of CHUNK are in `full`, the rest in `tail`.
//
// The fields that only large maps, or maps with holes, need are in `More`: most maps are small, and are moved often.
#[derive(Clone)]
pub struct Map<V> {
    tail: Vec<Entry<V>>,
    more: Option<Box<More<V>>>,
}

#[derive(Clone)]
struct More<V> {
    full: Vec<Arc<[Entry<V>]>>,
    /// The slots by id; none while there are no more than [`UNINDEXED`].
    index: Option<Arc<Index>>,
    holes: usize,
}

/// A slot: an entry or a hole.
type Entry<V> = Option<(Id, V)>;

impl<V> Map<V> {
    /// Creates an empty map.
    pub const fn new() -> Self {
        Self { tail: Vec::new(), more: None }
    }

    /// Creates an empty map with room for `capacity` entries.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut map = Self::new();
        map.tail.reserve_exact(capacity.min(CHUNK));
        if capacity > CHUNK {
            map.more_mut().full.reserve_exact(capacity / CHUNK);
        }
        map
    }

    /// A map of one entry.
    pub(crate) fn of_one(id: Id, value: V) -> Self {
        Self { tail: vec![Some((id, value))], more: None }
    }

    /// Removes all entries. Keeps a small part of the capacity.
    pub fn clear(&mut self) {
        self.tail.clear();
        self.more = None;
    }

    /// Returns an entry.
    pub fn get(&self, id: &str) -> Option<&V> {
        self.get_key_value(id).map(|(_, value)| value)
    }

    /// Returns an entry and its id as the map stores it.
    pub fn get_key_value(&self, id: &str) -> Option<(&Id, &V)> {
        self.at(self.slot(id)?)
    }

    /// Whether the map has an entry for `id`.
    pub fn contains(&self, id: &str) -> bool {
        self.slot(id).is_some()
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        match &self.more {
            Some(more) => more.full.len() * CHUNK + self.tail.len() - more.holes,
            None => self.tail.len(),
        }
    }

    /// Whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over ids and entries, in order.
    pub fn iter(&self) -> Iter<'_, V> {
        Iter::new(self.full(), &self.tail, self.len())
    }

    /// Iterates over ids, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Id> + Clone {
        self.iter().map(|(id, _)| id)
    }

    /// Iterates over entries, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// The slot of an entry.
    pub(crate) fn slot(&self, id: &str) -> Option<usize> {
        self.slot_of(id.as_bytes())
    }

    /// The slot of an entry, by the bytes of its id, which an [`Id`] has at hand.
    pub(crate) fn slot_of(&self, id: &[u8]) -> Option<usize> {
        match self.index() {
            Some(index) => index.find(id, |slot| self.at(slot).is_some_and(|(known, _)| known.as_bytes() == id)),
            None => self.tail.iter().position(|entry| entry.as_ref().is_some_and(|(known, _)| known.as_bytes() == id)),
        }
    }

    /// The slots of many ids.
    ///
    /// Finding one id in a large map waits for memory two times in sequence. Here the waits for all ids overlap: each
    /// loop is so short that the processor runs many iterations ahead.
    pub(crate) fn slots_of<'a>(&self, ids: impl Iterator<Item = &'a Id> + Clone) -> Vec<Option<usize>> {
        let Some(index) = self.index() else {
            return ids.map(|id| self.slot_of(id.as_bytes())).collect();
        };
        let guesses: Vec<_> = ids.clone().map(|id| index.guess(id.as_bytes())).collect();
        let slot = |(id, guess): (&Id, Option<usize>)| {
            let right = self.at(guess?).is_some_and(|(known, _)| known == id);
            if right { guess } else { self.slot_of(id.as_bytes()) }
        };
        ids.zip(guesses).map(slot).collect()
    }

    /// An entry, by an [`Id`].
    pub(crate) fn of(&self, id: &Id) -> Option<&V> {
        self.at(self.slot_of(id.as_bytes())?).map(|(_, value)| value)
    }

    /// The entry in a slot.
    #[inline]
    pub(crate) fn at(&self, slot: usize) -> Option<(&Id, &V)> {
        let entry = match &self.more {
            Some(more) => match more.full.get(slot / CHUNK) {
                Some(chunk) => chunk.get(slot % CHUNK),
                None => self.tail.get(slot - more.full.len() * CHUNK),
            },
            None => self.tail.get(slot),
        };
        entry?.as_ref().map(|(id, value)| (id, value))
    }

    /// The number of slots, which is also the next slot to be used.
    pub(crate) fn slots(&self) -> usize {
        self.full().len() * CHUNK + self.tail.len()
    }

    /// Adds an entry whose id is new, in a new slot.
    pub(crate) fn push(&mut self, id: Id, value: V) -> &mut V {
        let slot = self.slots();
        if slot >= UNINDEXED || self.more.is_some() {
            let Self { tail, more } = self;
            let More { full, index, .. } = &mut **more.get_or_insert_default();
            match index {
                Some(index) => {
                    Arc::make_mut(index).insert(id.as_bytes(), slot, |slot| hashed(full, tail, slot));
                }
                None if slot < UNINDEXED => {}
                None => {
                    let ids = tail.iter().enumerate().filter_map(|(slot, entry)| Some((slot, &entry.as_ref()?.0)));
                    *index = Some(Arc::new(Index::of(ids.chain([(slot, &id)]))));
                }
            }
            if tail.len() == CHUNK {
                full.push(mem::replace(tail, Vec::with_capacity(CHUNK)).into());
            }
        }
        self.tail.push(None);
        let last = self.tail.len() - 1;
        &mut self.tail[last].insert((id, value)).1
    }

    fn index(&self) -> Option<&Index> {
        self.more.as_ref()?.index.as_deref()
    }

    fn full(&self) -> &[Arc<[Entry<V>]>] {
        self.more.as_ref().map_or(&[], |more| &more.full)
    }

    fn more_mut(&mut self) -> &mut More<V> {
        self.more.get_or_insert_default()
    }
}

impl<V> Default for More<V> {
    fn default() -> Self {
        Self { full: Vec::new(), index: None, holes: 0 }
    }
}

/// The bytes of the id in a slot that has an entry.
fn hashed<'a, V>(full: &'a [Arc<[Entry<V>]>], tail: &'a [Entry<V>], slot: usize) -> &'a [u8] {
    let entry = match full.get(slot / CHUNK) {
        Some(chunk) => &chunk[slot % CHUNK],
        None => &tail[slot - full.len() * CHUNK],
    };
    entry.as_ref().map_or(&[], |(id, _)| id.as_bytes())
}

impl<V: Clone> Map<V> {
    /// Sets an entry and returns the one that it replaced.
    pub fn insert(&mut self, id: impl Into<Id>, value: V) -> Option<V> {
        let id = id.into();
        if let Some(known) = self.slot_of(id.as_bytes()).and_then(|slot| self.at_mut(slot)) {
            return Some(mem::replace(known, value));
        }
        self.push(id, value);
        None
    }

    /// Returns the entry of `id`, which `Default` creates if there was none.
    pub fn get_or_default(&mut self, id: &Id) -> &mut V
    where
        V: Default,
    {
        match self.slot_of(id.as_bytes()) {
            Some(slot) => &mut self.entry_mut(slot).get_or_insert_with(|| (id.clone(), V::default())).1,
            None => self.push(id.clone(), V::default()),
        }
    }

    /// Returns a mutable entry.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut V> {
        let slot = self.slot(id)?;
        self.at_mut(slot)
    }

    /// Iterates over all entries, mutable, in order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let full = self.more.iter_mut().flat_map(|more| &mut more.full).flat_map(Arc::make_mut);
        full.chain(&mut self.tail).flatten().map(|(_, value)| value)
    }

    /// The entry in a slot, mutable.
    #[inline]
    pub(crate) fn at_mut(&mut self, slot: usize) -> Option<&mut V> {
        self.entry_mut(slot).as_mut().map(|(_, value)| value)
    }

    #[inline]
    fn entry_mut(&mut self, slot: usize) -> &mut Entry<V> {
        match &mut self.more {
            Some(more) => {
                let full = more.full.len();
                match more.full.get_mut(slot / CHUNK) {
                    Some(chunk) => &mut Arc::make_mut(chunk)[slot % CHUNK],
                    None => &mut self.tail[slot - full * CHUNK],
                }
            }
            None => &mut self.tail[slot],
        }
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: PartialEq> PartialEq for Map<V> {
    fn eq(&self, other: &Self) -> bool {
        // Most maps are in the same order, and need no look-up.
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|((id, value), (other_id, other_value))| {
                if id == other_id { value == other_value } else { other.get(id.as_str()) == Some(value) }
            })
    }
}

impl<V: fmt::Debug> fmt::Debug for Map<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// Panics if there is no such entry, as every `Index` does; [`Map::get`] does not.
impl<V> IndexOf<&str> for Map<V> {
    type Output = V;

    fn index(&self, id: &str) -> &V {
        self.get(id).expect("no entry found for key")
    }
}

impl<K: Into<Id>, V: Clone> FromIterator<(K, V)> for Map<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let mut map = Self::with_capacity(entries.size_hint().0);
        map.extend(entries);
        map
    }
}

impl<K: Into<Id>, V: Clone> Extend<(K, V)> for Map<V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (id, value) in entries {
            self.insert(id, value);
        }
    }
}

#[cfg(test)]
mod tests;
