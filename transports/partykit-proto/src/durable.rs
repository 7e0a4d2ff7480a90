//! A room that holds its outputs back until its records are stored.

use std::{collections::VecDeque, mem};

use roommate::Result;

use super::{
    epochs::Epoch,
    record::Record,
    room::{Input, Output, Room, RoomConfig},
    snapshot::Snapshot,
    storage::{Commit, Opened, RoomName, StoredSnapshot},
};

/// A [`Room`] that holds each output back until the records before it are stored (R6).
///
/// All hosts use it: the server, the mock and the simulation. It has no clock, thread or storage.
///
/// # Law
///
/// After each input the host carries out the outputs of [`poll`](Self::poll), in their order, and passes the commit of
/// [`commit`](Self::commit) to the storage. Meanwhile the host may pass in further inputs: their records are gathered
/// and become the next commit. When a commit is stored, the host calls [`committed`](Self::committed). When a commit
/// fails, the room is newer than its storage: the host drops it, closes its connections and opens it again.
///
/// ```
/// use roommate_partykit_proto::{DurableRoom, Edit, Input, Memory, Output, RequestId, RoomConfig, RoomName, Storage};
/// use roommate::{Changes, Content};
///
/// let storage = Memory::new();
/// let name = RoomName::main("r");
/// let mut room = DurableRoom::open(RoomConfig::new(), name.clone(), storage.open(&name, "random", 0)?)?;
/// let edit = Edit::Replace(&Content::new());
/// room.handle(Input::Edit { request: RequestId(1), author: None, change: None, edit });
/// assert_eq!(room.poll(), None, "nothing is put out before it is stored");
/// let commit = room.commit(0).expect("the store was made");
/// storage.commit(&[commit]).remove(0)?;
/// room.committed();
/// assert!(matches!(room.poll(), Some(Output::Commit(record)) if record.seq == 1));
/// assert_eq!(room.poll(), Some(Output::Edited { request: RequestId(1), seq: 1, is_recorded: true }));
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DurableRoom {
    name: RoomName,
    epoch: Epoch,
    room: Room,
    outputs: VecDeque<Output>,
    /// Records that are not passed to the storage yet.
    gathered: Vec<Record>,
    gathered_bytes: usize,
    /// The last record of the commit that is in flight, by its number, and the time of that commit.
    in_flight: Option<(u64, u64)>,
    /// The number of the last record that is stored.
    stored: u64,
    /// When it was committed; `None` if that was before the room was opened.
    stored_at: Option<u64>,
}

impl DurableRoom {
    /// Opens a room from what is stored of it.
    ///
    /// # Errors
    ///
    /// As [`Room::open`].
    pub fn open(config: RoomConfig, name: RoomName, opened: Opened) -> Result<Self> {
        let epoch = opened.epochs.present().clone();
        let room = Room::open(config, opened)?;
        Ok(Self {
            name,
            epoch,
            stored: room.number(),
            stored_at: None,
            room,
            outputs: VecDeque::new(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            in_flight: None,
        })
    }

    /// Handles one input.
    pub fn handle(&mut self, input: Input<'_>) {
        for output in self.room.handle(input) {
            if let Output::Commit(record) = &output {
                self.gathered_bytes += record.size();
                self.gathered.push(record.clone());
            }
            self.outputs.push_back(output);
        }
    }

    /// Returns the next output to carry out; `None` if there is none. An [`Output::Commit`] reports that its record is
    /// stored.
    #[must_use = "what is put out has to be done, in order"]
    pub fn poll(&mut self) -> Option<Output> {
        let (stored, stored_at) = (self.stored, self.stored_at);
        self.outputs.pop_front_if(|output| match output {
            Output::Commit(record) => record.number <= stored,
            Output::Snapshot(snapshot) => {
                // Its records are stored by now.
                snapshot.time = stored_at;
                true
            }
            _ => true,
        })
    }

    /// What to store next, if there is anything and the storage has answered for what it was handed before. `now` is in
    /// milliseconds since the Unix epoch.
    pub fn commit(&mut self, now: u64) -> Option<Commit> {
        if self.in_flight.is_some() {
            return None;
        }
        self.in_flight = Some((self.gathered.last()?.number, now));
        self.gathered_bytes = 0;
        let records = mem::take(&mut self.gathered);
        Some(Commit { room: self.name.clone(), epoch: self.epoch.clone(), time: now, records })
    }

    /// Notes that the storage has stored the last commit.
    pub fn committed(&mut self) {
        if let Some((number, time)) = self.in_flight.take() {
            (self.stored, self.stored_at) = (number, Some(time));
        }
    }

    /// Encodes a snapshot into its stored form. The time that this takes is proportional to the size of the content.
    pub fn encode(name: &RoomName, epoch: &Epoch, snapshot: &Snapshot) -> StoredSnapshot {
        StoredSnapshot {
            room: name.clone(),
            epoch: epoch.clone(),
            number: snapshot.number,
            seq: snapshot.seq,
            text: snapshot.encode(),
        }
    }

    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// The epoch under which the room is open.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The room. It may be newer than its storage.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// How many outputs are held back.
    pub fn held(&self) -> usize {
        self.outputs.len()
    }

    /// About how many bytes of records are gathered for the next commit.
    pub fn gathered_bytes(&self) -> usize {
        self.gathered_bytes
    }

    /// Whether everything is stored and every output was returned. Such a room can be dropped without a loss.
    pub fn is_settled(&self) -> bool {
        self.outputs.is_empty() && self.gathered.is_empty() && self.in_flight.is_none()
    }
}

#[cfg(test)]
mod tests {
    use roommate::{Changes, Content};

