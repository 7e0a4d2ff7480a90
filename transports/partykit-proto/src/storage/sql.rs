//! Rooms in a SQL database: the schema and the statements, for any program that runs them.
//!
//! The SQL is SQLite's. Its statements have numbered parameters, which each constant's documentation lists in order.
//! Integers are those of Rust's `u64`, which have to fit into an `i64`. What is decided about a room
//! ([`Commit::check`](super::Commit::check), [`StoredSnapshot::check`](super::StoredSnapshot::check)) is decided from
//! what [`HEAD`] reads, in the transaction that then writes.
//!
//! A commit is one row of the table `log`, however many records it has: SQLite's cost for a row is then shared by all
//! records that wait for one commit. The rows of all rooms are in the order in which they were committed, so a commit of
//! many rooms adds to the end of one table.

use roommate::{Error, ErrorKind, Result};

use super::super::epochs::MAX_EPOCHS;

/// Marks a SQLite database as one of rooms: `PRAGMA application_id`. The letters `Room`.
pub const APPLICATION_ID: i32 = 0x526f_6f6d;

/// The schema: what is to be run, in order, in a database that has none of it yet.
///
/// The number of those that were run is the database's version, SQLite's `PRAGMA user_version`. Each is run in the
/// transaction that raises the version. None is ever changed once it was released.
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

/// The migrations that a database of some version still needs.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] if the database is of a later version than this program knows.
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

/// Reads what decides whether something is stored: party, room. The room's `id, epoch, epoch_id, last`.
pub const HEAD: &str = "SELECT id, epoch, epoch_id, last FROM rooms WHERE party = ?1 AND room = ?2";

/// Reads the number of the newest snapshot: id of the room. It is null if there is none.
pub const NEWEST_NUMBER: &str = "SELECT max(number) FROM snapshots WHERE room = ?1";

/// Makes a room: party, room, epoch number, epoch id, last, seq, time. Returns its `id`.
pub const CREATE_ROOM: &str = "INSERT INTO rooms (party, room, epoch, epoch_id, last, seq, created, changed) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) RETURNING id";

/// Moves a room's end: id, last, seq, time.
pub const MOVE_HEAD: &str = "UPDATE rooms SET last = ?2, seq = ?3, changed = ?4 WHERE id = ?1";

/// Stores a commit: id of the room, last, seq, time, records.
pub const ADD_COMMIT: &str = "INSERT INTO log (room, last, seq, time, records) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Begins an epoch: party, room, epoch id. Returns the `id, epoch, seq` of the room, and nothing if it is not stored.
pub const BEGIN_EPOCH: &str = "UPDATE rooms SET epoch = epoch + 1, epoch_id = ?3 WHERE party = ?1 AND room = ?2 \
     RETURNING id, epoch, seq";

/// Adds an epoch to the list: id of the room, number, epoch id, begins.
pub const ADD_EPOCH: &str = "INSERT INTO epochs (room, number, id, begins) VALUES (?1, ?2, ?3, ?4)";

/// Removes epochs from the list: id of the room, and the number up to which they go ([`epochs_go_until`]).
pub const REMOVE_EPOCHS: &str = "DELETE FROM epochs WHERE room = ?1 AND number <= ?2";

/// Reads the epochs of a room up to one: id of the room, number. Rows of `number, id, begins`, oldest first.
pub const EPOCHS: &str = "SELECT number, id, begins FROM epochs WHERE room = ?1 AND number <= ?2 ORDER BY number";

/// Reads the newest snapshot of the room of an id: `number, snapshot`.
pub const NEWEST_SNAPSHOT: &str = "SELECT number, snapshot FROM snapshots WHERE room = ?1 ORDER BY number DESC LIMIT 1";

/// Reads the commits with records beyond a number: id of the room, number. Rows of `last, seq, time, records`, oldest
/// first.
pub const COMMITS: &str = "SELECT last, seq, time, records FROM log WHERE room = ?1 AND last > ?2 ORDER BY last";

/// Reads the last commit that is not beyond a sequence number: id of the room, sequence number. Its `last`.
///
/// The commits beyond the sequence number are those beyond that one. It reads the index from its end, so the cost is that
/// of what is beyond.
pub const LAST_COMMIT_AT: &str = "SELECT last FROM log WHERE room = ?1 AND seq <= ?2 ORDER BY last DESC LIMIT 1";

/// Reads the newest snapshot that is not beyond a sequence number: id of the room, sequence number. Its `snapshot`.
pub const SNAPSHOT_AT: &str =
    "SELECT snapshot FROM snapshots WHERE room = ?1 AND seq <= ?2 ORDER BY number DESC LIMIT 1";

/// Stores a snapshot, replacing one of the same number: id of the room, number, seq, snapshot.
pub const ADD_SNAPSHOT: &str = "INSERT OR REPLACE INTO snapshots (room, number, seq, snapshot) VALUES (?1, ?2, ?3, ?4)";

/// Reads when commits were: id of the room. Rows of `last, time`, oldest first.
///
/// Read until a time is not old. Snapshots up to the `last` before have only old records.
pub const TIMES: &str = "SELECT last, time FROM log WHERE room = ?1 ORDER BY last";

/// Reads the newest snapshot up to a number: id of the room, number. Its `number`.
pub const SNAPSHOT_UP_TO: &str = "SELECT max(number) FROM snapshots WHERE room = ?1 AND number <= ?2";

/// Removes the snapshots before one: id of the room, number.
pub const REMOVE_SNAPSHOTS: &str = "DELETE FROM snapshots WHERE room = ?1 AND number < ?2";

/// Removes the oldest commits without records beyond a number: id of the room, number, and how many at most.
pub const REMOVE_COMMITS: &str = "DELETE FROM log WHERE rowid IN \
     (SELECT rowid FROM log WHERE room = ?1 AND last <= ?2 ORDER BY last LIMIT ?3)";

/// Describes a room: party, room. Its `party, room, seq, created, changed`.
pub const DESCRIBE: &str = "SELECT party, room, seq, created, changed FROM rooms WHERE party = ?1 AND room = ?2";

/// Lists rooms after one: party, room, and how many at most. Rows as of [`DESCRIBE`], in the order of their names.
///
/// The first is listed after the empty party and the empty room, which none has.
pub const LIST: &str = "SELECT party, room, seq, created, changed FROM rooms WHERE (party, room) > (?1, ?2) \
     ORDER BY party, room LIMIT ?3";

/// Removes a room, but for its log, in one transaction: each has the id of the room.
///
/// The log, which may be large, is removed by [`REMOVE_COMMITS`] in as many transactions as are good for the others that
/// wait, and [`REMOVED`] ends the work. A crash between them leaves it to the next
/// program that opens the database ([`UNFINISHED`]).
pub const REMOVE: [&str; 4] = [
    "DELETE FROM rooms WHERE id = ?1",
    "DELETE FROM epochs WHERE room = ?1",
    "DELETE FROM snapshots WHERE room = ?1",
    "INSERT INTO removed (room) VALUES (?1)",
];

/// Ends the removal of a room, in the transaction that removed the last of its log: id of the room.
pub const REMOVED: &str = "DELETE FROM removed WHERE room = ?1";

/// Reads which rooms have log left that is to be removed: rows of `room`, the room's id.
pub const UNFINISHED: &str = "SELECT room FROM removed";

/// The number up to which epochs are removed when one of this number begins: [`MAX_EPOCHS`] remain.
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
