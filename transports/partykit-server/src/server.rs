//! A server with an address of its own.

use std::{future, io, net::SocketAddr};

use axum::serve::ListenerExt;
use roommate::{Error, ErrorKind, Result};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{config::ServerConfig, rooms::Rooms, router::not_found};

/// A server of rooms that is bound to its address and is not running yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    rooms: Rooms,
}

/// A server that runs in tasks of its own. If it is dropped, it ends without waiting for its connections.
#[derive(Debug)]
#[must_use = "the server ends when this is dropped"]
pub struct RunningServer {
    local_addr: SocketAddr,
    rooms: Rooms,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Server {
    /// Binds the address to listen on. Port 0 is any free port.
    ///
    /// From now on clients can connect; they wait until the server runs. Fails if the address is not available or the
    /// configuration is invalid.
    pub async fn bind(address: impl ToSocketAddrs, config: ServerConfig) -> Result<Self> {
        let rooms = Rooms::new(config)?;
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        let local_addr = listener.local_addr().map_err(cannot_listen)?;
        Ok(Self { listener, local_addr, rooms })
    }

    /// Returns the address, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Runs until `stop` resolves, then ends every connection. Returns when all have ended.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<()> {
        let Self { listener, rooms, .. } = self;
        let headers = rooms.config().room.response_headers().clone();
        let app = rooms.router().fallback(move || future::ready(not_found(&headers)));
        // A change is a small packet that should be sent without a delay.
        let listener = listener.tap_io(|stream| {
            let _slower = stream.set_nodelay(true);
        });
        let stopping = CancellationToken::new();
        let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(stopping.clone().cancelled_owned());
        let mut server = Box::pin(server.into_future());
        tokio::select! {
            ended = &mut server => return ended.map_err(cannot_listen),
            () = stop => {}
        }
        stopping.cancel();
        rooms.shutdown().await;
        // A request in flight gets no answer.
        match timeout(rooms.config().close_timeout, server).await {
            Ok(ended) => ended.map_err(cannot_listen),
            Err(_elapsed) => Ok(()),
        }
    }

    /// Runs the server in a task, until [`RunningServer::shutdown`].
    pub fn spawn(self) -> RunningServer {
        let (local_addr, rooms, stop) = (self.local_addr, self.rooms.clone(), CancellationToken::new());
        let task = tokio::spawn(self.serve(stop.clone().cancelled_owned()));
        RunningServer { local_addr, rooms, stop, task }
    }
}

impl RunningServer {
    /// Returns the address, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the rooms.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Ends every connection with code 1012, and returns when all have ended and the address is free.
    pub async fn shutdown(mut self) -> Result<()> {
        self.stop.cancel();
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) => Err(Error::with_source(ErrorKind::Closed, "the server's task ended before its time", error)),
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn cannot_listen(error: io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the address is in use: stop the program that has it, or choose another port (0 takes any that is free)"
        }
        io::ErrorKind::PermissionDenied => "this user may not listen on the address: choose a port above 1023",
        io::ErrorKind::AddrNotAvailable => "the address is none of this machine's: try 127.0.0.1, or 0.0.0.0 for all",
        _ => "cannot listen on the address",
    };
    Error::with_source(ErrorKind::Unavailable, message, error)
}
