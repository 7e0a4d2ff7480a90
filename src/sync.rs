//! The locks and threads of this crate: the standard library's; with `--cfg shuttle`, those of a checker of schedules.

#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
};

#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
};

/// Which thread this is. Asked at every write, so remembered.
#[cfg(not(shuttle))]
pub(crate) fn this_thread() -> thread::ThreadId {
    thread_local! {
        static ID: thread::ThreadId = thread::current().id();
    }
    ID.with(|id| *id)
}

/// Which thread this is.
#[cfg(shuttle)]
pub(crate) fn this_thread() -> thread::ThreadId {
    thread::current().id()
}
