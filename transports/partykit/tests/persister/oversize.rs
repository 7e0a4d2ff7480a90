//! A server that accepts only smaller messages than its clients send.

use std::sync::{Arc, Mutex};

use roommate::Store;
use roommate_partykit::{PartyKitConfig, PartySocket, partykit_builder, proto::RoomConfig};

use super::common::{World, soon};

/// Edits before, in and after a message that is too large.
async fn story(room: RoomConfig) {
    let world = World::start_with(room.with_max_message_size(10_000)).await;
    let store = Store::new();
    let socket = PartySocket::new(world.options()).unwrap();
    let errors = Arc::<Mutex<Vec<String>>>::default();
    let heard = errors.clone();
    let engine = partykit_builder(&store, &socket, PartyKitConfig::new(), move |error| {
        heard.lock().unwrap().push(error.to_string());
    })
    .unwrap()
    .build();
    soon(engine.start_auto_persisting(None)).await.unwrap();
    store.set_value("small", 1).unwrap();
    soon(engine.flush()).await.unwrap();
    for size in [15_000, 100_000] {
        store.set_value("large", "x".repeat(size)).unwrap();
        soon(engine.flush()).await.unwrap();
        store.set_value("small", size).unwrap();
        soon(engine.flush()).await.unwrap();
        let errors = std::mem::take(&mut *errors.lock().unwrap());
        assert!(errors.iter().any(|error| error.contains("Limits::message")), "{errors:?}");
    }
    assert_eq!(store.value("large"), None, "it shows what the room has");
    assert_eq!(store.value("small"), Some(100_000.into()));
}

#[tokio::test]
async fn r4_stock() {
    story(RoomConfig::new().with_extended(false)).await;
}

#[tokio::test]
async fn r4_extended() {
    story(RoomConfig::new()).await;
}
