//! The application's calls, one after another, and the steps of each.

use std::{collections::VecDeque, mem, time::Duration};

use super::{Apply, Busy, Core, EditId, Effect, Life, Show, Status, Summary, Timer};
use crate::{
    content::Content,
    error::{Error, ErrorKind, Result},
};

/// Identifies a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallId(pub(crate) u64);

/// A call of the application.
#[derive(Debug)]
pub(crate) enum Call {
    Load {
        initial: Option<Content>,
    },
    Save,
    Flush,
    StartAutoLoad {
        initial: Option<Content>,
    },
    StartAutoSave,
    StartAutoPersisting {
        initial: Option<Content>,
        save_first: bool,
    },
    StopAutoLoad,
    StopAutoSave,
    StopAutoPersisting,
    /// An action of the application. The driver finds it by the call's id.
    Schedule,
    /// Ends the engine within about the deadline. Saves what is left if `flush` and auto-save is on.
    Destroy {
        flush: bool,
        deadline: Duration,
    },
}

/// A part of a call that begins at most one load, save, watch or action.
#[derive(Debug)]
pub(super) enum Step {
    Watch,
    Load {
        initial: Option<Content>,
    },
    BeginAutoLoad,
    /// Saves the edits up to `up_to`. If `whole`, saves the content, even without any edit.
    Save {
        whole: bool,
        up_to: EditId,
    },
    BeginAutoSave,
    Act,
    Flush(EditId),
}

/// A call that waits for its turn, or for one of its steps to end.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) id: CallId,
    steps: VecDeque<Step>,
    /// What the call has begun. It is undone when a later step of the call fails.
    began_auto_load: bool,
    began_auto_save: bool,
}

impl Queued {
    pub(super) fn step(&self) -> Option<&Step> {
        self.steps.front()
    }

    pub(super) fn step_mut(&mut self) -> Option<&mut Step> {
        self.steps.front_mut()
    }
}

impl Core {
    pub(super) fn called(&mut self, id: CallId, call: Call, summary: &Summary) {
        if self.life != Life::Running {
            return match call {
                Call::Destroy { .. } if self.life != Life::Ended => self.destroys.push(id),
                Call::Destroy { .. } => self.answer(id, Ok(())),
                _ => self.answer(id, Err(closed("the engine is destroyed"))),
            };
        }
        self.halted = false;
        let shared = self.settings.capability.shared;
        let watch_to_load = || Some(Step::Watch);
        // A shared backend confirms saves in its stream.
        let watch_to_save = || shared.then_some(Step::Watch);
        let auto_load = |initial| [watch_to_load(), Some(Step::Load { initial }), Some(Step::BeginAutoLoad)];
        let save = |whole| Some(Step::Save { whole, up_to: summary.newest });
        let auto_save = || [watch_to_save(), save(true), Some(Step::BeginAutoSave)];
        let steps: VecDeque<Step> = match call {
            Call::Load { initial } => [Step::Load { initial }].into(),
            Call::Save => [watch_to_save(), save(true)].into_iter().flatten().collect(),
            Call::Flush => {
                let steps = [watch_to_save(), save(false), Some(Step::Flush(summary.newest))];
                steps.into_iter().flatten().collect()
            }
            Call::StartAutoLoad { initial } => auto_load(initial).into_iter().flatten().collect(),
            Call::StartAutoSave => auto_save().into_iter().flatten().collect(),
            Call::StartAutoPersisting { initial, save_first: false } => {
                auto_load(initial).into_iter().chain(auto_save()).flatten().collect()
            }
            Call::StartAutoPersisting { initial, save_first: true } => {
                auto_save().into_iter().chain(auto_load(initial)).flatten().collect()
            }
            Call::Schedule => [Step::Act].into(),
            Call::StopAutoLoad => return self.stop(id, true, false),
            Call::StopAutoSave => return self.stop(id, false, true),
            Call::StopAutoPersisting => return self.stop(id, true, true),
            Call::Destroy { flush, deadline } => return self.destroy(id, flush, deadline),
        };
        self.calls.push_back(Queued { id, steps, began_auto_load: false, began_auto_save: false });
    }

