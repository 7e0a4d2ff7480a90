//! Other programs and the checkpoint thread, concurrently with the commits.

use super::*;

#[test]
fn another_program_reads_and_copies_the_file_while_it_is_written() {
    let (folder, path) = folder();
    let storage = open(&path);
    let mut owner = Owner::open(&storage, "r");
    owner.commit(&storage, 10).unwrap();
    let shell = Connection::open(&path).unwrap();
    let count = || shell.query_row("SELECT count(*) FROM log", [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(count(), 1);
    owner.commit(&storage, 10).unwrap();
    assert_eq!(count(), 2);
    let copy = folder.path().join("copy.db");
    thread::scope(|scope| {
        let path = copy.clone();
        let copies = scope.spawn(move || shell.execute("VACUUM INTO ?1", [path.to_str()]).unwrap());
        while !copies.is_finished() {
            owner.commit(&storage, 10).unwrap();
        }
    });
    owner.check(&storage);
    let copied = open(&copy).log(&owner.room, 0, usize::MAX).unwrap();
    assert!(copied.len() >= 2 && copied.len() as u64 <= owner.last, "as of one moment");
    check_integrity(&copy);
}

#[test]
fn the_log_is_bounded_and_begins_anew_after_a_long_read_of_another_program() {
    let (_folder, path) = folder();
    let storage = open(&path);
    let mut owner = Owner::open(&storage, "r");
    owner.commit(&storage, 10).unwrap();
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN; SELECT * FROM log").unwrap();
    for _ in 0..300 {
        owner.commit(&storage, 5000).unwrap();
    }
    assert!(log_pages(&storage, &mut owner) > 300, "what the other program reads is not overwritten");
    shell.execute_batch("COMMIT").unwrap();
    wait_until("the log begins anew", || log_pages(&storage, &mut owner) < 100);
    owner.check(&storage);
    drop((storage, shell));
    check_integrity(&path);
}

#[test]
fn what_is_committed_is_moved_to_the_main_file_while_commits_go_on() {
    let (_folder, path) = folder();
    let storage = open(&path);
    let mut owner = Owner::open(&storage, "r");
    // 4 MiB of records, and half of 256 KiB of log until a checkpoint.
    for _ in 0..1000 {
        owner.commit(&storage, 4000).unwrap();
    }
    wait_until("the log is short", || log_pages(&storage, &mut owner) < 40);
    assert!(fs::metadata(&path).unwrap().len() > 3 << 20);
    owner.check(&storage);
}

#[test]
fn a_write_lock_of_another_program_is_an_error_that_passes() {
    let (_folder, path) = folder();
    let storage = open(&path);
    let mut owner = Owner::open(&storage, "r");
    owner.commit(&storage, 1).unwrap();
    storage.shared.writer().busy_timeout(Duration::from_millis(20)).unwrap();
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = owner.commit(&storage, 1).unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("another program has locked"), "{error}");
    assert!(storage.snapshot(&owner.snapshot(1), 0).unwrap_err().is_temporary());
    assert!(storage.delete(&owner.room).unwrap_err().is_temporary());
    assert!(storage.open(&owner.room, "next", 0).unwrap_err().is_temporary());
    owner.check(&storage);
    shell.execute_batch("ROLLBACK").unwrap();
    owner.commit(&storage, 1).unwrap();
    owner.check(&storage);
}
