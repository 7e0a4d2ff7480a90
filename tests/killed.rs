//! A program that is killed while a real server takes its edits, and comes back.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use futures_util::StreamExt;
use roommate::{Cell, Changes, Content, Engine, Map, Notice, Persister, Save, Store};
use roommate_file::FilePersister;
use roommate_partykit::{
    PartyKitConfig, PartyKitPersister, PartySocket, PartySocketOptions, TokioRuntime, proto::RoomConfig,
};
use roommate_server::{Server, ServerConfig};

#[path = "proxy/proxy.rs"]
#[expect(dead_code, unused_imports, reason = "this story only holds answers back")]
mod proxy;
#[path = "support/until.rs"]
mod until;

use proxy::Proxy;
use until::{until, within};

/// Where the program keeps its outbox, and where its server listens; set for the program alone.
const OUTBOX: &str = "ROOMMATE_TEST_OUTBOX";
const HOST: &str = "ROOMMATE_TEST_HOST";

/// How many edits the program makes before it is killed.
const EDITS: u32 = 1000;

/// The server takes some of the edits, and its answers never reach the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_r7_a_killed_programs_edits_sent_and_unsent_are_all_made_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox.json");
    // Somebody counts what the room tells of, and is told nothing twice.
    let room = RoomConfig::new().with_cures(false);
    let server = Server::bind("127.0.0.1:0", ServerConfig::new().with_room(room)).await.unwrap().spawn();
    let host = server.local_addr().to_string();
    let observer = persister(&host, PartyKitConfig::new().with_extended_dialect(false));
    let mut seed = Content::new();
    seed.values.insert("seed", 1.into());
    let seed = || seed.clone();
    within("a first save", observer.save(Save::new(&seed, None))).await.unwrap();
    let mut told = within("a watch", observer.watch()).await.unwrap();
    let mut rows = Vec::new();

    let proxy = Proxy::start(&host).await;
    let mut program = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_program_that_is_killed", "--nocapture"])
        .env(OUTBOX, &outbox)
        .env(HOST, proxy.host())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut orders = program.stdin.take().unwrap();
    assert!(said.any(|line| line.unwrap().contains("joined")));
    proxy.sockets.to_client.hold();
    writeln!(orders, "write").unwrap();
    assert!(said.any(|line| line.unwrap().contains("half of them kept")));
    hear(&mut told, &mut rows).await;
    proxy.sockets.to_server.hold();
    writeln!(orders, "write").unwrap();
    assert!(said.any(|line| line.unwrap().contains("all of them kept")));
    program.kill().unwrap();
    program.wait().unwrap();
    let held = within("a load", observer.load()).await.unwrap().unwrap();
    let taken = held.tables["edits"].len();
    assert!(taken <= EDITS as usize / 2);

    let store = Store::new();
    let engine = Engine::builder(&store, persister(&host, PartyKitConfig::new()))
        .with_runtime(TokioRuntime::current().unwrap())
        .with_outbox(FilePersister::new(&outbox))
        .build();
    until("the edits are back", || store.row_count("edits") == EDITS as usize).await;
    let kept = engine.unconfirmed().len();
    println!("the server has {taken} of {EDITS} edits, and the outbox all of them in {kept} parts");
    assert!(kept > 1);
    within("joining", engine.start_auto_persisting(None)).await.unwrap();
    store.set_cell("edits", "last", "c", 1).unwrap();
    within("a flush", engine.flush()).await.unwrap();
    while rows.last().is_none_or(|row| row != "last") {
        hear(&mut told, &mut rows).await;
    }
    let made: Vec<String> = (0..EDITS).map(|edit| format!("{edit:04}")).chain(["last".to_owned()]).collect();
    assert_eq!(rows, made, "each once, in the order in which they were made");
    let held = within("a load", observer.load()).await.unwrap();
    assert_eq!(held, Some(store.content()));
    assert_eq!(within("the end", engine.destroy()).await, []);
}

/// What was edited offline, over many runs of a program, is more than a stream of notices keeps for who does not read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_a_client_comes_back_however_many_edits_its_outbox_has() {
    const MANY: usize = 1300;
    let server = Server::bind("127.0.0.1:0", ServerConfig::new()).await.unwrap().spawn();
    let host = server.local_addr().to_string();
    let observer = persister(&host, PartyKitConfig::new());
    let seed = Content::new;
    within("a first save", observer.save(Save::new(&seed, None))).await.unwrap();
    for extended in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let outbox = FilePersister::new(folder.path().join("outbox.json"));
        let mut kept = Content::new();
        for number in 1..=MANY {
            let mut edit = Changes::new();
            edit.set_cell("edits", format!("{extended} {number}"), "c", number.try_into().unwrap());
            let row = [("changes", Cell::try_from(edit.to_json()).unwrap())];
            kept.tables.get_or_default(&"edits".into()).insert(number.to_string(), row.into_iter().collect());
        }
        kept.values.insert("client", format!("client {extended}").try_into().unwrap());
        kept.values.insert("made", MANY.try_into().unwrap());
        let kept = || kept.clone();
        outbox.save(Save::new(&kept, None)).await.unwrap();

        let store = Store::new();
        let config = PartyKitConfig::new().with_extended_dialect(extended);
        let engine = Engine::builder(&store, persister(&host, config))
            .with_runtime(TokioRuntime::current().unwrap())
            .with_outbox(outbox)
            .build();
        within("coming back", engine.start_auto_persisting(None)).await.unwrap();
        within("a flush", engine.flush()).await.unwrap();
        assert_eq!(engine.unconfirmed(), []);
        assert_eq!(within("a load", observer.load()).await.unwrap(), Some(store.content()));
        assert_eq!(within("the end", engine.destroy()).await, []);
    }
}

/// Does nothing, unless it is the program of the other test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_that_is_killed() {
    let (Ok(outbox), Ok(host)) = (env::var(OUTBOX), env::var(HOST)) else { return };
    let store = Store::new();
    let engine = Engine::builder(&store, persister(&host, PartyKitConfig::new()))
        .with_runtime(TokioRuntime::current().unwrap())
        .with_outbox(FilePersister::new(outbox.clone()))
        .build();
    engine.start_auto_persisting(None).await.unwrap();
    println!("joined");
    for (edits, which) in [(0..EDITS / 2, "half"), (EDITS / 2..EDITS, "all")] {
        // It is told when to write.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        let last = format!("{:04}", edits.end - 1);
        for edit in edits {
            store.set_cell("edits", format!("{edit:04}"), "c", edit).unwrap();
            // Each a transaction of its own that may be kept and sent by itself.
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        until("they are in the outbox", || std::fs::read_to_string(&outbox).is_ok_and(|text| text.contains(&last)))
            .await;
        println!("{which} of them kept");
    }
    std::future::pending().await
}

fn persister(host: &str, config: PartyKitConfig) -> PartyKitPersister {
    let socket = PartySocket::new(PartySocketOptions::new(host, "room")).unwrap();
    PartyKitPersister::new(&socket, config).unwrap()
}

/// Notes the rows of the next changes that the room tells of.
async fn hear(told: &mut (impl StreamExt<Item = roommate::Result<Notice>> + Unpin), rows: &mut Vec<String>) {
    let changes: Changes = match within("a notice", told.next()).await {
        Some(Ok(Notice::Changes(changes))) => changes,
        other => panic!("{other:?}"),
    };
    rows.extend(changes.tables.values().flatten().flat_map(Map::keys).map(ToString::to_string));
}
