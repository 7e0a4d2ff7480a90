//! What the server's file has.

use std::{
    collections::{HashMap, HashSet},
    fmt, fs,
    path::Path,
};

use roommate_partykit_proto::{Event, Record};
use roommate_server::{RoomName, Sqlite, Storage};
use serde_json::Value;

use crate::{authors::ROOM, texts::texts};

/// The records of the room, as of the last kill.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Every text that any record sets.
    texts: HashSet<String>,
    /// In how many records each author's own table gets each row.
    rows: HashMap<String, HashMap<u64, u32>>,
    records: u64,
    seq: u64,
}

impl Ledger {
    /// Reads what is new, of a copy of the file as the server left it when it was killed. Returns how many records.
    pub(crate) fn take(&mut self, data: &Path, folder: &Path) -> u64 {
        let before = self.records;
        let copy = folder.join("copy.db");
        for end in ["", "-wal"] {
            let name = |path: &Path| format!("{}{end}", path.display());
            fs::copy(name(data), name(&copy)).expect("a copy of the file");
        }
        let connection = rusqlite::Connection::open(&copy).expect("the file can be opened");
        let found: String =
            connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).expect("it can be checked");
        assert_eq!(found, "ok");
        drop(connection);
        let storage = Sqlite::open(&copy).expect("the file has rooms");
        loop {
            let commits = storage.log(&RoomName::main(ROOM), self.seq, 1 << 20).expect("the log can be read");
            let Some(last) = commits.last() else { break };
            let seq = last.seq;
            for record in commits.iter().flat_map(|commit| Record::decode_lines(&commit.records).expect("records")) {
                self.add(&record);
            }
            self.seq = seq;
        }
        self.records - before
    }

    /// Whether some record sets this text.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.texts.contains(text)
    }

    /// How often an author's row was made.
    pub(crate) fn count(&self, author: &str, row: u64) -> u32 {
        self.rows.get(author).and_then(|rows| rows.get(&row)).copied().unwrap_or(0)
    }

    fn add(&mut self, record: &Record) {
        self.records += 1;
        let (Event::Changed(json) | Event::Created(json)) = &record.event else { return };
        let changes: Value = serde_json::from_str(json).expect("changes are JSON");
        texts(&changes, &mut |text| {
            self.texts.insert(text.to_owned());
        });
        for (table, rows) in changes[0].as_object().into_iter().flatten() {
            for (row, cells) in rows.as_object().into_iter().flatten() {
                if let (Ok(row), true) = (row.parse(), cells.is_object()) {
                    *self.rows.entry(table.clone()).or_default().entry(row).or_default() += 1;
                }
            }
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records with {} different texts", self.records, self.texts.len())
    }
}
