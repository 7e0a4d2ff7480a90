//! Edits that outlive the process: an outbox, and a program that is killed.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    pin::pin,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{Either, select};
use roommate::{Changes, Engine, Error, ErrorKind, Id, Memory, Persister, Runtime, Store, Threads, block_on};
use roommate_file::FilePersister;

#[path = "support/away.rs"]
mod away;

use away::Away;

/// Where a program of this test keeps its outbox; set for the program alone.
const OUTBOX: &str = "ROOMMATE_TEST_OUTBOX";

/// What a place was given: the number of an edit, and the rows of its changes.
type Given = (u64, Vec<Id>);

/// How many edits the program makes before it is killed.
const EDITS: i32 = 1000;

fn engine(store: &Store, place: &Memory, outbox: &Path) -> Engine {
    Engine::builder(store, place.client()).with_outbox(FilePersister::new(outbox)).build()
}

/// Tells a story, and panics if it has no end.
fn within_a_minute(story: impl Future<Output = ()>) {
    block_on(async {
        match select(pin!(story), Threads.sleep(Duration::from_secs(60))).await {
            Either::Left(_) => {}
            Either::Right(_) => panic!("the story has no end"),
        }
    });
}

/// Resolves when `done` holds, or panics after a minute.
async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..6000 {
        if done() {
            return;
        }
        Threads.sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} never came");
}

#[test]
fn r4_edits_that_no_place_could_take_are_there_when_the_program_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox.json");
    let place = Memory::new();
    within_a_minute(async {
        let store = Store::new();
        let first = engine(&store, &place, &outbox);
        store.set_cell("t", "r", "c", 1).unwrap();
        store.set_value("v", "offline").unwrap();
        // Never started: nothing is sent. The outbox has all of it by the end.
        let left = first.destroy().await;
        assert!(!left.is_empty());
        assert_eq!(place.content(), None);

        let store = Store::new();
        let second = engine(&store, &place, &outbox);
        until("what was left", || store.has_value("v")).await;
        assert!(store.has_cell("t", "r", "c"));
        second.start_auto_persisting(None).await.unwrap();
        second.flush().await.unwrap();
        assert_eq!(place.content(), Some(store.content()));
        assert_eq!(second.destroy().await, []);

        let store = Store::new();
        let third = engine(&store, &place, &outbox);
        third.save().await.unwrap();
        assert_eq!(third.unconfirmed(), [], "what was confirmed is not sent again");
        third.destroy().await;
    });
}

#[test]
fn r5_what_others_wrote_meanwhile_is_there_under_the_edits_that_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox.json");
    let place = Memory::new();
    within_a_minute(async {
        let store = Store::new();
        let first = engine(&store, &place, &outbox);
        store.set_cell("t", "mine", "c", 1).unwrap();
        first.destroy().await;

        let mut others = Changes::new();
        others.set_cell("t", "theirs", "c", 2.into());
        others.set_cell("t", "mine", "d", 3.into());
        place.apply_changes(&others);

        let store = Store::new();
        let second = engine(&store, &place, &outbox);
        second.start_auto_persisting(None).await.unwrap();
        second.flush().await.unwrap();
        let shown = [("mine", "c"), ("mine", "d"), ("theirs", "c")].map(|(row, cell)| store.cell("t", row, cell));
        assert_eq!(shown, [1, 3, 2].map(|cell| Some(cell.into())));
        assert_eq!(place.content(), Some(store.content()));
        second.destroy().await;
    });
}

#[test]
fn an_outbox_that_cannot_be_read_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox.json");
    std::fs::write(&outbox, "no edits").unwrap();
    let errors: Arc<Mutex<Vec<Error>>> = Arc::default();
    let heard = errors.clone();
    let store = Store::new();
    let engine = Engine::builder(&store, Memory::new().client())
        .with_outbox(FilePersister::new(&outbox))
        .with_on_ignored_error(move |error| heard.lock().unwrap().push(error))
        .build();
    let error = block_on(engine.start_auto_persisting(None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let heard = errors.lock().unwrap();
    assert_eq!(heard[0].kind(), ErrorKind::Corrupt);
    assert!(heard[0].to_string().contains("outbox.json"), "{}", heard[0]);
    assert_eq!(std::fs::read_to_string(&outbox).unwrap(), "no edits");
}

#[test]
fn an_outbox_that_is_the_place_of_another_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pets.json");
    let pets = r#"[{"pets":{"fido":{"species":"dog"}}},{"open":true}]"#;
    std::fs::write(&file, pets).unwrap();
    let store = Store::new();
    let engine = engine(&store, &Memory::new(), &file);
    store.set_value("open", false).unwrap();
    block_on(async {
        let error = engine.start_auto_persisting(None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(error.to_string().contains("a place of its own"), "{error}");
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Error>()).unwrap();
        assert_eq!(cause.kind(), ErrorKind::Corrupt);
        store.set_value("later", 1).unwrap();
        let edits = engine.unconfirmed();
        let values: Vec<_> = edits.iter().flat_map(|changes| changes.values.keys()).map(Id::as_str).collect();
        assert_eq!(values, ["open", "later"], "what is edited is listed, before the engine ended and after");
        engine.destroy().await;
    });
    assert_eq!(std::fs::read_to_string(&file).unwrap(), pets);
}

