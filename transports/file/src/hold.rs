//! Holds a test's save when all is written but the file's new name.

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

/// A save that is held, or will be; dropped, it lets it go on.
#[derive(Debug)]
pub(crate) struct Held {
    reached: Receiver<()>,
    _open: Sender<()>,
}

/// Holds the next save of the file at `path`.
pub(crate) fn next_save(path: &Path) -> Held {
    let ((reach, reached), (open, opened)) = (mpsc::channel(), mpsc::channel());
    TO_HOLD.lock().unwrap().push(ToHold { path: disk::full_path(path).unwrap(), reach, opened });
    Held { reached, _open: open }
}

impl Held {
    /// Waits until the save is there.
    pub(crate) fn wait_until_reached(&self) {
        self.reached.recv().unwrap();
    }
}

/// Where a save of the file is held.
pub(crate) fn pass(path: &Path) {
    let held = {
        let mut to_hold = TO_HOLD.lock().unwrap();
        to_hold.iter().position(|held| held.path == path).map(|index| to_hold.remove(index))
    };
    if let Some(held) = held {
        // A test that has ended waits for nothing.
        let _ = held.reach.send(());
        // Nothing is ever sent: it ends when the other end goes.
        let _ = held.opened.recv();
    }
}
