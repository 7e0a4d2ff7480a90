//! Makes what was committed durable, beside the next transactions.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use roommate::{Error, ErrorKind, Result};

/// The file of the write-ahead log, to be synced.
///
/// SQLite itself would sync it within each commit: by `fsync`, unless it was compiled otherwise, which on Linux takes a second
/// write for the file's times, and while no other transaction can begin. So the connection that writes leaves it out
/// (`synchronous = normal`), and whoever committed syncs afterwards, by `fdatasync` and without the connection.
///
/// The order of transactions is kept: each frame of the log has a checksum over all before it, so a crash leaves the
/// transactions up to some one. What need not be durable itself, such as a snapshot, needs no sync.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// How many transactions were committed.
    committed: AtomicU64,
    synced: Mutex<Synced>,
}

#[derive(Debug, Default)]
struct Synced {
    /// How many of the transactions are durable.
    count: u64,
    /// Why a sync failed. The system may have dropped what it could not write, and says so once, so there is no next try.
    failure: Option<Error>,
}

impl Log {
    /// The log of a database that is open in WAL mode.
    pub(super) fn open(database: &Path) -> io::Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        // On some systems a file has to be writable to be synced.
        Ok(Self::new(OpenOptions::new().write(true).open(path)?))
    }

    fn new(file: File) -> Self {
        Self { file, committed: AtomicU64::new(0), synced: Mutex::default() }
    }

    /// Counts a transaction that was committed, and returns how many there are. Call this before the connection is released.
    pub(super) fn committed(&self) -> u64 {
        self.committed.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Makes the first `count` transactions durable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the disk does not take them; from then on always.
    pub(super) fn sync(&self, count: u64) -> Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &synced.failure {
            return Err(failure.clone());
        }
        if synced.count >= count {
            return Ok(());
        }
        let committed = self.committed.load(Ordering::SeqCst);
        if let Err(error) = self.file.sync_data() {
            let message = format!(
                "the disk has not taken what was written to it, and what it has is unknown: see that it is healthy, and \
                 start the server again ({error})"
            );
            let failure = Error::with_source(ErrorKind::Unavailable, message, error);
            synced.failure = Some(failure.clone());
            return Err(failure);
        }
        synced.count = committed;
        Ok(())
    }

    /// Makes everything durable that was committed: what was read, for instance.
    ///
    /// # Errors
    ///
    /// As [`sync`](Self::sync).
    pub(super) fn sync_all(&self) -> Result<()> {
        self.sync(self.committed.load(Ordering::SeqCst))
    }

    #[cfg(test)]
    pub(super) fn is_synced(&self) -> bool {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner).count == self.committed.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_with_others_needs_no_sync_of_its_own() {
        let log = Log::new(tempfile::tempfile().unwrap());
        let (first, second) = (log.committed(), log.committed());
        log.sync(first).unwrap();
        assert_eq!(log.synced.lock().unwrap().count, second);
        log.sync(second).unwrap();
        log.sync_all().unwrap();
    }

    /// After a failed `fsync` Linux takes the pages for written, and the next one succeeds.
    #[cfg(target_os = "linux")]
    #[test]
    fn r6_after_a_sync_that_failed_nothing_is_durable_any_more() {
        let log = Log::new(OpenOptions::new().write(true).open("/dev/null").unwrap());
        log.sync_all().unwrap();
        let error = log.sync(log.committed()).unwrap_err();
        assert!(error.to_string().contains("start the server again"), "{error}");
        assert!(log.sync(1).is_err() && log.sync_all().is_err() && log.sync(0).is_err());
    }
}
