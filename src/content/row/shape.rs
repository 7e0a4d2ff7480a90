//! Which cells a row has, shared by all rows that have the same ones.

use std::sync::{Arc, OnceLock};

use super::{Id, Row};

/// The ids of a row's cells, in their order.
#[derive(Debug)]
pub(crate) struct Shape {
    ids: Box<[Id]>,
    /// What [`Shape::prefixes`] made once.
    prefixes: OnceLock<Option<Box<[Box<str>]>>>,
}

/// The shapes that a table's rows have, so that the next row of the same kind takes the same one.
///
/// It forgets the oldest where a table has very many kinds of rows: such rows take more memory, and no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes {
    last: Option<Arc<Shape>>,
    pub(super) known: Vec<Arc<Shape>>,
    oldest: usize,
}

/// How many shapes are remembered.
pub(super) const KNOWN: usize = 32;

impl Shape {
    pub(super) fn new(ids: impl IntoIterator<Item = Id>) -> Self {
        Self { ids: ids.into_iter().collect(), prefixes: OnceLock::new() }
    }

    pub(crate) fn ids(&self) -> &[Id] {
        &self.ids
    }

    #[inline]
    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.ids.iter().position(|known| known.as_bytes() == id.as_bytes())
    }

    /// The same by an id, of which a short one is compared at once.
    #[inline]
    pub(super) fn position_of(&self, id: &Id) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }

    /// What stands before each cell in a text form of the row; `make` is the same at every call.
    pub(crate) fn prefixes(&self, make: impl FnOnce(&[Id]) -> Option<Box<[Box<str>]>>) -> Option<&[Box<str>]> {
        self.prefixes.get_or_init(|| make(&self.ids)).as_deref()
    }
}

impl Shapes {
    /// The shape of the last row: a good guess as to the next one's.
    pub(crate) fn last(&self) -> Option<&Arc<Shape>> {
        self.last.as_ref()
    }

    /// The row with its shape from here, unless it has that already.
    pub(crate) fn shared(&mut self, row: &Row) -> Option<Row> {
        let (shape, _) = row.narrow()?;
        if self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, shape)) {
            return None;
        }
        let mut shared = row.clone();
        shared.share(self);
        let taken = shared.narrow().is_some_and(|(other, _)| !Arc::ptr_eq(other, shape));
        taken.then_some(shared)
    }

    pub(super) fn share(&mut self, shape: &mut Arc<Shape>) {
        if let Some(last) = &self.last
            && (Arc::ptr_eq(last, shape) || last.ids == shape.ids)
        {
            shape.clone_from(last);
            return;
        }
        match self.known.iter().find(|known| known.ids == shape.ids) {
            Some(known) => shape.clone_from(known),
            None if self.known.len() < KNOWN => self.known.push(Arc::clone(shape)),
            None => {
                self.known[self.oldest] = Arc::clone(shape);
                self.oldest = (self.oldest + 1) % KNOWN;
            }
        }
        self.last = Some(Arc::clone(shape));
    }
}
