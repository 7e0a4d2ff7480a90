//! Transactions: one at a time, all or nothing, and reported to listeners once they are over.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::{
    error::{Error, ErrorKind},
    sync::this_thread,
};

use super::{
    Store,
    commit::Origin,
    events::{Stage, TransactionEvent},
    invalid::Invalid,
    listeners::{Kind, Panics, Role},
    shared::Phase,
    told::Told,
    writer::Writer,
};

mod end;

/// The limit of rounds in which listeners react to each other's writes: more than any finite exchange needs.
const ROUNDS: usize = 100;

impl Store {
    /// Runs `body` as one transaction: either all of its writes take effect together, or none.
    ///
    /// The transaction is rolled back if `body` returns an error or panics, or if a mutator or a will-finish listener
    /// panics. A rollback restores even the order of rows and cells, and no other thread ever sees what was rolled
    /// back. It is not reported to listeners, with one exception: if will-finish listeners have been called already,
    /// did-finish listeners are called as well, with empty changes.
    ///
    /// A transaction inside a transaction is part of it. If the inner one fails, the outer one is rolled back as well,
    /// even if its body continues and returns `Ok`.
    ///
    /// The call waits until the transactions of other threads, and the listeners that they call, are done. Other
    /// threads read the data as it was before the transaction until the transaction is committed. A body that waits for
    /// another thread that writes to the store therefore deadlocks.
    ///
    /// # Errors
    ///
    /// Returns the error of `body`. Returns [`ErrorKind::Callback`], converted to `E`, in these cases:
    ///
    /// - A transaction inside this one failed, in `body` or in a listener, although `body` returned `Ok`. All of the
    ///   transaction is rolled back.
    /// - The call comes from a listener, after listeners have reacted to each other's writes in 100 rounds. `body` is
    ///   not called.
    /// - The store is being committed. `body` is not called.
    ///
    /// # Panics
    ///
    /// Continues a panic of `body`, of a mutator, or of a start or will-finish listener, after the rollback. Continues
    /// a panic of any other listener after the commit.
    ///
    /// ```
    /// use roommate::{Error, ErrorKind, Store};
    ///
    /// let store = Store::new();
    /// store.set_value("open", true)?;
    /// let refused = store.transaction(|store| -> Result<(), Error> {
    ///     store.set_value("open", false)?;
    ///     Err(Error::new(ErrorKind::Invalid, "no, wait"))
    /// });
    /// assert!(refused.is_err());
    /// assert_eq!(store.value("open"), Some(true.into()));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn transaction<T, E: From<Error>>(&self, body: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        self.run(body, None)
    }

    /// Runs `body` as one transaction that `do_rollback` may undo: TinyBase's `transaction` with `doRollback`.
    ///
    /// `do_rollback` is called after the mutators, and can inspect what the transaction has changed so far. If it
    /// returns true, the store is restored to its state before the transaction, but the call still returns the result
    /// of `body`. Unlike after a failure, some listeners are called for such a transaction: will-finish listeners,
    /// whose writes are then its only changes; listeners to invalid cells and values; and did-finish listeners. In a
    /// transaction inside a transaction, `do_rollback` is not called.
    ///
    /// # Errors
    ///
    /// As [`Store::transaction`]. A rollback by `do_rollback` is not an error.
    ///
    /// ```
    /// use roommate::{Error, Store};
    ///
    /// let store = Store::new();
    /// let add = |count| {
    ///     store.transaction_or_rollback(
    ///         |store| {
    ///             (0..count).try_for_each(|_| store.add_row("pets", [("species", "dog")]).map(drop))?;
    ///             Ok::<_, Error>(())
    ///         },
    ///         |event| event.log().changed_row_ids["pets"].len() > 2,
    ///     )
    /// };
    /// add(3)?;
    /// assert_eq!(store.row_count("pets"), 0);
    /// add(2)?;
    /// assert_eq!(store.row_count("pets"), 2);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn transaction_or_rollback<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&Self) -> Result<T, E>,
        do_rollback: impl FnOnce(&TransactionEvent<'_>) -> bool,
    ) -> Result<T, E> {
        let mut do_rollback = Some(do_rollback);
        self.run(body, Some(&mut |event| do_rollback.take().is_some_and(|do_rollback| do_rollback(event))))
    }

    fn run<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&Self) -> Result<T, E>,
        do_rollback: Option<&mut DoRollback<'_>>,
    ) -> Result<T, E> {
        let turn = self.shared.turn.take();
        match self.begin_or_join(true)? {
            Begin::Joined => return self.nested(body),
            Begin::Began => {}
        }
        let mut panics = Panics::default();
        self.tell_stage(Kind::StartTransaction, &mut panics);
        let result = match panics.take() {
            Some(panic) => Err(panic),
            None => catch_unwind(AssertUnwindSafe(|| body(self))),
        };
        let kept = self.finish(matches!(result, Ok(Ok(_))), do_rollback, &mut panics);
        drop(turn);

        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        panics.resume();
        if !kept && result.is_ok() { Err(E::from(failed_inside())) } else { result }
    }

    /// Ends the open transaction, in TinyBase's order. Returns whether it was committed.
    pub(super) fn finish(&self, mut kept: bool, do_rollback: Option<&mut DoRollback<'_>>, panics: &mut Panics) -> bool {
        let is_fine = |panics: &Panics| panics.is_empty() && !self.shared.state().failed;
        kept = kept && is_fine(panics);
        if kept && self.tell_mutators(panics) {
            kept = is_fine(panics);
        }
        if kept && let Some(do_rollback) = do_rollback {
            let event = TransactionEvent { store: self, stage: Stage::Open };
            if panics.catch(|| do_rollback(&event)) == Some(true) {
                self.undo_stage();
            }
            kept = is_fine(panics);
        }
        let will_finish = kept;
        if kept && self.tell_stage(Kind::WillFinishTransaction, panics) {
            kept = is_fine(panics);
        }
        if kept {
            self.commit(None, panics);
        } else {
            self.roll_back();
            // Will-finish listeners were called, so did-finish listeners are called too, with empty changes.
            if will_finish && self.shared.listeners.has(Role::Listener, Kind::DidFinishTransaction) {
                self.shared.state_mut().tell_later(Told::default());
            }
        }
        self.end(panics);
        kept
    }

    /// Runs `body` as one transaction of `origin`, which joins no other transaction. If this thread has a transaction
    /// open, returns `None` and does not run `body` ([`Store::poll_no_transaction_here`]).
    ///
    /// Only a panic of `body` rolls the transaction back, and that panic continues in the caller. Listeners cannot
    /// affect the writes of `body`: if a mutator or a will-finish listener panics, only the writes of such listeners
    /// are rolled back. A panic of any listener ends here, and the returned flag reports it. The limit of rounds does
    /// not apply.
    pub(crate) fn transact_as<R>(&self, origin: Origin, body: impl FnOnce(&Self) -> R) -> Option<(R, bool)> {
        let turn = self.shared.turn.take();
        match self.begin_or_join(false) {
            Ok(Begin::Began) => {}
            Ok(Begin::Joined) | Err(_) => return None,
        }
        let mut ignored = Panics::default();
        let mut derived = Panics::default();
        // Writes of start listeners are not the origin's: they are committed first, as writes of the application.
        self.tell_stage(Kind::StartTransaction, &mut ignored);
        if self.shared.state().failed || !ignored.is_empty() {
            self.roll_back();
        } else if !self.shared.state().log.is_empty() {
            self.commit(None, &mut ignored);
            self.shared.state_mut().phase = Phase::Open;
        }

        let result = catch_unwind(AssertUnwindSafe(|| body(self)));
        if result.is_ok() && !self.shared.state().failed {
            self.end_stage();
            self.tell_mutators(&mut derived);
            if derived.is_empty() && !self.shared.state().failed {
                self.tell_stage(Kind::WillFinishTransaction, &mut derived);
            }
            if self.shared.state().failed || !derived.is_empty() {
                self.undo_stage();
            }
            self.commit(Some(origin), &mut ignored);
        } else {
            self.roll_back();
        }
        self.end(&mut ignored);
        drop(turn);
        let panicked = !ignored.is_empty() || !derived.is_empty();
        Some((result.unwrap_or_else(|panic| resume_unwind(panic)), panicked))
    }

    /// Runs one write, as a transaction of its own if none is open.
    ///
    /// If no listener is to be called during the transaction, one lock covers all of it. If no listener is to be called
    /// at all, the write needs no log either.
    pub(super) fn write<R>(&self, write: impl FnOnce(&mut Writer<'_>) -> R) -> Result<R, Error> {
        let turn = self.shared.turn.take();
        let listeners = &self.shared.listeners;
        let mark = listeners.mark();
        let mut state = self.shared.state_mut();
        if state.phase == Phase::Open {
            return Ok(write(&mut state.writer()));
        }
        let is_told_within = listeners.has_any(Role::Listener, Kind::StartTransaction, Kind::WillFinishTransaction)
            || listeners.has_any(Role::Mutator, Kind::StartTransaction, Kind::DidFinishTransaction)
            || self.shared.is_traced();
        if state.phase != Phase::Idle || is_told_within {
            drop(state);
            return self.transaction(|store| Ok(write(&mut store.shared.state_mut().writer())));
        }
        state.serial += 1;
        if !listeners.has_any(Role::Listener, Kind::InvalidCell, Kind::DidFinishTransaction) {
            let result = write(&mut state.unlogged_writer());
            state.invalid = Invalid::default();
            return Ok(result);
        }
        let result = write(&mut state.writer());
        let told = Told::of_whole(&mut state);
        state.settle();
        state.phase = Phase::Telling;
        state.rounds = 1;
        drop(state);
        let mut panics = Panics::default();
        self.tell_rounds(told, mark, &mut panics);
        drop(turn);
        panics.resume();
        Ok(result)
    }

    /// Opens a transaction, unless this thread has one open. The caller holds the turn.
    pub(super) fn begin_or_join(&self, limited: bool) -> Result<Begin, Error> {
        let (phase, rounds) = {
            let state = self.shared.state();
            (state.phase, state.rounds)
        };
        match phase {
            Phase::Open => return Ok(Begin::Joined),
            Phase::Sealed => {
                return Err(Error::new(ErrorKind::Callback, "the store is being committed: write when that is done"));
            }
            Phase::Telling if limited && rounds >= ROUNDS => {
                return Err(Error::new(
                    ErrorKind::Callback,
                    format!("listeners have answered each other's writes {ROUNDS} times: let one of them stop writing"),
                ));
            }
            Phase::Idle | Phase::Telling => {}
        }
        let mut state = self.shared.state_mut();
        state.writer = Some(this_thread());
        state.phase = Phase::Open;
        state.serial += 1;
        Ok(Begin::Began)
    }

    /// Runs a part of the open transaction. If the part fails, the whole transaction will fail.
    fn nested<T, E>(&self, body: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        struct FailOnUnwind<'a>(&'a Store);

        impl Drop for FailOnUnwind<'_> {
            fn drop(&mut self) {
                self.0.shared.state_mut().failed = true;
            }
        }

        let fail = FailOnUnwind(self);
        let result = body(self);
        if result.is_ok() {
            mem::forget(fail);
        }
        result
    }
}

/// The error of a transaction whose body continued after a failure inside of it.
pub(super) fn failed_inside() -> Error {
    Error::new(ErrorKind::Callback, "a transaction inside this one failed, so all of it was rolled back")
}

/// Decides whether a transaction is to be rolled back.
pub(super) type DoRollback<'a> = dyn FnMut(&TransactionEvent<'_>) -> bool + 'a;

/// How a call got its open transaction.
pub(super) enum Begin {
    /// The call opened the transaction, and has to end it.
    Began,
    /// The transaction was open already.
    Joined,
}
