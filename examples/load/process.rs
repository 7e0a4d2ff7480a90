//! What processes use, as `/proc` has it.

use std::{
    fs, io,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Processes that are measured together.
#[derive(Clone, Debug)]
pub(crate) struct Pids(Vec<u32>);

impl Pids {
    pub(crate) fn of(pid: u32) -> Self {
        Self(vec![pid])
    }

    pub(crate) fn this() -> Self {
        Self::of(std::process::id())
    }

    /// The process and all that it started, directly or not, whose program has this name.
    pub(crate) fn named(root: u32, name: &str) -> Self {
        let processes: Vec<Process> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(process)
            .collect();
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(&parent) = tree.get(next) {
            tree.extend(processes.iter().filter(|process| process.parent == parent).map(|process| process.pid));
            next += 1;
        }
        let is_named = |process: &&Process| process.name == name && tree.contains(&process.pid);
        Self(processes.iter().filter(is_named).map(|process| process.pid).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// CPU time of all threads that live, in nanoseconds.
    pub(crate) fn cpu(&self) -> u64 {
        let tasks = self.0.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten().flatten();
        let used = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        used.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let resident = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
        };
        self.0.iter().filter_map(resident).sum()
    }
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

/// Reads `pid (name) state parent ...`.
fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let parent = after.split_whitespace().nth(1)?.parse().ok()?;
    Some(Process { pid, parent, name })
}

/// Runs a program until it ends or standard input does, however the process that holds the other end of it ends.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn run_until_closed(program: &[String]) -> io::Result<()> {
    let [program, arguments @ ..] = program else { return Err(io::Error::other("no program is named")) };
    let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn()?;
    let is_closed = Arc::new(AtomicBool::new(false));
    let closed = Arc::clone(&is_closed);
    thread::spawn(move || {
        wait_until_closed();
        closed.store(true, Ordering::Relaxed);
    });
    while child.try_wait()?.is_none() {
        if is_closed.load(Ordering::Relaxed) {
            child.kill()?;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Ends this process when standard input ends.
pub(crate) fn exit_when_closed() {
    thread::spawn(|| {
        wait_until_closed();
        std::process::exit(0);
    });
}

fn wait_until_closed() {
    let _ended_or_broken = io::copy(&mut io::stdin(), &mut io::sink());
}

/// Waits for a child to end after its standard input was closed.
pub(crate) fn end(child: &mut Child) {
    drop(child.stdin.take());
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_under_its_own_name_and_uses_something() {
        let pid = std::process::id();
        let this = process(pid).expect("/proc has this process");
        let found = Pids::named(this.parent, &this.name);
        assert!(found.0.contains(&pid), "{found:?}");
        assert!(found.cpu() > 0 && found.resident() > 100_000);
        assert!(Pids::named(pid, "no such program").is_empty());
    }
}
