//! Two stores in one room: an edit on each side, and everybody ends equal.
//!
//! `cargo run --release --example sync` brings its own room server, which stores the room in a temporary folder; with `--host 127.0.0.1:1999 --room my_room` it joins
//! that one, whoever serves it; for a host that needs TLS add `--features tls` before `--example`. Exits with 0 only if both
//! stores and the room end equal.

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser;
use futures_util::StreamExt;
use roommate::{Engine, Persister, Store};
use roommate_partykit::{
    PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions, create_partykit_persister,
};
use roommate_server::{Server, ServerConfig, Sqlite};

#[derive(Parser)]
#[command(about = "Two stores in one room: an edit on each side, and everybody ends equal")]
struct Args {
    /// The room's host, such as 127.0.0.1:1999. Without it a server is started in this process.
    #[arg(long)]
    host: Option<String>,
    /// The room.
    #[arg(long, default_value = "my_room")]
    room: String,
    /// How long to wait for the room and for the other side, in seconds.
    #[arg(long, default_value_t = 30)]
    timeout: u64,
}

fn join(store: &Store, host: &str, room: &str) -> roommate::Result<Engine> {
    let socket = PartySocket::new(PartySocketOptions::new(host, room))?;
    create_partykit_persister(store, &socket, PartyKitConfig::new(), |error| eprintln!("{error}"))
}

async fn sync(host: &str, room: &str) -> Result<bool, Box<dyn Error>> {
    let (here, there) = (Store::new(), Store::new());
    let (ours, theirs) = (join(&here, host, room)?, join(&there, host, room)?);
    ours.start_auto_persisting(None).await?;
    theirs.start_auto_persisting(None).await?;

    here.set_cell("pets", "fido", "species", "dog")?;
    there.set_cell("pets", "felix", "species", "cat")?;
    wait_until(&here, |store| store.has_row("pets", "felix")).await;
    wait_until(&there, |store| store.has_row("pets", "fido")).await;
    ours.flush().await?;
    theirs.flush().await?;

    let socket = PartySocket::new(PartySocketOptions::new(host, room))?;
    let in_room = PartyKitPersister::new(&socket, PartyKitConfig::new())?.load().await?.unwrap_or_default();
    println!("here   {}\nthere  {}\nroom   {}", here.json(), there.json(), in_room.to_json());
    ours.destroy().await;
    theirs.destroy().await;
    Ok(here.content() == there.content() && here.content() == in_room)
}

/// Waits for a change of the store that makes `done` true.
async fn wait_until(store: &Store, done: impl Fn(&Store) -> bool) {
    // In a transaction, so that none of another thread is half done.
    let Ok(mut changes) = store.transaction(|store| Ok::<_, roommate::Error>(store.changes())) else { return };
    while !done(store) {
        changes.next().await;
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let (server, host) = match args.host {
        Some(host) => (None, host),
        None => {
            let folder = tempfile::tempdir()?;
            let storage = Sqlite::open(folder.path().join("rooms.db"))?;
            let server = Server::bind("127.0.0.1:0", ServerConfig::new().with_storage(storage)).await?.spawn();
            let host = server.local_addr().to_string();
            (Some((server, folder)), host)
        }
    };
    let syncing = tokio::time::timeout(Duration::from_secs(args.timeout), sync(&host, &args.room));
    let equal = syncing.await.map_err(|_| {
        let (room, seconds) = (&args.room, args.timeout);
        format!("{host} and the room {room} did not bring both stores together within {seconds} s (--timeout)")
    })??;
    if let Some((server, _folder)) = server {
        server.shutdown().await?;
    }
    println!("{}", if equal { "equal" } else { "NOT EQUAL" });
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
