//! The wire of TinyBase's PartyKit persister, from both ends.
//!
//! Nothing below this line does I/O: no socket, clock, randomness, task or lock. What decides here is driven by the
//! client, by the mock and by the room server alike.

mod http;
mod link;
mod policy;
mod room;
pub(crate) mod socket;
mod storage;
mod wire;

pub use http::{Headers, MAIN_PARTY, Response, RoomPath, cors_headers};
pub use link::{CheckId, Limits, Link, LinkOptions, LinkOutput, Listening, NoticeQueue, Side, Ticket};
pub use policy::{AllowAll, Asker, ConnectionId, Context, Policy};
pub use room::{Input, Output, RequestId, Room, RoomConfig};
pub use storage::{Batch, StorageKey};
pub use wire::Wire;
