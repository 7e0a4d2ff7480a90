//! `roommate`: serves rooms.

use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use roommate_partykit_proto::RoomConfig;
use roommate_server::{Server, ServerConfig, Sqlite};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Rooms that TinyBase pages and Roommate programs share.
#[derive(Debug, Parser)]
#[command(name = "roommate", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve rooms until interrupted. Rooms are stored in a file
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// The address to listen on; port 0 is any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1999", value_parser = address)]
    listen: String,

    /// The SQLite file in which rooms are stored; it is created if it does not exist
    #[arg(long, value_name = "FILE", default_value = "./roommate.db")]
    data: PathBuf,

    /// Store rooms in memory: they end with the program
    #[arg(long, conflicts_with_all = ["data", "history"])]
    memory: bool,

    /// How long each change is stored, with its time and author: 7d, 12h, 30m, 90s; 0 for no history
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration)]
    history: Duration,

    /// The end of the path of a room's store
    #[arg(long, value_name = "PATH", default_value = "/store")]
    store_path: String,

    /// The prefix of each message
    #[arg(long, value_name = "TEXT", default_value = "")]
    message_prefix: String,

    /// An allowed party; may be repeated
    #[arg(long, value_name = "NAME", default_value = "main", conflicts_with = "any_party")]
    party: Vec<String>,

    /// Allow every party that a client names
    #[arg(long)]
    any_party: bool,

    /// Behave exactly as TinyBase's own server: do not repair its clients, and do not support Roommate's extended
    /// dialect
    #[arg(long)]
    stock: bool,

    /// What to log: off, error, warn, info, debug, trace; or by module, as in `info,roommate_server=debug`
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: Targets,
}

/// Whether the text is a host and a port. Whether the host exists is checked only when the server listens on it.
fn address(text: &str) -> Result<String, &'static str> {
    let is_address = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
    match text.rsplit_once(':').is_some_and(is_address) {
        true => Ok(text.to_owned()),
        false => Err("say HOST:PORT, such as 127.0.0.1:1999"),
    }
}

/// A number and a unit.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const SAY: &str = "say a number and s, m, h or d, such as 7d";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(SAY),
    };
    let number: u64 = number.parse().map_err(|_| SAY)?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or("that is too long")
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { command: Command::Serve(serve) } = Args::parse();
    match serve.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

impl Serve {
    async fn run(self) -> Result<(), Box<dyn Error>> {
        let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
        tracing_subscriber::registry().with(log).with(self.log).init();
        let room = RoomConfig::new()
            .with_store_path(self.store_path)
            .with_message_prefix(self.message_prefix)
            .with_cures(!self.stock)
            .with_extended(!self.stock);
        let party = self.party.first().cloned().unwrap_or_default();
        let store_path = room.store_path().to_owned();
        let config = ServerConfig::new().with_room(room);
        let (config, place) = if self.memory {
            // A log in memory is only of use to clients that return while the server runs.
            (config.with_history(Duration::ZERO), "in memory, and end with this program".to_owned())
        } else {
            let storage = Sqlite::open(&self.data)?;
            let place = format!("in {}", storage.path().display());
            (config.with_storage(storage).with_history(self.history), place)
        };
        let config = if self.any_party { config.with_any_party() } else { config.with_parties(self.party) };
        let listen = self.listen;
        let bound = Server::bind(&listen, config).await;
        let server = bound.inspect_err(|_| eprintln!("cannot serve on {listen}"))?;
        // Before the address is printed, because a program that reads it may send a signal at once.
        let interruption = interruption()?;
        // The reader of this output may be gone. The rooms are served all the same.
        let _unread = writeln!(
            io::stdout(),
            "listening on http://{0}\na room's store is at http://{0}/parties/{party}/ROOM{store_path}\nrooms are stored {place}",
            server.local_addr()
        );
        Ok(server.serve(interruption).await?)
    }
}

/// Listens for signals to end the program from now on. The returned future resolves with the first signal.
#[cfg(unix)]
fn interruption() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens for signals to end the program from now on. The returned future resolves with the first signal.
#[cfg(windows)]
fn interruption() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
