//! A self-hosted server of PartyKit rooms, for unchanged TinyBase pages and Roommate programs alike.
//!
//! ```text
//!  browser, Rust ... --HTTP, WebSocket--> Router --> Rooms --Command--> one task a room --> Room (pure)
//!         ^                                                                  |
//!         +---- what a socket does not take is queued <---- frame, made once, for all
//! ```
//!
//! The program `roommate serve` is [`Server`] with command line options. Your own program can start a server in one
//! line, or mount [`Rooms::router`] in its own axum server:
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
//! [`ServerConfig::with_storage`] sets where rooms are stored: in a file with [`Sqlite`]. The default is [`Memory`],
//! with which rooms end with the process. A change is stored before any client is sent it.
//!
//! # Rooms in a program
//!
//! [`Rooms::router`] nests below any path of an axum server. [`Rooms::room`] gives the program itself access to a room:
//! it reads and edits the content, has a [live store](Room::store) in sync with the room, and reads and restores its
//! [history](Room::history). [`Rooms::list`] lists the stored rooms, and [`Rooms::events`] reports what happens. The
//! example `app` shows most of that.
//!
//! # Permissions
//!
//! A [`Policy`] decides which clients may connect, which clients may request the store over HTTP, and which parts of a
//! change are accepted. By default, every method allows everything. A client brings a token in a header of all its
//! requests, or in the query of its socket; HTTP requests for the store do not carry that query. The methods that let
//! clients in may query a database, and attach the result to the connection. The methods that decide about changes can
//! read it there.
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
