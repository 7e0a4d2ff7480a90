//! PartyKit rooms for Roommate: TinyBase's `createPartyKitPersister`, on the same wire, for the same rooms.
//!
//! ```no_run
//! use roommate::Store;
//! use roommate_partykit::{PartyKitConfig, PartySocket, PartySocketOptions, create_partykit_persister};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> roommate::Result<()> {
//!     let store = Store::new();
//!     // A token, say, goes into the query; or into a header, which HTTP requests have too.
//!     let options = PartySocketOptions::new("my-project.partykit.dev", "my_room").with_query([("token", "secret")]);
//!     let socket = PartySocket::new(options)?;
//!     let engine = create_partykit_persister(&store, &socket, PartyKitConfig::new(), |error| eprintln!("{error}"))?;
//!     engine.start_auto_persisting(None).await?; // load the room, follow it, save each edit
//!     store.set_cell("pets", "fido", "species", "dog")?;
//!     engine.flush().await?; // the room has confirmed it
//!     engine.destroy().await;
//!     Ok(())
//! }
//! ```
//!
//! [`partykit_builder`] is for an engine with other settings. To keep unconfirmed edits over restarts of the program,
//! give the engine an outbox: a second backend, for instance a file through the crate `roommate-file`:
//!
//! ```no_run
//! use roommate::{Engine, Persister, Store};
//! use roommate_partykit::{PartyKitConfig, PartySocket, partykit_builder};
//!
//! fn with_outbox(store: &Store, socket: &PartySocket, outbox: impl Persister) -> roommate::Result<Engine> {
//!     let builder = partykit_builder(store, socket, PartyKitConfig::new(), |error| eprintln!("{error}"))?;
//!     Ok(builder.with_outbox(outbox).build())
//! }
//! ```
//!
//! Everything here runs on the tokio runtime in which it is created. The runtime needs I/O and time (`enable_all`).
//! [`proto`] is the logic of both ends, without I/O. The crate `roommate-server` has a server, and
//! `roommate-partykit-sim` has an in-memory room for tests.

mod client;
mod create;
mod socket;

pub use client::{PartyKitConfig, PartyKitPersister, StoreProtocol, TokioRuntime};
pub use create::{create_partykit_persister, partykit_builder};
pub use roommate_partykit_proto as proto;
pub use roommate_partykit_proto::socket::{
    Heartbeat, Message, PartySocketOptions, Query, QueryPairs, QueryValue, ReadyState, SendOutcome, SocketEvent,
    SocketProtocol,
};
pub use socket::{PartySocket, SocketEvents};
