//! What happens to rooms, for the program that hosts them.

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
        /// Which.
        room: RoomName,
    },
    /// A change of a room is stored.
    Changed {
        /// Which.
        room: RoomName,
        /// The room's sequence number after it.
        seq: u64,
    },
    /// A room was closed: nobody used it, or it could not be stored. It is opened again when it is asked for.
    Closed {
        /// Which.
        room: RoomName,
    },
    /// This subscriber was too slow and missed some events.
    Missed {
        /// How many.
        events: u64,
    },
}

/// The events of all rooms since the subscription. Made by [`Rooms::events`].
pub struct RoomEvents(broadcast::Receiver<RoomEvent>);

impl Rooms {
    /// Subscribes to what happens to the rooms from now on.
    ///
    /// A subscriber that leaves more than 1024 events unread misses the oldest, and gets
    /// [`RoomEvent::Missed`] in their place.
    pub fn events(&self) -> RoomEvents {
        RoomEvents(self.event_sender().subscribe())
    }
}

impl RoomEvents {
    /// The next event; `None` when the rooms are gone.
    ///
    /// May be dropped before it is done without losing an event.
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
