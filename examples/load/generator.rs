//! The load generator: one thread, one poll, one writer and many listeners.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, Waker, net::TcpStream};

use crate::{
    alarm::Alarm,
    frames::{Frame, Incoming, markers, pong, walk},
    http::upgrade,
    process::Pids,
    schedule::{Length, Pace, Schedule, Step},
    tally::{Count, Tally},
};

/// How long all may take to come to rest, before and after a run.
const PATIENCE: Duration = Duration::from_secs(60);
/// What counts as rest.
const QUIET: Duration = Duration::from_millis(250);
/// What one read takes at most.
const READ: usize = 256 << 10;

/// What to send to whom.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) host: SocketAddr,
    /// The path of the room's WebSockets.
    pub(crate) room: &'a str,
    pub(crate) listeners: usize,
    /// Sent in turn, each with the next sequence number.
    pub(crate) frames: &'a mut [Frame],
    pub(crate) pace: Pace,
    pub(crate) length: Length,
    pub(crate) server: &'a Pids,
}

/// What a run measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) messages_per_second: f64,
    pub(crate) deliveries_per_second: f64,
    /// CPU time of the server, in nanoseconds.
    pub(crate) server_cpu_per_delivery: f64,
    /// CPU time of this process, in nanoseconds.
    pub(crate) own_cpu_per_delivery: f64,
    /// Of each delivery, in nanoseconds: from the write, or from when it was due if messages have a rate.
    pub(crate) latencies: Vec<u64>,
    /// How often a message came again.
    pub(crate) repeats: u64,
}

/// Connections that are polled together.
#[derive(Debug)]
pub(crate) struct Connections {
    poll: Poll,
    all: Vec<Connection>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// The start of a frame whose rest has not arrived.
    partial: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

/// What the server has used and done, at some time.
struct Sample {
    at: Instant,
    server_cpu: u64,
    own_cpu: u64,
    count: Count,
}

const WAKER: Token = Token(usize::MAX);

/// Runs a job.
///
/// # Errors
/// If a connection fails or is closed, or a listener does not get all messages in order.
pub(crate) fn run(job: Job<'_>) -> io::Result<Measured> {
    let mut connections = Connections::open(job.host, job.room, job.listeners + 1)?;
    let writer = job.listeners;
    connections.settle()?;

    let mut alarm = Alarm::new(Waker::new(connections.poll.registry(), WAKER)?);
    let mut events = Events::with_capacity(1024);
    let mut schedule = Schedule::new(job.pace, job.length);
    let mut tally = Tally::new(job.listeners);
    let own = Pids::this();
    let sample = |tally: &Tally| Sample {
        at: Instant::now(),
        server_cpu: job.server.cpu(),
        own_cpu: own.cpu(),
        count: tally.count(),
    };
    let (mut first, mut last) = (sample(&tally), None);
    let start = Instant::now();
    let mut progress = (0, start);
    loop {
        let now = start.elapsed();
        let wait = match schedule.step(now.as_nanos() as u64, tally.sent(), tally.complete()) {
            Step::Begin => {
                first = sample(&tally);
                tally.measure();
                continue;
            }
            Step::Send { due } => {
                let sequence = tally.sent();
                tally.send(due);
                let frame = &mut job.frames[sequence % job.frames.len()];
                connections.all[writer].send(frame.numbered(sequence))?;
                continue;
            }
            Step::End => {
                last = Some(sample(&tally));
                continue;
            }
            Step::Done => break,
            Step::Wait { until: None } => PATIENCE,
            Step::Wait { until: Some(time) } => {
                let time = Duration::from_nanos(time);
                if matches!(job.pace, Pace::Rate(_)) {
                    alarm.set(start + time)?;
                }
                time - now
            }
        };
        // The alarm is precise, the time-out is there for what has no alarm.
        connections.poll(
            &mut events,
            wait.min(Duration::from_secs(1)) + Duration::from_millis(1),
            |listener, payload| {
                let now = start.elapsed().as_nanos() as u64;
                if listener != writer {
                    markers(payload, |sequence| tally.deliver(listener, sequence, now));
                }
            },
        )?;
        if let Some(fault) = tally.fault() {
            return Err(io::Error::new(ErrorKind::InvalidData, fault.to_string()));
        }
        if tally.count().deliveries != progress.0 || tally.sent() == tally.complete() {
            progress = (tally.count().deliveries, Instant::now());
        } else if progress.1.elapsed() > PATIENCE {
            let (complete, sent) = (tally.complete(), tally.sent());
            let message = format!("{complete} of {sent} messages reached every listener, and then nothing arrived");
            return Err(io::Error::new(ErrorKind::TimedOut, message));
        }
    }
    let last = last.unwrap_or_else(|| sample(&tally));
    Ok(measured(&first, &last, tally))
}

fn measured(first: &Sample, last: &Sample, tally: Tally) -> Measured {
    let seconds = (last.at - first.at).as_secs_f64();
    let deliveries = (last.count.deliveries - first.count.deliveries) as f64;
    Measured {
        messages_per_second: (last.count.complete - first.count.complete) as f64 / seconds,
        deliveries_per_second: deliveries / seconds,
        server_cpu_per_delivery: last.server_cpu.saturating_sub(first.server_cpu) as f64 / deliveries.max(1.0),
        own_cpu_per_delivery: (last.own_cpu - first.own_cpu) as f64 / deliveries.max(1.0),
        repeats: tally.repeats(),
        latencies: tally.into_latencies(),
    }
}

impl Connections {
    /// Opens so many WebSockets.
    pub(crate) fn open(host: SocketAddr, room: &str, count: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let (stream, partial) = upgrade(host, &format!("{room}?_pk=load-{number}"))?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            all.push(Connection { stream, partial, unsent: Vec::new() });
        }
        Ok(Self { poll, all, buffer: vec![0; READ] })
    }

