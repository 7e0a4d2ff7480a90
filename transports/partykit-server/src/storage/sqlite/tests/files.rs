//! Which files are opened, and how opening changes them.

use super::*;

/// The content of a folder, by name.
fn bytes_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Checks that a file is refused and that its folder stays unchanged. Returns the error.
fn refused(folder: &Path, path: &Path) -> Error {
    let before = bytes_of(folder);
    let error = Sqlite::open(path).unwrap_err();
    assert_eq!(bytes_of(folder), before, "{error}");
    if let Some(name) = path.file_name() {
        assert!(error.to_string().contains(name.to_str().unwrap()), "it names the file: {error}");
    }
    error
}

#[test]
fn r4_a_file_of_a_newer_version_is_refused_with_what_to_do_and_left_as_it_is() {
    let (folder, path) = folder();
    drop(open(&path));
    fs::remove_file(folder.path().join("rooms.db-lock")).unwrap();
    let newer = sql::MIGRATIONS.len() + 1;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", newer as u64).unwrap();
    let error = refused(folder.path(), &path);
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("newer version") && error.to_string().contains("run that version"), "{error}");
    // A file that a crash left with its version only in the write-ahead log.
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();
    let writer = Connection::open(&path).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM rooms").unwrap();
    writer.pragma_update(None, "user_version", newer as u64).unwrap();
    assert_eq!(Sqlite::open(&path).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn r4_what_is_no_file_of_rooms_is_refused_and_left_as_it_is() {
    let (folder, path) = folder();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not a database, and longer than the header of one is: ".repeat(9)).unwrap();
    fs::write(&path, "short").unwrap();
    for path in [&text, &path] {
        let error = refused(folder.path(), path);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("no SQLite database"), "{error}");
    }
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE accounts (id)").unwrap();
    let error = refused(folder.path(), &other);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("another application"), "{error}");
    refused(folder.path(), &folder.path().join(".."));
    let error = refused(folder.path(), folder.path());
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = Sqlite::open(folder.path().join("none/rooms.db")).unwrap_err();
    assert!(error.to_string().contains("there is no folder"), "{error}");
    assert_eq!(Sqlite::open("").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn an_empty_file_becomes_one_of_rooms() {
    let (_folder, path) = folder();
    fs::write(&path, "").unwrap();
    let storage = open(&path);
    Owner::open(&storage, "r").commit(&storage, 1).unwrap();
    drop(storage);
    let header = fs::read(&path).unwrap();
    assert_eq!(&header[68..72], b"Room", "the file says what it is");
    check_integrity(&path);
}

#[test]
fn a_file_of_the_first_version_is_read() {
    let (_folder, path) = folder();
    Connection::open(&path).unwrap().execute_batch(include_str!("fixtures/v1.sql")).unwrap();
    let storage = open(&path);
    let room = RoomName::main("lobby");
    let opened = storage.open(&room, "third", 0).unwrap();
    assert_eq!((opened.epochs.present().number, opened.epochs.present().begins), (3, 3));
    assert_eq!(opened.snapshot.as_deref(), Some(r#"{"number":2,"seq":2,"clients":[],"content":[{},{"open":true}]}"#));
    let [commit] = &*opened.log else { panic!("{:?}", opened.log) };
    assert_eq!((commit.last, commit.seq, commit.time), (3, 3, 1_700_000_002_000));
    assert_eq!(Record::decode_lines(&commit.records).unwrap()[0].author.as_deref(), Some("ann"));
    let listed = storage.list(None, 9).unwrap();
    assert_eq!(listed.iter().map(|info| info.room.to_string()).collect::<Vec<_>>(), ["chess/a%20b", "main/lobby"]);
    let left = "SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM log WHERE room = 2)";
    let left = storage.shared.writer().query_row(left, [], |row| row.get(0));
    assert_eq!(left, Ok(0), "what a crash left of a removed room is removed");
}

#[test]
fn a_file_of_the_first_version_has_the_tables_of_a_new_one() {
    let (folder, path) = folder();
    Connection::open(&path).unwrap().execute_batch(include_str!("fixtures/v1.sql")).unwrap();
    let new = folder.path().join("new.db");
    let [old, new] = [path, new].map(|path| {
        let storage = open(&path);
        let sql = "SELECT m.type, m.name, c.cid, c.name, c.type, c.\"notnull\", c.pk FROM sqlite_schema m \
             LEFT JOIN pragma_table_info(m.name) c UNION ALL SELECT 'part of', m.name, i.seqno, i.name, '', 0, 0 \
             FROM sqlite_schema m JOIN pragma_index_info(m.name) i ORDER BY 2, 3";
        let writer = storage.shared.writer();
        let mut statement = writer.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| (0..7).map(|n| row.get::<_, rusqlite::types::Value>(n)).collect());
        rows.unwrap().collect::<rusqlite::Result<Vec<Vec<_>>>>().unwrap()
    });
    assert!(old.len() > 20, "{old:?}");
    assert_eq!(old, new);
}

#[test]
fn no_statement_reads_a_whole_table() {
    let (_folder, path) = folder();
    let storage = open(&path);
    let writer = storage.shared.writer();
    let statements = [
        sql::HEAD,
        sql::NEWEST_NUMBER,
        sql::MOVE_HEAD,
        sql::BEGIN_EPOCH,
        sql::REMOVE_EPOCHS,
        sql::EPOCHS,
        sql::NEWEST_SNAPSHOT,
        sql::COMMITS,
        sql::LAST_COMMIT_AT,
        sql::SNAPSHOT_AT,
        sql::TIMES,
        sql::SNAPSHOT_UP_TO,
        sql::REMOVE_SNAPSHOTS,
        sql::REMOVE_COMMITS,
        sql::DESCRIBE,
        sql::LIST,
        sql::REMOVED,
    ];
    for statement in statements.into_iter().chain(sql::REMOVE) {
        let mut plan = writer.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let nulls = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        for step in steps {
            let step = step.unwrap();
            assert!(!step.contains("USE TEMP B-TREE"), "{statement}: {step}");
            assert!(!step.contains("SCAN"), "{statement}: {step}");
        }
    }
}

#[test]
fn r4_a_migration_that_fails_leaves_the_file_as_it_was() {
    let (_folder, path) = folder();
    let mut connection = Connection::open(&path).unwrap();
    let migrations = ["CREATE TABLE first (x)", "CREATE TABLE second (x); INSERT INTO missing VALUES (1)"];
    file::migrate(&mut connection, 0, &migrations).unwrap_err();
    assert_eq!(connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)), Ok(0));
    file::migrate(&mut connection, 0, &migrations[..1]).unwrap();
    file::migrate(&mut connection, 1, &migrations[1..]).unwrap_err();
    assert_eq!(connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)), Ok(1));
    assert_eq!(connection.pragma_query_value(None, "user_version", |row| row.get(0)), Ok(1));
}

