//! A disk without space.

use super::*;

/// Commits until there is no space, and returns the error.
fn fill(storage: &Sqlite, owner: &mut Owner) -> Error {
    for _ in 0..100_000 {
        if let Err(error) = owner.commit(storage, 3000) {
            return error;
        }
    }
    panic!("there is always space");
}

fn check_error(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let message = error.to_string();
    assert!(message.contains("there is no space for") && message.contains("free some"), "{error}");
}

#[test]
fn r4_a_full_disk_refuses_commits_until_there_is_space() {
    let (_folder, path) = folder();
    let config = SqliteConfig::new().with_wal_bytes(0).with_max_bytes(2 << 20);
    let storage = Sqlite::open_with(&path, config).unwrap();
    let [mut small, mut large] = ["small", "large"].map(|room| Owner::open(&storage, room));
    small.commit(&storage, 10).unwrap();
    check_error(&fill(&storage, &mut large));
    // A call with several commits is one transaction: each commit has the error, except one that was refused by itself.
    let mut wrong = small.next(10);
    small.last -= 1;
    wrong.epoch.number += 1;
    let large_commit = large.next(100_000);
    large.last -= 1;
    let outcomes = storage.commit(&[wrong, large_commit]);
    assert_eq!(outcomes[0].as_ref().unwrap_err().kind(), ErrorKind::Refused);
    check_error(outcomes[1].as_ref().unwrap_err());
    let refused_snapshot = StoredSnapshot { text: "x".repeat(100_000), ..small.snapshot(1) };
    check_error(&storage.snapshot(&refused_snapshot, 0).unwrap_err());
    // Stored data can be read, and writes that need no more space succeed.
    small.check(&storage);
    large.check(&storage);
    small = Owner::open(&storage, "small");
    // A snapshot that makes the log unnecessary frees space.
    storage.snapshot(&large.snapshot(large.last), u64::MAX).unwrap();
    large.commit(&storage, 100_000).unwrap();
    small.commit(&storage, 10).unwrap();
    small.check(&storage);
    drop(storage);
    assert!(fs::metadata(&path).unwrap().len() <= 2 << 20);
    check_integrity(&path);
}

/// Needs a user that may mount, as in CI.
#[cfg(target_os = "linux")]
#[test]
fn r4_a_full_file_system_refuses_commits_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(folder.path(), "size=4m") else {
        eprintln!("SKIPPED: this user may not mount a file system");
        return;
    };
    let (path, ballast) = (folder.path().join("rooms.db"), folder.path().join("ballast"));
    fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let storage = open(&path);
    let [mut small, mut large] = ["small", "large"].map(|room| Owner::open(&storage, room));
    small.commit(&storage, 10).unwrap();
    check_error(&fill(&storage, &mut large));
    small.check(&storage);
    large.check(&storage);
    fs::remove_file(&ballast).unwrap();
    wait_until("there is space", || storage.commit(&[]).is_empty() && large.commit_again(&storage));
    large.last += 1;
    for _ in 0..50 {
        large.commit(&storage, 3000).unwrap();
        small.commit(&storage, 10).unwrap();
    }
    // Closed without a checkpoint, as by a crash with the disk full.
    check_error(&fill(&storage, &mut large));
    drop(storage);
    let storage = open(&path);
    small.check(&storage);
    large.check(&storage);
    drop(storage);
    check_integrity(&path);
}

#[cfg(target_os = "linux")]
impl Owner {
    fn commit_again(&self, storage: &Sqlite) -> bool {
        let mut again = Self { room: self.room.clone(), epoch: self.epoch.clone(), last: self.last };
        again.commit(storage, 3000).is_ok()
    }
}

#[cfg(target_os = "linux")]
struct Mounted<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl<'a> Mounted<'a> {
    fn new(folder: &'a Path, options: &str) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", options, "rooms"]).arg(folder).output();
        mount.ok()?.status.success().then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0).status();
    }
}
