//! The one watch that a client may have, and its notices.

use std::{task::Poll, time::Duration};

use roommate::{Content, Error, Notice, Result};

use super::{Asking, RoomClient, RoomClientOutput, closed};
use crate::{Link, Listening, NoticeQueue, Session, Spoken};

/// Identifies a watch of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(u64);

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) id: WatchId,
    pub(super) notices: NoticeQueue,
    /// Why it ends, until its reader has read that.
    pub(super) failure: Option<Error>,
    /// It was ready once, so its stream has a reader.
    pub(super) is_read: bool,
    /// There will be no more notices than those that wait.
    pub(super) is_over: bool,
    /// The dialect of the server, once that is known.
    pub(super) spoken: Option<Spoken>,
    /// Counts the ear's connections.
    pub(super) connection: u64,
    /// Whether the ear is open.
    pub(super) is_open: bool,
    /// When to ask the server for its dialect.
    pub(super) ask_at: Option<Duration>,
}

impl Watch {
    /// Whether nothing more will be read than waits already.
    pub(super) fn ends(&self) -> bool {
        self.is_over || self.failure.is_some()
    }

    /// Whether it has yet to be ready, and may be.
    pub(super) fn waits(&self, link: &Link, session: &Session) -> bool {
        !self.ends() && !self.is_ready(link, session)
    }

    pub(super) fn is_meant(&self, asking: Asking) -> bool {
        self.is_open && asking == Asking { watch: self.id, connection: self.connection }
    }

    fn is_ready(&self, link: &Link, session: &Session) -> bool {
        match self.spoken {
            Some(Spoken::Stock) => link.is_ready(),
            Some(Spoken::Extended) => session.is_joined(),
            None => false,
        }
    }
}

impl RoomClient {
    /// Begins a watch in place of the one before. `has_ear` if a connection of its own is being opened for it; else it
    /// listens to the main connection.
    pub fn begin_watch(&mut self, has_ear: bool, now: Duration) -> WatchId {
        self.end_present_watch(now);
        self.watches += 1;
        let id = WatchId(self.watches);
        self.watch = Some(Watch {
            id,
            notices: NoticeQueue::new(self.options.notices),
            failure: None,
            is_read: false,
            is_over: false,
            spoken: (!self.options.extends || !has_ear).then_some(Spoken::Stock),
            connection: 0,
            is_open: false,
            ask_at: None,
        });
        self.link.listen(if has_ear { Listening::Ear } else { Listening::Main }, now);
        self.carry_out();
        id
    }

    /// Ends a watch. Returns whether it was the present one, whose ear is to be closed.
    pub fn end_watch(&mut self, id: WatchId, now: Duration) -> bool {
        let is_present = self.is_present(id);
        if is_present {
            self.end_present_watch(now);
            self.carry_out();
        }
        is_present
    }

    pub(super) fn end_present_watch(&mut self, now: Duration) {
        self.watch = None;
        self.link.listen(Listening::Off, now);
        self.session.restart();
    }

    pub(super) fn is_present(&self, id: WatchId) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.id == id)
    }

    /// Whether there is a watch.
    #[cfg(feature = "testing")]
    pub fn has_watch(&self) -> bool {
        self.watch.is_some()
    }

    /// Whether everything is open that a watch listens to.
    ///
    /// # Errors
    ///
    /// Why it never will be.
    pub fn is_watch_ready(&mut self, id: WatchId) -> Result<bool> {
        self.check()?;
        let watch = self.watch.as_mut().filter(|watch| watch.id == id).ok_or_else(closed)?;
        if let Some(error) = &watch.failure {
            return Err(error.clone());
        }
        let is_ready = watch.is_ready(&self.link, &self.session);
        watch.is_read |= is_ready;
        Ok(is_ready)
    }

    /// Whether the client waits for nothing but time without an end.
    #[cfg(feature = "testing")]
    pub fn is_quiet(&self) -> bool {
        let is_quiet =
            |watch: &Watch| watch.is_ready(&self.link, &self.session) && !watch.ends() && watch.notices.is_empty();
        self.deadline().is_none() && self.watch.as_ref().is_some_and(is_quiet)
    }

    /// The next notice of a watch: `None` after the last, [`Poll::Pending`] while none waits.
    pub fn next_notice(&mut self, id: WatchId) -> Poll<Option<Result<Notice>>> {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.id == id) else { return Poll::Ready(None) };
        let was_full = watch.notices.is_full();
        let Some(notice) = watch.notices.pop() else {
            return match watch.failure.take() {
                // The watch stays until it is dropped, so that nothing is sent as if there had never been one.
                Some(error) => {
                    watch.is_over = true;
                    Poll::Ready(Some(Err(error)))
                }
                None if watch.is_over => Poll::Ready(None),
                None => Poll::Pending,
            };
        };
        if was_full {
            self.outputs.push_back(RoomClientOutput::HasRoom);
        }
        if let Ok(Notice::Confirmed { receipt, refused }) = &notice
            && !refused.is_empty()
        {
            self.session.taken(*receipt);
            self.carry_out();
        }
        Poll::Ready(Some(notice))
    }

    /// Whether [`next_notice`](Self::next_notice) is ready.
    pub fn is_readable(&self, id: WatchId) -> bool {
        match self.watch.as_ref().filter(|watch| watch.id == id) {
            Some(watch) => !watch.notices.is_empty() || watch.ends(),
            None => true,
        }
    }

    /// Takes the content that the server sent on joining, while it is the only notice that waits.
    pub fn take_content(&mut self) -> Option<Content> {
        let watch = self.watch.as_mut().filter(|watch| watch.spoken == Some(Spoken::Extended))?;
        watch.notices.pop_content()
    }
}
