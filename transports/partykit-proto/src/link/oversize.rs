//! A message that was too large for the server: it ends the connection, and would end the next one too.

use std::{sync::Arc, time::Duration};

use roommate::Certainty;

use super::{Link, LinkOutput, Side};
use crate::limits::{TOO_BIG, too_big};

impl Link {
    /// Handles the loss of a connection, with this close code.
    ///
    /// With 1009 on the main connection, a message on it was larger than the server accepts. The code does not show
    /// which message it was, nor whether it was one of the link's at all: the application sends on that connection too.
    /// So all changes in flight are sent again. If the connection is closed in the same way again, the largest is given
    /// up as refused, and reported. If one of the link's messages was too large, the largest is at least as large, and
    /// so is too large as well: no change is given up that the server would accept.
    pub fn closed_with(&mut self, side: Side, code: u16, now: Duration) {
        if side == Side::Main && self.main_open && code == TOO_BIG {
            self.main_was_too_much();
        }
        self.closed(side, now);
    }

    fn main_was_too_much(&mut self) {
        // Changes that are waiting to be sent again were not sent on this connection.
        if self.resend {
            return;
        }
        let suspects = |frame: &Arc<str>| self.sent.iter().any(|part| Arc::ptr_eq(&part.frame, frame));
        let happened_before = self.suspect.take().is_some_and(|frame| suspects(&frame));
        let largest = self.sent.iter().enumerate().max_by_key(|(_, part)| part.frame.len());
        let Some((index, frame)) = largest.map(|(index, part)| (index, part.frame.clone())) else { return };
        if !happened_before {
            self.suspect = Some(frame);
            return;
        }
        if let Some(part) = self.sent.remove(index) {
            self.outputs.push_back(LinkOutput::Report(too_big(frame.len())));
            if part.awaited {
                self.part_done(part.receipt, &part.changes, &part.changes, Certainty::Presumed);
            }
        }
    }
}
