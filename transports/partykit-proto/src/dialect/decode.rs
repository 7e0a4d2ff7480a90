//! Decoding of the dialect's messages from JSON.
//!
//! The arrays are split without parsing their elements, and the core parses content. So content is read here as in any
//! other frame.

use std::sync::Arc;

use roommate::{Changes, Content, Decoded, Error, ErrorKind, Result};
use serde_json::{Map, Value, value::RawValue};

use super::{ClientMessage, Entry, Join, MAX_CLIENT_ID, MAX_SAFE_INTEGER, Offer, Position, ServerMessage, Standing};

pub(super) fn client(text: &str) -> Result<Decoded<ClientMessage>> {
    let mut reader = Reader::default();
    let (name, arguments) = message(text)?;
    let value = match (&*name, &*arguments) {
        ("join", [join]) => ClientMessage::Join(read_join(join)?),
        ("change", [id, changes]) => ClientMessage::Change { id: read_id(id)?, changes: reader.changes(changes)? },
        ("ack", [id]) => ClientMessage::Ack(read_integer(id)?),
        _ => return Err(not_a_message(&name)),
    };
    Ok(reader.finish(value))
}

pub(super) fn server(text: &str) -> Result<Decoded<ServerMessage>> {
    let mut reader = Reader::default();
    let (name, arguments) = message(text)?;
    let value = match (&*name, &*arguments) {
        ("resumed", [standing, entries]) => ServerMessage::Resumed {
            standing: read_standing(standing)?,
            entries: elements(entries)?.iter().map(|entry| reader.entry(entry)).collect::<Result<_>>()?,
        },
        ("snapshot", [standing, refused, content]) => ServerMessage::Snapshot {
            standing: read_standing(standing)?,
            refused: elements(refused)?.iter().map(|refused| reader.refused(refused)).collect::<Result<_>>()?,
            content: if content.get() == "null" { None } else { Some(reader.content(content)?) },
        },
        _ => ServerMessage::Entry(reader.entry_of(&name, &arguments)?),
    };
    Ok(reader.finish(value))
}

pub(super) fn offer(text: &str) -> Result<Offer> {
    if !text.is_ascii() {
        return Err(malformed("what is not ASCII has to be escaped"));
    }
    match &*parts(text)? {
        [client, id] => {
            let client = serde_json::from_str(client.get());
            let client: String = client.map_err(|_| malformed("the id of a client is a text"))?;
            Ok(Offer { client: read_client(&client)?, id: read_id(id)? })
        }
        _ => Err(malformed("a client and the id of a change are expected")),
    }
}

/// Reads the elements that hold content, and counts the entries that must be left out.
#[derive(Debug, Default)]
struct Reader {
    unrepresentable: usize,
}

impl Reader {
    fn finish<T>(self, value: T) -> Decoded<T> {
        Decoded { value, unrepresentable: self.unrepresentable }
    }

    fn entry(&mut self, part: &RawValue) -> Result<Entry> {
        let (name, arguments) = message(part.get())?;
        self.entry_of(&name, &arguments)
    }

    fn entry_of(&mut self, name: &str, arguments: &[&RawValue]) -> Result<Entry> {
        match (name, arguments) {
            ("changed", [seq, changes]) => {
                Ok(Entry::Changed { seq: read_integer(seq)?, changes: self.changes(changes)? })
            }
            ("accepted", [seq, id, refused]) => {
                let refused = self.changes(refused)?;
                Ok(Entry::Accepted { seq: read_integer(seq)?, id: read_id(id)?, refused })
            }
            ("created", [seq, content]) => {
                Ok(Entry::Created { seq: read_integer(seq)?, content: self.content(content)? })
            }
            _ => Err(not_a_message(name)),
        }
    }

    fn refused(&mut self, part: &RawValue) -> Result<(u64, Changes)> {
        match &*elements(part)? {
            [id, changes] => Ok((read_id(id)?, self.changes(changes)?)),
            _ => Err(malformed("what was refused comes as an id and changes")),
        }
    }

    fn changes(&mut self, part: &RawValue) -> Result<Changes> {
        let read = Changes::from_json(part.get())?;
        self.unrepresentable += read.unrepresentable;
        Ok(read.value)
    }

    fn content(&mut self, part: &RawValue) -> Result<Content> {
        let read = Content::from_json(part.get())?;
        self.unrepresentable += read.unrepresentable;
        Ok(read.value)
    }
}

fn read_join(part: &RawValue) -> Result<Join> {
    let join = read_object(part)?;
    let client = read_client(text(&join, "client")?)?;
    let at = match (join.get("epoch"), join.get("seq")) {
        (Some(Value::Null), Some(Value::Null)) => None,
        _ => Some(position(&join)?),
    };
    Ok(Join { client, at, decided: integer(join.get("decided"))? })
}

fn read_client(client: &str) -> Result<Arc<str>> {
    match client.len() {
        1..=MAX_CLIENT_ID => Ok(client.into()),
        _ => Err(malformed(format!("the id of a client has from 1 to {MAX_CLIENT_ID} bytes"))),
    }
}

fn read_standing(part: &RawValue) -> Result<Standing> {
    let standing = read_object(part)?;
    let last = match standing.get("last") {
        Some(Value::Null) => None,
        last => Some(integer(last)?),
    };
    Ok(Standing { position: position(&standing)?, last })
}

fn read_id(part: &RawValue) -> Result<u64> {
    match read_integer(part)? {
        0 => Err(malformed("the ids of changes begin with 1")),
        id => Ok(id),
    }
}

fn read_integer(part: &RawValue) -> Result<u64> {
    integer(serde_json::from_str(part.get()).ok().as_ref())
}

fn read_object(part: &RawValue) -> Result<Map<String, Value>> {
    serde_json::from_str(part.get())
        .map_err(|error| Error::with_source(ErrorKind::Corrupt, "expected an object", error))
}

fn position(object: &Map<String, Value>) -> Result<Position> {
    Ok(Position { epoch: text(object, "epoch")?.into(), seq: integer(object.get("seq"))? })
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str> {
    object.get(key).and_then(Value::as_str).ok_or_else(|| malformed(format!("expected a text as {key}")))
}

fn integer(value: Option<&Value>) -> Result<u64> {
    let integer = value.and_then(Value::as_u64).filter(|integer| *integer <= MAX_SAFE_INTEGER);
    integer.ok_or_else(|| malformed(format!("expected an integer from 0 to {MAX_SAFE_INTEGER}")))
}

/// Splits a message into its name and the elements after it.
fn message(text: &str) -> Result<(String, Vec<&RawValue>)> {
    let mut parts = parts(text)?;
    if parts.is_empty() {
        return Err(malformed("a message begins with its name"));
    }
    let name = serde_json::from_str(parts.remove(0).get());
    Ok((name.map_err(|_| malformed("a message begins with its name"))?, parts))
}

fn elements(part: &RawValue) -> Result<Vec<&RawValue>> {
    parts(part.get())
}

fn parts(text: &str) -> Result<Vec<&RawValue>> {
    serde_json::from_str(text).map_err(|error| Error::with_source(ErrorKind::Corrupt, "expected an array", error))
}

fn not_a_message(name: &str) -> Error {
    malformed(format!("there is no message {name:?} of this form"))
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
