//! A message that was too large for the server: it ends the connection, and would end the next one too.

use std::sync::Arc;

use super::{Session, SessionOutput, Stage, saves::Place};
use crate::limits::{TOO_BIG, too_big};

/// The messages in flight on a connection that the server closed because a message was too large.
///
/// The server decides a client's messages in the order in which they arrive. So the messages before the oversized one
/// are decided, and the first undecided message is the oversized one. The session knows this once the server has
/// reported how many messages it received, in the same epoch and hence with nothing forgotten.
#[derive(Debug)]
pub(super) struct Oversize {
    client: Arc<str>,
    epoch: Arc<str>,
    /// The last id that was in flight.
    up_to: u64,
}

impl Session {
    /// Handles the loss of the connection, with this close code.
    ///
    /// With 1009, one of the messages on it was larger than the server accepts. The response to the next join shows
    /// which one: that message is confirmed as refused, and reported, and the others are sent.
    pub fn closed_with(&mut self, code: u16) {
        let last = self.pending.iter().rfind(|part| part.is_on_its_way);
        if let (TOO_BIG, Some(last), Some(at)) = (code, last, &self.at) {
            self.oversize = Some(Oversize { client: self.client.clone(), epoch: at.epoch.clone(), up_to: last.id });
        }
        self.closed();
    }

    /// Gives up the oversized message, once it is known which one that is, and before anything is sent again.
    pub(super) fn refuse_oversize(&mut self) {
        if self.stage != Stage::Joined {
            return;
        }
        let Some(Oversize { client, epoch, up_to }) = self.oversize.take() else { return };
        if client != self.client || self.at.as_ref().is_none_or(|at| at.epoch != epoch) {
            return;
        }
        if let Some(part) = self.pending.pop_front_if(|part| part.id <= up_to) {
            self.outputs.push_back(SessionOutput::Report(too_big(part.frame.len())));
            let refused = part.changes.clone();
            self.confirm(part, &refused, Place::InOrder);
        }
    }
}
