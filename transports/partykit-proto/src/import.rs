//! Import of rooms from other servers.

use std::{collections::HashSet, fmt};

use roommate::{Cell, Changes, Content, Decoded, Error, ErrorKind, Result};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::storage::{StorageKey, is_truthy};

/// The content of a room of another server.
///
/// An import loses nothing silently: what no cell can hold is an error, and the keys of a storage that are not
/// TinyBase's are listed. (After the prefix, every key that begins with `v` is a value's, as in TinyBase: a server
/// without a prefix that stores `visits` beside the store has a value `isits`.)
///
/// ```
/// use roommate_partykit_proto::Import;
///
/// // What a GET of the store says.
/// let import = Import::from_json(r#"[{"pets":{"fido":{"age":4}}},{"open":true}]"#)?;
///
/// // What a PartyKit room has in its storage.
/// let storage = r#"{"hasStore":1,"t\"pets\",\"fido\",\"age\"":4,"vopen":true,"counter":7}"#;
/// let from_storage = Import::from_json(storage)?;
/// assert_eq!(from_storage.content, import.content);
/// assert_eq!(from_storage.foreign_keys, ["counter"]);
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Import {
    /// The content.
    pub content: Content,
    /// The keys of the storage that are not the store's, in their order. What they hold is not in the content. Empty if
    /// the import is not from a storage.
    pub foreign_keys: Vec<String>,
}

