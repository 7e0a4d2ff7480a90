//! PartyKit rooms for Roommate.

pub mod proto;
#[cfg(feature = "client")]
mod socket;

pub use proto::socket::{
    Heartbeat, Message, PartySocketOptions, Query, QueryPairs, ReadyState, SendOutcome, SocketEvent, SocketProtocol,
};
#[cfg(feature = "client")]
pub use socket::{PartySocket, SocketEvents};
