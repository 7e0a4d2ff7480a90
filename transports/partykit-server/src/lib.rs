//! A self-hosted server of PartyKit rooms, for unchanged TinyBase pages and Roommate programs alike.
//!
//! ```text
//!  browser, Rust ... --HTTP, WebSocket--> Router --> Rooms --Command--> one task a room --> Room (pure)
//!         ^                                                                  |
//!         +---- what a socket does not take is queued <---- frame, made once, for all
//! ```
//!
//! The program `roommate serve` is [`Server`] with command line options. A program of one's own starts one in a line, or
//! takes [`Rooms::router`] into its own axum server:
//!
//! ```
//! use roommate_server::{Server, ServerConfig};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let server = Server::bind("127.0.0.1:0", ServerConfig::new()).await?.spawn();
//! println!("rooms are at http://{}/parties/main/<room>", server.local_addr());
//! server.shutdown().await?;
//! # Ok::<(), roommate::Error>(())
//! # }).unwrap();
//! ```
//!
//! Rooms are stored in what [`ServerConfig::with_storage`] says: [`Sqlite`] for a file, else [`Memory`], and then they end
//! with the process. A change is stored before any client is sent it.
//!
//! # Who may do what
//!
//! A [`Policy`] decides who may connect, who may request the store over HTTP, and what of a change is accepted; it allows
//! what it does not refuse. A client brings a token in a header of all its requests, or in the query of its socket, which
//! those of the store over HTTP do not have.
//!
//! ```
//! use roommate_server::{Asker, Cell, Id, Policy, RoomConfig, Server, ServerConfig};
//!
//! #[derive(Debug)]
//! struct Members;
//!
//! impl Policy for Members {
//!     /// WebSockets.
//!     fn can_connect(&self, asker: Asker<'_>) -> bool {
//!         is_member(asker)
//!     }
//!
//!     /// The store over HTTP: GET reads all of it, and the first PUT makes it.
//!     fn can_request(&self, asker: Asker<'_>) -> bool {
//!         is_member(asker)
//!     }
//!
//!     fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, _: Asker<'_>) -> bool {
//!         value_id != "owner"
//!     }
//! }
//!
//! fn is_member(asker: Asker<'_>) -> bool {
//!     asker.context.header("authorization") == Some("Bearer secret")
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let config = ServerConfig::new().with_room(RoomConfig::new().with_policy(Members));
//! let server = Server::bind("127.0.0.1:0", config).await?.spawn();
//! # server.shutdown().await
//! # }).unwrap();
//! ```

mod answer;
mod config;
mod connection;
mod events;
mod fanout;
mod handshake;
mod host;
mod room;
mod rooms;
mod router;
mod server;
mod storage;
mod writer;

pub use config::ServerConfig;
pub use events::{RoomEvent, RoomEvents};
pub use room::Room;
pub use roommate::{Cell, Changes, Content, Error, Id, Result};
pub use roommate_partykit::proto::{
    AllowAll, Asker, ConnectionId, Context, Memory, Policy, RoomConfig, RoomInfo, RoomName, Storage,
};
#[cfg(feature = "testing")]
pub use roommate_partykit::proto::{Faulty, Hold, WriteFault};
pub use rooms::Rooms;
pub use server::{RunningServer, Server};
#[cfg(feature = "testing")]
pub use storage::conformance;
#[cfg(feature = "sqlite")]
pub use storage::{Sqlite, SqliteConfig};
