//! The limits of a room's server: changes are cut into messages that fit, and what can never fit is left out.

use std::sync::Arc;

use roommate::{Cell, Changes, Content, Error, ErrorKind};

use super::leaf::{self, Leaf, leaves};

/// The limits of a room's server.
///
/// A server closes a connection that sends too large a message, and fails the whole transaction that has too large a
/// value or key. So a client checks both before it sends them. [`Limits::default`] has the limits of PartyKit's server
/// on every platform; your own server may have others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum size of one message in bytes. Defaults to 1 MiB.
    pub message: usize,
    /// The maximum size of one stored cell or value in bytes, in V8's serialisation. Defaults to 128 KiB.
    pub value: usize,
    /// The maximum size of one storage key in bytes: the JSON of table id, row id and cell id, or a value id. Defaults
    /// to 2 KiB.
    pub key: usize,
    /// The maximum number of assignments in one message. Defaults to unlimited. Cloudflare's Durable Objects write at
    /// most 128 keys at once, so a room that is deployed there needs 128 here.
    pub cells: usize,
}

/// The close code of a connection whose other end received too large a message.
pub const TOO_BIG: u16 = 1009;

/// The error for a message that is dropped because it was too large for the server.
pub(super) fn too_big(size: usize) -> Error {
    let message = format!(
        "a change in a message of {size} bytes was refused: the server takes none so large (1009); spread such a change over \
         several transactions, or let `Limits::message` say what the server takes"
    );
    Error::new(ErrorKind::Refused, message)
}

/// Encodes changes as a message.
pub(super) type Encode<'a> = &'a dyn Fn(&Changes) -> String;

/// Changes in the form of messages that a server accepts.
#[derive(Debug)]
pub(super) struct Fit {
    /// What to send: more than one message only if one cannot hold everything.
    pub(super) messages: Vec<(Changes, Arc<str>)>,
    /// What can never be sent.
    pub(super) refused: Changes,
    /// The reason, if anything can never be sent.
    pub(super) error: Option<Error>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 1 << 20, value: 128 << 10, key: 2 << 10, cells: usize::MAX }
    }
}

impl Limits {
    /// Returns `content` without the cells and values that the server could never accept.
    pub fn trim(&self, mut content: Content) -> Content {
        let mut gone = Changes::new();
        for (table, rows) in &content.tables {
            for (row, cells) in rows {
                for (cell, to) in cells {
                    if self.complaint(Leaf::Cell { table, row, cell, to: Some(to) }).is_some() {
                        gone.del_cell(table, row, cell);
                    }
                }
            }
        }
        for (value, to) in &content.values {
            if self.complaint(Leaf::Value { value, to: Some(to) }).is_some() {
                gone.del_value(value);
            }
        }
        content.apply(&gone);
        content
    }

    /// Cuts `changes` into messages that fit: between rows where possible, and between cells where not.
    pub(super) fn fit(&self, encode: Encode<'_>, changes: &Changes) -> Fit {
        let mut fit = Fit { messages: Vec::new(), refused: Changes::new(), error: None };
        let mut fitting = Changes::new();
        let mut count = 0;
        for leaf in leaves(changes) {
            match self.complaint(leaf) {
                None => {
                    count += 1;
                    leaf.record_in(&mut fitting);
                }
                Some(complaint) => fit.refuse(leaf, complaint),
            }
        }
        if count == 0 {
            return fit;
        }
        let frame = encode(&fitting);
        if frame.len() <= self.message && count <= self.cells {
            fit.messages.push((fitting, frame.into()));
        } else {
            self.split(encode, &fitting, &mut fit);
        }
        fit
    }

    fn split(&self, encode: Encode<'_>, changes: &Changes, fit: &mut Fit) {
        let mut message = Message::default();
        for row in rows(changes) {
            let size = encode(&row).len();
            let count = leaves(&row).len();
            if size <= self.message && count <= self.cells {
                self.pack(encode, &row, size, count, &mut message, fit);
                continue;
            }
            for leaf in leaves(&row) {
                let mut cell = Changes::new();
                leaf.record_in(&mut cell);
                let size = encode(&cell).len();
                if size <= self.message {
                    self.pack(encode, &cell, size, 1, &mut message, fit);
                } else {
                    fit.refuse(leaf, format!("takes a message of {size} bytes, and the room takes {}", self.message));
                }
            }
        }
        message.finish(encode, fit);
    }

