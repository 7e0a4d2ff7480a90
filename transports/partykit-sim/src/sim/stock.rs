//! A double of TinyBase's PartyKit client: its persister's queue and statuses, step by step, including every way in
//! which it loses data.
//!
//! In JavaScript everything between two external events is one turn of the event loop: everything that does not wait
//! for HTTP runs at once. So this is a state machine that waits only for requests.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use roommate::{Changes, Content, Payload, Status, Store, Subscription};

use super::{
    host::is_success,
    ledger::{lock, places_of},
    network::Answering,
    world::{Client, World},
};
use crate::proto::{Response, Wire};

/// One client: its store and its persister.
pub(super) struct Stock {
    number: u8,
    pub(super) store: Store,
    wire: Wire,
    /// The changes of finished transactions, which the persister's listener takes.
    finished: Arc<Mutex<Vec<Changes>>>,
    _listener: Subscription,
    status: Status,
    queue: VecDeque<(Action, Done)>,
    /// The action that is waiting for HTTP, and its continuation.
    under_way: Option<(Action, Done)>,
    /// The continuation of the call that runs the queue: it runs once the queue is empty.
    runner: Option<Done>,
    is_running: bool,
    is_pumping: bool,
    /// Whether there is a listener for messages.
    auto_load: bool,
    auto_save: bool,
    load_generation: u32,
    save_generation: u32,
    initial_load_pending: bool,
    auto_loads_pending: u32,
    auto_loads_scheduled: u32,
    /// One bit for each cell or value that changed in a message while the client did not listen, and that it has
    /// neither loaded nor received since.
    pub(super) unheard: u16,
    /// The messages to send and the requests to make.
    wanted: Vec<Wanted>,
}

enum Action {
    Load,
    Save(Option<Changes>),
    Apply(Payload),
}

/// The continuation of an action.
enum Done {
    Load(Then),
    Save(Then),
    Apply,
    /// The continuation of the call that runs the queue, for when the queue is empty.
    Runner,
}

/// The next step of a call.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    /// `startAutoLoad` has loaded; in `startAutoPersisting`, `startAutoSave` comes next.
    AutoLoads {
        generation: u32,
        saves: bool,
    },
    /// `startAutoSave` has saved.
    AutoSaves {
        generation: u32,
    },
}

enum Wanted {
    Send(Arc<str>),
    Get,
    Put(Content),
}

impl Stock {
    pub(super) fn new(number: u8) -> Self {
        let store = Store::new();
        let finished = Arc::<Mutex<Vec<Changes>>>::default();
        let heard = finished.clone();
        let listener = store.add_did_finish_transaction_listener(move |event| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(event.changes());
        });
        Self {
            number,
            store,
            wire: Wire::default(),
            finished,
            _listener: listener,
            status: Status::Idle,
            queue: VecDeque::new(),
            under_way: None,
            runner: None,
            is_running: false,
            is_pumping: false,
            auto_load: false,
            auto_save: false,
            load_generation: 0,
            save_generation: 0,
            initial_load_pending: false,
            auto_loads_pending: 0,
            auto_loads_scheduled: 0,
            unheard: 0,
            wanted: Vec::new(),
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.under_way.is_none()
    }

    pub(super) fn is_persisting(&self) -> bool {
        self.auto_load && self.auto_save
    }

    /// Whether a transaction would be saved at present.
    fn saves(&self) -> bool {
        self.auto_save && self.status != Status::Loading
    }

    pub(super) fn start_auto_load(&mut self, then_saves: bool) {
        self.load_generation += 1;
        let generation = self.load_generation;
        self.auto_load = true;
        self.initial_load_pending = true;
        self.load(Then::AutoLoads { generation, saves: then_saves });
    }

    pub(super) fn stop_auto_load(&mut self) {
        self.load_generation += 1;
        self.auto_load = false;
    }

    pub(super) fn start_auto_save(&mut self) {
        self.save_generation += 1;
        let generation = self.save_generation;
        self.auto_save = false;
        self.save(None, Then::AutoSaves { generation });
    }

    pub(super) fn stop_auto_save(&mut self) {
        self.save_generation += 1;
        self.auto_save = false;
    }

    pub(super) fn load_once(&mut self) {
        self.load(Then::Nothing);
    }

