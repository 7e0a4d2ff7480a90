//! The server over real HTTP and real WebSockets.

mod bounds;
mod dialect;
mod example;
mod history;
mod http;
mod live;
mod policies;
mod program;
mod protocol;
mod rooms;
mod sockets;
mod support;
