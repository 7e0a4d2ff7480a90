//! The cells of one row.

use std::{fmt, mem, ops::Index, slice, sync::Arc};

use super::{Cell, Id, Map, map};

mod apply;
mod shape;

pub(crate) use apply::apply_row;
pub(crate) use shape::{Shape, Shapes};

/// Up to this number of cells, a row is a shape and a slice, and is searched linearly.
const NARROW: usize = 16;

/// The cells of one row, or the values, by id, in the order of insertion.
///
/// Replacing a cell keeps its position; removing and inserting it again moves it to the end. Two rows are equal when
/// they hold the same cells, in any order. A clone shares the cells until one of the two rows changes.
#[derive(Clone, Default)]
pub struct Row(Repr);

#[derive(Clone, Default)]
enum Repr {
    #[default]
    Empty,
    /// Rows with the same ids in the same order share the ids.
    Narrow {
        shape: Arc<Shape>,
        cells: Arc<[Cell]>,
    },
    Wide(Box<Map<Cell>>),
}

/// The cells of a [`Row`] with their ids, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Side<'a>);

#[derive(Clone, Debug)]
enum Side<'a> {
    Narrow(slice::Iter<'a, Id>, slice::Iter<'a, Cell>),
    Wide(map::Iter<'a, Cell>),
}

impl Row {
    /// Creates a row without cells.
    pub const fn new() -> Self {
        Self(Repr::Empty)
    }

    /// A row of as many cells as the shape has ids.
    pub(crate) fn of_shape(shape: Arc<Shape>, cells: Arc<[Cell]>) -> Self {
        if cells.is_empty() { Self::new() } else { Self(Repr::Narrow { shape, cells }) }
    }

    /// Sets a cell and returns the one that it replaced.
    pub fn insert(&mut self, id: impl Into<Id>, cell: Cell) -> Option<Cell> {
        let id = id.into();
        match &mut self.0 {
            Repr::Empty => {
                self.0 = Repr::Narrow { shape: Arc::new(Shape::new([id])), cells: Arc::new([cell]) };
                None
            }
            Repr::Wide(cells) => cells.insert(id, cell),
            Repr::Narrow { shape, cells } => {
                if let Some(at) = shape.position_of(&id) {
                    return Some(mem::replace(&mut Arc::make_mut(cells)[at], cell));
                }
                if cells.len() == NARROW {
                    let mut wide: Map<_> = self.iter().map(|(id, cell)| (id.clone(), cell.clone())).collect();
                    wide.insert(id, cell);
                    self.0 = Repr::Wide(Box::new(wide));
                    return None;
                }
                *shape = Arc::new(Shape::new(shape.ids().iter().cloned().chain([id])));
                *cells = moved(cells, None, Some(cell));
                None
            }
        }
    }

    /// Like [`Row::insert`], but faster if the row has the cell.
    #[inline]
    pub(crate) fn put(&mut self, id: &Id, cell: &Cell) -> Option<Cell> {
        if let Repr::Narrow { shape, cells } = &mut self.0
            && let Some(at) = shape.position_of(id)
        {
            return Some(mem::replace(&mut Arc::make_mut(cells)[at], cell.clone()));
        }
        self.insert(id, cell.clone())
    }

    /// Removes a cell, keeping the order of the others, and returns it.
    pub fn remove(&mut self, id: &str) -> Option<Cell> {
        match &mut self.0 {
            Repr::Empty => None,
            Repr::Wide(cells) => cells.remove(id),
            Repr::Narrow { shape, cells } => {
                let at = shape.position(id)?;
                let cell = cells[at].clone();
                if cells.len() == 1 {
                    self.0 = Repr::Empty;
                    return Some(cell);
                }
                let ids = shape.ids().iter().enumerate().filter(|(index, _)| *index != at);
                *shape = Arc::new(Shape::new(ids.map(|(_, id)| id.clone())));
                *cells = moved(cells, Some(at), None);
                Some(cell)
            }
        }
    }

    /// Removes all cells.
    pub fn clear(&mut self) {
        self.0 = Repr::Empty;
    }

