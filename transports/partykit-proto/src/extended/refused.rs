//! The refusals of a client: which of them the engine has processed, and which the server has to remember.
//!
//! Every message in flight is counted as if it were refused. So the server, which counts the actual refusals, never has
//! to close the connection.

use std::mem;

use roommate::{Changes, Receipt};

use super::{
    Session, Stage,
    saves::{Part, last_id},
};
use crate::{dialect::ClientMessage, leaf, refusals::Tally};

/// The refused parts of an edit that had some of its messages acknowledged before the edit was reported. The server no
/// longer remembers these refusals.
///
/// They are stored for the next watch, and are lost when the program ends.
#[derive(Debug)]
pub(super) struct Forgone {
    pub(super) receipt: Receipt,
    pub(super) refused: Changes,
}

impl Session {
    /// Records that the engine has processed a [`Notice::Confirmed`](roommate::Notice::Confirmed) that reported a
    /// refusal.
    pub fn taken(&mut self, receipt: Receipt) {
        let Some(index) = self.untaken.iter().position(|untaken| *untaken == receipt) else { return };
        self.untaken.drain(..=index);
        self.forgone.take_if(|forgone| forgone.receipt.0 <= receipt.0);
        self.settle();
    }

    /// Whether no more changes may be sent before refusals are processed, whatever the outcome of the messages in
    /// flight.
    pub(super) fn owes(&self) -> bool {
        self.remembered.tally().exceeds(self.most_refused)
    }

    /// Whether one more message may be sent, even if all messages in flight are refused.
    pub(super) fn may_ask(&self, on_its_way: Tally) -> bool {
        let remembered = self.remembered.tally();
        let count = remembered.count + on_its_way.count;
        let bytes = remembered.bytes.saturating_add(on_its_way.bytes);
        !Tally { count, bytes }.exceeds(self.most_refused)
    }

    /// Drops the refusals of earlier edits: a caller that saves an edit knows the outcome of those before it.
    pub(super) fn forget_known(&mut self, id: u64) {
        self.refusals = self.refusals.split_off(&id);
    }

    /// Acknowledges the changes whose outcome their author knows. Not acknowledged are unprocessed refusals, since the
    /// watch may end before the engine has processed them, and whatever comes after those.
    pub(super) fn acknowledge_known(&mut self) {
        let untold = [self.first_untold(), self.refusals.keys().next().copied()].into_iter().flatten().min();
        self.decided = self.decided.max(self.remembered.newest_below(untold.unwrap_or(u64::MAX)).unwrap_or(0));
        self.acknowledge();
    }

    /// Acknowledges the refusals of the edit whose next message follows the messages in flight, if the edit cannot
    /// continue otherwise. Returns whether it can now.
    pub(super) fn acknowledge_begun(&mut self, on_its_way: Tally) -> bool {
        let (Some(first), Some(next)) = (self.pending.front(), self.pending.get(on_its_way.count)) else {
            return false;
        };
        if !self.owes() || !self.untaken.is_empty() || first.receipt != next.receipt {
            return false;
        }
        let Some(id) = self.remembered.newest_below(first.id) else { return false };
        self.decided = self.decided.max(id);
        self.acknowledge();
        self.may_ask(on_its_way)
    }

    /// Returns the refused parts of an edit that is saved again: those that its messages no longer report, and `more`.
    pub(super) fn with_forgone(&self, receipt: Receipt, mut more: Changes) -> Changes {
        if let Some(forgone) = self.forgone.as_ref().filter(|forgone| forgone.receipt == receipt) {
            leaf::merge(&mut more, &forgone.refused);
        }
        more
    }

    /// Records that an edit is reported. `part` is its last message.
    pub(super) fn note_forgone(&mut self, part: &Part) {
        if self.has_acknowledged(part) {
            self.forgone = Some(Forgone { receipt: part.receipt, refused: part.refused.clone() });
        }
    }

    /// Stores the acknowledged refusals of the pending edit, because pending edits are about to be dropped and saved
    /// again.
    pub(super) fn keep_forgone(&mut self) {
        let has_acknowledged = self.pending.front().is_some_and(|part| self.has_acknowledged(part));
        if let Some(part) = self.pending.front_mut().filter(|_| has_acknowledged) {
            self.forgone = Some(Forgone { receipt: part.receipt, refused: mem::take(&mut part.refused) });
        }
    }

    /// Drops the stored refusals of earlier edits once a later edit was saved, because no earlier edit will be saved
    /// again.
    pub(super) fn drop_forgone(&mut self) {
        let first = self.first_untold();
        self.forgone.take_if(|forgone| first.is_some_and(|first| forgone.receipt.0 < first));
    }

    /// Whether refusals of the part's edit were acknowledged before the edit was reported. This applies to one edit at
    /// most: its refusals must be processed before any of the next edit's are acknowledged.
    fn has_acknowledged(&self, part: &Part) -> bool {
        (part.receipt.0..=last_id(part.receipt.0)).contains(&self.decided)
    }

    /// The first edit that was saved here and whose outcome its author does not know yet.
    fn first_untold(&self) -> Option<u64> {
        let pending = self.pending.front().map(|part| part.receipt);
        self.untaken.front().copied().into_iter().chain(pending).map(|receipt| receipt.0).min()
    }

    /// Acknowledges to the server the refusals that it need not remember any more. If the server has yet to respond to
    /// the join, this happens after the response.
    fn acknowledge(&mut self) {
        self.remembered.forget_up_to(self.decided);
        if self.stage == Stage::Joined && self.decided > self.acknowledged {
            self.acknowledged = self.decided;
            self.send(self.dialect.encode_client(&ClientMessage::Ack(self.decided)));
        }
    }
}
