//! Encoding of the dialect's messages as JSON. Changes and contents are inserted as the core writes them, or as it
//! wrote them earlier.

use std::fmt::Write;

use roommate::Changes;
use serde_json::Value;

use super::{Entry, Join, Offer, Standing};

pub(super) fn join(join: &Join) -> String {
    let (epoch, seq) = match &join.at {
        Some(at) => (quote(&at.epoch), at.seq.to_string()),
        None => ("null".to_owned(), "null".to_owned()),
    };
    let (client, decided) = (quote(&join.client), join.decided);
    format!(r#"["join",{{"client":{client},"epoch":{epoch},"seq":{seq},"decided":{decided}}}]"#)
}

pub(super) fn change(id: u64, changes: &Changes) -> String {
    format!(r#"["change",{id},{}]"#, changes.to_json())
}

pub(super) fn ack(id: u64) -> String {
    format!(r#"["ack",{id}]"#)
}

pub(super) fn offer(offer: &Offer) -> String {
    let mut ascii = String::new();
    for unit in quote(&offer.client).encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ b' '..=b'~') => ascii.push(byte.into()),
            _ => {
                let _infallible = write!(ascii, r"\u{unit:04x}");
            }
        }
    }
    format!("[{ascii},{}]", offer.id)
}

pub(super) fn entry(entry: &Entry) -> String {
    match entry {
        Entry::Changed { seq, changes } => changed(*seq, &changes.to_json()),
        Entry::Accepted { seq, id, refused } => accepted(*seq, *id, Some(&refused.to_json())),
        Entry::Created { seq, content } => created(*seq, &content.to_json()),
    }
}

/// [`Entry::Changed`], with the JSON of its changes.
pub(crate) fn changed(seq: u64, changes: &str) -> String {
    format!(r#"["changed",{seq},{changes}]"#)
}

/// [`Entry::Accepted`], with the JSON of the refused parts, if any.
pub(crate) fn accepted(seq: u64, id: u64, refused: Option<&str>) -> String {
    let refused = refused.unwrap_or("[{},{},1]");
    format!(r#"["accepted",{seq},{id},{refused}]"#)
}

/// [`Entry::Created`], with the JSON of its content.
pub(crate) fn created(seq: u64, content: &str) -> String {
    format!(r#"["created",{seq},{content}]"#)
}

/// [`ServerMessage::Resumed`](super::ServerMessage::Resumed), with the JSON of its entries.
pub(crate) fn resumed(standing: &Standing, entries: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut out = format!(r#"["resumed",{},["#, self::standing(standing));
    for (index, entry) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(entry.as_ref());
    }
    out.push_str("]]");
    out
}

/// [`ServerMessage::Snapshot`](super::ServerMessage::Snapshot), with the JSON of the refused parts and of the content.
pub(crate) fn snapshot(
    standing: &Standing,
    refused: impl IntoIterator<Item = (u64, impl AsRef<str>)>,
    content: Option<&str>,
) -> String {
    let mut out = format!(r#"["snapshot",{},["#, self::standing(standing));
    for (index, (id, changes)) in refused.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _infallible = write!(out, "{comma}[{id},{}]", changes.as_ref());
    }
    let _infallible = write!(out, "],{}]", content.unwrap_or("null"));
    out
}

fn standing(standing: &Standing) -> String {
    let (epoch, seq) = (quote(&standing.position.epoch), standing.position.seq);
    let last = standing.last.map_or_else(|| "null".to_owned(), |last| last.to_string());
    format!(r#"{{"epoch":{epoch},"seq":{seq},"last":{last}}}"#)
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}
