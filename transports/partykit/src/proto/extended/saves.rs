//! Changes on their way: cut into messages, sent in order, and accounted for.

use std::{sync::Arc, time::Duration};

use roommate::{Changes, Content, EditKey, Error, ErrorKind, MOST_UNCONFIRMED, Notice, Receipt, Result};

use super::{GATHERING, Session, SessionOutput, Stage};
use crate::proto::{
    dialect::{MAX_CLIENT_ID, MAX_SAFE_INTEGER, Offer},
    leaf,
};

/// One message of a save.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: u64,
    receipt: Receipt,
    pub(super) changes: Changes,
    pub(super) frame: Arc<str>,
    /// What was refused of the save so far.
    refused: Changes,
    /// Up to which id that was told.
    refused_up_to: u64,
    /// Another part of the same save is next.
    has_more: bool,
    /// It is neither the first nor the only part of its save.
    continues: bool,
    /// It was sent on some connection.
    pub(super) was_sent: bool,
    /// It was sent on this connection.
    pub(super) is_on_its_way: bool,
}

/// A confirmation with a refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) receipt: Receipt,
    /// The id of the save's last message.
    pub(super) last: u64,
    bytes: usize,
}

/// Where a confirmation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the change stands in the order.
    InOrder,
    /// Before a content that has the change.
    BeforeContent,
    /// After that, since nobody had asked before.
    Late(Duration),
}

/// A save may be cut into this many messages: the ids of an edit's messages are its number times this, and on from there.
const MOST_PARTS: u64 = 1 << 12;

/// The largest id that a message of the same edit may have. No edit has so many messages but one of [`MOST_PARTS`].
pub(super) fn last_id(id: u64) -> u64 {
    id | (MOST_PARTS - 1)
}

/// The most refusals that nobody has taken note of while more is asked for. Half of what the server remembers.
const MOST_UNTAKEN: usize = 128;
/// The same in bytes.
const MOST_UNTAKEN_BYTES: usize = 512 << 10;

/// The most saves that nobody has taken note of, decided or not. More than an engine lets come to that.
const MOST_UNREAD: usize = 4 * MOST_UNCONFIRMED;

