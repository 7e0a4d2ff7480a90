//! The input of a simulation: plain data, which can be drawn at random, shrunk, printed and parsed.

use super::random::Random;

mod text;

/// A complete description of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The kinds of clients and server.
    pub pair: Pair,
    /// The number of clients.
    pub clients: u8,
    /// The seed of latencies, back-offs and what a cut connection still delivers.
    pub seed: u64,
    /// One bit for each client: whether it has content of its own before it joins.
    pub with_content: u8,
    /// One bit for each client: whether it joins at the beginning.
    pub joined: u8,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// An operation, and its delay after the operation before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds since the step before.
    pub after: u16,
    /// The operation.
    pub op: Op,
}

/// An operation. The first number is the client that it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The client makes a transaction of these.
    Edit(u8, Vec<Leaf>),
    /// The client's connections are cut, and both ends notice once the remaining messages have arrived.
    Cut(u8, Which),
    /// The client's connections become silent, and neither end notices.
    Freeze(u8, Which),
    /// The client's network goes down: connections become silent, attempts and requests fail.
    Offline(u8),
    /// The client's network comes back.
    Online(u8),
    /// From now on messages from the client take this much longer, in milliseconds.
    SlowUp(u8, u16),
    /// From now on messages to the client take this much longer, in milliseconds.
    SlowDown(u8, u16),
    /// The client's next request fails. The flag is whether the server receives it all the same.
    FailRequest(u8, bool),
    /// The client calls `start_auto_persisting`, and so joins, if it has not yet.
    Start(u8),
    /// The client calls `start_auto_load`.
    StartLoad(u8),
    /// The client calls `start_auto_save`.
    StartSave(u8),
    /// The client calls `stop_auto_load`.
    StopLoad(u8),
    /// The client calls `stop_auto_save`.
    StopSave(u8),
    /// The client calls `load`.
    Load(u8),
    /// The client's stream of notices ends. A stock client has none.
    EndStream(u8),
    /// The server crashes. Uncommitted data is lost.
    Crash,
    /// The server crashes, and all its stored data is lost, as with a server whose rooms are in memory. Random
    /// histories do not contain this.
    Forget,
    /// The server restarts.
    Restart,
    /// The server's storage fails the next commit. The flag is whether the commit is stored all the same.
    FailCommit(bool),
    /// From now on the server refuses what this rule says; 0 refuses nothing.
    Policy(u8),
}

/// A selection of a client's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All connections.
    Both,
    /// The main connection, which sends.
    Main,
    /// The ear, the connection that only listens. A stock client has none.
    Ear,
}

/// One write of a transaction. Each set writes a unique value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Sets a cell of table, row, cell, each 0 or 1.
    SetCell(u8, u8, u8),
    /// Deletes a cell.
    DelCell(u8, u8, u8),
    /// Deletes a row.
    DelRow(u8, u8),
    /// Deletes a table.
    DelTable(u8),
    /// Sets a value, 0 or 1.
    SetValue(u8),
    /// Deletes a value.
    DelValue(u8),
}

/// The kind of a simulation's clients, and the kind of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The kind of the clients.
    pub clients: Clients,
    /// The kind of the server.
    pub server: Server,
}

/// The kind of a simulation's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clients {
    /// This project's clients, with the real `Engine` and `Store`. They speak the extended dialect with a server that
    /// supports it.
    Ours,
    /// The same clients, configured to speak the stock dialect only.
    Plain,
    /// Doubles of TinyBase's persister on PartySocket.
    Stock,
    /// The first, third and fifth client are this project's, the others stock.
    Mixed,
}

/// The kind of a simulation's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// The [`Room`](crate::proto::Room) with its default configuration.
    Ours,
    /// The `Room`, configured to behave like TinyBase's server.
    Stock,
}

/// The largest number of clients in a history.
pub const MAX_CLIENTS: u8 = 5;

impl Pair {
    /// All pairs.
    pub const ALL: [Self; 7] = [
        Self { clients: Clients::Ours, server: Server::Ours },
        Self { clients: Clients::Ours, server: Server::Stock },
        Self { clients: Clients::Stock, server: Server::Ours },
        Self { clients: Clients::Stock, server: Server::Stock },
        Self { clients: Clients::Mixed, server: Server::Ours },
        Self { clients: Clients::Mixed, server: Server::Stock },
        // On a stock server, `Plain` clients are no different from `Ours`.
        Self { clients: Clients::Plain, server: Server::Ours },
    ];

    /// Whether the client with this number is this project's.
    pub fn is_ours(self, client: u8) -> bool {
        match self.clients {
            Clients::Ours | Clients::Plain => true,
            Clients::Stock => false,
            Clients::Mixed => client.is_multiple_of(2),
        }
    }

    /// Whether this project's clients speak the extended dialect with a server that supports it.
    pub(super) fn extends(self) -> bool {
        self.clients != Clients::Plain
    }
}

impl Leaf {
    /// One bit for each cell or value that the leaf writes, of two tables of two rows of two cells, and two values.
    pub(super) fn covers(self) -> u16 {
        match self {
            Self::SetCell(t, r, c) | Self::DelCell(t, r, c) => 1 << (t * 4 + r * 2 + c),
            Self::DelRow(t, r) => 0b11 << (t * 4 + r * 2),
            Self::DelTable(t) => 0b1111 << (t * 4),
            Self::SetValue(v) | Self::DelValue(v) => 1 << (8 + v),
        }
    }
}

