//! A program that hosts rooms: routes of its own, users and permissions in a database, and edits by the server.
//!
//! `cargo run --release -p roommate-server --example app` serves it. `--check` runs it with two clients, and exits with
//! 0 only if each client sees what it should.
//!
//! * Users and their permissions are in SQLite. The policy queries it for each connection and each request, and
//!   attaches the result. So it can decide about a change without another query.
//! * `POST /announce` is a route of the program's own. Every page shows what it sets in the room.
//! * The server counts the tasks of the room with a live store.

use std::{
    collections::BTreeSet,
    error::Error as StdError,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use clap::Parser;
use futures_util::StreamExt;
use roommate::{Engine, ErrorKind, Refused, Store, Subscription};
use roommate_partykit::{PartyKitConfig, PartySocket, PartySocketOptions, create_partykit_persister};
use roommate_server::{Asker, Changes, Context, Error, Id, LiveStore, Policy, Result, RoomConfig, Rooms, ServerConfig};
use rusqlite::{Connection, OptionalExtension};
use tokio::{net::TcpListener, signal, task::spawn_blocking, time::timeout};

#[derive(Parser)]
#[command(about = "A program with rooms, users and permissions")]
struct Args {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: String,
    /// Run the program with two clients, and end.
    #[arg(long)]
    check: bool,
}

/// The room that all users share.
const ROOM: (&str, &str) = ("main", "office");

/// The program's database. Clones are the same database.
#[derive(Clone, Debug)]
struct Database(Arc<Mutex<Connection>>);

/// A user, and the tables that they may write.
#[derive(Clone, Debug)]
struct User {
    name: String,
    may_write: BTreeSet<String>,
}

impl Database {
    /// A database with two users: ann may write tasks, and bob notes.
    fn with_users() -> Result<Self> {
        let connection = Connection::open_in_memory().map_err(unavailable)?;
        let schema = "
            CREATE TABLE users (token TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
            CREATE TABLE permissions (name TEXT NOT NULL, may_write TEXT NOT NULL, PRIMARY KEY (name, may_write)) STRICT;
            INSERT INTO users VALUES ('secret-of-ann', 'ann'), ('secret-of-bob', 'bob');
            INSERT INTO permissions VALUES ('ann', 'tasks'), ('bob', 'notes');";
        connection.execute_batch(schema).map_err(unavailable)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Returns the user with this token.
    async fn user(&self, token: String) -> Result<Option<User>> {
        let database = self.clone();
        let asked = spawn_blocking(move || {
            let connection = database.0.lock().unwrap_or_else(PoisonError::into_inner);
            let name = "SELECT name FROM users WHERE token = ?1";
            let name = connection.query_row(name, [token], |row| row.get::<_, String>(0)).optional()?;
            let Some(name) = name else { return Ok(None) };
            let mut permissions = connection.prepare_cached("SELECT may_write FROM permissions WHERE name = ?1")?;
            let may_write = permissions.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(Some(User { name, may_write }))
        });
        asked.await.map_err(unavailable)?.map_err(|error: rusqlite::Error| unavailable(error))
    }
}

fn unavailable(error: impl StdError + Send + Sync + 'static) -> Error {
    Error::with_source(ErrorKind::Unavailable, "the database cannot be asked", error)
}

/// The token of a request.
#[derive(Clone, Debug)]
struct Token(String);

/// Middleware that finds the token: in a header, which programs send, or in a cookie, which pages send with sockets
/// too.
async fn find_token(mut request: Request, next: Next) -> Response {
    if let Some(token) = token_of(request.headers()) {
        request.extensions_mut().insert(token);
    }
    next.run(request).await
}

fn token_of(headers: &HeaderMap) -> Option<Token> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bearer = text(header::AUTHORIZATION).strip_prefix("Bearer ");
    let mut cookies = text(header::COOKIE).split("; ");
    let token = bearer.or_else(|| cookies.find_map(|cookie| cookie.strip_prefix("token=")))?;
    Some(Token(token.to_owned()))
}

/// Lets users in. Each user may write the tables that the database lists for them, and nothing else.
#[derive(Debug)]
struct Permissions(Database);

#[async_trait]
impl Policy for Permissions {
    async fn can_connect(&self, context: &mut Context) -> Result<bool> {
        let Some(Token(token)) = context.extensions.get().cloned() else { return Ok(false) };
        let Some(user) = self.0.user(token).await? else { return Ok(false) };
        context.extensions.insert(Arc::new(user));
        Ok(true)
    }

    async fn can_request(&self, context: &mut Context) -> Result<bool> {
        self.can_connect(context).await
    }

    fn can_set_table(&self, table_id: &Id, asker: Asker<'_>) -> bool {
        let user = asker.context.extensions.get::<Arc<User>>();
        user.is_some_and(|user| user.may_write.contains(table_id.as_str()))
    }

    fn can_del_table(&self, table_id: &Id, asker: Asker<'_>) -> bool {
        self.can_set_table(table_id, asker)
    }

    // Only the server sets values.
    fn can_set_value(&self, _: &Id, _: &roommate::Cell, _: Option<&roommate::Cell>, _: Asker<'_>) -> bool {
        false
    }

    fn can_del_value(&self, _: &Id, _: Asker<'_>) -> bool {
        false
    }
}

/// `POST /announce`: sets a value of the room. The answer is 204, after the room has stored the value and sent it to
/// every page.
async fn announce(State(app): State<App>, request: Request) -> Result<StatusCode, StatusCode> {
    let token = request.extensions().get::<Token>().cloned().ok_or(StatusCode::UNAUTHORIZED)?;
    let user = app.database.user(token.0).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let user = user.ok_or(StatusCode::UNAUTHORIZED)?;
    let body = axum::body::to_bytes(request.into_body(), 4096).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let text = format!("{}: {}", user.name, String::from_utf8_lossy(&body));
    let mut changes = Changes::new();
    changes.set_value("announcement", text.try_into().map_err(|_| StatusCode::BAD_REQUEST)?);
    app.rooms.room(ROOM.0, ROOM.1).apply(changes).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The state that the program's routes use.
#[derive(Clone, Debug)]
struct App {
    database: Database,
    rooms: Rooms,
}

impl App {
    fn new() -> Result<Self> {
        let database = Database::with_users()?;
        let policy = Permissions(database.clone());
        let rooms = Rooms::new(ServerConfig::new().with_room(RoomConfig::new().with_policy(policy)))?;
        Ok(Self { database, rooms })
    }

    /// The routes: the program's own, and those of the rooms below `/sync`.
    fn router(&self) -> Router {
        Router::new()
            .route("/", get("rooms are at /sync/party/<room>\n"))
            .route("/announce", post(announce))
            .with_state(self.clone())
            .nest("/sync", self.rooms.router())
            .layer(middleware::from_fn(find_token))
    }

    /// Updates a value of the room with the number of tasks, for as long as the returned value lives.
    async fn count_tasks(&self) -> Result<(LiveStore, Subscription)> {
        let live = self.rooms.room(ROOM.0, ROOM.1).store().await?;
        let store = live.store().clone();
        let count = move || store.set_value("tasks", store.row_ids("tasks").len() as u32);
        count()?;
        let counting = live.add_row_ids_listener("tasks", move |_| {
            let _counted = count();
        });
        Ok((live, counting))
    }
}

/// A client of the program: what a page does, in Rust.
struct Client {
    store: Store,
    engine: Engine,
    refusals: Arc<Mutex<Vec<Refused>>>,
    _listener: Subscription,
}

impl Client {
    async fn join(address: &str, token: &str) -> Result<Self> {
        let options = PartySocketOptions::new(format!("{address}/sync"), ROOM.1);
        let socket = PartySocket::new(options.with_header("authorization", format!("Bearer {token}")))?;
        let store = Store::new();
        let engine = create_partykit_persister(&store, &socket, PartyKitConfig::new(), |error| eprintln!("{error}"))?;
        let refusals = Arc::<Mutex<Vec<Refused>>>::default();
        let noted = Arc::clone(&refusals);
        let listener = engine.add_refused_listener(move |refused| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(refused.clone());
        });
        engine.start_auto_persisting(None).await?;
        Ok(Self { store, engine, refusals, _listener: listener })
    }

    /// Waits until the store shows something.
    async fn until(&self, shows: impl Fn(&Store) -> bool) {
        // In a transaction, so that no transaction of another thread is seen half done.
        let Ok(mut changes) = self.store.transaction(|store| Ok::<_, Error>(store.changes())) else { return };
        while !shows(&self.store) {
            changes.next().await;
        }
    }

    /// How many edits were refused.
    fn refused(&self) -> usize {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Two users work in the room, each on a table of their own, and both see everything.
async fn check(address: &str) -> Result<(), Box<dyn StdError>> {
    let (ann, bob) = (Client::join(address, "secret-of-ann").await?, Client::join(address, "secret-of-bob").await?);
    ann.store.set_cell("tasks", "1", "text", "water the plants")?;
    bob.store.set_cell("notes", "1", "text", "the key is with ann")?;
    for client in [&ann, &bob] {
        client.until(|store| store.has_row("tasks", "1") && store.has_row("notes", "1")).await;
        client.until(|store| store.value("tasks") == Some(1.into())).await;
    }
    println!("both see both tables, and the server's count of the tasks");

    bob.store.set_cell("tasks", "2", "text", "not for bob to say")?;
    bob.engine.flush().await?;
    bob.store.set_value("announcement", "nor this")?;
    bob.engine.flush().await?;
    bob.until(|store| !store.has_row("tasks", "2") && !store.has_value("announcement")).await;
    println!("bob is told what was refused: {} edits", bob.refused());
    if bob.refused() == 0 || ann.refused() > 0 {
        return Err("what bob may not write is refused, and nothing of ann's".into());
    }

    let announced = reqwest::Client::new()
        .post(format!("http://{address}/announce"))
        .bearer_auth("secret-of-ann")
        .body("lunch is ready")
        .send()
        .await?;
    announced.error_for_status()?;
    for client in [&ann, &bob] {
        client.until(|store| store.value("announcement").is_some()).await;
    }
    println!("both see the server's announcement: {}", ann.store.values_json());

    let stranger = reqwest::get(format!("http://{address}/sync/party/{}/store", ROOM.1)).await?;
    if stranger.status() != StatusCode::UNAUTHORIZED {
        return Err(format!("a stranger is answered with {}", stranger.status()).into());
    }
    println!("a stranger is refused");
    if ann.store.content() != bob.store.content() {
        return Err(format!("ann shows {} and bob {}", ann.store.json(), bob.store.json()).into());
    }
    ann.engine.destroy().await;
    bob.engine.destroy().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn StdError>> {
    let args = Args::parse();
    let app = App::new()?;
    let counting = app.count_tasks().await?;
    let listener = TcpListener::bind(if args.check { "127.0.0.1:0" } else { &*args.listen }).await?;
    let address = listener.local_addr()?.to_string();
    let server = tokio::spawn(axum::serve(listener, app.router()).into_future());
    if args.check {
        timeout(Duration::from_secs(30), check(&address)).await.map_err(|_| "not done within 30 s")??;
        println!("ok");
    } else {
        println!(
            "listening on http://{address}; the rooms are below /sync, and tokens are secret-of-ann, secret-of-bob"
        );
        signal::ctrl_c().await?;
    }
    drop(counting);
    // Connections end with code 1012, and everything that the rooms have accepted is stored.
    app.rooms.shutdown().await;
    server.abort();
    Ok(ExitCode::SUCCESS)
}
