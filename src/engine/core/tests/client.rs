//! One client: a core, a replica and a store, driven as the driver drives them, step by step.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::place::{Place, Told};
use crate::{
    content::{Changes, Content},
    engine::{
        core::{Apply, Call, CallId, Core, Effect, Input, Settings, Status, Summary, Timer},
        replica::{EditId, Replica, tests::commit},
    },
    error::{Error, ErrorKind, Result},
    persister::{Capability, Saved},
};

#[derive(Debug)]
pub(super) struct Client {
    number: usize,
    pub(super) core: Core,
    pub(super) replica: Replica,
    pub(super) store: Content,
    under_way: Option<Work>,
    timers: HashMap<Timer, Duration>,
    now: Duration,
    calls: u64,
    /// Every call, with its answer.
    pub(super) answers: BTreeMap<CallId, Option<Result<()>>>,
    pub(super) refused: Vec<Changes>,
    /// Every edit that was given to a save.
    saved: HashMap<EditId, Changes>,
    pub(super) closed: u32,
    pub(super) ended: bool,
}

/// What the persister and the application are busy with.
#[derive(Debug)]
enum Work {
    Watch,
    Load {
        /// What the backend held when it was loaded.
        read: Option<Option<Content>>,
    },
    Save {
        changes: Option<(EditId, Changes)>,
        /// How the save ended in the backend.
        written: Option<Saved>,
    },
    Act,
    Close,
}

/// What becomes of the work in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The backend has done it. The answer is in flight.
    Reached,
    /// The backend has done it, and the answer is here.
    Done,
    /// The answer is that the backend is unavailable, whether it has done the work or not.
    Away,
    /// The answer is a permanent failure.
    Fails,
}

impl Client {
    pub(super) fn new(number: usize, save_interval: Duration) -> Self {
        let settings = Settings {
            capability: Capability::default().with_watch(true).with_shared(true),
            save_interval,
            min_retry_delay: Duration::from_millis(100),
            max_retry_delay: Duration::from_secs(3),
            empty_poll_interval: Duration::from_secs(5),
            seed: number as u64,
        };
        Self {
            number,
            core: Core::new(settings),
            replica: Replica::default(),
            store: Content::new(),
            under_way: None,
            timers: HashMap::new(),
            now: Duration::ZERO,
            calls: 0,
            answers: BTreeMap::new(),
            refused: Vec::new(),
            saved: HashMap::new(),
            closed: 0,
            ended: false,
        }
    }

    /// Edits the store, as one transaction.
    pub(super) fn edit(&mut self, place: &mut Place, changes: &Changes) {
        let (net, before) = commit(&mut self.store, changes);
        self.replica.capture(&net, &before);
        self.drain(place);
    }

