//! When a room needs a snapshot.

/// Decides when a snapshot is due.
///
/// A snapshot is due when the log since the last snapshot is as large as that snapshot, and as large as a minimum. So
/// opening a large room reads at most twice its size, and each byte of its log is written about twice.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    /// The minimum: fewer bytes of log than this are not worth a snapshot.
    min_log: usize,
    /// The size of the last snapshot, or of the first content in the log, in bytes.
    base: usize,
    /// The size of the records since then, in bytes.
    log: usize,
    /// A snapshot is being stored.
    pending: bool,
}

impl Snapshots {
    pub(super) fn new(min_log: usize) -> Self {
        Self { min_log, base: 0, log: 0, pending: false }
    }

    /// Notes that the room was opened from a snapshot of this many bytes.
    pub(super) fn opened(&mut self, bytes: usize) {
        (self.base, self.log) = (bytes, 0);
    }

    /// Notes that a record of this many bytes was added to the log.
    pub(super) fn logged(&mut self, bytes: usize) {
        self.log = self.log.saturating_add(bytes);
    }

    /// Notes that a record with the whole content, of this many bytes, was added to the log.
    pub(super) fn created(&mut self, bytes: usize) {
        (self.base, self.log) = (bytes, 0);
    }

    /// Whether a snapshot is due. If so, it counts as being stored from now on.
    pub(super) fn begins(&mut self) -> bool {
        let begins = !self.pending && self.log >= self.base.max(self.min_log);
        if begins {
            self.pending = true;
            self.log = 0;
        }
        begins
    }

    /// Notes that a snapshot of this many bytes was stored, or could not be. The next one is due after as much log
    /// again.
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
