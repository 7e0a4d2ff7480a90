//! Transactions that the caller starts and finishes explicitly.

use std::marker::PhantomData;

use crate::error::{Error, ErrorKind, Result};

use super::{
    Store,
    events::TransactionEvent,
    listeners::{Kind, Panics},
    shared::Phase,
    transaction::{Begin, DoRollback, failed_inside},
    turn::Held,
};

/// A transaction that is open until it is finished: see [`Store::start_transaction`].
///
/// Dropping it rolls it back, as an error in the body of [`Store::transaction`] would. While it is open, writes by
/// other threads wait, as they wait for such a body. It therefore cannot be sent to another thread, and forgetting it
/// ([`std::mem::forget`]) locks the store for ever. An [`Engine`](crate::Engine) applies nothing from its backend
/// meanwhile. Awaiting an engine call that depends on that, such as `flush`, while the transaction is open therefore
/// never ends.
///
/// ```compile_fail
/// let store = roommate::Store::new();
/// let transaction = store.start_transaction().unwrap();
/// std::thread::scope(|scope| scope.spawn(move || transaction.finish()));
/// ```
#[derive(Debug)]
#[must_use = "the transaction is rolled back when this is dropped"]
pub struct OpenTransaction<'a> {
    store: &'a Store,
    /// The number of this transaction, or of the one that it is part of.
    serial: u64,
    /// Whether this is the whole transaction, and not a part of one.
    outermost: bool,
    finished: bool,
    /// Released last.
    _turn: Held<'a>,
    /// The turn belongs to this thread.
    _not_send: PhantomData<*const ()>,
}

impl Store {
    /// Starts a transaction that stays open until it is finished or dropped. If this thread has a transaction open,
    /// starts a part of that one.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`] if the call comes from a listener after listeners have reacted to each other's
    /// writes in 100 rounds, or if the store is being committed. [`Store::transaction`] describes both.
    ///
    /// ```
    /// use roommate::Store;
    ///
    /// let store = Store::new();
    /// let transaction = store.start_transaction()?;
    /// store.set_value("open", true)?;
    /// transaction.finish()?;
    ///
    /// let transaction = store.start_transaction()?;
    /// store.set_value("open", false)?;
    /// drop(transaction);
    /// assert_eq!(store.value("open"), Some(true.into()));
    /// # Ok::<(), roommate::Error>(())
    /// ```
    pub fn start_transaction(&self) -> Result<OpenTransaction<'_>> {
        let turn = self.shared.turn.take();
        let outermost = matches!(self.begin_or_join(true)?, Begin::Began);
        let serial = self.shared.state().serial;
        let transaction =
            OpenTransaction { store: self, serial, outermost, finished: false, _turn: turn, _not_send: PhantomData };
        if outermost {
            let mut panics = Panics::default();
            self.tell_stage(Kind::StartTransaction, &mut panics);
            panics.resume();
        }
        Ok(transaction)
    }
}

impl OpenTransaction<'_> {
    /// Commits the transaction and notifies listeners. A transaction inside a transaction is committed with the
    /// outermost one.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Callback`] if a transaction inside of this one failed, so that all of it was rolled back.
    /// Returns [`ErrorKind::Closed`] if this was part of a transaction that is over.
    pub fn finish(self) -> Result<()> {
        self.end(None)
    }

    /// Commits the transaction as [`OpenTransaction::finish`] does, unless `do_rollback` returns true, as in
    /// [`Store::transaction_or_rollback`].
    ///
    /// # Errors
    ///
    /// As [`OpenTransaction::finish`]. A rollback by `do_rollback` is not an error.
    pub fn finish_or_rollback(self, do_rollback: impl FnOnce(&TransactionEvent<'_>) -> bool) -> Result<()> {
        let mut do_rollback = Some(do_rollback);
        self.end(Some(&mut |event| do_rollback.take().is_some_and(|do_rollback| do_rollback(event))))
    }

    /// Rolls the transaction back. If it is part of another transaction, that one is rolled back as well.
    pub fn roll_back(self) {
        drop(self);
    }

    fn end(mut self, do_rollback: Option<&mut DoRollback<'_>>) -> Result<()> {
        if !self.is_open() {
            return Err(Error::new(ErrorKind::Closed, "the transaction that this was part of is over"));
        }
        self.finished = true;
        if !self.outermost {
            return Ok(());
        }
        let mut panics = Panics::default();
        let kept = self.store.finish(true, do_rollback, &mut panics);
        drop(self);
        panics.resume();
        if kept { Ok(()) } else { Err(failed_inside()) }
    }

    fn is_open(&self) -> bool {
        let state = self.store.shared.state();
        state.phase == Phase::Open && state.serial == self.serial
    }
}

impl Drop for OpenTransaction<'_> {
    fn drop(&mut self) {
        if self.finished || !self.is_open() {
            return;
        }
        if self.outermost {
            // No listener is called, so only a waker can panic.
            self.store.finish(false, None, &mut Panics::default());
        } else {
            self.store.shared.state_mut().failed = true;
        }
    }
}
