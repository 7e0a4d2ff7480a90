//! Somebody who listens, and the persister's own connection for them.

use std::{task::Waker, time::Duration};

use roommate::{Error, ErrorKind};

use super::line::Line;
use crate::{
    proto::{MALFORMED, NoticeQueue, REPLACED},
    socket::{PartySocket, SocketEvents},
};

/// Somebody who listens.
pub(super) struct Watch {
    pub(super) id: u64,
    pub(super) notices: NoticeQueue,
    pub(super) reader: Option<Waker>,
    /// Why it ends, until that is told.
    pub(super) failure: Option<Error>,
    /// It has ended, and its reader knows.
    pub(super) is_over: bool,
    pub(super) ear: Option<Ear>,
    /// What is spoken with the server. Does not change once it is known: receipts of one dialect mean nothing in the other.
    pub(super) spoken: Option<Spoken>,
}

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Stock,
    Extended,
}

/// The persister's own connection. It listens; in the extended dialect it does everything.
pub(super) struct Ear {
    pub(super) line: Line,
    /// For the task to take.
    pub(super) events: Option<SocketEvents>,
    /// When to ask the server what it speaks.
    pub(super) ask_at: Option<Duration>,
}

/// Notices that may wait to be read.
const NOTICES: usize = 1024;
/// How long to wait before a server that could not answer is asked again what it speaks.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Watch {
    pub(super) fn new(id: u64, ear: Option<PartySocket>, spoken: Option<Spoken>) -> Self {
        let ear = ear.map(|socket| Ear { events: Some(socket.events()), line: Line::new(socket), ask_at: None });
        Self { id, notices: NoticeQueue::new(NOTICES), reader: None, failure: None, is_over: false, ear, spoken }
    }

    /// The server told whether it speaks the extended dialect, to somebody who asked because of connection `epoch`. What is
    /// spoken on that connection; `None` if it is over, or if this watch is.
    pub(super) fn answered(&mut self, epoch: u64, answer: Result<Spoken, Error>, now: Duration) -> Option<Spoken> {
        let ear = self.ear.as_mut().filter(|ear| ear.line.epoch() == Some(epoch))?;
        let spoken = match answer {
            Ok(spoken) => spoken,
            // Whoever waits for the first answer tries again, and tells why.
            Err(error) if error.is_temporary() && self.spoken.is_some() => {
                ear.ask_at = Some(now + ASK_AGAIN);
                return None;
            }
            Err(error) => {
                self.failure = Some(error);
                return None;
            }
        };
        if *self.spoken.get_or_insert(spoken) != spoken {
            let message = "the server has begun to speak another dialect: everything is asked anew";
            self.failure = Some(Error::new(ErrorKind::Unavailable, message));
            return None;
        }
        Some(spoken)
    }

    /// The server hung up on the persister's own connection, in some dialect.
    pub(super) fn hung_up(&mut self, code: u16, reason: &str) {
        let (kind, message) = match code {
            REPLACED => {
                (ErrorKind::Refused, "another connection writes for this client: give each engine an outbox of its own")
            }
            MALFORMED => (ErrorKind::Corrupt, "the server did not understand this client"),
            _ => return,
        };
        self.failure = Some(Error::new(kind, format!("{message} ({code} {reason})")));
    }

    /// Whether nothing more will be told than waits already.
    pub(super) fn ends(&self) -> bool {
        self.is_over || self.failure.is_some()
    }

    pub(super) fn is_extended(&self) -> bool {
        self.spoken == Some(Spoken::Extended)
    }
}
