//! README's snippets, pasted into a new package with the dependencies that README names.

use std::{fmt::Write, fs, path::Path, process::Command};

/// The code blocks of a language.
fn blocks<'a>(readme: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let after_fences = readme.split(&fence).skip(1);
    after_fences.map(|rest| rest.split("```").next().expect("a split has a first part")).collect()
}

#[test]
fn the_readmes_snippets_compile_as_they_are_pasted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let package = tempfile::tempdir().unwrap();

    let mut manifest =
        "[package]\nname = \"pasted\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n".to_owned();
    for block in blocks(&readme, "toml") {
        manifest.push_str(&block.replace("\"../roommate", &format!("\"{}", root.display())));
    }
    fs::write(package.path().join("Cargo.toml"), manifest).unwrap();
    // The same versions, so that much is built already.
    fs::copy(root.join("Cargo.lock"), package.path().join("Cargo.lock")).unwrap();

    let (mut library, mut tests) = ("#![allow(dead_code)]\n".to_owned(), String::new());
    let snippets = blocks(&readme, "rust");
    assert!(snippets.len() > 4, "{snippets:?}");
    for (number, snippet) in snippets.into_iter().enumerate() {
        if snippet.contains("fn ") {
            write!(library, "mod snippet_{number} {{\n{snippet}}}\n").unwrap();
        } else {
            write!(tests, "#[test]\nfn snippet_{number}() {{\n{snippet}}}\n").unwrap();
        }
    }
    for (folder, name, text) in [("src", "lib.rs", library), ("tests", "statements.rs", tests)] {
        fs::create_dir(package.path().join(folder)).unwrap();
        fs::write(package.path().join(folder).join(name), text).unwrap();
    }

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let check = Command::new(env!("CARGO"))
        .args(["check", "--tests", "--quiet"])
        .current_dir(package.path())
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
