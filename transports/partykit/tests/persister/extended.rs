//! Tests of the extended dialect, on a real server.

use std::{collections::BTreeSet, time::Duration};

use roommate::{Changes, EditKey, Engine, ErrorKind, Notice, Persister, Save, Saved, Store};
use roommate_partykit::{PartyKitConfig, PartyKitPersister, TokioRuntime};

use super::{
    common::{Told, World, both, cell, content, soon, value},
    save, send,
};

fn stock_only() -> PartyKitConfig {
    PartyKitConfig::new().with_extended_dialect(false)
}

/// Saves an edit with a key.
async fn save_named(persister: &PartyKitPersister, number: u64, changes: &Changes) -> Saved {
    let content = || content(changes);
    let edit = EditKey { client: "8d9f1a52-54e2-4e0b-b5a4-3c3b0b4b8f1e", number };
    soon(persister.save(Save::new(&content, Some(changes)).with_edit(edit))).await.unwrap()
}

/// Collects the changes that the room accepts, until the last is `last`.
async fn heard(observer: &mut Told, last: &Changes) -> Vec<Changes> {
    let mut heard = Vec::new();
    while heard.last() != Some(last) {
        match soon(observer.next()).await.expect("the stream goes on") {
            Notice::Changes(changes) => heard.push(changes),
            other => panic!("{other:?}"),
        }
    }
    heard
}

#[tokio::test]
async fn r7_a_connection_lost_at_any_byte_makes_no_change_twice() {
    let world = World::extended().await;
    world.make_room().await;
    let observer = world.persister_with(world.options(), stock_only());
    let mut observer = Told::join(&observer).await;
    let a = world.persister_by_proxy();
    let mut told = Told::join(&a).await;
    let mut sent = Vec::new();
    // The number of bytes that two changes take on an open connection, and that a connection takes until it is usable.
    for (is_open, bytes) in
        (0..160).step_by(7).map(|bytes| (true, bytes)).chain((0..1200).step_by(23).map(|bytes| (false, bytes)))
    {
        if !is_open {
            world.proxy.cut();
        }
        world.proxy.cut_after(bytes);
        for _ in 0..2 {
            let change = cell("r", "c", sent.len() as u32);
            send(&a, &mut told, &change).await;
            sent.push(change);
        }
        told.until_confirmed(&a).await;
    }
    assert_eq!(heard(&mut observer, &sent[sent.len() - 1]).await, sent, "each once, in order");
    assert_eq!(told.refused, []);
    told.until_shows(&a, &content(&both(&value("made", 1), &sent[sent.len() - 1]))).await;
}

