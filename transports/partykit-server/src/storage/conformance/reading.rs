//! Reading rooms without opening them, and removing rooms.

use roommate::ErrorKind;
use roommate_partykit_proto::{Opened, RoomInfo, RoomName, Storage};

use super::{
    Open,
    support::{Owner, commit, numbers, whole_log},
};

/// The log is read in parts: the commits after a sequence number, as many as fit into some bytes, and at least one.
pub fn the_log_is_read_in_parts(open: Open<'_>) {
    const LINE: &str =
        "the log is read in parts: commits beyond a sequence number, as many as have some bytes together";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    owner.commit(&*storage, 1, &["x", "y", "z"]);
    let mut refused = owner.next(1, &["refused"]);
    // A record that does not raise the sequence number.
    owner.seq -= 1;
    refused.records[0].seq = owner.seq;
    assert_eq!(commit(&*storage, &[refused]), [None], "{LINE}");
    owner.commit(&*storage, 2, &["v"]);
    owner.commit(&*storage, 2, &["w"]);
    let log = whole_log(&*storage, &owner.room);
    assert_eq!(
        log.iter().map(|commit| (commit.last, commit.seq)).collect::<Vec<_>>(),
        [(3, 3), (4, 3), (5, 4), (6, 5)]
    );
    let bytes = |commits: std::ops::Range<usize>| log[commits].iter().map(|commit| commit.records.len()).sum::<usize>();
    for (after, max_bytes, expected) in [
        (0, usize::MAX, 0..4),
        (0, 0, 0..1),
        (0, bytes(0..2) - 1, 0..1),
        (0, bytes(0..2), 0..2),
        (2, usize::MAX, 0..4),
        (3, usize::MAX, 2..4),
        (3, bytes(2..3), 2..3),
        (4, 0, 3..4),
        (5, usize::MAX, 4..4),
        (u64::MAX, usize::MAX, 4..4),
    ] {
        let read = storage.log(&owner.room, after, max_bytes).expect(LINE);
        assert_eq!(read, log[expected], "after {after}, {max_bytes} bytes: {LINE}");
    }
    assert_eq!(storage.log(&RoomName::main("other"), 0, 9).expect(LINE), [], "{LINE}");
}

/// A room is described by its sequence number, and the times of its first commit and of its last.
pub fn a_room_is_described_as_it_was_committed(open: Open<'_>) {
    const LINE: &str = "a room is described by its sequence number, and the times of its first commit and of its last";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    owner.commit(&*storage, 5, &["x", "y"]);
    let info = |seq, created, changed| Some(RoomInfo::new(RoomName::main("r"), seq, created, changed));
    assert_eq!(storage.describe(&owner.room).expect(LINE), info(2, 5, 5), "{LINE}");
    owner.commit(&*storage, 9, &["z"]);
    storage.snapshot(&owner.snapshot(3), u64::MAX).expect(LINE);
    drop(storage);
    let storage = open();
    assert_eq!(storage.describe(&owner.room).expect(LINE), info(3, 5, 9), "{LINE}");
    Owner::open(&*storage, "r", "b");
    assert_eq!(storage.describe(&owner.room).expect(LINE), info(3, 5, 9), "opening it is no change: {LINE}");
}

/// Rooms are listed in the order of their names, after a given one, so that they can be listed in parts.
pub fn rooms_are_listed_in_the_order_of_their_names(open: Open<'_>) {
    const LINE: &str = "rooms are listed in the order of their names, after one, so that they can be listed in parts";
    let storage = open();
    let names = ["b/a", "a/z", "a-/b", "a/\u{e9}", "a/Z", "b/", "a/aa", "c/\u{1f600}", "c/\u{ffff}", "/x", "a/a"];
    let mut names: Vec<_> = names.map(|name| name.split_once('/').expect("a party and a room")).into();
    for (index, (party, room)) in names.iter().enumerate() {
        let mut owner = Owner::open(&*storage, "unused", "e");
        owner.room = RoomName::new(*party, *room);
        owner.commit(&*storage, index as u64, &["x"]);
    }
    names.sort_unstable();
    let names: Vec<_> = names.into_iter().map(|(party, room)| RoomName::new(party, room)).collect();
    assert!(names.is_sorted(), "{LINE}");
    for max in [1, 2, 3, 100] {
        let mut listed: Vec<RoomName> = Vec::new();
        loop {
            let part = storage.list(listed.last(), max).expect(LINE);
            assert!(part.len() <= max && listed.len() <= names.len(), "{LINE}");
            listed.extend(part.iter().map(|info| info.room.clone()));
            if part.is_empty() {
                break;
            }
        }
        assert_eq!(listed, names, "{max} at a time: {LINE}");
    }
    let described = storage.list(Some(&RoomName::new("a", "zz")), 1).expect(LINE);
    assert_eq!(described, [storage.describe(&described[0].room).expect(LINE).expect(LINE)], "{LINE}");
    assert_eq!(storage.list(None, 0).expect(LINE), [], "{LINE}");
}

