//! The program `roommate serve`, as users run it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::child::Kept;

/// A running `roommate serve`. It ends with this process.
#[derive(Debug)]
pub(crate) struct Serve {
    /// Where it listens.
    pub(crate) host: String,
    program: Kept,
    orders: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _folder: Option<TempDir>,
}

impl Serve {
    /// Starts the program on a free port with rooms of its own, with some more arguments, and waits until it listens.
    /// `directory` has what ends it.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder for the rooms");
        let serve = Self::on(directory, "127.0.0.1:0", &folder.path().join("rooms.db"), arguments);
        Self { _folder: Some(folder), ..serve }
    }

    /// The same with the rooms of a file, listening at `listen`.
    pub(crate) fn on(directory: &Path, listen: &str, data: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.current_dir(directory).arg("until-closed.mjs").arg(executable());
        command.args(["serve", "--listen", listen, "--data"]).arg(data).args(arguments);
        let (program, orders, stdout) = Kept::spawn(&mut command);
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let _ = stdout.read_line(&mut line);
        let Some(host) = line.trim_end().strip_prefix("listening on http://") else {
            panic!("`roommate serve` did not start; it said\n{}", program.last_words());
        };
        Self { host: host.to_owned(), program, orders, stdout, _folder: None }
    }

    /// Kills the program, which gets no chance to do anything about it, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.orders.write_all(b"kill\n").expect("the program runs");
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).expect("its output ends with it");
        self.program.wait();
    }
}

/// Builds the program, where it is not built yet, and tells where it is.
fn executable() -> &'static str {
    static EXECUTABLE: OnceLock<String> = OnceLock::new();
    EXECUTABLE.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--package", "roommate-server", "--message-format", "json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .output()
            .expect("cargo can be run");
        let said = String::from_utf8_lossy(&output.stdout);
        let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let executable = messages.filter_map(|message| message["executable"].as_str().map(str::to_owned)).next();
        executable.unwrap_or_else(|| panic!("no program was built:\n{}", String::from_utf8_lossy(&output.stderr)))
    })
}
