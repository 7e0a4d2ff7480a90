//! Turns: calls work with a file one after another.
//!
//! The work of a call runs on a thread, which continues when the call is dropped. So a save that an engine gave up
//! could overwrite what was saved later, or change the file after a later call has loaded it. Two rules prevent this
//! for all persisters of this process:
//!
//! * A thread works with a file only while it has the file's turn. So work that had begun when its call was dropped is
//!   over when a later call has its turn.
//! * A thread that gets the turn checks whether its call still waits. So work that had not begun when its call was
//!   dropped never begins.
//!
//! No other order is needed: of two calls that both still wait, either may be first.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};

use futures_channel::oneshot;
use roommate::{Error, ErrorKind, Result};

use crate::disk;

/// The lock that a thread holds while it works with a file.
type Turn = Mutex<()>;

/// The turns of the files that threads work with or wait for, by full path.
static TURNS: Mutex<BTreeMap<PathBuf, Weak<Turn>>> = Mutex::new(BTreeMap::new());

/// Does blocking work with the file at `path`, or with the file that it links to, when it is the caller's turn. The
/// work runs on a thread of its own, independent of the caller's runtime. It receives the file's full path.
///
/// If the future is dropped, the work is done before that of any later call, or not at all.
pub(crate) async fn in_turn<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<io::Result<T>> {
    let (done, wait) = oneshot::channel();
    let path = path.to_path_buf();
    let thread = thread::Builder::new().name("a file's turn".to_owned());
    let spawned = thread.spawn(move || {
        let path = disk::full_path(&path).unwrap_or(path);
        let turn = turn_of(&path);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Checked only now: if the call was dropped meanwhile, a later call may have had its turn.
        if done.is_canceled() {
            return;
        }
        // The caller may have stopped waiting.
        let _ = done.send(work(&path));
    });
    spawned.map_err(|error| Error::with_source(ErrorKind::Unavailable, "there is no thread for the file", error))?;
    wait.await.map_err(|_| Error::new(ErrorKind::Callback, "the file's thread panicked"))
}

fn turn_of(path: &Path) -> Arc<Turn> {
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(turn) = turns.get(path).and_then(Weak::upgrade) {
        return turn;
    }
    // Forgets files that no thread works with any more. This is as good a moment as any.
    turns.retain(|_, turn| turn.strong_count() > 0);
    let turn = Arc::default();
    turns.insert(path.to_path_buf(), Arc::downgrade(&turn));
    turn
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        pin::pin,
        sync::mpsc,
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use roommate::{Changes, Content, Engine, Memory, Persister, Save, Saved, Store, block_on};

    use super::*;
    use crate::{FilePersister, hold};

    fn content(to: i32) -> Content {
        let mut changes = Changes::new();
        changes.set_value("v", to.into());
        let mut content = Content::new();
        content.apply(&changes);
        content
    }

    fn save(persister: &FilePersister, content: &Content) -> Result<Saved> {
        block_on(persister.save(Save::new(&|| content.clone(), None)))
    }

    /// Starts the future.
    fn begin<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Gives an unwanted effect time to occur.
    fn wait_for_the_worst() {
        thread::sleep(Duration::from_millis(50));
    }

    /// Saves to a file, and drops the save when everything is written but the file does not have its name yet.
    fn drop_a_save(path: &Path, content: &Content) -> hold::Held {
        let persister = FilePersister::new(path);
        block_on(persister.load()).unwrap();
        let held = hold::next_save(path);
        let content = || content.clone();
        let mut save = persister.save(Save::new(&content, None));
        assert!(begin(&mut save).is_pending());
        held.wait_until_reached();
        held
    }

    #[test]
    fn r4_a_dropped_save_never_overwrites_what_was_saved_later() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let (path, by_another_name) = (folder.path().join("a.json"), folder.path().join("sub/../a.json"));
        let held = drop_a_save(&path, &content(1));
        let later = thread::spawn(move || save(&FilePersister::new(by_another_name), &content(2)));
        wait_for_the_worst();
        drop(held);
        assert_eq!(later.join().unwrap().unwrap(), Saved::Done);
        wait_for_the_worst();
        assert_eq!(block_on(FilePersister::new(path).load()).unwrap(), Some(content(2)));
    }

    #[test]
    fn r4_a_dropped_save_never_happens_behind_a_later_load() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let held = drop_a_save(&path, &content(1));
        let persister = FilePersister::new(&path);
        let mut load = persister.load();
        assert!(begin(&mut load).is_pending());
        wait_for_the_worst();
        drop(held);
        let loaded = block_on(load).unwrap();
        wait_for_the_worst();
        assert_eq!(loaded, Some(content(1)), "it had begun, so it comes before the load");
        assert_eq!(block_on(persister.load()).unwrap(), loaded);
    }

    #[test]
    fn r4_an_outbox_has_the_edits_of_an_engine_that_came_after_one_whose_deadline_passed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.json");
        let engine = |store: &Store| {
            let builder = Engine::builder(store, Memory::new().client()).with_outbox(FilePersister::new(&path));
            builder.with_flush_deadline(Duration::from_millis(20)).build()
        };
        let store = Store::new();
        let first = engine(&store);
        while !path.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        let held = hold::next_save(&path);
        store.set_value("first", 1).unwrap();
        held.wait_until_reached();
        assert_eq!(block_on(first.destroy()).len(), 1, "nothing was ever sent");

        let store = Store::new();
        let second = engine(&store);
        store.set_value("second", 2).unwrap();
        wait_for_the_worst();
        drop(held);
        wait_for_the_worst();
        block_on(second.destroy());
        let kept = block_on(FilePersister::new(&path).load()).unwrap().unwrap();
        let kept = kept.to_json();
        assert!(kept.contains("first") && kept.contains("second"), "{kept}");
    }

    #[test]
    fn r4_what_was_dropped_before_its_turn_is_never_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let ((reach, reached), (open, opened)) = (mpsc::channel(), mpsc::channel::<()>());
        let mut first = Box::pin(in_turn(&path, move |_| Ok(reach.send(()).is_ok() && opened.recv().is_err())));
        assert!(begin(&mut first).is_pending());
        reached.recv().unwrap();
        let (done, was_done) = mpsc::channel();
        let mut second = Box::pin(in_turn(&path, move |_| Ok(done.send(()))));
        assert!(begin(&mut second).is_pending());
        drop(second);
        drop(open);
        assert!(block_on(first).unwrap().unwrap());
        assert!(was_done.recv().is_err(), "its thread has ended and done nothing");
    }

    #[test]
    fn a_turn_that_panics_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let panicked = block_on(in_turn(&path, |_| -> io::Result<()> { panic!("a test") }));
        assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Callback);
        assert_eq!(block_on(in_turn(&path, |_| Ok(1))).unwrap().unwrap(), 1);
    }
}