    /// Handles a write to the store, by the application or by the persister itself. Returns the changes, each with
    /// whether it is to be saved.
    fn take_finished(&mut self) -> Vec<(Changes, bool)> {
        let finished = mem::take(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner));
        let mut told = Vec::new();
        for changes in finished.into_iter().filter(|changes| !changes.is_empty()) {
            let saves = self.saves();
            told.push((changes.clone(), saves));
            if saves {
                self.save(Some(changes), Then::Nothing);
            }
        }
        told
    }

    fn load(&mut self, then: Then) {
        if self.status == Status::Saving {
            return self.go_on(then);
        }
        self.status = Status::Loading;
        self.schedule(Action::Load, Done::Load(then));
    }

    fn save(&mut self, changes: Option<Changes>, then: Then) {
        if self.status == Status::Loading {
            return self.go_on(then);
        }
        self.status = Status::Saving;
        self.schedule(Action::Save(changes), Done::Save(then));
    }

    fn heard(&mut self, payload: Payload) {
        let places = match &payload {
            Payload::Changes(changes) => places_of(changes, |_| true),
            Payload::Content(_) => u16::MAX,
            Payload::Reload => 0,
        };
        if !self.auto_load {
            self.unheard |= places;
            return;
        }
        if payload == Payload::Reload {
            // During a save this would be postponed. The servers of these histories never send it.
            return self.load(Then::Nothing);
        }
        let is_scheduled = self.initial_load_pending || self.status == Status::Saving || self.auto_loads_scheduled > 0;
        self.auto_loads_pending += 1;
        self.status = Status::Loading;
        if is_scheduled {
            self.auto_loads_scheduled += 1;
            self.schedule(Action::Apply(payload), Done::Apply);
        } else {
            self.apply(payload);
            // This happens even if a load is still in progress.
            self.status = Status::Idle;
            self.auto_loads_pending -= 1;
        }
    }

    fn schedule(&mut self, action: Action, done: Done) {
        self.queue.push_back((action, done));
        if !self.is_running {
            self.pump();
        }
    }

    /// Runs the queue until it is empty or waits for HTTP.
    fn pump(&mut self) {
        if mem::replace(&mut self.is_pumping, true) {
            return;
        }
        while self.under_way.is_none() {
            let Some((action, mut done)) = self.queue.pop_front() else {
                self.is_running = false;
                match self.runner.take() {
                    Some(done) => self.done(done),
                    None => break,
                }
                continue;
            };
            if !mem::replace(&mut self.is_running, true) {
                self.runner = Some(mem::replace(&mut done, Done::Runner));
            }
            match action {
                Action::Load => {
                    self.wanted.push(Wanted::Get);
                    self.under_way = Some((action, done));
                }
                Action::Save(None) => {
                    self.wanted.push(Wanted::Put(self.store.content()));
                    self.under_way = Some((action, done));
                }
                Action::Save(Some(changes)) => {
                    self.wanted.push(Wanted::Send(self.wire.encode_changes(&changes).into()));
                    self.done(done);
                }
                Action::Apply(payload) => {
                    self.apply(payload);
                    self.done(done);
                }
            }
        }
        self.is_pumping = false;
    }

    fn answered(&mut self, response: Option<Response>) {
        let Some((action, done)) = self.under_way.take() else { return };
        let body = response.filter(is_success).map(|response| response.body);
        if let (Action::Load, Some(body)) = (action, body)
            && !body.is_empty()
            && let Ok(content) = Content::from_json(&body)
        {
            self.apply(Payload::Content(content.value));
        }
        self.done(done);
        self.pump();
    }

    /// Applies a payload as the persister does. The resulting changes are saved like any edit, unless the status
    /// forbids it.
    fn apply(&mut self, payload: Payload) {
        let applied = match payload {
            Payload::Changes(changes) => {
                self.unheard &= !places_of(&changes, |_| true);
                self.store.apply_changes(&changes)
            }
            Payload::Content(content) => {
                self.unheard = 0;
                self.store.set_content(&content)
            }
            Payload::Reload => Ok(()),
        };
        // TinyBase would pass an error to `onIgnoredError`.
        drop(applied);
        self.take_finished();
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Runner => {}
            Done::Load(then) | Done::Save(then) => {
                self.status = Status::Idle;
                self.go_on(then);
            }
            Done::Apply => {
                self.auto_loads_scheduled -= 1;
                self.auto_loads_pending -= 1;
                if self.auto_loads_pending == 0 {
                    self.status = Status::Idle;
                }
            }
        }
    }

    fn go_on(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::AutoLoads { generation, saves } => {
                if generation == self.load_generation {
                    self.initial_load_pending = false;
                }
                if saves {
                    self.start_auto_save();
                }
            }
            Then::AutoSaves { generation } => self.auto_save |= generation == self.save_generation,
        }
    }
}

impl World {
    /// Acts on a stock client, and carries out the consequences.
    pub(super) fn stock(&mut self, peer: usize, act: impl FnOnce(&mut Stock)) {
        let Client::Stock(stock) = &mut self.peers[peer].client else { return };
        act(stock);
        let wanted = mem::take(&mut stock.wanted);
        for wanted in wanted {
            match wanted {
                Wanted::Send(frame) => {
                    self.trace.note(self.now, "sends", peer as u64, &frame);
                    self.socket_send(peer, frame);
                }
                Wanted::Get => self.request(peer, "GET", Vec::new(), String::new(), Answering::Stock),
                Wanted::Put(content) => self.request(peer, "PUT", Vec::new(), content.to_json(), Answering::Stock),
            }
        }
    }

    pub(super) fn stock_heard(&mut self, peer: usize, frame: &str) {
        self.stock(peer, |stock| {
            if let Some(decoded) = stock.wire.decode_payload(frame) {
                stock.heard(decoded.value);
            }
        });
    }

    pub(super) fn stock_answered(&mut self, peer: usize, response: Option<Response>) {
        self.stock(peer, |stock| stock.answered(response));
    }

    /// Handles a write by the application.
    pub(super) fn stock_edited(&mut self, peer: usize) {
        let ledger = self.ledger.clone();
        self.stock(peer, |stock| {
            let number = stock.number;
            for (changes, saves) in stock.take_finished() {
                lock(&ledger).sent(number, &changes, saves);
            }
        });
    }
}
