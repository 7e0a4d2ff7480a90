use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use roommate_server::{Context, Policy, Result, RoomConfig, ServerConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::support::{CLIENT, Socket, eventually, get, put, request, serve};

const STORE: &str = "/parties/main/r/store";
const CONTENT: &str = r#"[{"pets":{"fido":{"age":4}}},{"open":true}]"#;

#[tokio::test]
async fn a_room_is_made_by_its_first_content_and_only_by_that() {
    let server = serve(ServerConfig::new()).await;
    for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD] {
        let response = request(&server, method, STORE, CONTENT).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "");
    }
    assert_eq!(put(&server, STORE, "{").await, 400);
    assert_eq!(put(&server, STORE, CONTENT).await, 201);
    assert_eq!(put(&server, STORE, "[{},{}]").await, 205);
    assert_eq!(put(&server, STORE, "{").await, 400);
    for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
        let response = request(&server, method, STORE, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/plain;charset=UTF-8");
        assert_eq!(response.text().await.unwrap(), CONTENT);
    }
    let head = request(&server, Method::HEAD, STORE, "").await;
    assert_eq!(head.headers()["content-length"], CONTENT.len().to_string());
}

#[tokio::test]
async fn both_path_forms_lead_to_one_room_and_other_paths_to_none() {
    let server = serve(ServerConfig::new().with_parties(["main", "chess"])).await;
    assert_eq!(put(&server, "/party/r/store?a=b", CONTENT).await, 201);
    assert_eq!(get(&server, "/parties/main/r/x/store?c").await, CONTENT);
    assert_eq!(get(&server, "/parties/chess/r/store").await, "", "another party's room of that name is another");
    assert_eq!(get(&server, "/party/R/store").await, "");
    for (path, body) in [
        ("/parties/main/r", ""),
        ("/parties/main/r/xstore", ""),
        ("/parties/main/r/store/", ""),
        ("/parties/go/r/store", "Party go not found"),
        ("/parties/main/", "Not found"),
        ("/parties/main", "Not found"),
        ("/party/", "Not found"),
        ("/store", "Not found"),
        ("/", "Not found"),
    ] {
        for method in [Method::GET, Method::PUT] {
            let response = request(&server, method, path, CONTENT).await;
            assert_eq!(response.status(), 404, "{path}");
            assert_eq!(response.text().await.unwrap(), body, "{path}");
        }
    }
}

#[tokio::test]
async fn there_may_be_any_party() {
    let server = serve(ServerConfig::new().with_any_party()).await;
    assert_eq!(put(&server, "/parties/a%20b/r/store", CONTENT).await, 201);
    assert_eq!(get(&server, "/parties/a%20b/r/store").await, CONTENT);
    assert_eq!(get(&server, "/parties/a/r/store").await, "");
}

#[derive(Debug)]
struct Token;

#[async_trait]
impl Policy for Token {
    async fn can_connect(&self, context: &mut Context) -> Result<bool> {
        assert!(context.peer.is_some());
        Ok(context.query_parameter("token") == Some("secret"))
    }
    async fn can_request(&self, context: &mut Context) -> Result<bool> {
        Ok(context.header("authorization") == Some("Bearer secret"))
    }
}

#[tokio::test]
async fn every_answer_lets_pages_of_any_origin_in() {
    let room = RoomConfig::new().with_policy(Token).with_max_body_size(20);
    let server = serve(ServerConfig::new().with_room(room).with_max_rooms(1)).await;
    let url = |path: &str| format!("http://{}{path}", server.local_addr());
    let client = &*CLIENT;
    let known = |method, path: &str| client.request(method, url(path)).bearer_auth("secret");
    let mut statuses = Vec::new();
    for request in [
        known(Method::GET, STORE),
        known(Method::PUT, STORE).body("{"),
        known(Method::PUT, STORE).body("[{},{}]"),
        known(Method::PUT, STORE).body("[{},{}]"),
        known(Method::PUT, STORE).body("[{},{\"v\":\"too long a content\"}]"),
        known(Method::GET, "/party/r"),
        known(Method::GET, "/parties/x/r"),
        known(Method::GET, "/"),
        known(Method::GET, "/party/second/store"),
        client.get(url(STORE)),
        client.request(Method::OPTIONS, url(STORE)),
        client.get(url("/party/r")).header("upgrade", "websocket"),
    ] {
        let response = request.send().await.unwrap();
        statuses.push(response.status().as_u16());
        for header in ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"] {
            assert_eq!(response.headers().get(header).unwrap(), "*", "{}", response.status());
        }
    }
    assert_eq!(statuses, [200, 400, 201, 205, 413, 404, 404, 404, 503, 401, 200, 400]);
}

