//! A map that remembers the order of insertion, and gives a removed entry its old place back.

use std::collections::HashMap;

use crate::content::Id;

/// A map from [`Id`] to `V` that iterates in the order of insertion, with the cost of a hash map for every operation.
///
/// Each entry has a slot. Removing it leaves a hole, so nothing moves, and [`Slots::restore`] can undo the removal
/// exactly. Holes go away in [`Slots::compact`] alone, which moves entries: never while somebody remembers a slot.
#[derive(Clone, Debug)]
pub(super) struct Slots<V> {
    entries: Vec<Option<(Id, V)>>,
    index: HashMap<Id, usize>,
}

impl<V> Slots<V> {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.index.contains_key(id)
    }

    pub(super) fn slot(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    pub(super) fn get(&self, id: &str) -> Option<&V> {
        let entry = self.entries.get(self.slot(id)?)?;
        entry.as_ref().map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut V> {
        let slot = self.slot(id)?;
        let entry = self.entries.get_mut(slot)?;
        entry.as_mut().map(|(_, value)| value)
    }

    /// The entry of `id`, made by `Default` at the end if there was none.
    pub(super) fn get_or_default(&mut self, id: &Id) -> &mut V
    where
        V: Default,
    {
        let slot = match self.slot(id) {
            Some(slot) => slot,
            None => {
                self.restore(self.entries.len(), id.clone(), V::default());
                self.entries.len() - 1
            }
        };
        &mut self.entries[slot].get_or_insert_with(|| (id.clone(), V::default())).1
    }

    /// Removes an entry and leaves a hole.
    pub(super) fn remove(&mut self, id: &str) -> Option<V> {
        let slot = self.index.remove(id)?;
        self.entries[slot].take().map(|(_, value)| value)
    }

    /// Puts an entry into a slot that it had before it was removed, or into the next new one.
    pub(super) fn restore(&mut self, slot: usize, id: Id, value: V) {
        if slot >= self.entries.len() {
            self.entries.resize_with(slot + 1, || None);
        }
        self.index.insert(id.clone(), slot);
        self.entries[slot] = Some((id, value));
    }

    /// Closes the holes once they outnumber the entries, which makes the cost of removals constant on average.
    pub(super) fn compact(&mut self) {
        if self.entries.len() < 2 * self.index.len() + 16 {
            return;
        }
        self.entries.retain(Option::is_some);
        self.entries.shrink_to(2 * self.index.len());
        for (slot, (id, _)) in self.entries.iter().flatten().enumerate() {
            if let Some(known) = self.index.get_mut(id) {
                *known = slot;
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Id, &V)> {
        self.entries.iter().flatten().map(|(id, value)| (id, value))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Id> {
        self.iter().map(|(id, _)| id)
    }

    /// All entries with their slots.
    pub(super) fn into_slots(self) -> impl Iterator<Item = (usize, Id, V)> {
        self.entries.into_iter().enumerate().filter_map(|(slot, entry)| entry.map(|(id, value)| (slot, id, value)))
    }
}

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(slots: &Slots<u32>) -> Vec<&str> {
        slots.keys().map(Id::as_str).collect()
    }

    #[test]
    fn what_is_removed_and_restored_stands_where_it_stood() {
        let mut slots = Slots::default();
        for id in ["a", "b", "c"] {
            *slots.get_or_default(&id.into()) = 1;
        }
        let slot = slots.slot("b").unwrap();
        assert_eq!(slots.remove("b"), Some(1));
        assert_eq!(ids(&slots), ["a", "c"]);
        slots.restore(slot, "b".into(), 2);
        assert_eq!(ids(&slots), ["a", "b", "c"]);
        assert_eq!(slots.get("b"), Some(&2));
    }

    #[test]
    fn holes_are_closed_and_everything_is_found_again() {
        let mut slots = Slots::default();
        for n in 0..100_u32 {
            *slots.get_or_default(&n.to_string().as_str().into()) = n;
        }
        for n in (0..100_u32).filter(|n| n % 7 != 0) {
            slots.remove(&n.to_string());
        }
        slots.compact();
        assert_eq!(slots.entries.len(), slots.len());
        for n in 0..100_u32 {
            assert_eq!(slots.get(&n.to_string()), (n % 7 == 0).then_some(&n));
        }
        assert_eq!(slots.keys().count(), 15);
    }
}
