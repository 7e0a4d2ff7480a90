//! Who listens to what.

use std::{
    any::Any,
    collections::HashMap,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{content::Id, subscription::Subscription, sync::Mutex};

use super::{events::Event, shared::lock};

/// Stands for every id in a listener's pattern: TinyBase's `null`.
pub const ANY: Pattern = Pattern(None);

/// Which ids a listener is for: one, or [`ANY`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Option<Id>);

/// What a listener listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    StartTransaction,
    WillFinishTransaction,
    DidFinishTransaction,
    Tables,
    TableIds,
    Table,
    RowIds,
    CellIds,
    Row,
    Cell,
    Values,
    ValueIds,
    Value,
}

/// The listeners of a store.
#[derive(Default)]
pub(super) struct Book {
    next: u64,
    trees: [Node; Kind::Value as usize + 1],
}

/// Listeners below one more id of their patterns.
#[derive(Default)]
struct Node {
    exact: HashMap<Id, Self>,
    any: Option<Box<Self>>,
    here: Vec<Arc<Entry>>,
}

struct Entry {
    number: u64,
    ended: AtomicBool,
    call: Box<dyn Fn(&Event<'_>) + Send + Sync>,
}

/// The first panic of those whom one call has to hear out. It goes on once everybody was called.
#[derive(Default)]
pub(super) struct Panics(Option<Box<dyn Any + Send>>);

impl Panics {
    pub(super) fn catch<R>(&mut self, call: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => Some(result),
            Err(panic) => {
                // A later panic is dropped, which may panic in its turn.
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

impl Book {
    pub(super) fn add(
        book: &Arc<Mutex<Self>>,
        kind: Kind,
        path: Vec<Pattern>,
        call: impl Fn(&Event<'_>) + Send + Sync + 'static,
    ) -> Subscription {
        let call = Box::new(call);
        let mut this = lock(book);
        let entry = Arc::new(Entry { number: this.next, ended: AtomicBool::new(false), call });
        this.next += 1;
        let mut node = &mut this.trees[kind as usize];
        for Pattern(id) in &path {
            node = match id {
                Some(id) => node.exact.entry(id.clone()).or_default(),
                None => node.any.get_or_insert_default(),
            };
        }
        node.here.push(Arc::clone(&entry));
        drop(this);
        let book = Arc::downgrade(book);
        Subscription::new(move || {
            entry.ended.store(true, Ordering::Release);
            if let Some(book) = book.upgrade() {
                let removed = lock(&book).trees[kind as usize].remove(&path, &entry);
                // The closure's destructors may use the store: they run without the lock.
                drop(removed);
            }
        })
    }

    /// A mark that separates those who listen already from those who will.
    pub(super) fn mark(&self) -> u64 {
        self.next
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        !self.trees[kind as usize].is_empty()
    }

    /// Whether anybody listens to what changes, or to transactions that did finish.
    pub(super) fn has_any_after_commit(&self) -> bool {
        self.trees[Kind::DidFinishTransaction as usize..].iter().any(|tree| !tree.is_empty())
    }

    /// Those who listen to `ids`: at each level the exact id before [`ANY`].
    fn matching(&self, kind: Kind, ids: &[&Id]) -> Vec<Arc<Entry>> {
        let mut found = Vec::new();
        self.trees[kind as usize].collect(ids, &mut found);
        found
    }
}

/// Calls those who listened to `ids` before `mark`, one after the other.
pub(super) fn tell(book: &Mutex<Book>, mark: u64, kind: Kind, ids: &[&Id], event: &Event<'_>, panics: &mut Panics) {
    let entries = lock(book).matching(kind, ids);
    for entry in entries {
        // It may have been ended by the one before.
        if entry.number < mark && !entry.ended.load(Ordering::Acquire) {
            panics.catch(|| (entry.call)(event));
        }
        // This may be the last that holds the closure, whose destructors are somebody else's code too.
        panics.catch(|| drop(entry));
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.any.is_none() && self.here.is_empty()
    }

    fn collect(&self, ids: &[&Id], found: &mut Vec<Arc<Entry>>) {
        let Some((id, rest)) = ids.split_first() else {
            found.extend(self.here.iter().cloned());
            return;
        };
        if let Some(node) = self.exact.get(id.as_str()) {
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
            return Some(self.here.remove(index));
        };
        match id {
            Some(id) => {
                let node = self.exact.get_mut(id)?;
                let removed = node.remove(rest, entry);
                if node.is_empty() {
                    self.exact.remove(id);
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