/// Removing a room removes all its stored data, and no data of other rooms.
pub fn removing_a_room_removes_all_of_it(open: Open<'_>) {
    const LINE: &str = "removing a room removes all that is stored of it, and nothing of others";
    let storage = open();
    let [mut gone, mut other] = ["gone", "other"].map(|room| Owner::open(&*storage, room, "a"));
    for owner in [&mut gone, &mut other] {
        owner.commit(&*storage, 1, &["x"]);
        owner.commit(&*storage, 2, &["y"]);
        storage.snapshot(&owner.snapshot(1), 0).expect(LINE);
    }
    assert!(storage.delete(&gone.room).expect(LINE), "it was there: {LINE}");
    assert!(!storage.delete(&gone.room).expect(LINE), "it is gone: {LINE}");
    let check = |storage: &dyn Storage| {
        assert_eq!(storage.describe(&gone.room).expect(LINE), None, "{LINE}");
        assert_eq!(whole_log(storage, &gone.room), [], "{LINE}");
        assert_eq!(storage.snapshot_at(&gone.room, u64::MAX).expect(LINE), None, "{LINE}");
        let listed = storage.list(None, 9).expect(LINE);
        assert_eq!(listed.iter().map(|info| info.room.room()).collect::<Vec<_>>(), ["other"], "{LINE}");
        assert_eq!(numbers(&whole_log(storage, &other.room)), [1, 2], "{LINE}");
        assert!(storage.snapshot_at(&other.room, 1).expect(LINE).is_some(), "{LINE}");
    };
    check(&*storage);
    drop(storage);
    check(&*open());
}

/// The owner of a room that was removed may not write to it any more.
pub fn the_owner_of_a_removed_room_is_refused(open: Open<'_>) {
    const LINE: &str = "the owner of a room that was removed may not write to it any more";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    owner.commit(&*storage, 1, &["x"]);
    assert!(storage.delete(&owner.room).expect(LINE), "{LINE}");
    assert!(commit(&*storage, &[owner.clone().next(2, &["y"])])[0].is_some(), "{LINE}");
    assert_eq!(storage.snapshot(&owner.snapshot(1), 0).expect_err(LINE).kind(), ErrorKind::Refused, "{LINE}");
    let mut again = Owner::open(&*storage, "r", "b");
    again.commit(&*storage, 3, &["x"]);
    assert_eq!(commit(&*storage, &[owner.next(4, &["y"])]), [Some(ErrorKind::Refused)], "made anew: {LINE}");
    let mut second = Owner::open(&*storage, "r", "c");
    assert!(storage.delete(&second.room).expect(LINE), "{LINE}");
    second.last = 0;
    assert_eq!(commit(&*storage, &[second.next(4, &["x"])]), [Some(ErrorKind::Refused)], "{LINE}");
    assert_eq!(storage.describe(&second.room).expect(LINE), None, "{LINE}");
}

/// A room that was removed starts anew: with its first record, and without its earlier epochs.
pub fn a_removed_room_begins_anew(open: Open<'_>) {
    const LINE: &str = "a room that was removed begins anew: with its first record, and no epoch of before";
    let storage = open();
    for epoch in ["a", "b"] {
        let mut owner = Owner::open(&*storage, "r", epoch);
        owner.commit(&*storage, 1, &["x", "y"]);
        owner.commit(&*storage, 2, &["z"]);
        storage.snapshot(&owner.snapshot(2), 9).expect(LINE);
    }
    assert!(storage.delete(&RoomName::main("r")).expect(LINE), "{LINE}");
    let (mut owner, opened) = Owner::open_all(&*storage, "r", "c");
    assert_eq!(opened, Opened::new("c"), "{LINE}");
    owner.commit(&*storage, 7, &["new"]);
    let opened = Owner::open_all(&*storage, "r", "d").1;
    assert_eq!((opened.epochs.present().number, opened.snapshot), (2, None), "{LINE}");
    assert_eq!(numbers(&opened.log), [1], "{LINE}");
    assert_eq!(opened.log[0].time, 7, "{LINE}");
}