#[test]
fn an_outbox_that_is_the_engines_own_place_is_refused_before_there_is_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (file, memory) = (folder.path().join("pets.json"), Memory::new());
    let store = Store::new();
    let of_file = Engine::builder(&store, FilePersister::new(&file))
        .with_outbox(FilePersister::new(folder.path().join(".").join("pets.json")));
    let of_memory = Engine::builder(&store, memory.client()).with_outbox(memory.client());
    for engine in [of_file.build(), of_memory.build()] {
        store.set_value("open", false).unwrap();
        block_on(async {
            let error = engine.start_auto_persisting(None).await.unwrap_err();
            let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Error>()).unwrap();
            assert_eq!(cause.kind(), ErrorKind::Invalid);
            assert!(cause.to_string().contains("the store's own place"), "{cause}");
            engine.destroy().await;
        });
    }
    assert!(!file.exists());
    assert_eq!(memory.content(), None);
}

#[test]
fn an_outbox_whose_folder_is_missing_fails_whoever_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("none/outbox.json");
    let store = Store::new();
    let engine = engine(&store, &Memory::new(), &outbox);
    store.set_value("v", 1).unwrap();
    block_on(async {
        let error = engine.flush().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string().matches("none").count(), 1, "{error}");
        assert!(error.to_string().contains("make the folder"), "{error}");
        std::fs::create_dir(folder.path().join("none")).unwrap();
        until("the outbox", || outbox.exists()).await;
        engine.flush().await.unwrap();
        assert_eq!(engine.destroy().await, []);
    });
}

#[test]
fn r4_a_deadline_holds_for_an_outbox_that_never_answers() {
    let store = Store::new();
    let (outbox, faults) = roommate::conformance::Flaky::new(Memory::new().client());
    let gate = roommate::conformance::Gate::new();
    faults.next(roommate::conformance::Op::Load, roommate::conformance::Fault::Hold(gate.clone()));
    let engine =
        Engine::builder(&store, Away).with_outbox(outbox).with_flush_deadline(Duration::from_millis(100)).build();
    store.set_value("v", 1).unwrap();
    let flush = engine.flush();
    assert_eq!(block_on(engine.destroy()).len(), 1);
    assert_eq!(block_on(flush).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn r7_the_edits_of_a_program_that_is_killed_are_confirmed_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox.json");

    // This test program again, as the one that is killed.
    let mut program = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_program_that_is_killed", "--nocapture"])
        .env(OUTBOX, &outbox)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(program.stdout.take().unwrap()).lines().any(|line| line.unwrap().contains("all kept"));
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(said, "the program made its edits");

    // It holds something, so that nothing is offered to it as a whole.
    let place = Memory::new();
    let mut seed = Changes::new();
    seed.set_value("seed", 1.into());
    place.apply_changes(&seed);
    let log: Arc<Mutex<Vec<Given>>> = Arc::default();
    within_a_minute(async {
        let store = Store::new();
        let counting = Counting { inner: place.client(), log: log.clone() };
        let engine = Engine::builder(&store, counting).with_outbox(FilePersister::new(&outbox)).build();
        engine.start_auto_persisting(None).await.unwrap();
        engine.flush().await.unwrap();
        let missing: Vec<_> = (0..EDITS).filter(|edit| !store.has_row("edits", &format!("{edit:04}"))).collect();
        assert!(missing.is_empty(), "{missing:?} are not there; {}", std::fs::read_to_string(&outbox).unwrap());
        assert_eq!(place.content(), Some(store.content()));
        assert_eq!(engine.destroy().await, []);
    });

    let log = log.lock().unwrap();
    let numbers: Vec<u64> = log.iter().map(|(number, _)| *number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "each edit is given once, and in order");
    let rows: Vec<String> = log.iter().flat_map(|(_, rows)| rows).map(ToString::to_string).collect();
    let made: Vec<String> = (0..EDITS).map(|edit| format!("{edit:04}")).collect();
    assert_eq!(rows, made, "all of them, in the order in which they were made");
    let content = FilePersister::new(&outbox);
    let left = block_on(content.load()).unwrap().unwrap();
    assert!(left.tables.is_empty(), "nothing is left to be sent");
}

/// Does nothing, unless it is the program of another test.
#[test]
fn the_program_that_is_killed() {
    let Ok(outbox) = env::var(OUTBOX) else { return };
    let store = Store::new();
    let engine = Engine::builder(&store, Away).with_outbox(FilePersister::new(outbox.clone())).build();
    engine.start_auto_persisting(None);
    for edit in 0..EDITS {
        store.set_cell("edits", format!("{edit:04}"), "c", edit).unwrap();
        // Each a transaction of its own that the outbox may keep by itself.
        std::thread::sleep(Duration::from_micros(300));
    }
    // A row's id, in JSON that is a text in JSON. The random name of the client may have the same digits.
    let last = format!("{:04}\\\"", EDITS - 1);
    block_on(until("the last edit in the outbox", || {
        std::fs::read_to_string(&outbox).is_ok_and(|text| text.contains(&last))
    }));
    println!("all kept");
    loop {
        std::thread::park();
    }
}

/// Notes what is given to a place.
#[derive(Debug)]
struct Counting {
    inner: roommate::MemoryPersister,
    log: Arc<Mutex<Vec<Given>>>,
}

#[async_trait::async_trait]
impl Persister for Counting {
    fn capability(&self) -> roommate::Capability {
        self.inner.capability()
    }

    async fn load(&self) -> roommate::Result<Option<roommate::Content>> {
        self.inner.load().await
    }

    async fn save(&self, save: roommate::Save<'_>) -> roommate::Result<roommate::Saved> {
        if let (Some(changes), Some(edit)) = (save.changes(), save.edit()) {
            let rows = changes.tables.values().flatten().flat_map(roommate::Map::keys);
            self.log.lock().unwrap().push((edit.number, rows.cloned().collect()));
        }
        self.inner.save(save).await
    }

    async fn watch(
        &self,
    ) -> roommate::Result<futures_core::stream::BoxStream<'static, roommate::Result<roommate::Notice>>> {
        self.inner.watch().await
    }
}
