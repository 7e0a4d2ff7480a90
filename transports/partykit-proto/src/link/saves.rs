//! Saves in flight: split into messages, sent in order, and accounted for.

use std::{mem, sync::Arc, time::Duration};

use roommate::{Certainty, Changes, Content, Error, ErrorKind, Notice, Receipt, Result};

use super::{Link, LinkOutput, Listening, leaf};

/// How the outcome of an accepted save is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// A [`Notice::Confirmed`] reports that the room accepted the save.
    Confirmed(Receipt),
    /// A [`LinkOutput::Handed`] reports that the save was handed to an open connection. Nothing more is reported after
    /// that.
    Handed(Receipt),
}

/// A save whose outcome is not reported yet.
#[derive(Debug)]
pub(super) struct PendingSave {
    /// Messages that have yet to be confirmed or handed over.
    pub(super) parts: usize,
    /// The save took more than one message, so it has no single position in the order.
    pub(super) split: bool,
    pub(super) refused: Changes,
    /// Whether at least the `refused` parts are certain.
    pub(super) certainty: Certainty,
}

/// One message of a save.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) receipt: Receipt,
    pub(super) changes: Changes,
    pub(super) frame: Arc<str>,
    /// Whether the message is in flight until it is confirmed. If not, it is done when it is handed over, and is stored
    /// only to be sent again.
    pub(super) awaited: bool,
    pub(super) sent_at: Duration,
    /// When to check the message, if it is sent and not yet confirmed.
    pub(super) due: Duration,
    /// A check of the message is in progress.
    pub(super) checked: bool,
    /// Part of the message's data was received since it was last sent.
    pub(super) heard: bool,
    /// The message may have come back since it was last sent, without the link knowing.
    pub(super) unheard: bool,
    /// The leaves of the message that were received, in part or before an earlier own message, and that were not
    /// overwritten by later received changes.
    pub(super) seen: Changes,
}

impl Part {
    /// Whether the whole message was received, in whatever pieces.
    pub(super) fn is_seen_whole(&self) -> bool {
        leaf::is_part(&self.changes, &self.seen)
    }
}

impl Link {
    /// Queues changes to be sent as soon as possible.
    ///
    /// Parts that exceed the room's limits are refused alone ([`Limits`](super::Limits)). If no ear is listening, no
    /// notice would report that, so it is an error instead, and nothing is sent. A save that finds the queue full is an
    /// error as well ([`Link::has_room`]).
    pub fn save(&mut self, changes: &Changes, now: Duration) -> Result<Ticket> {
        if !self.has_room() {
            return Err(Error::new(ErrorKind::Unavailable, "too many saves wait for the room: try again later"));
        }
        let fit = self.options.limits.fit(&|changes| self.wire.encode_changes(changes), changes);
        let awaited = self.listening == Listening::Ear;
        match fit.error {
            Some(error) if !awaited => return Err(error),
            Some(error) => self.outputs.push_back(LinkOutput::Report(error)),
            None => {}
        }
        let receipt = Receipt(self.next_receipt);
        self.next_receipt += 1;
        let parts = fit.messages.len();
        self.saves.insert(
            receipt,
            PendingSave { parts, split: parts > 1, refused: fit.refused, certainty: Certainty::Certain },
        );
        self.queue.extend(fit.messages.into_iter().map(|(changes, frame)| Part {
            receipt,
            changes,
            frame,
            awaited,
            sent_at: now,
            due: now,
            checked: false,
            heard: false,
            unheard: false,
            seen: Changes::new(),
        }));
        if parts == 0 {
            self.finish(receipt, awaited);
        }
        self.settle(now);
        Ok(if awaited { Ticket::Confirmed(receipt) } else { Ticket::Handed(receipt) })
    }

    /// Whether another save can be queued.
    pub fn has_room(&self) -> bool {
        self.saves.len() < self.options.capacity.max(1)
    }

    /// Accounts for a message that was accepted except for `refused`, as far as is known.
    pub(super) fn part_done(&mut self, receipt: Receipt, changes: &Changes, refused: &Changes, certainty: Certainty) {
        let Some(save) = self.saves.get_mut(&receipt) else { return };
        save.parts -= 1;
        let more = save.parts > 0;
        leaf::merge(&mut save.refused, refused);
        if certainty == Certainty::Presumed && !refused.is_empty() {
            save.certainty = certainty;
        }
        if more {
            self.tell(Notice::Changes(leaf::retain(changes, |leaf| !leaf.is_in(refused))));
        } else {
            self.finish(receipt, true);
        }
    }

