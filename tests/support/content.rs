//! Contents compared as JavaScript sees them.

use serde_json::{Number, Value};

/// Parses JSON, every number as the `f64` that JavaScript makes of it. Two such values are equal if they hold the same, in
/// whatever order of keys.
pub(crate) fn parse(text: &str) -> Value {
    canonical(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}")))
}

/// The same for what was written with `json!`.
pub(crate) fn canonical(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let number = number.as_f64().expect("every JSON number is some f64");
            // JavaScript writes -0 as 0.
            Value::Number(Number::from_f64(number + 0.0).expect("JSON has finite numbers only"))
        }
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Object(entries) => {
            Value::Object(entries.into_iter().map(|(key, value)| (key, canonical(value))).collect())
        }
        value => value,
    }
}
