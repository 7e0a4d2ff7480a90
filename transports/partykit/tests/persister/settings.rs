//! Settings with extreme values.

use std::time::Duration;

use roommate::Store;
use roommate_partykit::{
    Heartbeat, PartyKitConfig, PartySocket, PartySocketOptions, partykit_builder, proto::RoomConfig,
};
use roommate_server::{Server, ServerConfig};

use super::common::soon;

const NEVER: Duration = Duration::MAX;

/// An engine with extreme timeouts and delays joins the room, and saves.
async fn saves(server: ServerConfig) {
    let server = Server::bind("127.0.0.1:0", server.with_close_timeout(NEVER)).await.unwrap().spawn();
    let options = PartySocketOptions::new(server.local_addr().to_string(), "room")
        .with_heartbeat(Some(Heartbeat::new(NEVER, NEVER)))
        .with_connection_timeout(NEVER)
        .with_max_reconnection_delay(NEVER)
        .with_min_uptime(NEVER);
    let config = PartyKitConfig::new().with_patience(NEVER).with_request_timeout(NEVER);
    let store = Store::new();
    let socket = PartySocket::new(options).unwrap();
    let engine = partykit_builder(&store, &socket, config, |error| panic!("{error}"))
        .unwrap()
        .with_flush_deadline(NEVER)
        .build();
    soon(engine.start_auto_persisting(None)).await.unwrap();
    for to in 0..2 {
        store.set_value("v", to).unwrap();
        soon(engine.flush()).await.unwrap();
    }
}

#[tokio::test]
async fn a_duration_that_means_never_is_one() {
    for extended in [false, true] {
        let room = RoomConfig::new().with_extended(extended);
        saves(ServerConfig::new().with_room(room).with_heartbeat(NEVER).with_body_timeout(NEVER)).await;
    }
}
