//! Storages that each have one bug.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
    thread,
    time::Duration,
};

use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::{
    Commit, Epoch, Epochs, Event, Memory, Opened, Record, RoomInfo, RoomName, Storage, StoredCommit, StoredSnapshot,
};

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $bug:ident => $check:ident,)*) => {
        /// The bug of a storage.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Bug { $($(#[doc = $doc])* $bug),* }

        impl Bug {
            /// Every bug, and the check that has to catch it.
            pub(super) const ALL: &[(Self, &str)] = &[$((Self::$bug, stringify!($check))),*];
        }
    };
}

bugs! {
    /// Reports commits as stored that it stores only with the next one.
    StoredLater => what_was_committed_is_there_after_a_restart,
    /// Stores the first half of a commit's records.
    HalfOfACommit => a_commit_is_stored_as_a_whole_and_as_it_was,
    /// Joins the lines of a commit's records.
    OtherText => a_commit_is_stored_as_a_whole_and_as_it_was,
    /// Reports a commit without records as stored.
    EmptyCommit => a_commit_has_records,
    /// Stores a commit that leaves a gap.
    Gap => a_commit_that_does_not_follow_is_invalid,
    /// Stores a commit a second time.
    Again => a_commit_that_does_not_follow_is_invalid,
    /// A refused commit makes the others of the call fail.
    RefusedTakesOthersDown => a_commit_that_is_refused_has_no_effect_on_the_others,
    /// Outcomes are in another order than commits.
    OutcomesInAnotherOrder => a_commit_that_is_refused_has_no_effect_on_the_others,
    /// Opening a room writes it.
    OpeningWrites => opening_a_room_that_is_not_stored_writes_nothing,
    /// Opening a room begins no epoch.
    NoNewEpoch => each_opening_of_a_stored_room_begins_an_epoch,
    /// Each epoch begins at 0.
    EpochsBeginAtZero => each_opening_of_a_stored_room_begins_an_epoch,
    /// An epoch is only in memory until a commit.
    EpochsInMemory => an_epoch_is_there_after_a_restart,
    /// Forgets the earlier epochs.
    NoList => an_epoch_is_there_after_a_restart,
    /// Remembers every epoch.
    EpochsWithoutBound => the_list_of_epochs_is_bounded,
    /// Stores a commit of an older epoch.
    NoFence => a_commit_under_an_older_epoch_is_refused,
    /// Stores a snapshot of an older epoch.
    NoFenceForSnapshots => a_snapshot_under_an_older_epoch_is_refused,
    /// Treats two epochs with the same number as the same.
    FenceByNumber => of_two_owners_of_a_new_room_the_first_to_commit_has_it,
    /// Opens a room from its oldest snapshot, with the log after the newest.
    OldestSnapshot => a_room_is_opened_from_its_newest_snapshot_and_the_log_after_it,
    /// Stores a snapshot of records that are not stored.
    SnapshotOfWhatIsNotStored => a_snapshot_has_stored_records_only,
    /// Ignores a snapshot of a number that is stored.
    FirstSnapshotStays => a_snapshot_of_a_number_replaces_that_one,
    /// Treats a late snapshot as the newest one.
    LateSnapshot => a_snapshot_is_never_replaced_by_an_older_one,
    /// Removes the log for a snapshot that it does not store.
    TrimmedBeforeStored => the_log_goes_on_from_a_snapshot,
    /// Removes a record more than the snapshot has.
    TrimmedOneTooFar => the_log_goes_on_from_a_snapshot,
    /// Removes commits that are not old.
    KeepSinceIgnored => the_content_at_each_time_since_the_given_one_can_be_made_again,
    /// Treats records of exactly the given time as old.
    KeepAfterInsteadOfSince => what_is_older_than_the_given_time_is_removed,
    /// Removes nothing.
    NeverTrims => what_is_older_than_the_given_time_is_removed,
    /// Removes commits that go beyond a snapshot.
    TrimsWholeCommits => nothing_of_a_commit_that_goes_beyond_a_snapshot_is_removed,
    /// Reads the log from the sequence number on, not from the next one.
    LogFromInsteadOfAfter => the_log_is_read_in_parts,
    /// Reads the whole log, without the limit.
    LogWithoutBound => the_log_is_read_in_parts,
    /// Reads nothing if the first commit is too large.
    LogStuck => the_log_is_read_in_parts,
    /// Describes a room as changed when it was created.
    ChangedIsCreated => a_room_is_described_as_it_was_committed,
    /// Lists rooms in another order.
    Unordered => rooms_are_listed_in_the_order_of_their_names,
    /// Lists the given room again, and not only those after it.
    ListFrom => rooms_are_listed_in_the_order_of_their_names,
    /// Removing a room leaves its snapshots.
    DeleteLeavesSnapshots => removing_a_room_removes_all_of_it,
    /// Reports the removal of a room that did not exist.
    DeleteAlwaysTrue => removing_a_room_removes_all_of_it,
    /// Lets the owner of a removed room write.
    DeleteDoesNotFence => the_owner_of_a_removed_room_is_refused,
    /// A room that was removed continues with its epochs.
    DeleteLeavesEpochs => a_removed_room_begins_anew,
    /// Loses a commit now and then.
    LosesTheTwentieth => random_histories_end_as_in_the_model,
    /// Reads a log in two steps, between which some of it may be removed.
    TornRead => rooms_are_written_and_read_from_many_threads,
    /// Checks a commit, lets others run, and stores it.
    Race => of_owners_that_compete_one_wins_each_number,
}

