//! Changes of the cells of one row.

use std::{fmt, mem, ops::Index};

use super::{
    Cell, Id, Map, Row,
    map::{self, IntoIter as MapIntoIter},
};

/// Changes of the cells of one row, or of the values: the new content of each, in the order of insertion; `None` is a
/// deletion.
///
/// Replacing an entry keeps its position; removing and inserting it again moves it to the end. Two are equal when they
/// hold the same entries, in any order.
//
// Most changes concern one cell, and one message may have very many rows. So the change of one cell does not allocate.
#[derive(Clone, Default)]
pub struct RowChanges(Repr);

#[derive(Clone, Default)]
enum Repr {
    #[default]
    Empty,
    One(Id, Option<Cell>),
    Many(Box<Map<Option<Cell>>>),
}

/// The entries of [`RowChanges`], in order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Side<'a>);

#[derive(Clone, Debug)]
enum Side<'a> {
    One(Option<(&'a Id, &'a Option<Cell>)>),
    Many(map::Iter<'a, Option<Cell>>),
}

/// The entries of [`RowChanges`], in order, owned.
#[derive(Debug)]
pub struct IntoIter(Owned);

#[derive(Debug)]
enum Owned {
    One(Option<(Id, Option<Cell>)>),
    Many(MapIntoIter<Option<Cell>>),
}

impl RowChanges {
    /// Creates empty changes.
    pub const fn new() -> Self {
        Self(Repr::Empty)
    }

    /// The change of one cell.
    pub(crate) const fn of_one(id: Id, cell: Option<Cell>) -> Self {
        Self(Repr::One(id, cell))
    }

    /// The changes that create a row from nothing.
    pub(super) fn setting(row: &Row) -> Self {
        let mut entries = row.iter().map(|(id, cell)| (id.clone(), Some(cell.clone())));
        match entries.len() {
            0 => Self::new(),
            1 => entries.next().map(|(id, cell)| Self::of_one(id, cell)).unwrap_or_default(),
            count => {
                let mut cells = Map::with_capacity(count);
                for (id, cell) in entries {
                    cells.push(id, cell);
                }
                Self(Repr::Many(Box::new(cells)))
            }
        }
    }

    /// Records the new content of a cell, and returns what was recorded for it before.
    pub fn insert(&mut self, id: impl Into<Id>, cell: Option<Cell>) -> Option<Option<Cell>> {
        let id = id.into();
        match &mut self.0 {
            Repr::Empty => {
                self.0 = Repr::One(id, cell);
                None
            }
            Repr::One(known, was) if *known == id => Some(mem::replace(was, cell)),
            Repr::One(..) => {
                let entries = mem::take(self).into_iter().chain([(id, cell)]);
                self.0 = Repr::Many(Box::new(entries.collect()));
                None
            }
            Repr::Many(cells) => cells.insert(id, cell),
        }
    }

    /// Removes what is recorded for a cell, keeping the order of the others, and returns it.
    pub fn remove(&mut self, id: &str) -> Option<Option<Cell>> {
        match &mut self.0 {
            Repr::One(known, cell) if known.as_bytes() == id.as_bytes() => {
                let cell = cell.take();
                self.0 = Repr::Empty;
                Some(cell)
            }
            Repr::Empty | Repr::One(..) => None,
            Repr::Many(cells) => cells.remove(id),
        }
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.0 = Repr::Empty;
    }

    /// Retains the entries for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Id, &mut Option<Cell>) -> bool) {
        match &mut self.0 {
            Repr::Empty => {}
            Repr::One(id, cell) => {
                if !keep(id, cell) {
                    self.0 = Repr::Empty;
                }
            }
            Repr::Many(cells) => cells.retain(keep),
        }
    }

    /// Returns what is recorded for a cell.
    pub fn get(&self, id: &str) -> Option<&Option<Cell>> {
        match &self.0 {
            Repr::One(known, cell) if known.as_bytes() == id.as_bytes() => Some(cell),
            Repr::Empty | Repr::One(..) => None,
            Repr::Many(cells) => cells.get(id),
        }
    }

    /// Returns what is recorded for a cell, mutable.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Option<Cell>> {
        match &mut self.0 {
            Repr::One(known, cell) if known.as_bytes() == id.as_bytes() => Some(cell),
            Repr::Empty | Repr::One(..) => None,
            Repr::Many(cells) => cells.get_mut(id),
        }
    }

    /// Whether anything is recorded for a cell.
    pub fn contains(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    /// Returns the number of cells that are mentioned.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Empty => 0,
            Repr::One(..) => 1,
            Repr::Many(cells) => cells.len(),
        }
    }

    /// Whether no cell is mentioned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over what is recorded, mutable, in order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Option<Cell>> {
        let (one, many) = match &mut self.0 {
            Repr::Empty => (None, None),
            Repr::One(_, cell) => (Some(cell), None),
            Repr::Many(cells) => (None, Some(cells.values_mut())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Whether nothing is deleted.
    pub(crate) fn only_sets(&self) -> bool {
        match &self.0 {
            Repr::Empty => true,
            Repr::One(_, cell) => cell.is_some(),
            Repr::Many(cells) => cells.values().all(Option::is_some),
        }
    }

    /// The only cell that is mentioned, if it is stored as [`Repr::One`].
    #[inline]
    pub(crate) fn only(&self) -> Option<(&Id, &Option<Cell>)> {
        match &self.0 {
            Repr::One(id, cell) => Some((id, cell)),
            Repr::Empty | Repr::Many(_) => None,
        }
    }

    /// Iterates over ids and what is recorded, in order.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.0 {
            Repr::Empty => Side::One(None),
            Repr::One(id, cell) => Side::One(Some((id, cell))),
            Repr::Many(cells) => Side::Many(cells.iter()),
        })
    }

    /// Iterates over ids, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Id> + Clone {
        self.iter().map(|(id, _)| id)
    }

    /// Iterates over what is recorded, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Option<Cell>> + Clone {
        self.iter().map(|(_, cell)| cell)
    }
}

