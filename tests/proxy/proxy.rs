//! A network that does what a test says: a TCP proxy in front of a room server.
//!
//! ```text
//!   client ──► listener ──► first line of each request: GET, PUT or upgrade? answer it, or
//!                  │
//!                  ├─ Lane "http"    to_server Gate ──►  upstream
//!                  └─ Lane "sockets" to_client Gate ◄──  (changeable at run time)
//! ```
//!
//! A [`Gate`] is one direction of one lane: it can hold bytes back, delay them, or swallow them, for all its connections
//! alike. Everything ends when the [`Proxy`] is dropped.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{broadcast, mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
};

mod connection;
mod frames;
mod gate;
mod request;

use self::connection::Connection;
pub(crate) use self::{
    gate::{Direction, Lane},
    request::{Asks, response},
};

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// What is not WebSocket: every GET and PUT.
    pub(crate) http: Lane,
    /// WebSocket connections, from their upgrade request on.
    pub(crate) sockets: Lane,
    address: SocketAddr,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

/// What the proxy and its connections share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts the calls of [`Proxy::bury`].
    burials: watch::Sender<u64>,
    injections: broadcast::Sender<Vec<u8>>,
}

#[derive(Debug)]
struct State {
    upstream: String,
    rules: Vec<Rule>,
    requests: Vec<Asks>,
    /// By direction: how many bytes passed, and how many more may until the cut.
    passed: [u64; 2],
    cut_after: [Option<u64>; 2],
    cuts: u64,
}

/// What some requests are answered with, instead of being passed on.
#[derive(Debug)]
struct Rule {
    asks: Asks,
    times: u64,
    answer: Vec<u8>,
}

/// Whether connections are accepted.
#[derive(Debug)]
enum Door {
    Open(TcpListener),
    /// Holds the address meanwhile.
    Shut(TcpSocket),
}

#[derive(Debug)]
enum Command {
    Refuse(oneshot::Sender<()>),
    Accept(oneshot::Sender<()>),
    Kill(oneshot::Sender<()>),
}

