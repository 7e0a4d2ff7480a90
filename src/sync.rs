//! The locks and threads of this crate. They are the standard library's; with `--cfg shuttle` they are those of
//! `shuttle`, which tests many thread schedules.

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

/// Returns the id of the current thread. Every write asks for it, so it is cached for each thread.
#[cfg(not(shuttle))]
pub(crate) fn this_thread() -> thread::ThreadId {
    thread_local! {
        static ID: thread::ThreadId = thread::current().id();
    }
    ID.with(|id| *id)
}

/// Returns the id of the current thread.
#[cfg(shuttle)]
pub(crate) fn this_thread() -> thread::ThreadId {
    thread::current().id()
}
