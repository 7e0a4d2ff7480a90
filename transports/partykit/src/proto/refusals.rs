//! What a server remembers of what it refused of one client, until that acknowledges it. Both ends count it, alike.
//!
//! The law: *no change is decided while the server remembers more than the bound*. So it never remembers more than the bound
//! and one change beyond it, and a client that counts whatever is on its way as refused never meets the bound.

/// How many refusals, and how many bytes of their JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// Who is refused more than this, and has not acknowledged it, is decided no further change.
pub(super) const MOST_REFUSED: Tally = Tally { count: 256, bytes: 1 << 20 };

impl Tally {
    /// Whether it is more than `most`, in number or in bytes.
    pub(super) fn exceeds(self, most: Self) -> bool {
        self.count > most.count || self.bytes > most.bytes
    }
}
