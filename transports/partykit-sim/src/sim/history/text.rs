//! A history as one line of text, which a failure prints and from which the history can be run again.

use std::{fmt, str::FromStr};

use roommate::{Error, ErrorKind, Result};

use super::{Clients, History, Leaf, MAX_CLIENTS, Op, Pair, Server, Step, Which};

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
            Self::Forget => f.write_str("forget"),
            Self::Restart => f.write_str("restart"),
            Self::FailCommit(is_stored) => write!(f, "fail-commit {}", u8::from(*is_stored)),
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
        "forget" => Op::Forget,
        "restart" => Op::Restart,
        "fail-commit" => Op::FailCommit(number::<u8>(words.next())? != 0),
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
