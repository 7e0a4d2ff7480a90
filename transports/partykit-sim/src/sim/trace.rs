//! The trace of a simulation: a hash and, on request, text.

use std::{fmt, time::Duration};

/// Records everything that happens. Two simulations of one history have the same hash.
#[derive(Debug)]
pub(super) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(in_words: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: in_words.then(Vec::new) }
    }

    /// Records an event: `what`, to `whom`, with `text`.
    pub(super) fn note(
        &mut self,
        now: Duration,
        what: &'static str,
        whom: impl fmt::Display + Into<u64> + Copy,
        text: &str,
    ) {
        self.mix(now.as_nanos() as u64);
        self.mix(whom.into());
        what.bytes().chain(text.bytes()).for_each(|byte| self.mix(byte.into()));
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>9.3} {what} {whom} {text}", now.as_secs_f64()));
        }
    }

    /// Adds a line of text that follows from recorded events, and is not part of the hash.
    pub(super) fn say(&mut self, now: Duration, what: &str, whom: impl fmt::Display, detail: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>9.3} {what} {whom} {}", now.as_secs_f64(), detail()));
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }

    /// FNV-1a.
    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01B3);
    }
}
