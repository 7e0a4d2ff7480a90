//! A message that was too large for the server: it costs the connection, and would cost the next one too.

use std::{sync::Arc, time::Duration};

use roommate::Certainty;

use super::{Link, LinkOutput, Side};
use crate::limits::{TOO_BIG, too_big};

impl Link {
    /// A connection is closed, with this code.
    ///
    /// With 1009 on the main connection, a message on it was larger than the server takes. Nothing tells which one, nor
    /// whether it was one of these at all: applications send on that connection too. So all are sent again; and if the same
    /// happens to them, the largest is given up as refused, and reported. If it was one of these, the largest is no smaller, so
    /// that it is too large as well: none is given up that the server would take.
    pub fn closed_with(&mut self, side: Side, code: u16, now: Duration) {
        if side == Side::Main && self.main_open && code == TOO_BIG {
            self.main_was_too_much();
        }
        self.closed(side, now);
    }

    fn main_was_too_much(&mut self) {
        // What waits to be sent again was not on this connection.
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
