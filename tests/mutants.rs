//! The seeded bugs of `tests/mutants` still fit the source. That each is caught takes long, and is for
//! `tests/mutants/run` to show.

use std::{fs, path::Path, process::Command};

#[test]
fn every_seeded_bug_still_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut patches: Vec<_> = fs::read_dir(root.join("tests/mutants"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    patches.sort();
    assert!(!patches.is_empty());
    for (number, patch) in (1..).zip(patches) {
        let name = patch.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(
            name.starts_with(&format!("{number:02}-")),
            "{name} is in the place of number {number}: one is missing"
        );
        let text = fs::read_to_string(&patch).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("# ") && first.contains("Caught by: cargo test "), "{patch:?} does not say enough");
        // Outside of any repository, so that paths are those of the files.
        let check = Command::new("git")
            .args(["apply", "--check"])
            .arg(&patch)
            .current_dir(root)
            .output()
            .expect("git is installed");
        let error = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{patch:?} does not fit the source any more: {error}");
    }
}
