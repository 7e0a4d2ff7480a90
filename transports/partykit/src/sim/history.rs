//! What happens in a simulation: plain data, to be drawn, shrunk, printed and read again.

use std::{fmt, str::FromStr};

use roommate::{Error, ErrorKind, Result};

use super::random::Random;

/// Everything that decides a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Whose clients, on whose server.
    pub pair: Pair,
    /// How many clients there are.
    pub clients: u8,
    /// Decides latencies, back-offs and what a cut connection still carries.
    pub seed: u64,
    /// One bit a client: it has content of its own before it joins.
    pub with_content: u8,
    /// One bit a client: it joins at the beginning.
    pub joined: u8,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// Something that happens, and how long after what happened before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds since the step before.
    pub after: u16,
    /// What.
    pub op: Op,
}

/// Something that happens; the first number is the client to which it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// It makes a transaction of these.
    Edit(u8, Vec<Leaf>),
    /// Its connections end, and both ends get to know when what still arrives has arrived.
    Cut(u8, Which),
    /// Its connections fall silent, and nobody is told.
    Freeze(u8, Which),
    /// Its network goes: connections fall silent, attempts and requests fail.
    Offline(u8),
    /// Its network comes back.
    Online(u8),
    /// From now on what it sends takes this much longer, in milliseconds.
    SlowUp(u8, u16),
    /// From now on what it is sent takes this much longer, in milliseconds.
    SlowDown(u8, u16),
    /// Its next request fails. Whether the server gets it all the same.
    FailRequest(u8, bool),
    /// It calls `start_auto_persisting`: it joins, if it has not.
    Start(u8),
    /// It calls `start_auto_load`.
    StartLoad(u8),
    /// It calls `start_auto_save`.
    StartSave(u8),
    /// It calls `stop_auto_load`.
    StopLoad(u8),
    /// It calls `stop_auto_save`.
    StopSave(u8),
    /// It calls `load`.
    Load(u8),
    /// Its stream of notices ends. A stock client has none.
    EndStream(u8),
    /// The server dies. What it had not committed is gone.
    Crash,
    /// The server runs again.
    Restart,
    /// From now on the server refuses this; 0 is nothing.
    Policy(u8),
}

/// Which of a client's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    Both,
    /// The one that sends.
    Main,
    /// The one that only listens. A stock client has none.
    Ear,
}

/// One assignment of a transaction. Each set writes a value that nobody else writes.
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

/// Whose clients, on whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Whose clients.
    pub clients: Clients,
    /// Whose server.
    pub server: Server,
}

/// Whose clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clients {
    /// This crate's, with the real `Engine` and `Store`; they speak the extended dialect with a server that does.
    Ours,
    /// The same, told to speak the stock dialect only.
    Plain,
    /// Doubles of TinyBase's persister on PartySocket.
    Stock,
    /// The first, third and fifth are ours, the others stock.
    Mixed,
}

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// The [`Room`](crate::proto::Room) as it is by default.
    Ours,
    /// The `Room` as TinyBase's server would have it.
    Stock,
}

/// The most clients that a history has.
pub const MAX_CLIENTS: u8 = 5;

impl Pair {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self { clients: Clients::Ours, server: Server::Ours },
        Self { clients: Clients::Ours, server: Server::Stock },
        Self { clients: Clients::Stock, server: Server::Ours },
        Self { clients: Clients::Stock, server: Server::Stock },
        Self { clients: Clients::Mixed, server: Server::Ours },
        Self { clients: Clients::Mixed, server: Server::Stock },
        // On a stock server they are no different from ours.
        Self { clients: Clients::Plain, server: Server::Ours },
    ];

    /// Whether the client of this number is ours.
    pub fn is_ours(self, client: u8) -> bool {
        match self.clients {
            Clients::Ours | Clients::Plain => true,
            Clients::Stock => false,
            Clients::Mixed => client.is_multiple_of(2),
        }
    }

    /// Whether our clients speak the extended dialect with a server that does.
    pub(super) fn extends(self) -> bool {
        self.clients != Clients::Plain
    }
}

impl Leaf {
    /// One bit for each place that it decides, of two tables of two rows of two cells, and two values.
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
    /// The history that `seed` decides, of 2 or 1 to `clients` clients and up to `steps` steps.
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

