//! The outcome of every edit. A *place* is one of the cells and values that histories write.

use std::sync::{Mutex, MutexGuard, PoisonError};

use roommate::{Cell, Changes, Content};

use super::history::Leaf;

/// Every value that was ever written. Each is written once, so it is recognized wherever it appears.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    writes: Vec<Write>,
    /// For each client, one bit for each place that it wrote last and never sent.
    unsent: Vec<u16>,
    /// The deletions: which client deleted which value from its store.
    deletions: Vec<(u8, usize)>,
    /// For each client, one bit for each place at which a deletion was reported as refused.
    kept: Vec<u16>,
    /// The server has lost all its data at least once.
    has_forgotten: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) client: u8,
    /// The place, as one bit.
    pub(super) place: u16,
    /// The value was in the store before its client joined, so it is not an edit.
    pub(super) is_initial: bool,
    /// The client wrote the same place again.
    pub(super) is_overwritten: bool,
    /// The value reached the room while the room had a store to write it to, or would create one from it.
    pub(super) is_received: bool,
    /// How often the server stored it.
    pub(super) committed: u16,
    /// How often the server stored it because its client requested that.
    pub(super) made: u16,
    /// How often it was reported to its client as refused.
    pub(super) refused: u16,
}

impl Ledger {
    pub(super) fn new(clients: u8) -> Self {
        let places = || vec![0; clients.into()];
        Self { writes: Vec::new(), unsent: places(), deletions: Vec::new(), kept: places(), has_forgotten: false }
    }

    /// Records that a client writes a place. Returns the value to write.
    pub(super) fn write(&mut self, client: u8, leaf: Leaf, is_initial: bool) -> Option<Cell> {
        let place = leaf.covers();
        for write in self.writes.iter_mut().filter(|write| write.client == client && write.place & place != 0) {
            write.is_overwritten = true;
        }
        if !matches!(leaf, Leaf::SetCell(..) | Leaf::SetValue(_)) {
            return None;
        }
        let writes = &self.writes;
        self.deletions.retain(|(author, number)| *author != client || writes[*number].place & place == 0);
        self.writes.push(Write {
            client,
            place,
            is_initial,
            is_overwritten: false,
            is_received: false,
            committed: 0,
            made: 0,
            refused: 0,
        });
        Some(Cell::from(self.writes.len() as u32))
    }

    /// Records that a client deletes data that its store shows.
    pub(super) fn delete(&mut self, client: u8, leaf: Leaf, shown: &Content) {
        if matches!(leaf, Leaf::SetCell(..) | Leaf::SetValue(_)) {
            return;
        }
        let places = leaf.covers();
        let gone = cells_of(shown).filter(|(place, _)| place & places != 0);
        self.deletions.extend(gone.filter_map(|(_, cell)| Some((client, number(cell)?))));
    }

    /// Records whether a client's transaction was or will be sent, or never will be.
    pub(super) fn sent(&mut self, client: u8, changes: &Changes, is_sent: bool) {
        let places = places_of(changes, |_| true);
        let unsent = &mut self.unsent[usize::from(client)];
        *unsent = if is_sent { *unsent & !places } else { *unsent | places };
    }

