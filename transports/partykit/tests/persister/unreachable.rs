//! The server's address is closed, or the server does not respond: waiting calls do not poll in a loop.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::Poll,
    time::Duration,
};

use roommate::{Persister, Save};
use roommate_partykit::{PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions};
use tokio::{net::TcpListener, time::timeout};

use crate::common::{Told, World, content, value};

/// Polls a future that does not end for a while, and counts how often.
async fn polls_of<T>(future: impl Future<Output = T>) -> u32 {
    let polls = AtomicU32::new(0);
    let mut future = pin!(future);
    let counted = poll_fn(|context| {
        polls.fetch_add(1, Ordering::Relaxed);
        match future.as_mut().poll(context) {
            Poll::Ready(_) => panic!("nothing can come of it"),
            Poll::Pending => Poll::<()>::Pending,
        }
    });
    timeout(Duration::from_secs(1), counted).await.expect_err("it does not end");
    polls.into_inner()
}

#[tokio::test]
async fn whoever_begins_to_listen_sleeps_while_nobody_is_there() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let socket = PartySocket::new(PartySocketOptions::new(address.to_string(), "r")).unwrap();
    let persister = PartyKitPersister::new(&socket, PartyKitConfig::new()).unwrap();
    let polls = polls_of(persister.watch()).await;
    assert!(polls < 200, "{polls} polls in a second");
}

#[tokio::test]
async fn a_save_for_which_there_is_no_room_sleeps_until_there_is_some() {
    let world = World::stock().await;
    world.make_room().await;
    let config = PartyKitConfig::new().with_patience(Duration::from_secs(600));
    let persister = world.persister_with(world.proxy.options().with_heartbeat(None), config);
    let _told = Told::join(&persister).await;
    world.proxy.freeze();
    let changes = value("v", 1);
    let all = content(&changes);
    // As many saves as may wait for a room that does not respond.
    let mut saved = 0;
    let full = loop {
        let get = || all.clone();
        let mut save = Box::pin(persister.save(Save::new(&get, Some(&changes))));
        if timeout(Duration::from_millis(500), &mut save).await.is_ok() {
            saved += 1;
            assert!(saved < 100_000, "there is always room");
            continue;
        }
        break polls_of(save).await;
    };
    assert!(full < 200, "{full} polls in a second");
}
