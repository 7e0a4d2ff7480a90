//! Opening a room from what is stored of it.

use std::collections::BTreeMap;

use roommate::{Changes, Content, Error, ErrorKind, Result};

use super::{Cures, Extended, Room, RoomConfig, Snapshots};
use crate::{
    epochs::Epochs,
    history::whole,
    record::{Event, Record},
    snapshot::Snapshot,
    storage::Opened,
    wire::Wire,
};

impl Room {
    /// Opens a room from its stored form.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if a record or the snapshot cannot be read, or a record is missing. Then the stored form
    /// stays unchanged, and the readable part is not used (R4).
    pub fn open(config: RoomConfig, opened: Opened) -> Result<Self> {
        let mut room = Self::vacant(config, opened.epochs);
        if let Some(text) = &opened.snapshot {
            let Snapshot { number, seq, content, clients, .. } = Snapshot::decode(text)?;
            (room.number, room.seq) = (number, seq);
            room.exists = content.is_some();
            room.content = content.unwrap_or_default();
            if let Some(extended) = &mut room.extended {
                clients.into_iter().for_each(|client| extended.restore(client));
            }
            room.snapshots.opened(text.len());
        }
        for commit in &opened.log {
            for record in Record::decode_lines(&commit.records)? {
                // A commit may begin before the snapshot's number.
                if record.number > room.number {
                    room.replay(&record)?;
                }
            }
        }
        if let Some(extended) = &mut room.extended {
            extended.opened();
        }
        Ok(room)
    }

    /// A room without a store.
    pub(super) fn vacant(config: RoomConfig, epochs: Epochs) -> Self {
        let wire = Wire::new(config.message_prefix());
        let extended = config.extended().then(|| Extended::new(&config, epochs));
        let store_headers = config.store_headers();
        let cures = config.cures().then(Cures::default);
        let snapshots = Snapshots::new(config.snapshot_after());
        Self {
            config,
            wire,
            number: 0,
            seq: 0,
            exists: false,
            content: Content::new(),
            encoded: None,
            everything: None,
            snapshots,
            connections: BTreeMap::new(),
            stock: None,
            cures,
            extended,
            store_headers,
        }
    }

    /// Applies a record that is stored.
    fn replay(&mut self, record: &Record) -> Result<()> {
        if record.number != self.number + 1 {
            let message = format!("record {} of the room is missing in its storage", self.number + 1);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        match &record.event {
            Event::Changed(changes) => {
                self.content.apply(&whole(Changes::from_json(changes)?)?);
                self.snapshots.logged(record.size());
            }
            Event::Created(content) => {
                self.content = whole(Content::from_json(content)?)?;
                self.exists = true;
                self.snapshots.created(content.len());
            }
            Event::Nothing => self.snapshots.logged(record.size()),
        }
        if let Some(extended) = &mut self.extended {
            extended.replay(record);
        }
        (self.number, self.seq) = (record.number, record.seq);
        Ok(())
    }
}
