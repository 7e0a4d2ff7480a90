//! What the outbox has to do with what is sent.

use roommate::conformance::{Fault, Flaky, Gate, Op};

use crate::{
    places::File,
    world::{World, content},
};

#[test]
fn r4_an_edit_is_sent_only_when_the_outbox_has_it() {
    let world = World::holding(&[("seed", 1)]);
    let (outbox, faults) = Flaky::new(File::default());
    let client = world.client_with(|builder| builder.with_outbox(outbox));
    world.clock.block_on(client.engine.start_auto_persisting(None)).unwrap();
    world.run();
    let gate = Gate::new();
    faults.next(Op::Save, Fault::Hold(gate.clone()));
    client.set("x", 1);
    world.run();
    assert!(gate.is_reached(), "the outbox is being written");
    assert_eq!(world.held(), content(&[("seed", 1)]));
    gate.open();
    world.run();
    assert_eq!(world.held(), content(&[("seed", 1), ("x", 1)]));
    assert_eq!(client.engine.unconfirmed(), []);
}
