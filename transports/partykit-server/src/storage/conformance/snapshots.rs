//! Snapshots, and the part of the log that they make unnecessary.

use roommate::ErrorKind;
use roommate_partykit_proto::{Opened, Snapshot, Storage};

use super::{
    Open,
    support::{Owner, numbers, opened_numbers, snapshot_text, whole_log},
};

/// A room is opened from its newest snapshot and the log after it.
pub fn a_room_is_opened_from_its_newest_snapshot_and_the_log_after_it(open: Open<'_>) {
    const LINE: &str = "a room is opened from its newest snapshot and the log after it";
    let storage = open();
    let mut owner = ten_commits(&*storage);
    for number in [3, 7] {
        storage.snapshot(&owner.snapshot(number), 0).expect(LINE);
    }
    drop(storage);
    let storage = open();
    let (mut owner, opened) = (owner.clone(), open_again(&*storage, &mut owner));
    assert_eq!(opened.snapshot, Some(snapshot_text(7, 7)), "{LINE}");
    assert_eq!(numbers(&opened.log), [8, 9, 10], "{LINE}");
    owner.epoch = opened.epochs.present().clone();
    storage.snapshot(&owner.snapshot(10), 0).expect(LINE);
    let opened = open_again(&*storage, &mut owner);
    assert_eq!(opened.snapshot, Some(snapshot_text(10, 10)), "{LINE}");
    assert_eq!(opened.log, [], "{LINE}");
    owner.commit(&*storage, 11, &["after it"]);
    assert_eq!(numbers(&open_again(&*storage, &mut owner).log), [11], "{LINE}");
}

/// A snapshot is stored only if all its records are.
pub fn a_snapshot_has_stored_records_only(open: Open<'_>) {
    const LINE: &str = "a snapshot is stored only if all its records are";
    let storage = open();
    let owner = ten_commits(&*storage);
    let error = storage.snapshot(&owner.snapshot(11), u64::MAX).expect_err(LINE);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{LINE}");
    assert_eq!(storage.snapshot_at(&owner.room, u64::MAX).expect(LINE), None, "{LINE}");
    assert_eq!(opened_numbers(&*storage, "r", "b"), (1..=10).collect::<Vec<_>>(), "{LINE}");
}

/// A snapshot of a number that is stored already replaces that one.
pub fn a_snapshot_of_a_number_replaces_that_one(open: Open<'_>) {
    const LINE: &str = "a snapshot of a number that is stored already replaces that one";
    let storage = open();
    let mut owner = ten_commits(&*storage);
    let mut snapshot = owner.snapshot(4);
    storage.snapshot(&snapshot, 0).expect(LINE);
    snapshot.text = Snapshot { content: Some(roommate::Content::new()), ..decode(&snapshot.text) }.encode();
    storage.snapshot(&snapshot, 0).expect(LINE);
    assert_eq!(storage.snapshot_at(&owner.room, 4).expect(LINE).as_ref(), Some(&snapshot.text), "{LINE}");
    let opened = open_again(&*storage, &mut owner);
    assert_eq!((opened.snapshot, numbers(&opened.log)), (Some(snapshot.text), (5..=10).collect()), "{LINE}");
}

/// A snapshot is stored only if no newer one is: the log may no longer continue from it.
pub fn a_snapshot_is_never_replaced_by_an_older_one(open: Open<'_>) {
    const LINE: &str = "a snapshot is stored only if no newer one is";
    let storage = open();
    let mut owner = ten_commits(&*storage);
    storage.snapshot(&owner.snapshot(8), u64::MAX).expect(LINE);
    let error = storage.snapshot(&owner.snapshot(5), u64::MAX).expect_err(LINE);
    assert_eq!(error.kind(), ErrorKind::Invalid, "{LINE}");
    let opened = open_again(&*storage, &mut owner);
    assert_eq!((opened.snapshot, numbers(&opened.log)), (Some(snapshot_text(8, 8)), vec![9, 10]), "{LINE}");
}

/// The log continues from a snapshot, even after parts of the log were removed.
pub fn the_log_goes_on_from_a_snapshot(open: Open<'_>) {
    const LINE: &str = "the log goes on from a snapshot, whatever was removed of it";
    for keep_since in 0..=12 {
        let storage = open();
        let mut owner = ten_commits(&*storage);
        for number in [2, 3, 6, 9] {
            storage.snapshot(&owner.snapshot(number), keep_since).expect(LINE);
            check_content(&*storage, &mut owner, 10);
        }
        assert!(storage.delete(&owner.room).expect(LINE), "{LINE}");
    }
}