/// [`Memory`] with a bug.
#[derive(Debug)]
pub(super) struct Buggy {
    bug: Bug,
    rooms: Memory,
    state: Mutex<State>,
}

/// What the bugs need to know. It is reset when the storage is closed.
#[derive(Debug, Default)]
struct State {
    commits: u64,
    late: Vec<Commit>,
    epochs: BTreeMap<RoomName, Vec<Epoch>>,
    snapshots: Vec<StoredSnapshot>,
    deleted: BTreeSet<RoomName>,
}

impl Buggy {
    pub(super) fn new(bug: Bug, rooms: Memory) -> Self {
        Self { bug, rooms, state: Mutex::default() }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn newest(&self, room: &RoomName) -> Option<Epoch> {
        self.state().epochs.get(room).and_then(|epochs| epochs.last().cloned())
    }

    fn end(&self, room: &RoomName) -> u64 {
        let log = self.rooms.log(room, 0, usize::MAX).unwrap();
        log.last().map_or(0, |commit| commit.last)
    }

    fn renumber(&self, commit: &mut Commit) {
        let last = self.end(&commit.room);
        for (record, number) in commit.records.iter_mut().zip(last + 1..) {
            record.number = number;
        }
    }

    fn commit_one(&self, mut commit: Commit) -> Result<()> {
        let room = commit.room.clone();
        let newest = self.newest(&room).unwrap_or_else(|| commit.epoch.clone());
        match self.bug {
            Bug::StoredLater => {
                let late = std::mem::replace(&mut self.state().late, vec![commit]);
                self.rooms.commit(&late);
                return Ok(());
            }
            Bug::EmptyCommit if commit.records.is_empty() => return Ok(()),
            Bug::HalfOfACommit => commit.records.truncate(commit.records.len().div_ceil(2)),
            Bug::Gap if commit.first() > self.end(&room) + 1 => self.renumber(&mut commit),
            Bug::Again if commit.last() <= self.end(&room) => return Ok(()),
            Bug::NoFence => commit.epoch = newest,
            Bug::FenceByNumber if commit.epoch.number == newest.number => commit.epoch = newest,
            Bug::DeleteDoesNotFence if self.state().deleted.contains(&room) => commit.epoch = newest,
            Bug::LosesTheTwentieth => {
                let mut state = self.state();
                state.commits += 1;
                if state.commits.is_multiple_of(20) {
                    return Ok(());
                }
            }
            Bug::Race if commit.epoch == newest => {
                thread::sleep(Duration::from_micros(300));
                let mut state = self.state();
                if let Some(epochs) = state.epochs.get_mut(&room) {
                    commit.epoch = epochs[epochs.len() - 1].clone();
                }
                self.renumber(&mut commit);
                return self.rooms.commit(&[commit]).remove(0);
            }
            _ => {}
        }
        self.rooms.commit(&[commit]).remove(0)
    }

    /// The result of reading a log, with a bug of reading.
    fn misread(&self, log: &mut [StoredCommit]) {
        if self.is(Bug::OtherText) {
            log.iter_mut().for_each(|commit| commit.records = commit.records.trim_end().into());
        }
    }
}

impl Storage for Buggy {
    fn open(&self, room: &RoomName, epoch: &str, now: u64) -> Result<Opened> {
        let mut state = self.state();
        let mut opened = self.rooms.open(room, epoch, now)?;
        let mut present = opened.epochs.present().clone();
        let epochs = state.epochs.entry(room.clone()).or_default();
        if present.number == 1 {
            epochs.clear();
        }
        let before = epochs.clone();
        epochs.push(present.clone());
        match self.bug {
            Bug::OpeningWrites if present.number == 1 => {
                let record = Record { number: 1, seq: 0, author: None, decided: None, event: Event::Nothing };
                self.rooms.commit(&[Commit { room: room.clone(), epoch: present, time: now, records: vec![record] }]);
            }
            Bug::NoNewEpoch if !before.is_empty() => {
                opened.epochs = Epochs::new(Vec::new(), before[before.len() - 1].clone());
            }
            Bug::EpochsBeginAtZero => {
                present.begins = 0;
                opened.epochs = Epochs::new(before, present);
            }
            Bug::EpochsInMemory if present.number > 2 => {
                let before = vec![Epochs::first("a").present().clone()];
                present.number = 2;
                opened.epochs = Epochs::new(before, present);
            }
            Bug::NoList => opened.epochs = Epochs::new(Vec::new(), present),
            Bug::EpochsWithoutBound => opened.epochs = Epochs::new(before, present),
            Bug::OldestSnapshot => {
                let mut all = (0..100).map(|seq| self.rooms.snapshot_at(room, seq).unwrap());
                opened.snapshot = all.find_map(|snapshot| snapshot);
            }
            Bug::TrimmedBeforeStored => opened.snapshot = None,
            Bug::TrimmedOneTooFar if opened.snapshot.is_some() && !opened.log.is_empty() => {
                opened.log.remove(0);
            }
            Bug::TrimsWholeCommits if opened.snapshot.is_some() => {
                let number = state.snapshots.last().map_or(0, |snapshot| snapshot.number);
                opened.log.retain(|commit| Record::decode_lines(&commit.records).unwrap()[0].number > number);
            }
            Bug::DeleteLeavesEpochs if state.deleted.contains(room) && present.number == 1 => {
                present.number = 4;
                opened.epochs = Epochs::new(Vec::new(), present);
            }
            _ => {}
        }
        self.misread(&mut opened.log);
        Ok(opened)
    }