    /// Adds `part` to the message, or, if it does not fit, finishes the message and begins the next one with `part`.
    fn pack(
        &self,
        encode: Encode<'_>,
        part: &Changes,
        size: usize,
        count: usize,
        message: &mut Message,
        fit: &mut Fit,
    ) {
        if message.size + size > self.message || message.count + count > self.cells {
            message.finish(encode, fit);
        }
        leaf::merge(&mut message.changes, part);
        // An upper bound: the message has the frame and the ids of each table and row only once.
        message.size += size;
        message.count += count;
    }

    fn complaint(&self, leaf: Leaf<'_>) -> Option<String> {
        let (key, to) = match leaf {
            Leaf::NoTable { table } => (1 + json_len(table), None),
            Leaf::NoRow { table, row } => (2 + json_len(table) + json_len(row), None),
            Leaf::Cell { table, row, cell, to } => (3 + json_len(table) + json_len(row) + json_len(cell), to),
            Leaf::Value { value, to } => (1 + value.len(), to),
        };
        if key > self.key {
            return Some(format!("has ids of {key} bytes, and the room takes {}: shorten them", self.key));
        }
        let size = to.map_or(0, stored_len);
        (size > self.value).then(|| {
            format!("takes {size} bytes, and the room takes {}: shorten it or spread it over several cells", self.value)
        })
    }
}

#[derive(Default)]
struct Message {
    changes: Changes,
    size: usize,
    count: usize,
}

impl Message {
    fn finish(&mut self, encode: Encode<'_>, fit: &mut Fit) {
        let Self { changes, count, .. } = std::mem::take(self);
        if count > 0 {
            let frame = encode(&changes).into();
            fit.messages.push((changes, frame));
        }
    }
}

impl Fit {
    fn refuse(&mut self, leaf: Leaf<'_>, complaint: String) {
        leaf.record_in(&mut self.refused);
        self.error.get_or_insert_with(|| {
            let name = match leaf {
                Leaf::NoTable { table } => format!("table {}", short(table)),
                Leaf::NoRow { table, row } => format!("row {} of table {}", short(row), short(table)),
                Leaf::Cell { table, row, cell, .. } => {
                    format!("cell {} of row {} of table {}", short(cell), short(row), short(table))
                }
                Leaf::Value { value, .. } => format!("value {}", short(value)),
            };
            Error::new(ErrorKind::Refused, format!("{name} cannot be saved: it {complaint}"))
        });
    }
}

/// Splits `changes` into single rows, deleted tables and values.
fn rows(changes: &Changes) -> Vec<Changes> {
    let mut parts: Vec<Changes> = Vec::new();
    let mut last = None;
    for leaf in leaves(changes) {
        let row = match leaf {
            Leaf::Cell { table, row, .. } => Some((table, row)),
            _ => None,
        };
        match parts.last_mut() {
            Some(part) if row.is_some() && row == last => leaf.record_in(part),
            _ => {
                let mut part = Changes::new();
                leaf.record_in(&mut part);
                parts.push(part);
            }
        }
        last = row;
    }
    parts
}

/// The length of `JSON.stringify(id)` in UTF-8.
fn json_len(id: &str) -> usize {
    2 + id
        .chars()
        .map(|char| match char {
            '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
            '\0'..='\u{1f}' => 6,
            char => char.len_utf8(),
        })
        .sum::<usize>()
}

/// An upper bound of the length of V8's serialisation, which stores a text as Latin-1 if possible, and as UTF-16 if
/// not.
fn stored_len(cell: &Cell) -> usize {
    // Version, type, length and padding.
    const AROUND: usize = 8;
    let text_len = |text: &str, extra: usize| {
        if text.chars().all(|char| char <= '\u{ff}') && extra == 0 {
            text.chars().count()
        } else {
            2 * (text.encode_utf16().count() + extra)
        }
    };
    AROUND
        + match cell {
            Cell::String(text) => text_len(text, 0),
            // Stored as text with a marker in front, which is not Latin-1.
            Cell::Json(json) => text_len(json.as_str(), 1),
            Cell::Null | Cell::Bool(_) | Cell::Number(_) => 8,
        }
}

