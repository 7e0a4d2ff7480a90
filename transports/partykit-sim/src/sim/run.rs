//! The run of one history, from its beginning until nothing is pending.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use roommate::{Engine, Result, Store, Subscription};

use super::{
    executor::Simulator,
    history::{History, Leaf, Op, Pair},
    ledger::{Ledger, difference, lock, values_of},
    ours::{Ours, SimPersister},
    outcome::{Fates, Outcome},
    random::Random,
    socket::Socket,
    stock::Stock,
    trace::Trace,
    world::{Client, Peer, World},
};
use crate::proto::{Side, socket::Heartbeat};

/// Runs a history.
pub fn run(history: &History) -> Outcome {
    simulate(history, false).0
}

/// Runs a history, and returns a trace of it, one line for each event.
pub fn run_traced(history: &History) -> (Outcome, Vec<String>) {
    simulate(history, true)
}

/// How many seconds the clients may take to finish all pending work after everything is repaired.
const MOST_SECONDS: u64 = 240;

/// How long nothing may happen before the simulation counts as finished.
const REST: u32 = 6;

/// The longest delay before an engine tries again. It must be less than [`REST`].
const MOST_PATIENCE: Duration = Duration::from_secs(4);

struct Simulation {
    simulator: Arc<Simulator>,
    ledger: Arc<Mutex<Ledger>>,
    drivers: Vec<Driver>,
    invented: Vec<u64>,
}

/// The application's handle of its client.
enum Driver {
    Ours { engine: Engine, store: Store, joined: bool, _refusals: Subscription },
    Stock { store: Store, joined: bool },
}

fn simulate(history: &History, in_words: bool) -> (Outcome, Vec<String>) {
    let mut simulation = Simulation::new(history, in_words);
    for step in &history.steps {
        simulation.pass(Duration::from_millis(step.after.into()));
        simulation.step(&step.op);
    }
    let restless = simulation.come_to_rest();
    let outcome = simulation.outcome(history, restless);
    let trace = simulation.simulator.world().take_trace();
    simulation.simulator.end();
    (Outcome { hash: trace.hash(), ..outcome }, trace.into_lines())
}

impl Simulation {
    fn new(history: &History, in_words: bool) -> Self {
        let History { pair, clients, seed, with_content, joined, .. } = *history;
        let ledger = Arc::new(Mutex::new(Ledger::new(clients)));
        let world = World::new(pair.server, seed, ledger.clone(), Trace::new(in_words));
        let simulator = Simulator::new(world);
        let drivers = (0..clients).map(|client| match pair.is_ours(client) {
            true => Driver::ours(&simulator, &ledger, seed, client, pair),
            false => Driver::stock(&simulator, seed, client),
        });
        let drivers = drivers.collect();
        let mut this = Self { simulator, ledger, drivers, invented: vec![0; clients.into()] };
        for client in (0..clients).filter(|client| with_content & 1 << client != 0) {
            this.edit(client, &[Leaf::SetCell(0, 0, client % 2), Leaf::SetCell(1, client % 2, 0), Leaf::SetValue(0)]);
        }
        for client in 0..clients {
            this.simulator.world().connect(client.into(), Side::Main);
        }
        for client in (0..clients).filter(|client| joined & 1 << client != 0) {
            this.step(&Op::Start(client));
        }
        this
    }

    fn pass(&self, time: Duration) {
        let until = self.simulator.world().now + time;
        self.simulator.run_until(until);
    }

    fn step(&mut self, op: &Op) {
        {
            let mut world = self.simulator.world();
            let now = world.now;
            world.trace.note(now, "-----", 0_u8, &op.to_string());
        }
        match op {
            Op::Edit(client, leaves) => self.edit(*client, leaves),
            Op::Start(client) | Op::StartLoad(client) | Op::StartSave(client) | Op::Load(client) => {
                self.call(*client, op);
            }
            Op::StopLoad(client) | Op::StopSave(client) => self.call(*client, op),
            _ => self.simulator.world().interfere(op),
        }
        self.simulator.run_tasks();
        self.look();
    }