    /// Reads and drops what arrives, until nothing more does.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let start = Instant::now();
        let mut last = start;
        while last.elapsed() < QUIET {
            self.poll(&mut events, QUIET, |_, _| last = Instant::now())?;
            if start.elapsed() > PATIENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, "the connections do not come to rest"));
            }
        }
        Ok(())
    }

    /// Waits for something to arrive, at most so long, and calls `on` with each message and the number of its connection.
    fn poll(&mut self, events: &mut Events, timeout: Duration, mut on: impl FnMut(usize, &[u8])) -> io::Result<()> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter().filter(|event| event.token() != WAKER) {
            let Token(number) = event.token();
            let connection = &mut self.all[number];
            if event.is_writable() && !connection.unsent.is_empty() {
                connection.send(&[])?;
            }
            if event.is_readable() {
                connection.receive(&mut self.buffer, |payload| on(number, payload))?;
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Writes as much as the socket takes, and the rest when it takes more.
    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let mut rest = frame;
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(frame);
            rest = &[];
        }
        loop {
            let waiting = if self.unsent.is_empty() { rest } else { &self.unsent };
            if waiting.is_empty() {
                return Ok(());
            }
            match self.stream.write(waiting) {
                Ok(written) if self.unsent.is_empty() => rest = &rest[written..],
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unsent.extend_from_slice(rest);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads all that there is, answers pings, and calls `on` with each message.
    fn receive(&mut self, buffer: &mut [u8], mut on: impl FnMut(&[u8])) -> io::Result<()> {
        let (mut pongs, mut is_closed) = (Vec::new(), false);
        let mut incoming = |incoming: Incoming<'_>| match incoming {
            Incoming::Data(payload) => on(payload),
            Incoming::Ping(payload) => pongs.extend(pong(payload)),
            Incoming::Close => is_closed = true,
        };
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed a connection")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if self.partial.is_empty() {
                let used = walk(&buffer[..read], &mut incoming);
                self.partial.extend_from_slice(&buffer[used..read]);
            } else {
                self.partial.extend_from_slice(&buffer[..read]);
                let used = walk(&self.partial, &mut incoming);
                self.partial.drain(..used);
            }
            // A short read took all there was, and what comes later is another event.
            if read < buffer.len() {
                break;
            }
        }
        if is_closed {
            return Err(io::Error::new(ErrorKind::ConnectionAborted, "the server said goodbye to a connection"));
        }
        if pongs.is_empty() { Ok(()) } else { self.send(&pongs) }
    }
}