    /// Stops at once, even with an operation in flight. Calls that have not begun the stopped half lose it.
    fn stop(&mut self, id: CallId, load: bool, save: bool) {
        self.auto_load &= !load;
        self.auto_save &= !save;
        self.owed &= !save;
        let mut abandons = false;
        let mut stopped = Vec::new();
        let mut under_way = self.busy_for_call;
        self.calls.retain_mut(|call| {
            let is_under_way = mem::take(&mut under_way);
            let loads = call.steps.iter().any(|step| matches!(step, Step::BeginAutoLoad));
            let saves = call.steps.iter().any(|step| matches!(step, Step::BeginAutoSave));
            if !(load && loads || save && saves) {
                return true;
            }
            let (loads, saves) = (loads && !load, saves && !save);
            let goes_on = |step: &Step| match step {
                Step::Load { .. } | Step::BeginAutoLoad => loads,
                Step::Save { .. } | Step::BeginAutoSave => saves,
                _ => loads || saves,
            };
            abandons |= is_under_way && call.step().is_some_and(|step| !goes_on(step));
            call.steps.retain(goes_on);
            if call.steps.is_empty() {
                stopped.push(call.id);
            }
            !call.steps.is_empty()
        });
        if abandons {
            self.abandon();
        }
        for call in stopped {
            self.answer(call, Err(closed("it was stopped before it had begun")));
        }
        self.answer(id, Ok(()));
    }

    /// Drops what is under way. What a dropped save had taken is saved again.
    pub(super) fn abandon(&mut self) {
        self.effects.push_back(Effect::Abandon);
        self.apply(Apply::SaveFailed);
        self.end_busy();
    }

    fn destroy(&mut self, id: CallId, flush: bool, deadline: Duration) {
        let saves = |call: &Queued| call.steps.iter().any(|step| matches!(step, Step::Save { .. }));
        self.life = Life::Ending { flush: flush && (self.auto_save || self.calls.iter().any(saves)) };
        self.destroys.push(id);
        self.deadline = deadline;
        self.auto_load = false;
        self.busy_for_call = false;
        self.backoff.reset();
        self.effects.push_back(Effect::Wake(Timer::Deadline, deadline));
        for call in mem::take(&mut self.calls) {
            self.answer(call.id, Err(closed("the engine was destroyed before this was done")));
        }
    }

    /// Ends for good.
    pub(super) fn end(&mut self) {
        self.life = Life::Ended;
        self.auto_save = false;
        for (id, _) in mem::take(&mut self.flushes) {
            self.answer(id, Err(closed("the engine was destroyed before everything was confirmed")));
        }
        for id in mem::take(&mut self.destroys) {
            self.answer(id, Ok(()));
        }
        self.effects.push_back(Effect::End);
    }

    /// The first call's step is done. The call goes on to its next step, or is answered.
    pub(super) fn step_done(&mut self) {
        let Some(call) = self.calls.front_mut() else { return };
        match call.steps.pop_front() {
            Some(Step::BeginAutoLoad) => call.began_auto_load = true,
            Some(Step::BeginAutoSave) => call.began_auto_save = true,
            _ => {}
        }
        if let Some(Step::Flush(newest)) = call.steps.front() {
            self.flushes.push((call.id, *newest));
            self.calls.pop_front();
        } else if call.steps.is_empty() {
            let id = call.id;
            self.calls.pop_front();
            self.answer(id, Ok(()));
        }
    }

    /// The operation in flight has failed.
    pub(super) fn failed(&mut self, error: Error) {
        if error.is_temporary() {
            self.report(error);
            return self.back_off();
        }
        if !self.busy_for_call {
            self.halted = true;
            for (id, _) in mem::take(&mut self.flushes) {
                self.answer(id, Err(error.clone()));
            }
            return self.report(error);
        }
        self.call_failed(error);
    }

    /// The first call ends with an error.
    pub(super) fn call_failed(&mut self, error: Error) {
        if let Some(id) = self.end_call() {
            self.answer(id, Err(error));
        }
    }

    /// Removes the first call before it is done.
    fn end_call(&mut self) -> Option<CallId> {
        let call = self.calls.pop_front()?;
        // If one half cannot start, the half that has begun is stopped.
        self.auto_load &= !call.began_auto_load;
        self.auto_save &= !call.began_auto_save;
        Some(call.id)
    }

