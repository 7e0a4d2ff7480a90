//! The data of a store: [`Cell`], [`Content`], and the [`Changes`] from one content to another.
//!
//! This module is independent of stores, JSON and backends. A [`Content`] is what a backend holds. [`Changes`] are
//! absolute assignments ("this cell is 5 now", "this row is gone now"), so applying them twice has the same result as
//! applying them once, and only their order matters.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

mod apply;
mod cell;
mod map;
mod row;
mod row_changes;
mod str;

use str::Str;

pub(crate) use apply::find_rows;
pub use cell::{Cell, CellKind, Json, Number, Text};
pub(crate) use cell::{DELETED, JSON_MARK};
pub(crate) use map::Builder;
pub use map::Map;
pub use row::Row;
pub(crate) use row::{Shape, Shapes, apply_row};
pub use row_changes::RowChanges;

/// The id of a table, a row, a cell or a value: any text. A short id is stored inline in its 16 bytes; clones of a long
/// id share its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Str);

impl Id {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The bytes of the id, which are cheaper to access than its text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The rows of one table, by row id.
pub type Table = Map<Row>;
/// Tables, by table id.
pub type Tables = Map<Table>;
/// Values, by value id.
pub type Values = Row;

/// Everything that a store or a backend holds: `[tables, values]` in TinyBase's JSON.
///
/// A table without rows and a row without cells do not exist; [`Content::prune`] removes them from a content that was
/// built by hand. Two contents are equal when they hold the same cells and values, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// The tables.
    pub tables: Tables,
    /// The values.
    pub values: Values,
}

/// Changes of one table, by row id; `None` is a deleted row.
pub type TableChanges = Map<Option<RowChanges>>;

/// A set of changes that take effect together: `[tables, values, 1]` in TinyBase's JSON.
///
/// At each level an absent id means "unchanged" and `None` means "deleted". Deleted is not [`Cell::Null`]: null is a
/// value like any other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Changed tables; `None` is a deleted table.
    pub tables: Map<Option<TableChanges>>,
    /// Changed values; `None` is a deleted value.
    pub values: RowChanges,
}

impl Content {
    /// Creates a content without tables and values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the changes that turn this content into `to`: the cells that differ, and each deletion at the highest
    /// level at which it applies.
    pub fn diff(&self, to: &Self) -> Changes {
        let mut tables = Builder::new();
        for (table_id, table) in &to.tables {
            let rows = diff_table(self.tables.of(table_id), table);
            if !rows.is_empty() {
                tables.push(table_id.clone(), Some(rows));
            }
        }
        for table_id in self.tables.keys() {
            if !to.tables.contains(table_id) {
                tables.push(table_id.clone(), None);
            }
        }
        Changes { tables: tables.finish(), values: diff_row(Some(&self.values), &to.values) }
    }

    /// Removes rows without cells and tables without rows.
    pub fn prune(&mut self) {
        let hollow = |table: &Table| table.is_empty() || table.values().any(Row::is_empty);
        if self.tables.values().any(hollow) {
            for table in self.tables.values_mut().filter(|table| hollow(table)) {
                table.retain(|_, row| !row.is_empty());
            }
            self.tables.retain(|_, table| !table.is_empty());
        }
    }

    /// Whether there are no tables and no values.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.values.is_empty()
    }

    /// Returns one cell.
    pub fn cell(&self, table_id: &str, row_id: &str, cell_id: &str) -> Option<&Cell> {
        self.row(table_id, row_id)?.get(cell_id)
    }

    /// Returns one row.
    pub fn row(&self, table_id: &str, row_id: &str) -> Option<&Row> {
        self.tables.get(table_id)?.get(row_id)
    }

    /// Returns one value.
    pub fn value(&self, value_id: &str) -> Option<&Cell> {
        self.values.get(value_id)
    }

    /// Returns the ids of a table's rows, in order; none if the table does not exist.
    pub fn row_ids<'a>(&'a self, table_id: &str) -> impl Iterator<Item = &'a Id> + Clone + use<'a> {
        self.tables.get(table_id).into_iter().flat_map(Map::keys)
    }

    /// Returns the ids of a row's cells, in order; none if the row does not exist.
    pub fn cell_ids<'a>(&'a self, table_id: &str, row_id: &str) -> impl Iterator<Item = &'a Id> + Clone + use<'a> {
        self.row(table_id, row_id).into_iter().flat_map(Row::keys)
    }
}