    fn commit(&self, commits: &[Commit]) -> Vec<Result<()>> {
        let is_fenced = |commit: &Commit| self.newest(&commit.room).is_some_and(|newest| newest != commit.epoch);
        if self.is(Bug::RefusedTakesOthersDown) && commits.iter().any(is_fenced) {
            return vec![Err(Error::new(ErrorKind::Refused, "one of them is refused")); commits.len()];
        }
        let mut outcomes: Vec<_> = commits.iter().map(|commit| self.commit_one(commit.clone())).collect();
        if self.is(Bug::OutcomesInAnotherOrder) {
            outcomes.rotate_left(1);
        }
        outcomes
    }

    fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()> {
        let mut snapshot = snapshot.clone();
        if self.is(Bug::NoFenceForSnapshots)
            && let Some(newest) = self.newest(&snapshot.room)
        {
            snapshot.epoch = newest;
        }
        let is_known = self.state().snapshots.iter().any(|known| known.number == snapshot.number);
        if self.is(Bug::FirstSnapshotStays) && is_known {
            return Ok(());
        }
        let keep_since = match self.bug {
            Bug::KeepSinceIgnored => u64::MAX,
            Bug::KeepAfterInsteadOfSince => keep_since + 1,
            Bug::NeverTrims => 0,
            _ => keep_since,
        };
        let outcome = self.rooms.snapshot(&snapshot, keep_since);
        self.state().snapshots.push(snapshot);
        match outcome {
            Err(error)
                if error.kind() == ErrorKind::Invalid
                    && matches!(self.bug, Bug::SnapshotOfWhatIsNotStored | Bug::LateSnapshot) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn log(&self, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>> {
        let (after, max_bytes) = match self.bug {
            Bug::LogFromInsteadOfAfter => (after.saturating_sub(1), max_bytes),
            Bug::LogWithoutBound => (after, usize::MAX),
            _ => (after, max_bytes),
        };
        let mut log = self.rooms.log(room, after, max_bytes)?;
        match self.bug {
            Bug::LogStuck => log.retain(|commit| commit.records.len() <= max_bytes),
            Bug::TornRead => {
                let first = |log: &[StoredCommit]| log.first().map(|commit| commit.last);
                let mut later = log.clone();
                for _ in 0..200 {
                    later = self.rooms.log(room, after, max_bytes)?;
                    if log.is_empty() || first(&later) != first(&log) {
                        break;
                    }
                    thread::sleep(Duration::from_micros(50));
                }
                log.truncate(1);
                log.extend(later.into_iter().skip(1));
            }
            _ => {}
        }
        self.misread(&mut log);
        Ok(log)
    }

    fn snapshot_at(&self, room: &RoomName, seq: u64) -> Result<Option<String>> {
        let found = self.rooms.snapshot_at(room, seq)?;
        let state = self.state();
        let left = state.snapshots.iter().find(|snapshot| snapshot.room == *room);
        Ok(found.or_else(|| left.filter(|_| self.is(Bug::DeleteLeavesSnapshots)).map(|left| left.text.clone())))
    }

    fn describe(&self, room: &RoomName) -> Result<Option<RoomInfo>> {
        let mut info = self.rooms.describe(room)?;
        if let Some(info) = info.as_mut().filter(|_| self.is(Bug::ChangedIsCreated)) {
            info.changed = info.created;
        }
        Ok(info)
    }

    fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>> {
        let mut list = self.rooms.list(after, max)?;
        match self.bug {
            Bug::Unordered => list.reverse(),
            Bug::ListFrom if max > 0 => {
                let from = after.map(|room| self.rooms.describe(room).unwrap());
                list.splice(0..0, from.flatten());
                list.truncate(max);
            }
            _ => {}
        }
        Ok(list)
    }

    fn delete(&self, room: &RoomName) -> Result<bool> {
        self.state().deleted.insert(room.clone());
        let deleted = self.rooms.delete(room)?;
        Ok(deleted || self.is(Bug::DeleteAlwaysTrue))
    }
}
