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
//! # Rooms in a program
//!
//! [`Rooms::router`] nests below any path of an axum server. [`Rooms::room`] is a room for the program itself: it reads and
//! edits the content, has a [live store](Room::store) in sync with it, and goes back in its [history](Room::history).
//! [`Rooms::list`] lists what is stored, and [`Rooms::events`] says what happens. The example `app` does most of that.
//!
//! # Who may do what
//!
//! A [`Policy`] decides who may connect, who may request the store over HTTP, and what of a change is accepted; it allows
//! what it does not refuse. A client brings a token in a header of all its requests, or in the query of its socket, which
//! those of the store over HTTP do not have. Who is let in may be asked of a database; what the database says is attached to
//! the connection, for the methods that decide on its changes.
//!
//! ```
//! use async_trait::async_trait;
//! use roommate_server::{Asker, Cell, Context, Id, Policy, Result, RoomConfig, Server, ServerConfig};
//!
//! #[derive(Debug)]
//! struct Members;
//!
//! #[derive(Clone)]
//! struct IsOwner(bool);
//!
//! #[async_trait]
//! impl Policy for Members {
//!     /// WebSockets.
//!     async fn can_connect(&self, context: &mut Context) -> Result<bool> {
//!         let Some(token) = context.header("authorization") else { return Ok(false) };
//!         let is_owner = look_up(token).await?;
//!         context.extensions.insert(IsOwner(is_owner));
//!         Ok(true)
//!     }
//!
//!     /// The store over HTTP: GET reads all of it, and the first PUT makes it.
//!     async fn can_request(&self, context: &mut Context) -> Result<bool> {
//!         self.can_connect(context).await
//!     }
//!
//!     fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, asker: Asker<'_>) -> bool {
//!         let is_owner = asker.context.extensions.get().is_some_and(|IsOwner(is_owner)| *is_owner);
//!         is_owner || value_id != "title"
//!     }
//! }
//!
//! async fn look_up(token: &str) -> Result<bool> {
//!     // ...
//! #   Ok(token == "Bearer secret")
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let config = ServerConfig::new().with_room(RoomConfig::new().with_policy(Members));
//! let server = Server::bind("127.0.0.1:0", config).await?.spawn();
//! # server.shutdown().await
//! # }).unwrap();
//! ```

mod admission;
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
pub use room::{Imported, LiveStore, Room, RoomPersister};
pub use roommate::{Cell, Changes, Content, Error, Id, Result};
pub use roommate_partykit_proto::{
    AllowAll, Asker, Change, ConnectionId, Context, Extensions, Happened, Import, Memory, Policy, RoomConfig, RoomInfo,
    RoomName, Storage,
};
#[cfg(feature = "testing")]
pub use roommate_partykit_proto::{Faulty, Hold, WriteFault};
pub use rooms::Rooms;
pub use server::{RunningServer, Server};
#[cfg(feature = "testing")]
pub use storage::conformance;
#[cfg(feature = "sqlite")]
pub use storage::{Sqlite, SqliteConfig};
