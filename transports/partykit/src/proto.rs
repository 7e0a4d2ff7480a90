//! The wire of TinyBase's PartyKit persister, from both ends.
//!
//! Nothing below this line does I/O: no socket, clock, randomness, task or lock. What decides here is driven by the
//! client, by the mock and by the room server alike.

mod wire;

pub use wire::{Message, Wire};
