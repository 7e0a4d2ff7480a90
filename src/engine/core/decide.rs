//! Decides what to begin next, when no operation is in flight.

use super::{Busy, Core, Effect, Summary, Timer, calls::Step};

impl Core {
    pub(super) fn decide(&mut self, summary: &Summary) {
        while self.effects.is_empty() && self.busy.is_none() {
            let Some(call) = self.calls.front() else { break };
            let Some(step) = call.step() else { break };
            if let Step::Act = step {
                let id = call.id;
                return self.begin(Busy::Act, true, Effect::Act(id));
            }
            if self.backoff.is_waiting() {
                return;
            }
            match step {
                Step::Watch if self.settings.capability.watch && !self.watching => {
                    return self.begin(Busy::Watch, true, Effect::Watch);
                }
                Step::Load { .. } => return self.begin_load(true),
                Step::Save { whole, up_to } => {
                    let waits = summary.next.is_some_and(|next| next <= *up_to);
                    let whole = self.is_whole(*whole);
                    if whole || waits {
                        if !summary.may_save() {
                            return;
                        }
                        // The stream that an earlier step opened may have ended since.
                        if self.lacks_receipts() {
                            return self.begin(Busy::Watch, true, Effect::Watch);
                        }
                        return self.begin_save(whole, true);
                    }
                }
                Step::BeginAutoLoad => self.auto_load = true,
                Step::BeginAutoSave => self.auto_save = true,
                Step::Watch | Step::Act | Step::Flush(_) => {}
            }
            self.step_done();
        }
        if !self.effects.is_empty() || self.busy.is_some() || self.halted || self.backoff.is_waiting() {
            return;
        }
        let waits = summary.next.is_some();
        let gathers_no_more = summary.is_retry || summary.has_backlog;
        self.owed &= summary.is_retry;
        let shared = self.settings.capability.shared;
        // The backend lost everything after these edits were sent. They wait for another first save.
        let is_stranded = shared && summary.sent > 0 && self.known == Some(false);
        let saves = self.auto_save || is_stranded || waits && (self.owed || !self.flushes.is_empty());
        let watches = self.auto_load || shared && (saves || summary.sent > 0);
        if watches && self.settings.capability.watch && !self.watching {
            self.begin(Busy::Watch, false, Effect::Watch);
        } else if !watches && self.watching {
            self.watching = false;
            self.effects.push_back(Effect::Unwatch);
        } else if self.stale && (self.auto_load || shared && summary.sent > 0) {
            self.begin_load(false);
        } else if saves && summary.may_save() && (gathers_no_more || !self.held) {
            let whole = self.is_whole(false);
            if whole || waits {
                if !gathers_no_more {
                    self.hold();
                }
                self.begin_save(whole, false);
            }
        }
    }

    pub(super) fn decide_end(&mut self, flush: bool, summary: &Summary) {
        let unconfirmed = summary.next.is_some() || summary.sent > 0;
        if flush && unconfirmed && !self.halted {
            if self.backoff.is_waiting() {
                return;
            }
            if self.lacks_receipts() {
                return self.begin(Busy::Watch, false, Effect::Watch);
            }
            if !summary.is_ready {
                return;
            }
            if summary.next.is_some() && summary.may_save() {
                return self.begin_save(self.is_whole(false), false);
            }
            if summary.sent > 0 && self.watching {
                return;
            }
        }
        if self.watching {
            self.watching = false;
            self.effects.push_back(Effect::Unwatch);
        }
        self.effects.push_back(Effect::Wake(Timer::Deadline, self.deadline));
        self.begin(Busy::Close, false, Effect::Close);
    }
}
