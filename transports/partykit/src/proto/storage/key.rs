//! What a room keeps durably: TinyBase's keys, and beside them what the extended dialect has to remember.

use std::sync::Arc;

use roommate::{Cell, Id};

/// What one key of a room's storage holds.
///
/// The first three keys are those of TinyBase's PartyKit server, so that a room's storage can be taken over from it. The
/// others begin with `roommate/`, behind the prefix, and TinyBase passes over them; it may take the storage back:
///
/// ```
/// use roommate_partykit::proto::StorageKey;
///
/// let key = StorageKey::Cell("pets".into(), "fido".into(), "species".into());
/// assert_eq!(key.encode("app_"), r#"app_t"pets","fido","species""#);
/// assert_eq!(StorageKey::decode("app_", r#"app_t"pets","fido","species""#), Some(key));
/// assert_eq!(StorageKey::Refused(5, "c".into()).encode("app_"), "app_roommate/refused/5/c");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StorageKey {
    /// Whether there is a store in the room.
    HasStore,
    /// A cell, by its table, row and cell id.
    Cell(Id, Id, Id),
    /// A value.
    Value(Id),
    /// What is known of a client: `[last, heard]`, the id of its change that was decided last, and a number that is the
    /// larger the later that was.
    Client(Arc<str>),
    /// What was refused of a client's change, by its id, and is not acknowledged: changes, as JSON.
    Refused(u64, Arc<str>),
}

/// Writes that become durable together, or not at all. No key is in both lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Keys that go.
    pub deletes: Vec<String>,
    /// Keys that are set.
    pub puts: Vec<(String, Cell)>,
}

const HAS_STORE: &str = "hasStore";
const CELL: char = 't';
const VALUE: char = 'v';
const CLIENT: &str = "roommate/client/";
const REFUSED: &str = "roommate/refused/";

impl StorageKey {
    /// The key as text, behind the room's storage prefix.
    pub fn encode(&self, prefix: &str) -> String {
        match self {
            Self::HasStore => format!("{prefix}{HAS_STORE}"),
            Self::Cell(table_id, row_id, cell_id) => {
                format!("{prefix}{CELL}{},{},{}", quote(table_id), quote(row_id), quote(cell_id))
            }
            Self::Value(value_id) => format!("{prefix}{VALUE}{value_id}"),
            Self::Client(client) => format!("{prefix}{CLIENT}{client}"),
            Self::Refused(id, client) => format!("{prefix}{REFUSED}{id}/{client}"),
        }
    }

    /// What a key says, or `None` if it is none of a room's with that prefix.
    pub fn decode(prefix: &str, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(prefix)?;
        if rest == HAS_STORE {
            return Some(Self::HasStore);
        }
        if let Some(value_id) = rest.strip_prefix(VALUE) {
            return Some(Self::Value(value_id.into()));
        }
        let key = if let Some(ids) = rest.strip_prefix(CELL) {
            let [table_id, row_id, cell_id]: [String; 3] = serde_json::from_str(&format!("[{ids}]")).ok()?;
            Self::Cell(table_id.into(), row_id.into(), cell_id.into())
        } else if let Some(client) = rest.strip_prefix(CLIENT) {
            Self::Client(client.into())
        } else {
            let (id, client) = rest.strip_prefix(REFUSED)?.split_once('/')?;
            Self::Refused(id.parse().ok()?, client.into())
        };
        // A second spelling of the same ids would survive the deletion of the first.
        (key.encode(prefix) == text).then_some(key)
    }
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.puts.is_empty()
    }
}

/// The JSON text of an id. For text without lone surrogates serde_json and `JSON.stringify` escape alike.
fn quote(id: &Id) -> String {
    serde_json::Value::from(id.as_str()).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(table_id: &str, row_id: &str, cell_id: &str) -> StorageKey {
        StorageKey::Cell(table_id.into(), row_id.into(), cell_id.into())
    }

    #[test]
    fn keys_are_those_of_tinybase() {
        assert_eq!(StorageKey::HasStore.encode("p"), "phasStore");
        assert_eq!(StorageKey::Value("a\"b,\n".into()).encode("p"), "pva\"b,\n");
        assert_eq!(cell("a\"b", "c\\,d", "\n\u{1}\u{7f}\u{2028}é").encode(""), {
            "t\"a\\\"b\",\"c\\\\,d\",\"\\n\\u0001\u{7f}\u{2028}é\""
        });
        assert_eq!(cell("", "__proto__", "").encode(""), r#"t"","__proto__","""#);
    }

    #[test]
    fn keys_that_do_not_fit_are_nobodys() {
        for key in [
            "",
            "t",
            "t\"a\",\"b\"",
            "t\"a\",\"b\",\"c\",\"d\"",
            "t1,2,3",
            "t\"a\",\"b\",null",
            "t\"a\",\"b\",\"c\"]",
            "t \"a\",\"b\",\"c\"",
            "t\"\\u0061\",\"b\",\"c\"",
            "x\"a\",\"b\",\"c\"",
            "hasstore",
            "hasStore2",
            "tnope",
            "roommate/",
            "roommate/client",
            "roommate/refused/5",
            "roommate/refused/05/c",
            "roommate/refused/+5/c",
            "roommate/refused/x/c",
        ] {
            assert_eq!(StorageKey::decode("", key), None, "{key}");
        }
        assert_eq!(StorageKey::decode("app_", "hasStore"), None);
        assert_eq!(StorageKey::decode("app_", "app"), None);
    }

    #[test]
    fn a_value_id_is_whatever_follows() {
        assert_eq!(StorageKey::decode("", "v"), Some(StorageKey::Value("".into())));
        assert_eq!(StorageKey::decode("", "vhasStore"), Some(StorageKey::Value("hasStore".into())));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(ids in any::<[String; 3]>(), id: u64, prefix in any::<String>()) {
            let [table_id, row_id, cell_id] = ids;
            let client = Arc::from(table_id.as_str());
            for key in [
                cell(&table_id, &row_id, &cell_id),
                StorageKey::Value(cell_id.into()),
                StorageKey::HasStore,
                StorageKey::Client(Arc::clone(&client)),
                StorageKey::Refused(id, client),
            ] {
                prop_assert_eq!(StorageKey::decode(&prefix, &key.encode(&prefix)), Some(key));
            }
        }

        #[test]
        fn what_decodes_encodes_to_the_same(
            text in "[ptvh]{0,2}[\",\\\\a\\]\\[]{0,12}|proommate/(client|refused)/?[0-9+/c]{0,5}",
        ) {
            if let Some(key) = StorageKey::decode("p", &text) {
                prop_assert_eq!(key.encode("p"), text);
            }
        }
    }
}
