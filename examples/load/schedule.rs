//! When a run sends, when it measures and when it is over. Times are nanoseconds since the run began.

use std::time::Duration;

/// How messages follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many messages that not every listener has yet.
    Window(usize),
    /// So many messages a second, whatever has arrived.
    Rate(f64),
}

/// How long a run warms up, and then measures.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    Time { warmup: Duration, measured: Duration },
    Messages { warmup: usize, measured: usize },
}

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    length: Length,
    phase: Phase,
    /// When the phase began, and how many messages had been sent then.
    since: (u64, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Warmup,
    Measured,
    Draining,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The warm-up is over.
    Begin,
    /// A message is due since this time.
    Send { due: u64 },
    /// Nothing is due before this time, unless something arrives.
    Wait { until: Option<u64> },
    /// Nothing more counts. Messages may still be in flight.
    End,
    /// Every message has arrived.
    Done,
}

impl Schedule {
    pub(crate) fn new(pace: Pace, length: Length) -> Self {
        Self { pace, length, phase: Phase::Warmup, since: (0, 0) }
    }

    /// What is to be done at this time, after so many messages were sent and so many of them are complete.
    pub(crate) fn step(&mut self, now: u64, sent: usize, complete: usize) -> Step {
        let (began, sent_before) = self.since;
        if self.phase == Phase::Draining {
            return if complete == sent { Step::Done } else { Step::Wait { until: None } };
        }
        let in_phase = sent - sent_before;
        let (is_over, ends, may_send) = match self.length {
            Length::Time { warmup, measured } => {
                let ends = began + nanoseconds(if self.phase == Phase::Warmup { warmup } else { measured });
                (now >= ends, Some(ends), true)
            }
            Length::Messages { warmup, measured } => {
                let most = if self.phase == Phase::Warmup { warmup } else { measured };
                (in_phase == most && complete == sent, None, in_phase < most)
            }
        };
        if is_over {
            let (next, step) = match self.phase {
                Phase::Warmup => (Phase::Measured, Step::Begin),
                Phase::Measured | Phase::Draining => (Phase::Draining, Step::End),
            };
            (self.phase, self.since) = (next, (now, sent));
            return step;
        }
        match self.pace {
            Pace::Window(window) if may_send && sent - complete < window => Step::Send { due: now },
            Pace::Rate(rate) if may_send => {
                let due = began + (in_phase as f64 * 1e9 / rate) as u64;
                if due <= now {
                    Step::Send { due }
                } else {
                    Step::Wait { until: Some(ends.map_or(due, |e| e.min(due))) }
                }
            }
            Pace::Window(_) | Pace::Rate(_) => Step::Wait { until: ends },
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_keeps_so_many_messages_in_flight_until_the_time_is_over() {
        let length = Length::Time { warmup: Duration::from_nanos(10), measured: Duration::from_nanos(100) };
        let mut schedule = Schedule::new(Pace::Window(2), length);
        assert_eq!(schedule.step(0, 0, 0), Step::Send { due: 0 });
        assert_eq!(schedule.step(1, 1, 0), Step::Send { due: 1 });
        assert_eq!(schedule.step(2, 2, 0), Step::Wait { until: Some(10) });
        assert_eq!(schedule.step(3, 2, 1), Step::Send { due: 3 });
        assert_eq!(schedule.step(11, 3, 1), Step::Begin);
        assert_eq!(schedule.step(12, 3, 2), Step::Send { due: 12 });
        assert_eq!(schedule.step(111, 4, 2), Step::End);
        assert_eq!(schedule.step(112, 4, 3), Step::Wait { until: None });
        assert_eq!(schedule.step(113, 4, 4), Step::Done);
    }

    #[test]
    fn a_rate_sends_when_due_whatever_has_arrived_and_begins_anew_after_the_warm_up() {
        let mut schedule = Schedule::new(Pace::Rate(1e7), Length::Messages { warmup: 1, measured: 2 });
        assert_eq!(schedule.step(0, 0, 0), Step::Send { due: 0 });
        assert_eq!(schedule.step(1, 1, 0), Step::Wait { until: None });
        assert_eq!(schedule.step(50, 1, 1), Step::Begin);
        assert_eq!(schedule.step(51, 1, 1), Step::Send { due: 50 });
        assert_eq!(schedule.step(60, 2, 1), Step::Wait { until: Some(150) });
        assert_eq!(schedule.step(170, 2, 1), Step::Send { due: 150 });
        assert_eq!(schedule.step(171, 3, 2), Step::Wait { until: None });
        assert_eq!(schedule.step(180, 3, 3), Step::End);
        assert_eq!(schedule.step(181, 3, 3), Step::Done);
    }
}