impl Proxy {
    /// Starts a proxy to `upstream`, a host with its port.
    pub(crate) async fn start(upstream: impl Into<String>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = bound(any).listen(128).expect("a free port of the loopback interface");
        let address = listener.local_addr().expect("a listener has an address");
        let state = State {
            upstream: upstream.into(),
            rules: Vec::new(),
            requests: Vec::new(),
            passed: [0; 2],
            cut_after: [None; 2],
            cuts: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            burials: watch::Sender::new(0),
            injections: broadcast::Sender::new(16),
        });
        let (http, sockets) = (Lane::default(), Lane::default());
        let (commands, commanded) = mpsc::unbounded_channel();
        let connection = Connection { shared: shared.clone(), http: http.clone(), sockets: sockets.clone() };
        let task = tokio::spawn(run(listener, address, commanded, connection));
        Self { http, sockets, address, shared, commands, task }
    }

    /// Where it listens, as a host with its port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Leads connections from now on to another upstream.
    pub(crate) fn lead_to(&self, upstream: impl Into<String>) {
        self.shared.lock().upstream = upstream.into();
    }

    /// Refuses connections from now on, as a machine does where nobody listens. Open ones stay.
    pub(crate) async fn refuse(&self) {
        self.command(Command::Refuse).await;
    }

    /// Accepts connections again.
    pub(crate) async fn accept(&self) {
        self.command(Command::Accept).await;
    }

    /// Breaks every open connection, and returns when nothing passes on any of them any more.
    pub(crate) async fn kill(&self) {
        self.command(Command::Kill).await;
    }

    /// Lets the ends of connections arrive that were swallowed until now.
    pub(crate) fn bury(&self) {
        self.shared.burials.send_modify(|burials| *burials += 1);
    }

    /// Breaks one connection: the one that carries the byte after the next `bytes` of `direction`, before that byte.
    pub(crate) fn cut_after(&self, direction: Direction, bytes: u64) {
        self.shared.lock().cut_after[direction as usize] = Some(bytes);
    }

    /// How many connections [`cut_after`](Self::cut_after) has cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.lock().cuts
    }

    /// How many bytes have passed in `direction`.
    pub(crate) fn passed(&self, direction: Direction) -> u64 {
        self.shared.lock().passed[direction as usize]
    }

    /// Answers the next `times` requests that ask for `asks` with these bytes, and hangs up. No bytes: hangs up.
    pub(crate) fn answer(&self, asks: Asks, times: u64, answer: impl Into<Vec<u8>>) {
        let rule = Rule { asks, times, answer: answer.into() };
        self.shared.lock().rules.push(rule);
    }

    /// Forgets what requests are to be answered with.
    pub(crate) fn answer_no_more(&self) {
        self.shared.lock().rules.clear();
    }

    /// How many requests asked for `asks`, answered by the proxy or passed on.
    pub(crate) fn requests(&self, asks: Asks) -> usize {
        self.shared.lock().requests.iter().filter(|other| **other == asks).count()
    }

    /// Slips these bytes between two frames to the client of each open WebSocket connection.
    pub(crate) fn inject(&self, bytes: impl Into<Vec<u8>>) {
        // Nobody is connected: nobody gets it.
        let _ = self.shared.injections.send(bytes.into());
    }

    async fn command(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, wait) = oneshot::channel();
        self.commands.send(command(done)).expect("the proxy runs until it is dropped");
        wait.await.expect("the proxy runs until it is dropped");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a request, and says what to answer it with if not by passing it on.
    fn requested(&self, asks: Asks) -> Option<Vec<u8>> {
        let mut state = self.lock();
        state.requests.push(asks);
        let rule = state.rules.iter_mut().find(|rule| rule.asks == asks && rule.times > 0)?;
        rule.times -= 1;
        Some(rule.answer.clone())
    }

    /// How many of `bytes` may pass in `direction`; all, unless this is the cut.
    fn pass(&self, direction: Direction, bytes: usize) -> usize {
        let mut state = self.lock();
        let index = direction as usize;
        let allowed = state.cut_after[index].map_or(bytes, |left| bytes.min(usize::try_from(left).unwrap_or(bytes)));
        state.passed[index] += allowed as u64;
        if allowed < bytes {
            state.cut_after[index] = None;
            state.cuts += 1;
        } else if let Some(left) = &mut state.cut_after[index] {
            *left -= allowed as u64;
        }
        allowed
    }
}

async fn run(
    listener: TcpListener,
    address: SocketAddr,
    mut commands: mpsc::UnboundedReceiver<Command>,
    connection: Connection,
) {
    let mut connections = JoinSet::new();
    let mut door = Door::Open(listener);
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => {
                let done;
                (door, done) = match (command, door) {
                    (None, _) => return,
                    (Some(Command::Refuse(done)), Door::Open(listener)) => {
                        // Before the listener is dropped: at no time may somebody else take the address.
                        let deaf = bound(address);
                        drop(listener);
                        (Door::Shut(deaf), done)
                    }
                    (Some(Command::Accept(done)), Door::Shut(socket)) => {
                        (Door::Open(socket.listen(128).expect("nobody else has the address")), done)
                    }
                    (Some(Command::Kill(done)), door) => {
                        // Dropping the streams is what breaks the connections.
                        connections.shutdown().await;
                        (door, done)
                    }
                    (Some(Command::Refuse(done) | Command::Accept(done)), door) => (door, done),
                };
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Ok((stream, _)) = door.accept() => {
                connections.spawn(connection.clone().run(stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Door {
    async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Open(listener) => listener.accept().await,
            Self::Shut(_) => std::future::pending().await,
        }
    }
}

/// A socket that has the address, beside others of this process that have it, and does not listen: where none does,
/// connecting is refused.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket option");
    #[cfg(unix)]
    socket.set_reuseport(true).expect("a socket option");
    socket.bind(address).expect("a free address, or this proxy's own");
    socket
}

/// Connects without waiting to gather small packets.
async fn connect(upstream: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
