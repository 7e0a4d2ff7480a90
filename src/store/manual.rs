//! Transactions that are started and finished by hand.

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

/// A transaction that was started by hand, until it is finished: see [`Store::start_transaction`].
///
/// Dropping it rolls it back, as an error in the body of [`Store::transaction`] would. While it lives, other threads'
/// writes wait, as they wait for such a body; so it stays on its thread, and forgetting it
/// ([`std::mem::forget`]) locks the store for ever. An [`Engine`](crate::Engine) takes nothing in meanwhile either, so to
/// await what it has to take in first, such as its `flush`, with a transaction open is to wait for ever.
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
    /// Which transaction this is, or is part of.
    serial: u64,
    /// Whether it is the whole transaction, and not a part of one.
    outermost: bool,
    finished: bool,
    /// Given back after all else.
    _turn: Held<'a>,
    /// The turn is this thread's.
    _not_send: PhantomData<*const ()>,
}

impl Store {
    /// Starts a transaction that lasts until it is finished by hand; or a part of the one that this thread has open.
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
    /// Commits the transaction and tells listeners. Of a transaction in a transaction only the outermost does.
    ///
    /// Fails where a transaction inside of it failed, so that it was rolled back ([`ErrorKind::Callback`]), and where it
    /// was part of a transaction that is over ([`ErrorKind::Closed`]).
    pub fn finish(self) -> Result<()> {
        self.end(None)
    }

    /// The same, unless `do_rollback` takes it back, as in [`Store::transaction_or_rollback`].
    pub fn finish_or_rollback(self, do_rollback: impl FnOnce(&TransactionEvent<'_>) -> bool) -> Result<()> {
        let mut do_rollback = Some(do_rollback);
        self.end(Some(&mut |event| do_rollback.take().is_some_and(|do_rollback| do_rollback(event))))
    }

    /// Rolls the transaction back; one that is part of another, together with that.
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
            // Nobody is told of it, so nobody can panic but a waker.
            self.store.finish(false, None, &mut Panics::default());
        } else {
            self.store.shared.state_mut().failed = true;
        }
    }
}
