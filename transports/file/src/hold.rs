//! Stops a test's save at the point where everything is written but the file does not have its name yet.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        mpsc::{self, Receiver, Sender},
    },
};

use crate::disk;

static TO_HOLD: Mutex<Vec<ToHold>> = Mutex::new(Vec::new());

struct ToHold {
    path: PathBuf,
    reach: Sender<()>,
    opened: Receiver<()>,
}

/// A save that is stopped, or will be. Dropping this lets the save continue.
#[derive(Debug)]
pub(crate) struct Held {
    reached: Receiver<()>,
    _open: Sender<()>,
}

/// Stops the next save of the file at `path`.
pub(crate) fn next_save(path: &Path) -> Held {
    let ((reach, reached), (open, opened)) = (mpsc::channel(), mpsc::channel());
    TO_HOLD.lock().unwrap().push(ToHold { path: disk::full_path(path).unwrap(), reach, opened });
    Held { reached, _open: open }
}

impl Held {
    /// Waits until the save has reached that point.
    pub(crate) fn wait_until_reached(&self) {
        self.reached.recv().unwrap();
    }
}

/// The point at which a save of the file is stopped.
pub(crate) fn pass(path: &Path) {
    let held = {
        let mut to_hold = TO_HOLD.lock().unwrap();
        to_hold.iter().position(|held| held.path == path).map(|index| to_hold.remove(index))
    };
    if let Some(held) = held {
        // A test that has ended waits for nothing.
        let _ = held.reach.send(());
        // No value is ever sent. The wait ends when the other end is dropped.
        let _ = held.opened.recv();
    }
}
