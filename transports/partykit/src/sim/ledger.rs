//! What became of every edit.

use roommate::{Cell, Changes, Content};

use super::history::{Leaf, PATHS};

/// Every value that was ever written. Each is written once, so that it is known wherever it turns up.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    writes: Vec<Write>,
    /// For each client, one bit for each place that it wrote last and never sent.
    unsent: Vec<u16>,
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) client: u8,
    /// The place: one bit.
    pub(super) place: u16,
    /// It was there before its client joined, so that it is no edit.
    pub(super) is_initial: bool,
    /// Its client wrote the same place again.
    pub(super) is_overwritten: bool,
    /// It was on its way.
    pub(super) is_sent: bool,
    /// How often the server stored it.
    pub(super) committed: u16,
    /// How often its client was told that it was refused.
    pub(super) refused: u16,
}

impl Ledger {
    pub(super) fn new(clients: u8) -> Self {
        Self { writes: Vec::new(), unsent: vec![0; clients.into()] }
    }

    /// A client writes a place. Returns what.
    pub(super) fn write(&mut self, client: u8, leaf: Leaf, is_initial: bool) -> Option<Cell> {
        let place = leaf.covers();
        for write in self.writes.iter_mut().filter(|write| write.client == client && write.place & place != 0) {
            write.is_overwritten = true;
        }
        if !matches!(leaf, Leaf::SetCell(..) | Leaf::SetValue(_)) {
            return None;
        }
        self.writes.push(Write {
            client,
            place,
            is_initial,
            is_overwritten: false,
            is_sent: false,
            committed: 0,
            refused: 0,
        });
        Some(Cell::from(self.writes.len() as u32))
    }

    /// Takes down that a client's transaction was or will be sent, or never will be.
    pub(super) fn sent(&mut self, client: u8, changes: &Changes, is_sent: bool) {
        let mut places = 0;
        for (table, rows) in &changes.tables {
            let Some(rows) = rows else {
                places |= covers(table, None, None);
                continue;
            };
            for (row, cells) in rows {
                let Some(cells) = cells else {
                    places |= covers(table, Some(row), None);
                    continue;
                };
                for cell in cells.keys() {
                    places |= covers(table, Some(row), Some(cell));
                }
            }
        }
        places |= changes.values.keys().fold(0, |places, value| places | 0b1_0000_0000 << bit(value));
        let unsent = &mut self.unsent[usize::from(client)];
        *unsent = if is_sent { *unsent & !places } else { *unsent | places };
        if is_sent {
            for cell in values_of(changes) {
                if let Some(write) = self.find(cell) {
                    write.is_sent = true;
                }
            }
        }
    }

    /// Somebody else's changes overwrote what a client had not sent.
    pub(super) fn unsent(&self, client: u8) -> u16 {
        self.unsent[usize::from(client)]
    }

    /// The server stored a value.
    pub(super) fn committed(&mut self, cell: &Cell) {
        if let Some(write) = self.find(cell) {
            write.committed += 1;
        }
    }

    /// A client was told that this was refused.
    pub(super) fn refused(&mut self, client: u8, changes: &Changes) {
        for cell in values_of(changes) {
            if let Some(write) = self.find(cell).filter(|write| write.client == client) {
                write.refused += 1;
            }
        }
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = (u32, &Write)> {
        (1..).zip(&self.writes)
    }

    /// How many values a content has that nobody wrote there.
    pub(super) fn invented(&self, content: &Content) -> u32 {
        let mut invented = 0;
        let mut look = |place: u16, cell: &Cell| {
            let write = number(cell).and_then(|number| self.writes.get(number));
            invented += u32::from(write.is_none_or(|write| write.place != place));
        };
        for (table, rows) in &content.tables {
            for (row, cells) in rows {
                for (id, cell) in cells {
                    look(covers(table, Some(row), Some(id)), cell);
                }
            }
        }
        for (id, value) in &content.values {
            look(0b1_0000_0000 << bit(id), value);
        }
        invented
    }

    fn find(&mut self, cell: &Cell) -> Option<&mut Write> {
        self.writes.get_mut(number(cell)?)
    }
}

/// One bit for each place in which two contents differ.
pub(super) fn difference(one: &Content, other: &Content) -> u16 {
    (0..PATHS).fold(0, |places, path| {
        let differs = match path {
            0..8 => {
                let ids = [path >> 2 & 1, path >> 1 & 1, path & 1].map(|id| if id == 0 { "0" } else { "1" });
                one.cell(ids[0], ids[1], ids[2]) != other.cell(ids[0], ids[1], ids[2])
            }
            _ => {
                let id = if path == 8 { "0" } else { "1" };
                one.values.get(id) != other.values.get(id)
            }
        };
        places | u16::from(differs) << path
    })
}

/// The cells and values that changes set.
pub(super) fn values_of(changes: &Changes) -> impl Iterator<Item = &Cell> {
    let rows = changes.tables.values().flatten().flat_map(|rows| rows.values().flatten());
    let cells = rows.flat_map(|cells| cells.values().flatten());
    cells.chain(changes.values.values().flatten())
}

fn covers(table: &str, row: Option<&str>, cell: Option<&str>) -> u16 {
    match (row, cell) {
        (None, _) => Leaf::DelTable(bit(table)),
        (Some(row), None) => Leaf::DelRow(bit(table), bit(row)),
        (Some(row), Some(cell)) => Leaf::DelCell(bit(table), bit(row), bit(cell)),
    }
    .covers()
}

fn bit(id: &str) -> u8 {
    u8::from(id != "0")
}

/// Where in the ledger a written value stands.
fn number(cell: &Cell) -> Option<usize> {
    let number = cell.as_f64()?;
    (number >= 1.0).then(|| number as usize - 1)
}
