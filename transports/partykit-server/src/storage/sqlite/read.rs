//! Reads the stored data of rooms, each in one transaction.

use std::sync::Arc;

use roommate_partykit_proto::{Epoch, Epochs, Opened, RoomInfo, RoomName, StoredCommit, sql};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::write::{Begun, saturated};

/// Reads the parts of a room under an epoch that has begun; `None` if the room was deleted since.
pub(super) fn open(connection: &Connection, begun: &Begun) -> Result<Option<Opened>> {
    let mut epochs = connection
        .prepare_cached(sql::EPOCHS)?
        .query_map(params![begun.room, begun.number], |row| {
            Ok(Epoch { number: row.get(0)?, id: row.get::<_, Arc<str>>(1)?, begins: row.get(2)? })
        })?
        .collect::<Result<Vec<_>>>()?;
    let Some(present) = epochs.pop() else { return Ok(None) };
    let snapshot = connection
        .prepare_cached(sql::NEWEST_SNAPSHOT)?
        .query_row([begun.room], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (number, snapshot) = snapshot.map_or((0_u64, None), |(number, text)| (number, Some(text)));
    let log = connection
        .prepare_cached(sql::COMMITS)?
        .query_map(params![begun.room, number], commit)?
        .collect::<Result<Vec<_>>>()?;
    Ok(Some(Opened { epochs: Epochs::new(epochs, present), snapshot, log }))
}

pub(super) fn log(connection: &Connection, room: &RoomName, after: u64, max_bytes: usize) -> Result<Vec<StoredCommit>> {
    let Some(id) = id(connection, room)? else { return Ok(Vec::new()) };
    let after = saturated(after);
    let from: Option<u64> =
        connection.prepare_cached(sql::LAST_COMMIT_AT)?.query_row(params![id, after], |row| row.get(0)).optional()?;
    let mut statement = connection.prepare_cached(sql::COMMITS)?;
    let mut commits = Vec::new();
    let mut bytes = 0_usize;
    for stored in statement.query_map(params![id, from.unwrap_or(0)], commit)? {
        let stored = stored?;
        bytes = bytes.saturating_add(stored.records.len());
        if bytes > max_bytes && !commits.is_empty() {
            break;
        }
        commits.push(stored);
    }
    Ok(commits)
}

pub(super) fn snapshot_at(connection: &Connection, room: &RoomName, seq: u64) -> Result<Option<String>> {
    let Some(id) = id(connection, room)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(sql::SNAPSHOT_AT)?;
    statement.query_row(params![id, saturated(seq)], |row| row.get(0)).optional()
}

pub(super) fn describe(connection: &Connection, room: &RoomName) -> Result<Option<RoomInfo>> {
    connection.prepare_cached(sql::DESCRIBE)?.query_row([room.party(), room.room()], info).optional()
}

pub(super) fn list(connection: &Connection, after: Option<&RoomName>, max: usize) -> Result<Vec<RoomInfo>> {
    let (party, room) = after.map_or(("", ""), |room| (room.party(), room.room()));
    let mut statement = connection.prepare_cached(sql::LIST)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    statement.query_map(params![party, room, max], info)?.collect()
}

fn id(connection: &Connection, room: &RoomName) -> Result<Option<i64>> {
    connection.prepare_cached(sql::HEAD)?.query_row([room.party(), room.room()], |row| row.get(0)).optional()
}

fn commit(row: &Row<'_>) -> Result<StoredCommit> {
    Ok(StoredCommit { last: row.get(0)?, seq: row.get(1)?, time: row.get(2)?, records: row.get(3)? })
}

fn info(row: &Row<'_>) -> Result<RoomInfo> {
    let name = RoomName::new(row.get::<_, Arc<str>>(0)?, row.get::<_, Arc<str>>(1)?);
    Ok(RoomInfo::new(name, row.get(2)?, row.get(3)?, row.get(4)?))
}
