use super::{
    Heard, order, pets,
    schemas::{schema, store},
};
use crate::{
    CellSchema, TablesSchema, ValuesSchema,
    error::{Error, ErrorKind, Result},
    store::Store,
};

#[test]
fn a_schema_over_data_takes_effect_in_one_transaction() {
    let (store, heard) = (Store::new(), Heard::default());
    store.set_row("pets", "fido", [("legs", 4), ("wings", 0)]).unwrap();
    store.set_row("pets", "ghost", [("wings", 2)]).unwrap();
    store.set_row("people", "p", [("age", 2)]).unwrap();
    store.set_values([("open", 1), ("n", 2)]).unwrap();
    let log = heard.clone();
    let did = store.add_did_finish_transaction_listener(move |event| log.note(event.changes().to_json()));
    let tables = TablesSchema::new().with_cell("pets", "legs", CellSchema::number()).with_cell(
        "pets",
        "tail",
        CellSchema::boolean().with_default(true).unwrap(),
    );
    let values = ValuesSchema::new().with_value("open", CellSchema::boolean().with_default(true).unwrap());
    store.set_schema(tables, values).unwrap();
    assert_eq!(store.json(), r#"[{"pets":{"fido":{"legs":4,"tail":true},"ghost":{"tail":true}}},{"open":true}]"#);
    let heard = heard.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    store.del_schema().unwrap();
    assert!(!store.has_tables_schema() && !store.has_values_schema());
    assert_eq!(store.row_ids("pets"), ["fido", "ghost"], "the data stays");
    store.set_cell("people", "p", "age", 2).unwrap();
    assert!(store.has_table("people"));
    drop(did);
}

#[test]
fn a_schema_that_fits_changes_nothing_of_the_data_and_its_order() {
    let store = pets();
    let before = order(&store);
    let number = CellSchema::number;
    let schema = TablesSchema::new()
        .with_cell("species", "price", number())
        .with_cell("pets", "weight", number())
        .with_cell("pets", "age", number())
        .with_cell("pets", "legs", number());
    store.set_tables_schema(schema).unwrap();
    assert_eq!(order(&store), before);
}

#[test]
fn a_schema_that_refuses_everything_leaves_nothing() {
    let store = pets();
    store.set_tables_schema(TablesSchema::new().with_cell("people", "age", CellSchema::number())).unwrap();
    assert!(!store.has_tables() && store.has_values());
}

#[test]
fn an_empty_schema_is_refused_and_the_old_one_stays() {
    let store = Store::new();
    assert_eq!(store.set_tables_schema(TablesSchema::new()).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(store.set_values_schema(ValuesSchema::new()).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!store.has_tables_schema() && !store.has_values_schema());
    store.set_tables_schema(schema()).unwrap();
    assert!(store.set_schema(TablesSchema::new(), ValuesSchema::new()).is_err());
    assert_eq!(store.tables_schema(), Some(schema()));
}

#[test]
fn a_rollback_brings_the_schemas_and_what_they_took_back() {
    let store = pets();
    let before = order(&store);
    let refused = store.transaction(|store| -> Result<()> {
        store.set_tables_schema(TablesSchema::new().with_cell("people", "age", CellSchema::number()))?;
        store.set_values_schema(ValuesSchema::new().with_value("z", CellSchema::number().with_default(1)?))?;
        store.del_tables_schema()?;
        assert_eq!(store.json(), r#"[{},{"z":1}]"#);
        Err(Error::new(ErrorKind::Invalid, "no"))
    });
    assert!(refused.is_err());
    assert_eq!(order(&store), before);
    assert!(!store.has_tables_schema() && !store.has_values_schema());
}

#[test]
fn a_rollback_is_held_to_no_schema() {
    let store = store();
    store.set_row("pets", "polly", [("legs", 2)]).unwrap();
    store.force_del_cell("pets", "polly", "species").unwrap();
    let before = order(&store);
    let refused = store.transaction(|store| -> Result<()> {
        store.set_row("pets", "polly", [("legs", 3)])?;
        store.del_row("pets", "polly")?;
        Err(Error::new(ErrorKind::Invalid, "no"))
    });
    assert!(refused.is_err());
    assert_eq!(order(&store), before);
}
