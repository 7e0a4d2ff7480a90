//! Transactions: one at a time, all or nothing, and told of once they are over.

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

/// How many rounds of listeners' answers to each other's writes there may be: enough for any that come to an end.
const ROUNDS: usize = 100;

impl Store {
    /// Runs `body` as one transaction: what it writes takes effect together, or not at all.
    ///
    /// The transaction is rolled back, to the order of rows and cells, when `body` returns an error or panics, or a
    /// mutator or a will-finish listener panics; no other thread ever saw it. Then nobody hears of it any more; only who
    /// was told that it will finish is told that it did, with nothing.
    ///
    /// A transaction in a transaction is part of it. If the inner one fails the outer one is rolled back as well, even
    /// where its body went on and returned `Ok`: the result is then an error of kind [`ErrorKind::Callback`].
    ///
    /// It waits until other threads' transactions, and the listeners that they call, are done; and meanwhile other
    /// threads read what was there before. So a body that itself waits for another thread which writes to the store waits
    /// for ever.
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

    /// Runs `body` as one transaction that `do_rollback` may yet take back: TinyBase's `transaction` with `doRollback`.
    ///
    /// `do_rollback` is asked after the mutators, and looks at what the transaction has come to. If it returns true,
    /// everything is as it was, while the result of `body` is returned all the same. Other than after a failure,
    /// listeners hear of such a transaction: will-finish listeners, whose writes then are all that it does; those to what
    /// could not be taken; and did-finish listeners. In a transaction in a transaction nobody asks.
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

    /// Ends the open transaction, in TinyBase's order; says whether it was committed.
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
            // Who heard that it will finish hears that it did, with nothing.
            if will_finish && self.shared.listeners.has(Role::Listener, Kind::DidFinishTransaction) {
                self.shared.state_mut().tell_later(Told::default());
            }
        }
        self.end(panics);
        kept
    }

    /// Runs `body` as one transaction of `origin`, which joins no other: `None`, and nothing is run, where this thread has one
    /// open ([`Store::poll_no_transaction_here`]).
    ///
    /// Only a panic of `body` rolls it back, and goes on to the caller. What listeners do does it no harm: when a mutator
    /// or a will-finish listener panics, what such listeners wrote is rolled back, and a panic of any listener ends here;
    /// the flag says that there was one. The limit of rounds is not for it.
    pub(crate) fn transact_as<R>(&self, origin: Origin, body: impl FnOnce(&Self) -> R) -> Option<(R, bool)> {
        let turn = self.shared.turn.take();
        match self.begin_or_join(false) {
            Ok(Begin::Began) => {}
            Ok(Begin::Joined) | Err(_) => return None,
        }
        let mut ignored = Panics::default();
        let mut derived = Panics::default();
        // What start listeners write is not the origin's: it is committed before, as the application's.
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

    /// Runs one write, as a transaction of its own where none is open.
    ///
    /// With nobody who is told in the middle of it, this is one lock for all of it; with nobody at all who would hear of
    /// it, it needs no log either.
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

    /// Opens a transaction, unless this thread has one open. The caller has the turn.
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

    /// Runs a part of the open transaction, which fails if the part does.
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

/// What is said where the body of a transaction went on after a failure.
pub(super) fn failed_inside() -> Error {
    Error::new(ErrorKind::Callback, "a transaction inside this one failed, so all of it was rolled back")
}

/// Decides whether a transaction is to be taken back.
pub(super) type DoRollback<'a> = dyn FnMut(&TransactionEvent<'_>) -> bool + 'a;

/// How a transaction came to be under way.
pub(super) enum Begin {
    /// It was opened, and is to be ended.
    Began,
    /// It was open already.
    Joined,
}
