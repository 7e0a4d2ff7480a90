//! When a room's snapshot is due.

/// Compares the log with what it is measured against.
///
/// A snapshot is due when the log since the last one is as large as that, and as large as a minimum: so a large room is opened
/// by reading at most twice its size, and each byte of its log is written about twice.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    /// Fewer bytes of log than these are not worth a snapshot.
    min_log: usize,
    /// The bytes of the last snapshot, or of the first content of the log.
    base: usize,
    /// The bytes of the records since.
    log: usize,
    /// One is being stored.
    pending: bool,
}

impl Snapshots {
    pub(super) fn new(min_log: usize) -> Self {
        Self { min_log, base: 0, log: 0, pending: false }
    }

    /// The room was opened from a snapshot of so many bytes.
    pub(super) fn opened(&mut self, bytes: usize) {
        (self.base, self.log) = (bytes, 0);
    }

    /// A record of so many bytes is in the log.
    pub(super) fn logged(&mut self, bytes: usize) {
        self.log = self.log.saturating_add(bytes);
    }

    /// A record of so many bytes is in the log, which is the whole content.
    pub(super) fn created(&mut self, bytes: usize) {
        (self.base, self.log) = (bytes, 0);
    }

    /// Whether one is due; then it is being stored from now on.
    pub(super) fn begins(&mut self) -> bool {
        let begins = !self.pending && self.log >= self.base.max(self.min_log);
        if begins {
            self.pending = true;
            self.log = 0;
        }
        begins
    }

    /// One is stored in so many bytes, or was not. Then the next try is after as much log again.
    pub(super) fn ended(&mut self, bytes: Option<usize>) {
        self.pending = false;
        if let Some(bytes) = bytes {
            self.base = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN_LOG: usize = 100;

    #[test]
    fn a_snapshot_is_due_when_the_log_is_as_large_as_the_last_one() {
        let mut snapshots = Snapshots::new(MIN_LOG);
        snapshots.logged(MIN_LOG - 1);
        assert!(!snapshots.begins());
        snapshots.logged(1);
        assert!(snapshots.begins());
        snapshots.logged(10 * MIN_LOG);
        assert!(!snapshots.begins(), "one at a time");
        snapshots.ended(Some(20 * MIN_LOG));
        assert!(!snapshots.begins());
        snapshots.logged(10 * MIN_LOG);
        assert!(snapshots.begins());
        snapshots.ended(None);
        assert!(!snapshots.begins(), "what failed is tried again after as much log");
    }

    #[test]
    fn a_first_content_needs_no_snapshot_of_its_own() {
        let mut snapshots = Snapshots::new(MIN_LOG);
        snapshots.created(MIN_LOG * 3);
        snapshots.logged(MIN_LOG * 2);
        assert!(!snapshots.begins());
        snapshots.logged(MIN_LOG);
        assert!(snapshots.begins());
    }
}
