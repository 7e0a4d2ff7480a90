//! PartyKit rooms for Roommate.

#[cfg(feature = "client")]
mod client;
pub mod proto;
#[cfg(feature = "client")]
mod socket;

#[cfg(feature = "client")]
pub use client::{PartyKitConfig, PartyKitPersister, StoreProtocol, TokioRuntime};
pub use proto::socket::{
    Heartbeat, Message, PartySocketOptions, Query, QueryPairs, ReadyState, SendOutcome, SocketEvent, SocketProtocol,
};
#[cfg(feature = "client")]
pub use socket::{PartySocket, SocketEvents};
