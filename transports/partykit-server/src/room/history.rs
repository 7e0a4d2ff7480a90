//! The history of a room: its changes, and its content at earlier times.

use std::{sync::Arc, time::SystemTime};

use roommate::{Content, Error, ErrorKind, Result};
use roommate_partykit_proto::{Change, Past, RoomName, Snapshot, Storage};

use super::{Room, blocking};
use crate::host::{Author, HostEdit};

/// How many bytes of log are read at once.
const PAGE: usize = 1 << 20;

/// How often the log may be shortened while it is read, before that is an error.
const TRIES: usize = 3;

/// The history of a room. It is stored for as long as [`ServerConfig::with_history`](crate::ServerConfig::with_history)
/// says. It is read from the storage, on threads that may block, and reading it does not open the room.
impl Room {
    /// Reads up to `max` changes of the room after the sequence number `after`, oldest first. Changes that are not
    /// stored yet are not included.
    ///
    /// Begin with 0, and continue with the [`seq`](Change::seq) of the last change that was returned, until the result
    /// is empty. A page is held in memory, so `max` should be some hundreds.
    ///
    /// ```
    /// use roommate_server::{Changes, Happened, Rooms, ServerConfig};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let rooms = Rooms::new(ServerConfig::new())?;
    /// let room = rooms.room("main", "lobby");
    /// for visits in 1..=3 {
    ///     let mut changes = Changes::new();
    ///     changes.set_value("visits", visits.into());
    ///     room.apply(changes).await?;
    /// }
    /// let mut seq = 0;
    /// loop {
    ///     let page = room.history(seq, 2).await?;
    ///     let Some(last) = page.last() else { break };
    ///     seq = last.seq;
    ///     for change in &page {
    ///         println!("{} at {:?}: {:?}", change.seq, change.time, change.event);
    ///     }
    /// }
    /// assert_eq!(seq, 3);
    /// # Ok::<(), roommate_server::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the history does not go back that far; the error says with which change it begins.
    /// [`ErrorKind::Corrupt`] if it cannot be read. Also the errors of the storage.
    pub async fn history(&self, after: u64, max: usize) -> Result<Vec<Change>> {
        self.archive(move |archive| archive.changes(after, max)).await
    }

    /// Returns the content after the change with this sequence number; `None` for 0, where the room had no store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if there is no such change yet, or the history does not go back that far.
    /// [`ErrorKind::Corrupt`] if it cannot be read. Also the errors of the storage.
    pub async fn content_at(&self, seq: u64) -> Result<Option<Content>> {
        self.archive(move |archive| archive.content_at(seq)).await
    }

    /// Returns the content at a time, by the server's clock: after the last change that was stored by then. `None` if
    /// the room had no store then.
    ///
    /// This searches the history from its beginning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the history does not go back that far; the error says how far it goes.
    /// [`ErrorKind::Corrupt`] if it cannot be read. Also the errors of the storage.
    pub async fn content_at_time(&self, time: SystemTime) -> Result<Option<Content>> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.archive(move |archive| archive.content_at_time(millis)).await
    }

    /// Restores the content as it was after the change with this sequence number. The restore is a change of its own:
    /// clients are sent it, it is in the history, and another restore can undo it. Returns its sequence number, or that
    /// of the room if the content is the same.
    ///
    /// Changes that are made while the old content is read are overwritten.
    ///
    /// ```
    /// use roommate_server::{Changes, Rooms, ServerConfig};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let rooms = Rooms::new(ServerConfig::new())?;
    /// let room = rooms.room("main", "lobby");
    /// let mut changes = Changes::new();
    /// changes.set_value("open", true.into());
    /// let good = room.apply(changes.clone()).await?;
    /// changes.del_value("open");
    /// room.apply(changes).await?;
    /// assert_eq!(room.restore_to(good).await?, 3);
    /// assert_eq!(room.content().await?.expect("there is a store").to_json(), r#"[{},{"open":true}]"#);
    /// # Ok::<(), roommate_server::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`content_at`](Self::content_at) and [`apply`](Self::apply). [`ErrorKind::Invalid`] for 0, where there was
    /// nothing to restore.
    pub async fn restore_to(&self, seq: u64) -> Result<u64> {
        let content = self.content_at(seq).await?.ok_or_else(|| {
            let message = "the room had no store at that time: to remove it, delete the room";
            Error::new(ErrorKind::Invalid, message)
        })?;
        Ok(self.edit(Author::default(), HostEdit::Replace(content)).await?.seq)
    }

    async fn archive<T: Send + 'static>(
        &self,
        read: impl FnOnce(Archive<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (storage, room) = (Arc::clone(self.rooms.storage()), self.name.clone());
        blocking(move || read(Archive { storage: &*storage, room: &room })).await
    }
}

