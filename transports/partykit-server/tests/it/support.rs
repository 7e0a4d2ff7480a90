//! A server and clients for the tests.

use std::{sync::LazyLock, time::Duration};

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Method, Response};
use roommate_server::{RoomConfig, RunningServer, Server, ServerConfig};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, protocol::CloseFrame},
};

/// A time-out that is longer than anything takes that works.
const DEADLINE: Duration = Duration::from_secs(30);

/// Creating a client takes a while. Each test has a runtime of its own, so no connection outlives its request.
pub(crate) static CLIENT: LazyLock<Client> =
    LazyLock::new(|| Client::builder().pool_max_idle_per_host(0).build().unwrap());

/// A server whose rooms send stock connections no more than the stock server does, so that frames can be counted.
pub(crate) fn uncured() -> ServerConfig {
    ServerConfig::new().with_room(RoomConfig::new().with_cures(false))
}

/// A server that ends when the returned value is dropped.
pub(crate) async fn serve(config: ServerConfig) -> RunningServer {
    Server::bind("127.0.0.1:0", config).await.unwrap().spawn()
}

pub(crate) async fn request(server: &RunningServer, method: Method, path: &str, body: &str) -> Response {
    let url = format!("http://{}{path}", server.local_addr());
    CLIENT.request(method, url).body(body.to_owned()).send().await.unwrap()
}

pub(crate) async fn put(server: &RunningServer, path: &str, body: &str) -> u16 {
    request(server, Method::PUT, path, body).await.status().as_u16()
}

pub(crate) async fn get(server: &RunningServer, path: &str) -> String {
    request(server, Method::GET, path, "").await.text().await.unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, waiting).await.expect("it is so in time");
}

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(server: &RunningServer, path: &str) -> Self {
        Self::open_url(&format!("ws://{}{path}", server.local_addr())).await
    }

    pub(crate) async fn open_url(url: &str) -> Self {
        let (socket, _) = connect_async(url.into_client_request().unwrap()).await.unwrap();
        Self(socket)
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    /// The next message of any kind; `None` when the connection has ended in any way.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        timeout(DEADLINE, self.0.next()).await.expect("something is heard in time")?.ok()
    }

    /// The next text.
    pub(crate) async fn hear(&mut self) -> String {
        loop {
            match self.next().await {
                Some(Message::Text(text)) => return text.to_string(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("{other:?} is no text"),
            }
        }
    }

    /// The close frame of the server; `None` if the connection just ends.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match self.next().await {
                Some(Message::Close(close)) => {
                    // Reading on sends the answer to the close.
                    self.next().await;
                    return close;
                }
                None => return None,
                Some(_) => {}
            }
        }
    }
}