    /// A history out of any bytes.
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
    /// `calm`: from 0, where much goes wrong, to 3, where nothing does.
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
    /// The client to which it happens.
    pub fn client(&self) -> Option<u8> {
        self.clone().client_mut().copied()
    }

    /// The client to which it happens, to be changed.
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
            Self::Crash | Self::Restart | Self::Policy(_) => None,
        }
    }

    fn draw(clients: u8, calm: u32, draw: &mut impl FnMut(u32) -> u32) -> Self {
        let client = draw(u32::from(clients)) as u8;
        let kinds = match calm {
            3 => 60,
            2 => 90,
            _ => 120,
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

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = match self.clients {
            Clients::Ours => "ours",
            Clients::Plain => "plain",
            Clients::Stock => "stock",
            Clients::Mixed => "mixed",
        };
        let server = match self.server {
            Server::Ours => "ours",
            Server::Stock => "stock",
        };
        f.pad(&format!("{clients}:{server}"))
    }
}

impl FromStr for Pair {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|pair| pair.to_string() == text).ok_or_else(|| {
            Error::new(ErrorKind::Invalid, format!("no pair is called {text:?}: say for instance ours:stock"))
        })
    }
}

/// `PAIR CLIENTS SEED WITH_CONTENT JOINED; AFTER OP; AFTER OP`, which reads again as the same.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pair, clients, seed, with_content, joined, steps } = self;
        write!(f, "{pair} {clients} {seed} {with_content} {joined}")?;
        for Step { after, op } in steps {
            write!(f, "; {after} {op}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edit(client, leaves) => {
                write!(f, "edit {client}")?;
                leaves.iter().try_for_each(|leaf| write!(f, " {leaf}"))
            }
            Self::Cut(client, which) => write!(f, "cut {client} {which}"),
            Self::Freeze(client, which) => write!(f, "freeze {client} {which}"),
            Self::Offline(client) => write!(f, "offline {client}"),
            Self::Online(client) => write!(f, "online {client}"),
            Self::SlowUp(client, by) => write!(f, "slow-up {client} {by}"),
            Self::SlowDown(client, by) => write!(f, "slow-down {client} {by}"),
            Self::FailRequest(client, arrives) => write!(f, "fail-request {client} {}", u8::from(*arrives)),
            Self::Start(client) => write!(f, "start {client}"),
            Self::StartLoad(client) => write!(f, "start-load {client}"),
            Self::StartSave(client) => write!(f, "start-save {client}"),
            Self::StopLoad(client) => write!(f, "stop-load {client}"),
            Self::StopSave(client) => write!(f, "stop-save {client}"),
            Self::Load(client) => write!(f, "load {client}"),
            Self::EndStream(client) => write!(f, "end-stream {client}"),
            Self::Crash => f.write_str("crash"),
            Self::Restart => f.write_str("restart"),
            Self::Policy(refused) => write!(f, "policy {refused}"),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Both => "both",
            Self::Main => "main",
            Self::Ear => "ear",
        })
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetCell(t, r, c) => write!(f, "+{t}{r}{c}"),
            Self::DelCell(t, r, c) => write!(f, "-{t}{r}{c}"),
            Self::DelRow(t, r) => write!(f, "-{t}{r}"),
            Self::DelTable(t) => write!(f, "-{t}"),
            Self::SetValue(v) => write!(f, "+v{v}"),
            Self::DelValue(v) => write!(f, "-v{v}"),
        }
    }
}

impl FromStr for History {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(';');
        let mut words = parts.next().unwrap_or_default().split_whitespace();
        let pair = words.next().unwrap_or_default().parse()?;
        let clients = number(words.next())?;
        if !(1..=MAX_CLIENTS).contains(&clients) {
            return Err(Error::new(ErrorKind::Invalid, format!("a history has 1 to {MAX_CLIENTS} clients")));
        }
        let (seed, with_content, joined) = (number(words.next())?, number(words.next())?, number(words.next())?);
        let steps = parts.map(|part| step(part, clients)).collect::<Result<_>>()?;
        Ok(Self { pair, clients, seed, with_content, joined, steps })
    }
}

