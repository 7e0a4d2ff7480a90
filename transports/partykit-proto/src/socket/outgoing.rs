//! The send queue of a socket.

use std::collections::VecDeque;

use bytes::Bytes;
use roommate::{Error, ErrorKind, Result};

use super::{Message, PartySocketOptions};

/// Messages in the order in which they were sent, up to a limit.
#[derive(Debug, Default)]
pub struct Outgoing {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

/// The largest payload of a ping, in bytes: RFC 6455, 5.5.
const MOST_OF_A_PING: usize = 125;

/// A queued message.
#[derive(Debug)]
pub struct Waiting {
    /// The message.
    pub message: Message,
    /// The only connection that may carry the message; `None` for any.
    epoch: Option<u64>,
    /// Whether the message is sent as a ping.
    pub is_ping: bool,
}

impl Outgoing {
    /// Adds a message for any connection, or for one connection alone.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the message is too large ever to be sent, [`ErrorKind::Unavailable`] when the queue
    /// is full for now.
    pub fn push(&mut self, message: Message, epoch: Option<u64>, options: &PartySocketOptions) -> Result<()> {
        if message.len() > options.max_message_size {
            let (size, max) = (message.len(), options.max_message_size);
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("a message of {size} bytes is more than max_message_size allows ({max}): split it"),
            ));
        }
        if !self.has_room(options) || (self.bytes > 0 && self.bytes + message.len() > options.max_enqueued_bytes) {
            let (count, bytes) = (self.waiting.len(), self.bytes);
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("{count} messages ({bytes} bytes) already wait to be sent: send again when they are gone"),
            ));
        }
        self.bytes += message.len();
        self.waiting.push_back(Waiting { message, epoch, is_ping: false });
        Ok(())
    }

    /// Adds a ping, which only this connection may carry. The ping is queued after all messages, and counts like a
    /// message.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_ping(&mut self, payload: Bytes, epoch: u64, options: &PartySocketOptions) -> Result<()> {
        if payload.is_empty() || payload.len() > MOST_OF_A_PING {
            return Err(Error::new(ErrorKind::Invalid, "the payload of a ping must be 1 to 125 bytes long"));
        }
        self.push(Message::Binary(payload), Some(epoch), options)?;
        if let Some(waiting) = self.waiting.back_mut() {
            waiting.is_ping = true;
        }
        Ok(())
    }

    /// Removes and returns the next message.
    pub fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.bytes -= waiting.message.len();
        Some(waiting)
    }

    /// Puts a message that could not be written back to the front of the queue.
    pub fn put_back(&mut self, waiting: Waiting) {
        self.bytes += waiting.message.len();
        self.waiting.push_front(waiting);
    }

    /// Drops the messages that only the ended connection could carry.
    pub fn connection_ended(&mut self) {
        self.waiting.retain(|waiting| waiting.epoch.is_none());
        self.bytes = self.waiting.iter().map(|waiting| waiting.message.len()).sum();
    }

    /// Removes and returns all messages that any connection could carry.
    pub fn drain(&mut self) -> Vec<Message> {
        let (taken, kept) = self.waiting.drain(..).partition(|waiting| waiting.epoch.is_none());
        self.waiting = kept;
        let taken: VecDeque<Waiting> = taken;
        self.bytes = self.waiting.iter().map(|waiting| waiting.message.len()).sum();
        taken.into_iter().map(|waiting| waiting.message).collect()
    }

    /// Whether a small message could be added.
    pub fn has_room(&self, options: &PartySocketOptions) -> bool {
        self.waiting.len() < options.max_enqueued_messages && self.bytes <= options.max_enqueued_bytes
    }

    /// Returns the number of queued messages that any connection could carry.
    pub fn queued(&self) -> usize {
        self.waiting.iter().filter(|waiting| waiting.epoch.is_none()).count()
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the number of queued bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> PartySocketOptions {
        PartySocketOptions::new("localhost", "r")
            .with_max_enqueued_messages(3)
            .with_max_enqueued_bytes(10)
            .with_max_message_size(12)
    }

    fn queue(messages: &[(&str, Option<u64>)]) -> Outgoing {
        let mut outgoing = Outgoing::default();
        for (message, epoch) in messages {
            outgoing.push((*message).into(), *epoch, &options()).expect("room");
        }
        outgoing
    }

    fn kind(result: Result<()>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[test]
    fn a_full_queue_takes_nothing_and_keeps_what_it_has() {
        let mut outgoing = queue(&[("a", None), ("b", Some(1)), ("c", None)]);
        assert!(!outgoing.has_room(&options()));
        assert_eq!(kind(outgoing.push("d".into(), None, &options())), Some(ErrorKind::Unavailable));
        assert_eq!(outgoing.pop().map(|waiting| waiting.message), Some("a".into()));
        assert_eq!(kind(outgoing.push("d".into(), None, &options())), None);
        assert_eq!(outgoing.bytes(), 3);
    }

    #[test]
    fn bytes_are_bounded_but_one_message_may_always_wait() {
        let mut outgoing = queue(&[("eleven byte", None)]);
        assert_eq!(kind(outgoing.push("a".into(), None, &options())), Some(ErrorKind::Unavailable));
        assert_eq!(kind(outgoing.push("thirteen byte".into(), None, &options())), Some(ErrorKind::Invalid));
    }

    #[test]
    fn only_messages_for_any_connection_outlive_one() {
        let mut outgoing = queue(&[("a", None), ("bb", Some(1)), ("ccc", None)]);
        outgoing.connection_ended();
        assert_eq!((outgoing.queued(), outgoing.bytes()), (2, 4));
        assert_eq!(outgoing.drain(), ["a".into(), "ccc".into()]);
        assert!(outgoing.is_empty());
        assert_eq!(outgoing.bytes(), 0);
    }

    #[test]
    fn a_message_that_was_put_back_is_the_next_again() {
        let mut outgoing = queue(&[("a", None), ("b", None)]);
        let first = outgoing.pop().expect("a");
        outgoing.put_back(first);
        assert_eq!(outgoing.drain(), ["a".into(), "b".into()]);
    }
}