    fn call(&mut self, client: u8, op: &Op) {
        match &mut self.drivers[usize::from(client)] {
            Driver::Ours { engine, joined, .. } => {
                *joined = true;
                // A caller that does not await a call receives its errors elsewhere. The simulation ignores them.
                drop(match op {
                    Op::Start(_) => engine.start_auto_persisting(None),
                    Op::StartLoad(_) => engine.start_auto_load(None),
                    Op::StartSave(_) => engine.start_auto_save(),
                    Op::StopLoad(_) => engine.stop_auto_load(),
                    Op::StopSave(_) => engine.stop_auto_save(),
                    _ => engine.load(),
                });
            }
            Driver::Stock { joined, .. } => {
                *joined = true;
                self.simulator.world().stock(client.into(), |stock| match op {
                    Op::Start(_) => stock.start_auto_load(true),
                    Op::StartLoad(_) => stock.start_auto_load(false),
                    Op::StartSave(_) => stock.start_auto_save(),
                    Op::StopLoad(_) => stock.stop_auto_load(),
                    Op::StopSave(_) => stock.stop_auto_save(),
                    _ => stock.load_once(),
                });
            }
        }
    }

    fn edit(&mut self, client: u8, leaves: &[Leaf]) {
        let driver = &self.drivers[usize::from(client)];
        let (store, joined) = match driver {
            Driver::Ours { store, joined, .. } | Driver::Stock { store, joined } => (store, *joined),
        };
        if joined {
            let shown = store.content();
            leaves.iter().for_each(|leaf| lock(&self.ledger).delete(client, *leaf, &shown));
        }
        let edited = store.transaction(|store| -> Result<()> {
            for leaf in leaves {
                let cell = lock(&self.ledger).write(client, *leaf, !joined);
                let id = |bit: u8| if bit == 0 { "0" } else { "1" };
                match (*leaf, cell) {
                    (Leaf::SetCell(t, r, c), Some(cell)) => store.set_cell(id(t), id(r), id(c), cell)?,
                    (Leaf::SetValue(v), Some(cell)) => store.set_value(id(v), cell)?,
                    (Leaf::DelCell(t, r, c), _) => store.del_cell(id(t), id(r), id(c))?,
                    (Leaf::DelRow(t, r), _) => store.del_row(id(t), id(r))?,
                    (Leaf::DelTable(t), _) => store.del_table(id(t))?,
                    (Leaf::DelValue(v), _) => store.del_value(id(v))?,
                    (Leaf::SetCell(..) | Leaf::SetValue(_), None) => {}
                }
            }
            Ok(())
        });
        debug_assert!(edited.is_ok(), "numbers are cells: {edited:?}");
        if let Driver::Stock { .. } = driver {
            self.simulator.world().stock_edited(client.into());
        }
    }

    /// Repairs everything and waits. Returns whether work was still pending at the end.
    fn come_to_rest(&mut self) -> bool {
        self.simulator.world().heal();
        self.simulator.world().trace.note(Duration::ZERO, "=====", 0_u8, "everything is mended");
        let mut rested = 0;
        for _ in 0..MOST_SECONDS {
            self.persist();
            self.pass(Duration::from_secs(1));
            rested = if self.is_quiet() { rested + 1 } else { 0 };
            if rested == REST {
                return false;
            }
        }
        true
    }

    /// Makes every client persist automatically, and the room accept a first content.
    fn persist(&mut self) {
        let exists = self.simulator.world().host.content().is_some();
        if !exists {
            self.simulator.world().host.refuse(0);
        }
        for client in 0..self.drivers.len() as u8 {
            let persists = match &self.drivers[usize::from(client)] {
                Driver::Ours { engine, .. } => engine.is_auto_loading() && engine.is_auto_saving(),
                Driver::Stock { .. } => {
                    self.is_stock(client, Stock::is_persisting) || !self.is_stock(client, Stock::is_quiet)
                }
            };
            if !persists || (!exists && !self.drivers[usize::from(client)].is_ours()) {
                self.call(client, &Op::Start(client));
            }
        }
        self.simulator.run_tasks();
    }

    fn is_quiet(&self) -> bool {
        self.simulator.world().is_quiet()
            && self.simulator.world().host.content().is_some()
            && (0..).zip(&self.drivers).all(|(client, driver)| match driver {
                Driver::Ours { engine, .. } => {
                    engine.is_auto_loading() && engine.is_auto_saving() && engine.unconfirmed().is_empty()
                }
                Driver::Stock { .. } => self.is_stock(client, Stock::is_persisting),
            })
    }

    fn is_stock(&self, client: u8, is: impl FnOnce(&Stock) -> bool) -> bool {
        match &self.simulator.world().peers[usize::from(client)].client {
            Client::Stock(stock) => is(stock),
            Client::Ours(_) => false,
        }
    }

    fn unheard(&self, client: u8) -> u16 {
        match &self.simulator.world().peers[usize::from(client)].client {
            Client::Stock(stock) => stock.unheard,
            Client::Ours(_) => 0,
        }
    }

