//! The file: whether it is a file of rooms, which process may write to it, and its settings.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::sql;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, TransactionBehavior, config::DbConfig, wal::CheckpointMode};
use tracing::warn;

use super::{SqliteConfig, errors::Errors};

/// How long a write waits for another program that has locked the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many prepared statements a connection caches: more than there are.
const STATEMENTS: usize = 40;

/// Locks the file against other servers while it lives.
///
/// The lock is on a file of its own. SQLite locks parts of its file, and those locks would end if this process opened
/// and closed the file by other means.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough. A child process of this program also has the file open until it executes another
    /// program, and the lock would last until then.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// The file itself if `path` is a link, so that all paths to it use the same lock.
pub(super) fn full_path(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{:?} names no file: name one, such as rooms.db", path.display()),
        ));
    };
    if let Ok(path) = fs::canonicalize(path) {
        return Ok(path);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = fs::canonicalize(folder).map_err(|error| {
        let message =
            format!("there is no folder {} for {}: make it first ({error})", folder.display(), path.display());
        Error::with_source(ErrorKind::Unavailable, message, error)
    })?;
    Ok(folder.join(name))
}

/// Checks that SQLite may open the file, by its first bytes alone.
///
/// SQLite may write to a file that it only opens, if a program that wrote to it was killed. It must not do that to a
/// file of another application, or of a newer version.
pub(super) fn check_header(path: &Path) -> Result<()> {
    const LENGTH: usize = 100;
    let mut header = Vec::with_capacity(LENGTH);
    match File::open(path).and_then(|file| file.take(LENGTH as u64).read_to_end(&mut header)) {
        Ok(0) => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("{} cannot be read ({error})", path.display());
            return Err(Error::with_source(ErrorKind::Unavailable, message, error));
        }
    }
    let field = |at: usize| header.get(at..at + 4)?.try_into().ok().map(i32::from_be_bytes);
    let (Some(version), Some(application), true) = (field(60), field(68), header.starts_with(b"SQLite format 3\0"))
    else {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("{} is no SQLite database: name another file", path.display()),
        ));
    };
    if application != sql::APPLICATION_ID {
        let message = format!("{} is a database of another application: name another file", path.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    migrations_from(path, version.into()).map(drop)
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push("-lock");
        let shown = Path::new(&lock_path).display();
        let unavailable = |error: io::Error| {
            let message = format!("{shown} cannot be made or locked: see that its folder can be written ({error})");
            Error::with_source(ErrorKind::Unavailable, message, error)
        };
        let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("{} is open in another server: end that one, or name another file", path.display()),
            )),
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }
}

/// Opens the connection that writes, and upgrades the file.
pub(super) fn open_writer(path: &Path, config: &SqliteConfig, errors: &Errors) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let of = |error| errors.of(error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(of)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(of)?;
    // A new file is not in WAL mode yet. So its first transaction makes it a file of rooms durably and in one step.
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(of)?;
    migrate(&mut connection, version, migrations_from(path, version)?).map_err(of)?;
    set_up(&connection, config).map_err(of)?;
    Ok(connection)
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    // In KiB. A large text does not go through the cache, and the operating system has one too.
    connection.pragma_update(None, "cache_size", -512)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Runs migrations in one transaction.
pub(super) fn migrate(connection: &mut Connection, version: i64, migrations: &[&str]) -> rusqlite::Result<()> {
    if migrations.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in migrations {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", sql::APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", version + migrations.len() as i64)?;
    transaction.commit()
}

fn migrations_from(path: &Path, version: i64) -> Result<&'static [&'static str]> {
    sql::migrations_from(version).map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn set_up(connection: &Connection, config: &SqliteConfig) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "wal")?;
    // `Log` syncs the commits. SQLite syncs only checkpoints.
    connection.pragma_update(None, "synchronous", "normal")?;
    sync_fully(connection)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // In KiB. A commit touches a few pages, and the operating system has a cache too.
    connection.pragma_update(None, "cache_size", -512)?;
    let prepared = connection
        .wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE)
        .and_then(|_| grow_wal(connection, config.wal_bytes));
    match prepared.as_ref().map_err(rusqlite::Error::sqlite_error_code) {
        // On a full disk the server starts all the same, and can write when there is space. If another program reads
        // the file, the server works as usual.
        Err(Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy)) => {}
        _ => prepared?,
    }
    if let Some(bytes) = config.max_bytes {
        let page_size: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        // The statement returns the new limit.
        connection.pragma_update_and_check(None, "max_page_count", (bytes / page_size).max(1), |_| Ok(()))?;
    }
    Ok(())
}

/// On a Mac, makes syncs of this connection also empty the disk's own cache, which `fsync` alone does not do there.
pub(super) fn sync_fully(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)
}

/// Makes this connection leave the write-ahead log unchanged when it is closed.
pub(super) fn keep_log(connection: &Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        warn!(%error, "the write-ahead log is moved to the main file, though the disk may have lost some of it");
    }
}

/// Extends the file of the write-ahead log to its final size, so that commits overwrite existing data.
///
/// Syncing a file that grew needs an entry in the file system's own journal, which another thread of the kernel writes.
fn grow_wal(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let pages: i64 = connection.pragma_query_value(None, "cache_size", |row| row.get(0))?;
    // A transaction that does not fit into memory writes to the log before it is committed. This transaction is never
    // committed.
    connection.pragma_update(None, "cache_size", 10)?;
    let grown = (|| {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch("CREATE TABLE grow (bytes)")?;
        transaction.execute("INSERT INTO grow VALUES (zeroblob(?1))", [bytes.min(512 << 20)])?;
        transaction.rollback()
    })();
    connection.pragma_update(None, "cache_size", pages)?;
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found as a test that failed because another test started a program at that moment.
    #[test]
    fn a_program_that_is_being_started_does_not_keep_the_file_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.db");
        let lock = Lock::take(&path).unwrap();
        // What a child process has between `fork` and `exec`: the same open file.
        let in_child = lock.0.try_clone().unwrap();
        Lock::take(&path).expect_err("it is locked");
        drop(lock);
        Lock::take(&path).expect("it is locked by nobody");
        drop(in_child);
    }
}
