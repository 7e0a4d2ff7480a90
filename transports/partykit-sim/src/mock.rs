//! A room in memory, on a simulated network that delivers messages when the test says so.
//!
//! The room is the [`Room`](crate::proto::Room) that the server hosts, and each [`MockPersister`] runs the
//! `proto::client` that the real persister runs on a stock server. Only sockets, HTTP and the clock are simulated. The
//! mock has no clock, randomness, task or thread, so tests that make the same calls get the same results.
//!
//! ```text
//!   MockPersister ──main, up──► ┌──────┐ ──main, down──►
//!                 ──ear,  up──► │ Room │ ──ear,  down──►   each arrow a channel: first in, first out,
//!                 ──requests──► └──────┘ ──answers─────►   and held until told
//! ```
//!
//! ```
//! use roommate::{Content, Persister, Save, Saved, block_on};
//! use roommate_partykit_sim::mock::MockRoom;
//!
//! let room = MockRoom::default();
//! let persister = room.persister();
//! room.hold(false);
//! let mut content = Content::new();
//! content.values.insert("open", true.into());
//! let saved = block_on(persister.save(Save::new(&|| content.clone(), None)))?;
//! assert_eq!(saved, Saved::Found(content.clone()));
//! assert_eq!(room.content(), Some(content));
//! # Ok::<(), roommate::Error>(())
//! ```

mod client;
mod network;
mod persister;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use roommate::Content;

use self::{client::Client, network::Network};
pub use self::{network::Channel, persister::MockPersister};
use crate::proto::{ConnectionId, LinkOptions, RoomConfig, Side, socket::ABNORMAL};

/// A room in memory and the network around it. Clones share the room.
///
/// Messages are queued in channels until they are delivered ([`deliver`](Self::deliver),
/// [`deliver_next`](Self::deliver_next), [`deliver_all`](Self::deliver_all)), unless [`hold`](Self::hold) is set to
/// false. Connections stay lost until they are [opened](Self::open), and time stands still until it is
/// [advanced](Self::advance).
#[derive(Clone)]
pub struct MockRoom(Arc<Mutex<World>>);

/// Identifies a persister to its room, also when an engine owns the persister: [`MockPersister::client`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(usize);

struct World {
    network: Network,
    clients: Vec<Client>,
    now: Duration,
    held: bool,
}

impl MockRoom {
    /// Creates a room in which nothing was ever saved.
    pub fn new(config: RoomConfig) -> Self {
        let world = World { network: Network::new(config), clients: Vec::new(), now: Duration::ZERO, held: true };
        Self(Arc::new(Mutex::new(world)))
    }

    /// Creates a persister of this room, with the default options of a link, and begins to open its main connection.
    pub fn persister(&self) -> MockPersister {
        self.persister_with(LinkOptions::default())
    }

    /// Creates a persister of this room, with these options.
    pub fn persister_with(&self, options: LinkOptions) -> MockPersister {
        let number = self.with(|world| {
            let number = world.clients.len();
            world.clients.push(Client::new(number, world.network.decoder(), options));
            world.open(number, Side::Main);
            number
        });
        MockPersister::new(self.clone(), number, options)
    }

    /// Sets whether messages are held until they are delivered. Defaults to true.
    pub fn hold(&self, held: bool) {
        self.with(|world| world.held = held);
    }

    /// Returns the channels that hold messages, in the order in which the first message of each was sent.
    pub fn pending(&self) -> Vec<Channel> {
        self.lock().network.pending()
    }

    /// Delivers the first message in a channel. Returns whether there was one.
    pub fn deliver(&self, channel: Channel) -> bool {
        self.with(|world| world.deliver(channel))
    }

    /// Delivers the message that was sent first of all queued ones. Returns whether there was one.
    pub fn deliver_next(&self) -> bool {
        self.with(World::deliver_next)
    }

    /// Delivers messages until none is queued. Returns how many there were.
    pub fn deliver_all(&self) -> usize {
        let mut count = 0;
        while self.deliver_next() {
            count += 1;
        }
        count
    }

