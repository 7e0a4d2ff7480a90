//! PartyKit rooms without sockets, for tests of Roommate and of programs that use it.
//!
//! [`mock`] is one room in memory, whose messages are queued until the test delivers them. [`sim`] runs many clients on
//! one server, on a simulated network, from a seed. Both run the production client
//! ([`RoomClient`](roommate_partykit_proto::RoomClient)) and the production room
//! ([`Room`](roommate_partykit_proto::Room)).

mod answers;
pub mod mock;
pub mod sim;

use roommate_partykit_proto::{self as proto, persist};
