//! The watch of a client, of which there is at most one, and its notices.

use std::{task::Poll, time::Duration};

use roommate::{Content, Error, Notice, Result};

use super::{Asking, RoomClient, RoomClientOutput, closed};
use crate::{Link, Listening, NoticeQueue, Session, Side, Spoken};

/// Identifies a watch of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchId(u64);

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) id: WatchId,
    pub(super) notices: NoticeQueue,
    /// The error that ends the watch, until its reader has received it.
    pub(super) failure: Option<Error>,
    /// The watch has been ready once, so its stream has a reader.
    pub(super) is_read: bool,
    /// There will be no more notices than the queued ones.
    pub(super) is_over: bool,
    /// The dialect of the server, once it is known.
    pub(super) spoken: Option<Spoken>,
    /// It has a connection of its own.
    pub(super) has_ear: bool,
    /// Counts the ear's connections.
    pub(super) connection: u64,
    /// Whether the ear is open.
    pub(super) is_open: bool,
    /// When to ask the server for its dialect.
    pub(super) ask_at: Option<Duration>,
}

impl Watch {
    /// Whether the reader will receive nothing beyond what is queued already.
    pub(super) fn ends(&self) -> bool {
        self.is_over || self.failure.is_some()
    }

    /// Whether the watch is not ready yet, and still may become ready.
    pub(super) fn may_become_ready(&self, link: &Link, session: &Session) -> bool {
        !self.ends() && !self.is_ready(link, session)
    }

    pub(super) fn is_current(&self, asking: Asking) -> bool {
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
    /// Begins a watch, which replaces the one before. `has_ear` is whether a connection of its own is being opened for
    /// the watch. Without one the watch listens to the main connection.
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
            has_ear,
            connection: 0,
            is_open: false,
            ask_at: None,
        });
        self.link.listen(if has_ear { Listening::Ear } else { Listening::Main }, now);
        self.carry_out();
        id
    }

    /// Ends a watch. Returns whether it was the current one, whose ear the caller must close.
    pub fn end_watch(&mut self, id: WatchId, now: Duration) -> bool {
        let is_present = self.watch.as_ref().is_some_and(|watch| watch.id == id);
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
        // They are for the ear of this watch, and the next one has another.
        self.outputs.retain(|output| {
            !matches!(
                output,
                RoomClientOutput::Send(Side::Ear, _)
                    | RoomClientOutput::Ping(Side::Ear, _)
                    | RoomClientOutput::Ask(_)
                    | RoomClientOutput::Reconnect
            )
        });
    }

    /// Whether every connection that a watch listens to is open.
    ///
    /// # Errors
    ///
    /// The error because of which the watch will never be ready.
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

    /// Whether the client is idle: its watch is ready, no notice is queued, and no deadline is set.
    #[cfg(feature = "testing")]
    pub fn is_quiet(&self) -> bool {
        let is_quiet =
            |watch: &Watch| watch.is_ready(&self.link, &self.session) && !watch.ends() && watch.notices.is_empty();
        self.deadline().is_none() && self.watch.as_ref().is_some_and(is_quiet)
    }

    /// Returns the next notice of a watch: `None` after the last, [`Poll::Pending`] while none is queued.
    pub fn next_notice(&mut self, id: WatchId) -> Poll<Option<Result<Notice>>> {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.id == id) else { return Poll::Ready(None) };
        let was_full = watch.notices.is_full();
        let Some(notice) = watch.notices.pop() else {
            return match watch.failure.take() {
                // The watch remains until it is dropped, so that the client does not send as if there had never been a
                // watch.
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

    /// Takes the content that the server sent on joining, if it is the only queued notice.
    pub fn take_content(&mut self) -> Option<Content> {
        let watch = self.watch.as_mut().filter(|watch| watch.spoken == Some(Spoken::Extended))?;
        watch.notices.pop_content()
    }
}