    /// Retains the cells for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Id, &Cell) -> bool) {
        if !self.iter().all(|(id, cell)| keep(id, cell)) {
            *self = mem::take(self).into_iter().filter(|(id, cell)| keep(id, cell)).collect();
        }
    }

    /// Returns a mutable cell.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Cell> {
        match &mut self.0 {
            Repr::Empty => None,
            Repr::Narrow { shape, cells } => Arc::make_mut(cells).get_mut(shape.position(id)?),
            Repr::Wide(cells) => cells.get_mut(id),
        }
    }

    /// Returns a cell.
    pub fn get(&self, id: &str) -> Option<&Cell> {
        match &self.0 {
            Repr::Empty => None,
            Repr::Narrow { shape, cells } => cells.get(shape.position(id)?),
            Repr::Wide(cells) => cells.get(id),
        }
    }

    /// Returns a cell and its id as the row stores it.
    pub fn get_key_value(&self, id: &str) -> Option<(&Id, &Cell)> {
        match &self.0 {
            Repr::Empty => None,
            Repr::Narrow { shape, cells } => {
                let at = shape.position(id)?;
                Some((&shape.ids()[at], &cells[at]))
            }
            Repr::Wide(cells) => cells.get_key_value(id),
        }
    }

    /// Whether the row has the cell.
    pub fn contains(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    /// Returns the number of cells.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Empty => 0,
            Repr::Narrow { cells, .. } => cells.len(),
            Repr::Wide(cells) => cells.len(),
        }
    }

    /// Whether the row has no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over ids and cells, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.0 {
            Repr::Empty => Side::Narrow([].iter(), [].iter()),
            Repr::Narrow { shape, cells } => Side::Narrow(shape.ids().iter(), cells.iter()),
            Repr::Wide(cells) => Side::Wide(cells.iter()),
        })
    }

    /// Iterates over ids, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Id> + Clone {
        self.iter().map(|(id, _)| id)
    }

    /// Iterates over cells, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Cell> + Clone {
        self.iter().map(|(_, cell)| cell)
    }

    /// A cell, by an [`Id`].
    #[inline]
    pub(crate) fn cell_of(&self, id: &Id) -> Option<&Cell> {
        match &self.0 {
            Repr::Narrow { shape, cells } => cells.get(shape.position_of(id)?),
            _ => self.get(id),
        }
    }

    /// The position of a cell in a row that is not wide.
    #[inline]
    pub(crate) fn position_of(&self, id: &Id) -> Option<usize> {
        match &self.0 {
            Repr::Narrow { shape, .. } => shape.position_of(id),
            Repr::Empty | Repr::Wide(_) => None,
        }
    }

    /// The cell at a position of a row that is not wide.
    #[inline]
    pub(crate) fn at(&self, position: usize) -> Option<&Cell> {
        match &self.0 {
            Repr::Narrow { cells, .. } => cells.get(position),
            Repr::Empty | Repr::Wide(_) => None,
        }
    }

    /// The cell at a position of a row that is not wide, mutable.
    #[inline]
    pub(crate) fn at_mut(&mut self, position: usize) -> Option<&mut Cell> {
        match &mut self.0 {
            Repr::Narrow { cells, .. } => Arc::make_mut(cells).get_mut(position),
            Repr::Empty | Repr::Wide(_) => None,
        }
    }

    /// The shape and the cells, if the row is narrow.
    pub(crate) fn narrow(&self) -> Option<(&Arc<Shape>, &[Cell])> {
        match &self.0 {
            Repr::Narrow { shape, cells } => Some((shape, cells)),
            _ => None,
        }
    }

    /// Replaces the shape by an equal one from `shapes`, so that similar rows share it.
    pub(crate) fn share(&mut self, shapes: &mut Shapes) {
        if let Repr::Narrow { shape, .. } = &mut self.0 {
            shapes.share(shape);
        }
    }
}

/// The cells, without the one at `without`, and with one more.
fn moved(cells: &mut Arc<[Cell]>, without: Option<usize>, with: Option<Cell>) -> Arc<[Cell]> {
    let mut rest: Vec<Cell> = Vec::with_capacity(cells.len() + 1);
    match Arc::get_mut(cells) {
        Some(cells) => rest.extend(cells.iter_mut().map(|cell| mem::replace(cell, Cell::Null))),
        None => rest.extend_from_slice(cells),
    }
    if let Some(at) = without {
        rest.remove(at);
    }
    rest.extend(with);
    rest.into()
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        match (self.narrow(), other.narrow()) {
            (Some((shape, cells)), Some((other_shape, other))) if Arc::ptr_eq(shape, other_shape) => {
                std::ptr::eq(cells, other) || cells == other
            }
            _ => self.len() == other.len() && self.iter().all(|(id, cell)| other.get(id) == Some(cell)),
        }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// Panics if there is no such cell, as every `Index` does; [`Row::get`] does not.
impl Index<&str> for Row {
    type Output = Cell;

    fn index(&self, id: &str) -> &Cell {
        self.get(id).expect("no entry found for key")
    }
}

impl<K: Into<Id>> FromIterator<(K, Cell)> for Row {
    fn from_iter<I: IntoIterator<Item = (K, Cell)>>(entries: I) -> Self {
        let mut entries = entries.into_iter();
        let (least, most) = entries.size_hint();
        let capacity = most.unwrap_or(least).clamp(1, NARROW);
        let (mut ids, mut cells) = (Vec::<Id>::with_capacity(capacity), Vec::with_capacity(capacity));
        for (id, cell) in entries.by_ref() {
            let id = id.into();
            match ids.iter().position(|known| *known == id) {
                Some(at) => cells[at] = cell,
                None => {
                    ids.push(id);
                    cells.push(cell);
                }
            }
            if ids.len() > NARROW {
                let mut wide: Map<Cell> = ids.into_iter().zip(cells).collect();
                wide.extend(entries);
                return Self(Repr::Wide(Box::new(wide)));
            }
        }
        match ids.is_empty() {
            true => Self::new(),
            false => Self(Repr::Narrow { shape: Arc::new(Shape::new(ids)), cells: cells.into() }),
        }
    }
}

impl<K: Into<Id>> Extend<(K, Cell)> for Row {
    fn extend<I: IntoIterator<Item = (K, Cell)>>(&mut self, entries: I) {
        if self.is_empty() {
            *self = entries.into_iter().collect();
            return;
        }
        for (id, cell) in entries {
            self.insert(id, cell);
        }
    }
}

impl IntoIterator for Row {
    type Item = (Id, Cell);
    type IntoIter = std::vec::IntoIter<(Id, Cell)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().map(|(id, cell)| (id.clone(), cell.clone())).collect::<Vec<_>>().into_iter()
    }
}

impl<'a> IntoIterator for &'a Row {
    type Item = (&'a Id, &'a Cell);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Id, &'a Cell);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Side::Narrow(ids, cells) => Some((ids.next()?, cells.next()?)),
            Side::Wide(entries) => entries.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Side::Narrow(ids, _) => ids.size_hint(),
            Side::Wide(entries) => entries.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests;
