//! Measures the SQLite storage on the disk of a folder: `cargo run --release --example storage -- [FOLDER]`.
//!
//! If the machine is busy with other work, compare only the ratios to the bare `fdatasync` of the same run.

use std::{
    env, error, fs,
    io::{Seek, Write},
    path::Path,
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use roommate::Content;
use roommate_partykit_proto::{Commit, Epoch, Event, Record, RoomName, Snapshot, Storage, StoredSnapshot};
use roommate_server::Sqlite;

type Result<T = (), E = Box<dyn error::Error>> = std::result::Result<T, E>;

/// A room that is committed to.
#[derive(Clone)]
struct Room {
    name: RoomName,
    epoch: Epoch,
    last: u64,
}

fn main() -> Result {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [mode, number, path] = &args[..]
        && mode == "--use"
    {
        return use_hundred(number.parse()?, path.as_ref());
    }
    let folder = args.first().map_or_else(env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder)?;
    let syncs = bare_syncs(folder.path())?;
    println!(
        "write of 12 KiB and fdatasync: p50 {:.0} us, p99 {:.0} us",
        us(syncs, 0.5),
        us(bare_syncs(folder.path())?, 0.99)
    );
    for (rooms, records, commits) in [(1, 1, 3000), (1, 16, 2000), (1, 256, 1000), (16, 16, 500), (256, 1, 300)] {
        commits_of(folder.path(), rooms, records, commits)?;
    }
    flood(folder.path())?;
    openings(folder.path())?;
    removals(folder.path())?;
    many_rooms(folder.path())
}

/// Commits one after another, each to some rooms with some records for each.
fn commits_of(folder: &Path, in_one: usize, records: u64, commits: usize) -> Result {
    let path = folder.join("commits.db");
    let storage = Sqlite::open(&path)?;
    let mut rooms = open_rooms(&storage, 1000)?;
    let (start, cpu) = (Instant::now(), cpu());
    let mut times = Vec::with_capacity(commits);
    for round in 0..commits {
        let slice: Vec<_> = (0..in_one).map(|n| rooms[(round * 7 + n * 3) % 1000].next(records)).collect();
        let start = Instant::now();
        store(&storage, &slice)?;
        times.push(start.elapsed());
    }
    let (time, cpu) = (start.elapsed().as_secs_f64(), self::cpu() - cpu);
    let total = (commits * in_one) as f64 * records as f64;
    drop(storage);
    let size = fs::metadata(&path)?.len() as f64 / total;
    let text = rooms[0].next(1).encode().len();
    println!(
        "{in_one:>3} rooms x {records:>3} records: {:>7.0} records/s, {:>5.0} commits/s, p50 {:>4.0} us, p99 {:>5.0} us, CPU {:>5.2} us \
         and {size:.0} bytes of file a record of {text} bytes",
        total / time,
        commits as f64 / time,
        us(times.clone(), 0.5),
        us(times, 0.99),
        cpu.as_secs_f64() * 1e6 / total,
    );
    remove(&path)
}

/// Commits as many records as the storage accepts, while another thread opens a room.
fn flood(folder: &Path) -> Result {
    let path = folder.join("flood.db");
    let storage = Sqlite::open(&path)?;
    let mut rooms = open_rooms(&storage, 64)?;
    let other = open_rooms(&storage, 65)?.remove(64);
    store(&storage, &[other.clone().next(1)])?;
    let ended = AtomicBool::new(false);
    let (times, opens, wal) = thread::scope(|scope| {
        let opens = scope.spawn(|| {
            let mut times = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let start = Instant::now();
                storage.open(&other.name, "again", 0).expect("a room is opened");
                times.push(start.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            times
        });
        let wal = scope.spawn(|| {
            let wal = path.with_extension("db-wal");
            let mut largest = 0;
            while !ended.load(Ordering::Relaxed) {
                largest = largest.max(fs::metadata(&wal).map_or(0, |data| data.len()));
                thread::sleep(Duration::from_millis(5));
            }
            largest
        });
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < Duration::from_secs(5) {
            let slice: Vec<_> = rooms.iter_mut().map(|room| room.next(64)).collect();
            let start = Instant::now();
            store(&storage, &slice).expect("commits are stored");
            times.push(start.elapsed());
        }
        ended.store(true, Ordering::Relaxed);
        (times, opens.join().expect("no panic"), wal.join().expect("no panic"))
    });
    drop(storage);
    println!(
        "flood, 5 s: {:.0} records/s, {} MiB, commit p50 {:.0} us, p99 {:.0} us, longest {:.0} us; open p50 {:.0} us, longest \
         {:.0} us; log at most {:.1} MiB",
        times.len() as f64 * 4096.0 / 5.0,
        fs::metadata(&path)?.len() >> 20,
        us(times.clone(), 0.5),
        us(times.clone(), 0.99),
        us(times, 1.0),
        us(opens.clone(), 0.5),
        us(opens, 1.0),
        wal as f64 / f64::from(1 << 20),
    );
    remove(&path)
}

/// Opens a room of 100,000 cells.
fn openings(folder: &Path) -> Result {
    let path = folder.join("open.db");
    let storage = Sqlite::open(&path)?;
    let mut room = open_rooms(&storage, 1)?.remove(0);
    store(&storage, &[room.next(1)])?;
    let cells =
        |row: usize| (0..5).map(|cell| format!("\"c{cell}\":\"x{}\"", row * cell)).collect::<Vec<_>>().join(",");
    let rows: Vec<_> = (0..20_000).map(|row| format!("\"r{row}\":{{{}}}", cells(row))).collect();
    let content = Content::from_json(&format!("[{{\"t\":{{{}}}}},{{}}]", rows.join(",")))?.value;
    let text = Snapshot { number: 1, seq: 1, time: None, content: Some(content), clients: Vec::new() }.encode();
    let size = text.len();
    let start = Instant::now();
    storage
        .snapshot(&StoredSnapshot { room: room.name.clone(), epoch: room.epoch.clone(), number: 1, seq: 1, text }, 0)?;
    let stored = start.elapsed();
    let (mut reads, mut decodes) = (Vec::new(), Vec::new());
    for round in 0..20 {
        let start = Instant::now();
        let opened = storage.open(&room.name, &round.to_string(), 0)?;
        reads.push(start.elapsed());
        let start = Instant::now();
        let snapshot = Snapshot::decode(&opened.snapshot.ok_or("no snapshot")?)?;
        decodes.push(start.elapsed());
        assert!(snapshot.content.is_some());
    }
    println!(
        "a room of 100,000 cells, {size} bytes: stored in {:.1} ms, opened in {:.1} ms and decoded in {:.1} ms (p50)",
        stored.as_secs_f64() * 1e3,
        us(reads, 0.5) / 1e3,
        us(decodes, 0.5) / 1e3
    );
    drop(storage);
    remove(&path)
}

/// How long commits of one room wait while another room's old log is removed, and then the whole room.
fn removals(folder: &Path) -> Result {
    let path = folder.join("removals.db");
    let storage = Sqlite::open(&path)?;
    let mut rooms = open_rooms(&storage, 2)?;
    let (mut large, mut other) = (rooms.remove(0), rooms.remove(0));
    for _ in 0..20_000 {
        store(&storage, &[large.next(40)])?;
    }
    let size = fs::metadata(&path)?.len() >> 20;
    let snapshot = |room: &Room, number| StoredSnapshot {
        room: room.name.clone(),
        epoch: room.epoch.clone(),
        number,
        seq: number,
        text: "{}".into(),
    };
    let mut while_done = |name: &str, work: &(dyn Fn() + Sync)| {
        let (took, times) = thread::scope(|scope| {
            let work = scope.spawn(|| {
                let start = Instant::now();
                work();
                start.elapsed()
            });
            let mut times = Vec::new();
            while !work.is_finished() {
                let start = Instant::now();
                store(&storage, &[other.next(1)]).expect("commits are stored");
                times.push(start.elapsed());
            }
            (work.join().expect("no panic"), times)
        });
        println!(
            "{name} of {size} MiB: {:.0} ms, of {} commits meanwhile p50 {:.0} us, p99 {:.0}, longest {:.0}",
            took.as_secs_f64() * 1e3,
            times.len(),
            us(times.clone(), 0.5),
            us(times.clone(), 0.99),
            us(times, 1.0)
        );
    };
    while_done("removing half of a log", &|| {
        storage.snapshot(&snapshot(&large, large.last / 2), u64::MAX).expect("a snapshot is stored");
    });
    while_done("removing a room, half", &|| assert!(storage.delete(&large.name).expect("a room is removed")));
    drop(storage);
    remove(&path)
}

/// The memory of a storage with 100,000 rooms, of which 100 are in use. Each is measured in a process of its own.
fn many_rooms(folder: &Path) -> Result {
    let path = folder.join("many.db");
    for number in [100, 100_000] {
        let storage = Sqlite::open(&path)?;
        for from in (0..number).step_by(1000) {
            let mut rooms = new_rooms(from..number.min(from + 1000));
            store(&storage, &rooms.iter_mut().map(|room| room.next(3)).collect::<Vec<_>>())?;
        }
        drop(storage);
        let mut child = process::Command::new(env::current_exe()?);
        let ended = child.args(["--use".as_ref(), number.to_string().as_ref(), path.as_os_str()]).status()?;
        assert!(ended.success());
        remove(&path)?;
    }
    Ok(())
}

fn use_hundred(number: usize, path: &Path) -> Result {
    let (start, before) = (Instant::now(), resident());
    let storage = Sqlite::open(path)?;
    let opened = start.elapsed();
    let mut rooms = open_rooms_at(&storage, (0..100).map(|n| n * number / 100))?;
    for _ in 0..100 {
        store(&storage, &rooms.iter_mut().map(|room| room.next(1)).collect::<Vec<_>>())?;
    }
    println!(
        "{number} stored rooms, 100 in use: file of {:.1} MiB opened in {:.1} ms, {} KiB of memory",
        fs::metadata(path)?.len() as f64 / f64::from(1 << 20),
        opened.as_secs_f64() * 1e3,
        resident().saturating_sub(before) >> 10
    );
    Ok(())
}

impl Room {
    /// A commit of some records.
    fn next(&mut self, records: u64) -> Commit {
        let records = (self.last + 1..=self.last + records).map(|number| {
            let changes = format!("[{{\"items\":{{\"row{}\":{{\"note\":\"{number}\"}}}}}},{{}},1]", number % 1000);
            let event = Event::Changed(changes.as_str().into());
            Record { number, seq: number, author: Some("client-0123".into()), decided: None, event }
        });
        let commit =
            Commit { records: records.collect(), room: self.name.clone(), epoch: self.epoch.clone(), time: self.last };
        self.last = commit.last();
        commit
    }
}

fn new_rooms(numbers: std::ops::Range<usize>) -> Vec<Room> {
    let room = |number| {
        let epoch = Epoch { number: 1, id: format!("{number:020}").into(), begins: 0 };
        Room { name: RoomName::main(format!("room-{number}")), epoch, last: 0 }
    };
    numbers.map(room).collect()
}

fn open_rooms(storage: &Sqlite, number: usize) -> Result<Vec<Room>> {
    open_rooms_at(storage, 0..number)
}

fn open_rooms_at(storage: &Sqlite, numbers: impl Iterator<Item = usize>) -> Result<Vec<Room>> {
    numbers
        .map(|number| {
            let name = RoomName::main(format!("room-{number}"));
            let opened = storage.open(&name, &format!("{number:019}+"), 0)?;
            let last = opened.log.last().map_or(0, |commit| commit.last);
            Ok(Room { name, epoch: opened.epochs.present().clone(), last })
        })
        .collect()
}

fn store(storage: &Sqlite, commits: &[Commit]) -> Result {
    storage.commit(commits).into_iter().collect::<Result<(), _>>().map_err(Into::into)
}

/// Writes three pages at a time to a file of fixed size, and syncs each write.
fn bare_syncs(folder: &Path) -> Result<Vec<Duration>> {
    let path = folder.join("bare");
    let mut file = fs::File::create(&path)?;
    file.write_all(&vec![0; 8 << 20])?;
    file.sync_all()?;
    file.rewind()?;
    let mut times = Vec::new();
    for _ in 0..600 {
        let start = Instant::now();
        file.write_all(&[1; 3 * 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    Ok(times)
}

fn us(mut times: Vec<Duration>, quantile: f64) -> f64 {
    times.sort_unstable();
    let index = (times.len().saturating_sub(1)) as f64 * quantile;
    times.get(index as usize).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// The CPU time of all threads. Linux counts it in hundredths of a second.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// The resident memory in bytes; 0 if there is no `/proc`.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) << 10
}

fn remove(path: &Path) -> Result {
    for extension in ["db", "db-lock"] {
        fs::remove_file(path.with_extension(extension))?;
    }
    Ok(())
}