    /// The outbox cannot store the edits, so they cannot be saved. The calls that wait for them fail: the call whose
    /// save is next, and every flush.
    pub(super) fn unkept(&mut self, error: Error) {
        let waits = |call: &Queued| call.steps.iter().any(|step| matches!(step, Step::Flush(_)));
        if self.busy_for_call && self.busy == Some(Busy::Watch) && self.calls.front().is_some_and(waits) {
            self.abandon();
        }
        let mut unkept: Vec<_> = mem::take(&mut self.flushes).into_iter().map(|(id, _)| id).collect();
        let is_next = |call: &Queued| waits(call) || matches!(call.step(), Some(Step::Save { .. }));
        if self.busy.is_none() && self.calls.front().is_some_and(is_next) {
            unkept.extend(self.end_call());
        }
        let mut may_wait = self.busy.is_some() && self.busy_for_call;
        self.calls.retain(|call| {
            let stays = mem::take(&mut may_wait) || !waits(call);
            if !stays {
                unkept.push(call.id);
            }
            stays
        });
        if unkept.is_empty() {
            return self.report(error);
        }
        for id in unkept {
            self.answer(id, Err(error.clone()));
        }
    }

    /// An operation succeeded.
    pub(super) fn succeeded(&mut self) {
        self.halted = false;
        self.backoff.reset();
    }

    pub(super) fn back_off(&mut self) {
        let delay = self.backoff.wait();
        self.effects.push_back(Effect::Wake(Timer::Retry, delay));
    }

    pub(super) fn begin(&mut self, busy: Busy, for_call: bool, effect: Effect) {
        self.busy = Some(busy);
        self.busy_for_call = for_call;
        self.effects.push_back(effect);
    }

    pub(super) fn begin_load(&mut self, for_call: bool) {
        self.stats.loads += 1;
        self.change_status(Status::Loading);
        self.begin(Busy::Load, for_call, Effect::Load);
    }

    pub(super) fn begin_save(&mut self, whole: bool, for_call: bool) {
        self.stats.saves += 1;
        self.change_status(Status::Saving);
        self.begin(Busy::Save, for_call, Effect::Save { whole });
    }

    pub(super) fn end_busy(&mut self) {
        self.busy = None;
        self.change_status(Status::Idle);
    }

    /// Whether a save has to contain everything. For a shared backend, only the first save does.
    pub(super) fn is_whole(&self, asked: bool) -> bool {
        if self.settings.capability.shared { self.known != Some(true) } else { asked }
    }

    /// Whether no stream would report the outcome of a save to a shared backend.
    pub(super) fn lacks_receipts(&self) -> bool {
        let capability = self.settings.capability;
        capability.watch && capability.shared && !self.watching
    }

    pub(super) fn hold(&mut self) {
        if !self.settings.save_interval.is_zero() {
            self.held = true;
            self.effects.push_back(Effect::Wake(Timer::Hold, self.settings.save_interval));
        }
    }

    /// No notice reports the first save of another client to an empty backend, so the engine loads again.
    pub(super) fn poll_while_empty(&mut self) {
        let capability = self.settings.capability;
        if self.known == Some(false) && capability.shared && capability.watch && !self.polling {
            self.polling = true;
            self.effects.push_back(Effect::Wake(Timer::Poll, self.settings.empty_poll_interval));
        }
    }

    /// Applies what the backend reported. It counts as a load.
    pub(super) fn take_in(&mut self, apply: Apply) {
        let status = self.status;
        self.stats.loads += 1;
        self.change_status(Status::Loading);
        self.apply(apply);
        self.change_status(status);
    }

    pub(super) fn show(&self) -> Show {
        if self.auto_load { Show::All } else { Show::Refused }
    }

    pub(super) fn answer_flushes(&mut self, summary: &Summary) {
        let (confirmed, open) =
            self.flushes.drain(..).partition(|(_, newest)| summary.oldest.is_none_or(|oldest| oldest > *newest));
        self.flushes = open;
        let confirmed: Vec<_> = confirmed;
        for (id, _) in confirmed {
            self.answer(id, Ok(()));
        }
    }

    pub(super) fn apply(&mut self, apply: Apply) {
        self.effects.push_back(Effect::Apply(apply));
    }

    pub(super) fn answer(&mut self, id: CallId, result: Result<()>) {
        self.effects.push_back(Effect::Answer(id, result));
    }

    pub(super) fn report(&mut self, error: Error) {
        self.effects.push_back(Effect::Report(error));
    }

    fn change_status(&mut self, status: Status) {
        if mem::replace(&mut self.status, status) != status {
            self.effects.push_back(Effect::Status(status));
        }
    }
}

fn closed(message: &str) -> Error {
    Error::new(ErrorKind::Closed, message)
}
