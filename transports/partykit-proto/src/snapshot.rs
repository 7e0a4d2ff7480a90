//! The state of a room after one of its records, so that it can be opened without the earlier records.

use std::{fmt::Write, sync::Arc};

use roommate::{Content, Decoded, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::push_json;

/// A room's content and its memory of its clients, after one record.
///
/// Taking a snapshot is cheap, because the content is shared with the room. [`encode`](Self::encode) takes time in
/// proportion to the size of the content, and does not need the room, so it should run on another thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The number of the last record that the snapshot includes.
    pub number: u64,
    /// The room's sequence number after that record.
    pub seq: u64,
    /// When that record was committed, or a little later, in milliseconds since the Unix epoch; `None` if that is
    /// unknown.
    pub time: Option<u64>,
    /// The content; `None` if the room has no store.
    pub content: Option<Content>,
    /// The clients that have had a change decided, ordered by when that was.
    pub clients: Vec<KnownClient>,
}

/// A room's memory of a client of the extended dialect, so that the client's changes take effect once (R7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// The client's id.
    pub client: Arc<str>,
    /// The id of its last decided change.
    pub last: u64,
    /// The refused parts of its changes that it has not acknowledged: ids, ascending, and the JSON of the changes.
    pub refused: Vec<(u64, Arc<str>)>,
}

#[derive(Deserialize)]
struct Stored<'a> {
    number: u64,
    seq: u64,
    #[serde(default)]
    time: Option<u64>,
    #[serde(borrow)]
    clients: Vec<StoredClient<'a>>,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// The id of the client, the id of its last decided change, and the refusals.
#[derive(Deserialize)]
struct StoredClient<'a>(String, u64, #[serde(borrow)] Vec<(u64, &'a RawValue)>);

impl Snapshot {
    /// Encodes the snapshot into its stored form, a JSON object.
    pub fn encode(&self) -> String {
        let content = self.content.as_ref().map(Content::to_json);
        let content = content.as_deref().unwrap_or("null");
        let mut out = String::with_capacity(content.len() + 64 * self.clients.len() + 64);
        let _infallible = write!(out, r#"{{"number":{},"seq":{},"#, self.number, self.seq);
        if let Some(time) = self.time {
            let _infallible = write!(out, r#""time":{time},"#);
        }
        out.push_str(r#""clients":["#);
        for (index, KnownClient { client, last, refused }) in self.clients.iter().enumerate() {
            out.push_str(if index > 0 { ",[" } else { "[" });
            push_json(&mut out, client);
            let _infallible = write!(out, ",{last},[");
            for (index, (id, refused)) in refused.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let _infallible = write!(out, "{comma}[{id},{refused}]");
            }
            out.push_str("]]");
        }
        let _infallible = write!(out, r#"],"content":{content}}}"#);
        out
    }

    /// Decodes the stored form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the text is not a snapshot.
    pub fn decode(text: &str) -> Result<Self> {
        let Stored { number, seq, time, clients, content } = serde_json::from_str(text)
            .map_err(|error| Error::with_source(ErrorKind::Corrupt, "a stored snapshot cannot be read", error))?;
        let content = match content.get() {
            "null" => None,
            content => match Content::from_json(content)? {
                Decoded { value, unrepresentable: 0 } => Some(value),
                _ => return Err(Error::new(ErrorKind::Corrupt, "a stored snapshot has what no cell can hold")),
            },
        };
        let clients = clients.into_iter().map(|StoredClient(client, last, refused)| KnownClient {
            client: client.into(),
            last,
            refused: refused.into_iter().map(|(id, refused)| (id, refused.get().into())).collect(),
        });
        Ok(Self { number, seq, time, content, clients: clients.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_reads_as_it_was_written() {
        let content = r#"[{"t":{"r":{"c":"\n","d":1.5}}},{"v":null}]"#;
        let content = Content::from_json(content).unwrap().value;
        let client = |client: &str, refused: &[(u64, &str)]| KnownClient {
            client: client.into(),
            last: 7,
            refused: refused.iter().map(|(id, refused)| (*id, Arc::from(*refused))).collect(),
        };
        let refused = [(5, "[{},{\"v\":1},1]"), (7, "[{},{\"w\":\"\\n\"},1]")];
        for content in [None, Some(Content::new()), Some(content)] {
            for clients in [vec![], vec![client("a\"b", &refused), client("", &[])]] {
                for time in [None, Some(1_700_000_000_000)] {
                    let (content, clients) = (content.clone(), clients.clone());
                    let snapshot = Snapshot { number: 12, seq: 9, time, content, clients };
                    assert_eq!(Snapshot::decode(&snapshot.encode()).unwrap(), snapshot);
                }
            }
        }
    }

    #[test]
    fn r4_a_snapshot_that_cannot_be_read_is_an_error_and_not_an_empty_room() {
        for text in [
            "",
            "{}",
            "null",
            r#"{"number":1,"seq":1,"clients":[]}"#,
            r#"{"number":1,"seq":1,"clients":[],"content":7}"#,
            r#"{"number":1,"seq":1,"clients":[["a"]],"content":null}"#,
            r#"{"number":1,"seq":1,"clients":[],"content":[{},{"v":1e999}]}"#,
        ] {
            assert_eq!(Snapshot::decode(text).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        }
    }
}
