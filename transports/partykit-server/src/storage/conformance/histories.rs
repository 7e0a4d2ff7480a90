//! Random histories, compared with the model.

use std::{collections::BTreeMap, fmt::Debug};

use roommate::Result;
use roommate_partykit_proto::{Commit, Epochs, Memory, RoomName, Storage, StoredSnapshot};

use super::{
    Open,
    support::{Owner, Random, Reopening, end, snapshot_text},
};

const HISTORIES: u64 = 12;
const STEPS: u64 = 150;
const ROOMS: [&str; 4] = ["a", "b", "c", "d"];

/// Random histories of calls have the same outcomes as in [`Memory`], and end in the same state.
///
/// The owners of rooms compete, leave gaps, repeat commits, and continue after their room was removed. Clocks go
/// backwards.
pub fn random_histories_end_as_in_the_model(open: Open<'_>) {
    let mut storage = Reopening::new(open);
    for seed in 0..HISTORIES {
        let mut history = History::new(seed);
        for step in 0..STEPS {
            history.label = format!("seed {seed}, step {step}");
            if history.random.one_in(40) {
                storage.restart();
            }
            history.step(storage.get());
        }
        storage.restart();
        history.label = format!("the end of seed {seed}");
        history.end(storage.get());
    }
}

struct History {
    random: Random,
    model: Memory,
    /// For each room, the owner that opened it last, at the end of the list.
    owners: BTreeMap<&'static str, Vec<Owner>>,
    /// For each room, the sequence numbers after each of its records.
    seqs: BTreeMap<&'static str, Vec<u64>>,
    time: u64,
    epochs: u64,
    label: String,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            model: Memory::new(),
            owners: BTreeMap::new(),
            seqs: BTreeMap::new(),
            time: 1000,
            epochs: 0,
            label: String::new(),
        }
    }

    fn step(&mut self, storage: &dyn Storage) {
        self.time = (self.time + self.random.below(5)).saturating_sub(1);
        let room = self.room();
        let name = RoomName::main(room);
        match self.random.below(20) {
            0..3 => self.open(storage, room),
            3..12 => self.commit(storage),
            12..15 => self.snapshot(storage, room),
            15 | 16 => {
                let (after, max_bytes) = (self.random.below(20), self.random.below(600) as usize);
                self.same(storage.log(&name, after, max_bytes), self.model.log(&name, after, max_bytes));
            }
            17 => {
                let seq = self.random.below(20);
                self.same(storage.snapshot_at(&name, seq), self.model.snapshot_at(&name, seq));
            }
            18 => {
                self.same(storage.describe(&name), self.model.describe(&name));
                let max = self.random.below(5) as usize;
                let after = self.random.one_in(2).then_some(&name);
                self.same(storage.list(after, max), self.model.list(after, max));
            }
            _ if self.random.one_in(3) => {
                self.same(storage.delete(&name), self.model.delete(&name));
                self.seqs.remove(room);
            }
            _ => {}
        }
    }

    fn room(&mut self) -> &'static str {
        ROOMS[self.random.below(ROOMS.len() as u64) as usize]
    }

    fn open(&mut self, storage: &dyn Storage, room: &'static str) {
        self.epochs += 1;
        let (name, epoch) = (RoomName::main(room), format!("e{}", self.epochs));
        let opened = storage.open(&name, &epoch, self.time);
        self.same(opened.clone(), self.model.open(&name, &epoch, self.time));
        if let Ok(opened) = opened {
            let (last, seq) = end(&opened);
            let owner = Owner { room: name, epoch: opened.epochs.present().clone(), last, seq };
            let owners = self.owners.entry(room).or_default();
            owners.push(owner);
            if owners.len() > 3 {
                owners.remove(0);
            }
        }
    }

    /// One of the room's owners, mostly the newest.
    fn owner(&mut self, room: &'static str) -> Option<usize> {
        let owners = self.owners.get(room).map_or(0, Vec::len);
        let back = if self.random.one_in(6) { self.random.below(3) as usize } else { 0 };
        owners.checked_sub(1 + back)
    }

    fn commit(&mut self, storage: &dyn Storage) {
        let mut commits: Vec<Commit> = Vec::new();
        let mut authors = Vec::new();
        for room in ROOMS {
            let Some(index) = self.owner(room).filter(|_| self.random.one_in(2)) else { continue };
            let mut owner = self.owners[room][index].clone();
            match self.random.below(16) {
                0 => owner.last += 1,
                1 => owner.last = owner.last.saturating_sub(1),
                2 => owner.epoch = Epochs::first("nobody").present().clone(),
                _ => {}
            }
            let texts = ["x", "yy", "zzz"];
            let mut commit = owner.next(self.time, &texts[..self.random.below(4) as usize]);
            if self.random.one_in(4) {
                // Refused changes: they do not raise the sequence number.
                let before = owner.seq - commit.records.len() as u64;
                commit.records.iter_mut().for_each(|record| record.seq = before);
                owner.seq = before;
            }
            commits.push(commit);
            authors.push((room, index, owner));
        }
        let outcomes = storage.commit(&commits);
        let expected = self.model.commit(&commits);
        assert_eq!(outcomes.len(), expected.len(), "{}: an outcome for each commit", self.label);
        for (((outcome, expected), commit), (room, index, owner)) in
            outcomes.into_iter().zip(expected).zip(commits).zip(authors)
        {
            let is_stored = outcome.is_ok();
            self.same(outcome, expected);
            if is_stored {
                let seqs = self.seqs.entry(room).or_default();
                seqs.extend(commit.records.iter().map(|record| record.seq));
                if let Some(stored) = self.owners.get_mut(room).and_then(|owners| owners.get_mut(index)) {
                    *stored = owner;
                }
            }
        }
    }

    fn snapshot(&mut self, storage: &dyn Storage, room: &'static str) {
        let Some(index) = self.owner(room) else { return };
        let owner = &self.owners[room][index];
        let number = (owner.last + 1).saturating_sub(self.random.below(4));
        let seqs = self.seqs.get(room);
        let seq = seqs.and_then(|seqs| seqs.get((number as usize).checked_sub(1)?)).copied().unwrap_or(0);
        let text = snapshot_text(number, seq);
        let snapshot = StoredSnapshot { room: owner.room.clone(), epoch: owner.epoch.clone(), number, seq, text };
        let keep_since = match self.random.below(4) {
            0 => 0,
            1 => u64::MAX,
            _ => self.time.saturating_sub(self.random.below(30)),
        };
        self.same(storage.snapshot(&snapshot, keep_since), self.model.snapshot(&snapshot, keep_since));
    }

    fn end(&mut self, storage: &dyn Storage) {
        self.same(storage.list(None, 100), self.model.list(None, 100));
        for room in ROOMS {
            let name = RoomName::main(room);
            self.same(storage.describe(&name), self.model.describe(&name));
            for seq in 0..40 {
                self.same(storage.snapshot_at(&name, seq), self.model.snapshot_at(&name, seq));
            }
            self.same(storage.log(&name, 0, usize::MAX), self.model.log(&name, 0, usize::MAX));
            self.open(storage, room);
            self.same(storage.delete(&name), self.model.delete(&name));
        }
    }

    /// Checks that both had the same result. Of errors, it compares the kind.
    fn same<T: Debug + PartialEq>(&self, outcome: Result<T>, expected: Result<T>) {
        let [outcome, expected] = [outcome, expected].map(|outcome| outcome.map_err(|error| error.kind()));
        assert!(outcome == expected, "{}: {outcome:?} and in the model {expected:?}", self.label);
    }
}
