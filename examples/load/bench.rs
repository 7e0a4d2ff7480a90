//! What the cases do with a server.

use std::{
    collections::HashMap,
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    content::{self, CELLS, ROWS},
    frames::Frame,
    generator::{self, Connections, Job, Measured},
    http::request,
    process::Pids,
    schedule::{Length, Pace},
    servers::{Server, Servers, Side},
    stats::{median, percentile},
};

/// The cells of the largest room.
const MANY_CELLS: usize = 100_000;
/// The listeners that join it, and the connections of the room whose connections are idle.
const MANY: usize = 500;
/// How long a server may tidy up before its memory is read.
const REST: Duration = Duration::from_secs(1);

/// The servers, and how long a run is.
#[derive(Debug)]
pub(crate) struct Bench {
    servers: Servers,
    is_quick: bool,
    is_verbose: bool,
    /// The originals take seconds to start and warm up, and run on.
    running: HashMap<Side, Server>,
    rooms: u32,
}

/// A room on a running server.
struct Room<'a> {
    side: Side,
    server: &'a Server,
    path: String,
    is_verbose: bool,
}

impl Bench {
    pub(crate) fn new(servers: Servers, is_quick: bool, is_verbose: bool) -> Self {
        Self { servers, is_quick, is_verbose, running: HashMap::new(), rooms: 0 }
    }

    /// Whether there is this server.
    pub(crate) fn can_run(&self, side: Side) -> bool {
        self.servers.can_start(side)
    }

    /// Ends the originals, which would disturb the others.
    pub(crate) fn end(&mut self) {
        self.running.clear();
    }

    /// As many messages as the window lets through: deliveries a second.
    pub(crate) fn closed(&mut self, side: Side, listeners: usize, window: usize) -> io::Result<Vec<f64>> {
        let length = self.some_seconds();
        let measured = self.on(side, &content::content(ROWS), |room| {
            room.run(listeners, &content::set_cell(), Pace::Window(window), length)
        })?;
        Ok(vec![measured.deliveries_per_second])
    }

    /// Some messages a second: microseconds of the server's CPU for each delivery, and the median latency in milliseconds.
    pub(crate) fn trickle(&mut self, side: Side, listeners: usize, rate: f64) -> io::Result<Vec<f64>> {
        let mut measured = self.paced(side, listeners, rate)?;
        Ok(vec![measured.server_cpu_per_delivery / 1e3, milliseconds(&mut measured, 50.0)])
    }

    /// Some messages a second: the median and the 99th percentile of the latency in milliseconds.
    pub(crate) fn latency(&mut self, side: Side, listeners: usize, rate: f64) -> io::Result<Vec<f64>> {
        let mut measured = self.paced(side, listeners, rate)?;
        Ok(vec![milliseconds(&mut measured, 50.0), milliseconds(&mut measured, 99.0)])
    }

    fn paced(&mut self, side: Side, listeners: usize, rate: f64) -> io::Result<Measured> {
        let seconds = if self.is_quick { 2.0 } else { 8.0 };
        let length = Length::Messages { warmup: rate as usize, measured: (rate * seconds) as usize };
        self.on(side, &content::content(ROWS), |room| {
            room.run(listeners, &content::set_cell(), Pace::Rate(rate), length)
        })
    }

    /// As many changes of a whole row as the window lets through: messages a second.
    pub(crate) fn rows(&mut self, side: Side, window: usize) -> io::Result<Vec<f64>> {
        self.changes(side, &content::set_row(), window)
    }

    /// As many changes of a cell of every row as the window lets through: messages a second.
    pub(crate) fn large_changes(&mut self, side: Side, window: usize) -> io::Result<Vec<f64>> {
        self.changes(side, &content::set_cell_of_every_row(), window)
    }

    fn changes(&mut self, side: Side, templates: &[String], window: usize) -> io::Result<Vec<f64>> {
        let length = self.some_seconds();
        let measured =
            self.on(side, &content::content(ROWS), |room| room.run(1, templates, Pace::Window(window), length))?;
        Ok(vec![measured.messages_per_second])
    }

    /// Deletions of one row in rooms of so many cells: the median latency in milliseconds.
    pub(crate) fn deletions(&mut self, side: Side, cells: &[usize]) -> io::Result<Vec<f64>> {
        let length = Length::Messages { warmup: 20, measured: if self.is_quick { 40 } else { 150 } };
        let median = |cells: &usize| {
            let mut measured = self.on(side, &content::deletable(cells / CELLS), |room| {
                room.run(1, &content::delete_row(), Pace::Window(1), length)
            })?;
            Ok(milliseconds(&mut measured, 50.0))
        };
        cells.iter().map(median).collect()
    }

