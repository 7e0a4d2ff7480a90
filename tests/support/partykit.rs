//! PartyKit's own development server, with the parties of `tests/interop/party`.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{ChildStdin, Command},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::child::Kept;

/// How long the server may take to start: it bundles the parties and starts workerd.
const START: Duration = Duration::from_secs(60);

/// A running `partykit dev`. It ends with this process.
#[derive(Debug)]
pub(crate) struct PartyKit {
    /// Where it listens.
    pub(crate) host: String,
    _server: Kept,
    _until_closed: ChildStdin,
}

impl PartyKit {
    /// Starts the server with the originals of `directory` and waits until it listens.
    pub(crate) fn start(directory: &Path) -> Self {
        let mut command = Command::new("node");
        command.arg("run.mjs").current_dir(directory);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (server, until_closed, stdout) = Kept::spawn(&mut command);
        let (sender, announced) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = announced.recv_timeout(START).unwrap_or_default();
        let Some(port) = serde_json::from_str::<Value>(&line).ok().and_then(|line| line["port"].as_u64()) else {
            panic!("partykit dev did not start; it said\n{}", server.last_words());
        };
        Self { host: format!("127.0.0.1:{port}"), _server: server, _until_closed: until_closed }
    }
}
