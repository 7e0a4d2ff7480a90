//! The texts of a change or a content: tests write each text once, and look where it is.

use serde_json::Value;

/// Calls `each` with every text that changes or a content set.
pub(crate) fn texts(json: &Value, each: &mut impl FnMut(&str)) {
    match json {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, each)),
        Value::Object(entries) => entries.values().for_each(|entry| texts(entry, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
