//! One connection's way out.

use std::{collections::VecDeque, sync::Arc};

use tracing::warn;

use crate::{proto::CheckId, socket::PartySocket};
use roommate::ErrorKind;

/// What is to be written on a connection, as fast as that takes it. What is left when it is over is forgotten: whoever
/// must know sends it again on the next one.
#[derive(Debug)]
pub(super) struct Line {
    socket: PartySocket,
    /// The open connection.
    epoch: Option<u64>,
    outbox: VecDeque<Outgoing>,
}

#[derive(Debug)]
enum Outgoing {
    Frame(Arc<str>),
    Ping(CheckId),
}

impl Line {
    pub(super) fn new(socket: PartySocket) -> Self {
        Self { socket, epoch: None, outbox: VecDeque::new() }
    }

    pub(super) fn opened(&mut self, epoch: u64) {
        self.epoch = Some(epoch);
        self.outbox.clear();
    }

    pub(super) fn closed(&mut self) {
        self.epoch = None;
        self.outbox.clear();
    }

    pub(super) fn send(&mut self, frame: Arc<str>) {
        self.outbox.push_back(Outgoing::Frame(frame));
    }

    pub(super) fn ping(&mut self, check: CheckId) {
        self.outbox.push_back(Outgoing::Ping(check));
    }

    /// Writes what the connection takes.
    pub(super) fn write(&mut self) {
        let Some(epoch) = self.epoch else { return };
        while let Some(next) = self.outbox.front() {
            let written = match next {
                Outgoing::Frame(frame) => self.socket.try_send_open(frame.clone(), epoch),
                Outgoing::Ping(check) => self.socket.ping(check.to_bytes().to_vec(), epoch),
            };
            match written {
                Err(error) if error.is_temporary() => return,
                // A connection that is over says so by its event.
                Err(error) if error.kind() == ErrorKind::Closed => return self.outbox.clear(),
                Err(error) => warn!(%error, "cannot send a message"),
                Ok(()) => {}
            }
            self.outbox.pop_front();
        }
    }

    pub(super) fn socket(&self) -> &PartySocket {
        &self.socket
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// The open connection, if it takes no more just now.
    pub(super) fn blocked(&self) -> Option<(PartySocket, u64)> {
        let epoch = self.epoch.filter(|_| !self.outbox.is_empty())?;
        Some((self.socket.clone(), epoch))
    }
}
