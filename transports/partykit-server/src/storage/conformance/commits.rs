//! Commits: durable, all or nothing, in order.

use roommate::ErrorKind;
use roommate_partykit_proto::{Record, RoomName};

use super::{
    Open,
    support::{Owner, commit, numbers, opened_numbers, whole_log},
};

/// What a call reported as stored is there after a restart.
pub fn what_was_committed_is_there_after_a_restart(open: Open<'_>) {
    const LINE: &str = "what a call reported as stored is there after a restart";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    owner.commit(&*storage, 1, &["x", "y"]);
    owner.commit(&*storage, 2, &["z"]);
    drop(storage);
    let storage = open();
    assert_eq!(opened_numbers(&*storage, "r", "b"), [1, 2, 3], "{LINE}");
    drop(storage);
    assert_eq!(opened_numbers(&*open(), "r", "c"), [1, 2, 3], "{LINE}");
}

/// A commit is stored as a whole, and read as it was.
pub fn a_commit_is_stored_as_a_whole_and_as_it_was(open: Open<'_>) {
    const LINE: &str = "a commit is stored as a whole, and read as it was";
    let storage = open();
    let large = "large ".repeat(500_000);
    let texts =
        ["", "plain", "with \"quotes\", \\ and \n", "\u{e9}\u{1f600}\u{2028}\0", "'; DROP TABLE log; --", &large];
    let mut owner = Owner::open(&*storage, "r", "a");
    let (first, second) = (owner.next(5, &texts), owner.next(7, &texts[..2]));
    assert_eq!(commit(&*storage, std::slice::from_ref(&first)), [None], "{LINE}");
    assert_eq!(commit(&*storage, std::slice::from_ref(&second)), [None], "{LINE}");
    drop(storage);
    let storage = open();
    let log = Owner::open_all(&*storage, "r", "b").1.log;
    assert_eq!(whole_log(&*storage, &owner.room), log, "`log` and `open` agree: {LINE}");
    assert_eq!(log.len(), 2, "{LINE}");
    for (stored, commit) in log.iter().zip([first, second]) {
        assert_eq!((stored.last, stored.seq, stored.time), (commit.last(), commit.seq(), commit.time), "{LINE}");
        assert!(stored.records == commit.encode(), "{LINE}");
        assert_eq!(Record::decode_lines(&stored.records).expect(LINE), commit.records, "{LINE}");
    }
}

/// A commit has at least one record.
pub fn a_commit_has_records(open: Open<'_>) {
    const LINE: &str = "a commit has at least one record";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    assert_eq!(commit(&*storage, &[owner.next(1, &[])]), [Some(ErrorKind::Invalid)], "{LINE}");
    assert_eq!(storage.describe(&owner.room).expect(LINE), None, "{LINE}");
}

/// A commit is stored only if its first record's number follows that of the last one stored.
pub fn a_commit_that_does_not_follow_is_invalid(open: Open<'_>) {
    const LINE: &str = "a commit is stored only if its first record's number follows that of the last one stored";
    let storage = open();
    let mut owner = Owner::open(&*storage, "r", "a");
    let mut skipping = owner.clone();
    skipping.next(1, &["skipped"]);
    assert_eq!(commit(&*storage, &[skipping.next(1, &["x"])]), [Some(ErrorKind::Invalid)], "of a new room: {LINE}");
    let again = owner.next(1, &["x", "y"]);
    assert_eq!(commit(&*storage, std::slice::from_ref(&again)), [None], "{LINE}");
    assert_eq!(commit(&*storage, std::slice::from_ref(&again)), [Some(ErrorKind::Invalid)], "again: {LINE}");
    let mut skipping = owner.clone();
    skipping.next(1, &["skipped"]);
    assert_eq!(commit(&*storage, &[skipping.next(1, &["z"])]), [Some(ErrorKind::Invalid)], "a gap: {LINE}");
    let mut overlapping = owner.clone();
    (overlapping.last, overlapping.seq) = (1, 1);
    assert_eq!(
        commit(&*storage, &[overlapping.next(1, &["y", "z"])]),
        [Some(ErrorKind::Invalid)],
        "an overlap: {LINE}"
    );
    assert_eq!(numbers(&whole_log(&*storage, &owner.room)), [1, 2], "{LINE}");
    owner.commit(&*storage, 1, &["z"]);
}

/// A commit that is refused or invalid has no effect on the others of the same call.
pub fn a_commit_that_is_refused_has_no_effect_on_the_others(open: Open<'_>) {
    const LINE: &str = "a commit that is refused or invalid has no effect on the others of the same call";
    let storage = open();
    let mut owners = ["a", "fenced", "c", "gap", "e"].map(|room| Owner::open(&*storage, room, "first"));
    for owner in &mut owners[1..] {
        owner.commit(&*storage, 1, &["x"]);
    }
    Owner::open(&*storage, "fenced", "second");
    owners[3].last += 1;
    let commits = owners.each_mut().map(|owner| owner.next(2, &["y", "z"]));
    let (refused, invalid) = (Some(ErrorKind::Refused), Some(ErrorKind::Invalid));
    assert_eq!(commit(&*storage, &commits), [None, refused, None, invalid, None], "in their order: {LINE}");
    drop(storage);
    let storage = open();
    for (room, stored) in [("a", 2), ("fenced", 1), ("c", 3), ("gap", 1), ("e", 3)] {
        let log = whole_log(&*storage, &RoomName::main(room));
        assert_eq!(numbers(&log), (1..=stored).collect::<Vec<_>>(), "{room}: {LINE}");
    }
    assert!(storage.commit(&[]).is_empty(), "no commits have no outcomes: {LINE}");
}
