//! The server over real HTTP and real WebSockets.

mod bounds;
mod dialect;
mod http;
mod policies;
mod program;
mod protocol;
mod sockets;
mod support;