    use super::*;
    use crate::{Edit, Memory, RequestId, Storage};

    fn set(room: &mut DurableRoom, request: u64, value: i32) {
        let mut changes = Changes::new();
        changes.set_value("v", value.into());
        room.handle(Input::Edit {
            request: RequestId(request),
            author: None,
            change: None,
            edit: Edit::Apply(&changes),
        });
    }

    fn edited(room: &mut DurableRoom) -> Vec<u64> {
        let outputs = std::iter::from_fn(|| room.poll());
        let edited = outputs.filter_map(|output| match output {
            Output::Edited { request, .. } => Some(request.0),
            _ => None,
        });
        edited.collect()
    }

    #[test]
    fn r6_what_comes_while_a_commit_is_in_flight_is_the_next_commit() {
        let storage = Memory::new();
        let name = RoomName::main("r");
        let mut room =
            DurableRoom::open(RoomConfig::new(), name.clone(), storage.open(&name, "a", 0).unwrap()).unwrap();
        assert!(room.is_settled());
        set(&mut room, 1, 1);
        let first = room.commit(7).unwrap();
        set(&mut room, 2, 2);
        set(&mut room, 3, 3);
        assert_eq!(room.commit(8), None, "one at a time");
        assert_eq!(edited(&mut room), [0; 0]);
        assert!(storage.commit(&[first])[0].is_ok());
        room.committed();
        assert_eq!(edited(&mut room), [1]);
        let second = room.commit(9).unwrap();
        assert_eq!((second.first(), second.last(), second.seq(), second.time), (2, 3, 3, 9));
        assert!(storage.commit(&[second])[0].is_ok());
        room.committed();
        assert_eq!(edited(&mut room), [2, 3]);
        assert!(room.is_settled() && room.commit(9).is_none());

        let opened = storage.open(&name, "b", 0).unwrap();
        let again = DurableRoom::open(RoomConfig::new(), name, opened).unwrap();
        assert_eq!(again.room().content(), &Content::from_json(r#"[{},{"v":3}]"#).unwrap().value);
        assert_eq!((again.room().seq(), again.epoch().number, again.epoch().begins), (3, 2, 3));
    }

    #[test]
    fn what_needs_no_storage_waits_for_nothing() {
        let mut room = DurableRoom::open(RoomConfig::new(), RoomName::main("r"), Opened::new("a")).unwrap();
        room.handle(Input::Edit {
            request: RequestId(1),
            author: None,
            change: None,
            edit: Edit::Apply(&Changes::new()),
        });
        assert_eq!(edited(&mut room), [1]);
        assert!(room.commit(0).is_none());
    }
}
