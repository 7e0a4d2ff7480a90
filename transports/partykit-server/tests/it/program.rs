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

/// A running program, the rest of what it prints, and the URL that it printed first.
async fn serve(args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, String) {
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

#[tokio::test]
async fn it_says_what_to_do_when_the_address_is_taken() {
    let (_program, _lines, url) = serve(&[]).await;
    let address = url.strip_prefix("http://").unwrap();
    let output = roommate(&["serve", "--listen", address]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("in use") && error.contains("choose another port"), "{error}");
}
