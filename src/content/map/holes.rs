//! Removing entries from a map, and the holes that this leaves.

use std::{mem, sync::Arc};

use super::{Builder, Entry, Id, Map, More, UNINDEXED, hashed};

impl<V: Clone> Map<V> {
    /// Removes an entry, keeping the order of the others, and returns it.
    ///
    /// The average cost is the same in a map of any size: the entry leaves a hole, and the holes are closed once they
    /// outnumber the entries.
    pub fn remove(&mut self, id: &str) -> Option<V> {
        self.remove_at(self.slot(id)?)
    }

    /// Retains the entries for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Id, &mut V) -> bool) {
        let Self { tail, more } = self;
        let Some(more) = more else {
            tail.retain_mut(|entry| entry.as_mut().is_some_and(|(id, value)| keep(id, value)));
            return;
        };
        let More { full, index, holes } = &mut **more;
        let chunks = full.iter_mut().map(Arc::make_mut).chain([&mut tail[..]]);
        for (slot, entry) in chunks.flatten().enumerate() {
            let Some((id, value)) = entry else { continue };
            if !keep(id, value) {
                if let Some(index) = index {
                    Arc::make_mut(index).remove(id.as_bytes(), slot);
                }
                *holes += 1;
                *entry = None;
            }
        }
        self.compact();
    }

    /// Removes the entry in a slot. Other entries may change their slots.
    pub(crate) fn remove_at(&mut self, slot: usize) -> Option<V> {
        let (_, value) = match &self.more {
            Some(_) => self.take(slot)?,
            None => self.tail.remove(slot)?,
        };
        self.compact();
        Some(value)
    }

    /// Removes the entry in a slot, and leaves a hole. No other entry changes its slot, so [`Self::restore`] can undo
    /// this exactly.
    pub(crate) fn take(&mut self, slot: usize) -> Entry<V> {
        let taken = self.entry_mut(slot).take()?;
        let more = self.more_mut();
        more.holes += 1;
        if let Some(index) = &mut more.index {
            Arc::make_mut(index).remove(taken.0.as_bytes(), slot);
        }
        Some(taken)
    }

    /// Puts an entry into the slot that it had before it was taken out.
    pub(crate) fn restore(&mut self, slot: usize, id: Id, value: V) {
        if slot >= self.slots() {
            // The entry was at the end, which was cut off.
            self.push(id, value);
            return;
        }
        let Self { tail, more } = self;
        if let Some(more) = more {
            let More { full, index, holes } = &mut **more;
            *holes -= 1;
            if let Some(index) = index {
                Arc::make_mut(index).insert(id.as_bytes(), slot, |slot| hashed(full, tail, slot));
            }
        }
        *self.entry_mut(slot) = Some((id, value));
    }

    /// Cuts off the holes from `slot` on, where nothing else may be left.
    pub(crate) fn cut_holes(&mut self, slot: usize) {
        while self.slots() > slot && self.tail.last().is_none_or(Option::is_none) {
            let Self { tail, more } = self;
            let Some(more) = more else { return };
            match tail.pop() {
                Some(_) => more.holes -= 1,
                None => *tail = more.full.pop().map(|chunk| chunk.to_vec()).unwrap_or_default(),
            }
        }
    }

    /// Closes the holes once they outnumber the entries, which makes the cost of removals constant on average. Other
    /// entries may change their slots.
    pub(crate) fn compact(&mut self) {
        if self.more.as_ref().is_some_and(|more| more.holes >= self.len() + UNINDEXED) {
            let mut dense = Builder::new();
            for (id, value) in mem::take(self) {
                dense.push(id, value);
            }
            *self = dense.finish();
        }
    }
}
