//! Rooms in a SQLite file.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::{Commit, Opened, RoomInfo, RoomName, Storage, StoredCommit, StoredSnapshot};
use rusqlite::Connection;
use tracing::warn;

mod checkpoint;
mod errors;
mod file;
mod log;
mod read;
#[cfg(test)]
mod tests;
mod write;

use checkpoint::Checkpoints;
use errors::Errors;
use file::Lock;
use log::Log;

/// Stores rooms in a SQLite file.
///
/// The file is in WAL mode, and every commit is synced to the disk before it is reported as stored. In the same folder
/// are SQLite's files, with the same name and `-wal` and `-shm` added, and a file with `-lock` added, which is locked
/// against a second server. Other programs may read the file at any time: `sqlite3`'s shell, its `.backup` and `VACUUM
/// INTO`, Litestream. They may see a change a moment before it is synced and sent to any client.
///
/// Dropping the storage closes the file. If the process is killed instead, what was stored is still there.
///
/// ```
/// use roommate_server::{RoomName, Sqlite, Storage};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("rooms.db");
/// let storage = Sqlite::open(&path)?;
/// assert_eq!(storage.describe(&RoomName::main("lobby"))?, None);
/// let second = Sqlite::open(&path).unwrap_err();
/// assert!(second.to_string().contains("is open in another server"));
/// # Ok::<(), roommate_server::Error>(())
/// ```
pub struct Sqlite {
    shared: Arc<Shared>,
    checkpoints: Checkpoints,
    /// Dropped last: the file is locked while there are connections.
    _lock: Lock,
}

/// The configuration of a [`Sqlite`] storage.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    max_bytes: Option<u64>,
    wal_bytes: u64,
}

/// What the checkpoint thread uses, too.
struct Shared {
    path: PathBuf,
    /// The one connection that writes.
    writer: Mutex<Connection>,
    log: Log,
    /// Held by the thread that waits for the writer next.
    turn: Mutex<()>,
    /// Reading connections that are idle.
    readers: Mutex<Vec<Connection>>,
    errors: Errors,
}

/// The maximum number of idle reading connections. Further readers open their own.
const IDLE_READERS: usize = 4;

impl SqliteConfig {
    /// No limit for the file, and 8 MiB of write-ahead log.
    pub fn new() -> Self {
        Self { max_bytes: None, wal_bytes: 8 << 20 }
    }

    /// Limits the size of the file. Defaults to no limit.
    ///
    /// A write that would make the file larger fails as on a full disk. The separate write-ahead log does not count. A
    /// file that is larger already does not grow.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets the size of the write-ahead log. Defaults to 8 MiB, and is at least 256 KiB.
    ///
    /// The log has this size from the beginning, because overwriting a file is faster than letting it grow. When half
    /// of it is filled, its content is moved to the main file. The log grows larger while writes come faster than that,
    /// and while another program reads the file for a long time.
    pub fn with_wal_bytes(mut self, bytes: u64) -> Self {
        self.wal_bytes = bytes.max(256 << 10);
        self
    }
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl Sqlite {
    /// Opens the file at `path`, or creates it.
    ///
    /// A file of an older version is upgraded.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](roommate::ErrorKind::Unavailable) if the file cannot be read, written or created, or is open in
    /// another server. [`Unsupported`](roommate::ErrorKind::Unsupported) if a newer version of this program wrote it,
    /// and [`Invalid`](roommate::ErrorKind::Invalid) if it is not a file of rooms; both leave the file unchanged.
    /// [`Corrupt`](roommate::ErrorKind::Corrupt) if it is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteConfig::new())
    }

    /// Opens the file at `path`, or creates it, with the configuration `config`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, config: SqliteConfig) -> Result<Self> {
        Self::open_with_log(path.as_ref(), &config, Log::open)
    }

    fn open_with_log(
        path: &Path,
        config: &SqliteConfig,
        open_log: impl FnOnce(&Path) -> io::Result<Log>,
    ) -> Result<Self> {
        let path = file::full_path(path)?;
        let errors = Errors::new(&path);
        file::check_header(&path)?;
        let lock = Lock::take(&path)?;
        let writer = file::open_writer(&path, config, &errors)?;
        let log = open_log(&path).map_err(|error| {
            let message = format!("the write-ahead log of {} cannot be opened ({error})", path.display());
            Error::with_source(ErrorKind::Unavailable, message, error)
        })?;
        let (writer, turn, readers) = (Mutex::new(writer), Mutex::new(()), Mutex::default());
        let shared = Shared { path, writer, log, turn, readers, errors };
        let shared = Arc::new(shared);
        let checkpoints = Checkpoints::start(Arc::clone(&shared), config.wal_bytes / 2)?;
        let storage = Self { shared, checkpoints, _lock: lock };
        let unfinished =
            write::unfinished(&storage.shared.writer()).map_err(|error| storage.shared.errors.of(error))?;
        unfinished.iter().for_each(|log| storage.remove(log));
        Ok(storage)
    }

    /// Returns the full path of the file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }
}

/// The result of a transaction, and its number in the log.
struct Written<T> {
    value: T,
    number: u64,
}

