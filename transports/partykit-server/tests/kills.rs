//! Kills a process that commits as fast as it can, and checks what is stored: `cargo test --test kills -- --kills 200`.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write, stdout},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use roommate_partykit_proto::{Commit, Epoch, Event, Opened, Record, RoomName, Snapshot, Storage, StoredSnapshot};
use roommate_server::{Sqlite, SqliteConfig};

const NAME: &str = "r6_what_was_reported_as_stored_survives_kills_at_random_moments";
const ROOMS: [&str; 3] = ["a", "b", "c"];

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--commit-to", path, round] => commit_until_killed(Path::new(path), round.parse().unwrap()),
        ["--list", ..] => println!("{NAME}: test"),
        ["--kills", kills] => kill(kills.parse().unwrap()),
        [filter, ..] if !filter.starts_with('-') && !NAME.contains(filter) => {}
        _ => kill(25),
    }
}

fn kill(kills: u64) {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("test {NAME}: {kills} kills, seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rooms.db");
    let mut random = seed;
    let (mut reported, mut epochs, mut unreported) = (BTreeMap::new(), 0, 0);
    for round in 0..kills {
        let (mut child, mut lines) = start(&path, round);
        // It has stored something.
        read_line(&mut lines, &mut reported).expect("it commits");
        let reader = thread::spawn(move || {
            while read_line(&mut lines, &mut reported).is_some() {}
            reported
        });
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_micros((random >> 33) % 150_000));
        child.kill().unwrap();
        child.wait().unwrap();
        reported = reader.join().unwrap();
        let storage = Sqlite::open(&path).unwrap();
        for room in ROOMS {
            let opened = storage.open(&RoomName::main(room), &format!("check-{round}"), 0).unwrap();
            // Each round opens the room twice. The very first opening finds nothing stored.
            assert_eq!(opened.epochs.present().number, 2 * (round + 1), "round {round}: an epoch is lost");
            let last = check(&opened);
            let printed = reported.get(room).copied().unwrap_or(0);
            assert!(last >= printed, "round {round}: of {room}, {printed} was reported as stored, and {last} is");
            unreported += last - printed;
            epochs = opened.epochs.present().number;
        }
        drop(storage);
        let connection = rusqlite::Connection::open(&path).unwrap();
        let found: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
        assert_eq!(found, "ok", "round {round}");
    }
    let records: u64 = reported.values().sum();
    println!("ok: {records} records are there, {unreported} more than were reported, in {epochs} epochs of each room");
}

fn start(path: &Path, round: u64) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("--commit-to").args([path.as_os_str(), round.to_string().as_ref()]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

/// Reads what was reported as stored; `None` when the process has ended. An incomplete line is ignored.
fn read_line(lines: &mut BufReader<ChildStdout>, reported: &mut BTreeMap<String, u64>) -> Option<()> {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    for stored in line.strip_suffix('\n')?.split(' ') {
        let (room, last) = stored.split_once('=').unwrap();
        reported.insert(room.into(), last.parse().unwrap());
    }
    Some(())
}

/// Checks the stored parts of a room, and returns the number of its last record.
fn check(opened: &Opened) -> u64 {
    let snapshot = opened.snapshot.as_ref().map(|text| Snapshot::decode(text).unwrap());
    let mut last = snapshot.map_or(0, |snapshot| snapshot.number);
    for record in opened.log.iter().flat_map(|commit| Record::decode_lines(&commit.records).unwrap()) {
        assert_eq!(record.number, last + 1, "the log has a gap");
        assert_eq!(record.author.as_deref(), Some(&*text(record.number)), "it is as it was committed");
        last = record.number;
    }
    last
}

fn text(number: u64) -> String {
    number.to_string().repeat(number as usize % 100)
}

/// Commits to the rooms and stores snapshots, and prints each once it was reported as stored.
fn commit_until_killed(path: &Path, round: u64) {
    // Every other time with a short log, so that the process is also killed during checkpoints.
    let config = SqliteConfig::new().with_wal_bytes(if round.is_multiple_of(2) { 0 } else { 8 << 20 });
    let storage = Sqlite::open_with(path, config).unwrap();
    let mut rooms = ROOMS.map(|room| {
        let room = RoomName::main(room);
        let opened = storage.open(&room, &format!("{round}"), 0).unwrap();
        let last = check(&opened);
        (room, opened.epochs.present().clone(), last)
    });
    for step in 1.. {
        let commits = rooms.each_mut().map(|(room, epoch, last)| commit(room, epoch, last, step % 4 + 1));
        storage.commit(&commits).into_iter().for_each(Result::unwrap);
        let line: Vec<_> = rooms.iter().map(|(room, _, last)| format!("{}={last}", room.room())).collect();
        stdout().write_all((line.join(" ") + "\n").as_bytes()).unwrap();
        if step % 20 == 0 {
            let (room, epoch, last) = &rooms[(step / 20 % 3) as usize];
            storage.snapshot(&snapshot(room, epoch, *last), u64::MAX).unwrap();
        }
    }
}

fn commit(room: &RoomName, epoch: &Epoch, last: &mut u64, records: u64) -> Commit {
    let records = (*last + 1..=*last + records).map(|number| {
        let event = Event::Changed("[{},{},1]".into());
        Record { number, seq: number, author: Some(text(number).into()), decided: None, event }
    });
    let commit = Commit { records: records.collect(), room: room.clone(), epoch: epoch.clone(), time: 1 };
    *last = commit.last();
    commit
}

fn snapshot(room: &RoomName, epoch: &Epoch, number: u64) -> StoredSnapshot {
    let text = Snapshot { number, seq: number, time: None, content: None, clients: Vec::new() }.encode();
    StoredSnapshot { room: room.clone(), epoch: epoch.clone(), number, seq: number, text }
}
