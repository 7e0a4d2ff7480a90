//! A way to a server that can be cut, for stories of bad connections.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{JoinHandle, JoinSet},
};

/// Passes connections on to a server until it is cut. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    way: Arc<Mutex<Way>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Way {
    /// While it is cut, what connects is hung up on.
    cut: bool,
    connections: JoinSet<()>,
}

impl Proxy {
    /// A way to `host`.
    pub(crate) async fn to(host: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port of the loopback interface");
        let address = listener.local_addr().expect("it is bound");
        let way = Arc::new(Mutex::new(Way::default()));
        let shared = Arc::clone(&way);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut way = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if !way.cut {
                    way.connections.spawn(pass_on(client, host.clone()));
                }
            }
        });
        Self { address, way, accepting }
    }

    /// Where to connect to.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Ends every connection where it stands, and every new one, until it is mended.
    pub(crate) fn cut(&self) {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        way.cut = true;
        way.connections = JoinSet::new();
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).cut = false;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn pass_on(client: TcpStream, host: String) {
    let Ok(server) = TcpStream::connect(host).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(copy(from_client, to_server), copy(from_server, to_client));
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if to.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
}
