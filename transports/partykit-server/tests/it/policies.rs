//! Policies that wait: what they see, and what they attach.

use std::{future::pending, time::Duration};

use async_trait::async_trait;
use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use reqwest::Method;
use roommate::ErrorKind;
use roommate_server::{
    Asker, Cell, Context, Error, Id, Policy, Result, RoomConfig, Rooms, RunningServer, ServerConfig,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_tungstenite::{connect_async, tungstenite};

use crate::support::{CLIENT, Socket, eventually, get, put, request, serve};

const STORE: &str = "/parties/main/r/store";

/// Does what the query says, after a delay.
#[derive(Debug)]
struct Slow;

impl Slow {
    async fn ask(&self, context: &Context) -> Result<bool> {
        sleep(Duration::from_millis(5)).await;
        match &*context.query {
            "hang" => pending().await,
            "panic" => panic!("as it was told"),
            "fail" => Err(Error::new(ErrorKind::Unavailable, "no database")),
            query => Ok(query != "refuse"),
        }
    }
}

#[async_trait]
impl Policy for Slow {
    async fn can_connect(&self, context: &mut Context) -> Result<bool> {
        self.ask(context).await
    }

    async fn can_request(&self, context: &mut Context) -> Result<bool> {
        self.ask(context).await
    }
}

fn slow() -> ServerConfig {
    ServerConfig::new().with_room(RoomConfig::new().with_policy(Slow)).with_policy_timeout(Duration::from_millis(100))
}

async fn upgrade_status(server: &RunningServer, path: &str) -> u16 {
    match connect_async(format!("ws://{}{path}", server.local_addr())).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn r8_a_policy_that_refuses_fails_panics_or_hangs_is_answered_for() {
    let server = serve(slow()).await;
    for (query, status) in [("refuse", 401), ("fail", 500), ("panic", 500), ("hang", 503)] {
        for method in [Method::GET, Method::PUT] {
            let response = request(&server, method, &format!("{STORE}?{query}"), "[{},{}]").await;
            assert_eq!(response.status(), status, "{query}");
            assert!(response.headers().contains_key("access-control-allow-origin"), "{query}");
        }
        assert_eq!(upgrade_status(&server, &format!("/party/r?{query}")).await, status, "{query}");
    }
    assert!(server.rooms().is_empty(), "none of them opened a room");
    assert_eq!(upgrade_status(&server, "/party/r").await, 101);
    assert_eq!(put(&server, STORE, "[{},{}]").await, 201);
}

#[tokio::test]
async fn r8_an_upload_that_is_not_allowed_is_not_read() {
    let server = serve(slow()).await;
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    let head = format!("PUT {STORE}?refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401", "without a byte of the body");
}

#[tokio::test]
async fn a_slow_policy_delays_nobody_but_the_client_that_it_is_asked_about() {
    let server = serve(slow().with_policy_timeout(Duration::from_secs(600))).await;
    assert_eq!(put(&server, STORE, "[{},{\"v\":1}]").await, 201);
    let url = format!("http://{}{STORE}?hang", server.local_addr());
    let hanging = tokio::spawn(CLIENT.get(url).send());
    assert_eq!(get(&server, STORE).await, "[{},{\"v\":1}]");
    // A server that is stopped does not wait for the policy either.
    server.shutdown().await.unwrap();
    if let Ok(response) = hanging.await.unwrap() {
        assert_eq!(response.status(), 503);
    }
}

/// What the program's own middleware has found out about a request.
#[derive(Clone, Debug)]
struct User(String);

/// The value that a user may set.
#[derive(Clone, Debug)]
struct Owns(String);

/// Lets users in. Each user may set the value with their name.
#[derive(Debug)]
struct Users;

#[async_trait]
impl Policy for Users {
    async fn can_connect(&self, context: &mut Context) -> Result<bool> {
        let Some(User(name)) = context.extensions.get().cloned() else { return Ok(false) };
        sleep(Duration::from_millis(1)).await;
        context.extensions.insert(Owns(name));
        Ok(true)
    }

    async fn can_request(&self, context: &mut Context) -> Result<bool> {
        self.can_connect(context).await
    }

    fn can_set_value(&self, value_id: &Id, _: &Cell, _: Option<&Cell>, asker: Asker<'_>) -> bool {
        asker.context.extensions.get().is_some_and(|Owns(value)| value_id == value.as_str())
    }
}

/// Attaches the user that a request names.
async fn sign_in(mut request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if let Some(name) = query.split('&').find_map(|pair| pair.strip_prefix("user=")) {
        let user = User(name.to_owned());
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

/// A program's own server, with the rooms below `/api/sync`.
struct Program {
    address: String,
    rooms: Rooms,
    task: JoinHandle<()>,
}

impl Program {
    async fn start(config: ServerConfig) -> Self {
        let rooms = Rooms::new(config).unwrap();
        let sync = Router::new().nest("/sync", rooms.router());
        let app = Router::new().nest("/{version}", sync).layer(middleware::from_fn(sign_in));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, rooms, task }
    }

    async fn end(self) {
        self.rooms.shutdown().await;
        self.task.abort();
    }
}

#[tokio::test]
async fn middleware_attaches_a_user_and_the_policy_what_that_user_may_do() {
    let program = Program::start(ServerConfig::new().with_room(RoomConfig::new().with_policy(Users))).await;
    let store = |user: &str| format!("http://{}/v1/sync/party/r/store?user={user}", program.address);
    let nobody = CLIENT.get(format!("http://{}/v1/sync/party/r/store", program.address)).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    let put = CLIENT.put(store("ann")).body(r#"[{},{"ann":1,"bob":1}]"#).send().await.unwrap();
    assert_eq!(put.status(), 201);
    let url = |user| format!("ws://{}/v1/sync/parties/main/r?user={user}", program.address);
    let (mut ann, mut bob) = (Socket::open_url(&url("ann")).await, Socket::open_url(&url("bob")).await);
    let content = || async { CLIENT.get(store("bob")).send().await.unwrap().text().await.unwrap() };
    assert_eq!(content().await, r#"[{},{"ann":1}]"#);
    ann.say(r#"s[{},{"ann":2,"bob":2},1]"#).await;
    bob.say(r#"s[{},{"ann":3,"bob":3},1]"#).await;
    eventually(async || content().await == r#"[{},{"ann":2,"bob":3}]"#).await;
    program.end().await;
}

/// Records the paths that it sees.
#[derive(Debug)]
struct Whole;

#[async_trait]
impl Policy for Whole {
    async fn can_request(&self, context: &mut Context) -> Result<bool> {
        Ok(context.path.starts_with("/v1/sync/part") && context.room == "a%20b" && context.query == "q=1")
    }
}

#[tokio::test]
async fn the_routes_nest_under_any_path_and_the_policy_sees_the_whole_of_it() {
    let program = Program::start(ServerConfig::new().with_room(RoomConfig::new().with_policy(Whole))).await;
    let url = |path: &str| format!("http://{}{path}", program.address);
    for (path, status) in [
        ("/v1/sync/party/a%20b/store?q=1", 201),
        ("/v1/sync/parties/main/a%20b/x/store?q=1", 205),
        ("/v1/sync/parties/main/a%20b?q=1", 404),
        ("/v1/sync/parties/chess/a%20b/store?q=1", 404),
        ("/v1/sync/parties/main?q=1", 404),
        ("/v1/party/a%20b/store?q=1", 404),
        ("/party/a%20b/store?q=1", 404),
    ] {
        let response = CLIENT.put(url(path)).body("[{},{}]").send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    assert_eq!(program.rooms.len(), 1);
    program.end().await;
}