fn step(text: &str, clients: u8) -> Result<Step> {
    let mut words = text.split_whitespace();
    let after = number(words.next())?;
    let name = words.next().unwrap_or_default();
    let mut client = || -> Result<u8> {
        let client = number(words.next())?;
        match client < clients {
            true => Ok(client),
            false => Err(Error::new(ErrorKind::Invalid, format!("there is no client {client} in {text:?}"))),
        }
    };
    let op = match name {
        "edit" => Op::Edit(client()?, words.map(leaf).collect::<Result<_>>()?),
        "cut" => Op::Cut(client()?, which(words.next())?),
        "freeze" => Op::Freeze(client()?, which(words.next())?),
        "offline" => Op::Offline(client()?),
        "online" => Op::Online(client()?),
        "slow-up" => Op::SlowUp(client()?, number(words.next())?),
        "slow-down" => Op::SlowDown(client()?, number(words.next())?),
        "fail-request" => Op::FailRequest(client()?, number::<u8>(words.next())? != 0),
        "start" => Op::Start(client()?),
        "start-load" => Op::StartLoad(client()?),
        "start-save" => Op::StartSave(client()?),
        "stop-load" => Op::StopLoad(client()?),
        "stop-save" => Op::StopSave(client()?),
        "load" => Op::Load(client()?),
        "end-stream" => Op::EndStream(client()?),
        "crash" => Op::Crash,
        "restart" => Op::Restart,
        "policy" => Op::Policy(number(words.next())?),
        _ => return Err(Error::new(ErrorKind::Invalid, format!("{text:?} is no step of a history"))),
    };
    Ok(Step { after, op })
}

fn number<T: FromStr>(word: Option<&str>) -> Result<T> {
    word.and_then(|word| word.parse().ok())
        .ok_or_else(|| Error::new(ErrorKind::Invalid, format!("a history has a number in the place of {word:?}")))
}

fn which(word: Option<&str>) -> Result<Which> {
    match word {
        Some("both") => Ok(Which::Both),
        Some("main") => Ok(Which::Main),
        Some("ear") => Ok(Which::Ear),
        _ => Err(Error::new(ErrorKind::Invalid, format!("{word:?} is neither both, main nor ear"))),
    }
}

fn leaf(word: &str) -> Result<Leaf> {
    let bits = |digits: &str| digits.bytes().map(|digit| digit.checked_sub(b'0').filter(|bit| *bit < 2)).collect();
    let (sets, place) = match word.split_at_checked(1) {
        Some(("+", place)) => (true, place),
        Some(("-", place)) => (false, place),
        _ => (false, "?"),
    };
    let (value, digits) = match place.strip_prefix('v') {
        Some(digits) => (true, digits),
        None => (false, place),
    };
    let bits: Option<Vec<u8>> = bits(digits);
    match (sets, value, bits.as_deref()) {
        (true, false, Some(&[t, r, c])) => Ok(Leaf::SetCell(t, r, c)),
        (false, false, Some(&[t, r, c])) => Ok(Leaf::DelCell(t, r, c)),
        (false, false, Some(&[t, r])) => Ok(Leaf::DelRow(t, r)),
        (false, false, Some(&[t])) => Ok(Leaf::DelTable(t)),
        (true, true, Some(&[v])) => Ok(Leaf::SetValue(v)),
        (false, true, Some(&[v])) => Ok(Leaf::DelValue(v)),
        _ => Err(Error::new(ErrorKind::Invalid, format!("{word:?} is no assignment of a history"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_as_the_same_history() {
        for seed in 0..200 {
            let pair = Pair::ALL[seed as usize % Pair::ALL.len()];
            let history = History::random(pair, seed, 1..=MAX_CLIENTS, 40);
            assert_eq!(history.to_string().parse::<History>().unwrap(), history);
        }
    }

    #[test]
    fn what_is_no_history_is_an_error() {
        for text in
            ["", "ours:theirs 1 1 0 0", "ours:ours 9 1 0 0", "ours:ours 1 1 0 0; 1 edit 1", "ours:ours 1 1 0 0; x"]
        {
            assert!(text.parse::<History>().is_err(), "{text}");
        }
    }
}
