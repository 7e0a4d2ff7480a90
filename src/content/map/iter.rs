//! Iterating over a map.

use std::{fmt, iter::FusedIterator, mem, slice, sync::Arc, vec};

use super::{Entry, Id, Map};

/// The entries of a [`Map`], in order.
#[derive(Debug)]
pub struct Iter<'a, V> {
    full: slice::Iter<'a, Arc<[Entry<V>]>>,
    now: slice::Iter<'a, Entry<V>>,
    tail: &'a [Entry<V>],
    left: usize,
}

/// The entries of a [`Map`], in order, owned.
pub struct IntoIter<V> {
    full: vec::IntoIter<Arc<[Entry<V>]>>,
    now: vec::IntoIter<Entry<V>>,
    tail: Vec<Entry<V>>,
    left: usize,
}

impl<'a, V> Iter<'a, V> {
    pub(super) fn new(full: &'a [Arc<[Entry<V>]>], tail: &'a [Entry<V>], left: usize) -> Self {
        Self { full: full.iter(), now: [].iter(), tail, left }
    }
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (&'a Id, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((id, value)) = self.now.by_ref().flatten().next() {
                self.left -= 1;
                return Some((id, value));
            }
            self.now = match self.full.next() {
                Some(chunk) => chunk.iter(),
                None if self.tail.is_empty() => return None,
                None => mem::take(&mut self.tail).iter(),
            };
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<V> Clone for Iter<'_, V> {
    fn clone(&self) -> Self {
        Self { full: self.full.clone(), now: self.now.clone(), tail: self.tail, left: self.left }
    }
}

impl<V> ExactSizeIterator for Iter<'_, V> {}
impl<V> FusedIterator for Iter<'_, V> {}

impl<V: Clone> Iterator for IntoIter<V> {
    type Item = (Id, V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.now.by_ref().flatten().next() {
                self.left -= 1;
                return Some(entry);
            }
            self.now = match self.full.next() {
                Some(chunk) => owned(chunk).into_iter(),
                None if self.tail.is_empty() => return None,
                None => mem::take(&mut self.tail).into_iter(),
            };
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<V> fmt::Debug for IntoIter<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<V: Clone> ExactSizeIterator for IntoIter<V> {}
impl<V: Clone> FusedIterator for IntoIter<V> {}

impl<V: Clone> IntoIterator for Map<V> {
    type Item = (Id, V);
    type IntoIter = IntoIter<V>;

    fn into_iter(self) -> IntoIter<V> {
        let left = self.len();
        let full = self.more.map(|more| more.full).unwrap_or_default();
        IntoIter { full: full.into_iter(), now: Vec::new().into_iter(), tail: self.tail, left }
    }
}

impl<'a, V> IntoIterator for &'a Map<V> {
    type Item = (&'a Id, &'a V);
    type IntoIter = Iter<'a, V>;

    fn into_iter(self) -> Iter<'a, V> {
        self.iter()
    }
}

/// The entries of a chunk: moved if no other map shares the chunk.
fn owned<V: Clone>(mut chunk: Arc<[Entry<V>]>) -> Vec<Entry<V>> {
    match Arc::get_mut(&mut chunk) {
        Some(entries) => entries.iter_mut().map(mem::take).collect(),
        None => chunk.to_vec(),
    }
}
