//! Events of rooms, for the program that hosts them.

use std::fmt;

use roommate_partykit_proto::RoomName;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::rooms::Rooms;

/// Something that happened to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomEvent {
    /// A room was opened from the storage.
    Opened {
        /// The room.
        room: RoomName,
    },
    /// A change of a room is stored.
    Changed {
        /// The room.
        room: RoomName,
        /// The room's sequence number after the change.
        seq: u64,
    },
    /// A room was closed, because it was not in use or could not be stored. The next use opens it again.
    Closed {
        /// The room.
        room: RoomName,
    },
    /// This subscriber was too slow and missed some events.
    Missed {
        /// How many events.
        events: u64,
    },
}

/// A subscription to the events of all rooms. Created by [`Rooms::events`].
pub struct RoomEvents(broadcast::Receiver<RoomEvent>);

impl Rooms {
    /// Subscribes to the events of the rooms from now on.
    ///
    /// A subscriber that leaves more than 1024 events unread misses the oldest. It receives [`RoomEvent::Missed`] in
    /// their place.
    pub fn events(&self) -> RoomEvents {
        RoomEvents(self.event_sender().subscribe())
    }
}

impl RoomEvents {
    /// Returns the next event; `None` when the rooms are gone.
    ///
    /// The future may be dropped before it completes. No event is lost then.
    pub async fn next(&mut self) -> Option<RoomEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(events)) => Some(RoomEvent::Missed { events }),
            Err(RecvError::Closed) => None,
        }
    }
}

impl fmt::Debug for RoomEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomEvents").field("unread", &self.0.len()).finish_non_exhaustive()
    }
}
