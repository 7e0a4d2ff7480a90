//! How a transaction ends: committed or taken back, and told of until no listener writes any more.

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

    /// Undoes what was written since the last stage ended. What could not be written stays known.
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

    /// Puts what was written so far out of reach of [`Self::undo_stage`].
    pub(super) fn end_stage(&self) {
        let mut state = self.shared.state_mut();
        state.rules.commit();
        let log = mem::take(&mut state.log);
        let (net, before) = (log.net(&state.data), log.before(&state.data));
        state.earlier = Some(Earlier { log, net, before });
    }

    /// Makes what was written final, and tells the hooks. Until they have heard of it nobody else sees it.
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
                // Not before: a stream that begins in between reads from now on what this changed.
                lock(&self.shared.feeds).iter().for_each(|feed| feed.push(before.clone()));
            }
        }
        if listened {
            state.tell_later(Told { net, invalid, touched, counts });
        }
    }

    /// Ends a transaction that was committed or rolled back: lets the others read, and tells listeners, until none of
    /// them writes any more. Inside of a listener the telling is left to those who called it.
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

    /// Tells those who listened before `mark`, and then of what listeners wrote, until none of them writes any more.
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
    /// Adds to what listeners are to be told next. The first round tells even of nothing.
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
