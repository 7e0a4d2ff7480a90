//! Reading and writing a store as TinyBase's JSON.

use crate::{
    content::{Content, Tables, Values},
    error::Result,
};

use super::Store;

/// JSON, in the format of [`Content::from_json`] and [`Content::to_json`].
///
/// The methods that read JSON return the number of cells and values that were left out because no
/// [`Cell`](enum@crate::Cell) can represent them ([`Decoded`](crate::Decoded)).
impl Store {
    /// Returns all tables and values, as `[tables, values]`.
    pub fn json(&self) -> String {
        self.content().to_json()
    }

    /// Returns all tables, as an object.
    pub fn tables_json(&self) -> String {
        let json = Content { tables: self.tables(), values: Values::new() }.to_json();
        half(&json, "[", ",{}]").into()
    }

    /// Returns all values, as an object.
    pub fn values_json(&self) -> String {
        let json = Content { tables: Tables::new(), values: self.values() }.to_json();
        half(&json, "[{},", "]").into()
    }

    /// Sets all tables and values from `[tables, values]`, as [`Store::set_content`] does. From an object, which
    /// TinyBase wrote before its version 4, sets the tables only.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), and changes nothing, if `json` is not JSON or not of
    /// one of these two shapes.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and changes nothing, if listeners have written in
    /// 100 rounds in a row, or if a listener that is called before the commit runs a nested transaction that fails: see
    /// [`Store::transaction`].
    pub fn set_json(&self, json: &str) -> Result<usize> {
        if json.trim_start().starts_with('{') {
            return self.set_tables_json(json);
        }
        let read = Content::from_json(json)?;
        self.set_content(&read.value)?;
        Ok(read.unrepresentable)
    }

    /// Sets all tables from an object, as [`Store::set_tables`] does; but an empty object deletes all tables.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), and changes nothing, if `json` is not JSON or not an
    /// object of tables.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and changes nothing, if listeners have written in
    /// 100 rounds in a row, or if a listener that is called before the commit runs a nested transaction that fails: see
    /// [`Store::transaction`].
    pub fn set_tables_json(&self, json: &str) -> Result<usize> {
        let read = Content::from_json(&format!("[{json},{{}}]"))?;
        self.write(|writer| writer.set_or_del_tables(&read.value.tables))?;
        Ok(read.unrepresentable)
    }

    /// Sets all values from an object, as [`Store::set_values`] does; but an empty object deletes all values.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt), and changes nothing, if `json` is not JSON or not an
    /// object of values.
    ///
    /// Returns [`ErrorKind::Callback`](crate::ErrorKind::Callback), and changes nothing, if listeners have written in
    /// 100 rounds in a row, or if a listener that is called before the commit runs a nested transaction that fails: see
    /// [`Store::transaction`].
    pub fn set_values_json(&self, json: &str) -> Result<usize> {
        let read = Content::from_json(&format!("[{{}},{json}]"))?;
        self.write(|writer| writer.set_or_del_values(&read.value.values))?;
        Ok(read.unrepresentable)
    }
}

/// One half of a content's JSON whose other half is empty.
fn half<'a>(json: &'a str, before: &str, after: &str) -> &'a str {
    let json = json.strip_prefix(before).unwrap_or(json);
    json.strip_suffix(after).unwrap_or(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const PETS: &str = r#"[{"pets":{"fido":{"age":4,"tags":"\ufffd[1]"}}},{"open":true}]"#;

    #[test]
    fn json_comes_out_as_it_went_in() {
        let store = Store::new();
        assert_eq!(store.set_json(PETS).unwrap(), 0);
        let json = PETS.replace(r"\ufffd", "\u{FFFD}");
        assert_eq!(store.json(), json);
        assert_eq!(store.values_json(), r#"{"open":true}"#);
        assert_eq!(format!("[{},{}]", store.tables_json(), store.values_json()), json);
        let other = Store::new();
        other.set_tables_json(&store.tables_json()).unwrap();
        other.set_values_json(&store.values_json()).unwrap();
        assert_eq!(other.content(), store.content());
        assert_eq!(Store::new().tables_json(), "{}");
        assert_eq!(Store::new().values_json(), "{}");
    }

    #[test]
    fn an_empty_half_clears_and_a_bad_text_changes_nothing() {
        let store = Store::new();
        store.set_json(PETS).unwrap();
        let before = store.content();
        for bad in ["", "[", "[{}]", "[{},{},{}]", "null", "[null,null]", r#"[{"t":1},{}]"#] {
            assert_eq!(store.set_json(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{bad}");
            assert!(store.set_tables_json(bad).is_err(), "{bad}");
            assert!(store.set_values_json(bad).is_err(), "{bad}");
        }
        for sly in ["{},{}", "{},{}],[{}", "{}]"] {
            assert!(store.set_tables_json(sly).is_err(), "{sly}");
            assert!(store.set_values_json(sly).is_err(), "{sly}");
        }
        assert_eq!(store.content(), before);
        store.set_values_json("{}").unwrap();
        assert_eq!(store.content(), Content { values: Values::new(), ..before });
        store.set_json("[{},{}]").unwrap();
        assert!(store.content().is_empty());
    }

    #[test]
    fn a_file_from_before_values_existed_sets_the_tables_alone() {
        let store = Store::new();
        store.set_json(PETS).unwrap();
        store.set_json(r#" {"t":{"r":{"c":null}}}"#).unwrap();
        assert_eq!(store.json(), r#"[{"t":{"r":{"c":null}}},{"open":true}]"#);
    }

    #[test]
    fn a_listener_that_panics_is_heard_of_by_who_set_json() {
        let store = Store::new();
        let listener = store.add_tables_listener(|_| panic!("no"));
        let set = || store.set_tables_json(r#"{"t":{"r":{"c":1}}}"#);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(set)).is_err());
        assert!(store.has_table("t"), "what was committed is kept");
        drop(listener);
    }

    #[test]
    fn what_nothing_can_stand_for_is_left_out_and_counted() {
        let store = Store::new();
        assert_eq!(store.set_json(r#"[{"t":{"r":{"a":1e999,"b":2}}},{"v":1e999}]"#).unwrap(), 2);
        assert_eq!(store.json(), r#"[{"t":{"r":{"b":2}}},{}]"#);
    }
}
