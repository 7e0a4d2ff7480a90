//! The example of a program that hosts rooms.

use std::process::{Command, Stdio};

#[test]
fn the_app_example_does_what_it_says_against_two_clients() {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--package", "roommate-server", "--example", "app", "--", "--check"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .expect("cargo can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "both see both tables, and the server's count of the tasks",
        "bob is told what was refused: 2 edits",
        r#"both see the server's announcement: {"tasks":1,"announcement":"ann: lunch is ready"}"#,
        "a stranger is refused",
        "ok",
    ] {
        assert!(text.lines().any(|said| said == line), "it does not say {line:?}:\n{text}");
    }
}
