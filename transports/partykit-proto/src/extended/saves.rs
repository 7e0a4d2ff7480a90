//! Changes in flight: split into messages, sent in order, and accounted for.

use std::{sync::Arc, time::Duration};

use roommate::{Changes, Content, EditKey, Error, ErrorKind, MOST_UNCONFIRMED, Notice, Receipt, Result};

use super::{GATHERING, Session, SessionOutput, Stage};
use crate::{
    dialect::{MAX_CLIENT_ID, MAX_SAFE_INTEGER, Offer},
    leaf,
    refusals::{Remembered, Tally},
};

/// One message of a save.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: u64,
    pub(super) receipt: Receipt,
    pub(super) changes: Changes,
    pub(super) frame: Arc<str>,
    /// The refused parts of the save so far.
    pub(super) refused: Changes,
    /// Another part of the same save is next.
    has_more: bool,
    /// The part is not the first of its save.
    continues: bool,
    /// The part was sent on some connection.
    pub(super) was_sent: bool,
    /// The part was sent on this connection.
    pub(super) is_on_its_way: bool,
}

/// The position of a confirmation among the notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the change's position in the order.
    InOrder,
    /// Before a content that contains the change.
    BeforeContent,
    /// After that position, because the change was saved here only later.
    Late(Duration),
}

/// A save may be split into this many messages: the ids of an edit's messages start at the edit's number times this.
const MOST_PARTS: u64 = 1 << 12;

/// The largest id that a message of the same edit may have. Only an edit of [`MOST_PARTS`] messages reaches it.
pub(super) fn last_id(id: u64) -> u64 {
    id | (MOST_PARTS - 1)
}

/// The most saves that the engine has not processed, decided or not. This is more than an engine lets accumulate.
const MOST_UNREAD: usize = 4 * MOST_UNCONFIRMED;

impl Session {
    /// Queues changes to be sent as soon as possible. A [`Notice::Confirmed`] reports when they are accepted.
    ///
    /// An edit with a key may be saved again, with the same changes and under the same [`Limits`](super::Limits), by
    /// this session or by a later one: it takes effect once. Edits of one client must be saved in the order of their
    /// numbers. Parts that exceed the room's limits are refused alone.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the queue is full ([`Session::has_room`]), [`ErrorKind::Invalid`] for an edit out
    /// of order and for a key that the wire cannot carry.
    pub fn save(&mut self, key: Option<EditKey<'_>>, changes: &Changes, now: Duration) -> Result<Receipt> {
        let base = self.begin_save(key)?;
        let receipt = Receipt(base);
        if self.pending.iter().any(|part| part.receipt == receipt) {
            return Ok(receipt);
        }
        if !self.has_room() {
            return Err(Error::new(ErrorKind::Unavailable, "too many saves wait for the room: try again later"));
        }
        if base > self.last {
            if self.pending.back().is_some_and(|part| part.id > base) {
                return Err(Error::new(ErrorKind::Invalid, "edits have to be saved in the order of their numbers"));
            }
            self.tell_outdated();
        }
        self.newest = self.newest.max(base);
        self.forget_known(base);
        let mut fit =
            self.options.limits.fit(&|changes| self.dialect.encode_change(base + MOST_PARTS - 1, changes), changes);
        let too_many = fit.messages.split_off(fit.messages.len().min(MOST_PARTS as usize));
        if !too_many.is_empty() {
            too_many.iter().for_each(|(changes, _)| leaf::merge(&mut fit.refused, changes));
            let message = format!("an edit takes at most {MOST_PARTS} messages: spread it over several transactions");
            fit.error.get_or_insert_with(|| Error::new(ErrorKind::Refused, message));
        }
        if let Some(error) = fit.error {
            self.outputs.push_back(SessionOutput::Report(error));
        }
        let count = fit.messages.len();
        if count == 0 {
            self.tell(Notice::Confirmed { receipt, refused: fit.refused });
            return Ok(receipt);
        }
        let mut refused = Some(self.with_forgone(receipt, fit.refused));
        self.pending.extend(fit.messages.into_iter().zip(base..).enumerate().map(|(index, ((changes, _), id))| Part {
            id,
            receipt,
            frame: self.dialect.encode_change(id, &changes).into(),
            changes,
            refused: refused.take().unwrap_or_default(),
            has_more: index + 1 < count,
            continues: index > 0,
            was_sent: false,
            is_on_its_way: false,
        }));
        self.drop_forgone();
        self.confirm_decided(now);
        self.settle();
        Ok(receipt)
    }

    /// Returns the value of the header [`OFFER_HEADER`](crate::OFFER_HEADER) for a request that offers a first content
    /// which includes this edit and all before it. The edits must be saved all the same: if the room's store is created
    /// from this content, they are confirmed then, and do not take effect again.
    ///
    /// # Errors
    /// As [`Session::save`].
    pub fn offer(&mut self, key: EditKey<'_>) -> Result<String> {
        let base = self.begin_save(Some(key))?;
        self.has_offered = self.has_store != Some(true);
        Ok(Offer { client: self.client.clone(), id: last_id(base) }.encode())
    }

    /// Sets the client whose edits will be saved. Best called before the connection is open: if called later, the
    /// session has to reconnect.
    pub fn introduce(&mut self, client: &str) {
        // An invalid client id is an error when the client saves.
        let _ = self.speak_for(client);
    }