#[test]
fn r4_a_second_server_is_refused_with_what_to_do() {
    let (folder, path) = folder();
    let storage = open(&path);
    let mut paths = vec![path.clone(), folder.path().join(".").join("rooms.db")];
    if cfg!(unix) {
        paths.push(folder.path().join("link.db"));
        #[cfg(unix)]
        std::os::unix::fs::symlink(&path, &paths[2]).unwrap();
    }
    for path in paths {
        let error = Sqlite::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let message = error.to_string();
        assert!(message.contains("rooms.db is open in another server: end that one"), "{error}");
    }
    Owner::open(&storage, "r").commit(&storage, 1).unwrap();
    drop(storage);
    open(&path);
}

#[test]
fn r4_a_damaged_file_is_an_error_and_not_an_empty_room() {
    let (_folder, path) = folder();
    let storage = open(&path);
    let mut owner = Owner::open(&storage, "r");
    for _ in 0..50 {
        owner.commit(&storage, 2000).unwrap();
    }
    drop(storage);
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[4096..].fill(0x5a);
    for bytes in [&damaged[..], &whole[..4096 * 5], &whole[..5000]] {
        fs::write(&path, bytes).unwrap();
        let read = Sqlite::open(&path).and_then(|storage| storage.open(&owner.room, "next", 0));
        let error = read.map(|opened| panic!("{opened:?}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("is damaged: put back a copy"), "{error}");
    }
    fs::write(&path, whole).unwrap();
    owner.check(&open(&path));
}

#[test]
fn a_file_that_is_closed_is_one_file_with_all_in_it() {
    let (folder, path) = folder();
    let storage = Sqlite::open(&path).unwrap();
    let mut owner = Owner::open(&storage, "r");
    for _ in 0..10 {
        owner.commit(&storage, 1000).unwrap();
    }
    owner.check(&storage);
    drop(storage);
    let names: Vec<_> = bytes_of(folder.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, [path.clone(), folder.path().join("rooms.db-lock")]);
    let copy = folder.path().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    owner.check(&open(&copy));
}

#[test]
fn r6_commits_are_synced() {
    let (_folder, path) = folder();
    let storage = open(&path);
    let writer = storage.shared.writer();
    let setting = |name| writer.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(setting("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    // `Log` does the sync that SQLite leaves out of a commit.
    assert_eq!(setting("synchronous"), rusqlite::types::Value::Integer(1));
    assert_eq!(setting("fullfsync"), rusqlite::types::Value::Integer(1));
    drop(writer);
    let mut owner = Owner::open(&storage, "r");
    owner.commit(&storage, 1).unwrap();
    assert!(storage.shared.log.is_synced());
    Owner::open(&storage, "r");
    assert!(storage.shared.log.is_synced());
    // Another thread has committed, and the commit is read before it is synced.
    let number = storage.shared.log.begin().unwrap();
    storage.shared.log.end(number, true);
    storage.describe(&owner.room).unwrap();
    assert!(storage.shared.log.is_synced());
}

#[cfg(target_os = "linux")]
#[test]
fn r6_after_a_sync_that_failed_nothing_is_stored_or_moved_any_more() {
    let (_folder, path) = folder();
    let mut owner = {
        let storage = open(&path);
        let mut owner = Owner::open(&storage, "r");
        owner.commit(&storage, 1).unwrap();
        owner
    };
    let storage = Sqlite::open_with_log(&path, &SqliteConfig::new(), |_| Ok(Log::broken())).unwrap();
    // Opening the room is the first write that has to be durable.
    let error = storage.open(&owner.room, "e", 0).unwrap_err();
    assert!(error.to_string().contains("start the server again"), "{error}");
    let log = || fs::read(path.with_extension("db-wal")).unwrap();
    let before = log();
    let error = owner.commit(&storage, 1).unwrap_err();
    assert!(error.to_string().contains("start the server again"), "{error}");
    assert!(storage.list(None, 1).is_err() && storage.delete(&owner.room).is_err());
    drop(storage);
    assert_eq!(log(), before, "it is as it was, for the next start to look at");
    owner.check(&open(&path));
}

#[test]
fn a_number_that_sqlite_cannot_store_takes_no_other_commit_down() {
    let (_folder, path) = folder();
    let storage = open(&path);
    let mut rooms = ["a", "b", "c"].map(|room| Owner::open(&storage, room));
    let mut commits = rooms.each_mut().map(|room| room.next(1));
    commits[1].time = u64::MAX;
    let outcomes = storage.commit(&commits);
    assert_eq!(outcomes.iter().map(std::result::Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(outcomes[1].as_ref().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(storage.describe(&rooms[1].room).unwrap(), None);
    rooms[0].check(&storage);
}
