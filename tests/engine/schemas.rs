//! Stores whose schemas differ, on one place: the place's content is everybody's all the same.

use std::sync::{Arc, Mutex};

use roommate::{ANY, Cell, CellSchema, Changes, Store, TablesSchema, ValuesSchema};

use crate::world::World;

fn text(text: &str) -> Cell {
    Cell::try_from(text).expect("no reserved text")
}

/// Rows have a `kind`, "dog" unless it is said, and `legs`, a number.
fn dogs(store: &Store) {
    let kind = CellSchema::string().with_default("dog").expect("a text");
    let schema = TablesSchema::new().with_cell("pets", "kind", kind).with_cell("pets", "legs", CellSchema::number());
    store.set_tables_schema(schema).expect("no transaction");
}

/// Rows have a `kind`, a number, 1 unless it is said, and `wings`, of which the other schema knows nothing.
fn birds(store: &Store) {
    let kind = CellSchema::number().with_default(1).expect("a number");
    let schema = TablesSchema::new().with_cell("pets", "kind", kind).with_cell("pets", "wings", CellSchema::number());
    store.set_tables_schema(schema).expect("no transaction");
}

/// Notes the invalid cells that a store tells of.
fn invalid(store: &Store) -> Arc<Mutex<Vec<String>>> {
    let heard = Arc::default();
    let noted: Arc<Mutex<Vec<String>>> = Arc::clone(&heard);
    let note = move |event: &roommate::InvalidCellEvent<'_>| {
        let id = event.cell_id.map(ToString::to_string);
        noted.lock().unwrap().push(format!("{} {:?}", id.unwrap_or_default(), event.cells));
    };
    store.add_invalid_cell_listener(ANY, ANY, ANY, note).forever();
    heard
}

#[test]
fn r5_stores_with_different_schemas_end_with_what_the_place_holds() {
    let world = World::new();
    let (a, b, c) = (world.joined(), world.joined(), world.joined());
    dogs(&a.store);
    birds(&b.store);
    a.store.set_row("pets", "fido", [("legs", 4)]).unwrap();
    world.run();
    b.store.set_row("pets", "polly", [("wings", 2)]).unwrap();
    world.run();
    c.store.set_cell("pets", "polly", "kind", true).unwrap();
    c.store.set_cell("pets", "fido", "kind", Cell::Null).unwrap();
    c.store.set_cell("people", "p", "name", "P").unwrap();
    world.run();
    let held = world.held();
    assert_eq!(held.cell("pets", "fido", "legs"), Some(&4.into()));
    assert_eq!(held.cell("pets", "polly", "kind"), Some(&true.into()));
    for client in [&a, &b, &c] {
        assert_eq!(client.store.content(), held);
    }
    let saves = [&a, &b, &c].map(|client| client.engine.stats().saves);
    a.store.set_cell("pets", "fido", "legs", 3).unwrap();
    b.store.set_cell("pets", "fido", "wings", 0).unwrap();
    world.run();
    for client in [&a, &b, &c] {
        assert_eq!(client.store.content(), world.held());
    }
    let after = [&a, &b, &c].map(|client| client.engine.stats().saves);
    assert_eq!(after, [saves[0] + 1, saves[1] + 1, saves[2]], "nobody answers what others wrote");
}

#[test]
fn r5_a_remote_deletion_of_a_cell_with_a_default_leaves_the_rest_of_the_row() {
    let world = World::new();
    let (a, b) = (world.joined(), world.joined());
    dogs(&a.store);
    a.store.set_row("pets", "fido", [("legs", 4)]).unwrap();
    world.run();
    b.store.del_cell("pets", "fido", "kind").unwrap();
    world.run();
    assert_eq!(a.store.cell("pets", "fido", "kind"), None, "as the place has it");
    assert_eq!(a.store.cell("pets", "fido", "legs"), Some(4.into()));
    assert_eq!(a.store.content(), world.held());
    assert_eq!(b.store.content(), world.held());
}

