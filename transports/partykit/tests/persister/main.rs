//! Tests of the persister, on a real server and on one that misbehaves.

mod common;
mod extended;
mod oversize;
mod requests;
mod settings;
mod unreachable;

use std::{sync::Arc, time::Duration};

use common::{Told, World, both, cell, content, soon, value};
use roommate::{Changes, Content, Engine, ErrorKind, MOST_UNCONFIRMED, Notice, Persister, Save, Saved, Store};
use roommate_partykit::{
    PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions, ReadyState, partykit_builder, proto::RoomConfig,
};

/// Saves the whole content, as a first content or for the room to return its own.
async fn save_all(persister: &PartyKitPersister, all: &Content) -> roommate::Result<Saved> {
    soon(persister.save(Save::new(&|| all.clone(), None))).await
}

async fn save(persister: &PartyKitPersister, changes: &Changes) -> roommate::Result<Saved> {
    soon(persister.save(Save::new(&|| content(changes), Some(changes)))).await
}

/// Saves changes, and waits until the room confirms them.
async fn send(persister: &PartyKitPersister, told: &mut Told, changes: &Changes) {
    match save(persister, changes).await {
        Ok(Saved::Later(receipt)) => told.expect(receipt, changes.clone()),
        other => panic!("{other:?}"),
    }
}

/// Runs one test on a server of each kind.
macro_rules! on_both {
    (async fn $name:ident($world:ident: World) $story:block) => {
        mod $name {
            use super::*;

            async fn story($world: World) $story

            #[tokio::test]
            async fn stock() {
                story(World::stock().await).await;
            }

            #[tokio::test]
            async fn extended() {
                story(World::extended().await).await;
            }
        }
    };
}

on_both! {
    async fn l17_l20_a_first_save_makes_the_room_and_a_second_finds_it(world: World) {
        let (a, b) = (world.persister(), world.persister());
        assert_eq!(soon(a.load()).await.unwrap(), None, "nothing was ever saved here");
        let first = content(&value("from", 1));
        assert_eq!(save_all(&a, &first).await.unwrap(), Saved::Found(first.clone()));
        assert_eq!(save_all(&b, &content(&value("from", 2))).await.unwrap(), Saved::Found(first.clone()));
        assert_eq!(soon(b.load()).await.unwrap(), Some(first), "what the room had was not overwritten");
    }
}

on_both! {
    async fn l17_changes_for_a_room_without_a_store_make_one(world: World) {
        let persister = world.persister();
        let found = save(&persister, &value("v", 1)).await.unwrap();
        assert_eq!(found, Saved::Found(content(&value("v", 1))));
    }
}

