//! The other side: a Node process that runs scripts on a TinyBase store.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Command},
};

use serde::Deserialize;
use serde_json::Value;

use super::script::Script;
use crate::{child::Kept, npm};

/// A process that answers one script after the other.
#[derive(Debug)]
pub(crate) struct Original {
    process: Kept,
    scripts: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What TinyBase did with a script.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    pub(crate) trace: Vec<Value>,
    /// How many of its rollbacks did not restore what was.
    pub(crate) wrong_rollbacks: usize,
}

impl Original {
    /// Starts the process; `None` where there is no Node, which the test then says.
    pub(crate) fn start(story: &str) -> Option<Self> {
        let directory = npm::originals(story)?;
        let (process, scripts, answers) =
            Kept::spawn(Command::new("node").arg("differential.mjs").current_dir(directory));
        Some(Self { process, scripts, answers: BufReader::new(answers) })
    }

    /// Runs a script on a new store.
    ///
    /// # Panics
    ///
    /// When the process fails, with what it said last.
    pub(crate) fn run(&mut self, script: &Script) -> Answer {
        let line = serde_json::to_string(script).expect("a script is JSON") + "\n";
        let mut answer = String::new();
        let asked = self.scripts.write_all(line.as_bytes()).and_then(|()| self.answers.read_line(&mut answer));
        match (asked, serde_json::from_str(&answer)) {
            (Ok(_), Ok(answer)) => answer,
            (asked, _) => {
                std::thread::sleep(std::time::Duration::from_millis(200));
                panic!("the driver of TinyBase failed at {line}{asked:?}\n{}", self.process.last_words())
            }
        }
    }
}