impl Session {
    /// Takes changes to be sent as soon as that can be; a [`Notice::Confirmed`] tells when they are accepted.
    ///
    /// An edit with a key may be saved again, with the same changes and under the same [`Limits`](super::Limits), by this
    /// session or by a later one: it takes effect once. Edits of one client have to be saved in the order of their numbers.
    /// What the room could never take is refused alone.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if there is no room ([`Session::has_room`]), [`ErrorKind::Invalid`] for an edit out of
    /// order and for a key that the wire cannot carry.
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
        self.forget_refusals(base);
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
        let mut refused = Some(fit.refused);
        self.pending.extend(fit.messages.into_iter().zip(base..).enumerate().map(|(index, ((changes, _), id))| Part {
            id,
            receipt,
            frame: self.dialect.encode_change(id, &changes).into(),
            changes,
            refused: refused.take().unwrap_or_default(),
            refused_up_to: id,
            has_more: index + 1 < count,
            continues: index > 0,
            was_sent: false,
            is_on_its_way: false,
        }));
        self.confirm_decided(now);
        self.settle();
        Ok(receipt)
    }

    /// What a request that offers a first content says in the header [`OFFER_HEADER`](crate::proto::OFFER_HEADER), if the
    /// content has this edit and all before it. The edits are to be saved all the same: if the room's store is made of this
    /// content they are confirmed then, and do not take effect again.
    ///
    /// # Errors
    /// As of [`Session::save`].
    pub fn offer(&mut self, key: EditKey<'_>) -> Result<String> {
        let base = self.begin_save(Some(key))?;
        Ok(Offer { client: self.client.clone(), id: last_id(base) }.encode())
    }

    /// Tells whose edits will be saved. Best before the connection is open: otherwise another has to be.
    pub fn introduce(&mut self, client: &str) {
        // A client that cannot be taken is an error when it saves.
        let _ = self.speak_for(client);
    }

    /// Whether another save can be taken. If not, the room will make it so by deciding those under way.
    ///
    /// Too many refusals that are not [taken](Self::taken) keep saves from being sent, and not from being taken: whoever
    /// saves may have to be done with that before taking note of anything. That is bounded all the same, beyond what an
    /// engine lets come to that.
    pub fn has_room(&self) -> bool {
        let saves = self.pending.iter().filter(|part| !part.has_more).count();
        let is_waited_for = saves >= self.options.capacity.max(1) && !self.owes();
        !is_waited_for && saves + self.untaken.len() < MOST_UNREAD
    }

    /// Whether nothing more may be asked for before refusals are taken. The server remembers some, and hangs up on whoever
    /// asks for more and takes note of none.
    fn owes(&self) -> bool {
        let bytes = || self.untaken.iter().map(|refusal| refusal.bytes).sum::<usize>();
        self.untaken.len() >= MOST_UNTAKEN || bytes() > MOST_UNTAKEN_BYTES
    }

    /// The id of the edit's first message.
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

    /// Becomes another client, which joins for itself.
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
        self.decided = 0;
        self.refusals.clear();
        self.untaken.clear();
        if matches!(self.stage, Stage::Joining(_) | Stage::Joined) {
            self.reconnect();
        }
        Ok(())
    }

    /// Who saves an edit knows the fate of those before it, but for refusals that wait to be taken note of: whoever listens may
    /// end before that, and then they have to be told again.
    fn forget_refusals(&mut self, base: u64) {
        let kept = self.refusals.split_off(&base);
        let known = std::mem::replace(&mut self.refusals, kept);
        let first_untaken = self.untaken.front().map_or(base, |refusal| refusal.receipt.0);
        if let Some((id, _)) = known.range(..first_untaken).next_back() {
            self.acknowledge(*id);
        }
    }

    /// Sends what can be sent.
    pub(super) fn settle(&mut self) {
        if self.stage != Stage::Joined || self.has_store != Some(true) || self.owes() {
            return;
        }
        for part in self.pending.iter_mut().filter(|part| !part.is_on_its_way) {
            self.outputs.push_back(SessionOutput::Send(part.frame.clone()));
            part.was_sent = true;
            part.is_on_its_way = true;
        }
    }

    /// Confirms what was decided before it was saved here.
    fn confirm_decided(&mut self, now: Duration) {
        while let Some(id) = self.pending.front().map(|part| part.id).filter(|id| *id <= self.last) {
            let is_last = self.pending.get(1).is_none_or(|next| next.id > self.last) && last_id(id) >= self.last;
            self.confirm_next(Place::Late(now));
            if is_last {
                self.tell_outdated();
            }
        }
    }

    /// Accounts for the next message, which was decided as is known already.
    pub(super) fn confirm_next(&mut self, place: Place) {
        let Some(mut part) = self.pending.pop_front() else { return };
        let mut refused = self.refusals.remove(&part.id).unwrap_or_default();
        // A first content that had the edit had all of its messages.
        if !part.has_more
            && let Some(more) = self.refusals.remove(&last_id(part.id))
        {
            part.refused_up_to = last_id(part.id);
            leaf::merge(&mut refused, &more);
        }
        self.confirm(part, &refused, place);
    }

    /// Accounts for a message that was accepted but for `refused`.
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
            let bytes = part.refused.to_json().len();
            self.untaken.push_back(Refusal { receipt: part.receipt, last: part.refused_up_to, bytes });
        }
        self.tell(Notice::Confirmed { receipt: part.receipt, refused: part.refused });
        if part.continues && place == Place::InOrder {
            // It is told at its last part's place, though others may have overwritten the first.
            self.tell(Notice::Stale);
        }
    }

    /// How many of the oldest changes that were sent would change nothing if they were made now, whether accepted or not.
    pub(super) fn shown_by(&self, content: &Content) -> usize {
        // Not what a later one overwrites: that may have been refused.
        let shows = |part: &&Part| leaf::leaves(&part.changes).into_iter().all(|leaf| leaf.is_shown_by(content, &[]));
        self.pending.iter().take_while(|part| part.was_sent).take_while(shows).count()
    }
}
