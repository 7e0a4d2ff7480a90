//! What was sent and what arrived, message by message.

use std::fmt;

/// Counts deliveries, and checks that each listener gets all messages in order. Times are nanoseconds.
///
/// A message may come again later: our server repeats to stock clients what they may have missed. Only the first time counts.
#[derive(Debug)]
pub(crate) struct Tally {
    /// When each message was written, or was due.
    sent_at: Vec<u64>,
    /// How many listeners got each message.
    reached: Vec<u32>,
    /// What each listener has to get next.
    expected: Vec<usize>,
    /// How many messages every listener got.
    complete: usize,
    deliveries: u64,
    repeats: u64,
    latencies: Vec<u64>,
    /// The first message whose latencies count.
    measured_from: usize,
    fault: Option<Fault>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) complete: usize,
    pub(crate) deliveries: u64,
}

/// A message that arrived before another one that had to come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    listener: usize,
    expected: usize,
    got: usize,
}

impl Tally {
    pub(crate) fn new(listeners: usize) -> Self {
        Self {
            sent_at: Vec::new(),
            reached: Vec::new(),
            expected: vec![0; listeners],
            complete: 0,
            deliveries: 0,
            repeats: 0,
            latencies: Vec::new(),
            measured_from: 0,
            fault: None,
        }
    }

    /// How many messages were sent; the next one's sequence number.
    pub(crate) fn sent(&self) -> usize {
        self.sent_at.len()
    }

    /// How many messages every listener got.
    pub(crate) fn complete(&self) -> usize {
        self.complete
    }

    pub(crate) fn count(&self) -> Count {
        Count { complete: self.complete, deliveries: self.deliveries }
    }

    /// Notes that the next message is sent.
    pub(crate) fn send(&mut self, at: u64) {
        self.sent_at.push(at);
        self.reached.push(0);
    }

    /// From here on latencies are collected: those of the messages that are sent from now on.
    pub(crate) fn measure(&mut self) {
        self.measured_from = self.sent();
        self.latencies.clear();
    }

    /// Notes that a listener got a message.
    pub(crate) fn deliver(&mut self, listener: usize, sequence: usize, now: u64) {
        let expected = self.expected[listener];
        if sequence < expected {
            self.repeats += 1;
            return;
        }
        if sequence > expected || sequence >= self.sent() {
            self.fault.get_or_insert(Fault { listener, expected, got: sequence });
            return;
        }
        self.expected[listener] += 1;
        self.deliveries += 1;
        self.reached[sequence] += 1;
        if self.reached[sequence] as usize == self.expected.len() {
            self.complete += 1;
        }
        if sequence >= self.measured_from {
            self.latencies.push(now.saturating_sub(self.sent_at[sequence]));
        }
    }

    /// How often a message came again.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// The first message that came too early or was not sent.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// How long the measured deliveries took, in no order.
    pub(crate) fn into_latencies(self) -> Vec<u64> {
        self.latencies
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listener, expected, got } = self;
        write!(f, "listener {listener} received message {got} when {expected} was next")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_when_all_listeners_have_it() {
        let mut tally = Tally::new(2);
        tally.send(10);
        tally.deliver(0, 0, 15);
        assert_eq!(tally.count(), Count { complete: 0, deliveries: 1 });
        tally.deliver(1, 0, 20);
        assert_eq!(tally.count(), Count { complete: 1, deliveries: 2 });
        assert_eq!(tally.fault(), None);
        assert_eq!(tally.into_latencies(), [5, 10]);
    }

    #[test]
    fn latencies_of_the_warm_up_do_not_count_even_if_they_arrive_late() {
        let mut tally = Tally::new(1);
        tally.send(0);
        tally.measure();
        tally.send(100);
        tally.deliver(0, 0, 1_000);
        tally.deliver(0, 1, 130);
        assert_eq!(tally.complete(), 2);
        assert_eq!(tally.into_latencies(), [30]);
    }

    #[test]
    fn a_message_that_comes_early_or_unsent_is_a_fault_and_not_a_delivery() {
        for (arrivals, got) in [([1, 0], 1), ([0, 2], 2)] {
            let mut tally = Tally::new(1);
            tally.send(0);
            tally.send(0);
            for sequence in arrivals {
                tally.deliver(0, sequence, 1);
            }
            assert_eq!(tally.fault().map(|fault| fault.got), Some(got));
            assert_eq!(tally.count().deliveries, 1);
        }
    }

    #[test]
    fn a_message_that_comes_again_counts_once() {
        let mut tally = Tally::new(1);
        tally.send(0);
        tally.send(0);
        for sequence in [0, 0, 1, 0, 1] {
            tally.deliver(0, sequence, 1);
        }
        assert_eq!((tally.fault(), tally.count(), tally.repeats()), (None, Count { complete: 2, deliveries: 2 }, 3));
    }
}
