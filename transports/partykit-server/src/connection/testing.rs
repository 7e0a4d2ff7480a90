//! Connections to a test instead of a network.

use std::sync::Arc;

use futures_util::future::poll_immediate;
use roommate_partykit::proto::ConnectionId;
use tokio::io::{DuplexStream, duplex};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use super::{Bounds, Connection};

pub(crate) const AMPLE: Bounds = Bounds { frames: 1024, bytes: 1 << 20 };

/// An open connection with a network that holds `network` bytes, and the client's end of it.
pub(crate) async fn connect(
    id: ConnectionId,
    bounds: Bounds,
    network: usize,
) -> (Arc<Connection>, WebSocketStream<DuplexStream>) {
    let connection = Connection::new(id, bounds);
    let client = attach(&connection, network).await;
    (connection, WebSocketStream::from_raw_socket(client, Role::Client, None).await)
}

/// Opens a connection, and returns the client's end of it.
pub(crate) async fn attach(connection: &Connection, network: usize) -> DuplexStream {
    let (client, server) = duplex(network);
    connection.attach(Box::new(server));
    work_once(connection).await;
    client
}

/// Does what the connection's task does when it is polled.
pub(crate) async fn work_once(connection: &Connection) {
    let _pending = poll_immediate(connection.work()).await;
}
