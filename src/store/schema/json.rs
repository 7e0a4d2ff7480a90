//! Schemas from and to TinyBase's JSON.

use serde_json::{Map as Object, Value};

use super::{CellSchema, TablesSchema, ValuesSchema};
use crate::{
    content::{Cell, CellKind, Map},
    error::{Error, ErrorKind, Result},
    json::Decoded,
};

impl TablesSchema {
    /// Reads a schema from a JSON object of objects of cells. Takes the parts of it that TinyBase would take.
    ///
    /// A cell without a valid type or valid choices is left out, and so is a cell whose default is null although null
    /// is not allowed. If the schema of a cell refuses its own default, only the default is left out. [`Decoded`]
    /// counts both.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`] if `json` is not a JSON object.
    ///
    /// ```
    /// use roommate::{CellSchema, TablesSchema};
    ///
    /// let read = TablesSchema::from_json(r#"{"pets":{"legs":{"type":"number","default":4},"?":{"type":"bird"}}}"#)?;
    /// assert_eq!(read.value, TablesSchema::new().with_cell("pets", "legs", CellSchema::number().with_default(4)?));
    /// assert_eq!(read.unrepresentable, 1);
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn from_json(json: &str) -> Result<Decoded<Self>> {
        let mut left_out = 0;
        let mut tables = Map::new();
        for (table_id, table) in object(json)? {
            let cells = table.as_object().map(|table| cells(table, &mut left_out)).unwrap_or_default();
            match cells.is_empty() {
                // An empty table has no cells to count, but the table itself is left out.
                true if table.as_object().is_none_or(Object::is_empty) => left_out += 1,
                true => {}
                false => _ = tables.insert(table_id, cells),
            }
        }
        Ok(Decoded { value: Self(tables), unrepresentable: left_out })
    }

    /// Writes the schema as an object of objects of cells: TinyBase's `getTablesSchemaJson`.
    pub fn to_json(&self) -> String {
        let tables = self.0.iter().map(|(table_id, cells)| (table_id.to_string(), to_value(cells)));
        Value::Object(tables.collect()).to_string()
    }
}

impl ValuesSchema {
    /// Reads a schema from an object of values, as [`TablesSchema::from_json`] does.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Corrupt`] if `json` is not a JSON object.
    pub fn from_json(json: &str) -> Result<Decoded<Self>> {
        let mut left_out = 0;
        let values = cells(&object(json)?, &mut left_out);
        Ok(Decoded { value: Self(values), unrepresentable: left_out })
    }

    /// Writes the schema as an object of values: TinyBase's `getValuesSchemaJson`.
    pub fn to_json(&self) -> String {
        to_value(&self.0).to_string()
    }
}

fn object(json: &str) -> Result<Object<String, Value>> {
    serde_json::from_str(json)
        .map_err(|error| Error::with_source(ErrorKind::Corrupt, "a schema has to be a JSON object", error))
}

fn cells(object: &Object<String, Value>, left_out: &mut usize) -> Map<CellSchema> {
    let mut cells = Map::new();
    for (cell_id, cell) in object {
        match cell.as_object().and_then(|cell| cell_schema(cell, left_out)) {
            Some(cell) => _ = cells.insert(cell_id.as_str(), cell),
            None => *left_out += 1,
        }
    }
    cells
}

fn cell_schema(object: &Object<String, Value>, left_out: &mut usize) -> Option<CellSchema> {
    let mut schema = match (object.get("type"), object.get("enum")) {
        (Some(Value::Array(kinds)), None) => {
            CellSchema::any_of(kinds.iter().map(kind).collect::<Option<Vec<_>>>()?).ok()?
        }
        (Some(one), None) => CellSchema::any_of([kind(one)?]).ok()?,
        (None, Some(Value::Array(choices))) => CellSchema::one_of(choices).ok()?,
        _ => return None,
    };
    if object.get("allowNull").is_some_and(is_truthy) {
        schema = schema.allow_null();
    }
    if object.get("required") == Some(&Value::Bool(true)) {
        schema = schema.required();
    }
    match object.get("default") {
        None => Some(schema),
        Some(Value::Null) => schema.with_default(Cell::Null).ok(),
        Some(default) => Some(schema.clone().with_default(default).unwrap_or_else(|_| {
            *left_out += 1;
            schema
        })),
    }
}

fn kind(name: &Value) -> Option<CellKind> {
    Some(match name.as_str()? {
        "string" => CellKind::String,
        "number" => CellKind::Number,
        "boolean" => CellKind::Boolean,
        "object" => CellKind::Object,
        "array" => CellKind::Array,
        _ => return None,
    })
}

/// Whether JavaScript treats a value as true.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(bool) => *bool,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn to_value(cells: &Map<CellSchema>) -> Value {
    Value::Object(cells.iter().map(|(cell_id, cell)| (cell_id.to_string(), cell_to_value(cell))).collect())
}

fn cell_to_value(schema: &CellSchema) -> Value {
    let mut object = Object::new();
    match (schema.kinds(), schema.choices()) {
        (Some([one]), _) => _ = object.insert("type".into(), name(*one).into()),
        (Some(kinds), _) => _ = object.insert("type".into(), kinds.iter().map(|kind| name(*kind)).collect()),
        (None, choices) => _ = object.insert("enum".into(), choices.into_iter().flatten().map(Value::from).collect()),
    }
    if let Some(default) = schema.default() {
        object.insert("default".into(), default.into());
    }
    if schema.allows_null() {
        object.insert("allowNull".into(), true.into());
    }
    if schema.is_required() {
        object.insert("required".into(), true.into());
    }
    Value::Object(object)
}

fn name(kind: CellKind) -> &'static str {
    match kind {
        CellKind::Null => "null",
        CellKind::Boolean => "boolean",
        CellKind::Number => "number",
        CellKind::String => "string",
        CellKind::Object => "object",
        CellKind::Array => "array",
    }
}
