//! Transactions: one at a time, all or nothing, and told of once they are over.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use crate::{
    error::{Error, ErrorKind},
    sync::thread,
};

use super::{
    Store,
    commit::{Before, Commit, Hook, Origin},
    data::Edit,
    listeners::{Kind, Panics},
    net::Net,
    shared::{Phase, State, lock},
    telling::Round,
};

/// How many rounds of listeners' answers to each other's writes there may be: enough for any that come to an end.
const ROUNDS: usize = 100;

impl Store {
    /// Runs `body` as one transaction: what it writes takes effect together, or not at all.
    ///
    /// The transaction is rolled back, to the order of rows and cells, when `body` returns an error or panics, or a
    /// will-finish listener panics; then no other listener hears of it, and no other thread ever saw it.
    ///
    /// A transaction in a transaction is part of it. If the inner one fails the outer one is rolled back as well, even
    /// where its body went on and returned `Ok`: the result is then an error of kind [`ErrorKind::Callback`].
    ///
    /// It waits until other threads' transactions, and the listeners that they call, are done; and meanwhile other
    /// threads' reads wait for `body`. So a body that itself waits for another thread which uses the store waits for
    /// ever.
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
        let mut kept = matches!(result, Ok(Ok(_))) && !self.shared.state().failed;
        if kept {
            self.tell_stage(Kind::WillFinishTransaction, &mut panics);
            kept = panics.is_empty() && !self.shared.state().failed;
        }
        match kept {
            true => self.commit(None, &mut panics),
            false => self.roll_back(),
        }
        self.end(&mut panics);
        drop(turn);

        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        panics.resume();
        if !kept && result.is_ok() {
            return Err(E::from(Error::new(
                ErrorKind::Callback,
                "a transaction inside this one failed, so all of it was rolled back",
            )));
        }
        result
    }

    /// Runs `body` as one transaction of `origin`, which joins no other: to be called outside of transactions.
    ///
    /// Only a panic of `body` rolls it back, and goes on to the caller. What listeners do does it no harm: when a
    /// will-finish listener panics, what such listeners wrote is rolled back, and a panic of any listener ends here; the
    /// flag says that there was one. The limit of rounds is not for it.
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
            self.tell_stage(Kind::WillFinishTransaction, &mut derived);
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
    pub(super) fn write<R>(&self, write: impl FnOnce(&mut Edit<'_>) -> R) -> Result<R, Error> {
        self.transaction(|store| {
            let mut state = store.shared.state_mut();
            let State { data, log, .. } = &mut *state;
            Ok(write(&mut Edit { data, log }))
        })
    }

    /// What the open transaction has changed so far.
    pub(super) fn open_net(&self) -> Net {
        let state = self.shared.read();
        let mut net = state.earlier.as_ref().map(|(net, _)| net.clone()).unwrap_or_default();
        net.extend(state.log.net(&state.data));
        net
    }

    /// What listeners have written that nobody was told of yet.
    pub(super) fn untold_net(&self) -> Net {
        self.shared.read().untold.clone().unwrap_or_default()
    }

    /// Opens a transaction, unless this thread has one open. The caller has the turn.
    fn begin_or_join(&self, limited: bool) -> Result<Begin, Error> {
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
        self.shared.turn.begin_writing();
        let mut state = self.shared.state_mut();
        state.writer = Some(thread::current().id());
        state.phase = Phase::Open;
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
        self.shared.state_mut().earlier = None;
    }

    /// Undoes what was written since the last stage ended.
    fn undo_stage(&self) {
        let mut state = self.shared.state_mut();
        mem::take(&mut state.log).undo(&mut state.data);
        state.failed = false;
    }

    /// Puts what was written so far out of reach of [`Self::undo_stage`].
    fn end_stage(&self) {
        let mut state = self.shared.state_mut();
        let log = mem::take(&mut state.log);
        state.earlier = Some((log.net(&state.data), log.before(&state.data)));
    }

    /// Makes what was written final, and tells the hooks.
    fn commit(&self, origin: Option<Origin>, panics: &mut Panics) {
        let hooks: Vec<Hook> = lock(&self.shared.hooks).list.iter().map(|(_, hook)| Arc::clone(hook)).collect();
        let feeds = lock(&self.shared.feeds).clone();
        let listened = lock(&self.shared.book).has_any_after_commit();
        let mut state = self.shared.state_mut();
        state.phase = Phase::Sealed;
        let log = mem::take(&mut state.log);
        let earlier = state.earlier.take();
        if hooks.is_empty() && feeds.is_empty() && !listened {
            log.compact(&mut state.data);
            return;
        }
        let net = log.net(&state.data);
        let traced = !hooks.is_empty() || !feeds.is_empty();
        let before = if traced { log.before(&state.data) } else { Before::default() };
        log.compact(&mut state.data);
        drop(state);

        let (net, before, derived) = match earlier {
            None => (net, before, None),
            Some((mut all_net, mut all_before)) => {
                let derived = (!net.is_empty()).then(|| (net.changes(), before.clone()));
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
        if listened {
            let mut state = self.shared.state_mut();
            let first = state.rounds == 0;
            match &mut state.untold {
                Some(untold) => untold.extend(net),
                untold if first || !net.is_empty() => *untold = Some(net),
                _ => {}
            }
        }
    }

    /// Ends a transaction that was committed or rolled back: lets the others read, and tells listeners, until none of
    /// them writes any more. Inside of a listener the telling is left to those who called it.
    fn end(&self, panics: &mut Panics) {
        let mut mark = lock(&self.shared.book).mark();
        let told_above = {
            let mut state = self.shared.state_mut();
            state.writer = None;
            state.phase = Phase::Telling;
            state.rounds > 0
        };
        self.shared.turn.end_writing();
        self.shared.wake_feeds(panics);
        if told_above {
            return;
        }
        loop {
            let net = {
                let mut state = self.shared.state_mut();
                let first = state.rounds == 0;
                let net = state.untold.take().filter(|net| first || !net.is_empty());
                if net.is_none() {
                    state.phase = Phase::Idle;
                    state.rounds = 0;
                } else {
                    state.rounds += 1;
                }
                net
            };
            let Some(net) = net else { return };
            Round { store: self, net: &net, mark, panics }.tell();
            mark = lock(&self.shared.book).mark();
        }
    }
}

/// How a transaction came to be under way.
enum Begin {
    /// It was opened, and is to be ended.
    Began,
    /// It was open already.
    Joined,
}
