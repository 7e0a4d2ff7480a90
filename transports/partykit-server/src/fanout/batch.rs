//! A batch: the frames that one flush sends.
//!
//! Most connections are sent every frame of one audience and nothing else. Those frames are in one buffer, which is one
//! write. The other connections, such as authors and connections that are pinged, are *apart*. For each of them, the
//! flush goes through the batch in order.

use std::{
    collections::{BTreeMap, HashSet},
    future::poll_fn,
    sync::Arc,
    task::Poll,
};

use axum::body::Bytes;
use roommate_partykit_proto::ConnectionId;
use tokio::task::{coop::unconstrained, yield_now};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{
    buffers::{Buffers, BuffersMut, Place, Splice},
    roster::Roster,
};
use crate::connection::Connection;

/// The frames to send, in order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    runs: Vec<Run<BuffersMut>>,
    broadcasts: Vec<Broadcast>,
    singles: BuffersMut,
    apart: BTreeMap<ConnectionId, Apart>,
}

/// A batch that is complete.
#[derive(Debug)]
pub(super) struct Sealed {
    runs: Vec<Run<Buffers>>,
    broadcasts: Vec<Broadcast>,
    singles: Buffers,
    apart: BTreeMap<ConnectionId, Apart>,
}

/// A part of a room's connections: those whose id, divided by `of`, leaves the remainder `index`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) index: u64,
    pub(super) of: u64,
}

/// The frames of one audience.
#[derive(Debug)]
struct Run<B> {
    roster: Arc<Roster>,
    buffers: B,
}

/// A frame of a run.
#[derive(Debug)]
struct Broadcast {
    run: usize,
    place: Place,
    except: Option<ConnectionId>,
}

/// A connection that is sent other frames than the rest.
#[derive(Debug)]
struct Apart {
    connection: Arc<Connection>,
    /// The frames for this connection alone, each with the number of broadcasts before it.
    items: Vec<(usize, Item)>,
}

#[derive(Debug)]
enum Item {
    Frame(Place),
    Resume,
    Close(CloseFrame),
}

/// A connection that is sent something.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    /// The connection is sent a whole run.
    Plain(&'a Run<Buffers>, &'a Connection),
    Apart(&'a Apart),
}

/// How many connections are written to before other tasks have a turn: about a quarter of a millisecond.
const SLICE: usize = 128;
/// How many bytes are written before other tasks have a turn: the sockets' buffers accept no more in less than a
/// millisecond.
const SLICE_BYTES: usize = 1 << 20;

impl Part {
    pub(super) const ALL: Self = Self { index: 0, of: 1 };

    fn contains(self, connection: ConnectionId) -> bool {
        connection.0 % self.of == self.index
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.broadcasts.is_empty() && self.apart.is_empty()
    }

    /// The total number of bytes.
    pub(super) fn size(&self) -> usize {
        self.runs.iter().map(|run| run.buffers.size()).sum::<usize>() + self.singles.size()
    }

    pub(super) fn broadcast(&mut self, roster: &Arc<Roster>, except: Option<&Arc<Connection>>, payload: &Bytes) {
        let run = self.runs.iter().position(|run| Arc::ptr_eq(&run.roster, roster)).unwrap_or_else(|| {
            self.runs.push(Run { roster: Arc::clone(roster), buffers: BuffersMut::default() });
            self.runs.len() - 1
        });
        let place = self.runs[run].buffers.push_text(payload);
        self.broadcasts.push(Broadcast { run, place, except: except.map(|connection| connection.id()) });
        if let Some(except) = except {
            self.apart(except);
        }
    }

    pub(super) fn text(&mut self, connection: &Arc<Connection>, payload: &Bytes) {
        let place = self.singles.push_text(payload);
        self.push(connection, Item::Frame(place));
    }

    pub(super) fn ping(&mut self, connection: &Arc<Connection>, token: u64) {
        let place = self.singles.push_ping(token);
        self.push(connection, Item::Frame(place));
    }

    pub(super) fn resume(&mut self, connection: &Arc<Connection>) {
        self.push(connection, Item::Resume);
    }