/// The stored data of a room. Its calls block.
#[derive(Clone, Copy, Debug)]
struct Archive<'a> {
    storage: &'a dyn Storage,
    room: &'a RoomName,
}

impl Archive<'_> {
    fn changes(self, after: u64, max: usize) -> Result<Vec<Change>> {
        let (mut changes, mut seq) = (Vec::new(), after);
        while changes.len() < max {
            let commits = self.storage.log(self.room, seq, PAGE)?;
            let Some(last) = commits.last() else {
                // A log from which everything was removed gives no sign of that.
                if changes.is_empty() && self.head()? > after {
                    return Err(self.out_of_reach()?);
                }
                break;
            };
            changes.extend(Change::read(&commits, seq)?);
            seq = last.seq;
        }
        changes.truncate(max);
        Ok(changes)
    }

    fn content_at(self, seq: u64) -> Result<Option<Content>> {
        let head = self.head()?;
        if seq > head {
            let message = format!("the room is at change {head}: there is no change {seq} yet");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let mut tries = 1;
        loop {
            match self.fold(seq) {
                // The commits after the snapshot may have been removed since it was read. Then there is a newer
                // snapshot.
                Err(error) if error.kind() == ErrorKind::Invalid && tries < TRIES => tries += 1,
                folded => return folded,
            }
        }
    }

    fn content_at_time(self, time: u64) -> Result<Option<Content>> {
        let Some(info) = self.storage.describe(self.room)? else { return Ok(None) };
        if info.changed <= time {
            return self.content_at(info.seq);
        }
        if time < info.created {
            return Ok(None);
        }
        let (mut seq, mut found) = (0, None);
        loop {
            let commits = self.storage.log(self.room, seq, PAGE)?;
            let Some(last) = commits.last() else { break };
            let by_then = commits.iter().take_while(|commit| commit.time <= time);
            found = by_then.last().map(|commit| commit.seq).or(found);
            if last.time > time {
                break;
            }
            seq = last.seq;
        }
        match found {
            Some(seq) => self.content_at(seq),
            None => self.content_before_the_log(time),
        }
    }

    /// The content at a time before the log begins: that of the snapshot at which the log begins, if it is old enough.
    fn content_before_the_log(self, time: u64) -> Result<Option<Content>> {
        let base = match self.first()? {
            Some(first) => first - 1,
            None => self.head()?,
        };
        match self.storage.snapshot_at(self.room, base)?.map(|text| Snapshot::decode(&text)).transpose()? {
            Some(Snapshot { seq, time: Some(since), content, .. }) if seq == base && since <= time => Ok(content),
            _ => Err(self.out_of_reach()?),
        }
    }

    fn fold(self, seq: u64) -> Result<Option<Content>> {
        let mut past = Past::new(self.storage.snapshot_at(self.room, seq)?.as_deref())?;
        while past.seq() < seq {
            let reached = past.seq();
            let commits = self.storage.log(self.room, reached, PAGE)?;
            if commits.is_empty() {
                return Err(self.out_of_reach()?);
            }
            past.replay(&commits, seq)?;
            if past.seq() == reached {
                return Err(Error::new(ErrorKind::Corrupt, format!("change {} of the room is missing", reached + 1)));
            }
        }
        Ok(past.into_content())
    }

    /// The first change in the log.
    fn first(self) -> Result<Option<u64>> {
        let mut after = 0;
        loop {
            let commits = self.storage.log(self.room, after, 1)?;
            let Some(last) = commits.last() else { return Ok(None) };
            if let Some(first) = Change::first_seq(&commits)? {
                return Ok(Some(first));
            }
            after = last.seq;
        }
    }

    /// Says why something is no longer there.
    fn out_of_reach(self) -> Result<Error> {
        let message = match self.first()? {
            Some(first) => format!("the room's history is not kept that far back: it begins with change {first}"),
            None => format!(
                "the room's history is not kept that far back: only what it is since change {} is",
                self.head()?
            ),
        };
        Ok(Error::new(ErrorKind::Invalid, message))
    }

    /// The sequence number of the last change.
    fn head(self) -> Result<u64> {
        Ok(self.storage.describe(self.room)?.map_or(0, |info| info.seq))
    }
}
