//! Contents, changes and cells out of JSON.

use std::collections::HashSet;

use super::{
    Decoded,
    lexer::Lexer,
    raw::{Marks, normalise},
    string::{JsonString, array_index, rank},
};
use crate::{
    content::{
        Cell, Changes, Content, DELETED, Id, JSON_MARK, Json, Map, Number, Row, RowChanges, Table, TableChanges, Text,
    },
    error::Result,
};

/// Reads the parts of a content or of changes, and counts what it has to leave out.
///
/// Each method that returns an `Option` reads one entry's value; `None` leaves the entry out.
pub(super) struct Reader<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) unrepresentable: usize,
    marks: Marks,
    /// Cell ids: every row has the same few, so they are shared and not made anew.
    cell_ids: HashSet<Id>,
}

/// What a leaf is.
pub(super) enum Leaf {
    Cell(Cell),
    Mark,
    Unrepresentable,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, marks: Marks) -> Self {
        Self { lexer: Lexer::new(text), unrepresentable: 0, marks, cell_ids: HashSet::new() }
    }

    /// Makes sure that nothing is left to read, and gives `value` its count.
    pub(super) fn finish<T>(mut self, value: T) -> Result<Decoded<T>> {
        self.lexer.end()?;
        Ok(Decoded { value, unrepresentable: self.unrepresentable })
    }

    /// Reads `[tables, values` of a content.
    pub(super) fn content(&mut self) -> Result<Content> {
        self.lexer.expect(b'[')?;
        let tables = self.map(Self::id, Self::table)?;
        self.lexer.expect(b',')?;
        let values = self.map(Self::id, Self::cell)?;
        Ok(Content { tables, values })
    }

    /// Reads `[tables, values` of changes.
    pub(super) fn changes(&mut self) -> Result<Changes> {
        self.lexer.expect(b'[')?;
        let tables = self.map(Self::id, Self::table_changes)?;
        self.lexer.expect(b',')?;
        let values = self.map(Self::id, Self::cell_change)?;
        Ok(Changes { tables, values })
    }

    pub(super) fn leaf(&mut self) -> Result<Leaf> {
        let cell = match self.lexer.peek() {
            Some(b'"') => {
                let string = self.lexer.string()?;
                if string.is(DELETED) {
                    return Ok(Leaf::Mark);
                }
                string_cell(string)
            }
            Some(b'{' | b'[') => {
                let value = self.lexer.value()?;
                normalise(&value, self.marks)?.map(|text| Cell::Json(Json::trusted(text)))
            }
            Some(b't') => self.lexer.literal("true").map(|()| Some(Cell::Bool(true)))?,
            Some(b'f') => self.lexer.literal("false").map(|()| Some(Cell::Bool(false)))?,
            Some(b'n') => self.lexer.literal("null").map(|()| Some(Cell::Null))?,
            _ => self.lexer.number()?.parse().ok().and_then(Number::new).map(Cell::Number),
        };
        Ok(cell.map_or(Leaf::Unrepresentable, Leaf::Cell))
    }

    fn cell(&mut self) -> Result<Option<Cell>> {
        Ok(match self.leaf()? {
            Leaf::Cell(cell) => Some(cell),
            Leaf::Mark | Leaf::Unrepresentable => {
                self.unrepresentable += 1;
                None
            }
        })
    }

    fn row(&mut self) -> Result<Option<Row>> {
        self.map(Self::cell_id, Self::cell).map(Some)
    }

    fn table(&mut self) -> Result<Option<Table>> {
        self.map(Self::id, Self::row).map(Some)
    }

    fn cell_change(&mut self) -> Result<Option<Option<Cell>>> {
        Ok(match self.leaf()? {
            Leaf::Cell(cell) => Some(Some(cell)),
            Leaf::Mark => Some(None),
            Leaf::Unrepresentable => {
                self.unrepresentable += 1;
                None
            }
        })
    }

    fn row_changes(&mut self) -> Result<Option<Option<RowChanges>>> {
        if self.mark()? {
            Ok(Some(None))
        } else {
            self.map(Self::cell_id, Self::cell_change).map(|cells| Some(Some(cells)))
        }
    }

    fn table_changes(&mut self) -> Result<Option<Option<TableChanges>>> {
        if self.mark()? { Ok(Some(None)) } else { self.map(Self::id, Self::row_changes).map(|rows| Some(Some(rows))) }
    }

    /// Reads a mark in the place of an object, where there is one.
    fn mark(&mut self) -> Result<bool> {
        if self.lexer.peek() != Some(b'"') {
            return Ok(false);
        }
        if self.lexer.string()?.is(DELETED) { Ok(true) } else { Err(self.lexer.unexpected("an object or U+FFFC")) }
    }

    fn id(&mut self, id: &str) -> Id {
        Id::from(id)
    }

    fn cell_id(&mut self, id: &str) -> Id {
        if let Some(id) = self.cell_ids.get(id) {
            return id.clone();
        }
        let id = Id::from(id);
        self.cell_ids.insert(id.clone());
        id
    }

    /// Reads an object. Its entries end in the order in which `JSON.parse` leaves them, and the last of those with one
    /// id in the place of the first.
    fn map<V>(
        &mut self,
        id: impl Fn(&mut Self, &str) -> Id,
        entry: impl Fn(&mut Self) -> Result<Option<V>>,
    ) -> Result<Map<V>> {
        self.lexer.expect(b'{')?;
        // Most rows fit, and take one allocation.
        let mut entries: Vec<(Id, Option<V>)> = Vec::with_capacity(8);
        let (mut complete, mut sorted, mut first) = (true, true, true);
        while self.lexer.next(b'}', first)? {
            first = false;
            let key = self.lexer.key()?;
            let count = self.unrepresentable;
            let value = entry(self)?;
            let Some(key) = key.decode() else {
                self.unrepresentable = count + 1;
                continue;
            };
            complete &= value.is_some();
            sorted &= array_index(&key).is_none();
            entries.push((id(self, &key), value));
        }
        if !sorted {
            entries.sort_by_cached_key(|(id, _)| rank(id));
        }
        if complete {
            let mut map = Map::with_capacity(entries.len());
            map.extend(entries.into_iter().filter_map(|(id, value)| Some((id, value?))));
            return Ok(map);
        }
        let last: Map<Option<V>> = entries.into_iter().collect();
        Ok(last.into_iter().filter_map(|(id, value)| Some((id, value?))).collect())
    }
}

fn string_cell(string: JsonString<'_>) -> Option<Cell> {
    let text = string.decode()?;
    match text.strip_prefix(JSON_MARK) {
        Some(json) => Json::new(json).map(Cell::Json),
        None => Text::new(text).map(Cell::String),
    }
}
