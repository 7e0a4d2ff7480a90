//! The storage format of TinyBase's PartyKit server, from which rooms can be imported.

use roommate::{Cell, Content, Id};

use crate::import::Import;

/// The meaning of one key in a stock room's storage.
///
/// ```
/// use roommate_partykit_proto::StorageKey;
///
/// let key = StorageKey::Cell("pets".into(), "fido".into(), "species".into());
/// assert_eq!(key.encode("app_"), r#"app_t"pets","fido","species""#);
/// assert_eq!(StorageKey::decode("app_", r#"app_t"pets","fido","species""#), Some(key));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StorageKey {
    /// The key that says whether the room has a store.
    HasStore,
    /// A cell, by its table, row and cell id.
    Cell(Id, Id, Id),
    /// A value.
    Value(Id),
}

const HAS_STORE: &str = "hasStore";
const CELL: char = 't';
const VALUE: char = 'v';

impl StorageKey {
    /// Encodes the key as text, with the room's storage prefix.
    pub fn encode(&self, prefix: &str) -> String {
        match self {
            Self::HasStore => format!("{prefix}{HAS_STORE}"),
            Self::Cell(table_id, row_id, cell_id) => {
                format!("{prefix}{CELL}{},{},{}", quote(table_id), quote(row_id), quote(cell_id))
            }
            Self::Value(value_id) => format!("{prefix}{VALUE}{value_id}"),
        }
    }

    /// Decodes a key; `None` if it is not a key of a store with that prefix.
    pub fn decode(prefix: &str, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(prefix)?;
        if rest == HAS_STORE {
            return Some(Self::HasStore);
        }
        if let Some(value_id) = rest.strip_prefix(VALUE) {
            return Some(Self::Value(value_id.into()));
        }
        let ids = rest.strip_prefix(CELL)?;
        let [table_id, row_id, cell_id]: [String; 3] = serde_json::from_str(&format!("[{ids}]")).ok()?;
        let key = Self::Cell(table_id.into(), row_id.into(), cell_id.into());
        // Deleting the cell would leave a second spelling of the same ids behind.
        (key.encode(prefix) == text).then_some(key)
    }
}

/// Reads the content from a stock room's storage; `None` if it has no store. Keys that are not the store's are skipped;
/// [`Import`] lists them.
///
/// ```
/// use roommate::Cell;
/// use roommate_partykit_proto::content_of_storage;
///
/// let storage = [("hasStore", Cell::from(1)), ("t\"pets\",\"fido\",\"age\"", Cell::from(4)), ("vopen", Cell::from(true))];
/// let storage = storage.map(|(key, cell)| (key.to_owned(), cell));
/// let content = content_of_storage("", storage).expect("there is a store");
/// assert_eq!(content.to_json(), r#"[{"pets":{"fido":{"age":4}}},{"open":true}]"#);
/// ```
pub fn content_of_storage(prefix: &str, storage: impl IntoIterator<Item = (String, Cell)>) -> Option<Content> {
    Import::from_storage(storage, prefix).ok().map(|import| import.content)
}

/// Whether JavaScript treats the cell as true.
pub(crate) fn is_truthy(cell: &Cell) -> bool {
    match cell {
        Cell::Null => false,
        Cell::Bool(bool) => *bool,
        Cell::Number(number) => number.get() != 0.0,
        Cell::String(text) => !text.is_empty(),
        Cell::Json(_) => true,
    }
}

/// The JSON text of an id. For texts without lone surrogates, serde_json and `JSON.stringify` escape alike.
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
        ] {
            assert_eq!(StorageKey::decode("", key), None, "{key}");
        }
        assert_eq!(StorageKey::decode("app_", "hasStore"), None);
        assert_eq!(StorageKey::decode("app_", "app"), None);
    }

    #[test]
    fn a_storage_is_passed_over_where_it_is_not_the_rooms() {
        let storage = [
            ("phasStore", Cell::from(1)),
            ("pt\"t\",\"r\",\"c\"", Cell::from(2)),
            ("pvv", Cell::from(3)),
            ("pt\"t\",\"r\"", Cell::from(4)),
            ("t\"t\",\"r\",\"x\"", Cell::from(5)),
            ("px", Cell::from(6)),
            ("hasStore", Cell::from(7)),
        ];
        let storage = storage.map(|(key, cell)| (key.to_owned(), cell));
        assert_eq!(content_of_storage("p", storage).unwrap().to_json(), r#"[{"t":{"r":{"c":2}}},{"v":3}]"#);
        for falsy in [Cell::Null, Cell::from(false), Cell::from(0), Cell::try_from("").unwrap()] {
            assert_eq!(content_of_storage("", [("hasStore".to_owned(), falsy)]), None);
        }
    }

    #[test]
    fn a_value_id_is_whatever_follows() {
        assert_eq!(StorageKey::decode("", "v"), Some(StorageKey::Value("".into())));
        assert_eq!(StorageKey::decode("", "vhasStore"), Some(StorageKey::Value("hasStore".into())));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(ids in any::<[String; 3]>(), prefix in any::<String>()) {
            let [table_id, row_id, cell_id] = ids;
            for key in [
                cell(&table_id, &row_id, &cell_id),
                StorageKey::Value(cell_id.into()),
                StorageKey::HasStore,
            ] {
                prop_assert_eq!(StorageKey::decode(&prefix, &key.encode(&prefix)), Some(key));
            }
        }

        #[test]
        fn what_decodes_encodes_to_the_same(
            text in "[ptvh]{0,2}[\",\\\\a\\]\\[]{0,12}",
        ) {
            if let Some(key) = StorageKey::decode("p", &text) {
                prop_assert_eq!(key.encode("p"), text);
            }
        }
    }
}
