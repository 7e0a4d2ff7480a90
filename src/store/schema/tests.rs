use super::{CellSchema, TablesSchema, ValuesSchema};
use crate::{
    content::{Cell, CellKind},
    error::ErrorKind,
    store::Store,
};

#[test]
fn a_schema_goes_through_json() {
    let tables = TablesSchema::new()
        .with_cell("pets", "species", CellSchema::string().with_default("dog").unwrap())
        .with_cell("pets", "legs", CellSchema::number())
        .with_cell("pets", "price", CellSchema::number().allow_null())
        .with_cell("pets", "size", CellSchema::one_of(["small", "large"]).unwrap().required())
        .with_cell("pets", "tags", CellSchema::any_of([CellKind::Array, CellKind::Object]).unwrap())
        .with_cell("pets", "more", CellSchema::object().with_default(serde_json::json!({"b": 1, "a": [2]})).unwrap());
    let json = r#"{"pets":{"species":{"type":"string","default":"dog"},"legs":{"type":"number"},"price":{"type":"number","allowNull":true},"size":{"enum":["small","large"],"required":true},"tags":{"type":["array","object"]},"more":{"type":"object","default":{"b":1,"a":[2]}}}}"#;
    assert_eq!(tables.to_json(), json);
    let read = TablesSchema::from_json(json).unwrap();
    assert_eq!((read.value.clone(), read.unrepresentable), (tables, 0));
    let store = Store::new();
    assert_eq!(store.schema_json(), "[{},{}]");
    store.set_tables_schema(read.value).unwrap();
    store.set_values_schema(ValuesSchema::from_json(r#"{"open":{"type":"boolean"}}"#).unwrap().value).unwrap();
    assert_eq!(store.tables_schema_json(), json);
    assert_eq!(store.values_schema_json(), r#"{"open":{"type":"boolean"}}"#);
    assert_eq!(store.schema_json(), format!(r#"[{json},{{"open":{{"type":"boolean"}}}}]"#));
}

#[test]
fn of_a_schemas_json_what_tinybase_drops_is_dropped_and_counted() {
    let read = |json: &str| {
        let read = ValuesSchema::from_json(&format!(r#"{{"v":{json}}}"#)).unwrap();
        (read.value.to_json(), read.unrepresentable)
    };
    let kept = |json: &str, left_out: usize| (format!(r#"{{"v":{json}}}"#), left_out);
    assert_eq!(read(r#"{"type":"number","colour":"red"}"#), kept(r#"{"type":"number"}"#, 0));
    assert_eq!(read(r#"{"type":"number","default":"4"}"#), kept(r#"{"type":"number"}"#, 1));
    assert_eq!(read(r#"{"type":"string","default":"\ufffd{}"}"#), kept(r#"{"type":"string"}"#, 1));
    assert_eq!(read(r#"{"enum":["a"],"default":"b"}"#), kept(r#"{"enum":["a"]}"#, 1));
    assert_eq!(
        read(r#"{"type":"number","allowNull":1,"required":1}"#),
        kept(r#"{"type":"number","allowNull":true}"#, 0)
    );
    for bad in [
        r#"{"type":"bird"}"#,
        r#"{"type":[]}"#,
        r#"{"type":["number","bird"]}"#,
        r#"{"type":"null"}"#,
        r#"{"type":"number","enum":[1]}"#,
        r#"{"enum":[]}"#,
        r#"{"enum":[1,null]}"#,
        r#"{"enum":[[1]]}"#,
        r#"{"enum":"a"}"#,
        r#"{"type":"number","default":null}"#,
        r#"{"default":4}"#,
        "{}",
        "[]",
        "4",
    ] {
        assert_eq!(read(bad), ("{}".to_owned(), 1), "{bad}");
    }
    assert_eq!(TablesSchema::from_json(r#"{"t":{},"u":4}"#).unwrap().unrepresentable, 2);
    for corrupt in ["", "[]", "4", "{"] {
        assert_eq!(TablesSchema::from_json(corrupt).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(ValuesSchema::from_json(corrupt).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_builder_refuses_what_makes_no_sense() {
    assert!(CellSchema::any_of([]).is_err());
    assert!(CellSchema::any_of([CellKind::Null]).is_err());
    assert!(CellSchema::one_of(Vec::<Cell>::new()).is_err());
    assert!(CellSchema::one_of([Cell::Null]).is_err());
    assert!(CellSchema::one_of([f64::NAN]).is_err());
    assert!(CellSchema::number().with_default("4").is_err());
    assert!(CellSchema::number().with_default(Cell::Null).is_err());
    assert!(CellSchema::one_of([1]).unwrap().with_default(2).is_err());
}
