//! The saves of a client, and its knowledge of the room's store.

use std::time::Duration;

use roommate::{Changes, EditKey, Error, ErrorKind, Result};

use super::RoomClient;
use crate::{Spoken, Ticket};

impl RoomClient {
    /// Begins a save of changes; `None` if the queue is full for now. Every input may change that, and so may
    /// [`next_notice`](Self::next_notice).
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), [`Link::save`](crate::Link::save) and [`Session::save`](crate::Session::save).
    /// [`ErrorKind::Unavailable`] if the save would never be confirmed: the watch has ended, or the room has no store
    /// and the save would wait for one.
    pub fn save(&mut self, changes: &Changes, edit: Option<EditKey<'_>>, now: Duration) -> Result<Option<Ticket>> {
        self.check()?;
        let spoken = match &self.watch {
            // The reader of the watch receives the cause once no save is in progress.
            Some(watch) if watch.ends() => {
                return Err(Error::new(ErrorKind::Unavailable, "the watch of the room has ended"));
            }
            Some(watch) if watch.notices.is_full() => return Ok(None),
            Some(watch) => watch.spoken,
            None => Some(Spoken::Stock),
        };
        let ticket = match spoken {
            Some(Spoken::Extended) if self.session.has_room() => {
                self.session.save(edit, changes, now).map(Ticket::Confirmed)
            }
            Some(Spoken::Stock) if self.link.has_room() => self.link.save(changes, now),
            // The engine offers a store only while no save is in progress, so this save must not wait for one.
            _ if self.store_is_present() == Some(false) => {
                Err(Error::new(ErrorKind::Unavailable, "the room has lost its store: it is offered one"))
            }
            _ => return Ok(None),
        };
        if let Ok(Ticket::Handed(receipt)) = ticket {
            self.handing.insert(receipt);
        }
        self.carry_out();
        ticket.map(Some)
    }

    /// Returns the header value that identifies the last edit of a first content in a request for it; `None` if the
    /// server does not support that.
    ///
    /// # Errors
    ///
    /// As [`Session::offer`](crate::Session::offer).
    pub fn offer(&mut self, edit: EditKey<'_>) -> Result<Option<String>> {
        if !self.is_extended() {
            return Ok(None);
        }
        let offer = self.session.offer(edit).map(Some);
        // The edit may be of another client than the one that joined, which takes another connection.
        self.carry_out();
        offer
    }

    /// As [`Session::introduce`](crate::Session::introduce).
    pub fn introduce(&mut self, client: &str) {
        self.session.introduce(client);
        self.carry_out();
    }

    /// Whether the room has a store, as far as is known.
    pub fn store_is_present(&self) -> Option<bool> {
        let (link, session) = (self.link.store_is_present(), self.session.store_is_present());
        if self.is_extended() { session } else { link.or(session) }
    }

    /// Records whether a request showed that the room has a store.
    pub fn store_found(&mut self, present: bool, now: Duration) {
        self.link.store_found(present, now);
        if present && self.is_extended() {
            self.session.store_found();
        }
        self.carry_out();
    }
}
