//! A self-hosted server of PartyKit rooms, for unchanged TinyBase pages and Roommate programs alike.
//!
//! ```text
//!  browser, Rust ... --HTTP, WebSocket--> Router --> Rooms --Command--> one task a room --> Room (pure)
//!         ^                                                                  |
//!         +---- one bounded queue a connection <---- frame, made once -------+
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
//! Rooms live in memory, and end with the process.

mod answer;
mod config;
mod connection;
mod host;
mod rooms;
mod router;
mod server;

pub use config::ServerConfig;
pub use roommate::{Error, Result};
pub use rooms::Rooms;
pub use server::{RunningServer, Server};
