//! Rooms in a SQL database: the schema and the statements, for any program that runs them.
//!
//! The SQL is SQLite's. Its statements have numbered parameters, which each constant's documentation lists in order.
//! Integers are Rust `u64`s that have to fit into an `i64`. The checks of a room
//! ([`Commit::check`](super::Commit::check), [`StoredSnapshot::check`](super::StoredSnapshot::check)) use what [`HEAD`]
//! reads, in the same transaction as the write that follows.
//!
//! A commit is one row of the table `log`, however many records it has: so all records of a commit share SQLite's cost
//! of one row. The rows of all rooms are in the order in which they were committed, so a commit of many rooms appends
//! to the end of one table.

use roommate::{Error, ErrorKind, Result};

use super::super::epochs::MAX_EPOCHS;

/// Marks a SQLite database as a database of rooms: `PRAGMA application_id`. The letters `Room`.
pub const APPLICATION_ID: i32 = 0x526f_6f6d;

/// The schema: the statements to run, in order, in a new database.
///
/// The number of statements that were run is the database's version, SQLite's `PRAGMA user_version`. Each runs in the
/// transaction that raises the version. A released statement is never changed.
pub const MIGRATIONS: &[&str] = &["
CREATE TABLE rooms (
    -- Never that of a room that was deleted.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    party TEXT NOT NULL,
    room TEXT NOT NULL,
    -- The newest of the room's epochs.
    epoch INTEGER NOT NULL,
    epoch_id TEXT NOT NULL,
    -- The number of the last record, and the sequence number after it.
    last INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- Times of the first commit and of the last, in milliseconds since 1970.
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    UNIQUE (party, room)
) STRICT;

CREATE TABLE epochs (
    room INTEGER NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    -- The room's sequence number when the epoch began.
    begins INTEGER NOT NULL,
    PRIMARY KEY (room, number)
) STRICT, WITHOUT ROWID;

-- A row is a commit.
CREATE TABLE log (
    room INTEGER NOT NULL,
    -- The number of the commit's last record, and the sequence number after it.
    last INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- In milliseconds since 1970.
    time INTEGER NOT NULL,
    -- A line of JSON for each record.
    records TEXT NOT NULL
) STRICT;

-- It has the sequence number and the time so that commits are found by them without reading records.
CREATE UNIQUE INDEX log_by_room ON log (room, last, seq, time);

CREATE TABLE snapshots (
    room INTEGER NOT NULL,
    -- The number of the last record that the snapshot has, and the sequence number after it.
    number INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- JSON.
    snapshot TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX snapshots_by_room ON snapshots (room, number);

-- Rooms that were removed and of which there is some log left.
CREATE TABLE removed (
    room INTEGER PRIMARY KEY
) STRICT;
"];

/// The migrations that a database of this version still needs.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] if the database has a later version than this program knows.
pub fn migrations_from(version: i64) -> Result<&'static [&'static str]> {
    let known = MIGRATIONS.len();
    usize::try_from(version).ok().and_then(|version| MIGRATIONS.get(version..)).ok_or_else(|| {
        let message = format!(
            "it was written by a newer version of this program (schema {version}; this one knows up to {known}): run that \
             version or a later one, or name another file"
        );
        Error::new(ErrorKind::Unsupported, message)
    })
}

/// Reads the end of a room's log, for the checks: party, room. The room's `id, epoch, epoch_id, last`.
pub const HEAD: &str = "SELECT id, epoch, epoch_id, last FROM rooms WHERE party = ?1 AND room = ?2";

/// Reads the number of the newest snapshot: id of the room. It is null if there is none.
pub const NEWEST_NUMBER: &str = "SELECT max(number) FROM snapshots WHERE room = ?1";

/// Creates a room: party, room, epoch number, epoch id, last, seq, time. Returns its `id`.
pub const CREATE_ROOM: &str = "INSERT INTO rooms (party, room, epoch, epoch_id, last, seq, created, changed) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) RETURNING id";

/// Moves the end of a room's log: id, last, seq, time.
pub const MOVE_HEAD: &str = "UPDATE rooms SET last = ?2, seq = ?3, changed = ?4 WHERE id = ?1";

/// Stores a commit: id of the room, last, seq, time, records.
pub const ADD_COMMIT: &str = "INSERT INTO log (room, last, seq, time, records) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Begins an epoch: party, room, epoch id. Returns the room's `id, epoch, seq`, and no row if the room is not stored.
pub const BEGIN_EPOCH: &str = "UPDATE rooms SET epoch = epoch + 1, epoch_id = ?3 WHERE party = ?1 AND room = ?2 \
     RETURNING id, epoch, seq";

/// Adds an epoch to the list: id of the room, number, epoch id, begins.
pub const ADD_EPOCH: &str = "INSERT INTO epochs (room, number, id, begins) VALUES (?1, ?2, ?3, ?4)";

/// Removes old epochs from the list: id of the room, the last number to remove ([`epochs_go_until`]).
pub const REMOVE_EPOCHS: &str = "DELETE FROM epochs WHERE room = ?1 AND number <= ?2";

/// Reads the epochs of a room up to one: id of the room, number. Rows of `number, id, begins`, oldest first.
pub const EPOCHS: &str = "SELECT number, id, begins FROM epochs WHERE room = ?1 AND number <= ?2 ORDER BY number";

/// Reads a room's newest snapshot: id of the room. Its `number, snapshot`.
pub const NEWEST_SNAPSHOT: &str = "SELECT number, snapshot FROM snapshots WHERE room = ?1 ORDER BY number DESC LIMIT 1";

/// Reads the commits with records after a number: id of the room, number. Rows of `last, seq, time, records`, oldest
/// first.
pub const COMMITS: &str = "SELECT last, seq, time, records FROM log WHERE room = ?1 AND last > ?2 ORDER BY last";

/// Reads the last commit with at most a sequence number: id of the room, sequence number. Its `last`.
///
/// The commits after that one are those with a greater sequence number. The statement reads the index from its end, so
/// its cost is proportional to the number of commits after that one.
pub const LAST_COMMIT_AT: &str = "SELECT last FROM log WHERE room = ?1 AND seq <= ?2 ORDER BY last DESC LIMIT 1";

/// Reads the newest snapshot with at most a sequence number: id of the room, sequence number. Its `snapshot`.
pub const SNAPSHOT_AT: &str =
    "SELECT snapshot FROM snapshots WHERE room = ?1 AND seq <= ?2 ORDER BY number DESC LIMIT 1";

/// Stores a snapshot, replacing one of the same number: id of the room, number, seq, snapshot.
pub const ADD_SNAPSHOT: &str = "INSERT OR REPLACE INTO snapshots (room, number, seq, snapshot) VALUES (?1, ?2, ?3, ?4)";

/// Reads the times of commits: id of the room. Rows of `last, time`, oldest first.
///
/// Read rows until a time is not old. The snapshots up to the previous row's `last` have only old records.
pub const TIMES: &str = "SELECT last, time FROM log WHERE room = ?1 ORDER BY last";

/// Reads the newest snapshot up to a number: id of the room, number. Its `number`.
pub const SNAPSHOT_UP_TO: &str = "SELECT max(number) FROM snapshots WHERE room = ?1 AND number <= ?2";

/// Removes the snapshots before one: id of the room, number.
pub const REMOVE_SNAPSHOTS: &str = "DELETE FROM snapshots WHERE room = ?1 AND number < ?2";

/// Removes the oldest commits that have no records after a number: id of the room, number, maximum number of commits.
pub const REMOVE_COMMITS: &str = "DELETE FROM log WHERE rowid IN \
     (SELECT rowid FROM log WHERE room = ?1 AND last <= ?2 ORDER BY last LIMIT ?3)";

/// Describes a room: party, room. Its `party, room, seq, created, changed`.
pub const DESCRIBE: &str = "SELECT party, room, seq, created, changed FROM rooms WHERE party = ?1 AND room = ?2";

/// Lists the rooms after one: party, room, maximum number of rooms. Rows as of [`DESCRIBE`], in the order of their
/// names.
///
/// To list from the first room, pass the empty party and the empty room, which no room has.
pub const LIST: &str = "SELECT party, room, seq, created, changed FROM rooms WHERE (party, room) > (?1, ?2) \
     ORDER BY party, room LIMIT ?3";

/// Removes a room except its log, in one transaction: each statement has the id of the room.
///
/// The log may be large. [`REMOVE_COMMITS`] removes it in several transactions, so that other writes need not wait
/// long, and [`REMOVED`] ends the removal. After a crash between them, the next program that opens the database
/// continues the removal ([`UNFINISHED`]).
pub const REMOVE: [&str; 4] = [
    "DELETE FROM rooms WHERE id = ?1",
    "DELETE FROM epochs WHERE room = ?1",
    "DELETE FROM snapshots WHERE room = ?1",
    "INSERT INTO removed (room) VALUES (?1)",
];

/// Ends the removal of a room, in the transaction that removed the rest of its log: id of the room.
pub const REMOVED: &str = "DELETE FROM removed WHERE room = ?1";

/// Reads the rooms whose log is still to be removed: rows of `room`, the room's id.
pub const UNFINISHED: &str = "SELECT room FROM removed";

/// The last epoch to remove when the epoch of this number begins: [`MAX_EPOCHS`] remain.
pub fn epochs_go_until(number: u64) -> u64 {
    number.saturating_sub(MAX_EPOCHS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_needs_the_migrations_after_its_version() {
        assert_eq!(migrations_from(0).unwrap(), MIGRATIONS);
        assert!(migrations_from(MIGRATIONS.len() as i64).unwrap().is_empty());
    }

    #[test]
    fn r4_a_database_of_a_newer_version_is_refused_with_what_to_do() {
        for version in [MIGRATIONS.len() as i64 + 1, i64::MAX, -1] {
            let error = migrations_from(version).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("run that version or a later one"), "{error}");
        }
    }
}
