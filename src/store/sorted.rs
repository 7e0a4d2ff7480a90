//! The ids of rows, sorted by a cell.

use std::{cmp::Ordering, mem};

use crate::{
    content::{Cell, Id},
    subscription::Subscription,
    sync::Mutex,
};

use super::{
    Store,
    events::{Event, SortedRowIdsEvent},
    listeners::{Kind, Listeners, Role},
    shared::lock,
    subscribe::Mutators,
};

/// How to sort the rows of a table, and which of them to return: the arguments of TinyBase's `getSortedRowIds`.
///
/// The order is that of JavaScript's `<`, extended to a total order. First come numbers, by size, together with the
/// values that JavaScript treats as numbers: false, null and a missing cell as 0, true as 1. Then come texts, by UTF-16
/// units, and then objects and arrays, by their JSON. Equal rows stay in the order of insertion; a descending order is
/// the reverse of the ascending one, equal rows included.
///
/// ```
/// use roommate::{Sort, Store};
///
/// let store = Store::new();
/// for (pet, price) in [("fido", 5), ("felix", 4), ("cujo", 4), ("polly", 2)] {
///     store.set_cell("pets", pet, "price", price)?;
/// }
/// assert_eq!(store.sorted_row_ids("pets", &Sort::by_cell("price")), ["polly", "felix", "cujo", "fido"]);
/// let dearest = Sort::by_cell("price").descending().with_limit(2);
/// assert_eq!(store.sorted_row_ids("pets", &dearest), ["fido", "cujo"]);
/// # Ok::<(), roommate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    cell_id: Option<Id>,
    descending: bool,
    offset: usize,
    limit: Option<usize>,
}

/// The sort key of a row.
#[derive(Debug)]
enum Key {
    Number(f64),
    Text(Cell),
    Id(Id),
}

impl Sort {
    /// Sorts by one cell, ascending.
    pub fn by_cell(cell_id: impl Into<Id>) -> Self {
        Self { cell_id: Some(cell_id.into()), ..Self::by_row_id() }
    }

    /// Sorts by the id of the row, ascending.
    pub fn by_row_id() -> Self {
        Self { cell_id: None, descending: false, offset: 0, limit: None }
    }

    /// Sorts in descending order.
    pub fn descending(self) -> Self {
        Self { descending: true, ..self }
    }

    /// Leaves out the first `offset` rows. Defaults to 0.
    pub fn with_offset(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    /// Returns at most `limit` rows. Defaults to no limit.
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Returns the cell to sort by; `None` if the order is by row id.
    pub fn cell_id(&self) -> Option<&Id> {
        self.cell_id.as_ref()
    }

    /// Whether the order is descending.
    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// Returns the number of rows that are left out at the beginning.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the maximum number of rows, if there is one.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    pub(super) fn key<'a>(&self, row_id: &Id, cell: impl FnOnce(&str) -> Option<&'a Cell>) -> SortKey {
        SortKey(match &self.cell_id {
            None => Key::Id(row_id.clone()),
            Some(cell_id) => match cell(cell_id) {
                None | Some(Cell::Null | Cell::Bool(false)) => Key::Number(0.0),
                Some(Cell::Bool(true)) => Key::Number(1.0),
                Some(Cell::Number(number)) => Key::Number(number.get()),
                Some(cell @ (Cell::String(_) | Cell::Json(_))) => Key::Text(cell.clone()),
            },
        })
    }

    pub(super) fn sorted(&self, mut rows: Vec<(SortKey, Id)>) -> Vec<Id> {
        rows.sort_by(|(one, _), (other, _)| one.compare(other));
        if self.descending {
            rows.reverse();
        }
        let rows = rows.into_iter().map(|(_, row_id)| row_id).skip(self.offset);
        rows.take(self.limit.unwrap_or(usize::MAX)).collect()
    }
}

/// The sort key of a row.
#[derive(Debug)]
pub(super) struct SortKey(Key);

