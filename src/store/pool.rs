//! The ids that a table gives to new rows.

use std::collections::VecDeque;

use crate::content::Id;

/// How many ids of deleted rows a table stores for [`Store::add_row`](super::Store::add_row); TinyBase's number.
const POOL: usize = 1000;

/// The source of ids for new rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    released: VecDeque<Id>,
    next: u64,
}

impl Pool {
    /// The id of a new row: a released one, if `reuse` is set and there is one, or else the next number; never one that
    /// is `taken`.
    pub(super) fn take(&mut self, reuse: bool, taken: impl Fn(&str) -> bool) -> Id {
        loop {
            let released = if reuse { self.released.pop_front() } else { None };
            let id = released.unwrap_or_else(|| {
                self.next += 1;
                Id::from((self.next - 1).to_string())
            });
            if !taken(&id) {
                return id;
            }
        }
    }

    pub(super) fn release(&mut self, id: &Id) {
        let number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        if number && self.released.len() < POOL {
            self.released.push_back(id.clone());
        }
    }
}