/// The content at each time since the given one can be restored.
pub fn the_content_at_each_time_since_the_given_one_can_be_made_again(open: Open<'_>) {
    const LINE: &str = "the content at each time since the one given can be made again";
    for keep_since in 0..=12 {
        let storage = open();
        let owner = ten_commits(&*storage);
        for number in [2, 3, 6, 9] {
            storage.snapshot(&owner.snapshot(number), keep_since).expect(LINE);
        }
        // The commit of time n has record n, so the content at time n is that of records 1 to n.
        for time in keep_since.clamp(1, 10)..=10 {
            let base = storage.snapshot_at(&owner.room, time).expect(LINE).map_or(0, |text| decode(&text).number);
            let log = storage.log(&owner.room, base, usize::MAX).expect(LINE);
            let made: Vec<_> = numbers(&log).into_iter().take_while(|number| *number <= time).collect();
            assert_eq!(made, (base + 1..=time).collect::<Vec<_>>(), "time {time} since {keep_since}: {LINE}");
        }
        assert!(storage.delete(&owner.room).expect(LINE), "{LINE}");
    }
}

/// Commits up to the newest snapshot are removed if all their records are older than the given time, and so are the
/// snapshots before that one.
pub fn what_is_older_than_the_given_time_is_removed(open: Open<'_>) {
    const LINE: &str = "commits up to the newest snapshot without a record of a time since the one given are removed";
    for (keep_since, log_from, first_snapshot) in [(0, 1, 2), (2, 1, 2), (3, 3, 2), (4, 4, 3), (7, 7, 6), (99, 10, 9)] {
        let storage = open();
        let owner = ten_commits(&*storage);
        for number in [2, 3, 6, 9] {
            storage.snapshot(&owner.snapshot(number), keep_since).expect(LINE);
        }
        let log = numbers(&whole_log(&*storage, &owner.room));
        assert_eq!(log, (log_from..=10).collect::<Vec<_>>(), "since {keep_since}: {LINE}");
        let before = storage.snapshot_at(&owner.room, first_snapshot - 1).expect(LINE);
        assert_eq!(before, None, "of snapshots, since {keep_since}: {LINE}");
        let first = storage.snapshot_at(&owner.room, first_snapshot).expect(LINE);
        assert_eq!(first, Some(snapshot_text(first_snapshot, first_snapshot)), "since {keep_since}: {LINE}");
        assert!(storage.delete(&owner.room).expect(LINE), "{LINE}");
    }
}

/// Nothing is removed of a commit that goes beyond a snapshot, and a record in it is as old as the commit.
pub fn nothing_of_a_commit_that_goes_beyond_a_snapshot_is_removed(open: Open<'_>) {
    const LINE: &str = "of a commit that goes beyond a snapshot nothing is removed";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    owner.commit(&*storage, 1, &["x", "x"]);
    owner.commit(&*storage, 2, &["x", "x", "x"]);
    storage.snapshot(&owner.snapshot(2), 0).expect(LINE);
    storage.snapshot(&owner.snapshot(4), 2).expect(LINE);
    assert!(storage.snapshot_at(&owner.room, 2).expect(LINE).is_some(), "record 3 is not old: {LINE}");
    assert_eq!(numbers(&whole_log(&*storage, &owner.room)), [3, 4, 5], "{LINE}");
    storage.snapshot(&owner.snapshot(4), 3).expect(LINE);
    assert_eq!(storage.snapshot_at(&owner.room, 2).expect(LINE), None, "{LINE}");
    let opened = open_again(&*storage, &mut owner);
    assert_eq!((opened.snapshot, numbers(&opened.log)), (Some(snapshot_text(4, 4)), vec![3, 4, 5]), "{LINE}");
}

/// A room with commits of one record each, at the times 1 to 10.
fn ten_commits(storage: &dyn Storage) -> Owner {
    let mut owner = Owner::open(storage, "r", "a");
    for time in 1..=10 {
        owner.commit(storage, time, &["x"]);
    }
    owner
}

fn open_again(storage: &dyn Storage, owner: &mut Owner) -> Opened {
    let epoch = format!("{}+", owner.epoch.id);
    let (again, opened) = Owner::open_all(storage, owner.room.room(), &epoch);
    *owner = again;
    opened
}

/// Checks that a room can be restored from what it is opened from.
fn check_content(storage: &dyn Storage, owner: &mut Owner, last: u64) {
    let opened = open_again(storage, owner);
    let base = opened.snapshot.map_or(0, |text| decode(&text).number);
    assert_eq!(numbers(&opened.log), (base + 1..=last).collect::<Vec<_>>(), "the log goes on from a snapshot");
}

fn decode(text: &str) -> Snapshot {
    Snapshot::decode(text).expect("a snapshot is as it was stored")
}