    /// Records that the room has received changes.
    pub(super) fn received<'a>(&mut self, cells: impl Iterator<Item = &'a Cell>) {
        for cell in cells {
            if let Some(write) = self.find(cell) {
                write.is_received = true;
            }
        }
    }

    /// One bit for each place that a client wrote last and never sent.
    pub(super) fn unsent(&self, client: u8) -> u16 {
        self.unsent[usize::from(client)]
    }

    /// Records that the server stored a value because this client requested it. Another client may have written the
    /// value.
    pub(super) fn committed(&mut self, author: usize, cell: &Cell) {
        if let Some(write) = self.find(cell) {
            write.committed += 1;
            write.made += u16::from(usize::from(write.client) == author);
        }
    }

    /// Records that the server lost all its data. Values that it stores from now on count as stored for the first time.
    pub(super) fn forgotten(&mut self) {
        self.has_forgotten = true;
        self.writes.iter_mut().for_each(|write| write.made = 0);
    }

    /// Whether a value that was reported as refused cannot also have been stored. A server that has lost everything may
    /// have refused data that it accepts after the loss.
    pub(super) fn tells_refusals(&self) -> bool {
        !self.has_forgotten
    }

    /// Records that these changes were reported to a client as refused.
    pub(super) fn refused(&mut self, client: u8, changes: &Changes) {
        self.kept[usize::from(client)] |= places_of(changes, |cell| cell.is_none());
        for cell in values_of(changes) {
            if let Some(write) = self.find(cell).filter(|write| write.client == client) {
                write.refused += 1;
            }
        }
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = (u32, &Write)> {
        (1..).zip(&self.writes)
    }

    /// Returns how many values of a content no client wrote at that place.
    pub(super) fn invented(&self, content: &Content) -> u64 {
        let is_written = |place: u16, cell: &Cell| {
            number(cell).and_then(|number| self.writes.get(number)).is_some_and(|write| write.place == place)
        };
        cells_of(content).filter(|(place, cell)| !is_written(*place, cell)).count() as u64
    }

    /// Returns how many values a client deleted that the room still holds, although no refusal of the deletion was
    /// reported.
    pub(super) fn undone(&self, client: u8, held: &Content) -> u64 {
        let deleted = |number: usize, place: u16| {
            // A value that was stored twice was restored by the second write.
            self.deletions.contains(&(client, number))
                && self.kept[usize::from(client)] & place == 0
                && self.writes[number].committed == 1
        };
        let undone = cells_of(held).filter(|(place, cell)| number(cell).is_some_and(|number| deleted(number, *place)));
        undone.count() as u64
    }

    fn find(&mut self, cell: &Cell) -> Option<&mut Write> {
        self.writes.get_mut(number(cell)?)
    }
}

/// One bit for each place in which two contents differ.
pub(super) fn difference(one: &Content, other: &Content) -> u16 {
    let only = |one: &Content, other: &Content| {
        let other: Vec<_> = cells_of(other).collect();
        cells_of(one).filter(|cell| !other.contains(cell)).fold(0, |places, (place, _)| places | place)
    };
    only(one, other) | only(other, one)
}

/// The cells and values that changes set.
pub(super) fn values_of(changes: &Changes) -> impl Iterator<Item = &Cell> {
    let rows = changes.tables.values().flatten().flat_map(|rows| rows.values().flatten());
    let cells = rows.flat_map(|cells| cells.values().flatten());
    cells.chain(changes.values.values().flatten())
}

/// The cells and values of a content, each with its place.
pub(super) fn cells_of(content: &Content) -> impl Iterator<Item = (u16, &Cell)> {
    let cells = content.tables.iter().flat_map(|(table, rows)| {
        rows.iter()
            .flat_map(move |(row, cells)| cells.iter().map(move |(cell, to)| (place(table, Some(row), Some(cell)), to)))
    });
    cells.chain(content.values.iter().map(|(value, to)| (value_place(value), to)))
}

/// One bit for each place that changes write; of cells and values, those that are `meant`.
pub(super) fn places_of(changes: &Changes, meant: impl Fn(Option<&Cell>) -> bool) -> u16 {
    let mut places = 0;
    for (table, rows) in &changes.tables {
        let Some(rows) = rows else {
            places |= place(table, None, None);
            continue;
        };
        for (row, cells) in rows {
            let Some(cells) = cells else {
                places |= place(table, Some(row), None);
                continue;
            };
            for (cell, _) in cells.iter().filter(|(_, to)| meant(to.as_ref())) {
                places |= place(table, Some(row), Some(cell));
            }
        }
    }
    let values = changes.values.iter().filter(|(_, to)| meant(to.as_ref()));
    values.fold(places, |places, (value, _)| places | value_place(value))
}

fn place(table: &str, row: Option<&str>, cell: Option<&str>) -> u16 {
    match (row, cell) {
        (None, _) => Leaf::DelTable(bit(table)),
        (Some(row), None) => Leaf::DelRow(bit(table), bit(row)),
        (Some(row), Some(cell)) => Leaf::DelCell(bit(table), bit(row), bit(cell)),
    }
    .covers()
}

fn value_place(value: &str) -> u16 {
    Leaf::DelValue(bit(value)).covers()
}

fn bit(id: &str) -> u8 {
    u8::from(id != "0")
}

/// The position of a written value in the ledger.
pub(super) fn number(cell: &Cell) -> Option<usize> {
    let number = cell.as_f64()?;
    (number >= 1.0).then(|| number as usize - 1)
}

pub(super) fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
