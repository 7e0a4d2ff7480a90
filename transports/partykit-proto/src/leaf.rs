//! Changes divided into leaves: a leaf is one assignment.

use roommate::{Cell, Changes, Content, Id};

/// One assignment of some [`Changes`]: a cell or value set or deleted, or a whole row or table deleted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Leaf<'a> {
    NoTable { table: &'a Id },
    NoRow { table: &'a Id, row: &'a Id },
    Cell { table: &'a Id, row: &'a Id, cell: &'a Id, to: Option<&'a Cell> },
    Value { value: &'a Id, to: Option<&'a Cell> },
}

/// The leaves of `changes`, in their order.
pub(super) fn leaves(changes: &Changes) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    for (table, rows) in &changes.tables {
        let Some(rows) = rows else {
            leaves.push(Leaf::NoTable { table });
            continue;
        };
        for (row, cells) in rows {
            match cells {
                None => leaves.push(Leaf::NoRow { table, row }),
                Some(cells) => {
                    leaves.extend(cells.iter().map(|(cell, to)| Leaf::Cell { table, row, cell, to: to.as_ref() }));
                }
            }
        }
    }
    leaves.extend(changes.values.iter().map(|(value, to)| Leaf::Value { value, to: to.as_ref() }));
    leaves
}

/// Whether every leaf of `part` is one of `whole`.
pub(super) fn is_part(part: &Changes, whole: &Changes) -> bool {
    leaves(part).into_iter().all(|leaf| leaf.is_in(whole))
}

/// Adds the leaves of `more` to `changes`. Of two leaves for one path, the later one remains.
pub(super) fn merge(changes: &mut Changes, more: &Changes) {
    for leaf in leaves(more) {
        leaf.record_in(changes);
    }
}

/// Returns `changes` without the leaves that `keep` rejects.
pub(super) fn retain(changes: &Changes, mut keep: impl FnMut(Leaf<'_>) -> bool) -> Changes {
    let mut kept = Changes::new();
    for leaf in leaves(changes) {
        if keep(leaf) {
            leaf.record_in(&mut kept);
        }
    }
    kept
}

/// The approximate size of `changes` in memory, in bytes.
pub(super) fn weight(changes: &Changes) -> usize {
    let weight = |leaf| match leaf {
        Leaf::NoTable { table } => weight_of(&[table], None),
        Leaf::NoRow { table, row } => weight_of(&[table, row], None),
        Leaf::Cell { table, row, cell, to } => weight_of(&[table, row, cell], to),
        Leaf::Value { value, to } => weight_of(&[value], to),
    };
    leaves(changes).into_iter().map(weight).sum()
}

/// The approximate size of `content` in memory, in bytes.
pub(super) fn weight_of_content(content: &Content) -> usize {
    let cells = content.tables.iter().flat_map(|(table, rows)| {
        let cells = rows.iter().flat_map(|(row, cells)| cells.iter().map(move |(id, cell)| (row, id, cell)));
        cells.map(move |(row, id, cell)| weight_of(&[table, row, id], Some(cell)))
    });
    cells.chain(content.values.iter().map(|(value, cell)| weight_of(&[value], Some(cell)))).sum()
}

fn weight_of(path: &[&Id], cell: Option<&Cell>) -> usize {
    let text = match cell {
        Some(Cell::String(text)) => text.len(),
        Some(Cell::Json(json)) => json.as_str().len(),
        Some(Cell::Null | Cell::Bool(_) | Cell::Number(_)) | None => 0,
    };
    path.iter().map(|id| id.as_str().len()).sum::<usize>() + text + size_of::<(Id, Cell)>()
}

impl Leaf<'_> {
    /// Adds this assignment to `changes`.
    pub(super) fn record_in(self, changes: &mut Changes) {
        match self {
            Self::NoTable { table } => changes.del_table(table),
            Self::NoRow { table, row } => changes.del_row(table, row),
            Self::Cell { table, row, cell, to: Some(to) } => changes.set_cell(table, row, cell, to.clone()),
            Self::Cell { table, row, cell, to: None } => changes.del_cell(table, row, cell),
            Self::Value { value, to: Some(to) } => changes.set_value(value, to.clone()),
            Self::Value { value, to: None } => changes.del_value(value),
        }
    }

    /// Whether `changes` contain exactly this assignment.
    pub(super) fn is_in(self, changes: &Changes) -> bool {
        match self {
            Self::NoTable { table } => changes.tables.get(table) == Some(&None),
            Self::NoRow { table, row } => {
                changes.tables.get(table).and_then(|rows| rows.as_ref()?.get(row)) == Some(&None)
            }
            Self::Cell { table, row, cell, to } => {
                cell_in(changes, table, row, cell).is_some_and(|assigned| assigned.as_ref() == to)
            }
            Self::Value { value, to } => changes.values.get(value).is_some_and(|assigned| assigned.as_ref() == to),
        }
    }

    /// Whether `changes` alone decide everything that this leaf decides, so that its effect can no longer be observed.
    pub(super) fn is_overwritten_by(self, changes: &Changes) -> bool {
        match self {
            Self::NoTable { table } => changes.tables.get(table) == Some(&None),
            Self::NoRow { table, row } => sets_row(changes, table, row),
            Self::Cell { table, row, cell, .. } => sets_cell(changes, table, row, cell),
            Self::Value { value, .. } => changes.values.contains(value),
        }
    }

    /// Whether there is anything that both this leaf and `changes` decide.
    pub(super) fn overlaps(self, changes: &Changes) -> bool {
        let mut own = Changes::new();
        self.record_in(&mut own);
        self.is_overwritten_by(changes) || leaves(changes).into_iter().any(|leaf| leaf.is_overwritten_by(&own))
    }

    /// Whether `content` looks as if this assignment, and then those of `later`, had been made.
    pub(super) fn is_shown_by(self, content: &Content, later: &[&Changes]) -> bool {
        let set_later = |table: &Id, row: &Id, cell: &Id| later.iter().any(|later| sets_cell(later, table, row, cell));
        match self {
            Self::NoTable { table } => content.tables.get(table).is_none_or(|rows| {
                rows.iter().all(|(row, cells)| cells.keys().all(|cell| set_later(table, row, cell)))
            }),
            Self::NoRow { table, row } => {
                content.row(table, row).is_none_or(|cells| cells.keys().all(|cell| set_later(table, row, cell)))
            }
            Self::Cell { table, row, cell, to } => content.cell(table, row, cell) == to,
            Self::Value { value, to } => content.values.get(value) == to,
        }
    }
}

