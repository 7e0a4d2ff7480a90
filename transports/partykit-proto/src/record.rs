//! Records, the entries of a room's log: what the room accepted, in its stored form.

use std::{fmt::Write, sync::Arc};

use roommate::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::shared_str::SharedStr;

/// One decision of a room, as it is stored. The room's content is rebuilt from its records.
///
/// A room's content after a record is the fold of all records up to it (R1). The text of a change is encoded once: the
/// record shares it with the frame that is broadcast.
///
/// The stored form is one line of JSON:
///
/// ```
/// use roommate_partykit_proto::{Event, Record};
///
/// let line = r#"["changed",8,5,"ann",[3,0,null],[{},{"open":true},1]]"#;
/// let record = Record::decode(line)?;
/// assert_eq!((record.number, record.seq, record.author.as_deref()), (8, 5, Some("ann")));
/// assert_eq!(record.event, Event::Changed("[{},{\"open\":true},1]".into()));
/// let mut text = String::new();
/// record.encode(&mut text);
/// assert_eq!(text, line);
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The position in the room's log: from 1, without gaps.
    pub number: u64,
    /// The room's sequence number after this record.
    pub seq: u64,
    /// The author of the change: its client id in the extended dialect, or the `_pk` of a stock client's connection.
    pub author: Option<Arc<str>>,
    /// What to answer a client of the extended dialect that sends the change again (R7).
    pub decided: Option<Decided>,
    /// What happened.
    pub event: Event,
}

/// What was decided about a change of a client of the extended dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The change's id.
    pub id: u64,
    /// The id up to which the client knows what was decided about its changes.
    pub acknowledged: u64,
    /// The JSON of the refused part of the change; `None` if nothing was refused.
    pub refused: Option<Arc<str>>,
}

/// What a record did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Changes were accepted: their JSON. The sequence number increased by 1.
    Changed(SharedStr),
    /// The room's store was created: the JSON of its content. The sequence number increased by 1.
    Created(SharedStr),
    /// Nothing of a change was accepted.
    Nothing,
}

const CHANGED: &str = "changed";
const CREATED: &str = "created";
const NOTHING: &str = "nothing";

impl Record {
    /// Appends the stored form to `out`, without a line break.
    pub fn encode(&self, out: &mut String) {
        let (kind, payload) = match &self.event {
            Event::Changed(changes) => (CHANGED, &**changes),
            Event::Created(content) => (CREATED, &**content),
            Event::Nothing => (NOTHING, "null"),
        };
        out.reserve(payload.len() + 64);
        let _infallible = write!(out, r#"["{kind}",{},{},"#, self.number, self.seq);
        match &self.author {
            Some(author) => push_json(out, author),
            None => out.push_str("null"),
        }
        match &self.decided {
            Some(Decided { id, acknowledged, refused }) => {
                let refused = refused.as_deref().unwrap_or("null");
                let _infallible = write!(out, ",[{id},{acknowledged},{refused}],");
            }
            None => out.push_str(",null,"),
        }
        out.push_str(payload);
        out.push(']');
    }

    /// Decodes the stored form.
    ///
    /// The JSON of the changes or the content is not checked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the text is not a record.
    pub fn decode(line: &str) -> Result<Self> {
        let parts: Vec<&RawValue> = serde_json::from_str(line)
            .map_err(|error| Error::with_source(ErrorKind::Corrupt, "a stored record is not a JSON array", error))?;
        let [kind, number, seq, author, decided, payload] = &*parts else {
            return Err(corrupt("a stored record has not six parts"));
        };
        let event = match kind.get().trim_matches('"') {
            CHANGED => Event::Changed(payload.get().into()),
            CREATED => Event::Created(payload.get().into()),
            NOTHING => Event::Nothing,
            other => {
                return Err(corrupt(format!(
                    "a stored record is of the unknown kind {other:?}: was it written by a newer version?"
                )));
            }
        };
        let author = read::<Option<String>>(author)?.map(Arc::from);
        let decided = match read::<Option<(u64, u64, &RawValue)>>(decided)? {
            Some((id, acknowledged, refused)) => {
                let refused = (refused.get() != "null").then(|| refused.get().into());
                Some(Decided { id, acknowledged, refused })
            }
            None => None,
        };
        Ok(Self { number: read(number)?, seq: read(seq)?, author, decided, event })
    }

    /// Decodes the stored forms of several records, one per line.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a line is not a record.
    pub fn decode_lines(text: &str) -> Result<Vec<Self>> {
        text.lines().map(Self::decode).collect()
    }

    /// The approximate size in memory, in bytes.
    pub fn size(&self) -> usize {
        let payload = match &self.event {
            Event::Changed(json) | Event::Created(json) => json.len(),
            Event::Nothing => 0,
        };
        let refused = self.decided.as_ref().and_then(|decided| decided.refused.as_deref()).map_or(0, str::len);
        size_of::<Self>() + payload + refused
    }
}

fn read<'a, T: Deserialize<'a>>(part: &'a RawValue) -> Result<T> {
    serde_json::from_str(part.get())
        .map_err(|error| Error::with_source(ErrorKind::Corrupt, "a part of a stored record cannot be read", error))
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

pub(super) fn push_json(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let json = prop::sample::select(vec!["[{},{},1]", r#"[{"t":{"r":{"c":"a\nb"}}},{},1]"#, "[{},{}]"]);
        let event = (0..3, json).prop_map(|(kind, json)| match kind {
            0 => Event::Changed(json.into()),
            1 => Event::Created(json.into()),
            _ => Event::Nothing,
        });
        let refused = prop::option::of(Just(Arc::from("[{},{\"v\":1},1]")));
        let decided = (any::<u64>(), any::<u64>(), refused);
        let decided = decided.prop_map(|(id, acknowledged, refused)| Decided { id, acknowledged, refused });
        let author = prop::option::of(any::<String>().prop_map(Arc::from));
        let parts = (any::<u64>(), any::<u64>(), author, prop::option::of(decided), event);
        parts.prop_map(|(number, seq, author, decided, event)| Record { number, seq, author, decided, event })
    }

    proptest! {
        #[test]
        fn records_read_as_they_were_written_a_line_each(records in prop::collection::vec(record(), 0..5)) {
            let mut text = String::new();
            for record in &records {
                record.encode(&mut text);
                text.push('\n');
            }
            prop_assert_eq!(text.lines().count(), records.len(), "no record has a line break in it");
            prop_assert_eq!(Record::decode_lines(&text).unwrap(), records);
        }

        #[test]
        fn r8_what_is_no_record_is_an_error(text in "[\\[\\]{},\"a-z0-9]{0,40}") {
            let _no_panic = Record::decode(&text);
        }
    }

    #[test]
    fn a_record_of_a_newer_version_says_so() {
        let error = Record::decode(r#"["merged",1,1,null,null,null]"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
