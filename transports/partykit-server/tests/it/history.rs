//! Reads the history of a room.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roommate::{Changes, Content, ErrorKind};
use roommate_partykit_proto::{Commit, DurableRoom, Edit, Event, Input, Output, Record, RequestId};
use roommate_server::{Happened, Memory, Room, RoomConfig, RoomName, Rooms, ServerConfig, Storage};

use crate::support::{Socket, eventually, get, put, serve};

fn value(id: &str, to: i64) -> Changes {
    let mut changes = Changes::new();
    changes.set_value(id, (to as i32).into());
    changes
}

fn v(to: i64) -> Content {
    Content::from_json(&format!("[{{}},{{\"v\":{to}}}]")).unwrap().value
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

#[tokio::test]
async fn a_rooms_history_has_each_change_with_its_author_and_its_time() {
    let before = SystemTime::now() - Duration::from_millis(1);
    let server = serve(ServerConfig::new()).await;
    assert_eq!(put(&server, "/party/r/store", r#"[{},{"v":0}]"#).await, 201);
    let mut page = Socket::open(&server, "/party/r?_pk=ann").await;
    page.say(r#"s[{},{"v":1},1]"#).await;
    eventually(async || get(&server, "/party/r/store").await == r#"[{},{"v":1}]"#).await;
    let room = server.rooms().room("main", "r");
    room.apply(value("v", 2)).await.unwrap();

    let history = room.history(0, 10).await.unwrap();
    let authors: Vec<_> = history.iter().map(|change| change.author.as_deref()).collect();
    assert_eq!(authors, [None, Some("ann"), None]);
    let events: Vec<_> = history.iter().map(|change| change.event.clone()).collect();
    let changed = |to| Happened::Changed(value("v", to));
    assert_eq!(events, [Happened::Created(v(0)), changed(1), changed(2)]);
    let now = SystemTime::now();
    assert!(history.iter().all(|change| before <= change.time && change.time <= now), "{history:?}");

    assert_eq!(room.history(0, 2).await.unwrap(), history[..2]);
    assert_eq!(room.history(2, 2).await.unwrap(), history[2..]);
    assert_eq!(room.history(3, 2).await.unwrap(), []);
    assert_eq!(room.history(0, 0).await.unwrap(), []);
    assert_eq!(room.content_at(0).await.unwrap(), None);
    for seq in 1..=3 {
        assert_eq!(room.content_at(seq).await.unwrap(), Some(v(seq as i64 - 1)));
    }
    let error = room.content_at(4).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("at change 3"), "{error}");
    assert_eq!(room.content_at_time(now).await.unwrap(), Some(v(2)));
    assert_eq!(room.content_at_time(before).await.unwrap(), None);
}

#[tokio::test]
async fn restoring_a_room_is_a_change_that_clients_see_and_that_can_be_taken_back() {
    let server = serve(ServerConfig::new()).await;
    let room = server.rooms().room("main", "r");
    room.apply(value("v", 1)).await.unwrap();
    room.apply(value("w", 1)).await.unwrap();
    room.replace(v(3)).await.unwrap();
    let mut page = Socket::open(&server, "/party/r").await;
    assert_eq!(room.restore_to(2).await.unwrap(), 4);
    loop {
        let frame = page.hear().await;
        if frame.contains(r#"{"v":1,"w":1}"#) {
            break;
        }
    }
    assert_eq!(get(&server, "/party/r/store").await, r#"[{},{"v":1,"w":1}]"#);
    assert_eq!(room.restore_to(3).await.unwrap(), 5);
    assert_eq!(room.restore_to(3).await.unwrap(), 5, "it is so already");
    assert_eq!(room.content().await.unwrap(), Some(v(3)));
    assert_eq!(room.restore_to(0).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(room.restore_to(9).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn r4_a_history_that_is_not_kept_says_how_far_back_it_goes() {
    let config = || ServerConfig::new().with_room(RoomConfig::new().with_snapshot_after(1000));
    for (history, is_kept) in [(Duration::from_secs(3600), true), (Duration::ZERO, false)] {
        let rooms = Rooms::new(config().with_history(history)).unwrap();
        let room = rooms.room("main", "r");
        for n in 1..=100 {
            room.apply(value("v", n)).await.unwrap();
        }
        // Snapshots are stored when the storage is idle.
        if !is_kept {
            eventually(async || room.history(0, 1).await.is_err()).await;
            let first = first_kept(&room).await;
            for error in [
                room.history(0, 1000).await.unwrap_err(),
                room.content_at(1).await.unwrap_err(),
                room.restore_to(1).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.to_string().contains("not kept that far back"), "{error}");
            }
            let error = room.history(0, 1).await.unwrap_err().to_string();
            assert!(error.ends_with(&format!("begins with change {first}")), "{error}");
            assert_eq!(room.history(first - 1, 1000).await.unwrap().len() as u64, 101 - first);
        } else {
            assert_eq!(room.history(0, 1000).await.unwrap().len(), 100);
            assert_eq!(room.content_at(1).await.unwrap(), Some(v(1)));
        }
        for n in [99, 100] {
            assert_eq!(room.content_at(n).await.unwrap(), Some(v(n as i64)));
        }
    }
}

/// The first change in a room's history.
async fn first_kept(room: &Room) -> u64 {
    for after in 0..100 {
        if let Ok(changes) = room.history(after, 1).await {
            return changes[0].seq;
        }
    }
    panic!("something is kept");
}

/// A room whose changes 1 to 6 set `v` to their number, and were committed at 1000, 2000 ... 6000 ms.
fn stored(snapshots: &[u64], keep_since: u64) -> Rooms {
    let (storage, name) = (Memory::new(), RoomName::main("r"));
    let opened = storage.open(&name, "e", 0).unwrap();
    let mut room = DurableRoom::open(RoomConfig::new().with_snapshot_after(1), name.clone(), opened).unwrap();
    for n in 1..=6 {
        let (request, author, change) = (RequestId(n), None, None);
        room.handle(Input::Edit { request, author, change, edit: Edit::Apply(&value("v", n as i64)) });
        let commit = room.commit(n * 1000).unwrap();
        assert!(storage.commit(&[commit])[0].is_ok());
        room.committed();
        while let Some(output) = room.poll() {
            if let Output::Snapshot(snapshot) = output {
                assert_eq!(snapshot.time, Some(n * 1000));
                if snapshots.contains(&n) {
                    let stored = DurableRoom::encode(&name, room.epoch(), &snapshot);
                    storage.snapshot(&stored, keep_since).unwrap();
                }
                room.handle(Input::SnapshotEnded { bytes: None });
            }
        }
    }
    Rooms::new(ServerConfig::new().with_storage(storage)).unwrap()
}

#[tokio::test]
async fn the_content_at_a_time_is_what_the_last_change_by_then_has_made() {
    for rooms in [stored(&[], 0), stored(&[3], 0), stored(&[2, 3, 4, 5], 0)] {
        let room = rooms.room("main", "r");
        assert_eq!(room.content_at_time(at(0)).await.unwrap(), None);
        assert_eq!(room.content_at_time(at(999)).await.unwrap(), None);
        for n in 1..=6 {
            assert_eq!(room.content_at_time(at(n * 1000)).await.unwrap(), Some(v(n as i64)));
            assert_eq!(room.content_at_time(at(n * 1000 + 999)).await.unwrap(), Some(v(n as i64)));
        }
        assert_eq!(room.content_at_time(SystemTime::now()).await.unwrap(), Some(v(6)));
    }
    let nowhere = Rooms::new(ServerConfig::new()).unwrap().room("main", "r");
    assert_eq!(nowhere.content_at_time(SystemTime::now()).await.unwrap(), None);
}

#[tokio::test]
async fn r4_the_content_at_a_time_before_the_log_is_that_of_its_snapshot_or_an_error() {
    // The log from change 4 on, and the snapshot of change 3.
    let room = stored(&[3, 5], 4500).room("main", "r");
    assert_eq!(room.history(3, 10).await.unwrap().len(), 3);
    for (time, content) in [(3000, 3), (3999, 3), (4000, 4), (5500, 5), (6000, 6)] {
        assert_eq!(room.content_at_time(at(time)).await.unwrap(), Some(v(content)), "{time}");
    }
    for time in [1000, 2999] {
        let error = room.content_at_time(at(time)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("begins with change 4"), "{error}");
    }
    assert_eq!(room.content_at_time(at(999)).await.unwrap(), None, "the room was not made yet");
}

#[tokio::test]
async fn r4_a_history_that_cannot_be_read_is_an_error() {
    let (storage, name) = (Memory::new(), RoomName::main("r"));
    let opened = storage.open(&name, "e", 0).unwrap();
    let records = vec![Record {
        number: 1,
        seq: 1,
        author: None,
        decided: None,
        event: Event::Created(r#"[{},{"v":1e999}]"#.into()),
    }];
    let commit = Commit { room: name, epoch: opened.epochs.present().clone(), time: 1, records };
    assert!(storage.commit(&[commit])[0].is_ok());
    let room = Rooms::new(ServerConfig::new().with_storage(storage)).unwrap().room("main", "r");
    assert_eq!(room.history(0, 1).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(room.content_at(1).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(room.content().await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_rooms_history_outlives_its_server_and_a_live_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = async || {
        // Threads of the previous server may still hold it.
        let mut storage = None;
        eventually(async || {
            storage = roommate_server::Sqlite::open(folder.path().join("rooms.db")).ok();
            storage.is_some()
        })
        .await;
        let room = RoomConfig::new().with_snapshot_after(500);
        ServerConfig::new().with_storage(storage.expect("it is open")).with_room(room)
    };
    for round in 0..3 {
        let server = serve(config().await).await;
        let room = server.rooms().room("main", "r");
        let store = room.store().await.unwrap();
        let before = store.value("v");
        assert_eq!(before, (round > 0).then(|| (round * 100 - 1).into()));
        for n in 0..100 {
            store.set_value("v", round * 100 + n).unwrap();
            store.flush().await.unwrap();
        }
        assert_eq!(store.engine().unconfirmed(), []);
        store.close().await;
        server.shutdown().await.unwrap();
    }
    let rooms = Rooms::new(config().await).unwrap();
    let room = rooms.room("main", "r");
    let history = room.history(0, 1000).await.unwrap();
    let authors: std::collections::BTreeSet<_> = history.iter().map(|change| change.author.clone()).collect();
    // The first of them creates an empty store.
    assert_eq!((history.len(), authors.len()), (301, 3));
    for seq in [2, 101, 102, 201, 301] {
        assert_eq!(room.content_at(seq).await.unwrap(), Some(v(seq as i64 - 2)));
    }
    assert_eq!(room.restore_to(2).await.unwrap(), 302);
    assert_eq!(room.content().await.unwrap(), Some(v(0)));
}
