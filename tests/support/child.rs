//! A child process that ends when this one does, and whose last words are kept for the failure message.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// How many of a child's last lines on standard error are kept.
const KEPT_LINES: usize = 60;

/// A running child. It is written so that it ends when its standard input does, which happens even when this process is
/// killed; [`Kept`] therefore needs no clean-up.
#[derive(Debug)]
pub(crate) struct Kept {
    words: Arc<Mutex<VecDeque<String>>>,
    child: Child,
}

impl Kept {
    /// Starts `command` and hands out the two ends of the conversation with it.
    pub(crate) fn spawn(command: &mut Command) -> (Self, ChildStdin, ChildStdout) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let words = Arc::new(Mutex::new(VecDeque::new()));
        let heard = Arc::clone(&words);
        thread::spawn(move || keep_last_lines(stderr, &heard));
        (Self { words, child }, stdin, stdout)
    }

    /// What the child said last on standard error.
    pub(crate) fn last_words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Waits until the child has ended.
    pub(crate) fn wait(mut self) {
        self.child.wait().expect("a child can be waited for");
    }
}

fn keep_last_lines(from: impl Read, into: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        let mut words = into.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == KEPT_LINES {
            words.pop_front();
        }
        words.push_back(line);
    }
}
