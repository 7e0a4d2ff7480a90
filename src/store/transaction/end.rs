//! How a transaction ends: it is committed or rolled back, and listeners are notified until no listener writes any
//! more.

use std::{mem, sync::Arc};

use crate::store::{
    Store,
    commit::{Before, Commit, Origin},
    invalid::Invalid,
    listeners::{Kind, Panics, Role},
    shared::{Earlier, Phase, State, lock},
    telling::Round,
    told::{Told, Touched},
};

impl Store {
    pub(super) fn roll_back(&self) {
        self.undo_stage();
        let mut state = self.shared.state_mut();
        state.earlier = None;
        state.invalid = Invalid::default();
    }

    /// Undoes the writes since the end of the last stage. The record of rejected writes stays.
    pub(super) fn undo_stage(&self) {
        let mut state = self.shared.state_mut();
        let log = mem::take(&mut state.log);
        log.undo(&mut state.data);
        if state.earlier.is_none() {
            log.compact(&mut state.data);
        }
        state.rules.undo();
        state.failed = false;
    }

    /// Protects the writes so far from [`Self::undo_stage`].
    pub(super) fn end_stage(&self) {
        let mut state = self.shared.state_mut();
        state.rules.commit();
        let log = mem::take(&mut state.log);
        let (net, before) = (log.net(&state.data), log.before(&state.data));
        state.earlier = Some(Earlier { log, net, before });
    }

    /// Makes the writes final, and calls the hooks. Until all hooks have returned, no other thread sees the writes.
    pub(super) fn commit(&self, origin: Option<Origin>, panics: &mut Panics) {
        let listened = self.shared.listeners.has_any(Role::Listener, Kind::InvalidCell, Kind::DidFinishTransaction);
        let mut state = self.shared.state_mut();
        let traced = self.shared.is_traced();
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
        // Its log stays: other threads need it to read what was there before.
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
        let mut hooks = Vec::new();
        if traced && (!net.is_empty() || derived.is_some()) {
            hooks.extend(lock(&self.shared.hooks).list.iter().map(|(_, hook)| Arc::clone(hook)));
        }
        if !hooks.is_empty() {
            let changes = &net.changes();
            let derived = derived.as_ref().map(|(changes, before)| (changes, before));
            for hook in hooks {
                panics.catch(|| hook(&Commit { origin, changes, before: &before, derived }));
                panics.catch(|| drop(hook));
            }
        }
        let mut state = self.shared.state_mut();
        if traced {
            state.settle();
            if !net.is_empty() {
                // Not earlier: a stream that begins in between reads the changes of this commit from here on.
                lock(&self.shared.feeds).iter().for_each(|feed| feed.push(before.clone()));
            }
        }
        if listened {
            state.tell_later(Told { net, invalid, touched, counts });
        }
    }

    /// Ends a transaction that was committed or rolled back: lets other threads read, and notifies listeners until none
    /// of them writes any more. If a listener made this call, the round that is running notifies the listeners.
    pub(super) fn end(&self, panics: &mut Panics) {
        let mark = self.shared.listeners.mark();
        let (told_above, told, blocked) = {
            let mut state = self.shared.state_mut();
            state.writer = None;
            let told_above = state.rounds > 0;
            let told = if told_above { None } else { state.untold.take() };
            state.rounds += usize::from(told.is_some());
            state.phase = if told_above || told.is_some() { Phase::Telling } else { Phase::Idle };
            (told_above, told, mem::take(&mut state.blocked))
        };
        for waker in blocked {
            panics.catch(|| waker.wake());
        }
        if self.shared.is_traced() {
            self.shared.wake_feeds(panics);
        }
        if let (false, Some(told)) = (told_above, told) {
            self.tell_rounds(told, mark, panics);
        }
    }

    /// Notifies listeners that were added before `mark`, and then reports the writes of listeners, until none of them
    /// writes any more.
    pub(super) fn tell_rounds(&self, mut told: Told, mut mark: u64, panics: &mut Panics) {
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
    /// Adds to the next report to listeners. The first round is made even if nothing changed.
    pub(super) fn tell_later(&mut self, told: Told) {
        if self.rounds > 0 && told.is_empty() {
            return;
        }
        match &mut self.untold {
            Some(untold) => untold.extend(told),
            untold => *untold = Some(told),
        }
    }
}