#[tokio::test]
async fn whoever_may_not_connect_is_told_so_before_the_upgrade() {
    let server = serve(ServerConfig::new().with_room(RoomConfig::new().with_policy(Token))).await;
    let url = format!("ws://{}/party/r", server.local_addr());
    match tokio_tungstenite::connect_async(&url).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => assert_eq!(response.status(), 401),
        other => panic!("{other:?}"),
    }
    let mut socket = Socket::open(&server, "/party/r?token=secret").await;
    socket.0.close(None).await.unwrap();
    eventually(async || server.rooms().is_empty()).await;
}

#[tokio::test]
async fn headers_can_be_replaced_and_have_to_be_headers() {
    let room = RoomConfig::new().with_response_headers([("x-mine".to_owned(), "1".to_owned())]);
    let server = serve(ServerConfig::new().with_room(room)).await;
    let response = request(&server, Method::GET, STORE, "").await;
    assert_eq!(response.headers()["x-mine"], "1");
    assert!(!response.headers().contains_key("access-control-allow-origin"));

    let room = RoomConfig::new().with_response_headers([("no header".to_owned(), "1".to_owned())]);
    let error = roommate_server::Server::bind("127.0.0.1:0", ServerConfig::new().with_room(room)).await.unwrap_err();
    assert!(error.to_string().contains("no header"), "{error}");
}

#[tokio::test]
async fn a_content_of_many_cells_is_taken_and_returned_whole() {
    let server = serve(ServerConfig::new()).await;
    let row = |row| format!("\"r{row:05}\":{{\"a\":{row},\"b\":\"text\",\"c\":true,\"d\":null,\"e\":0.5}}");
    let rows: Vec<_> = (0..20_000).map(row).collect();
    let content = format!("[{{\"t\":{{{}}}}},{{}}]", rows.join(","));
    assert_eq!(put(&server, STORE, &content).await, 201);
    assert!(get(&server, STORE).await == content, "what comes back is what was put");
}

#[tokio::test]
async fn r8_asking_for_rooms_leaves_none() {
    let server = serve(ServerConfig::new()).await;
    for room in 0..50 {
        assert_eq!(get(&server, &format!("/party/{room}/store")).await, "");
        assert_eq!(put(&server, &format!("/party/{room}/store"), "[").await, 400);
    }
    eventually(async || server.rooms().is_empty()).await;
    assert_eq!(put(&server, STORE, CONTENT).await, 201);
    assert_eq!(get(&server, STORE).await, CONTENT);
    assert_eq!(server.rooms().len(), 1);
}

#[tokio::test]
async fn r8_there_are_no_more_rooms_than_allowed() {
    let server = serve(ServerConfig::new().with_max_rooms(2)).await;
    assert_eq!(put(&server, "/party/1/store", CONTENT).await, 201);
    assert_eq!(put(&server, "/party/2/store", CONTENT).await, 201);
    assert_eq!(put(&server, "/party/3/store", CONTENT).await, 503);
    assert_eq!(get(&server, "/party/1/store").await, CONTENT);
}

#[tokio::test]
async fn r8_a_body_that_never_comes_is_not_waited_for() {
    let server = serve(ServerConfig::new().with_body_timeout(Duration::from_millis(20))).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"PUT /party/r/store HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n[{}").await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn r4_a_body_that_arrives_slowly_is_waited_for() {
    let server = serve(ServerConfig::new().with_body_timeout(Duration::from_millis(300))).await;
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let body = format!("[{{}},{{\"v\":\"{}\"}}]", "x".repeat(100_000));
    let head = format!("PUT /party/r/store HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let (most, rest) = body.split_at(80_000);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(most.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(600)).await;
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
}
