//! The wire of TinyBase's PartyKit persister, from both ends.
//!
//! Nothing below this line does I/O: no socket, clock, randomness, task or lock. What decides here is driven by the
//! client, by the mock and by the room server alike.

mod admission;
#[cfg(any(feature = "client", feature = "mock"))]
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
mod policy;
mod record;
mod refusals;
mod room;
mod shared_str;
mod snapshot;
pub(crate) mod socket;
#[cfg(any(feature = "client", feature = "mock"))]
mod spoken;
mod storage;
#[cfg(any(feature = "client", feature = "mock"))]
mod store;
mod wire;

pub use ::http::Extensions;
pub use admission::Rejection;
#[cfg(any(feature = "client", feature = "mock"))]
pub(crate) use client::{Asking, Decoder, RoomClient, RoomClientOptions, RoomClientOutput, WatchId, closed};
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
#[cfg(any(feature = "client", feature = "mock"))]
pub(crate) use spoken::{Greeting, Spoken, hung_up};
pub use storage::{
    Commit, Head, Memory, Opened, RoomInfo, RoomName, Storage, StorageKey, StoredCommit, StoredSnapshot,
    content_of_storage, sql,
};
#[cfg(any(test, feature = "mock"))]
pub use storage::{Faulty, Hold, WriteFault};
#[cfg(any(feature = "client", feature = "mock"))]
pub(crate) use store::{Put, StoreAnswer};
pub use wire::Wire;