#[test]
fn r2_what_comes_from_the_place_and_the_schema_refuses_is_shown_and_told_as_invalid() {
    let world = World::new();
    let a = world.joined();
    dogs(&a.store);
    let heard = invalid(&a.store);
    let mut changes = Changes::new();
    changes.set_cell("pets", "fido", "kind", 7.into());
    changes.set_cell("pets", "fido", "wings", 0.into());
    world.place.apply_changes(&changes);
    world.run();
    assert_eq!(a.store.content(), world.held());
    assert_eq!(a.store.cell("pets", "fido", "kind"), Some(7.into()));
    let told: Vec<_> = std::mem::take(&mut *heard.lock().unwrap());
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("kind ") && told[1].starts_with("wings "), "{told:?}");
    // The store's own writes are held to the schema, and leave alone what they do not mention.
    a.store.set_cell("pets", "fido", "kind", 8).unwrap();
    world.run();
    assert_eq!(a.store.cell("pets", "fido", "kind"), Some(text("dog")), "the default, as an edit");
    assert_eq!(a.store.cell("pets", "fido", "wings"), Some(0.into()));
    assert_eq!(a.store.content(), world.held());
}

#[test]
fn r5_rows_that_others_make_get_no_defaults_and_nothing_is_saved_for_them() {
    let world = World::new();
    let a = world.joined();
    dogs(&a.store);
    let saves = a.engine.stats().saves;
    let mut changes = Changes::new();
    changes.set_cell("pets", "fido", "legs", 4.into());
    world.place.apply_changes(&changes);
    world.run();
    assert_eq!(a.store.cell_ids("pets", "fido"), ["legs"]);
    assert_eq!(a.engine.stats().saves, saves);
    // Who wants them sets the schema again: then they are edits.
    dogs(&a.store);
    world.run();
    assert_eq!(a.store.cell("pets", "fido", "kind"), Some(text("dog")));
    assert_eq!(a.store.content(), world.held());
}

#[test]
fn r5_joining_shows_the_place_without_the_defaults_that_were_there_before() {
    let world = World::holding(&[("n", 1)]);
    let a = world.client();
    let open = CellSchema::boolean().with_default(false).unwrap();
    a.store.set_values_schema(ValuesSchema::new().with_value("open", open)).unwrap();
    assert_eq!(a.store.value("open"), Some(false.into()));
    world.clock.block_on(a.engine.start_auto_persisting(None)).unwrap();
    world.run();
    assert_eq!(a.store.content(), world.held());
    assert_eq!(a.store.value("n"), Some(1.into()), "the schema knows no such value");
}

#[test]
fn r4_a_schema_set_over_what_was_loaded_is_an_edit_that_everybody_gets() {
    let world = World::new();
    let (a, b) = (world.joined(), world.joined());
    b.store.set_row("pets", "fido", [("wings", 0)]).unwrap();
    b.store.set_row("pets", "felix", [("legs", 4)]).unwrap();
    world.run();
    dogs(&a.store);
    world.run();
    assert_eq!(a.store.json(), r#"[{"pets":{"fido":{"kind":"dog"},"felix":{"legs":4,"kind":"dog"}}},{}]"#);
    assert_eq!(b.store.content(), a.store.content());
    assert_eq!(world.held(), a.store.content());
}

#[test]
fn r2_a_refusal_by_the_place_shows_what_it_has_whatever_the_schema_says() {
    let world = World::new();
    let (a, b) = (world.joined(), world.joined());
    birds(&b.store);
    a.store.set_cell("pets", "fido", "kind", "dog").unwrap();
    world.run();
    b.store.set_cell("pets", "fido", "kind", 5).unwrap();
    b.engine.discard_unconfirmed().unwrap();
    assert_eq!(b.store.cell("pets", "fido", "kind"), Some(text("dog")), "taken back to what the place has");
    world.run();
    assert_eq!(a.store.content(), world.held());
    assert_eq!(b.store.content(), world.held());
}