    pub(super) fn call(&mut self, place: &mut Place, call: Call) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        if self.ended {
            self.answers.insert(id, Some(Err(Error::new(ErrorKind::Closed, "the engine is destroyed"))));
        } else {
            self.answers.insert(id, None);
            self.handle(place, Input::Called(id, call));
        }
        id
    }

    pub(super) fn discard(&mut self, place: &mut Place) -> Vec<Changes> {
        let (discarded, apply) = self.replica.discard(&self.store);
        self.store.apply(&apply);
        self.drain(place);
        discarded
    }

    /// Advances the work in flight. Returns whether there was any.
    pub(super) fn progress(&mut self, place: &mut Place, outcome: Outcome) -> bool {
        let Some(mut work) = self.under_way.take() else { return false };
        if outcome != Outcome::Fails && outcome != Outcome::Away {
            self.reach(place, &mut work);
        }
        let error = match outcome {
            Outcome::Reached => {
                self.under_way = Some(work);
                return true;
            }
            Outcome::Done => None,
            Outcome::Away => Some(Error::new(ErrorKind::Unavailable, "the place is away")),
            Outcome::Fails => Some(Error::new(ErrorKind::Refused, "the place says no")),
        };
        let result = error.map_or(Ok(()), Err);
        self.handle(
            place,
            match work {
                Work::Watch => Input::Watching(result),
                Work::Load { read } => Input::Loaded(result.map(|()| read.flatten())),
                Work::Save { written, .. } => Input::Saved(result.map(|()| written.unwrap_or(Saved::Done))),
                Work::Act => Input::Acted(result),
                Work::Close => Input::Closed(result),
            },
        );
        true
    }

    /// Takes the next notice from the stream. Returns whether there was one.
    pub(super) fn hear(&mut self, place: &mut Place) -> bool {
        if !self.core.listens() {
            return false;
        }
        match place.tell(self.number) {
            None => return false,
            Some(Told::Notice(notice)) => self.handle(place, Input::Noticed(Ok(notice))),
            Some(Told::End) => self.handle(place, Input::WatchEnded),
        }
        true
    }

    /// Lets time pass, timer by timer.
    pub(super) fn pass(&mut self, place: &mut Place, time: Duration) {
        let end = self.now + time;
        while let Some((&timer, &at)) = self.timers.iter().min_by_key(|(timer, at)| (**at, **timer as u8))
            && at <= end
        {
            self.timers.remove(&timer);
            self.now = at.max(self.now);
            self.handle(place, Input::Woke(timer));
        }
        self.now = end;
    }

    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn is_following(&self) -> bool {
        self.core.is_auto_loading() && self.core.is_auto_saving()
    }

    pub(super) fn status(&self) -> Status {
        self.core.status()
    }

    fn summary(&self) -> Summary {
        Summary {
            next: self.replica.next(),
            is_retry: self.replica.is_retrying(),
            is_ready: self.replica.is_ready(),
            has_backlog: self.replica.has_backlog(),
            sent: self.replica.sent(),
            oldest: self.replica.oldest(),
            newest: self.replica.newest(),
            outdated: self.replica.outdated(),
        }
    }

    fn handle(&mut self, place: &mut Place, input: Input) {
        self.core.handle(input, &self.summary());
        self.drain(place);
    }

    fn drain(&mut self, place: &mut Place) {
        let mut effects = 0;
        while let Some(effect) = self.core.next(&self.summary()) {
            effects += 1;
            assert!(effects < 10_000, "the core never comes to rest: {effect:?}");
            self.carry_out(place, effect);
        }
    }

    fn carry_out(&mut self, place: &mut Place, effect: Effect) {
        assert!(!self.ended, "{effect:?} after the end");
        match effect {
            Effect::Watch => self.begin(Work::Watch),
            Effect::Unwatch => place.unwatch(self.number),
            Effect::Load => self.begin(Work::Load { read: None }),
            Effect::Save { whole } => {
                let taken = self.replica.take_next();
                assert!(whole || taken.is_some(), "a save of nothing");
                if let Some((id, changes)) = &taken {
                    let before = self.saved.insert(*id, changes.clone());
                    assert!(before.is_none_or(|before| before == *changes), "{id:?} is saved again as something else");
                }
                self.begin(Work::Save { changes: taken.filter(|_| !whole), written: None });
            }
            Effect::Abandon => self.under_way = None,
            Effect::Act(_) => self.begin(Work::Act),
            Effect::Close => {
                self.closed += 1;
                self.begin(Work::Close);
            }
            Effect::Apply(apply) => self.apply(apply),
            Effect::Wake(timer, after) => {
                self.timers.insert(timer, self.now + after);
            }
            Effect::Answer(id, result) => {
                let answer = self.answers.get_mut(&id).expect("only calls are answered");
                assert!(answer.is_none(), "{id:?} is answered twice");
                *answer = Some(result);
            }
            Effect::Report(_) | Effect::Status(_) => {}
            Effect::End => {
                assert_eq!(self.closed, 1);
                place.unwatch(self.number);
                self.ended = true;
            }
        }
    }

    fn apply(&mut self, apply: Apply) {
        let apply = match apply {
            Apply::Content(content) => self.replica.replaced(&content, &self.store),
            Apply::Changes(changes, show) => self.replica.changed(&changes, &self.store, show),
            Apply::Confirmed(receipt, refused, _, show) => {
                let step = self.replica.confirmed(receipt, &refused, &self.store, show);
                if !step.refused.is_empty() {
                    self.refused.push(step.refused);
                }
                step.apply
            }
            Apply::SaveDone(show) => self.replica.save_done(&self.store, show),
            Apply::SaveSent(receipt) => return self.replica.save_sent(receipt),
            Apply::SaveFailed => return self.replica.save_failed(),
            Apply::ReceiptsLost => return self.replica.receipts_lost(),
        };
        self.store.apply(&apply);
    }

    fn begin(&mut self, work: Work) {
        assert!(self.under_way.is_none(), "{work:?} begins beside {:?}", self.under_way);
        self.under_way = Some(work);
    }

    /// Lets the backend do the work, once.
    fn reach(&self, place: &mut Place, work: &mut Work) {
        match work {
            Work::Load { read: read @ None } => *read = Some(place.content.clone()),
            Work::Save { changes, written: written @ None } => {
                *written = Some(match changes {
                    Some((id, changes)) => Saved::Later(place.accept_edit(self.number, id.0, changes)),
                    None => place
                        .offer(self.number, &self.replica.content_to_save(self.store.clone()))
                        .map_or(Saved::Done, Saved::Found),
                });
            }
            Work::Watch => place.watch(self.number),
            _ => {}
        }
    }
}