impl Changes {
    /// Creates empty changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the changes mention nothing at all.
    ///
    /// A mentioned row without cells (`{"t":{"r":{}}}`) counts as a mention; see [`Changes::prune`].
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.values.is_empty()
    }

    /// Removes mentions of rows and tables that have no changes.
    pub fn prune(&mut self) {
        for table in self.tables.values_mut().flatten() {
            table.retain(|_, row| row.as_ref().is_none_or(|cells| !cells.is_empty()));
        }
        self.tables.retain(|_, table| table.as_ref().is_none_or(|rows| !rows.is_empty()));
    }

    /// Records that a cell is `cell` now.
    pub fn set_cell(&mut self, table_id: impl Into<Id>, row_id: impl Into<Id>, cell_id: impl Into<Id>, cell: Cell) {
        self.row_mut(table_id.into(), row_id.into()).insert(cell_id.into(), Some(cell));
    }

    /// Records that a cell is gone.
    pub fn del_cell(&mut self, table_id: impl Into<Id>, row_id: impl Into<Id>, cell_id: impl Into<Id>) {
        self.row_mut(table_id.into(), row_id.into()).insert(cell_id.into(), None);
    }

    /// Records that a row is gone, and replaces what was recorded about its cells.
    pub fn del_row(&mut self, table_id: impl Into<Id>, row_id: impl Into<Id>) {
        self.table_mut(table_id.into()).insert(row_id.into(), None);
    }

    /// Records that a table is gone, and replaces what was recorded about its rows.
    pub fn del_table(&mut self, table_id: impl Into<Id>) {
        self.tables.insert(table_id.into(), None);
    }

    /// Records that a value is `value` now.
    pub fn set_value(&mut self, value_id: impl Into<Id>, value: Cell) {
        self.values.insert(value_id.into(), Some(value));
    }

    /// Records that a value is gone.
    pub fn del_value(&mut self, value_id: impl Into<Id>) {
        self.values.insert(value_id.into(), None);
    }

    /// Returns the changes of one table, and adds them if there are none. They replace a recorded deletion of the
    /// table.
    fn table_mut(&mut self, table_id: Id) -> &mut TableChanges {
        self.tables.get_or_default(&table_id).get_or_insert_default()
    }

    fn row_mut(&mut self, table_id: Id, row_id: Id) -> &mut RowChanges {
        self.table_mut(table_id).get_or_default(&row_id).get_or_insert_default()
    }
}

/// Converts a content to the changes that create it from an empty content.
impl From<&Content> for Changes {
    fn from(content: &Content) -> Self {
        Content::new().diff(content)
    }
}

fn diff_table(old: Option<&Table>, new: &Table) -> TableChanges {
    let mut rows = Builder::new();
    for (row_id, row) in new {
        let cells = diff_row(old.and_then(|old| old.of(row_id)), row);
        if !cells.is_empty() {
            rows.push(row_id.clone(), Some(cells));
        }
    }
    for row_id in old.into_iter().flat_map(Map::keys) {
        if !new.contains(row_id) {
            rows.push(row_id.clone(), None);
        }
    }
    rows.finish()
}

/// The changes from one row (or the values) to another, cell by cell.
pub(crate) fn diff_row(old: Option<&Row>, new: &Row) -> RowChanges {
    let Some(old) = old.filter(|old| !old.is_empty()) else { return RowChanges::setting(new) };
    let mut cells = RowChanges::new();
    for (cell_id, cell) in new {
        if old.cell_of(cell_id) != Some(cell) {
            cells.insert(cell_id.clone(), Some(cell.clone()));
        }
    }
    for cell_id in old.keys() {
        if !new.contains(cell_id) {
            cells.insert(cell_id.clone(), None);
        }
    }
    cells
}

impl Deref for Id {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Id {
    #[inline]
    fn from(id: &str) -> Self {
        Self(Str::new(id))
    }
}

impl From<String> for Id {
    fn from(id: String) -> Self {
        Self(Str::new(id))
    }
}

impl From<Arc<str>> for Id {
    fn from(id: Arc<str>) -> Self {
        Self(Str::new(&*id))
    }
}

impl From<&Self> for Id {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl PartialEq<str> for Id {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Id {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
