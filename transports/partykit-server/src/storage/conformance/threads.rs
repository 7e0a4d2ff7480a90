//! Calls from several threads at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use roommate_partykit_proto::{Record, RoomName, Snapshot, Storage};

use super::{
    Open,
    support::{Owner, Random, numbers, whole_log},
};

const WRITERS: usize = 3;
const ROOMS: usize = 3;
const COMMITS: u64 = 100;

/// Many threads commit to rooms, read them and store snapshots at once. Nothing is lost.
pub fn rooms_are_written_and_read_from_many_threads(open: Open<'_>) {
    const LINE: &str = "rooms are committed, read, and stored in snapshots from many threads at once, and lose nothing";
    let storage = open();
    let storage = &*storage;
    let committed = [const { [const { AtomicU64::new(0) }; ROOMS] }; WRITERS];
    let have_ended = AtomicBool::new(false);
    let (take, taken) = mpsc::channel::<(Owner, u64)>();
    thread::scope(|scope| {
        let readers = [1, 2].map(|seed| {
            let (committed, have_ended) = (&committed, &have_ended);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                while !have_ended.load(Ordering::Acquire) {
                    let (writer, room) = (random.below(WRITERS as u64) as usize, random.below(ROOMS as u64) as usize);
                    let before = committed[writer][room].load(Ordering::Acquire);
                    let name = name(writer, room);
                    let log = numbers(&whole_log(storage, &RoomName::main(name)));
                    assert!(log.windows(2).all(|pair| pair[0] + 1 == pair[1]), "the log has no gap: {LINE}");
                    assert!(before == 0 || log.last() >= Some(&before), "what was committed is read: {LINE}");
                    storage.list(None, 100).expect(LINE);
                    thread::yield_now();
                }
            })
        });
        let snapshots = scope.spawn(move || {
            for (owner, number) in taken {
                // Removes all unnecessary log each time, except the last commit, which the readers look for.
                storage.snapshot(&owner.snapshot(number), u64::MAX).expect(LINE);
            }
        });
        let writers = committed.iter().enumerate().map(|(writer, committed)| {
            let take = take.clone();
            scope.spawn(move || write(storage, writer, committed, &take))
        });
        let writers: Vec<_> = writers.collect();
        drop(take);
        let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        have_ended.store(true, Ordering::Release);
        let ended = ended.into_iter().chain([snapshots.join()]).chain(readers.map(thread::ScopedJoinHandle::join));
        assert!(ended.into_iter().all(|ended| ended.is_ok()), "{LINE}");
    });
    for (writer, committed) in committed.iter().enumerate() {
        for (room, committed) in committed.iter().enumerate() {
            let opened = Owner::open_all(storage, &name(writer, room), "end").1;
            let base = opened.snapshot.map_or(0, |text| Snapshot::decode(&text).expect(LINE).number);
            let expected: Vec<_> = (base + 1..=committed.load(Ordering::Acquire)).collect();
            // The snapshot includes only the first of a commit's two records.
            let mut read = numbers(&opened.log);
            read.retain(|number| *number > base);
            assert_eq!(read, expected, "after a snapshot of {base}: {LINE}");
        }
    }
}

/// Commits to some rooms again and again, and asks for snapshots.
fn write(storage: &dyn Storage, writer: usize, committed: &[AtomicU64; ROOMS], take: &mpsc::Sender<(Owner, u64)>) {
    let mut random = Random::new(100 + writer as u64);
    let mut owners: Vec<_> = (0..ROOMS).map(|room| Owner::open(storage, &name(writer, room), "a")).collect();
    for _ in 0..COMMITS {
        let commits: Vec<_> = owners.iter_mut().map(|owner| owner.next(1, &["x", "y"])).collect();
        for outcome in storage.commit(&commits) {
            outcome.expect("a commit of the only owner is stored");
        }
        if random.one_in(4) {
            // Gives the readers a turn, on a machine with few cores and a fast storage.
            thread::sleep(Duration::from_micros(50));
        }
        for (owner, committed) in owners.iter().zip(committed) {
            committed.store(owner.last, Ordering::Release);
            if random.one_in(5) {
                // Not of the last commit, so that the log is never empty.
                take.send((owner.clone(), owner.last - 1)).expect("snapshots are taken");
            }
        }
    }
}

fn name(writer: usize, room: usize) -> String {
    format!("{writer}-{room}")
}

/// If owners compete for a room, one of them wins each number of its log. What is stored is what was reported as
/// stored.
pub fn of_owners_that_compete_one_wins_each_number(open: Open<'_>) {
    const LINE: &str = "of owners that compete for a room, one wins each number of its log";
    let storage = open();
    let storage = &*storage;
    let stored: Mutex<Vec<(u64, String)>> = Mutex::default();
    thread::scope(|scope| {
        for thread in 0..4 {
            let stored = &stored;
            scope.spawn(move || {
                for round in 0..12 {
                    let mut owner = Owner::open(storage, "r", &format!("{thread}-{round}"));
                    for commit in 0..4 {
                        let text = format!("{thread}-{round}-{commit}");
                        let commit = owner.next(1, &[&text]);
                        if storage.commit(&[commit]).iter().all(Result::is_ok) {
                            stored.lock().unwrap_or_else(PoisonError::into_inner).push((owner.last, text));
                        } else {
                            owner.last -= 1;
                        }
                        thread::yield_now();
                    }
                }
            });
        }
    });
    let mut stored = stored.into_inner().unwrap_or_else(PoisonError::into_inner);
    stored.sort_unstable();
    let log = whole_log(storage, &RoomName::main("r"));
    let records = log.iter().flat_map(|commit| Record::decode_lines(&commit.records).expect(LINE));
    let read: Vec<_> =
        records.map(|record| (record.number, record.author.map(|text| text.to_string()).unwrap_or_default())).collect();
    assert_eq!(read, stored, "{LINE}");
    assert_eq!(read.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=read.len() as u64).collect::<Vec<_>>());
    let epochs = Owner::open(storage, "r", "end").epoch.number;
    assert!(epochs > 1, "every opening counts, once the room is stored: {LINE}");
}