    pub(super) fn close(&mut self, connection: &Arc<Connection>, frame: CloseFrame) {
        self.push(connection, Item::Close(frame));
    }

    pub(super) fn seal(mut self) -> Sealed {
        // A connection in two audiences is sent the frames of both, in order.
        let mut seen = HashSet::new();
        let runs = if self.runs.len() > 1 { &self.runs[..] } else { &[] };
        for (id, connection) in runs.iter().flat_map(|run| run.roster.connections()) {
            if !seen.insert(*id) {
                self.apart.entry(*id).or_insert_with(|| Apart::new(connection));
            }
        }
        let seal = |run: Run<BuffersMut>| Run { roster: run.roster, buffers: run.buffers.freeze() };
        Sealed {
            runs: self.runs.into_iter().map(seal).collect(),
            broadcasts: self.broadcasts,
            singles: self.singles.freeze(),
            apart: self.apart,
        }
    }

    fn push(&mut self, connection: &Arc<Connection>, item: Item) {
        let before = self.broadcasts.len();
        self.apart(connection).items.push((before, item));
    }

    fn apart(&mut self, connection: &Arc<Connection>) -> &mut Apart {
        self.apart.entry(connection.id()).or_insert_with(|| Apart::new(connection))
    }
}

impl Apart {
    fn new(connection: &Arc<Connection>) -> Self {
        Self { connection: Arc::clone(connection), items: Vec::new() }
    }
}

impl Sealed {
    /// Sends the frames for a part of the connections.
    pub(super) async fn deliver(&self, part: Part) {
        let mut targets = self.targets(part);
        loop {
            // Tokio would pause the task after a certain number of polls. This code makes its own pauses.
            let slice = unconstrained(poll_fn(|_| Poll::Ready(self.send_slice(&mut targets))));
            if slice.await.is_none() {
                return;
            }
            yield_now().await;
        }
    }

    /// Sends to the next connections; `None` if those were the last.
    fn send_slice<'a>(&'a self, targets: &mut impl Iterator<Item = Target<'a>>) -> Option<()> {
        let (mut count, mut bytes) = (0, 0);
        while count < SLICE && bytes < SLICE_BYTES {
            bytes += self.send(targets.next()?);
            count += 1;
        }
        Some(())
    }

    fn targets(&self, part: Part) -> impl Iterator<Item = Target<'_>> + Send {
        let plain = self.runs.iter().flat_map(move |run| {
            let here = run.roster.connections().iter().filter(move |(id, _)| part.contains(*id));
            let plain = here.filter(|(id, _)| !self.apart.contains_key(id));
            plain.map(move |(_, connection)| Target::Plain(run, connection))
        });
        let apart = self.apart.iter().filter(move |(id, _)| part.contains(**id));
        let apart = apart.map(|(_, apart)| Target::Apart(apart));
        plain.chain(apart)
    }

    /// Sends a connection its frames. Returns an upper bound of their bytes.
    fn send(&self, target: Target<'_>) -> usize {
        match target {
            Target::Plain(run, connection) => {
                run.buffers.all().iter().for_each(|frames| connection.send(frames, 0..frames.len()));
                run.buffers.size()
            }
            Target::Apart(apart) => self.send_apart(apart),
        }
    }

    fn send_apart(&self, Apart { connection, items }: &Apart) -> usize {
        let is_member: Vec<_> = self.runs.iter().map(|run| run.roster.contains(connection.id())).collect();
        let mut splice = Splice::new(connection);
        let mut items = items.iter().peekable();
        for before in 0..=self.broadcasts.len() {
            while let Some((_, item)) = items.next_if(|(at, _)| *at == before) {
                match item {
                    Item::Frame(place) => splice.push(&self.singles, *place),
                    Item::Resume => splice.flushed().resume(),
                    Item::Close(frame) => splice.flushed().close(frame.clone()),
                }
            }
            if let Some(Broadcast { run, place, except }) = self.broadcasts.get(before)
                && is_member[*run]
                && *except != Some(connection.id())
            {
                splice.push(&self.runs[*run].buffers, *place);
            }
        }
        splice.flushed();
        splice.size()
    }
}