    /// Accounts for the earliest message in flight, which came back whole.
    pub(super) fn part_heard(&mut self, index: usize) {
        let Some(part) = self.sent.remove(index) else { return };
        self.forget_seen(index, &part.changes);
        self.part_done(part.receipt, &part.changes, &Changes::new(), Certainty::Certain);
    }

    /// Records the received parts of a message, whole or not.
    pub(super) fn part_seen(&mut self, index: usize, changes: &Changes, now: Duration) {
        let Some(part) = self.sent.get_mut(index) else { return };
        leaf::merge(&mut part.seen, changes);
        part.heard = true;
        let is_whole = part.is_seen_whole();
        let soon = now.saturating_add(self.options.overtaken_patience);
        // The messages before this one are overtaken, and so is this one once they are decided.
        let overtaken = if is_whole { 0 } else { index };
        for part in self.sent.range_mut(overtaken..=index).filter(|part| part.awaited) {
            part.due = part.due.min(soon);
        }
        self.forget_seen(index + 1, changes);
    }

    /// Handles that an own message before those from `index` on was accepted, or may have been: where it writes the
    /// same data as they do, what was seen of them is no longer certain.
    pub(super) fn forget_seen(&mut self, index: usize, changes: &Changes) {
        let later = index.min(self.sent.len())..;
        if self.sent.range(later.clone()).all(|part| part.seen.is_empty()) {
            return;
        }
        let mut made = Content::new();
        made.apply(changes);
        // Data that both write alike stays seen.
        let stands = |leaf: leaf::Leaf<'_>| !leaf.overlaps(changes) || leaf.is_shown_by(&made, &[]);
        for part in self.sent.range_mut(later) {
            let stands = leaf::retain(&part.seen, stands);
            // The received changes may have been this message's own broadcast, and there will be no other.
            part.unheard |= part.heard && stands != part.seen;
            part.seen = stands;
        }
    }

    /// Reports the outcome of a save, once all of its messages are accounted for.
    fn finish(&mut self, receipt: Receipt, awaited: bool) {
        let Some(save) = self.saves.remove(&receipt) else { return };
        if !awaited {
            self.outputs.push_back(LinkOutput::Handed(receipt));
            return;
        }
        self.tell(match save.certainty {
            Certainty::Certain => Notice::Confirmed { receipt, refused: save.refused },
            Certainty::Presumed => Notice::Missing { receipt, missing: save.refused },
        });
        if save.split {
            // The save is reported at the position of its last part, though other clients may have overwritten the
            // first.
            self.tell(Notice::Stale);
        }
    }

    /// Sends what can be sent.
    pub(super) fn settle(&mut self, now: Duration) {
        if !self.is_ready() {
            return;
        }
        if mem::take(&mut self.resend) {
            self.abandon_check();
            for part in &mut self.sent {
                part.sent_at = now;
                part.due = now.saturating_add(self.options.patience);
                part.heard = false;
                self.outputs.push_back(LinkOutput::Send(part.frame.clone()));
            }
        }
        while let Some(mut part) = self.queue.pop_front() {
            self.outputs.push_back(LinkOutput::Send(part.frame.clone()));
            part.sent_at = now;
            part.due = now.saturating_add(self.options.patience);
            if !part.awaited
                && let Some(save) = self.saves.get_mut(&part.receipt)
            {
                save.parts -= 1;
                if save.parts == 0 {
                    self.finish(part.receipt, false);
                }
            }
            self.sent.push_back(part);
        }
        self.forget_handed(now);
    }

    /// Drops handed-over messages that are too old, or too many, to be sent again.
    pub(super) fn forget_handed(&mut self, now: Duration) {
        let patience = self.options.patience;
        let handed = self.sent.iter().filter(|part| !part.awaited).count();
        let mut excess = handed.saturating_sub(self.options.capacity);
        self.sent.retain(|part| {
            if part.awaited || (excess == 0 && now < part.sent_at.saturating_add(patience)) {
                return true;
            }
            excess = excess.saturating_sub(1);
            false
        });
    }
}
