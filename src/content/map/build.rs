//! Building a map from many entries at once.

use std::mem;

use super::{CHUNK, Id, Map, UNINDEXED, index::Index};

/// A builder of a map. It checks and indexes the ids once, at the end, and not for each entry.
#[derive(Debug)]
pub(crate) struct Builder<V> {
    /// It has no index yet, regardless of the number of entries.
    map: Map<V>,
}

impl<V: Clone> Builder<V> {
    pub(crate) const fn new() -> Self {
        Self { map: Map::new() }
    }

    /// Adds an entry. Of several entries with the same id, the last one counts, at the position of the first.
    #[inline]
    pub(crate) fn push(&mut self, id: Id, value: V) {
        let Map { tail, more } = &mut self.map;
        match tail.len() {
            // Maps of changes very often have exactly one entry.
            0 => tail.reserve_exact(1),
            CHUNK => {
                let full = mem::replace(tail, Vec::with_capacity(CHUNK)).into();
                more.get_or_insert_default().full.push(full);
            }
            _ => {}
        }
        tail.push(Some((id, value)));
    }

    pub(crate) fn finish(self) -> Map<V> {
        let Self { mut map } = self;
        let len = map.len();
        let distinct = if len <= UNINDEXED {
            map.keys().enumerate().all(|(at, id)| map.keys().take(at).all(|before| before != id))
        } else {
            let index = Index::of_distinct(len, map.keys()).map(Into::into);
            let distinct = index.is_some();
            map.more_mut().index = index;
            distinct
        };
        if distinct { map } else { map.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_map_that_has_its_entries_inserted(
            ns in prop_oneof![vec(0..1_000_000_u32, 0..300), vec(0..100_u32, 0..30), vec(0..9_u32, 0..9)]
        ) {
            let mut built = Builder::new();
            for (at, n) in ns.iter().enumerate() {
                built.push(n.to_string().into(), at);
            }
            let mut built = built.finish();
            let mut expected: Map<usize> = ns.iter().enumerate().map(|(at, n)| (n.to_string(), at)).collect();
            for n in 0..20 {
                prop_assert!(built.iter().eq(expected.iter()));
                prop_assert_eq!(built.len(), expected.len());
                let id = n.to_string();
                prop_assert_eq!(built.get(&id), expected.get(&id));
                prop_assert_eq!(built.insert(&*id, 7), expected.insert(&*id, 7));
            }
        }
    }
}