impl Import {
    /// Reads a room's content from JSON: either `[tables, values]`, as a GET of its store returns, or an object with
    /// the keys and values of its PartyKit storage.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if the text is neither, or has a key of the storage twice. [`ErrorKind::Invalid`] if it
    /// contains something that no cell can hold (a text with half of a surrogate pair, a number beyond `f64`), or if
    /// the storage has no store.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::from_prefixed_json(text, "")
    }

    /// As [`from_json`](Self::from_json), for a room whose server has a `storagePrefix`.
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json).
    pub fn from_prefixed_json(text: &str, prefix: &str) -> Result<Self> {
        if text.trim_start().starts_with('{') {
            return Self::from_storage(read_storage(text, prefix)?, prefix);
        }
        let Decoded { value: content, unrepresentable } = Content::from_json(text)?;
        match unrepresentable {
            0 => Ok(Self { content, foreign_keys: Vec::new() }),
            count => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "{count} cells, values or ids of the content are such as nothing here can hold (half of a surrogate \
                     pair, a number beyond f64): mend or remove them, since the import would lose them"
                ),
            )),
        }
    }

    /// Reads a room's content from the keys and values of its PartyKit storage, with the server's `storagePrefix`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the storage has no store.
    pub fn from_storage(storage: impl IntoIterator<Item = (String, Cell)>, prefix: &str) -> Result<Self> {
        let (mut exists, mut all, mut foreign_keys) = (false, Changes::new(), Vec::new());
        for (key, cell) in storage {
            match StorageKey::decode(prefix, &key) {
                Some(StorageKey::HasStore) => exists = is_truthy(&cell),
                Some(StorageKey::Cell(table_id, row_id, cell_id)) => all.set_cell(table_id, row_id, cell_id, cell),
                Some(StorageKey::Value(value_id)) => all.set_value(value_id, cell),
                None => foreign_keys.push(key),
            }
        }
        if !exists {
            let message = format!(
                "the storage has no store: its key {:?} is missing or false; is the storage prefix another one?",
                StorageKey::HasStore.encode(prefix)
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut content = Content::new();
        content.apply(&all);
        Ok(Self { content, foreign_keys })
    }
}

/// The keys and values of a storage. A key that is not the store's need not hold a cell.
fn read_storage(text: &str, prefix: &str) -> Result<Vec<(String, Cell)>> {
    let Entries(entries) = serde_json::from_str(text)
        .map_err(|error| Error::with_source(ErrorKind::Corrupt, format!("the storage is no JSON: {error}"), error))?;
    let mut seen = HashSet::new();
    let mut storage = Vec::with_capacity(entries.len());
    for (key, value) in &entries {
        if !seen.insert(key) {
            return Err(Error::new(ErrorKind::Corrupt, format!("the storage has the key {key:?} twice")));
        }
        let cell = match StorageKey::decode(prefix, key) {
            Some(_) => Cell::from_json(value.get()).map_err(|error| {
                let message = format!("no cell can hold what the storage has at {key:?}: {value}");
                Error::with_source(ErrorKind::Invalid, message, error)
            })?,
            None => Cell::Null,
        };
        storage.push((key.clone(), cell));
    }
    Ok(storage)
}

/// The entries of a JSON object, in their order, including duplicates.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of storage keys and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_storage_and_a_get_of_one_room_are_one_content() {
        let get = "[{\"t\":{\"r\":{\"c\":\"\u{FFFD}{\\\"a\\\":[1]}\",\"d\":-0.5}}},{\"v\":null,\"\":\"x\"}]";
        let storage = "\n {\"p_hasStore\":1,\"p_t\\\"t\\\",\\\"r\\\",\\\"c\\\"\":\"\u{FFFD}{\\\"a\\\":[1]}\",\
            \"p_t\\\"t\\\",\\\"r\\\",\\\"d\\\"\":-0.5,\"p_vv\":null,\"p_v\":\"x\",\"other\":{\"deep\":[1e999]},\"p_t1\":0}";
        let get = Import::from_json(get).unwrap();
        let storage = Import::from_prefixed_json(storage, "p_").unwrap();
        assert_eq!(storage.content, get.content);
        assert_eq!(storage.foreign_keys, ["other", "p_t1"]);
        assert_eq!(get.foreign_keys, [""; 0]);
    }

    #[test]
    fn r4_what_would_be_lost_is_an_error_that_says_what() {
        for (text, kind, said) in [
            ("", ErrorKind::Corrupt, ""),
            ("[{}]", ErrorKind::Corrupt, ""),
            ("[{},{},1]", ErrorKind::Corrupt, ""),
            ("7", ErrorKind::Corrupt, ""),
            ("{\"hasStore\":1", ErrorKind::Corrupt, "no JSON"),
            ("{\"hasStore\":1} x", ErrorKind::Corrupt, "no JSON"),
            ("{\"hasStore\":1,\"va\":1,\"va\":2}", ErrorKind::Corrupt, "\"va\" twice"),
            ("{\"hasStore\":1,\"\\ud800\":1}", ErrorKind::Corrupt, "no JSON"),
            ("[{},{\"v\":1e999,\"w\":\"\\ud800\"}]", ErrorKind::Invalid, "2 cells"),
            ("{\"hasStore\":1,\"va\":1e999}", ErrorKind::Invalid, "\"va\": 1e999"),
            ("{\"hasStore\":1,\"va\":\"\u{FFFC}\"}", ErrorKind::Invalid, "\"va\""),
            ("{\"va\":1}", ErrorKind::Invalid, "\"hasStore\" is missing"),
            ("{\"hasStore\":0,\"va\":1}", ErrorKind::Invalid, "false"),
        ] {
            let error = Import::from_json(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}: {error}");
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
        let other_prefix = Import::from_prefixed_json("{\"hasStore\":1}", "p_").unwrap_err();
        assert!(other_prefix.to_string().contains("p_hasStore"), "{other_prefix}");
    }

    proptest! {
        #[test]
        fn what_a_stock_room_stores_is_imported_whole(
            cells in prop::collection::btree_map(any::<[String; 3]>(), any::<i32>(), 0..8),
            values in prop::collection::btree_map(any::<String>(), any::<bool>(), 0..8),
            prefix in "[a-z]{0,3}",
        ) {
            let mut expected = Changes::new();
            let mut storage = vec![(StorageKey::HasStore.encode(&prefix), Cell::from(1))];
            for ([table, row, cell], number) in cells {
                expected.set_cell(&*table, &*row, &*cell, number.into());
                storage.push((StorageKey::Cell(table.into(), row.into(), cell.into()).encode(&prefix), number.into()));
            }
            for (value, bool) in values {
                expected.set_value(&*value, bool.into());
                storage.push((StorageKey::Value(value.into()).encode(&prefix), bool.into()));
            }
            let mut content = Content::new();
            content.apply(&expected);
            let entry = |(key, cell): &(String, Cell)| format!("{}:{}", serde_json::Value::from(&**key), cell.to_json());
            let json: Vec<_> = storage.iter().map(entry).collect();
            let expected = Import { content, foreign_keys: Vec::new() };
            prop_assert_eq!(&Import::from_prefixed_json(&format!("{{{}}}", json.join(",")), &prefix).unwrap(), &expected);
            prop_assert_eq!(&Import::from_storage(storage, &prefix).unwrap(), &expected);
        }

        #[test]
        fn r8_no_text_panics(text in "[\\[\\]{}\":,a-z0-9]{0,40}") {
            let _no_panic = Import::from_json(&text);
        }
    }
}