    /// Inspects the contents of the stores.
    fn look(&mut self) {
        let ledger = lock(&self.ledger);
        for (driver, invented) in self.drivers.iter().zip(&mut self.invented) {
            *invented += ledger.invented(&driver.store().content());
        }
    }

    fn outcome(&mut self, history: &History, restless: bool) -> Outcome {
        self.look();
        let held = self.simulator.world().host.content().unwrap_or_default();
        let ledger = lock(&self.ledger);
        let mut outcome = Outcome::default();
        for (client, driver) in (0..history.clients).zip(&self.drivers) {
            let fates = if driver.is_ours() { &mut outcome.ours } else { &mut outcome.stock };
            let difference = difference(&driver.store().content(), &held);
            fates.apart += u64::from(difference != 0);
            let unsent = ledger.unsent(client);
            let unheard = self.unheard(client);
            let is_unsent = difference & !unsent == 0;
            fates.apart_unsent += u64::from(difference != 0 && is_unsent);
            fates.apart_unheard += u64::from(!is_unsent && difference & !(unsent | unheard) == 0);
            fates.restless += u64::from(restless);
            fates.invented += self.invented[usize::from(client)];
            let unconfirmed = driver.unconfirmed();
            fates.count(&ledger, client, &unconfirmed);
            fates.undone += ledger.undone(client, &held);
        }
        outcome
    }
}

impl Fates {
    fn count(&mut self, ledger: &Ledger, client: u8, unconfirmed: &[roommate::Changes]) {
        let unconfirmed: Vec<_> = unconfirmed.iter().flat_map(values_of).collect();
        for (value, write) in ledger.writes().filter(|(_, write)| write.client == client) {
            self.twice += u64::from(write.made > 1);
            if write.is_initial {
                continue;
            }
            self.edits += 1;
            self.misreported += u64::from(write.made > 0 && write.refused > 0 && ledger.tells_refusals());
            match () {
                () if write.committed > 0 => self.confirmed += 1,
                () if write.refused > 0 && write.is_received => self.refused += 1,
                () if unconfirmed.contains(&&value.into()) => self.unconfirmed += 1,
                () if write.is_overwritten && write.refused == 0 => self.overwritten += 1,
                () => self.lost += 1,
            }
        }
    }
}

impl Driver {
    fn ours(simulator: &Arc<Simulator>, ledger: &Arc<Mutex<Ledger>>, seed: u64, client: u8, pair: Pair) -> Self {
        let ours = Ours::new(client, seed.is_multiple_of(4), pair.extends());
        simulator.world().add(Client::Ours(Box::new(ours)), Some(Heartbeat::default()));
        let store = Store::new();
        let engine = Engine::builder(&store, SimPersister::new(simulator, client.into()))
            .with_runtime(simulator.runtime())
            .with_seed(seed ^ u64::from(client))
            .with_client_id(client.to_string())
            .with_retry_delays(Duration::from_millis(100), MOST_PATIENCE)
            .build();
        let ledger = ledger.clone();
        let refusals = engine.add_refused_listener(move |refused| lock(&ledger).refused(client, &refused.changes));
        Self::Ours { engine, store, joined: false, _refusals: refusals }
    }

    fn stock(simulator: &Arc<Simulator>, _seed: u64, client: u8) -> Self {
        let stock = Stock::new(client);
        let store = stock.store.clone();
        simulator.world().add(Client::Stock(Box::new(stock)), None);
        Self::Stock { store, joined: false }
    }

    fn is_ours(&self) -> bool {
        matches!(self, Self::Ours { .. })
    }

    fn store(&self) -> &Store {
        match self {
            Self::Ours { store, .. } | Self::Stock { store, .. } => store,
        }
    }

    fn unconfirmed(&self) -> Vec<roommate::Changes> {
        match self {
            Self::Ours { engine, .. } => engine.unconfirmed(),
            Self::Stock { .. } => Vec::new(),
        }
    }
}

impl World {
    fn add(&mut self, client: Client, heartbeat: Option<Heartbeat>) {
        let peer = self.peers.len();
        let seed = self.seed;
        self.peers.push(Peer {
            client,
            main: Socket::new(seed, peer, Side::Main, heartbeat),
            ear: None,
            offline: false,
            slow_up: Duration::ZERO,
            slow_down: Duration::ZERO,
            faults: Vec::new(),
            random: Random::labelled(seed, 1000 + peer as u64),
        });
    }
}