    /// Whether another save can be queued. If not, there is room again once the room has decided pending saves.
    ///
    /// Too many refusals that are not [taken](Self::taken) stop saves from being sent, but not from being queued: a
    /// caller may have to finish saving before it processes any notice. The queue is bounded all the same, above what
    /// an engine lets accumulate.
    pub fn has_room(&self) -> bool {
        let saves = self.pending.iter().filter(|part| !part.has_more).count();
        let is_waited_for = saves >= self.options.capacity.max(1) && !self.owes();
        !is_waited_for && saves + self.untaken.len() < MOST_UNREAD
    }

    /// Returns the id of the edit's first message.
    fn begin_save(&mut self, key: Option<EditKey<'_>>) -> Result<u64> {
        let number = match key {
            None => {
                self.number += 1;
                self.number
            }
            Some(key) => {
                self.speak_for(key.client)?;
                self.number = self.number.max(key.number);
                key.number
            }
        };
        number.checked_mul(MOST_PARTS).filter(|base| *base > 0 && *base <= MAX_SAFE_INTEGER - MOST_PARTS).ok_or_else(
            || Error::new(ErrorKind::Invalid, format!("an edit cannot have the number {number}: begin with 1")),
        )
    }

    /// Switches to another client id, which needs a join of its own.
    fn speak_for(&mut self, client: &str) -> Result<()> {
        if *client == *self.client {
            return Ok(());
        }
        if client.is_empty() || client.len() > MAX_CLIENT_ID {
            let message = format!("a client's id must have 1 to {MAX_CLIENT_ID} bytes");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if !self.pending.is_empty() {
            let message = "edits of another client wait for the room: give each engine a persister of its own";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.client = client.into();
        self.was_known = false;
        self.last = 0;
        self.newest = 0;
        self.refusals.clear();
        self.untaken.clear();
        self.decided = 0;
        self.acknowledged = 0;
        self.remembered = Remembered::default();
        self.forgone = None;
        if matches!(self.stage, Stage::Joining(_) | Stage::Joined) {
            self.reconnect();
        }
        Ok(())
    }

    /// Acknowledges and sends as much as possible.
    pub(super) fn settle(&mut self) {
        self.acknowledge_known();
        if self.stage != Stage::Joined || self.has_store != Some(true) || self.has_offered {
            return;
        }
        let mut on_its_way = Tally::default();
        // The messages in flight come first.
        for part in self.pending.iter().take_while(|part| part.is_on_its_way) {
            on_its_way.add(part.frame.len());
        }
        while on_its_way.count < self.pending.len() && (self.may_ask(on_its_way) || self.acknowledge_begun(on_its_way))
        {
            let Some(part) = self.pending.get_mut(on_its_way.count) else { return };
            self.outputs.push_back(SessionOutput::Send(part.frame.clone()));
            part.was_sent = true;
            part.is_on_its_way = true;
            on_its_way.add(part.frame.len());
        }
    }

    /// Confirms changes that were decided before they were saved here.
    fn confirm_decided(&mut self, now: Duration) {
        while let Some(id) = self.pending.front().map(|part| part.id).filter(|id| *id <= self.last) {
            let is_last = self.pending.get(1).is_none_or(|next| next.id > self.last) && last_id(id) >= self.last;
            self.confirm_next(Place::Late(now));
            if is_last {
                self.tell_outdated();
            }
        }
    }

    /// Accounts for the next message, whose outcome is known already.
    pub(super) fn confirm_next(&mut self, place: Place) {
        let Some(part) = self.pending.pop_front() else { return };
        let mut refused = self.refusals.remove(&part.id).unwrap_or_default();
        // A first content that included the edit included all of its messages, and perhaps later edits. Its refusals
        // are reported with the last of these messages.
        if !part.has_more
            && let Some(more) = self.refusals.remove(&last_id(part.id))
        {
            leaf::merge(&mut refused, &more);
        } else if let Some((_, more)) = self.refusals.range(part.id..).find(|(id, _)| **id == last_id(**id)) {
            leaf::merge(&mut refused, &leaf::retain(&part.changes, |leaf| leaf.is_in(more)));
        }
        self.confirm(part, &refused, place);
    }

    /// Accounts for a message that was accepted except for `refused`.
    pub(super) fn confirm(&mut self, mut part: Part, refused: &Changes, place: Place) {
        leaf::merge(&mut part.refused, refused);
        if let Place::Late(now) = place {
            self.outdated = Some(now + GATHERING);
        }
        if part.has_more {
            if let Some(next) = self.pending.front_mut() {
                let first = std::mem::replace(&mut next.refused, part.refused);
                leaf::merge(&mut next.refused, &first);
            }
            if place == Place::InOrder {
                self.tell(Notice::Changes(leaf::retain(&part.changes, |leaf| !leaf.is_in(refused))));
            }
            return;
        }
        if !part.refused.is_empty() {
            self.untaken.push_back(part.receipt);
            self.note_forgone(&part);
        }
        self.tell(Notice::Confirmed { receipt: part.receipt, refused: part.refused });
        if part.continues && place == Place::InOrder {
            // The save is reported at the position of its last part, though other clients may have overwritten the
            // first.
            self.tell(Notice::Stale);
        }
    }

    /// How many of the oldest sent changes would have no effect if they were made now, whether they were accepted or
    /// not.
    pub(super) fn shown_by(&self, content: &Content) -> usize {
        // This excludes data that a later change overwrites: that change may have been refused.
        let shows = |part: &&Part| leaf::leaves(&part.changes).into_iter().all(|leaf| leaf.is_shown_by(content, &[]));
        self.pending.iter().take_while(|part| part.was_sent).take_while(shows).count()
    }
}
