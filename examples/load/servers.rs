//! The servers under test, each a process of its own that ends with this one.

use std::{
    collections::VecDeque,
    fs,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::process::{self, Pids};

/// How long a server may take to start: PartyKit's bundles the parties first.
const START: Duration = Duration::from_secs(60);
/// How many lines of a server's output are kept for an error message.
const KEPT_LINES: usize = 20;

/// A server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// TinyBase's server on PartyKit's development server, which runs on workerd.
    Workerd,
    /// TinyBase's server, the class alone, in Node.
    Node,
    /// A bare broadcast.
    Floor,
    /// `roommate serve`.
    Ours,
    /// `roommate serve --stock`: without repairs for stock clients.
    Unrepaired,
}

/// What starts servers.
#[derive(Debug)]
pub(crate) struct Servers {
    program: PathBuf,
    is_durable: bool,
    /// Where the JavaScript originals are installed, unless they are left out.
    originals: Option<PathBuf>,
    /// Where rooms are stored.
    directory: PathBuf,
    started: u32,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) host: SocketAddr,
    /// The processes that serve.
    pub(crate) pids: Pids,
    child: Child,
    output: Lines,
    errors: Lines,
}

/// The last lines that a process printed.
type Lines = Arc<Mutex<VecDeque<String>>>;

impl Side {
    /// Whether this is the original, which only is there with Node.
    pub(crate) fn is_stock(self) -> bool {
        matches!(self, Self::Workerd | Self::Node)
    }
}

impl Servers {
    /// Servers that store their rooms in `directory`.
    ///
    /// # Errors
    /// If `program` cannot be run.
    pub(crate) fn new(program: PathBuf, originals: Option<PathBuf>, directory: PathBuf) -> io::Result<Self> {
        let help = Command::new(&program).args(["serve", "--help"]).output()?;
        let is_durable = String::from_utf8_lossy(&help.stdout).contains("--data");
        Ok(Self { program, is_durable, originals, directory, started: 0 })
    }

    /// Whether our server stores rooms on disk.
    pub(crate) fn are_durable(&self) -> bool {
        self.is_durable
    }

    pub(crate) fn can_start(&self, side: Side) -> bool {
        !side.is_stock() || self.originals.is_some()
    }

    /// Starts a server that has no rooms yet.
    ///
    /// # Errors
    /// If it does not start.
    pub(crate) fn start(&mut self, side: Side) -> io::Result<Server> {
        let this = std::env::current_exe()?;
        let (mut command, name) = match side {
            Side::Workerd | Side::Node => {
                let mut command = Command::new("node");
                command.current_dir(self.originals.as_ref().ok_or_else(|| io::Error::other("there is no Node"))?);
                command.arg(if side == Side::Workerd { "run.mjs" } else { "class.mjs" });
                // What run.mjs starts ends with its group.
                #[cfg(unix)]
                std::os::unix::process::CommandExt::process_group(&mut command, 0);
                (command, if side == Side::Workerd { "workerd".to_owned() } else { "node".to_owned() })
            }
            Side::Floor => {
                let mut command = Command::new(&this);
                command.arg("--serve-floor");
                (command, process_name(&this))
            }
            Side::Ours | Side::Unrepaired => {
                let mut command = Command::new(&this);
                command.arg("--until-closed").arg(&self.program);
                command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
                if self.is_durable {
                    self.started += 1;
                    command.arg("--data").arg(self.directory.join(format!("{}.db", self.started)));
                }
                if side == Side::Unrepaired {
                    command.arg("--stock");
                }
                (command, process_name(&self.program))
            }
        };
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        Server::announced(side, child, &name)
    }
}

impl Server {
    /// Waits until the child says where it listens.
    fn announced(side: Side, mut child: Child, name: &str) -> io::Result<Self> {
        let (output, errors) = (last_lines(child.stdout.take()), last_lines(child.stderr.take()));
        let mut server =
            Self { host: SocketAddr::from(([127, 0, 0, 1], 0)), pids: Pids::of(child.id()), child, output, errors };
        let deadline = Instant::now() + START;
        loop {
            if let Some(host) = server.said(|line| address(line)) {
                server.host = host;
                server.pids = Pids::named(server.child.id(), name);
                if server.pids.is_empty() {
                    return Err(io::Error::other(format!("{side:?} runs no process with the name {name}")));
                }
                return Ok(server);
            }
            if Instant::now() > deadline || server.child.try_wait()?.is_some() {
                return Err(io::Error::other(format!("{side:?} did not start: {}", server.last_lines())));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the server printed last on standard error.
    pub(crate) fn last_lines(&self) -> String {
        let lines = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn said<T>(&self, of: impl FnMut(&String) -> Option<T>) -> Option<T> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(of)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

/// Keeps the last lines of what a child prints, and reads all of it, so that the child does not wait.
fn last_lines(from: Option<impl io::Read + Send + 'static>) -> Lines {
    let kept = Lines::default();
    let Some(from) = from else { return kept };
    let into = Arc::clone(&kept);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut lines = into.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    });
    kept
}

/// Where a server listens, from the line that says so: `listening on http://127.0.0.1:1` or `{"port": 1}`.
fn address(line: &str) -> Option<SocketAddr> {
    if let Some((_, host)) = line.split_once("listening on http://") {
        return host.trim().parse().ok();
    }
    let port = serde_json::from_str::<Value>(line).ok()?["port"].as_u64()?;
    Some(SocketAddr::from(([127, 0, 0, 1], port.try_into().ok()?)))
}

/// A process's name, as `/proc` has it: it is cut after 15 bytes.
fn process_name(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    name.chars().take(15).collect()
}

/// Builds `roommate`, where it is not built yet, and returns its path.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn build() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "roommate-server", "--bin", "roommate"])
        .args(["--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next();
    program.ok_or_else(|| io::Error::other("`cargo build --release -p roommate-server --bin roommate` failed"))
}

/// A new directory beside this program, which is on a disk where the target directory is.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn new_directory(parent: Option<&Path>) -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let parent = parent.or_else(|| program.parent()).unwrap_or_else(|| Path::new("."));
    let directory = parent.join(format!("load-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_where_it_listens_in_either_form() {
        let at = Some(SocketAddr::from(([127, 0, 0, 1], 4000)));
        assert_eq!(address("listening on http://127.0.0.1:4000"), at);
        assert_eq!(address(r#"{"port":4000}"#), at);
        assert_eq!(address("rooms are stored in rooms.db"), None);
        assert_eq!(address("404"), None);
    }
}
