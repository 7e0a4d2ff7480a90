//! Handles results: of a watch, a notice, a load, a save, a timer.

use super::{
    Apply, Busy, Core, Effect, Life, Timer,
    calls::{Queued, Step},
};
use crate::{
    content::Content,
    error::{Error, ErrorKind, Result},
    persister::{Certainty, Notice, Saved},
};

/// How often in a row a backend may answer a save with [`Saved::Found`] before that counts as a failure.
const MAX_FOUND: u32 = 3;

impl Core {
    pub(super) fn watching(&mut self, result: Result<()>) {
        self.end_busy();
        match result {
            Ok(()) => {
                self.watching = true;
                self.succeeded();
                // Whatever happened while nobody listened was missed.
                self.stale = true;
                if self.busy_for_call && matches!(self.calls.front().and_then(Queued::step), Some(Step::Watch)) {
                    self.step_done();
                }
            }
            Err(error) => self.failed(error),
        }
    }

    pub(super) fn noticed(&mut self, notice: Notice) {
        self.halted = false;
        match notice {
            Notice::Stale => {
                // The backend is reachable again. What failed because it was not need not wait any longer.
                self.backoff.reset();
                self.stale = true;
            }
            Notice::Confirmed { receipt, refused } => {
                self.apply(Apply::Confirmed(receipt, refused, Certainty::Certain, self.show()));
            }
            Notice::Missing { receipt, missing } => {
                self.apply(Apply::Confirmed(receipt, missing, Certainty::Presumed, self.show()));
            }
            // A backend that was empty and now reports changes has had a first save: it holds more than these changes.
            Notice::Changes(_) if self.known == Some(false) => self.stale = true,
            Notice::Changes(changes) => self.take_in(Apply::Changes(changes, self.show())),
            Notice::Content(content) => {
                self.known = Some(true);
                if self.auto_load {
                    self.stale = false;
                    self.take_in(Apply::Content(content));
                } else {
                    self.stale = true;
                }
            }
        }
    }

    pub(super) fn loaded(&mut self, result: Result<Option<Content>>) {
        match result {
            Ok(content) => {
                self.succeeded();
                self.stale = false;
                self.known = Some(content.is_some());
                let initial = match self.calls.front_mut().filter(|_| self.busy_for_call).and_then(Queued::step_mut) {
                    Some(Step::Load { initial }) => initial.take(),
                    _ => None,
                };
                // An engine that only saves loads to see whether the backend still holds content. It does not apply
                // that content.
                if let Some(content) = content.or(initial)
                    && (self.busy_for_call || self.auto_load)
                {
                    self.apply(Apply::Content(content));
                }
                self.poll_while_empty();
                self.end_busy();
                if self.busy_for_call {
                    self.step_done();
                }
            }
            Err(error) => {
                self.end_busy();
                self.failed(error);
            }
        }
    }

    pub(super) fn saved(&mut self, result: Result<Saved>) {
        let result = match result {
            Ok(Saved::Found(content)) => {
                self.known = Some(true);
                self.apply(Apply::SaveFailed);
                self.apply(Apply::Content(content));
                self.end_busy();
                self.found += 1;
                if self.found < MAX_FOUND {
                    // The step, or auto-save, goes on to save what the found content does not show.
                    return self.succeeded();
                }
                Err(Error::new(ErrorKind::Unavailable, "the place goes on answering saves with what it holds already"))
            }
            Ok(saved) => {
                self.known = Some(true);
                self.apply(match saved {
                    Saved::Later(receipt) => Apply::SaveSent(receipt),
                    _ => Apply::SaveDone(self.show()),
                });
                self.end_busy();
                Ok(())
            }
            Err(error) => {
                self.apply(Apply::SaveFailed);
                self.end_busy();
                Err(error)
            }
        };
        self.found = 0;
        match result {
            Ok(()) => {
                self.succeeded();
                let step = self.calls.front_mut().filter(|_| self.busy_for_call).and_then(Queued::step_mut);
                if let Some(Step::Save { whole, .. }) = step {
                    // The step is done when no edit from before the call waits.
                    *whole = false;
                }
            }
            Err(error) => self.failed(error),
        }
    }

    pub(super) fn woke(&mut self, timer: Timer) {
        match timer {
            Timer::Retry => self.backoff.waited(),
            Timer::Hold => self.held = false,
            Timer::Poll => {
                self.polling = false;
                self.stale |= self.known == Some(false);
            }
            Timer::Deadline => {
                if let Life::Ending { flush } = &mut self.life {
                    *flush = false;
                    match self.busy {
                        Some(Busy::Close) => {
                            self.effects.push_back(Effect::Abandon);
                            self.end();
                        }
                        Some(_) => self.abandon(),
                        None => {}
                    }
                }
            }
        }
    }
}
