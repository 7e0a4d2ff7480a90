//! Their side: TinyBase in a Node process, told a case a line.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A running Node. It ends when its standard input does.
#[derive(Debug)]
pub(crate) struct Node {
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Node {
    pub(crate) fn start(originals: &Path) -> Self {
        let mut child = Command::new("node")
            .args(["--expose-gc", "--max-old-space-size=4096", "store_bench.mjs"])
            .current_dir(originals)
            .env("NODE_ENV", "production")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped")).lines();
        Self { input: child.stdin.take(), output, child }
    }

    /// Runs a case once and returns what one unit took.
    pub(crate) fn run(&mut self, case: &str) -> f64 {
        let input = self.input.as_mut().expect("open until the drop");
        writeln!(input, "{case}").expect("node listens");
        let line = self.output.next().expect("node answers").expect("a line of text");
        line.parse().unwrap_or_else(|_| panic!("not a number: {line:?}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
