//! What a client saves, and what it knows of the room's store.

use std::time::Duration;

use roommate::{Changes, EditKey, Error, ErrorKind, Result};

use super::RoomClient;
use crate::{Spoken, Ticket};

impl RoomClient {
    /// Begins a save of changes; `None` if there is no room for it now. [`RoomClientOutput::HasRoom`] and every other output
    /// may change that.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), [`Link::save`] and [`Session::save`]. [`ErrorKind::Unavailable`] if the save would never
    /// be confirmed: the watch has ended, or the room has no store and the save would wait for one.
    pub fn save(&mut self, changes: &Changes, edit: Option<EditKey<'_>>, now: Duration) -> Result<Option<Ticket>> {
        self.check()?;
        let spoken = match &self.watch {
            // The reader of the watch learns why when nothing is being saved.
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
            // The engine offers a store only while it saves nothing, so this save may not wait for one.
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

    /// Identifies the last edit of a first content in a request for it, if the server takes note of that.
    ///
    /// # Errors
    ///
    /// As [`Session::offer`].
    pub fn offer(&mut self, edit: EditKey<'_>) -> Result<Option<String>> {
        if self.is_extended() { self.session.offer(edit).map(Some) } else { Ok(None) }
    }

    /// As [`Session::introduce`].
    pub fn introduce(&mut self, client: &str) {
        self.session.introduce(client);
        self.carry_out();
    }

    /// Whether the room has a store, as far as is known.
    pub fn store_is_present(&self) -> Option<bool> {
        let (link, session) = (self.link.store_is_present(), self.session.store_is_present());
        if self.is_extended() { session } else { link.or(session) }
    }

    /// A request showed whether the room has a store.
    pub fn store_found(&mut self, present: bool, now: Duration) {
        self.link.store_found(present, now);
        if present && self.is_extended() {
            self.session.store_found();
        }
        self.carry_out();
    }
}
