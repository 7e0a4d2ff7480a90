//! Transactions: one at a time, all or nothing, and told of once they are over.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use crate::{
    error::{Error, ErrorKind},
    sync::this_thread,
};

use super::{
    Store,
    commit::{Before, Commit, Origin},
    events::{Stage, TransactionEvent},
    invalid::Invalid,
    listeners::{Kind, Panics, Role},
    shared::{Earlier, Phase, State, lock},
    telling::Round,
    told::{Told, Touched},
    writer::Writer,
};

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

    /// Runs `body` as one transaction of `origin`, which joins no other: to be called outside of transactions.
    ///
    /// Only a panic of `body` rolls it back, and goes on to the caller. What listeners do does it no harm: when a mutator
    /// or a will-finish listener panics, what such listeners wrote is rolled back, and a panic of any listener ends here;
    /// the flag says that there was one. The limit of rounds is not for it.
    pub(crate) fn transact_as<R>(&self, origin: Origin, body: impl FnOnce(&Self) -> R) -> (R, bool) {
        let turn = self.shared.turn.take();
        match self.begin_or_join(false) {
            Ok(Begin::Began) => {}
            // Called from inside a transaction or a hook, against the contract.
            Ok(Begin::Joined) | Err(_) => return (body(self), false),
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
        (result.unwrap_or_else(|panic| resume_unwind(panic)), panicked)
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

    fn roll_back(&self) {
        self.undo_stage();
        let mut state = self.shared.state_mut();
        state.earlier = None;
        state.invalid = Invalid::default();
    }

    /// Undoes what was written since the last stage ended. What could not be written stays known.
    fn undo_stage(&self) {
        let mut state = self.shared.state_mut();
        let log = mem::take(&mut state.log);
        log.undo(&mut state.data);
        if state.earlier.is_none() {
            log.compact(&mut state.data);
        }
        state.rules.undo();
        state.failed = false;
    }

    /// Puts what was written so far out of reach of [`Self::undo_stage`].
    fn end_stage(&self) {
        let mut state = self.shared.state_mut();
        state.rules.commit();
        let log = mem::take(&mut state.log);
        let (net, before) = (log.net(&state.data), log.before(&state.data));
        state.earlier = Some(Earlier { log, net, before });
    }

    /// Makes what was written final, and tells the hooks. Until they have heard of it nobody else sees it.
    fn commit(&self, origin: Option<Origin>, panics: &mut Panics) {
        let traced = self.shared.is_traced();
        let (mut hooks, mut feeds) = (Vec::new(), Vec::new());
        if traced {
            hooks.extend(lock(&self.shared.hooks).list.iter().map(|(_, hook)| Arc::clone(hook)));
            feeds.extend(lock(&self.shared.feeds).iter().cloned());
        }
        let listened = self.shared.listeners.has_any(Role::Listener, Kind::InvalidCell, Kind::DidFinishTransaction);
        let mut state = self.shared.state_mut();
        state.phase = Phase::Sealed;
        let invalid = mem::take(&mut state.invalid);
        if !traced && !listened {
            state.settle();
            return;
        }
        let net = state.log.net(&state.data);
        let mut touched = state.log.touched();
        let counts = (state.data.tables.len(), state.data.values.len());
        let before = if traced { state.log.before(&state.data) } else { Before::default() };
        // Its log stays: that is how others read what was there before.
        let earlier =
            state.earlier.as_mut().map(|earlier| (mem::take(&mut earlier.net), mem::take(&mut earlier.before)));
        if !traced {
            state.settle();
        }
        drop(state);

        let (net, before, derived) = match earlier {
            None => (net, before, None),
            Some((mut all_net, mut all_before)) => {
                let derived = (!net.is_empty()).then(|| (net.changes(), before.clone()));
                touched.extend(Touched::by(&all_net));
                all_net.extend(net);
                all_before.extend(before);
                (all_net, all_before, derived)
            }
        };
        if !hooks.is_empty() && (!net.is_empty() || derived.is_some()) {
            let changes = &net.changes();
            let derived = derived.as_ref().map(|(changes, before)| (changes, before));
            for hook in hooks {
                panics.catch(|| hook(&Commit { origin, changes, before: &before, derived }));
                panics.catch(|| drop(hook));
            }
        }
        for feed in feeds.iter().filter(|_| !net.is_empty()) {
            feed.push(before.clone());
        }
        let mut state = self.shared.state_mut();
        if traced {
            state.settle();
        }
        if listened {
            state.tell_later(Told { net, invalid, touched, counts });
        }
    }

    /// Ends a transaction that was committed or rolled back: lets the others read, and tells listeners, until none of
    /// them writes any more. Inside of a listener the telling is left to those who called it.
    fn end(&self, panics: &mut Panics) {
        let mark = self.shared.listeners.mark();
        let (told_above, told) = {
            let mut state = self.shared.state_mut();
            state.writer = None;
            let told_above = state.rounds > 0;
            let told = if told_above { None } else { state.untold.take() };
            state.rounds += usize::from(told.is_some());
            state.phase = if told_above || told.is_some() { Phase::Telling } else { Phase::Idle };
            (told_above, told)
        };
        if self.shared.is_traced() {
            self.shared.wake_feeds(panics);
        }
        if let (false, Some(told)) = (told_above, told) {
            self.tell_rounds(told, mark, panics);
        }
    }

    /// Tells those who listened before `mark`, and then of what listeners wrote, until none of them writes any more.
    fn tell_rounds(&self, mut told: Told, mut mark: u64, panics: &mut Panics) {
        loop {
            Round { store: self, told: &told, role: Role::Listener, mark, panics }.tell();
            mark = self.shared.listeners.mark();
            let mut state = self.shared.state_mut();
            match state.untold.take().filter(|told| !told.is_empty()) {
                Some(next) => {
                    state.rounds += 1;
                    told = next;
                }
                None => {
                    state.phase = Phase::Idle;
                    state.rounds = 0;
                    return;
                }
            }
        }
    }
}

impl State {
    /// Adds to what listeners are to be told next. The first round tells even of nothing.
    fn tell_later(&mut self, told: Told) {
        if self.rounds > 0 && told.is_empty() {
            return;
        }
        match &mut self.untold {
            Some(untold) => untold.extend(told),
            untold => *untold = Some(told),
        }
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
