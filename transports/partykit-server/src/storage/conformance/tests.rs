//! All storages of this repository fulfil the contract. A storage with a bug fails the check that the bug names.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::{Faulty, Memory};

mod bugs;

use bugs::{Bug, Buggy};

#[test]
fn memory_fulfils_the_contract() {
    storage(|| {
        let rooms = Memory::new();
        move || rooms.clone()
    });
}

#[test]
fn a_faulty_storage_without_faults_fulfils_the_contract() {
    storage(|| {
        let rooms = Memory::new();
        move || Faulty::new(rooms.clone())
    });
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite_fulfils_the_contract() {
    storage(|| {
        let folder = tempfile::tempdir().unwrap();
        // With a log so short that checkpoints come often.
        let config = crate::SqliteConfig::new().with_wal_bytes(0);
        move || crate::Sqlite::open_with(folder.path().join("rooms.db"), config.clone()).unwrap()
    });
}

#[test]
fn each_seeded_bug_is_caught_by_the_check_of_its_name() {
    let mut missed = Vec::new();
    for (bug, caught_by) in Bug::ALL {
        let (name, check) = CHECKS.iter().find(|(name, _)| *name == *caught_by).expect("a check has this name");
        let rooms = Memory::new();
        let open = || Arc::new(Buggy::new(*bug, rooms.clone())) as Arc<dyn Storage>;
        if catch_unwind(AssertUnwindSafe(|| check(&open))).is_ok() {
            missed.push((bug, name));
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
