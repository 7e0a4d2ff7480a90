//! What holds of the JSON of every text and of every content: called by the property tests and by the fuzzer.

use std::fmt::Debug;

use roommate::{Cell, Changes, Content, Decoded, ErrorKind, Json, Payload, Result};
use serde_json::value::RawValue;

/// Any text is read or refused, never a panic, and what is read outlives being written.
pub(crate) fn hold_for_text(text: &str) {
    if let Ok(read) = Content::from_json(text) {
        hold_for_content(&read.value);
        assert!(matches!(Payload::from_json(text), Ok(Decoded { value: Payload::Content(_), .. }) | Err(_)));
    }
    if let Ok(read) = Changes::from_json(text) {
        hold_for_changes(&read.value);
        if let Ok(payload) = Payload::from_json(text) {
            assert_eq!(payload.value, Payload::Changes(read.value), "both ends of a socket read {text}");
        }
    }
    hold_for_cell_text(text);
}

/// A content is the same after being written and read, and so is its JSON.
pub(crate) fn hold_for_content(content: &Content) {
    same_again(content, Content::to_json, Content::from_json);
}

/// Changes are the same after being written and read, and so is their JSON.
pub(crate) fn hold_for_changes(changes: &Changes) {
    same_again(changes, Changes::to_json, Changes::from_json);
}

/// `serde_json`, which shares no code with this reader, takes the same texts for JSON and makes the same of them.
fn hold_for_cell_text(text: &str) {
    let cell = Cell::from_json(text);
    let corrupt = matches!(&cell, Err(error) if error.kind() == ErrorKind::Corrupt);
    assert_eq!(corrupt, serde_json::from_str::<&RawValue>(text).is_err(), "JSON or not: {text}");
    let is_container = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(['[', '{']);
    assert_eq!(Json::new(text).is_some(), is_container && !corrupt, "object or array, or not: {text}");
    let Ok(cell) = cell else { return };
    let json = cell.to_json();
    assert_eq!(Cell::from_json(&json).as_ref().ok(), Some(&cell), "{json}");
    let Some(normal) = cell.as_json().filter(|_| is_container) else { return };
    assert_eq!(Cell::from_json(normal.as_str()).ok(), Some(cell.clone()), "written as JavaScript does, twice");
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        assert_eq!(Cell::try_from(&value).ok(), Some(cell), "{text}");
    }
}

fn same_again<T: PartialEq + Debug>(
    value: &T,
    write: impl Fn(&T) -> String,
    read: impl Fn(&str) -> Result<Decoded<T>>,
) {
    let json = write(value);
    let again = read(&json).expect("what is written can be read");
    assert_eq!(again.unrepresentable, 0, "{json}");
    assert_eq!(&again.value, value);
    assert_eq!(write(&again.value), json);
    serde_json::from_str::<serde_json::Value>(&json).expect("what is written is JSON for everybody");
}