impl Sqlite {
    /// Runs a transaction. `has_written` then says whether it has changed anything. The transaction is not durable yet.
    fn write<T>(
        &self,
        write: impl FnOnce(&mut Connection) -> Result<T>,
        has_written: impl FnOnce(&T) -> bool,
    ) -> Result<Written<T>> {
        let mut writer = self.shared.writer();
        let number = self.shared.log.begin()?;
        let value = write(&mut writer);
        // A failed transaction was rolled back.
        self.shared.log.end(number, value.as_ref().is_ok_and(has_written));
        self.checkpoints.look(&writer);
        Ok(Written { value: value?, number })
    }

    fn durable<T>(&self, written: Written<T>) -> Result<T> {
        self.shared.log.sync(written.number)?;
        Ok(written.value)
    }

    /// Removes commits in slices, so that other commits do not wait for all of it.
    ///
    /// Commits that cannot be removed, or that a crash left, only take space: until the room's next snapshot or, if the
    /// room was deleted, until the next start.
    fn remove(&self, old: &write::Old) {
        loop {
            let start = Instant::now();
            let of = |error| self.shared.errors.of(error);
            match self.write(|writer| old.remove_some(writer).map_err(of), |_| true) {
                Ok(Written { value: true, .. }) => return,
                // Other commits get as much time as this removal.
                Ok(_) => thread::sleep(start.elapsed()),
                Err(error) => {
                    warn!(%error, "log that is not needed any more is not removed, and takes space");
                    return;
                }
            }
        }
    }
}

impl Storage for Sqlite {
    fn open(&self, room: &RoomName, epoch: &str, _now: u64) -> Result<Opened> {
        let of = |error| self.shared.errors.of(error);
        let begun = self.write(|writer| write::begin_epoch(writer, room, epoch).map_err(of), Option::is_some)?;
        let Some(begun) = self.durable(begun)? else { return Ok(Opened::new(epoch)) };
        // If the room is deleted in between, the deletion counts as before this opening.
        let opened = self.shared.read(|connection| read::open(connection, &begun))?;
        Ok(opened.unwrap_or_else(|| Opened::new(epoch)))
    }

    fn commit(&self, commits: &[Commit]) -> Vec<Result<()>> {
        let texts: Vec<String> = commits.iter().map(Commit::encode).collect();
        let write = |writer: &mut Connection| Ok(write::commit(writer, commits, &texts, &self.shared.errors));
        let has_written = |outcomes: &Vec<Result<()>>| outcomes.iter().any(Result::is_ok);
        let written = match self.write(write, has_written) {
            Ok(written) => written,
            Err(error) => return vec![Err(error); commits.len()],
        };
        let mut outcomes = written.value;
        if let Err(error) = self.shared.log.sync(written.number) {
            outcomes.iter_mut().filter(|outcome| outcome.is_ok()).for_each(|outcome| *outcome = Err(error.clone()));
        }
        outcomes
    }

    fn snapshot(&self, snapshot: &StoredSnapshot, keep_since: u64) -> Result<()> {
        let write = |writer: &mut Connection| write::snapshot(writer, snapshot, keep_since, &self.shared.errors);
        // Not synced. If a crash loses the snapshot, it also loses the removal of the log that the snapshot replaces.
        let old = self.write(write, |_| true)?.value;
        if let Some(old) = old {
            self.remove(&old);
        }
        Ok(())
    }

    fn log(&self, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>> {
        self.shared.read(|connection| read::log(connection, room, after, max_bytes))
    }

    fn snapshot_at(&self, room: &RoomName, seq: u64) -> Result<Option<String>> {
        self.shared.read(|connection| read::snapshot_at(connection, room, seq))
    }

    fn describe(&self, room: &RoomName) -> Result<Option<RoomInfo>> {
        self.shared.read(|connection| read::describe(connection, room))
    }

    fn list(&self, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>> {
        self.shared.read(|connection| read::list(connection, after, max))
    }

    fn delete(&self, room: &RoomName) -> Result<bool> {
        let of = |error| self.shared.errors.of(error);
        let log = self.write(|writer| write::remove(writer, room).map_err(of), Option::is_some)?;
        let log = self.durable(log)?;
        if let Some(log) = &log {
            self.remove(log);
        }
        Ok(log.is_some())
    }
}

impl Shared {
    fn writer(&self) -> MutexGuard<'_, Connection> {
        // Without turns, the lock would go again and again to the thread that has just released it, because that thread
        // is awake.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // If a thread panicked, its transaction was rolled back when it was dropped.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads in one transaction, so that everything that is read is from one moment.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.readers().pop();
        let read = || -> rusqlite::Result<T> {
            let connection = idle.map_or_else(|| file::open_reader(&self.path), Ok)?;
            let transaction = connection.unchecked_transaction()?;
            let value = read(&transaction)?;
            transaction.finish()?;
            let mut readers = self.readers();
            if readers.len() < IDLE_READERS {
                readers.push(connection);
            }
            Ok(value)
        };
        let value = read().map_err(|error| self.errors.of(error))?;
        // A commit can be read before it is synced. No caller may act on data that a crash can take back.
        self.log.sync_all()?;
        Ok(value)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.log.check().is_ok() {
            return;
        }
        // Closing the last connection would move the log to the main file without checking its checksums. It is unknown
        // what the disk has of the log. The next start checks the checksums.
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let readers = self.readers.get_mut().unwrap_or_else(PoisonError::into_inner);
        for connection in readers.iter().chain([&*writer]) {
            file::keep_log(connection);
        }
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.shared.path).finish_non_exhaustive()
    }
}
