//! Makes commits durable, concurrently with openings, snapshots and checkpoints.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use roommate::{Error, ErrorKind, Result};

/// The file of the write-ahead log, which has to be synced.
///
/// SQLite itself would sync it within each commit, during which no other transaction can begin. As compiled here, it
/// would use `fsync`, which on Linux takes a second write for the file's times. So the connection that writes leaves
/// the sync out (`synchronous = normal`). The thread that committed syncs afterwards, by `fdatasync` and without
/// holding the connection.
///
/// The order of transactions is preserved: each frame of the log has a checksum over all frames before it, so a crash
/// leaves all transactions up to one of them. Data that need not be durable by itself, such as a snapshot, needs no
/// sync.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// How many transactions have begun to write. Readers may see all of them.
    begun: AtomicU64,
    /// How many are in the file.
    committed: AtomicU64,
    /// How many are durable.
    synced: AtomicU64,
    /// Held by the thread that syncs.
    turn: Mutex<()>,
    /// Why a sync failed. The system may have dropped what it could not write, and reports that only once, so a sync is
    /// never tried again.
    failure: OnceLock<Error>,
}

impl Log {
    /// Opens the log of a database that is open in WAL mode. What a killed process has left in it is durable by then.
    pub(super) fn open(database: &Path) -> io::Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        // Some systems can sync only a file that is open for writing.
        let file = OpenOptions::new().write(true).open(path)?;
        file.sync_data()?;
        Ok(Self::new(file))
    }

    fn new(file: File) -> Self {
        Self {
            file,
            begun: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            turn: Mutex::default(),
            failure: OnceLock::new(),
        }
    }

    /// Begins a transaction of the connection that the caller holds, and returns its number.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if a sync has failed: nothing is written any more.
    pub(super) fn begin(&self) -> Result<u64> {
        self.check()?;
        Ok(self.begun.fetch_add(1, SeqCst) + 1)
    }

    /// Notes that the transaction is over. The caller still holds the connection.
    pub(super) fn end(&self, number: u64, has_written: bool) {
        self.committed.store(number, SeqCst);
        if !has_written {
            // The transaction is then durable if all transactions before it are.
            let _ = self.synced.compare_exchange(number - 1, number, SeqCst, SeqCst);
        }
    }

    /// Makes a finished transaction and all before it durable, or all transactions of which the caller has read
    /// anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the disk does not accept them. From then on, every call fails.
    pub(super) fn sync(&self, number: u64) -> Result<()> {
        if self.synced.load(SeqCst) >= number {
            return self.check();
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        if self.synced.load(SeqCst) >= number {
            return Ok(());
        }
        let committed = self.committed.load(SeqCst);
        if let Err(error) = self.file.sync_data() {
            let message = format!(
                "the disk has not taken what was written to it, and what it has is unknown: see that it is healthy, and \
                 start the server again ({error})"
            );
            let failure = Error::with_source(ErrorKind::Unavailable, message, error);
            return Err(self.failure.get_or_init(|| failure).clone());
        }
        self.synced.fetch_max(committed, SeqCst);
        Ok(())
    }

    /// Makes everything durable that the caller may have read.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync).
    pub(super) fn sync_all(&self) -> Result<()> {
        self.sync(self.begun.load(SeqCst))
    }

    /// Checks whether syncs work.
    ///
    /// # Errors
    ///
    /// Why a sync did not work.
    pub(super) fn check(&self) -> Result<()> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    #[cfg(test)]
    pub(super) fn is_synced(&self) -> bool {
        self.synced.load(SeqCst) == self.begun.load(SeqCst)
    }

    /// A log that cannot be synced.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn broken() -> Self {
        Self::new(OpenOptions::new().write(true).open("/dev/null").unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_with_others_needs_no_sync_of_its_own() {
        let log = Log::new(tempfile::tempfile().unwrap());
        let first = log.begin().unwrap();
        log.end(first, true);
        let second = log.begin().unwrap();
        log.end(second, true);
        log.sync(first).unwrap();
        assert!(log.is_synced());
        let third = log.begin().unwrap();
        log.sync(second).unwrap();
        assert!(!log.is_synced());
        log.end(third, false);
        assert!(log.is_synced(), "it has written nothing");
    }

    #[test]
    fn what_is_read_while_its_transaction_ends_is_synced() {
        let log = Log::new(tempfile::tempfile().unwrap());
        let number = log.begin().unwrap();
        log.sync_all().unwrap();
        log.end(number, true);
        assert!(!log.is_synced(), "the reader has synced before the commit was counted");
        log.sync(number).unwrap();
        assert!(log.is_synced());
    }

    /// After a failed `fsync`, Linux treats the pages as written, and the next `fsync` succeeds.
    #[cfg(target_os = "linux")]
    #[test]
    fn r6_after_a_sync_that_failed_nothing_is_durable_any_more() {
        let log = Log::broken();
        log.sync_all().unwrap();
        let number = log.begin().unwrap();
        log.end(number, true);
        let error = log.sync(number).unwrap_err();
        assert!(error.to_string().contains("start the server again"), "{error}");
        assert!(log.sync(number).is_err() && log.sync_all().is_err() && log.sync(0).is_err() && log.begin().is_err());
    }
}