    /// A large room: milliseconds of a GET and of a PUT, mebibytes of memory after them and with many listeners.
    pub(crate) fn large_room(&mut self, side: Side) -> io::Result<Vec<f64>> {
        self.running.remove(&side);
        let content = content::content(MANY_CELLS / CELLS);
        let (gets, puts) = if self.is_quick { (3, 2) } else { (9, 5) };
        let mut put = Vec::new();
        let figures = self.on_new(side, |room| {
            put.push(timed(|| room.put(&content))?);
            room.expect(&content)?;
            let get = (0..gets).map(|_| timed(|| room.get().map(drop))).collect::<io::Result<Vec<_>>>()?;
            let mebibytes = || {
                thread::sleep(REST);
                room.server.pids.resident() as f64 / f64::from(1 << 20)
            };
            let after = mebibytes();
            let mut listeners = Connections::open(room.server.host, &room.path, MANY)?;
            listeners.settle()?;
            let with_listeners = mebibytes();
            drop(listeners);
            Ok([median(get).unwrap_or_default(), after, with_listeners])
        });
        let [get, after, with_listeners] = figures?;
        for _ in 1..puts {
            self.on_new(side, |room| {
                put.push(timed(|| room.put(&content))?);
                Ok(())
            })?;
        }
        self.running.remove(&side);
        Ok(vec![get, median(put).unwrap_or_default(), after, with_listeners])
    }

    /// Connections to a room where nothing happens: kibibytes of memory that each takes.
    pub(crate) fn idle(&mut self, side: Side) -> io::Result<Vec<f64>> {
        self.running.remove(&side);
        self.on(side, &content::content(ROWS), |room| {
            let resident = |pids: &Pids| {
                thread::sleep(REST);
                pids.resident() as f64 / 1024.0
            };
            // What the first connections bring once for all.
            let mut first = Connections::open(room.server.host, &room.path, MANY / 10)?;
            first.settle()?;
            let before = resident(&room.server.pids);
            let mut more = Connections::open(room.server.host, &room.path, MANY)?;
            more.settle()?;
            let after = resident(&room.server.pids);
            Ok(vec![(after - before) / MANY as f64])
        })
    }

    fn some_seconds(&self) -> Length {
        let (warmup, measured) = if self.is_quick { (200, 600) } else { (500, 2_500) };
        Length::Time { warmup: Duration::from_millis(warmup), measured: Duration::from_millis(measured) }
    }

    /// Does something in a new room with this content; the floor has none.
    fn on<T>(&mut self, side: Side, content: &str, act: impl FnOnce(&Room<'_>) -> io::Result<T>) -> io::Result<T> {
        self.on_new(side, |room| {
            if side != Side::Floor {
                room.put(content)?;
            }
            act(room)
        })
    }

    /// Does something in a new room.
    fn on_new<T>(&mut self, side: Side, act: impl FnOnce(&Room<'_>) -> io::Result<T>) -> io::Result<T> {
        self.rooms += 1;
        let server = match self.running.remove(&side) {
            Some(server) => server,
            None => self.servers.start(side)?,
        };
        let path = format!("/parties/main/load-{}", self.rooms);
        let room = Room { side, server: &server, path, is_verbose: self.is_verbose };
        let done = act(&room).map_err(|error| {
            let said = server.last_lines();
            io::Error::new(error.kind(), format!("{side:?}: {error}\n{said}").trim_end().to_owned())
        })?;
        if side.is_stock() {
            self.running.insert(side, server);
        }
        Ok(done)
    }
}

impl Room<'_> {
    fn run(&self, listeners: usize, templates: &[String], pace: Pace, length: Length) -> io::Result<Measured> {
        let mut frames: Vec<Frame> = templates.iter().map(|template| Frame::new(template)).collect();
        let mut measured = generator::run(Job {
            host: self.server.host,
            room: &self.path,
            listeners,
            frames: &mut frames,
            pace,
            length,
            server: &self.server.pids,
        })?;
        if self.is_verbose {
            self.report(listeners, pace, &mut measured);
        }
        Ok(measured)
    }

    fn report(&self, listeners: usize, pace: Pace, measured: &mut Measured) {
        let (p50, p99) = (milliseconds(measured, 50.0), milliseconds(measured, 99.0));
        eprintln!(
            "{:?}, {listeners} listeners, {pace:?}: {:.0} messages/s, {:.0} deliveries/s, CPU a delivery {:.2} us (and {:.2} \
             us of the generator), p50 {p50:.3} ms, p99 {p99:.3} ms, {} repeats",
            self.side,
            measured.messages_per_second,
            measured.deliveries_per_second,
            measured.server_cpu_per_delivery / 1e3,
            measured.own_cpu_per_delivery / 1e3,
            measured.repeats,
        );
    }

    fn put(&self, content: &str) -> io::Result<()> {
        let answer = request(self.server.host, "PUT", &self.store(), content)?;
        match answer.status {
            201 => Ok(()),
            status => Err(io::Error::other(format!("the PUT of a new room was answered with {status}"))),
        }
    }

    fn get(&self) -> io::Result<Vec<u8>> {
        let answer = request(self.server.host, "GET", &self.store(), "")?;
        match answer.status {
            200 => Ok(answer.into_body()),
            status => Err(io::Error::other(format!("the GET of a room was answered with {status}"))),
        }
    }

    /// Fails if the room's content is another one.
    fn expect(&self, content: &str) -> io::Result<()> {
        let got: serde_json::Value = serde_json::from_slice(&self.get()?)?;
        let wanted: serde_json::Value = serde_json::from_str(content)?;
        if got == wanted { Ok(()) } else { Err(io::Error::other("the room has not the content that was put")) }
    }

    fn store(&self) -> String {
        format!("{}/store", self.path)
    }
}

/// Milliseconds that something takes.
fn timed(act: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn milliseconds(measured: &mut Measured, percent: f64) -> f64 {
    percentile(&mut measured.latencies, percent) as f64 / 1e6
}