on_both! {
    async fn a_first_content_of_which_nothing_is_accepted_is_an_error(world: World) {
        let persister = world.persister();
        let error = save_all(&persister, &content(&value("secret", 1))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(soon(persister.load()).await.unwrap(), None);
    }
}

on_both! {
    async fn l18_clients_that_write_one_thing_at_once_end_equal(world: World) {
        world.make_room().await;
        let (a, b) = (world.persister(), world.persister());
        let (mut a_told, mut b_told) = (Told::join(&a).await, Told::join(&b).await);
        for round in 0..20 {
            for (persister, told, number) in [(&a, &mut a_told, 1), (&b, &mut b_told, 2)] {
                send(persister, told, &cell("r", "c", round * 10 + number)).await;
            }
        }
        a_told.until_confirmed(&a).await;
        b_told.until_confirmed(&b).await;
        let room = soon(a.load()).await.unwrap().unwrap();
        a_told.until_shows(&a, &room).await;
        b_told.until_shows(&b, &room).await;
    }
}

on_both! {
    async fn l19_what_the_room_refuses_is_told_and_what_it_takes_is_confirmed(world: World) {
        world.make_room().await;
        let config = PartyKitConfig::new().with_patience(Duration::from_millis(300));
        let a = world.persister_with(world.options(), config);
        let mut told = Told::join(&a).await;
        let (kept, secret) = (value("kept", 1), value("secret", 1));
        send(&a, &mut told, &both(&kept, &secret)).await;
        send(&a, &mut told, &secret).await;
        told.until_confirmed(&a).await;
        if world.is_extended() {
            assert_eq!(told.refused, [secret.clone(), secret], "each is told");
        } else {
            // Of two edits of one value the later is reported, unless the first was decided before the second was made.
            assert!([1, 2].contains(&told.refused.len()) && told.refused.iter().all(|refused| *refused == secret));
        }
        let room = soon(a.load()).await.unwrap().unwrap();
        told.until_shows(&a, &room).await;
    }
}

on_both! {
    async fn l22_l23_l31_edits_outlive_any_loss_of_the_connection(world: World) {
        world.make_room().await;
        let (a, b) = (world.persister_by_proxy(), world.persister());
        let (mut a_told, mut b_told) = (Told::join(&a).await, Told::join(&b).await);
        for round in 0..6 {
            send(&a, &mut a_told, &value("a", round)).await;
            // The cut is probably in the middle of a frame.
            world.proxy.cut_after(round as usize * 40);
            send(&b, &mut b_told, &value("b", round)).await;
            send(&a, &mut a_told, &cell("r", "a", round)).await;
            a_told.until_confirmed(&a).await;
            b_told.until_confirmed(&b).await;
        }
        let room = soon(b.load()).await.unwrap().unwrap();
        assert_eq!(
            room,
            content(&both(&both(&value("a", 5), &value("b", 5)), &both(&cell("r", "a", 5), &value("made", 1))))
        );
        a_told.until_shows(&a, &room).await;
        b_told.until_shows(&b, &room).await;
        assert_eq!(a_told.refused, [], "a loss is no refusal");
    }
}

on_both! {
    async fn l24_an_edit_that_a_half_open_connection_swallows_is_sent_again(world: World) {
        world.make_room().await;
        let a = world.persister_by_proxy();
        let mut told = Told::join(&a).await;
        world.proxy.freeze();
        send(&a, &mut told, &value("v", 1)).await;
        // A check happens long before the heartbeat detects the loss, and must not mistake the silence for a refusal.
        told.until_confirmed(&a).await;
        assert_eq!(told.refused, []);
        assert_eq!(soon(a.load()).await.unwrap().unwrap().values["v"], 1.into());
    }
}

on_both! {
    async fn l14_a_socket_that_is_led_elsewhere_writes_into_no_wrong_room(world: World) {
        world.make_room().await;
        let socket = PartySocket::new(world.options()).unwrap();
        let a = PartyKitPersister::new(&socket, PartyKitConfig::new()).unwrap();
        let mut told = Told::join(&a).await;
        socket.update_properties(|options| options.with_room("another")).unwrap();
        let error = told.until_error().await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(save(&a, &value("v", 1)).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert!(soon(a.load()).await.unwrap().is_some(), "it is the room that it was made for");

        socket.update_properties(|options| options.with_room("room")).unwrap();
        let mut told = Told::join(&a).await;
        send(&a, &mut told, &value("v", 1)).await;
        told.until_confirmed(&a).await;
    }
}

on_both! {
    async fn without_a_listening_connection_a_save_is_done_when_it_is_handed_over(world: World) {
        world.make_room().await;
        let config = PartyKitConfig::new().with_listening_connection(false);
        let (a, b) = (world.persister_with(world.options(), config), world.persister());
        let (mut a_told, mut b_told) = (Told::join(&a).await, Told::join(&b).await);
        assert_eq!(save(&a, &value("a", 1)).await.unwrap(), Saved::Done);
        send(&b, &mut b_told, &value("b", 1)).await;
        b_told.until_shows(&b, &content(&both(&both(&value("made", 1), &value("a", 1)), &value("b", 1)))).await;
        assert_eq!(soon(a_told.next()).await.unwrap(), Notice::Changes(value("b", 1)));
    }
}

on_both! {
    async fn what_is_saved_while_nobody_listens_is_handed_over(world: World) {
        world.make_room().await;
        let a = world.persister();
        soon(a.load()).await.unwrap();
        assert_eq!(save(&a, &value("v", 1)).await.unwrap(), Saved::Done);
        let mut told = Told::join(&a).await;
        told.until_shows(&a, &content(&both(&value("made", 1), &value("v", 1)))).await;
    }
}

on_both! {
    async fn l31_a_burst_beyond_every_bound_waits_and_is_confirmed(world: World) {
        world.make_room().await;
        let a = world.persister_with(world.options().with_max_enqueued_messages(2), PartyKitConfig::new());
        let mut told = Told::join(&a).await;
        for number in 0..300 {
            // This is more than may be unconfirmed at once: a save then waits until notices of the others are read.
            loop {
                let changes = value("v", number);
                let saving = a.save(Save::new(&Content::new, Some(&changes)));
                tokio::select! {
                    biased;
                    saved = saving => match saved.unwrap() {
                        Saved::Later(receipt) => break told.expect(receipt, value("v", number)),
                        other => panic!("{other:?}"),
                    },
                    () = told.follow(&a) => {}
                }
            }
        }
        told.until_confirmed(&a).await;
        assert_eq!(soon(a.load()).await.unwrap().unwrap().values["v"], 299.into());
        assert_eq!(told.refused, []);
    }
}

on_both! {
    async fn r4_a_save_does_not_wait_for_the_stream_to_be_read(world: World) {
        world.make_room().await;
        let config = PartyKitConfig::new().with_patience(Duration::from_millis(300));
        let a = world.persister_with(world.options(), config);
        let mut told = Told::join(&a).await;
        // This is more refused data than a server of the extended dialect remembers.
        let text = "x".repeat(10 << 10);
        let mut secret = Changes::new();
        secret.set_value("secret", text.as_str().try_into().unwrap());
        for _ in 0..MOST_UNCONFIRMED {
            send(&a, &mut told, &secret).await;
        }
        send(&a, &mut told, &value("v", 1)).await;
        told.until_confirmed(&a).await;
        if world.is_extended() {
            assert_eq!(told.refused, vec![secret; MOST_UNCONFIRMED], "each is told");
        }
        told.until_shows(&a, &content(&both(&value("made", 1), &value("v", 1)))).await;
    }
}

on_both! {
    async fn a_dropped_stream_closes_the_listening_connection_and_close_ends_a_stream(world: World) {
        world.make_room().await;
        let a = world.persister_by_proxy();
        let told = Told::join(&a).await;
        world.proxy.until_open(2).await;
        drop(told);
        world.proxy.until_open(1).await;

        let mut told = Told::join(&a).await;
        let (end, closed) = soon(async { tokio::join!(told.next(), a.close()) }).await;
        assert!(end.is_none(), "whoever waits for a notice hears of the end");
        closed.unwrap();
        assert_eq!(soon(a.load()).await.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(save(&a, &value("v", 1)).await.unwrap_err().kind(), ErrorKind::Closed);
        world.proxy.until_open(1).await;
        a.socket().send("the socket is the application's").unwrap();
    }
}

on_both! {
    async fn a_socket_that_gives_up_ends_the_watch_with_the_reason(world: World) {
        world.make_room().await;
        let options = world.options().with_party("locked");
        let a = world.persister_with(options, PartyKitConfig::new());
        assert_eq!(soon(a.watch()).await.err().unwrap().kind(), ErrorKind::Refused);
        let error = soon(a.load()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(a.store_url()), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_first_connection_is_told_to_whoever_waits_at_once() {
    let world = World::extended().await;
    // The delay between refused attempts is ten seconds.
    let host = world.options().host;
    let socket = PartySocket::new(PartySocketOptions::new(host, "room").with_party("locked")).unwrap();
    let persister = PartyKitPersister::new(&socket, PartyKitConfig::new()).unwrap();
    let error = soon(persister.watch()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("look at the socket's query and headers"), "{error}");
    assert_ne!(socket.ready_state(), ReadyState::Closed, "it was the first attempt");
    socket.update_properties(|options| options.with_party("open")).unwrap();
}

#[tokio::test]
async fn an_engine_built_by_hand_runs_where_its_persister_works() {
    let world = World::extended().await;
    let store = Store::new();
    let engine = Engine::new(&store, world.persister());
    soon(engine.start_auto_persisting(None)).await.unwrap();
    store.set_value("v", 1).unwrap();
    soon(engine.flush()).await.unwrap();
    assert_eq!(soon(engine.destroy()).await, []);
}

#[tokio::test]
async fn the_builder_of_the_one_liner_is_ready_to_be_built() {
    let world = World::extended().await;
    let store = Store::new();
    let socket = PartySocket::new(world.options()).unwrap();
    let builder = partykit_builder(&store, &socket, PartyKitConfig::new(), |error| panic!("{error}")).unwrap();
    let engine = builder.with_flush_deadline(Duration::from_secs(30)).build();
    soon(engine.start_auto_persisting(None)).await.unwrap();
    store.set_value("v", 1).unwrap();
    assert_eq!(soon(engine.destroy()).await, []);
}

on_both! {
    async fn l25_persisters_of_one_socket_and_one_fixed_id_hear_everything(world: World) {
        world.make_room().await;
        let (a, b) = (world.persister_with(world.options().with_id("fixed"), PartyKitConfig::new()), world.persister());
        let (mut a_told, mut b_told) = (Told::join(&a).await, Told::join(&b).await);
        send(&b, &mut b_told, &value("b", 1)).await;
        send(&a, &mut a_told, &value("a", 1)).await;
        a_told.until_confirmed(&a).await;
        b_told.until_confirmed(&b).await;
        let room = content(&both(&both(&value("made", 1), &value("a", 1)), &value("b", 1)));
        a_told.until_shows(&a, &room).await;
        b_told.until_shows(&b, &room).await;
    }
}

#[tokio::test]
async fn l32_a_prefix_and_a_path_of_ones_own_reach_a_server_that_has_them() {
    for extended in [false, true] {
        let room = RoomConfig::new().with_message_prefix("p:").with_store_path("/data");
        let world = World::start_with(room.with_extended(extended)).await;
        let config = || PartyKitConfig::new().with_message_prefix("p:").with_store_path("/data");
        let options = || world.options().with_party("other");
        let (a, b) = (world.persister_with(options(), config()), world.persister_with(options(), config()));
        save_all(&a, &content(&value("made", 1))).await.unwrap();
        let (mut a_told, mut b_told) = (Told::join(&a).await, Told::join(&b).await);
        send(&a, &mut a_told, &value("v", 1)).await;
        a_told.until_confirmed(&a).await;
        b_told.until_shows(&b, &content(&both(&value("made", 1), &value("v", 1)))).await;
    }
}

on_both! {
    async fn a_persister_that_is_dropped_leaves_nothing_behind(world: World) {
        world.make_room().await;
        let socket = PartySocket::new(world.proxy.options()).unwrap();
        let a = Arc::new(PartyKitPersister::new(&socket, PartyKitConfig::new()).unwrap());
        let told = Told::join(&a).await;
        world.proxy.until_open(2).await;
        drop((told, a, socket));
        world.proxy.until_open(0).await;
    }
}
