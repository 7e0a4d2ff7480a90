//! The listeners of a store.

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use indexmap::IndexMap;

use crate::{content::Id, subscription::Subscription, sync::Mutex};

use super::{events::Event, shared::lock};

/// Matches every id in a listener's pattern: TinyBase's `null`.
pub const ANY: Pattern = Pattern(None);

/// The ids that a listener is for: one id, or [`ANY`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Option<Id>);

/// The kind of event of a listener. After the first two kinds come those that are called once a transaction is over, in
/// the order of the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    StartTransaction,
    WillFinishTransaction,
    InvalidCell,
    HasTables,
    TableIds,
    HasTable,
    TableCellIds,
    HasTableCell,
    RowCount,
    RowIds,
    HasRow,
    SortedRowIds,
    CellIds,
    HasCell,
    Cell,
    Row,
    Table,
    Tables,
    InvalidValue,
    HasValues,
    ValueIds,
    HasValue,
    Value,
    Values,
    DidFinishTransaction,
}

/// How many kinds there are.
const KINDS: usize = Kind::DidFinishTransaction as usize + 1;

/// Whether a listener is called after the commit, or before it and may change the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is called once the transaction is committed.
    Listener,
    /// It is called inside the transaction, and its writes belong to it: TinyBase's `mutator`.
    Mutator,
}

/// The listeners of a store.
#[derive(Default)]
pub(super) struct Listeners {
    /// Which kinds have listeners: one bit for each, so that checking costs nothing if there are none.
    heard: AtomicU64,
    /// The number of the next listener. Present listeners have smaller numbers.
    next: AtomicU64,
    book: Mutex<Book>,
}

/// Listeners, and below them mutators, by kind.
#[derive(Default)]
struct Book([[Node; KINDS]; 2]);

/// Listeners below one more id of their patterns.
#[derive(Default)]
struct Node {
    exact: IndexMap<Id, Self>,
    any: Option<Box<Self>>,
    here: Group,
}

/// The listeners with one pattern, in the order in which they were added. A call that is in progress shares the list,
/// and a change makes a new one.
type Group = Arc<Vec<Arc<Entry>>>;

