//! Epochs: which owner may write.

use roommate::ErrorKind;
use roommate_partykit_proto::{Epochs, MAX_EPOCHS, Opened, Position};

use super::{
    Open,
    support::{Owner, commit, numbers, opened_numbers, whole_log},
};

/// Opening a room of which nothing was ever committed writes nothing.
pub fn opening_a_room_that_is_not_stored_writes_nothing(open: Open<'_>) {
    const LINE: &str = "to open a room of which nothing was ever committed writes nothing";
    let storage = open();
    for epoch in ["a", "b"] {
        let (owner, opened) = Owner::open_all(&*storage, "r", epoch);
        assert_eq!(opened, Opened::new(epoch), "{LINE}");
        assert_eq!(storage.describe(&owner.room).expect(LINE), None, "{LINE}");
        assert_eq!(storage.list(None, 10).expect(LINE), [], "{LINE}");
        assert!(!storage.delete(&owner.room).expect(LINE), "{LINE}");
    }
    drop(storage);
    assert_eq!(open().list(None, 10).expect(LINE), [], "{LINE}");
}

/// Each opening of a stored room begins a new epoch, at the room's sequence number.
pub fn each_opening_of_a_stored_room_begins_an_epoch(open: Open<'_>) {
    const LINE: &str = "each opening of a stored room begins a new epoch, at the room's sequence number";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    owner.commit(&*storage, 1, &["x", "y"]);
    let (mut owner, opened) = Owner::open_all(&*storage, "r", "b");
    assert_eq!((owner.epoch.number, &*owner.epoch.id, owner.epoch.begins), (2, "b", 2), "{LINE}");
    assert!(opened.epochs.know(&Position { epoch: "a".into(), seq: 2 }, 2), "{LINE}");
    owner.commit(&*storage, 1, &["z"]);
    let opened = Owner::open_all(&*storage, "r", "c").1;
    let epochs = &opened.epochs;
    assert_eq!((epochs.present().number, epochs.present().begins), (3, 3), "{LINE}");
    for (epoch, seq, known) in [
        ("a", 0, true),
        ("a", 2, true),
        ("a", 3, false),
        ("b", 1, false),
        ("b", 3, true),
        ("c", 3, true),
        ("d", 3, false),
    ] {
        assert_eq!(epochs.know(&Position { epoch: epoch.into(), seq }, 3), known, "{epoch} {seq}: {LINE}");
    }
}

/// An epoch is stored when the opening returns, or with the first commit of a new room.
pub fn an_epoch_is_there_after_a_restart(open: Open<'_>) {
    const LINE: &str = "an epoch is stored when the opening returns, or with the first commit of a new room";
    let storage = open();
    Owner::open(&*storage, "r", "a").commit(&*storage, 1, &["x"]);
    drop(storage);
    let storage = open();
    let opened = Owner::open_all(&*storage, "r", "b").1;
    let first = Epochs::first("a").present().clone();
    assert_eq!(opened.epochs, Epochs::new(vec![first], opened.epochs.present().clone()), "{LINE}");
    drop(storage);
    let (owner, opened) = Owner::open_all(&*open(), "r", "c");
    assert_eq!(owner.epoch.number, 3, "an opening without a commit counts: {LINE}");
    assert!(opened.epochs.know(&Position { epoch: "b".into(), seq: 1 }, 1), "{LINE}");
}

/// A storage remembers no more than [`MAX_EPOCHS`] of a room.
pub fn the_list_of_epochs_is_bounded(open: Open<'_>) {
    const LINE: &str = "a storage remembers no more than `MAX_EPOCHS` of a room";
    let storage = open();
    Owner::open(&*storage, "r", "1").commit(&*storage, 1, &["x"]);
    let mut last = None;
    for number in 2..=MAX_EPOCHS + 2 {
        last = Some(Owner::open_all(&*storage, "r", &number.to_string()).1.epochs);
    }
    let epochs = last.expect("it was opened");
    let known = |number: usize| epochs.know(&Position { epoch: number.to_string().as_str().into(), seq: 1 }, 1);
    assert_eq!(epochs.present().number, MAX_EPOCHS as u64 + 2, "{LINE}");
    assert!(known(MAX_EPOCHS + 2) && known(3) && !known(1), "{LINE}");
}

/// A commit under any epoch but the newest is refused.
pub fn a_commit_under_an_older_epoch_is_refused(open: Open<'_>) {
    const LINE: &str = "a commit under any epoch but the newest is refused";
    let storage = open();
    let mut first = Owner::open(&*storage, "r", "a");
    first.commit(&*storage, 1, &["x"]);
    let mut second = Owner::open(&*storage, "r", "b");
    assert_eq!(commit(&*storage, &[first.clone().next(2, &["y"])]), [Some(ErrorKind::Refused)], "{LINE}");
    second.commit(&*storage, 2, &["y"]);
    first.last += 1;
    assert_eq!(commit(&*storage, &[first.clone().next(2, &["z"])]), [Some(ErrorKind::Refused)], "{LINE}");
    drop(storage);
    let storage = open();
    assert_eq!(commit(&*storage, &[first.next(2, &["z"])]), [Some(ErrorKind::Refused)], "after a restart: {LINE}");
    // The room was not opened since.
    second.commit(&*storage, 3, &["z"]);
    second.epoch.number += 1;
    assert_eq!(commit(&*storage, &[second.next(3, &["w"])]), [Some(ErrorKind::Refused)], "one that never was: {LINE}");
    assert_eq!(numbers(&whole_log(&*storage, &second.room)), [1, 2, 3], "{LINE}");
}

/// A snapshot under any epoch but the newest is refused.
pub fn a_snapshot_under_an_older_epoch_is_refused(open: Open<'_>) {
    const LINE: &str = "a snapshot under any epoch but the newest is refused";
    let storage = open();
    let mut first = Owner::open(&*storage, "r", "a");
    let error = storage.snapshot(&first.snapshot(0), 0).expect_err(LINE);
    assert_eq!(error.kind(), ErrorKind::Refused, "of a room that is not stored: {LINE}");
    first.commit(&*storage, 1, &["x"]);
    Owner::open(&*storage, "r", "b");
    let error = storage.snapshot(&first.snapshot(1), u64::MAX).expect_err(LINE);
    assert_eq!(error.kind(), ErrorKind::Refused, "{LINE}");
    assert_eq!(storage.snapshot_at(&first.room, u64::MAX).expect(LINE), None, "{LINE}");
    assert_eq!(opened_numbers(&*storage, "r", "c"), [1], "and it removes nothing: {LINE}");
}

/// Of two owners that opened a room before anything was committed, only the first to commit can write.
pub fn of_two_owners_of_a_new_room_the_first_to_commit_has_it(open: Open<'_>) {
    const LINE: &str =
        "of two owners that opened a room before anything was committed, only the first to commit can write";
    let storage = open();
    let mut slow = Owner::open(&*storage, "r", "a");
    let mut fast = Owner::open(&*storage, "r", "b");
    fast.commit(&*storage, 1, &["x"]);
    assert_eq!(commit(&*storage, &[slow.clone().next(2, &["y"])]), [Some(ErrorKind::Refused)], "{LINE}");
    slow.last = 1;
    assert_eq!(commit(&*storage, &[slow.next(2, &["y"])]), [Some(ErrorKind::Refused)], "{LINE}");
    fast.commit(&*storage, 1, &["y"]);
}
