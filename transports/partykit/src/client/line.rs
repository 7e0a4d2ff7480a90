//! The send queue of one connection.

use std::{collections::VecDeque, sync::Arc};

use tracing::warn;

use crate::{proto::CheckId, socket::PartySocket};
use roommate::ErrorKind;

/// Messages to be written on a connection, as fast as the connection accepts them. Messages that are left when the
/// connection ends are dropped; a sender that needs delivery sends them again on the next connection.
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

    /// Writes as much as the connection accepts.
    pub(super) fn write(&mut self) {
        let Some(epoch) = self.epoch else { return };
        while let Some(next) = self.outbox.front() {
            let written = match next {
                Outgoing::Frame(frame) => self.socket.try_send_open(frame.clone(), epoch),
                Outgoing::Ping(check) => self.socket.ping(check.to_bytes().to_vec(), epoch),
            };
            match written {
                Err(error) if error.is_temporary() => return,
                // The end of a connection is reported by its own event.
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

    /// The open connection, if it accepts no more messages for now.
    pub(super) fn blocked(&self) -> Option<(PartySocket, u64)> {
        let epoch = self.epoch.filter(|_| !self.outbox.is_empty())?;
        Some((self.socket.clone(), epoch))
    }
}
