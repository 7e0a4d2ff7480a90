//! A map from ids that remembers the order of insertion, as JavaScript's `Map` does.

use std::{fmt, ops::Index};

use indexmap::IndexMap;

use super::Id;

/// A map from [`Id`] to `V` that iterates in the order of insertion.
///
/// Replacing an entry keeps its position; removing and inserting it again moves it to the end: what TinyBase's maps do.
/// Two maps are equal when they hold the same entries, in whatever order.
#[derive(Clone)]
pub struct Map<V>(IndexMap<Id, V>);

impl<V> Map<V> {
    /// An empty map.
    pub fn new() -> Self {
        Self(IndexMap::new())
    }

    /// An empty map with room for `capacity` entries.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(IndexMap::with_capacity(capacity))
    }

    /// Sets an entry and returns what it replaced.
    pub fn insert(&mut self, id: impl Into<Id>, entry: V) -> Option<V> {
        self.0.insert(id.into(), entry)
    }

    /// Removes an entry, keeping the order of the others, and returns it.
    pub fn remove(&mut self, id: &str) -> Option<V> {
        self.0.shift_remove(id)
    }

    /// Removes an entry at once, and moves the last one to its place: for maps whose order says nothing.
    pub(crate) fn swap_remove(&mut self, id: &str) -> Option<V> {
        self.0.swap_remove(id)
    }

    /// The entry of `id`, made by `Default` if there was none.
    pub fn get_or_default(&mut self, id: &Id) -> &mut V
    where
        V: Default,
    {
        // Two look-ups for a new id, and no clone of the id for a present one, which is the usual case.
        let index = match self.0.get_index_of(id.as_str()) {
            Some(index) => index,
            None => self.0.insert_full(id.clone(), V::default()).0,
        };
        &mut self.0[index]
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&Id, &mut V) -> bool) {
        self.0.retain(|id, entry| keep(id, entry));
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A mutable entry.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut V> {
        self.0.get_mut(id)
    }

    /// All entries, mutable, in order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut()
    }

    /// An entry.
    pub fn get(&self, id: &str) -> Option<&V> {
        self.0.get(id)
    }

    /// An entry, with its id as it is shared here.
    pub fn get_key_value(&self, id: &str) -> Option<(&Id, &V)> {
        self.0.get_key_value(id)
    }

    /// Whether there is an entry.
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ids and entries, in order.
    pub fn iter(&self) -> indexmap::map::Iter<'_, Id, V> {
        self.0.iter()
    }

    /// Ids, in order.
    pub fn keys(&self) -> indexmap::map::Keys<'_, Id, V> {
        self.0.keys()
    }

    /// Entries, in order.
    pub fn values(&self) -> indexmap::map::Values<'_, Id, V> {
        self.0.values()
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: PartialEq> PartialEq for Map<V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<V: fmt::Debug> fmt::Debug for Map<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// Panics when there is no such entry, as every `Index` does; [`Map::get`] does not.
impl<V> Index<&str> for Map<V> {
    type Output = V;

    fn index(&self, id: &str) -> &V {
        &self.0[id]
    }
}

impl<K: Into<Id>, V> FromIterator<(K, V)> for Map<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(id, entry)| (id.into(), entry)).collect())
    }
}

impl<K: Into<Id>, V> Extend<(K, V)> for Map<V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.0.extend(entries.into_iter().map(|(id, entry)| (id.into(), entry)));
    }
}

impl<V> IntoIterator for Map<V> {
    type Item = (Id, V);
    type IntoIter = indexmap::map::IntoIter<Id, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, V> IntoIterator for &'a Map<V> {
    type Item = (&'a Id, &'a V);
    type IntoIter = indexmap::map::Iter<'a, Id, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
