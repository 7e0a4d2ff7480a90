//! Writes the stored data of rooms, each in one transaction of the only connection that writes.

use std::sync::Arc;

use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::{Commit, Head, RoomName, StoredSnapshot, sql};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::errors::Errors;

/// How many commits are removed from a log in one transaction.
const SLICE: usize = 200;

/// The longest text that a row can hold together with its other columns: SQLite's limit is 1,000,000,000 bytes for all.
const MAX_TEXT: usize = 999_000_000;

/// An epoch that has begun.
pub(super) struct Begun {
    /// The room's id.
    pub(super) room: i64,
    pub(super) number: u64,
}

/// Commits to remove from a log.
pub(super) struct Old {
    room: i64,
    /// The number of their last record.
    until: u64,
    /// Whether the room is removed.
    is_all: bool,
}

/// Begins an epoch of a room; `None` if the room is not stored.
pub(super) fn begin_epoch(
    connection: &mut Connection,
    room: &RoomName,
    epoch: &str,
) -> rusqlite::Result<Option<Begun>> {
    let transaction = begin(connection)?;
    let begun = transaction
        .prepare_cached(sql::BEGIN_EPOCH)?
        .query_row([room.party(), room.room(), epoch], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((room, number, begins)) = begun else { return Ok(None) };
    add_epoch(&transaction, room, number, epoch, begins)?;
    transaction.prepare_cached(sql::REMOVE_EPOCHS)?.execute(params![room, sql::epochs_go_until(number)])?;
    transaction.commit()?;
    Ok(Some(Begun { room, number }))
}

/// Stores commits in one transaction. `texts` has the text of their records.
pub(super) fn commit(
    connection: &mut Connection,
    commits: &[Commit],
    texts: &[String],
    errors: &Errors,
) -> Vec<Result<()>> {
    let mut outcomes = Vec::with_capacity(commits.len());
    let mut store_all = || {
        let transaction = begin(connection)?;
        for (commit, text) in commits.iter().zip(texts) {
            outcomes.push(store(&transaction, commit, text)?);
        }
        transaction.commit()
    };
    if let Err(error) = store_all() {
        let error = errors.of(error);
        outcomes.resize_with(commits.len(), || Ok(()));
        for outcome in &mut outcomes {
            if outcome.is_ok() {
                *outcome = Err(error.clone());
            }
        }
    }
    outcomes
}

/// Stores a snapshot. Returns the part of the log that is not needed any more.
pub(super) fn snapshot(
    connection: &mut Connection,
    snapshot: &StoredSnapshot,
    keep_since: u64,
    errors: &Errors,
) -> Result<Option<Old>> {
    let of = |error| errors.of(error);
    let transaction = begin(connection).map_err(of)?;
    let head = head(&transaction, &snapshot.room).map_err(of)?;
    let newest = match &head {
        Some((room, _)) => {
            let number =
                transaction.prepare_cached(sql::NEWEST_NUMBER).map_err(of)?.query_row([room], |row| row.get(0));
            number.map_err(of)?
        }
        None => None,
    };
    snapshot.check(head.as_ref().map(|(_, head)| head), newest)?;
    check_size(snapshot.text.len(), &[snapshot.seq])?;
    let Some((room, head)) = head else { return Ok(None) };
    let store = || {
        let values = params![room, snapshot.number, snapshot.seq, snapshot.text];
        transaction.prepare_cached(sql::ADD_SNAPSHOT)?.execute(values)?;
        let old_until = old_until(&transaction, room, &head, keep_since)?;
        let base: Option<u64> =
            transaction.prepare_cached(sql::SNAPSHOT_UP_TO)?.query_row(params![room, old_until], |row| row.get(0))?;
        if let Some(base) = base {
            transaction.prepare_cached(sql::REMOVE_SNAPSHOTS)?.execute(params![room, base])?;
        }
        transaction.commit()?;
        Ok(base.map(|until| Old { room, until, is_all: false }))
    };
    store().map_err(of)
}

/// Removes a room except its log, and returns the log; `None` if the room is not stored.
pub(super) fn remove(connection: &mut Connection, room: &RoomName) -> rusqlite::Result<Option<Old>> {
    let transaction = begin(connection)?;
    let Some((room, _)) = head(&transaction, room)? else { return Ok(None) };
    for statement in sql::REMOVE {
        transaction.prepare_cached(statement)?.execute([room])?;
    }
    transaction.commit()?;
    Ok(Some(Old::all_of(room)))
}

/// The commits that a crash left to be removed.
pub(super) fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<Old>> {
    connection.prepare(sql::UNFINISHED)?.query_map([], |row| row.get(0).map(Old::all_of))?.collect()
}

impl Old {
    fn all_of(room: i64) -> Self {
        Self { room, until: i64::MAX as u64, is_all: true }
    }

    /// Removes the oldest of the commits. Returns whether they were the last.
    pub(super) fn remove_some(&self, connection: &mut Connection) -> rusqlite::Result<bool> {
        let transaction = begin(connection)?;
        let values = params![self.room, self.until, SLICE as u64];
        let is_done = transaction.prepare_cached(sql::REMOVE_COMMITS)?.execute(values)? < SLICE;
        if is_done && self.is_all {
            transaction.prepare_cached(sql::REMOVED)?.execute([self.room])?;
        }
        transaction.commit()?;
        Ok(is_done)
    }
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Stores a commit, or returns why it may not be stored. In that case it has written nothing.
fn store(transaction: &Transaction<'_>, commit: &Commit, text: &str) -> rusqlite::Result<Result<()>> {
    let head = head(transaction, &commit.room)?;
    let check = commit.check(head.as_ref().map(|(_, head)| head));
    if let Err(error) = check.and_then(|()| check_size(text.len(), &[commit.last(), commit.seq(), commit.time])) {
        return Ok(Err(error));
    }
    let (last, seq, time) = (commit.last(), commit.seq(), commit.time);
    let room = match head {
        Some((room, _)) => {
            transaction.prepare_cached(sql::MOVE_HEAD)?.execute(params![room, last, seq, time])?;
            room
        }
        None => {
            let (room, epoch) = (&commit.room, &commit.epoch);
            let values = params![room.party(), room.room(), epoch.number, epoch.id, last, seq, time];
            let room = transaction.prepare_cached(sql::CREATE_ROOM)?.query_row(values, |row| row.get(0))?;
            add_epoch(transaction, room, epoch.number, &epoch.id, epoch.begins)?;
            room
        }
    };
    transaction.prepare_cached(sql::ADD_COMMIT)?.execute(params![room, last, seq, time, text])?;
    Ok(Ok(()))
}

fn add_epoch(transaction: &Transaction<'_>, room: i64, number: u64, id: &str, begins: u64) -> rusqlite::Result<()> {
    transaction.prepare_cached(sql::ADD_EPOCH)?.execute(params![room, number, id, begins])?;
    Ok(())
}

/// A room's id and the data that decides whether it may be written; `None` if the room is not stored.
fn head(transaction: &Transaction<'_>, room: &RoomName) -> rusqlite::Result<Option<(i64, Head)>> {
    let mut statement = transaction.prepare_cached(sql::HEAD)?;
    let head = statement.query_row([room.party(), room.room()], |row| {
        let head = Head { epoch: row.get(1)?, epoch_id: row.get::<_, Arc<str>>(2)?, last: row.get(3)? };
        Ok((row.get(0)?, head))
    });
    head.optional()
}

/// The number of the last record before the oldest commit that is not old.
fn old_until(transaction: &Transaction<'_>, room: i64, head: &Head, keep_since: u64) -> rusqlite::Result<u64> {
    let mut statement = transaction.prepare_cached(sql::TIMES)?;
    let mut rows = statement.query([room])?;
    let mut until = 0;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= saturated(keep_since) {
            return Ok(until);
        }
        until = row.get(0)?;
    }
    Ok(head.last)
}

/// Checks that SQLite can store a text and numbers, so that a commit that it cannot store does not fail the others.
fn check_size(text: usize, numbers: &[u64]) -> Result<()> {
    if text > MAX_TEXT {
        let message = format!("{text} bytes are more than SQLite stores in one row, {MAX_TEXT}");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    match numbers.iter().find(|number| i64::try_from(**number).is_err()) {
        Some(number) => {
            Err(Error::new(ErrorKind::Invalid, format!("{number} is more than SQLite stores, {}", i64::MAX)))
        }
        None => Ok(()),
    }
}

/// No stored number is beyond what SQLite stores.
pub(super) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