fn cell_in<'a>(changes: &'a Changes, table: &Id, row: &Id, cell: &Id) -> Option<&'a Option<Cell>> {
    changes.tables.get(table)?.as_ref()?.get(row)?.as_ref()?.get(cell)
}

/// Whether `changes` delete the row, or the table with it.
fn sets_row(changes: &Changes, table: &Id, row: &Id) -> bool {
    match changes.tables.get(table) {
        None => false,
        Some(None) => true,
        Some(Some(rows)) => rows.get(row) == Some(&None),
    }
}

fn sets_cell(changes: &Changes, table: &Id, row: &Id, cell: &Id) -> bool {
    sets_row(changes, table, row) || cell_in(changes, table, row, cell).is_some()
}

/// Combines `leaves` as a transaction does: a deleted table or row contains no further changes.
#[cfg(test)]
pub(super) fn of_one_transaction(leaves: &[Changes]) -> Changes {
    let mut all = Changes::new();
    for leaf in leaves {
        let clash = leaf.tables.iter().any(|(table, rows)| match (all.tables.get(table), rows) {
            (Some(None), _) | (Some(_), None) => true,
            (Some(Some(all)), Some(rows)) => {
                rows.iter().any(|(row, cells)| matches!((all.get(row), cells), (Some(None), _) | (Some(_), None)))
            }
            (None, _) => false,
        });
        if !clash {
            merge(&mut all, leaf);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Changes {
        let mut changes = Changes::new();
        changes.set_cell("t", "r", "a", 1.into());
        changes.del_cell("t", "r", "b");
        changes.del_row("t", "gone");
        changes.del_table("old");
        changes.set_value("v", true.into());
        changes.del_value("w");
        changes
    }

    #[test]
    fn changes_are_their_leaves() {
        let all = changes();
        assert_eq!(leaves(&all).len(), 6);
        assert_eq!(retain(&all, |_| true), all);
        assert!(leaves(&all).into_iter().all(|leaf| leaf.is_in(&all) && leaf.is_overwritten_by(&all)));
        assert!(leaves(&all).into_iter().all(|leaf| !leaf.is_in(&Changes::new())));

        let part = retain(&all, |leaf| matches!(leaf, Leaf::Cell { .. }));
        assert!(is_part(&part, &all) && !is_part(&all, &part));
        let mut other = part.clone();
        other.set_cell("t", "r", "a", 2.into());
        assert!(!is_part(&other, &all), "another value is another assignment");
    }

    #[test]
    fn a_content_shows_the_changes_that_were_applied_to_it() {
        let mut content = Content::new();
        let mut before = Changes::new();
        before.set_cell("old", "r", "c", 1.into());
        before.set_cell("t", "gone", "c", 1.into());
        before.set_cell("t", "r", "b", 1.into());
        before.set_value("w", 1.into());
        content.apply(&before);
        let all = changes();
        assert!(leaves(&all).into_iter().all(|leaf| !leaf.is_shown_by(&content, &[])));
        content.apply(&all);
        assert!(leaves(&all).into_iter().all(|leaf| leaf.is_shown_by(&content, &[])));
    }

    #[test]
    fn a_deletion_shows_beneath_what_was_set_again() {
        let (mut deletion, mut again) = (Changes::new(), Changes::new());
        deletion.del_row("t", "r");
        again.set_cell("t", "r", "c", 2.into());
        let mut content = Content::new();
        content.apply(&again);
        let leaf = leaves(&deletion)[0];
        assert!(!leaf.is_shown_by(&content, &[]));
        assert!(leaf.is_shown_by(&content, &[&again]));
        assert!(!leaf.is_overwritten_by(&again));
        again.del_table("t");
        assert!(leaf.is_overwritten_by(&again));
    }
}
