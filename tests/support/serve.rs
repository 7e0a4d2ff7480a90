//! The program `roommate serve`, as users run it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{ChildStdin, Command, Stdio},
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
    _program: Kept,
    _until_closed: ChildStdin,
    _folder: TempDir,
}

impl Serve {
    /// Starts the program on a free port, with some more arguments, and waits until it listens. `directory` has what ends it.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.current_dir(directory).arg("until-closed.mjs").arg(executable());
        let folder = TempDir::new().expect("a folder for the rooms");
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("rooms.db"))
            .args(arguments);
        let (program, until_closed, stdout) = Kept::spawn(&mut command);
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let Some(host) = line.trim_end().strip_prefix("listening on http://") else {
            panic!("`roommate serve` did not start; it said\n{}", program.last_words());
        };
        Self { host: host.to_owned(), _program: program, _until_closed: until_closed, _folder: folder }
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