impl SortKey {
    fn compare(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Key::Number(one), Key::Number(other)) => one.partial_cmp(other).unwrap_or(Ordering::Equal),
            (one, other) => one.rank().cmp(&other.rank()).then_with(|| compare_utf16(one.text(), other.text())),
        }
    }
}

impl Key {
    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Id(_) | Self::Text(Cell::String(_)) => 1,
            Self::Text(_) => 2,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Number(_) => "",
            Self::Id(id) => id,
            Self::Text(cell) => cell.as_str().or_else(|| cell.as_json().map(|json| json.as_str())).unwrap_or_default(),
        }
    }
}

/// The order of JavaScript's strings: that of their UTF-16 units.
///
/// It equals the order of UTF-8 bytes, with one exception: a character beyond U+FFFF (whose first byte is F0 or more)
/// is a pair of surrogates in UTF-16, and comes before U+E000 (whose first byte is EE).
fn compare_utf16(one: &str, other: &str) -> Ordering {
    let rank = |byte: u8| if byte < 0xF0 { (byte, 0) } else { (0xED, byte) };
    let mut bytes = one.bytes().zip(other.bytes());
    match bytes.find(|(one, other)| one != other) {
        Some((one, other)) => rank(one).cmp(&rank(other)),
        None => one.len().cmp(&other.len()),
    }
}

impl Store {
    /// Calls `listener` when the sorted ids of a table's rows differ from those at the last call, or at first from
    /// those when the listener was added. The rows are sorted again when rows are added or removed, or when the cell
    /// that they are sorted by changes.
    pub fn add_sorted_row_ids_listener(
        &self,
        table_id: impl Into<Id>,
        sort: Sort,
        listener: impl Fn(&SortedRowIdsEvent<'_>) + Send + Sync + 'static,
    ) -> Subscription {
        self.listen_to_order(Role::Listener, table_id.into(), sort, listener)
    }

    fn listen_to_order(
        &self,
        role: Role,
        table_id: Id,
        sort: Sort,
        listener: impl Fn(&SortedRowIdsEvent<'_>) + Send + Sync + 'static,
    ) -> Subscription {
        let path = [Some(&table_id), sort.cell_id()].into_iter().flatten().map(Into::into).collect();
        let known = Mutex::new(self.sorted_row_ids(&table_id, &sort));
        Listeners::add(&self.shared.listeners, role, Kind::SortedRowIds, path, move |event| {
            let Event::Unsorted(store) = *event else { return };
            let row_ids = &store.sorted_row_ids(&table_id, &sort);
            if mem::replace(&mut *lock(&known), row_ids.clone()) != *row_ids {
                listener(&SortedRowIdsEvent { store, table_id: &table_id, sort: &sort, row_ids });
            }
        })
    }
}

impl Mutators<'_> {
    /// Calls `listener` when the sorted ids of a table's rows differ from those at the last call, or at first from
    /// those when the listener was added. The rows are sorted again when rows are added or removed, or when the cell
    /// that they are sorted by changes.
    pub fn add_sorted_row_ids_listener(
        &self,
        table_id: impl Into<Id>,
        sort: Sort,
        listener: impl Fn(&SortedRowIdsEvent<'_>) + Send + Sync + 'static,
    ) -> Subscription {
        self.0.listen_to_order(Role::Mutator, table_id.into(), sort, listener)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bytes_are_compared_as_utf16_units_would_be(
            one in "[a\u{7F}\u{80}\u{7FF}\u{D7FF}\u{E000}\u{FFFF}\u{10000}\u{10FFFF}]{0,3}",
            other in "[a\u{7F}\u{80}\u{7FF}\u{D7FF}\u{E000}\u{FFFF}\u{10000}\u{10FFFF}]{0,3}",
        ) {
            prop_assert_eq!(compare_utf16(&one, &other), one.encode_utf16().cmp(other.encode_utf16()));
        }
    }
}
