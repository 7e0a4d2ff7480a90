//! Cells from and to [`serde_json::Value`].

use serde_json::Value;

use super::{
    number::write_number,
    raw::MAX_DEPTH,
    string::{array_index, rank, write_string},
};
use crate::{
    content::{Cell, Json, Number},
    error::{Error, ErrorKind, Result},
};

/// The cell that a JavaScript peer stores for `value`: numbers rounded to `f64`, objects and arrays as `JSON.stringify`
/// writes them.
pub(crate) fn cell_from_value(value: &Value) -> Result<Cell> {
    match value {
        Value::Null => Ok(Cell::Null),
        Value::Bool(bool) => Ok(Cell::Bool(*bool)),
        Value::Number(number) => Ok(Cell::Number(to_number(number)?)),
        Value::String(text) => Cell::try_from(text.as_str()),
        Value::Array(_) | Value::Object(_) => {
            let mut text = String::new();
            write_value(&mut text, value, MAX_DEPTH)?;
            Ok(Cell::Json(Json::trusted(text)))
        }
    }
}

/// The cell as plain JSON. An object or array that `serde_json` cannot read (a lone surrogate, a number beyond `f64`,
/// nested deeper than 128) becomes a string with its text.
pub(crate) fn value_from_cell(cell: &Cell) -> Value {
    /// Up to here, every whole `f64` is one integer.
    const MAX_SAFE: f64 = 9_007_199_254_740_992.0;
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(bool) => Value::Bool(*bool),
        Cell::Number(number) => match number.get() {
            whole if whole.fract() == 0.0 && whole.abs() <= MAX_SAFE => Value::from(whole as i64),
            number => Value::from(number),
        },
        Cell::String(text) => Value::from(&**text),
        Cell::Json(json) => serde_json::from_str(json.as_str()).unwrap_or_else(|_| Value::from(json.as_str())),
    }
}

fn to_number(number: &serde_json::Number) -> Result<Number> {
    number.as_f64().and_then(Number::new).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, format!("a cell cannot hold {number}: it is beyond the numbers of JavaScript"))
    })
}

fn write_value(out: &mut String, value: &Value, depth: usize) -> Result<()> {
    let deeper = || {
        let message = format!("a cell cannot hold an object or array that is nested deeper than {MAX_DEPTH}");
        depth.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::Invalid, message))
    };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Number(number) => write_number(out, to_number(number)?.get()),
        Value::String(text) => write_string(out, text),
        Value::Array(elements) => {
            let depth = deeper()?;
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, element, depth)?;
            }
            out.push(']');
        }
        Value::Object(object) => {
            let depth = deeper()?;
            let mut entries: Vec<_> = object.iter().collect();
            if entries.iter().any(|(key, _)| array_index(key).is_some()) {
                entries.sort_by_cached_key(|(key, _)| rank(key));
            }
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_value(out, value, depth)?;
            }
            out.push('}');
        }
    }
    Ok(())
}
