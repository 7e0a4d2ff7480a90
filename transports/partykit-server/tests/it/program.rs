//! The program `roommate`.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::support::CLIENT;

fn roommate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roommate"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running program with rooms in memory, the rest of what it prints, and the URL that it printed first.
async fn serve(args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, String) {
    serve_stored(&[args, &["--memory"]].concat()).await
}

/// The same, with rooms stored as the arguments say.
async fn serve_stored(args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, String) {
    let mut args = args.to_vec();
    args.splice(0..0, ["serve", "--listen", "127.0.0.1:0"]);
    let mut program = roommate(&args).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    (program, lines, url)
}

#[tokio::test]
async fn it_says_where_it_listens_and_serves_there() {
    let (_program, _lines, url) = serve(&["--store-path", "/s", "--party", "a", "--party", "b", "--log", "off"]).await;
    for (path, status) in
        [("/parties/a/r/s", 201), ("/parties/b/r/s", 201), ("/parties/a/r/s", 205), ("/party/r/s", 404)]
    {
        let response = CLIENT.put(format!("{url}{path}")).body("[{},{}]").send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    let (_program, _lines, url) = serve(&["--any-party"]).await;
    assert_eq!(CLIENT.get(format!("{url}/parties/x/r/store")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_speaks_the_extended_dialect_unless_it_is_told_not_to() {
    for (args, speaks) in [(&[][..], true), (&["--stock"], false)] {
        let (_program, _lines, url) = serve(args).await;
        let answer = CLIENT.get(format!("{url}/party/r/store")).send().await.unwrap();
        assert_eq!(answer.headers().contains_key("roommate-dialect"), speaks, "{args:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_an_example() {
    for address in ["19922", "localhost", ":1999", "127.0.0.1:99999"] {
        let output = roommate(&["serve", "--listen", address]).output().await.unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("say HOST:PORT, such as 127.0.0.1:1999"), "{said}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn it_ends_in_good_order_when_it_is_asked_to() {
    for signal in ["-INT", "-TERM"] {
        let (mut program, _lines, url) = serve(&[]).await;
        let (mut socket, _) =
            tokio_tungstenite::connect_async(format!("{}/party/r", url.replace("http", "ws"))).await.unwrap();
        let pid = program.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
        let close = loop {
            match futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap() {
                tokio_tungstenite::tungstenite::Message::Close(close) => break close.unwrap(),
                _ping => {}
            }
        };
        assert_eq!(u16::from(close.code), 1012);
        drop(socket);
        assert!(program.wait().await.unwrap().success());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn r4_when_it_has_ended_the_file_alone_has_all_rooms() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("rooms.db");
    for round in 0..5 {
        let (mut program, _lines, url) = serve_stored(&["--data", data.to_str().unwrap()]).await;
        let put = CLIENT.put(format!("{url}/party/r{round}/store")).body("[{},{}]").send().await.unwrap();
        assert_eq!(put.status(), 201);
        let pid = program.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        assert!(program.wait().await.unwrap().success());
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["rooms.db", "rooms.db-lock"], "round {round}");
    }
}

#[tokio::test]
async fn it_says_what_to_do_when_the_address_is_taken() {
    let (_program, _lines, url) = serve(&[]).await;
    let address = url.strip_prefix("http://").unwrap();
    let output = roommate(&["serve", "--listen", address, "--memory"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("in use") && error.contains("choose another port"), "{error}");
}

#[tokio::test]
async fn r6_rooms_outlive_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("rooms.db");
    let data = data.to_str().unwrap();
    let (mut program, mut lines, url) = serve_stored(&["--data", data]).await;
    let _where_a_store_is = lines.next_line().await.unwrap().unwrap();
    let says = lines.next_line().await.unwrap().unwrap();
    assert!(says.starts_with("rooms are stored in ") && says.ends_with("rooms.db"), "{says}");
    let store = |url: &str| format!("{url}/party/r/store");
    assert_eq!(CLIENT.put(store(&url)).body(r#"[{},{"v":1}]"#).send().await.unwrap().status(), 201);

    let output = roommate(&["serve", "--listen", "127.0.0.1:0", "--data", data]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("rooms.db") && said.contains("another server"), "{said}");

    program.kill().await.unwrap();
    let (_program, _lines, url) = serve_stored(&["--data", data]).await;
    assert_eq!(CLIENT.get(store(&url)).send().await.unwrap().text().await.unwrap(), r#"[{},{"v":1}]"#);
}

#[tokio::test]
async fn options_that_say_nothing_are_refused_with_an_example() {
    for (args, says) in [
        (["--history", "7"], "say a number and s, m, h or d, such as 7d"),
        (["--history", "week"], "say a number and s, m, h or d, such as 7d"),
        (["--history", "999999999999999d"], "too long"),
    ] {
        let output = roommate(&[&["serve"][..], &args].concat()).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{args:?}: {said}");
    }
    let output = roommate(&["serve", "--memory", "--data", "x.db"]).output().await.unwrap();
    assert!(!output.status.success(), "in memory or in a file");
}
