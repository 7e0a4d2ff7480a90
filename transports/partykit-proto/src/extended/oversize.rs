//! A message that was too large for the server: it costs the connection, and would cost the next one too.

use std::sync::Arc;

use super::{Session, SessionOutput, Stage, saves::Place};
use crate::limits::{TOO_BIG, too_big};

/// What was on its way on a connection that the server closed since a message was too large.
///
/// The server decides a client's messages as they come. So those before it are decided, and the first that is not is it:
/// once the server, in the same epoch and hence with nothing forgotten, has said how far it came.
#[derive(Debug)]
pub(super) struct Oversize {
    client: Arc<str>,
    epoch: Arc<str>,
    /// The last id that was on its way.
    up_to: u64,
}

impl Session {
    /// The connection is closed, with this code.
    ///
    /// With 1009, one of the messages on it was larger than the server takes. Which one, the answer to the next join tells:
    /// that one is confirmed as refused, and reported, and the others are sent.
    pub fn closed_with(&mut self, code: u16) {
        let last = self.pending.iter().rfind(|part| part.is_on_its_way);
        if let (TOO_BIG, Some(last), Some(at)) = (code, last, &self.at) {
            self.oversize = Some(Oversize { client: self.client.clone(), epoch: at.epoch.clone(), up_to: last.id });
        }
        self.closed();
    }

    /// Gives up the message that was too large, once it is known which one that is. Before anything is sent again.
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
