//! Somebody who listens, and the persister's own connection for them.

use std::{task::Waker, time::Duration};

use roommate::Error;

use super::line::Line;
use crate::{
    proto::{Greeting, NoticeQueue, Spoken, hung_up},
    socket::{PartySocket, SocketEvents},
};

/// Somebody who listens.
pub(super) struct Watch {
    pub(super) id: u64,
    pub(super) notices: NoticeQueue,
    pub(super) reader: Option<Waker>,
    /// Why it ends, until that is told.
    pub(super) failure: Option<Error>,
    /// It was ready once, so that somebody has its stream.
    pub(super) is_read: bool,
    /// It has ended, and its reader knows.
    pub(super) is_over: bool,
    pub(super) ear: Option<Ear>,
    /// What is spoken with the server, once that is known.
    pub(super) spoken: Option<Spoken>,
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
        Self {
            id,
            notices: NoticeQueue::new(NOTICES),
            reader: None,
            failure: None,
            is_read: false,
            is_over: false,
            ear,
            spoken,
        }
    }

    /// The server told whether it speaks the extended dialect, to somebody who asked because of connection `epoch`. What is
    /// spoken on that connection; `None` if it is over, or if this watch is.
    pub(super) fn answered(&mut self, epoch: u64, answer: Result<Spoken, Error>, now: Duration) -> Option<Spoken> {
        let ear = self.ear.as_mut().filter(|ear| ear.line.epoch() == Some(epoch))?;
        match Spoken::greet(&mut self.spoken, answer) {
            Greeting::Speak(spoken) => return Some(spoken),
            Greeting::AskAgain => ear.ask_at = Some(now + ASK_AGAIN),
            Greeting::End(error) => self.failure = Some(error),
        }
        None
    }

    /// The server hung up on the persister's own connection, in some dialect.
    pub(super) fn hung_up(&mut self, code: u16, reason: &str) {
        if let Some(error) = hung_up(code, reason) {
            self.failure = Some(error);
        }
    }

    /// Whether nothing more will be told than waits already.
    pub(super) fn ends(&self) -> bool {
        self.is_over || self.failure.is_some()
    }

    pub(super) fn is_extended(&self) -> bool {
        self.spoken == Some(Spoken::Extended)
    }
}
