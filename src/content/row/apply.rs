//! Applying changes to a row.

use std::sync::Arc;

use super::{Id, Repr, Row, Shape};
use crate::content::RowChanges;

/// Applies the changes of one row to it. An empty result means that the row is gone.
pub(crate) fn apply_row(row: &mut Row, changes: &RowChanges) {
    row.apply(changes);
}

impl Row {
    /// The row that changes create from nothing. It uses one of `shapes` if that has exactly these cells.
    pub(crate) fn of_changes<'a>(changes: &RowChanges, mut shapes: impl Iterator<Item = &'a Arc<Shape>>) -> Self {
        let is_of = |shape: &&Arc<Shape>| {
            let ids = shape.ids();
            ids.len() == changes.len()
                && changes.iter().zip(ids).all(|((id, cell), shape_id)| cell.is_some() && id == shape_id)
        };
        match shapes.find(is_of) {
            Some(shape) => Self::of_shape(Arc::clone(shape), changes.values().flatten().cloned().collect()),
            None => changes.iter().filter_map(|(id, cell)| Some((id, cell.clone()?))).collect(),
        }
    }

    /// Applies the changes, and returns whether the row may have other ids now, or the same in another order.
    pub(crate) fn apply(&mut self, changes: &RowChanges) -> bool {
        let mut left = changes.iter().enumerate().peekable();
        if let Repr::Narrow { shape, cells } = &mut self.0
            && left.peek().is_some_and(|(at, (id, cell))| cell.is_some() && position_near(shape, *at, id).is_some())
        {
            let cells = Arc::make_mut(cells);
            while let Some((at, (id, Some(cell)))) = left.peek()
                && let Some(position) = position_near(shape, *at, id)
            {
                cells[position].clone_from(cell);
                left.next();
            }
        }
        let reshaped = left.peek().is_some();
        for (_, (id, cell)) in left {
            match cell {
                Some(cell) => drop(self.put(id, cell)),
                None => drop(self.remove(id)),
            }
        }
        reshaped
    }

    /// Whether the changes would change nothing.
    pub(crate) fn has_all(&self, changes: &RowChanges) -> bool {
        let cell_at = |at: usize, id: &Id| match &self.0 {
            Repr::Narrow { shape, cells } => position_near(shape, at, id).map(|position| &cells[position]),
            _ => self.get(id),
        };
        changes.iter().enumerate().all(|(at, (id, cell))| cell_at(at, id) == cell.as_ref())
    }

    /// Whether the row's ids are those of a shape, in its order.
    pub(crate) fn is_of(&self, shape: &Arc<Shape>) -> bool {
        self.narrow().is_some_and(|(own, _)| Arc::ptr_eq(own, shape) || own.ids() == shape.ids())
    }

    /// Sets a shape that [equals that of the row](Self::is_of), so that both share it.
    pub(crate) fn set_shape(&mut self, shared: Arc<Shape>) {
        if let Repr::Narrow { shape, .. } = &mut self.0 {
            debug_assert!(shape.ids() == shared.ids(), "a shape of other cells");
            *shape = shared;
        }
    }
}

/// The position of a cell, which most likely is `guess`: changes are mostly in the order of the row.
#[inline]
fn position_near(shape: &Shape, guess: usize, id: &Id) -> Option<usize> {
    let right = shape.ids().get(guess).is_some_and(|known| known == id);
    if right { Some(guess) } else { shape.position_of(id) }
}
