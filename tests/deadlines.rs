//! An engine ends within its deadline, whatever its place, its transport and its runtime do.

use std::time::Duration;

use futures_core::stream::BoxStream;
use roommate::{
    Capability, Changes, Content, Engine, ErrorKind, Id, Notice, Persister, Receipt, Result, Save, Saved, Store,
    block_on,
};
use roommate_file::FilePersister;
use roommate_partykit::{PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions, TokioRuntime};

#[path = "support/away.rs"]
mod away;

use away::Away;

#[test]
fn an_engine_whose_runtime_has_ended_says_so_and_lists_its_edits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Store::new();
    let engine = {
        let _entered = runtime.enter();
        let tokio = TokioRuntime::current().unwrap();
        Engine::builder(&store, Away).with_runtime(tokio).build()
    };
    let waiting = engine.start_auto_persisting(None);
    store.set_value("v", 1).unwrap();
    runtime.block_on(async { tokio::task::yield_now().await });
    drop(runtime);
    for pending in [waiting, engine.flush()] {
        let error = block_on(pending).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(error.to_string().contains("runtime ended"), "{error}");
    }
    store.set_value("w", 1).unwrap();
    let edits = block_on(engine.destroy());
    let values = edits.iter().flat_map(|changes| changes.values.keys()).map(Id::as_str);
    assert_eq!(values.collect::<Vec<_>>(), ["v", "w"]);
}

#[test]
fn r4_an_engine_with_an_edit_for_a_room_that_cannot_be_reached_is_destroyed_in_time() {
    ends(|| async {
        let folder = tempfile::tempdir().unwrap();
        // An address where nobody listens.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        drop(listener);
        let store = Store::new();
        let socket = PartySocket::new(PartySocketOptions::new(host, "r"));
        let config = PartyKitConfig::new();
        let persister = PartyKitPersister::new(&socket.unwrap(), config).unwrap();
        let engine = Engine::builder(&store, persister)
            .with_runtime(TokioRuntime::current().unwrap())
            .with_outbox(FilePersister::new(folder.path().join("outbox.json")))
            .with_flush_deadline(Duration::from_millis(300))
            .build();
        let started = engine.start_auto_persisting(None);
        store.set_value("v", 1).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(engine.destroy().await.len(), 1);
        assert_eq!(started.await.unwrap_err().kind(), ErrorKind::Closed);
    });
}

#[test]
fn r4_a_deadline_holds_for_a_place_that_never_stops_telling() {
    ends(|| async {
        let store = Store::new();
        let engine = Engine::builder(&store, Talker)
            .with_runtime(TokioRuntime::current().unwrap())
            .with_flush_deadline(Duration::from_millis(300))
            .build();
        engine.start_auto_persisting(None).await.unwrap();
        store.set_value("v", 1).unwrap();
        assert_eq!(engine.destroy().await.len(), 1);
    });
}

/// Runs the story on a thread of its own and a runtime of one thread, and panics if it does not end.
fn ends<F: Future<Output = ()>>(story: impl FnOnce() -> F + Send + 'static) {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story());
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(60)).expect("the story ends");
}

/// A place that takes everything, confirms nothing, and always has something to tell.
#[derive(Debug)]
struct Talker;

#[async_trait::async_trait]
impl Persister for Talker {
    fn capability(&self) -> Capability {
        Away.capability()
    }

    async fn load(&self) -> Result<Option<Content>> {
        Ok(Some(Content::new()))
    }

    async fn save(&self, _: Save<'_>) -> Result<Saved> {
        Ok(Saved::Later(Receipt(1)))
    }

    async fn watch(&self) -> Result<BoxStream<'static, Result<Notice>>> {
        let told = futures_util::stream::repeat_with(|| Ok(Notice::Changes(Changes::new())));
        Ok(Box::pin(told))
    }
}
