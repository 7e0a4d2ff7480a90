//! Moves commits from the write-ahead log to the main file, concurrently with new commits.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use roommate::{Error, ErrorKind, Result};
use rusqlite::{Connection, MAIN_DB, wal::CheckpointMode};
use tracing::warn;

use super::{Shared, file};

/// A thread that checkpoints when the log is long enough; ends when this is dropped.
pub(super) struct Checkpoints {
    wake: Arc<Wake>,
    /// In pages.
    threshold: i32,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Wake {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    ended: bool,
}

/// Commits wait for the last part of a checkpoint, so that the log starts anew. The last part may begin when this few
/// pages are left, or after this many rounds.
const FEW_PAGES: i32 = 64;
const ROUNDS: usize = 8;

/// The wait before a failed checkpoint is tried again, at first and at most.
const RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_secs(5);

impl Checkpoints {
    /// Starts the thread, which checkpoints when the log has more than `bytes`.
    pub(super) fn start(shared: Arc<Shared>, bytes: u64) -> Result<Self> {
        let open = || -> rusqlite::Result<_> {
            let connection = file::open_reader(&shared.path)?;
            // Commits wait for a checkpoint, so a checkpoint must not wait for a reader: another program may read for
            // hours.
            connection.busy_timeout(Duration::ZERO)?;
            file::sync_fully(&connection)?;
            // A connection opens the log when it reads for the first time.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            let page_size: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            Ok((connection, page_size))
        };
        let (connection, page_size) = open().map_err(|error| shared.errors.of(error))?;
        let threshold = i32::try_from(bytes / page_size.max(1)).unwrap_or(i32::MAX);
        let wake = Arc::new(Wake::default());
        let run = {
            let wake = Arc::clone(&wake);
            move || run(&shared, &connection, &wake)
        };
        let thread = thread::Builder::new().name("roommate-checkpoint".into()).spawn(run).map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "no thread can be started for checkpoints", error)
        })?;
        Ok(Self { wake, threshold, thread: Some(thread) })
    }

    /// Checks after a write whether the log is long enough, and wakes the thread if so.
    pub(super) fn look(&self, writer: &Connection) {
        if pages(writer).is_ok_and(|(pages, _)| pages > self.threshold) {
            self.wake.state().wanted = true;
            self.wake.changed.notify_one();
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake.state().ended = true;
        self.wake.changed.notify_one();
        // A panic of the thread was reported when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Wake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a checkpoint is wanted. Returns `false` if the thread has to end instead.
    fn wait(&self) -> bool {
        let state = self.changed.wait_while(self.state(), |state| !state.wanted && !state.ended);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.wanted = false;
        !state.ended
    }

    /// Waits for a time, or until the thread has to end.
    fn pause(&self, time: Duration) {
        drop(self.changed.wait_timeout_while(self.state(), time, |state| !state.ended));
    }
}

fn run(shared: &Shared, connection: &Connection, wake: &Wake) {
    let mut retry = RETRY;
    while wake.wait() {
        // A checkpoint does not check checksums: it may overwrite good data with what the disk has lost.
        if shared.log.check().is_err() {
            break;
        }
        match checkpoint(shared, connection) {
            Ok(true) => retry = RETRY,
            // Another program reads, or checkpoints itself.
            Ok(false) => wake.pause(RETRY),
            Err(error) => {
                let error = shared.errors.of(error);
                warn!(%error, "the write-ahead log cannot be moved to the main file, and grows");
                wake.pause(retry);
                retry = (retry * 2).min(MAX_RETRY);
            }
        }
    }
    if shared.log.check().is_err() {
        file::keep_log(connection);
    }
}

/// Moves the content of the log, and starts the log anew. Returns whether that succeeded.
fn checkpoint(shared: &Shared, connection: &Connection) -> rusqlite::Result<bool> {
    // Commits continue meanwhile, so each round leaves some pages. Each leaves fewer, unless commits come faster than
    // they are moved.
    for _ in 0..ROUNDS {
        connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE)?;
        let (pages, moved) = pages(connection)?;
        if pages - moved <= FEW_PAGES {
            break;
        }
    }
    let _no_commits = shared.writer();
    if shared.log.check().is_err() {
        return Ok(false);
    }
    match connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::RESTART) {
        Ok(_) => Ok(true),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many pages the log has, and how many of them are also in the main file.
fn pages(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::NOOP)
}
