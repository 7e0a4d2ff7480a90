//! What holds under a schema after any history.

use proptest::{collection::vec, option, prelude::*};

use super::{
    model::ops::{Op, cell, id, op, write_to_store},
    order,
};
use crate::{
    CellKind, CellSchema, TablesSchema, ValuesSchema,
    content::Id,
    error::{Error, ErrorKind, Result},
    store::Store,
};

#[derive(Clone, Debug)]
enum Step {
    Tables(TablesSchema),
    Values(ValuesSchema),
    Write(Op),
    /// Does all of these, and fails.
    Fail(Vec<Self>),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn own_writes_never_leave_what_the_schemas_refuse(steps in vec(step(), 1..24)) {
        let store = Store::new();
        for step in &steps {
            let before = (order(&store), store.schema_json());
            take(&store, step).unwrap();
            check(&store);
            if matches!(step, Step::Fail(_)) {
                prop_assert_eq!((order(&store), store.schema_json()), before);
            }
        }
    }

    #[test]
    fn a_schema_is_the_same_after_its_json(tables in tables(), values in values()) {
        let read = TablesSchema::from_json(&tables.to_json()).unwrap();
        prop_assert_eq!((read.value, read.unrepresentable), (tables, 0));
        let read = ValuesSchema::from_json(&values.to_json()).unwrap();
        prop_assert_eq!((read.value, read.unrepresentable), (values, 0));
    }
}

fn take(store: &Store, step: &Step) -> Result<()> {
    match step {
        Step::Tables(schema) if schema.is_empty() => store.del_tables_schema(),
        Step::Tables(schema) => store.set_tables_schema(schema.clone()),
        Step::Values(schema) if schema.is_empty() => store.del_values_schema(),
        Step::Values(schema) => store.set_values_schema(schema.clone()),
        Step::Write(Op::AddRow(t, row, reuse)) => {
            // A row that cannot be added is an error, and leaves nothing.
            let count = store.row_count(t);
            let added = if *reuse { store.add_row(t, row) } else { store.add_row_with_new_id(t, row) };
            assert_eq!(store.row_count(t), count + usize::from(added.is_ok()));
            Ok(())
        }
        Step::Write(op) => write_to_store(store, op),
        Step::Fail(steps) => {
            let failed = store.transaction(|store| -> Result<()> {
                steps.iter().try_for_each(|step| take(store, step))?;
                Err(Error::new(ErrorKind::Invalid, "no"))
            });
            assert!(failed.is_err());
            Ok(())
        }
    }
}

fn check(store: &Store) {
    if let Some(schema) = store.tables_schema() {
        for (table_id, table) in store.tables() {
            for (cell_id, cell) in table.values().flatten() {
                assert!(
                    schema.cell(&table_id, cell_id).is_some_and(|schema| schema.accepts(cell)),
                    "{cell_id} {cell:?}"
                );
            }
        }
    }
    if let Some(schema) = store.values_schema() {
        for (value_id, value) in store.values() {
            assert!(schema.value(&value_id).is_some_and(|schema| schema.accepts(&value)), "{value_id} {value:?}");
        }
        // Values that lack a required one cannot be set, with defaults or without.
        let required = |value: &CellSchema| value.is_required() && value.default().is_none();
        if schema.values().any(|(_, value)| required(value)) {
            return;
        }
        for (value_id, value) in schema.values().filter(|(_, value)| value.default().is_some()) {
            assert!(store.has_value(value_id), "{value_id}, by default {:?}", value.default());
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let flat = prop_oneof![
        1 => tables().prop_map(Step::Tables),
        1 => values().prop_map(Step::Values),
        8 => op().prop_map(Step::Write),
    ];
    let failing = vec(flat.clone(), 0..6).prop_map(Step::Fail);
    prop_oneof![5 => flat, 1 => failing]
}

fn tables() -> impl Strategy<Value = TablesSchema> {
    vec((id(), id(), schema()), 0..6).prop_map(|cells| {
        let add =
            |schema: TablesSchema, (table_id, cell_id, cell): (Id, Id, _)| schema.with_cell(table_id, cell_id, cell);
        cells.into_iter().fold(TablesSchema::new(), add)
    })
}

fn values() -> impl Strategy<Value = ValuesSchema> {
    vec((id(), schema()), 0..4).prop_map(|values| {
        values.into_iter().fold(ValuesSchema::new(), |schema, (value_id, value)| schema.with_value(value_id, value))
    })
}

fn schema() -> impl Strategy<Value = CellSchema> {
    let accepts = prop_oneof![
        Just(CellSchema::number()),
        Just(CellSchema::boolean()),
        Just(CellSchema::any_of([CellKind::Boolean, CellKind::Number]).expect("two types")),
        Just(CellSchema::one_of([0, 1]).expect("two choices")),
    ];
    (accepts, option::of(cell()), any::<bool>(), any::<bool>()).prop_map(|(schema, default, null, required)| {
        let schema = if null { schema.allow_null() } else { schema };
        let schema = if required { schema.required() } else { schema };
        default.and_then(|default| schema.clone().with_default(default).ok()).unwrap_or(schema)
    })
}
