//! What holds of a room and of those who speak the extended dialect with it, whatever happens between them.
//!
//! The room is the real one. The client is the least that `PROTOCOL.md` asks of one: it keeps what the entries make, and
//! what it knows of its changes. Every change writes a number of its own, so that storage tells how often it took effect.

#[path = "dialect/client.rs"]
mod client;
#[path = "dialect/world.rs"]
mod world;

use world::World;

/// How many clients of the dialect there are.
pub(crate) const CLIENTS: usize = 3;

/// One step of a history. Where it makes no sense it does nothing.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A client changes something: which client, what, and whether it sends that at once.
    Edit(usize, Edit),
    /// A stock client changes something.
    StockEdit(Edit),
    /// Somebody offers the first content.
    Put,
    /// The first frame on the way from a client arrives.
    Up(usize),
    /// The first frame on the way to a client arrives.
    Down(usize),
    /// A client opens a connection, in place of the one it has; and sends what is undecided at once, if it is eager, or
    /// else when it knows what is.
    Connect(usize, bool),
    /// A client loses its connection, and so many of the frames on its way to the room arrive all the same.
    Cut(usize, usize),
    /// The room hears of it that a lost connection is lost.
    Gone,
    /// A client's queue is full.
    Behind(usize),
    /// A client acknowledges what it knows.
    Ack(usize),
    /// The server dies when it has done so much of what the next frame makes it do. What it had sent arrives or does not.
    Crash(usize, bool),
    /// The policy changes its mind.
    Rule,
}

/// What a change touches. Its number, unique, is what is written.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Sets a cell, and a value that may be refused.
    Set(&'static str, &'static str),
    /// Sets a value and deletes a row.
    DelRow(&'static str),
    /// Sets a value and deletes the table.
    DelTable,
    /// Sets a value that may be refused, and nothing else.
    Guarded,
}

/// Runs a history to its end, and on until nothing is under way; then everybody knows the same, and everything is known.
pub(crate) fn hold_for_history(ops: &[Op], log: usize) {
    let mut world = World::new(log);
    for op in ops {
        world.step(op);
    }
    world.settle();
    world.check();
}
