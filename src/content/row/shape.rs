//! The cell ids of a row, shared by all rows that have the same ones.

use std::sync::{Arc, OnceLock};

use super::{Id, Row};

/// The ids of a row's cells, in their order.
#[derive(Debug)]
pub(crate) struct Shape {
    ids: Box<[Id]>,
    /// The cached result of [`Shape::prefixes`].
    prefixes: OnceLock<Option<Box<[Box<str>]>>>,
}

/// The shapes of a table's rows, so that the next row with the same cells uses the same shape.
///
/// If a table has very many different shapes, the oldest are dropped. Rows that then share no shape take more memory;
/// there is no other effect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes {
    last: Option<Arc<Shape>>,
    pub(super) known: Vec<Arc<Shape>>,
    oldest: usize,
}

/// How many shapes are stored.
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

    /// The position of an [`Id`]; a short one is compared in one step.
    #[inline]
    pub(super) fn position_of(&self, id: &Id) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }

    /// The text before each cell in a text form of the row; `make` has to be the same in every call.
    pub(crate) fn prefixes(&self, make: impl FnOnce(&[Id]) -> Option<Box<[Box<str>]>>) -> Option<&[Box<str>]> {
        self.prefixes.get_or_init(|| make(&self.ids)).as_deref()
    }
}

impl Shapes {
    /// The shape of the last row: a good guess for the next row.
    pub(crate) fn last(&self) -> Option<&Arc<Shape>> {
        self.last.as_ref()
    }

    /// The row with an equal shape from here; none if the row has that shape already.
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
