//! What one commit costs on the disk that the rooms are stored on.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::stats::percentile;

/// What a commit writes at least: a page of SQLite's.
const PAGE: [u8; 4096] = [0x5a; 4096];
/// How many pages the file has. Commits go round in it, as those of a write-ahead log do: a file that grows takes longer.
const PAGES: u32 = 1024;

/// How long it takes to overwrite a page of a file and to sync it, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// The commits that targets refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commits {
    /// One right after the other.
    pub(crate) busy: Commit,
    /// Fifty a second, as the trickle that they are compared with: a disk or processor that rested takes longer.
    pub(crate) rested: Commit,
}

/// Measures in `directory`. A disk that others use is now fast and now slow, so this belongs right beside what it is compared
/// with.
///
/// # Errors
/// If a file cannot be written there.
pub(crate) fn measure(directory: &Path, quick: bool) -> io::Result<Commits> {
    let file = directory.join("commits");
    let (busy, rested) = if quick { (100, 50) } else { (400, 150) };
    let commits = Commits {
        busy: commit(&file, busy, Duration::ZERO)?,
        rested: commit(&file, rested, Duration::from_millis(20))?,
    };
    fs::remove_file(&file)?;
    Ok(commits)
}

fn commit(path: &Path, count: u32, interval: Duration) -> io::Result<Commit> {
    let mut file = File::create(path)?;
    for _ in 0..PAGES {
        file.write_all(&PAGE)?;
    }
    file.sync_all()?;
    let mut took = Vec::new();
    let start = Instant::now();
    for number in 0..count {
        thread::sleep((interval * number).saturating_sub(start.elapsed()));
        file.seek(SeekFrom::Start(u64::from(number % PAGES) * PAGE.len() as u64))?;
        let before = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        took.push(before.elapsed().as_nanos() as u64);
    }
    let mut at = |percent| percentile(&mut took, percent) as f64 / 1e6;
    Ok(Commit { p50: at(50.0), p99: at(99.0) })
}

/// Whether files in this directory are in memory only.
pub(crate) fn is_in_memory(directory: &Path) -> bool {
    let Ok(directory) = directory.canonicalize() else { return false };
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    file_system(&mounts, &directory).is_some_and(|kind| matches!(kind, "tmpfs" | "ramfs"))
}

/// The kind of the file system that `mounts`, in the format of `/proc/mounts`, has for `path`.
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    let holding = fields.filter(|(point, _)| path.starts_with(point));
    holding.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_holds_a_directory() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/disk xfs rw 0 0\n";
        let kind = |path| file_system(mounts, Path::new(path));
        assert_eq!((kind("/home"), kind("/tmp/a"), kind("/tmp/disk/a")), (Some("ext4"), Some("tmpfs"), Some("xfs")));
        assert_eq!((kind("/tmpfiles"), file_system("", Path::new("/"))), (Some("ext4"), None));
    }

    #[test]
    fn a_commit_takes_some_time() {
        let path = std::env::temp_dir().join(format!("roommate-load-commit-{}", std::process::id()));
        let commit = commit(&path, 5, Duration::from_millis(1)).expect("a file can be written");
        fs::remove_file(path).expect("the file is there");
        assert!(0.0 < commit.p50 && commit.p50 <= commit.p99, "{commit:?}");
    }
}