    /// Cuts a connection. The client notices at once. The room still receives the messages in flight to it, and then
    /// notices.
    pub fn cut(&self, client: ClientId, side: Side) {
        self.with(|world| world.cut(client.0, side, true));
    }

    /// Cuts a connection, and loses the messages in flight.
    pub fn lose(&self, client: ClientId, side: Side) {
        self.with(|world| world.cut(client.0, side, false));
    }

    /// Makes a connection silent: nothing arrives any more, and neither end notices until it is [cut](Self::cut).
    pub fn freeze(&self, client: ClientId, side: Side) {
        self.with(|world| world.network.freeze((client.0, side)));
    }

    /// Opens a connection that was cut. It is open once that is delivered.
    pub fn open(&self, client: ClientId, side: Side) {
        self.with(|world| world.open(client.0, side));
    }

    /// Fails the oldest request of a client: either the request did not arrive, or its response does not. Returns
    /// whether there was a request.
    pub fn fail_request(&self, client: ClientId) -> bool {
        self.with(|world| world.fail_request(client.0))
    }

    /// Kills the server and restarts it with its stored data. All connections are lost, and all requests fail.
    pub fn restart(&self) {
        self.with(World::restart);
    }

    /// Advances the time.
    pub fn advance(&self, by: Duration) {
        self.with(|world| {
            world.now += by;
            for client in &mut world.clients {
                client.hosted.client.tick(world.now);
            }
        });
    }

    /// Returns the room's content; `None` if nothing was ever saved.
    pub fn content(&self) -> Option<Content> {
        self.lock().network.content()
    }

    /// Returns the open connections, as far as the room knows.
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.lock().network.connections()
    }

    /// Changes the world and carries out the resulting outputs.
    fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        let result = change(&mut world);
        world.carry_out();
        while !world.held && world.deliver_next() {
            world.carry_out();
        }
        let wakes: Vec<Waker> = world.clients.iter_mut().flat_map(|client| client.hosted.take_wakes()).collect();
        drop(world);
        wakes.into_iter().for_each(Waker::wake);
        result
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MockRoom {
    fn default() -> Self {
        Self::new(RoomConfig::new())
    }
}

impl fmt::Debug for MockRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockRoom").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

impl World {
    /// Begins to connect, unless a connection exists or is being opened.
    fn open(&mut self, number: usize, side: Side) {
        let client = &mut self.clients[number];
        if client.hosted.client.check_open().is_ok()
            && (side == Side::Main || client.hosted.client.listens_to(Side::Ear))
        {
            if side == Side::Main {
                client.hosted.client.retried();
            }
            self.network.connect((number, side));
        }
    }

    fn cut(&mut self, number: usize, side: Side, arrives: bool) {
        self.network.cut((number, side), arrives);
        self.clients[number].hosted.client.closed(side, ABNORMAL, "", self.now);
    }

    fn deliver_next(&mut self) -> bool {
        match self.network.pending().first() {
            Some(channel) => self.deliver(*channel),
            None => false,
        }
    }

    fn deliver(&mut self, channel: Channel) -> bool {
        let Some(delivered) = self.network.deliver(channel) else { return false };
        if let Some((number, arrival)) = delivered {
            self.clients[number].take(arrival, self.now);
        }
        self.carry_out();
        true
    }

    fn fail_request(&mut self, number: usize) -> bool {
        let Some(answering) = self.network.fail_request(number) else { return false };
        self.clients[number].answered(answering, None, self.now);
        true
    }

    fn restart(&mut self) {
        for number in 0..self.clients.len() {
            for side in [Side::Main, Side::Ear] {
                self.cut(number, side, false);
            }
            while self.fail_request(number) {}
        }
        self.network.restart();
    }

    /// Carries out the links' outputs.
    fn carry_out(&mut self) {
        for (number, client) in self.clients.iter_mut().enumerate() {
            client.carry_out(number, &mut self.network);
        }
    }
}