/// Shortens an id for an error message.
fn short(id: &str) -> String {
    const MOST: usize = 40;
    match id.char_indices().nth(MOST) {
        None => format!("{id:?}"),
        Some((end, _)) => format!("{:?}…", &id[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wire;

    fn encode(changes: &Changes) -> String {
        Wire::new("p").encode_changes(changes)
    }

    fn rows_of_cells(rows: usize, cells: usize, text: &str) -> Changes {
        let mut changes = Changes::new();
        for row in 0..rows {
            for cell in 0..cells {
                changes.set_cell("t", format!("r{row}"), format!("c{cell}"), Cell::try_from(text).unwrap());
            }
        }
        changes
    }

    fn sum(fit: &Fit) -> Changes {
        let mut sum = fit.refused.clone();
        for (changes, _) in &fit.messages {
            leaf::merge(&mut sum, changes);
        }
        sum
    }

    #[test]
    fn what_fits_goes_in_one_message() {
        let changes = rows_of_cells(3, 3, "x");
        let fit = Limits::default().fit(&encode, &changes);
        assert_eq!(fit.messages, [(changes.clone(), encode(&changes).into())]);
        assert!(fit.refused.is_empty() && fit.error.is_none());
    }

    #[test]
    fn what_is_too_large_for_a_message_is_split_between_rows_and_only_then_between_cells() {
        let mut changes = rows_of_cells(10, 4, &"x".repeat(20));
        changes.del_table("old");
        changes.set_value("v", 1.into());
        let limits = Limits { message: 400, ..Limits::default() };
        let fit = limits.fit(&encode, &changes);
        assert!(fit.messages.len() > 1);
        assert!(fit.messages.iter().all(|(_, frame)| frame.len() <= 400));
        assert!(fit.messages.iter().all(|(part, _)| {
            part.tables
                .get("t")
                .into_iter()
                .flatten()
                .flat_map(|rows| rows.values().flatten())
                .all(|row| row.len() == 4)
        }));
        assert_eq!(sum(&fit), changes);

        let limits = Limits { message: 60, ..Limits::default() };
        let fit = limits.fit(&encode, &changes);
        assert!(fit.messages.iter().all(|(_, frame)| frame.len() <= 60));
        assert!(fit.refused.is_empty());
        assert_eq!(sum(&fit), changes);

        let limits = Limits { cells: 3, ..Limits::default() };
        let fit = limits.fit(&encode, &changes);
        assert!(fit.messages.iter().all(|(part, _)| leaves(part).len() <= 3));
        assert_eq!(sum(&fit), changes);
    }

    #[test]
    fn a_value_that_is_too_large_is_refused_alone_and_says_what_to_do() {
        let mut changes = Changes::new();
        changes.set_value("big", Cell::try_from("x".repeat(140_000)).unwrap());
        changes.set_value("innocent", 16.into());
        let fit = Limits::default().fit(&encode, &changes);
        assert_eq!(fit.messages.len(), 1);
        assert!(fit.messages[0].0.values.contains("innocent"));
        assert!(fit.refused.values.contains("big") && fit.refused.values.len() == 1);
        let error = fit.error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().starts_with("value \"big\" cannot be saved: it takes 140008 bytes"), "{error}");
    }

    #[test]
    fn a_content_is_trimmed_to_what_fits() {
        let mut changes = Changes::new();
        changes.set_cell("t", "r", "big", Cell::try_from("x".repeat(140_000)).unwrap());
        changes.set_value("v".repeat(3000), 1.into());
        let mut content = Content::new();
        content.apply(&changes);
        assert_eq!(Limits::default().trim(content.clone()), Content::new());
        content.values.insert("v", 1.into());
        assert_eq!(Limits::default().trim(content).values.len(), 1);
    }

    #[test]
    fn ids_that_make_a_key_too_long_are_refused() {
        let mut changes = Changes::new();
        changes.set_cell("t", "r".repeat(3000), "c", 1.into());
        changes.set_cell("t", "r", "c", 1.into());
        let fit = Limits::default().fit(&encode, &changes);
        assert_eq!((fit.messages.len(), leaves(&fit.refused).len()), (1, 1));
        assert!(fit.error.is_some());
    }

    #[test]
    fn a_text_beyond_latin_1_takes_two_bytes_a_unit() {
        let limits = Limits::default();
        let fits = |text: String| {
            let mut changes = Changes::new();
            changes.set_value("v", Cell::try_from(text).unwrap());
            limits.fit(&encode, &changes).refused.is_empty()
        };
        assert!(fits("é".repeat(130_000)));
        assert!(!fits("é".repeat(131_072)));
        assert!(fits("Ж".repeat(65_000)));
        assert!(!fits("Ж".repeat(65_536)));
        assert!(!fits("😀".repeat(32_768)));
    }
}
