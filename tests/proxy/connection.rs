//! One connection through the proxy.

use std::{future::pending, io, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    select,
};

use super::{
    Shared, connect,
    frames::Frames,
    gate::{Direction, Gate, Lane},
    request::{Asks, Head},
};

/// How to run a connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) http: Lane,
    pub(super) sockets: Lane,
}

/// One direction of one connection.
struct Pipe<'a> {
    shared: &'a Shared,
    gate: &'a Gate,
    direction: Direction,
    to: OwnedWriteHalf,
    /// Bytes are missing on the other side: nothing that came after them may arrive.
    has_swallowed: bool,
}

/// Why nothing more passes.
enum End {
    /// It is as if the network were gone.
    Broken,
    /// This direction has ended as such things end.
    Closed,
    /// The request is not for the upstream.
    Answered(Vec<u8>),
}

impl Connection {
    pub(super) async fn run(self, client: TcpStream) {
        // How it ended is for those at its two ends to see.
        let _ = self.serve(client).await;
    }

    async fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (mut from_client, mut to_client) = client.into_split();
        let Some(first) = Head::read(&mut from_client).await? else { return Ok(()) };
        let lane = if first.asks == Asks::Upgrade { &self.sockets } else { &self.http };
        if let Some(answer) = self.shared.requested(first.asks) {
            return answer_with(&mut to_client, &answer, &mut from_client).await;
        }
        let upstream = self.shared.lock().upstream.clone();
        let (from_server, to_server) = connect(&upstream).await?.into_split();
        let shared = &*self.shared;
        let mut up = Pipe::new(shared, &lane.to_server, Direction::ToServer, to_server);
        let mut down = Pipe::new(shared, &lane.to_client, Direction::ToClient, to_client);
        let is_socket = first.asks == Asks::Upgrade;
        let answer = {
            let ups = async {
                let end = match is_socket {
                    true => up.raw(first, &mut from_client).await,
                    false => up.requests(first, &mut from_client).await,
                };
                match end {
                    Ok(End::Closed) => pending().await,
                    end => end,
                }
            };
            select! {
                end = ups => end?,
                end = down.answers(from_server, is_socket) => end?,
            }
        };
        match answer {
            End::Answered(answer) => answer_with(&mut down.to, &answer, &mut from_client).await,
            End::Broken | End::Closed => Ok(()),
        }
    }
}

impl<'a> Pipe<'a> {
    fn new(shared: &'a Shared, gate: &'a Gate, direction: Direction, to: OwnedWriteHalf) -> Self {
        Self { shared, gate, direction, to, has_swallowed: false }
    }

    /// Passes on a request of which `first` is the head, and everything after it.
    async fn raw(&mut self, first: Head, from: &mut OwnedReadHalf) -> io::Result<End> {
        if !self.write(&first.bytes).await? {
            return Ok(End::Broken);
        }
        let mut chunk = Vec::with_capacity(16 << 10);
        loop {
            chunk.clear();
            if from.read_buf(&mut chunk).await? == 0 {
                return self.close().await;
            }
            if !self.write(&chunk).await? {
                return Ok(End::Broken);
            }
        }
    }

    /// Passes on requests, of which `head` is the first, until one is to be answered otherwise.
    async fn requests(&mut self, mut head: Head, from: &mut OwnedReadHalf) -> io::Result<End> {
        loop {
            if !self.write(&head.bytes).await? {
                return Ok(End::Broken);
            }
            let mut left = head.body_left;
            while left > 0 {
                let mut chunk = Vec::new();
                let read = (&mut *from).take(left).read_buf(&mut chunk).await?;
                if read == 0 {
                    return self.close().await;
                }
                left -= read as u64;
                if !self.write(&chunk).await? {
                    return Ok(End::Broken);
                }
            }
            let Some(next) = Head::read(from).await? else { return self.close().await };
            if let Some(answer) = self.shared.requested(next.asks) {
                return Ok(End::Answered(answer));
            }
            head = next;
        }
    }

    /// Passes on what the server says, and for a WebSocket what the test says in its name.
    async fn answers(&mut self, mut from: OwnedReadHalf, is_socket: bool) -> io::Result<End> {
        let mut injections = self.shared.injections.subscribe();
        let mut frames = Frames::default();
        let mut chunk = Vec::with_capacity(16 << 10);
        loop {
            chunk.clear();
            select! {
                read = from.read_buf(&mut chunk) => match read? {
                    0 => return self.close().await,
                    _ => frames.pass(&chunk),
                },
                injection = injections.recv(), if is_socket && frames.are_whole() => match injection {
                    Ok(injection) => chunk = injection,
                    Err(_) => return Ok(End::Broken),
                },
            }
            if !self.write(&chunk).await? {
                return Ok(End::Broken);
            }
        }
    }

    /// Passes these bytes on, or swallows them; `false` if the connection was cut amid them.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.has_swallowed || !self.gate.passes().await {
            self.has_swallowed = true;
            return Ok(true);
        }
        let allowed = self.shared.pass(self.direction, bytes.len());
        self.to.write_all(&bytes[..allowed]).await?;
        Ok(allowed == bytes.len())
    }

    async fn close(&mut self) -> io::Result<End> {
        if self.has_swallowed || !self.gate.passes().await {
            let mut burials = self.shared.burials.subscribe();
            // The proxy is there for as long as its connections.
            let _ = burials.changed().await;
            return Ok(End::Broken);
        }
        self.to.shutdown().await?;
        Ok(End::Closed)
    }
}

/// Answers, and hears the client out: closing on words that were not read would take the answer with it.
async fn answer_with(to: &mut OwnedWriteHalf, answer: &[u8], from: &mut OwnedReadHalf) -> io::Result<()> {
    to.write_all(answer).await?;
    to.shutdown().await?;
    let mut rest = Vec::new();
    while from.read_buf(&mut rest).await? > 0 {
        rest.clear();
    }
    Ok(())
}
