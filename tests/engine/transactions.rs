//! Transactions that are open while an engine on the same thread has something to do, as on a runtime of one thread where a
//! transaction lasts over an await.

use roommate::{Changes, Error, ErrorKind, Store};

use crate::{
    places::File,
    world::{World, changes, content},
};

#[test]
fn r5_what_the_place_tells_while_a_transaction_is_open_outlives_its_rollback() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    let transaction = client.store.start_transaction().unwrap();
    client.set("mine", 1);
    world.others_write(&[("x", 7)]);
    world.run();
    assert_eq!(client.values(), content(&[("x", 1), ("mine", 1)]), "it is not part of the transaction");
    transaction.roll_back();
    world.run();
    assert_eq!(client.values(), content(&[("x", 7)]));
    assert_eq!(world.held(), content(&[("x", 7)]));
}

#[test]
fn r4_what_the_place_tells_while_a_transaction_is_open_is_no_edit() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    world.clock.block_on(client.engine.stop_auto_save()).unwrap();
    let transaction = client.store.start_transaction().unwrap();
    client.set("mine", 1);
    world.others_write(&[("x", 7)]);
    world.run();
    transaction.finish().unwrap();
    world.run();
    assert_eq!(client.engine.unconfirmed(), [changes(&[("mine", 1)])]);
    assert_eq!(client.values(), content(&[("x", 7), ("mine", 1)]));
}

#[test]
fn r2_what_is_written_in_an_open_transaction_is_not_saved() {
    let world = World::new();
    let file = File::default();
    let client = world.client_of(&Store::new(), file.clone(), |builder| builder);
    client.set("x", 1);
    let transaction = client.store.start_transaction().unwrap();
    client.set("x", 2);
    drop(client.engine.save());
    world.run();
    transaction.roll_back();
    world.run();
    assert_eq!(file.content(), Some(content(&[("x", 1)])));
}

#[test]
fn r4_what_an_outbox_kept_is_taken_in_when_no_transaction_is_open() {
    let world = World::new();
    let outbox = File::default();
    let client = world.client_with(|builder| builder.with_outbox(outbox.clone()));
    client.set("x", 1);
    world.run();
    drop(client);
    let client = world.client_with(|builder| builder.with_outbox(outbox));
    let transaction = client.store.start_transaction().unwrap();
    world.run();
    transaction.roll_back();
    world.run();
    assert_eq!(client.values(), content(&[("x", 1)]));
    assert_eq!(client.engine.unconfirmed(), [changes(&[("x", 1)])]);
}

#[test]
fn nothing_is_given_up_inside_of_a_transaction() {
    let world = World::holding(&[("x", 1)]);
    let client = world.joined();
    world.clock.block_on(client.engine.stop_auto_save()).unwrap();
    client.set("x", 5);
    world.run();
    let engine = client.engine.clone();
    let error = client.store.transaction(|_| Ok::<_, Error>(engine.discard_unconfirmed())).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Callback);
    assert_eq!(client.engine.unconfirmed(), [changes(&[("x", 5)])]);
    assert_eq!(client.engine.discard_unconfirmed().unwrap(), [changes(&[("x", 5)])]);
    assert_eq!(client.engine.unconfirmed(), Vec::<Changes>::new());
    assert_eq!(client.values(), content(&[("x", 1)]));
}