impl History {
    /// Draws the history of `seed`, with 2 or 1 to `clients` clients and up to `steps` steps.
    pub fn random(pair: Pair, seed: u64, clients: std::ops::RangeInclusive<u8>, steps: u16) -> Self {
        let mut random = Random::new(seed);
        let (least, most) = (*clients.start(), *clients.end());
        let clients = least + random.below(u64::from(most - least) + 1) as u8;
        let count = 1 + random.below(u64::from(steps.max(1)));
        let calm = random.below(4);
        let mut draw = |bound: u32| random.below(u64::from(bound)) as u32;
        let with_content = draw(256) as u8 & draw(256) as u8;
        let joined = draw(256) as u8 | draw(256) as u8 | draw(256) as u8;
        let steps = (0..count).map(|_| Step::draw(clients, calm as u32, &mut draw)).collect();
        Self { pair, clients, seed, with_content, joined, steps }
    }

    /// Makes a history from any bytes.
    pub fn from_bytes(pair: Pair, bytes: &[u8]) -> Self {
        let mut bytes = bytes.iter().copied();
        let mut draw = |bound: u32| {
            let mut number = u32::from(bytes.next().unwrap_or(0));
            if bound > 256 {
                number = number << 8 | u32::from(bytes.next().unwrap_or(0));
            }
            number % bound
        };
        let seed = u64::from(draw(1 << 16));
        let clients = 1 + draw(u32::from(MAX_CLIENTS)) as u8;
        let with_content = draw(256) as u8;
        let joined = draw(256) as u8;
        let count = draw(41);
        let calm = draw(4);
        let steps = (0..count).map(|_| Step::draw(clients, calm, &mut draw)).collect();
        Self { pair, clients, seed, with_content, joined, steps }
    }
}

impl Step {
    /// Draws an operation. `calm` is from 0, where much goes wrong, to 3, where nothing does.
    fn draw(clients: u8, calm: u32, draw: &mut impl FnMut(u32) -> u32) -> Self {
        let after = match draw(8) {
            0..=2 => 0,
            3..=5 => draw(60) as u16,
            6 => draw(500) as u16,
            _ => draw(if calm == 3 { 500 } else { 8000 }) as u16,
        };
        Self { after, op: Op::draw(clients, calm, draw) }
    }
}

impl Op {
    /// Returns the client that the operation applies to.
    pub fn client(&self) -> Option<u8> {
        self.clone().client_mut().copied()
    }

    /// Returns the client that the operation applies to, for modification.
    pub fn client_mut(&mut self) -> Option<&mut u8> {
        match self {
            Self::Edit(client, _)
            | Self::Cut(client, _)
            | Self::Freeze(client, _)
            | Self::Offline(client)
            | Self::Online(client)
            | Self::SlowUp(client, _)
            | Self::SlowDown(client, _)
            | Self::FailRequest(client, _)
            | Self::Start(client)
            | Self::StartLoad(client)
            | Self::StartSave(client)
            | Self::StopLoad(client)
            | Self::StopSave(client)
            | Self::Load(client)
            | Self::EndStream(client) => Some(client),
            Self::Crash | Self::Forget | Self::Restart | Self::FailCommit(_) | Self::Policy(_) => None,
        }
    }

    fn draw(clients: u8, calm: u32, draw: &mut impl FnMut(u32) -> u32) -> Self {
        let client = draw(u32::from(clients)) as u8;
        let kinds = match calm {
            3 => 60,
            2 => 90,
            _ => 122,
        };
        match draw(kinds) {
            0..60 => {
                let many = if draw(3) == 0 { 1 + draw(4) } else { 1 };
                Self::Edit(client, (0..many).map(|_| Leaf::draw(draw)).collect())
            }
            60..66 => Self::SlowUp(client, draw(800) as u16),
            66..72 => Self::SlowDown(client, draw(800) as u16),
            72..76 => Self::Load(client),
            76..82 => Self::Start(client),
            82..84 => Self::StopLoad(client),
            84..86 => Self::StopSave(client),
            86..88 => Self::StartLoad(client),
            88..90 => Self::StartSave(client),
            90..97 => Self::Cut(client, Which::draw(draw)),
            97..101 => Self::Freeze(client, Which::draw(draw)),
            101..103 => Self::Offline(client),
            103..106 => Self::Online(client),
            106..108 => Self::FailRequest(client, draw(2) == 0),
            108 => Self::EndStream(client),
            109..111 => Self::Crash,
            111..115 => Self::Restart,
            120..122 => Self::FailCommit(draw(2) == 0),
            _ => Self::Policy(if draw(3) == 0 { 0 } else { 1 << draw(8) }),
        }
    }
}

impl Which {
    fn draw(draw: &mut impl FnMut(u32) -> u32) -> Self {
        [Self::Both, Self::Main, Self::Ear][draw(3) as usize]
    }
}

impl Leaf {
    fn draw(draw: &mut impl FnMut(u32) -> u32) -> Self {
        let mut bit = || draw(2) as u8;
        let (t, r, c) = (bit(), bit(), bit());
        match draw(16) {
            0..8 => Self::SetCell(t, r, c),
            8..10 => Self::DelCell(t, r, c),
            10..12 => Self::DelRow(t, r),
            12 => Self::DelTable(t),
            13..15 => Self::SetValue(t),
            _ => Self::DelValue(t),
        }
    }
}