struct Entry {
    number: u64,
    ended: AtomicBool,
    call: Box<dyn Fn(&Event<'_>) + Send + Sync>,
}

/// The first panic among several calls. It continues once all of them have been made.
#[derive(Default)]
pub(super) struct Panics(Option<Box<dyn Any + Send>>);

impl Panics {
    pub(super) fn catch<R>(&mut self, call: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => Some(result),
            Err(panic) => {
                // A later panic is forgotten: dropping it might panic in turn.
                match &self.0 {
                    None => self.0 = Some(panic),
                    Some(_) => mem::forget(panic),
                }
                None
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn take(&mut self) -> Option<Box<dyn Any + Send>> {
        self.0.take()
    }

    pub(super) fn resume(self) {
        if let Some(panic) = self.0 {
            resume_unwind(panic);
        }
    }
}

impl Listeners {
    pub(super) fn add(
        this: &Arc<Self>,
        role: Role,
        kind: Kind,
        path: Vec<Pattern>,
        call: impl Fn(&Event<'_>) + Send + Sync + 'static,
    ) -> Subscription {
        let call = Box::new(call);
        let mut book = lock(&this.book);
        let number = this.next.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry { number, ended: AtomicBool::new(false), call });
        let mut node = book.tree(role, kind);
        for Pattern(id) in &path {
            node = match id {
                Some(id) => node.exact.entry(id.clone()).or_default(),
                None => node.any.get_or_insert_default(),
            };
        }
        Arc::make_mut(&mut node.here).push(Arc::clone(&entry));
        this.heard.fetch_or(bit(role, kind), Ordering::Release);
        drop(book);
        let this = Arc::downgrade(this);
        Subscription::new(move || {
            entry.ended.store(true, Ordering::Release);
            if let Some(this) = this.upgrade() {
                this.remove(role, kind, &path, &entry);
            }
        })
    }

    fn remove(&self, role: Role, kind: Kind, path: &[Pattern], entry: &Arc<Entry>) {
        let mut book = lock(&self.book);
        let tree = book.tree(role, kind);
        let removed = tree.remove(path, entry);
        if tree.is_empty() {
            self.heard.fetch_and(!bit(role, kind), Ordering::Release);
        }
        drop(book);
        // The destructors of the closure may use the store: they run without the lock.
        drop(removed);
    }

    /// A mark that separates the present listeners from later ones.
    pub(super) fn mark(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    pub(super) fn has(&self, role: Role, kind: Kind) -> bool {
        self.heard.load(Ordering::Acquire) & bit(role, kind) != 0
    }

    /// Whether one of these kinds has a listener, both ends included.
    pub(super) fn has_any(&self, role: Role, from: Kind, to: Kind) -> bool {
        let bits = 2 * bit(role, to) - bit(role, from);
        self.heard.load(Ordering::Acquire) & bits != 0
    }

    /// The listeners to `ids`: at each level the exact id before [`ANY`]. An id that is missing matches only [`ANY`].
    pub(super) fn matching(&self, role: Role, kind: Kind, ids: &[Option<&Id>]) -> Audience {
        let mut audience = Audience::default();
        lock(&self.book).tree(role, kind).collect(ids, &mut audience);
        audience
    }

    /// The listeners whose patterns are `ids`, or begin with them, grouped by the next id. The groups are in the order
    /// of their first listeners.
    pub(super) fn below(&self, role: Role, kind: Kind, ids: &[&Id]) -> Audience {
        let mut book = lock(&self.book);
        let mut node = Some(&*book.tree(role, kind));
        for id in ids {
            node = node.and_then(|node| node.exact.get(id.as_str()));
        }
        let Some(node) = node else { return Audience::default() };
        let mut groups: Vec<Group> = node.exact.values().map(|node| Arc::clone(&node.here)).collect();
        groups.push(Arc::clone(&node.here));
        groups.retain(|group| !group.is_empty());
        groups.sort_by_key(|group| group.first().map(|entry| entry.number));
        Audience { first: None, rest: groups }
    }
}

/// The listeners to call for one event, in order.
#[derive(Default)]
pub(super) struct Audience {
    /// Most events have one group, which then takes no allocation.
    first: Option<Group>,
    rest: Vec<Group>,
}

impl Audience {
    fn push(&mut self, group: &Group) {
        match self.first {
            None => self.first = Some(Arc::clone(group)),
            Some(_) => self.rest.push(Arc::clone(group)),
        }
    }

    /// Calls all listeners that were added before `mark`, one after the other; with [`Role::Mutator`] only up to the
    /// first that panics.
    pub(super) fn tell(self, mark: u64, role: Role, event: &Event<'_>, panics: &mut Panics) {
        for group in self.first.into_iter().chain(self.rest) {
            let mut entries = group.iter();
            // Catching a panic takes as long as a call. So one catch covers all entries, and another one those after an
            // entry that panics.
            while !entries.as_slice().is_empty() && (role == Role::Listener || panics.is_empty()) {
                panics.catch(|| {
                    for entry in &mut entries {
                        // The entry before may have ended this one.
                        if entry.number < mark && !entry.ended.load(Ordering::Acquire) {
                            (entry.call)(event);
                        }
                    }
                });
            }
            // This may be the last owner of a closure, whose destructors are code from outside this crate too.
            for entry in Arc::into_inner(group).into_iter().flatten() {
                panics.catch(|| drop(entry));
            }
        }
    }
}

fn bit(role: Role, kind: Kind) -> u64 {
    1 << (kind as usize + 32 * usize::from(role == Role::Mutator))
}

impl Book {
    fn tree(&mut self, role: Role, kind: Kind) -> &mut Node {
        &mut self.0[usize::from(role == Role::Mutator)][kind as usize]
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.any.is_none() && self.here.is_empty()
    }

    fn collect(&self, ids: &[Option<&Id>], found: &mut Audience) {
        let Some((id, rest)) = ids.split_first() else {
            if !self.here.is_empty() {
                found.push(&self.here);
            }
            return;
        };
        if !self.exact.is_empty()
            && let Some(node) = id.and_then(|id| self.exact.get(id.as_str()))
        {
            node.collect(rest, found);
        }
        if let Some(node) = &self.any {
            node.collect(rest, found);
        }
    }

    /// Removes an entry, and the nodes that are empty without it.
    fn remove(&mut self, path: &[Pattern], entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        let Some((Pattern(id), rest)) = path.split_first() else {
            let index = self.here.iter().position(|other| Arc::ptr_eq(other, entry))?;
            return Some(Arc::make_mut(&mut self.here).remove(index));
        };
        match id {
            Some(id) => {
                let node = self.exact.get_mut(id)?;
                let removed = node.remove(rest, entry);
                if node.is_empty() {
                    self.exact.shift_remove(id);
                }
                removed
            }
            None => {
                let node = self.any.as_mut()?;
                let removed = node.remove(rest, entry);
                if node.is_empty() {
                    self.any = None;
                }
                removed
            }
        }
    }
}

macro_rules! pattern_from {
    ($($id:ty)*) => {$(
        impl From<$id> for Pattern {
            fn from(id: $id) -> Self {
                Self(Some(id.into()))
            }
        }
    )*};
}
pattern_from!(&str String Id &Id);
