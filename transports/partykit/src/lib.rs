//! PartyKit rooms for Roommate.

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod create;
#[cfg(feature = "mock")]
pub mod mock;
#[cfg(any(feature = "client", feature = "mock"))]
mod persist;
pub mod proto;
#[cfg(feature = "mock")]
pub mod sim;
#[cfg(feature = "client")]
mod socket;

#[cfg(feature = "client")]
pub use client::{PartyKitConfig, PartyKitPersister, StoreProtocol, TokioRuntime};
#[cfg(feature = "client")]
pub use create::create_partykit_persister;
pub use proto::socket::{
    Heartbeat, Message, PartySocketOptions, Query, QueryPairs, ReadyState, SendOutcome, SocketEvent, SocketProtocol,
};
#[cfg(feature = "client")]
pub use socket::{PartySocket, SocketEvents};
