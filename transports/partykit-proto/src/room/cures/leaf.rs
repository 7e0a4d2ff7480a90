//! Changes divided into cells and values, the smallest parts in which two clients can differ.

use roommate::{Changes, Content, Id, RowChanges, TableChanges};

/// One cell or value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaf {
    Cell(Id, Id, Id),
    Value(Id),
}

/// The cells and values that `changes` decide: those that they name, and those in the rows and tables that they delete.
///
/// `contents` is the content before the changes. A deletion of something that is not there decides nothing.
pub(super) fn leaves<'a>(changes: &'a Changes, contents: &'a Content) -> impl Iterator<Item = Leaf> + 'a {
    let cells = changes.tables.iter().flat_map(move |(table_id, rows)| -> Box<dyn Iterator<Item = Leaf> + 'a> {
        match rows {
            None => {
                Box::new(rows_of(contents, table_id).flat_map(move |row_id| row_leaves(table_id, row_id, contents)))
            }
            Some(rows) => {
                Box::new(rows.iter().flat_map(move |(row_id, cells)| -> Box<dyn Iterator<Item = Leaf> + 'a> {
                    match cells {
                        None => Box::new(row_leaves(table_id, row_id, contents)),
                        Some(cells) => Box::new(
                            cells.keys().map(|cell_id| Leaf::Cell(table_id.clone(), row_id.clone(), cell_id.clone())),
                        ),
                    }
                }))
            }
        }
    });
    cells.chain(changes.values.keys().cloned().map(Leaf::Value))
}

fn rows_of<'a>(contents: &'a Content, table_id: &Id) -> impl Iterator<Item = &'a Id> {
    contents.tables.get(table_id).into_iter().flat_map(|rows| rows.keys())
}

fn row_leaves<'a>(table_id: &'a Id, row_id: &'a Id, contents: &'a Content) -> impl Iterator<Item = Leaf> + 'a {
    let cells = contents.row(table_id, row_id).into_iter().flat_map(|cells| cells.keys());
    cells.map(|cell_id| Leaf::Cell(table_id.clone(), row_id.clone(), cell_id.clone()))
}

/// How many assignments `changes` make.
pub(super) fn size(changes: &Changes) -> usize {
    let cells = |cells: &Option<RowChanges>| cells.as_ref().map_or(1, |cells| cells.len());
    let rows = |rows: &Option<TableChanges>| rows.as_ref().map_or(1, |rows| rows.values().map(cells).sum());
    changes.tables.values().map(rows).sum::<usize>() + changes.values.len()
}

/// Whether `changes` set anything, rather than only delete.
pub(in crate::room) fn sets(changes: &Changes) -> bool {
    let cells = changes.tables.values().flatten().flat_map(|rows| rows.values().flatten()).flat_map(|row| row.values());
    cells.chain(changes.values.values()).any(Option::is_some)
}

impl Leaf {
    /// Whether applying `changes` sets or deletes this.
    pub(super) fn is_touched_by(&self, changes: &Changes) -> bool {
        match self {
            Self::Value(value_id) => changes.values.contains(value_id),
            Self::Cell(table_id, row_id, cell_id) => match changes.tables.get(table_id) {
                None => false,
                Some(None) => true,
                Some(Some(rows)) => match rows.get(row_id) {
                    None => false,
                    Some(None) => true,
                    Some(Some(cells)) => cells.contains(cell_id),
                },
            },
        }
    }

    /// Adds to `changes` what `contents` hold of this: its state, or that it is deleted, or that its row is.
    ///
    /// A client with a schema treats the deletion of a cell that has a default as the deletion of the whole row. So no
    /// cell is deleted from a row that does not exist.
    pub(super) fn tell(self, contents: &Content, changes: &mut Changes) {
        match self {
            Self::Value(value_id) => {
                let value = contents.values.get(&value_id).cloned();
                changes.values.insert(value_id, value);
            }
            Self::Cell(table_id, row_id, cell_id) => match contents.cell(&table_id, &row_id, &cell_id) {
                Some(cell) => changes.set_cell(table_id, row_id, cell_id, cell.clone()),
                None if contents.row(&table_id, &row_id).is_none() => changes.del_row(table_id, row_id),
                None => changes.del_cell(table_id, row_id, cell_id),
            },
        }
    }
}
