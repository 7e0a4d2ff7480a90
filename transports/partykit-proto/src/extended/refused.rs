//! Refusals: who knows of them, and what the server has to remember of them for this client.
//!
//! Whatever is on its way is counted as if it were refused. So the server, which counts what it did refuse, never has to hang
//! up.

use std::mem;

use roommate::{Changes, Receipt};

use super::{
    Session, Stage,
    saves::{Part, last_id},
};
use crate::{dialect::ClientMessage, leaf, refusals::Tally};

/// What was refused of an edit, some of whose messages were acknowledged before it was told: the server has forgotten that.
///
/// It is kept for whoever listens next. With the program it ends.
#[derive(Debug)]
pub(super) struct Forgone {
    pub(super) receipt: Receipt,
    pub(super) refused: Changes,
}

impl Session {
    /// Whoever listens took note of a [`Notice::Confirmed`](roommate::Notice::Confirmed) that told a refusal.
    pub fn taken(&mut self, receipt: Receipt) {
        let Some(index) = self.untaken.iter().position(|untaken| *untaken == receipt) else { return };
        self.untaken.drain(..=index);
        self.forgone.take_if(|forgone| forgone.receipt.0 <= receipt.0);
        self.settle();
    }

    /// Whether nothing more may be asked for before refusals are taken, whatever becomes of what is on its way.
    pub(super) fn owes(&self) -> bool {
        self.remembered.tally().exceeds(self.most_refused)
    }

    /// Whether one more message may be sent, even if all that is on its way is refused.
    pub(super) fn may_ask(&self, on_its_way: Tally) -> bool {
        let remembered = self.remembered.tally();
        let count = remembered.count + on_its_way.count;
        let bytes = remembered.bytes.saturating_add(on_its_way.bytes);
        !Tally { count, bytes }.exceeds(self.most_refused)
    }

    /// Who saves an edit knows the fate of those before it.
    pub(super) fn forget_known(&mut self, id: u64) {
        self.refusals = self.refusals.split_off(&id);
    }

    /// Acknowledges what is known to whoever made the changes: not what waits to be taken note of, since whoever listens may
    /// end before that, nor what comes after.
    pub(super) fn acknowledge_known(&mut self) {
        let untold = [self.first_untold(), self.refusals.keys().next().copied()].into_iter().flatten().min();
        self.decided = self.decided.max(self.remembered.newest_below(untold.unwrap_or(u64::MAX)).unwrap_or(0));
        self.acknowledge();
    }

    /// Acknowledges what was refused of the edit whose next message is behind what is on its way, if it cannot go on
    /// otherwise. Returns whether it can now.
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

    /// What was refused of an edit that is saved again: what its messages do not tell any more, and `more`.
    pub(super) fn with_forgone(&self, receipt: Receipt, mut more: Changes) -> Changes {
        if let Some(forgone) = self.forgone.as_ref().filter(|forgone| forgone.receipt == receipt) {
            leaf::merge(&mut more, &forgone.refused);
        }
        more
    }

    /// An edit is told, whose last message this was.
    pub(super) fn note_forgone(&mut self, part: &Part) {
        if self.has_acknowledged(part) {
            self.forgone = Some(Forgone { receipt: part.receipt, refused: part.refused.clone() });
        }
    }

    /// What is pending is about to be forgotten, to be saved again.
    pub(super) fn keep_forgone(&mut self) {
        let has_acknowledged = self.pending.front().is_some_and(|part| self.has_acknowledged(part));
        if let Some(part) = self.pending.front_mut().filter(|_| has_acknowledged) {
            self.forgone = Some(Forgone { receipt: part.receipt, refused: mem::take(&mut part.refused) });
        }
    }

    /// An edit was saved, and none before it will be.
    pub(super) fn drop_forgone(&mut self) {
        let first = self.first_untold();
        self.forgone.take_if(|forgone| first.is_some_and(|first| forgone.receipt.0 < first));
    }

    /// Whether refusals of the part's edit were acknowledged before it was told. Of one edit at most: before any of the next
    /// are, it has to be taken note of.
    fn has_acknowledged(&self, part: &Part) -> bool {
        (part.receipt.0..=last_id(part.receipt.0)).contains(&self.decided)
    }

    /// The first edit that was saved here and whose fate nobody knows yet.
    fn first_untold(&self) -> Option<u64> {
        let pending = self.pending.front().map(|part| part.receipt);
        self.untaken.front().copied().into_iter().chain(pending).map(|receipt| receipt.0).min()
    }

    /// Tells the server what it need not remember any more. If it has yet to answer the join, that is told then.
    fn acknowledge(&mut self) {
        self.remembered.forget_up_to(self.decided);
        if self.stage == Stage::Joined && self.decided > self.acknowledged {
            self.acknowledged = self.decided;
            self.send(self.dialect.encode_client(&ClientMessage::Ack(self.decided)));
        }
    }
}
