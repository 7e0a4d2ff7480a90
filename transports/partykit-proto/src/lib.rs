//! The logic of PartyKit rooms, from both ends, without I/O: no socket, clock, randomness, task or lock.
//!
//! The types here make the decisions. They are driven by the client on tokio (`roommate-partykit`), by the room server
//! (`roommate-server`), and in tests by an in-memory room and by a simulation (`roommate-partykit-sim`). An application
//! that uses rooms does not need this crate. A host of rooms in another environment, or a client for one, needs:
//!
//! * **the room**: [`Room`], or [`DurableRoom`] with a [`Storage`] ([`sql`] has the schema); [`Policy`], which decides
//!   what clients may do;
//! * **the client**: [`RoomClient`], which negotiates the dialect and then runs a [`Link`] (on a stock server) or a
//!   [`Session`] (in the extended dialect); [`persist`] makes a persister of it;
//! * **the socket**: [`socket`], the decisions of `PartySocket`: URLs, when to reconnect, whether the peer is alive;
//! * **the wire**: [`Wire`] and [`Dialect`], the messages; [`RoomPath`] and [`Response`], the HTTP requests for the
//!   store.

mod admission;
mod client;
mod dialect;
mod durable;
mod epochs;
mod extended;
mod history;
mod http;
mod import;
mod leaf;
mod limits;
mod link;
pub mod persist;
mod policy;
mod record;
mod refusals;
mod room;
#[cfg(test)]
mod samples;
mod shared_str;
mod snapshot;
pub mod socket;
mod spoken;
mod storage;
mod store;
mod wire;

pub use ::http::Extensions;
pub use admission::Rejection;
pub use client::{Asking, Decoder, Incoming, RoomClient, RoomClientOptions, RoomClientOutput, WatchId, closed};
pub use dialect::{
    ClientMessage, DIALECT_HEADER, DIALECT_PARAMETER, DIALECT_VERSION, Dialect, Entry, Join, MALFORMED, MAX_CLIENT_ID,
    MAX_SAFE_INTEGER, OFFER_HEADER, Offer, Position, REPLACED, ServerMessage, Standing, UNACKNOWLEDGED,
};
pub use durable::DurableRoom;
pub use epochs::{Epoch, Epochs, MAX_EPOCHS};
pub use extended::{Session, SessionOptions, SessionOutput};
pub use history::{Change, Happened, Past};
pub use http::{Headers, MAIN_PARTY, Response, RoomPath, cors_headers};
pub use import::Import;
pub use limits::{Limits, TOO_BIG};
pub use link::{CheckId, Link, LinkOptions, LinkOutput, Listening, NoticeQueue, Side, Ticket};
pub use policy::{AllowAll, Asker, ConnectionId, Context, Policy};
pub use record::{Decided, Event, Record};
pub use room::{Audience, Edit, Input, Output, RequestId, Room, RoomConfig};
pub use shared_str::SharedStr;
pub use snapshot::{KnownClient, Snapshot};
pub use spoken::{Greeting, Spoken, hung_up};
pub use storage::{
    Commit, Head, Memory, Opened, RoomInfo, RoomName, Storage, StorageKey, StoredCommit, StoredSnapshot,
    content_of_storage, sql,
};
#[cfg(any(test, feature = "testing"))]
pub use storage::{Faulty, Hold, WriteFault};
pub use store::{Put, StoreAnswer};
pub use wire::Wire;