impl From<Map<Option<Cell>>> for RowChanges {
    fn from(cells: Map<Option<Cell>>) -> Self {
        match cells.len() {
            0 | 1 => cells.into_iter().collect(),
            _ => Self(Repr::Many(Box::new(cells))),
        }
    }
}

impl PartialEq for RowChanges {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(id, cell)| other.get(id) == Some(cell))
    }
}

impl fmt::Debug for RowChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// Panics if there is no such entry, as every `Index` does; [`RowChanges::get`] does not.
impl Index<&str> for RowChanges {
    type Output = Option<Cell>;

    fn index(&self, id: &str) -> &Option<Cell> {
        self.get(id).expect("no entry found for key")
    }
}

impl<K: Into<Id>> FromIterator<(K, Option<Cell>)> for RowChanges {
    fn from_iter<I: IntoIterator<Item = (K, Option<Cell>)>>(entries: I) -> Self {
        let mut changes = Self::new();
        changes.extend(entries);
        changes
    }
}

impl<K: Into<Id>> Extend<(K, Option<Cell>)> for RowChanges {
    fn extend<I: IntoIterator<Item = (K, Option<Cell>)>>(&mut self, entries: I) {
        for (id, cell) in entries {
            self.insert(id, cell);
        }
    }
}

impl IntoIterator for RowChanges {
    type Item = (Id, Option<Cell>);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(match self.0 {
            Repr::Empty => Owned::One(None),
            Repr::One(id, cell) => Owned::One(Some((id, cell))),
            Repr::Many(cells) => Owned::Many(cells.into_iter()),
        })
    }
}

impl<'a> IntoIterator for &'a RowChanges {
    type Item = (&'a Id, &'a Option<Cell>);
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Id, &'a Option<Cell>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Side::One(entry) => entry.take(),
            Side::Many(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Side::One(entry) => (usize::from(entry.is_some()), Some(usize::from(entry.is_some()))),
            Side::Many(entries) => entries.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl Iterator for IntoIter {
    type Item = (Id, Option<Cell>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Owned::One(entry) => entry.take(),
            Owned::Many(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Owned::One(entry) => (usize::from(entry.is_some()), Some(usize::from(entry.is_some()))),
            Owned::Many(entries) => entries.size_hint(),
        }
    }
}

impl ExactSizeIterator for IntoIter {}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn the_change_of_one_cell_is_no_larger_than_its_id_and_itself() {
        assert_eq!(size_of::<RowChanges>(), 32);
        assert_eq!(size_of::<Option<RowChanges>>(), 32);
    }

    proptest! {
        #[test]
        fn they_are_the_map_of_the_same_entries(ops in vec((0..4_u8, 0..5_u8, any::<Option<u8>>()), 0..20)) {
            let mut changes = RowChanges::new();
            let mut map: Map<Option<Cell>> = Map::new();
            for (op, id, value) in ops {
                let (id, value) = (format!("cell {id}"), value.map(Cell::from));
                match op {
                    0 => prop_assert_eq!(changes.remove(&id), map.remove(&id)),
                    1 => {
                        changes.retain(|known, _| known.as_str() != id);
                        map.retain(|known, _| known.as_str() != id);
                    }
                    _ => prop_assert_eq!(changes.insert(&*id, value.clone()), map.insert(&*id, value)),
                }
                prop_assert!(changes.iter().eq(map.iter()));
                prop_assert!(changes.clone().into_iter().eq(map.clone()));
                prop_assert_eq!(changes.len(), map.len());
                prop_assert_eq!(changes.iter().len(), map.len());
                prop_assert_eq!(changes.get(&id), map.get(&id));
                prop_assert_eq!(changes.get_mut(&id), map.get_mut(&id));
                prop_assert!(changes.values_mut().eq(map.values_mut()));
                prop_assert_eq!(format!("{changes:?}"), format!("{map:?}"));
                let turned: Vec<_> = changes.clone().into_iter().collect();
                prop_assert_eq!(turned.into_iter().rev().collect::<RowChanges>(), changes.clone());
                prop_assert_eq!(RowChanges::from(map.clone()), changes.clone());
            }
        }
    }
}
