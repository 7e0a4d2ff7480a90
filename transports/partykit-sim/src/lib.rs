//! PartyKit rooms without sockets, for tests of Roommate and of programs that use it.
//!
//! [`mock`] is one room in memory, whose messages wait until they are delivered by hand. [`sim`] runs many clients on one
//! server, on a simulated network, from a seed. Both run the client of production
//! ([`RoomClient`](roommate_partykit_proto::RoomClient)) and its room ([`Room`](roommate_partykit_proto::Room)).

pub mod mock;
pub mod sim;

use roommate_partykit_proto::{self as proto, persist};
