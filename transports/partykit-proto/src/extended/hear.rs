//! The handling of the server's messages.

use std::time::Duration;

use roommate::{Changes, Content, Notice};

use super::{
    Session, Stage,
    saves::{Part, Place, last_id},
};
use crate::{
    dialect::{Entry, ServerMessage, Standing},
    leaf,
    refusals::Remembered,
};

/// The server violated the protocol, or sent something that only a snapshot can explain.
#[derive(Debug)]
struct Astray;

impl Session {
    /// Handles a message of the dialect from the connection.
    pub fn heard(&mut self, message: ServerMessage, now: Duration) {
        let followed = match (self.stage, message) {
            (Stage::Joining(_) | Stage::Joined, ServerMessage::Snapshot { standing, refused, content }) => {
                self.snapshot(standing, refused, content)
            }
            (Stage::Joining(_), ServerMessage::Resumed { standing, entries }) => self.resumed(standing, entries),
            (Stage::Joined, ServerMessage::Entry(entry)) => self.entry(entry),
            (Stage::Joining(_), ServerMessage::Entry(_)) | (Stage::Joined, ServerMessage::Resumed { .. }) => {
                Err(Astray)
            }
            (Stage::Closed | Stage::Leaving(_) | Stage::Left, _) => return,
        };
        match followed {
            Ok(()) => {
                self.refuse_oversize();
                self.settle();
            }
            Err(Astray) => self.leave(now),
        }
    }

    fn snapshot(
        &mut self,
        standing: Standing,
        refused: Vec<(u64, Changes)>,
        content: Option<Content>,
    ) -> Result<(), Astray> {
        self.remembered = Remembered::default();
        refused.iter().try_for_each(|(id, refused)| self.remember(*id, refused))?;
        let joins = self.stage != Stage::Joined;
        match (standing.last, &content) {
            (Some(last), _) => {
                self.last = self.last.max(last);
                self.refusals = refused.into_iter().collect();
                self.confirm_up_to(last);
            }
            (None, Some(content)) if joins && self.was_known => {
                for _ in 0..self.shown_by(content) {
                    if let Some(part) = self.pending.pop_front() {
                        self.confirm(part, &Changes::new(), Place::BeforeContent);
                    }
                }
                // The server has also forgotten how many messages it received.
                self.oversize = None;
            }
            (None, _) => {}
        }
        self.was_known |= standing.last.is_some();
        self.at = Some(standing.position);
        self.stage = Stage::Joined;
        let had_store = self.has_store.replace(content.is_some());
        self.has_offered &= content.is_none();
        match content {
            Some(mut content) => {
                content.prune();
                self.outdated = None;
                self.tell(Notice::Content(content));
            }
            // The room's storage was emptied.
            None if had_store == Some(true) => self.tell(Notice::Stale),
            None => {}
        }
        Ok(())
    }

    /// Records that the server remembers a refusal, unless an acknowledgement is in flight.
    fn remember(&mut self, id: u64, refused: &Changes) -> Result<(), Astray> {
        if !refused.is_empty() && id > self.decided {
            self.remembered.insert(id, refused.to_json().len());
        }
        if self.remembered.is_incredible(self.most_refused) { Err(Astray) } else { Ok(()) }
    }

    /// Records that the order has reported the store.
    fn store_told(&mut self) {
        self.has_store = Some(true);
        self.has_offered = false;
    }

    /// Confirms everything up to `last`, which is decided. The next notice is a content that contains these changes.
    fn confirm_up_to(&mut self, last: u64) {
        while self.pending.front().is_some_and(|part| part.id <= last) {
            self.confirm_next(Place::BeforeContent);
        }
        self.forget_known(last_id(self.newest) + 1);
    }

    fn resumed(&mut self, standing: Standing, entries: Vec<Entry>) -> Result<(), Astray> {
        // The server may have opened the room again since: the same order goes on under another epoch.
        let at = self.at.as_mut().ok_or(Astray)?;
        at.epoch = standing.position.epoch.clone();
        for entry in entries {
            self.entry(entry)?;
        }
        if self.at.as_ref() != Some(&standing.position) {
            return Err(Astray);
        }
        let unexplained = match standing.last {
            Some(last) => self.pending.front().is_some_and(|part| part.id <= last),
            None => self.was_known && self.pending.front().is_some_and(|part| part.was_sent),
        };
        self.was_known |= standing.last.is_some();
        if unexplained {
            // A change counts as decided only once its outcome is known.
            return Err(Astray);
        }
        self.last = self.last.max(standing.last.unwrap_or(0));
        self.stage = Stage::Joined;
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> Result<(), Astray> {
        let at = self.at.as_mut().ok_or(Astray)?;
        let next = at.seq + 1;
        match entry {
            Entry::Changed { seq, mut changes } if seq == next => {
                at.seq = seq;
                self.store_told();
                changes.prune();
                if !changes.is_empty() {
                    self.tell(Notice::Changes(changes));
                }
            }
            Entry::Created { seq, mut content } if seq == next => {
                at.seq = seq;
                self.store_told();
                content.prune();
                self.tell(Notice::Content(content));
            }
            Entry::Accepted { seq, id, refused } if seq == next || seq == at.seq => {
                // A change that is refused as a whole has no position of its own, so this position is that of an entry
                // that was not received.
                let is_refused = |part: &Part| part.id == id && leaf::is_part(&part.changes, &refused);
                if seq == next && self.pending.front().is_some_and(is_refused) {
                    return Err(Astray);
                }
                at.seq = seq;
                self.remember(id, &refused)?;
                if let Some(part) = self.pending.pop_front_if(|part| part.id == id) {
                    self.was_known = true;
                    self.last = self.last.max(id);
                    self.confirm(part, &refused, Place::InOrder);
                } else if seq == next || id < last_id(id) && self.pending.front().is_some_and(|part| part.id < id) {
                    return Err(Astray);
                } else if id > self.last {
                    // The change belongs to a first content, which is reported next, or was sent by an earlier session.
                    self.was_known = true;
                    self.last = id;
                    if !refused.is_empty() {
                        self.refusals.insert(id, refused);
                    }
                    self.confirm_up_to(id);
                }
            }
            Entry::Changed { .. } | Entry::Created { .. } | Entry::Accepted { .. } => return Err(Astray),
        }
        Ok(())
    }
}