#[tokio::test]
async fn r1_a_client_that_comes_back_is_told_what_it_missed_and_asks_for_no_content() {
    let world = World::extended().await;
    world.make_room().await;
    let (a, b) = (world.persister_by_proxy(), world.persister());
    let (mut a_told, mut b_told) = (Told::join(&a).await, Told::join(&b).await);
    assert_eq!(world.proxy.gets(), 0, "joining tells what the room holds");
    for round in 0..5 {
        world.proxy.cut();
        for number in 0..3 {
            send(&b, &mut b_told, &cell("r", "c", round * 10 + number)).await;
        }
        b_told.until_confirmed(&b).await;
        let mut missed = Vec::new();
        while missed.len() < 3 {
            match soon(a_told.next()).await.expect("the stream goes on") {
                Notice::Changes(changes) => missed.push(changes),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(missed, [0, 1, 2].map(|number| cell("r", "c", round * 10 + number)));
    }
    assert_eq!(world.proxy.gets(), 0);
}

#[tokio::test]
async fn r5_clients_of_both_dialects_that_write_one_thing_at_once_end_equal() {
    let world = World::extended().await;
    world.make_room().await;
    let clients = [world.persister(), world.persister(), world.persister_with(world.options(), stock_only())];
    let mut told = Vec::new();
    for client in &clients {
        told.push(Told::join(client).await);
    }
    for round in 0..20 {
        for (number, (client, told)) in clients.iter().zip(&mut told).enumerate() {
            send(client, told, &cell("r", "c", round * 10 + number as u32)).await;
        }
    }
    for (client, told) in clients.iter().zip(&mut told) {
        told.until_confirmed(client).await;
    }
    let stock = &clients[2];
    send(stock, &mut told[2], &value("last", 1)).await;
    told[2].until_confirmed(stock).await;
    let room = told[2].view.clone();
    for (client, told) in clients.iter().zip(&mut told) {
        told.until_shows(client, &room).await;
    }
}

#[tokio::test]
async fn r4_r7_an_edit_that_is_saved_again_by_its_name_is_made_once_and_answered() {
    let world = World::extended().await;
    world.make_room().await;
    let observer = world.persister_with(world.options(), stock_only());
    let mut observer = Told::join(&observer).await;
    let (once, refused, twice) = (value("v", 1), both(&value("v", 2), &value("secret", 1)), value("v", 3));
    for process in 0..3 {
        let a = world.persister();
        for _ in 0..2 {
            // The responses are lost with the stream, or with the process.
            let stream = soon(a.watch()).await.unwrap();
            save_named(&a, 5, &once).await;
            save_named(&a, 7, &refused).await;
            if process == 2 {
                save_named(&a, 8, &twice).await;
            }
            drop(stream);
        }
    }
    let a = world.persister();
    let mut told = Told::join(&a).await;
    for (number, changes) in [(5, &once), (7, &refused), (8, &twice)] {
        let Saved::Later(receipt) = save_named(&a, number, changes).await else { panic!("it is sent") };
        told.expect(receipt, changes.clone());
    }
    told.until_confirmed(&a).await;
    assert_eq!(told.refused, [value("secret", 1)], "a refusal is told again until somebody takes note of it");
    assert_eq!(heard(&mut observer, &twice).await, [once, value("v", 2), twice.clone()]);
    told.until_shows(&a, &content(&both(&value("made", 1), &twice))).await;
}

#[tokio::test]
async fn a_server_that_speaks_another_dialect_than_before_ends_the_watch_and_the_next_one_speaks_it() {
    let (stock, extended) = (World::stock().await, World::extended().await);
    stock.make_room().await;
    extended.make_room().await;
    let a = stock.persister_by_proxy();
    for other in [&extended, &stock] {
        let mut told = Told::join(&a).await;
        stock.proxy.lead_to(other);
        let error = told.until_error().await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("dialect"), "{error}");
        let mut told = Told::join(&a).await;
        send(&a, &mut told, &value("v", 1)).await;
        told.until_confirmed(&a).await;
    }
}

#[tokio::test]
async fn r4_a_save_that_waits_for_others_ends_with_the_watch() {
    let (stock, extended) = (World::stock().await, World::extended().await);
    stock.make_room().await;
    extended.make_room().await;
    let a = extended.persister_by_proxy();
    let mut told = Told::join(&a).await;
    extended.proxy.freeze();
    let waiting = async {
        loop {
            // At some point so many saves are undecided that another has to wait.
            if let Err(error) = save(&a, &value("v", 1)).await {
                return error;
            }
        }
    };
    let breaking = async {
        extended.proxy.lead_to(&stock);
        told.until_error().await
    };
    let (error, reason) = tokio::join!(waiting, breaking);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(reason.to_string().contains("dialect"), "{reason}");
    // The failure is known, and the stream still exists: the persister must not send as if there had never been a
    // watch.
    assert_eq!(save(&a, &value("v", 2)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(soon(told.next()).await, None);
}

#[tokio::test]
async fn a_content_larger_than_a_message_may_be_comes_on_the_connection() {
    let world = World::extended().await;
    let large = content(&both(&value("made", 1), &{
        let mut large = Changes::new();
        large.set_cell("t", "r", "c", "x".repeat(10_000).as_str().try_into().unwrap());
        large
    }));
    let made = || large.clone();
    soon(world.persister().save(Save::new(&made, None))).await.unwrap();
    let a = world.persister_with(world.options().with_max_message_size(1000), PartyKitConfig::new());
    let mut told = Told::join(&a).await;
    assert_eq!(told.view, large);
    send(&a, &mut told, &value("v", 1)).await;
    told.until_confirmed(&a).await;
}

#[tokio::test]
async fn a_room_that_is_made_by_somebody_is_told_of_at_once() {
    let world = World::extended().await;
    let a = world.persister();
    let mut told = Told::join(&a).await;
    assert_eq!(told.view, content(&Changes::new()));
    world.make_room().await;
    assert_eq!(soon(told.next()).await, Some(Notice::Content(content(&value("made", 1)))));
    send(&a, &mut told, &value("v", 1)).await;
    told.until_confirmed(&a).await;
}

#[tokio::test]
async fn an_edit_too_large_for_one_message_arrives_whole() {
    let world = World::extended().await;
    world.make_room().await;
    let (a, b) = (world.persister(), world.persister());
    let (mut a_told, mut b_told) = (Told::join(&a).await, Told::join(&b).await);
    let mut large = Changes::new();
    for row in 0..40 {
        large.set_cell("t", format!("{row}"), "c", "x".repeat(100_000).as_str().try_into().unwrap());
    }
    assert!(
        matches!(save(&a, &large).await, Ok(Saved::Later(receipt)) if { a_told.expect(receipt, large.clone()); true })
    );
    let room = content(&both(&value("made", 1), &large));
    a_told.until_confirmed(&a).await;
    a_told.until_shows(&a, &room).await;
    b_told.until_shows(&b, &room).await;
}

#[tokio::test]
async fn r2_r4_r7_engines_whose_connections_are_lost_again_and_again_end_equal_with_every_edit() {
    let world = World::extended().await;
    let engines: Vec<_> = (0..3)
        .map(|number| {
            let store = Store::new();
            let persister = match number {
                0 => world.persister_with(world.options(), stock_only()),
                _ => world.persister_by_proxy(),
            };
            let runtime = TokioRuntime::current().unwrap();
            let delay = Duration::from_millis(5);
            let engine =
                Engine::builder(&store, persister).with_runtime(runtime).with_retry_delays(delay, delay * 4).build();
            (store, engine)
        })
        .collect();
    for (_, engine) in &engines {
        soon(engine.start_auto_persisting(None)).await.unwrap();
    }
    for round in 0..40_u32 {
        for (number, (store, _)) in engines.iter().enumerate() {
            store.set_cell("t", "shared", "c", round * 10 + number as u32).unwrap();
            store.set_cell("t", format!("own {number}"), format!("{round}"), round).unwrap();
        }
        world.proxy.cut_after(round as usize * 29);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (_, engine) in &engines {
        soon(engine.flush()).await.unwrap();
    }
    let room = soon(world.persister().load()).await.unwrap().unwrap();
    for number in 0..engines.len() {
        let own: BTreeSet<_> =
            room.row("t", &format!("own {number}")).unwrap().keys().map(ToString::to_string).collect();
        assert_eq!(own.len(), 40, "every edit of {number} is there");
    }
    soon(async {
        while engines.iter().any(|(store, _)| store.content() != room) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
