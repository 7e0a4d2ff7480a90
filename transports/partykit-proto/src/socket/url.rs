//! The pieces of a room's URL.
//!
//! The `place` part (host and path) is built once, fully encoded, for the socket and for HTTP. The socket's and the
//! HTTP client's URL parsers differ, but neither changes a fully encoded text, so both agree.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
};

use roommate::{Error, ErrorKind, Result};

use super::SocketProtocol;

/// The host as it appears in a URL: a leading protocol and one trailing slash are removed, a path stays.
pub(super) fn host(host: &str) -> Result<String> {
    let host = cut_host(host);
    let (authority, path) = host.split_once('/').map_or((host, None), |(authority, path)| (authority, Some(path)));
    let (name, port) = split_port(authority);
    let name_is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:%~".contains(&byte);
    if name.is_empty() || !name.bytes().all(name_is_plain) {
        return Err(invalid(format!(
            "{authority:?} is no host to connect to: a name or address, with a port if need be"
        )));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(invalid(format!("{authority:?} has no port from 0 to 65535 behind its colon")));
    }
    match path {
        None => Ok(authority.to_owned()),
        Some(path) => Ok(format!("{authority}/{}", inner_path("host", path)?)),
    }
}

/// The default protocol of a host: no TLS for this machine and private networks, TLS for all other hosts.
pub(super) fn guess_protocol(host: &str) -> SocketProtocol {
    let authority = cut_host(host).split('/').next().unwrap_or_default();
    let name = split_port(authority).0;
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_private_v4 = |ip: Ipv4Addr| ip.is_loopback() || ip.is_private() || ip.is_unspecified();
    let is_local = match name.parse() {
        Ok(IpAddr::V4(ip)) => is_private_v4(ip),
        Ok(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => is_private_v4(ip),
            None => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
        Err(_) => {
            let name = name.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    };
    if is_local { SocketProtocol::Ws } else { SocketProtocol::Wss }
}

/// A party or room as one segment of a path.
pub(super) fn segment(what: &str, name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(invalid(format!("the {what} must not be empty")));
    }
    let encoded = percent_encode(name, |byte| byte == b'/');
    match is_dots(&encoded) {
        true => Err(invalid(format!("the {what} must not be {name:?}, which in a URL means another place"))),
        false => Ok(encoded),
    }
}

/// A path inside a URL, whose slashes stay.
pub(super) fn inner_path(what: &str, path: &str) -> Result<String> {
    if path.starts_with('/') {
        return Err(invalid(format!("{what} must not start with a slash: {path:?} does")));
    }
    let encoded = percent_encode(path, |_| false);
    match encoded.split('/').any(is_dots) {
        true => Err(invalid(format!("{what} must have no . or .. between its slashes: {path:?} does"))),
        false => Ok(encoded),
    }
}

/// Name and value pairs as a query, as `URLSearchParams` writes them.
pub(super) fn form_urlencoded<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        form_urlencode(&mut query, name);
        query.push('=');
        form_urlencode(&mut query, value);
    }
    query
}

/// Whether a header can be sent with an upgrade.
pub(super) fn check_header(name: &str, value: &str) -> Result<()> {
    let lower = name.to_ascii_lowercase();
    if matches!(lower.as_str(), "connection" | "upgrade") || lower.starts_with("sec-websocket-") {
        return Err(invalid(format!("the header {name} belongs to the WebSocket itself")));
    }
    if !is_token(name) || value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7F) {
        return Err(invalid(format!(
            "the header {name:?} cannot be sent: its name or value has a character that may not"
        )));
    }
    Ok(())
}

/// Whether a text is a token of HTTP: a header's or a subprotocol's name.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A version 4 UUID of 16 random bytes.
pub fn uuid_v4(random: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(random) & !(0xF << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn cut_host(host: &str) -> &str {
    let host = ["http://", "https://", "ws://", "wss://"]
        .iter()
        .find_map(|protocol| {
            host.get(..protocol.len()).filter(|start| start.eq_ignore_ascii_case(protocol))?;
            Some(&host[protocol.len()..])
        })
        .unwrap_or(host);
    host.strip_suffix('/').unwrap_or(host)
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The last colon of `[::1]` does not begin a port.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    }
}

/// Whether a URL parser treats a segment as the current or the parent directory.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Encodes the characters that the URL standard encodes in a path, those that would end the path, and `extra`. A `%` is
/// not encoded, as in the standard.
fn percent_encode(text: &str, extra: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"#<>?\\^`{}".contains(&byte) && !extra(byte) {
            encoded.push(char::from(byte));
        } else {
            push_percent(&mut encoded, byte);
        }
    }
    encoded
}

fn form_urlencode(query: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b' ' => query.push('+'),
            b'*' | b'-' | b'.' | b'_' => query.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => query.push(char::from(byte)),
            _ => push_percent(query, byte),
        }
    }
}

fn push_percent(text: &mut String, byte: u8) {
    write!(text, "%{byte:02X}").expect("a String takes all that is written to it");
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::PartySocketOptions;

    fn options(host: &str, room: &str) -> PartySocketOptions {
        PartySocketOptions::new(host, room)
    }

    #[test]
    fn urls_are_those_of_partysocket() {
        let base = || options("example.com", "r");
        let table = [
            (base(), "wss://example.com/parties/main/r"),
            (base().with_host("http://example.com"), "wss://example.com/parties/main/r"),
            (base().with_host("https://example.com/"), "wss://example.com/parties/main/r"),
            (base().with_host("ws://example.com"), "wss://example.com/parties/main/r"),
            (base().with_host("wss://example.com/"), "wss://example.com/parties/main/r"),
            (base().with_host("example.com/sub/path"), "wss://example.com/sub/path/parties/main/r"),
            (base().with_host("example.com:8080"), "wss://example.com:8080/parties/main/r"),
            (base().with_host("localhost:1999"), "ws://localhost:1999/parties/main/r"),
            (base().with_party("p"), "wss://example.com/parties/p/r"),
            (base().with_prefix("custom/path"), "wss://example.com/custom/path/p/r"),
            (base().with_prefix(""), "wss://example.com/parties/main/r"),
            (base().with_base_path("my/own"), "wss://example.com/my/own"),
            (base().with_path("a/b"), "wss://example.com/parties/main/r/a/b"),
            (base().with_path(""), "wss://example.com/parties/main/r"),
            (base().with_base_path("own").with_path("p"), "wss://example.com/own/p"),
            (base().with_protocol(SocketProtocol::Ws), "ws://example.com/parties/main/r"),
            (base().with_host("localhost:1").with_protocol(SocketProtocol::Wss), "wss://localhost:1/parties/main/r"),
            (PartySocketOptions::without_room("example.com").with_base_path("own"), "wss://example.com/own"),
            // What a URL parser makes of such names in JavaScript:
            (base().with_room("a b"), "wss://example.com/parties/main/a%20b"),
            (base().with_room("é\"<>`{}"), "wss://example.com/parties/main/%C3%A9%22%3C%3E%60%7B%7D"),
            (base().with_room("a%2Fb"), "wss://example.com/parties/main/a%2Fb"),
            (base().with_room("100%"), "wss://example.com/parties/main/100%"),
            (base().with_room("a&b=c;d,e:@!$'()*+~|[]"), "wss://example.com/parties/main/a&b=c;d,e:@!$'()*+~|[]"),
        ];
        for (options, url) in table {
            let options = if url.contains("custom") { options.with_party("p") } else { options };
            assert_eq!(options.room_url().expect(url), url);
        }
    }

    #[test]
    fn the_socket_and_http_are_in_the_same_room_however_it_is_written() {
        let table = [
            options("http://localhost:1999/", "r"),
            options("localhost:1999", "a/b?c#d"),
            options("localhost:1999/base", "a b").with_party("p/q"),
            options("localhost:1999", "\\^\n").with_prefix("custom/path"),
            options("localhost:1999", "unused").with_base_path("own/pl ace"),
        ];
        for options in table {
            let socket = options.room_url().expect("a URL");
            let http = options.http_url("https", "/store").expect("a URL");
            assert_eq!(
                socket.strip_prefix("ws://"),
                http.strip_prefix("https://").and_then(|url| url.strip_suffix("/store"))
            );
            assert_eq!(reqwest::Url::parse(&http).expect("a URL").as_str(), http, "a URL parser leaves it as it is");
        }
        let url = options("h", "a/b?c#d").http_url("http", "/store").expect("a URL");
        assert_eq!(url, "http://h/parties/main/a%2Fb%3Fc%23d/store");
        let url = options("h", "r").with_path("p").http_url("http", "").expect("a URL");
        assert_eq!(url, "http://h/parties/main/r");
    }

    #[test]
    fn the_query_begins_with_the_id_and_leaves_out_what_has_no_value() {
        let query = [("a b", Some("c&d=é+~*")), ("none", None), ("", Some("")), ("_pk", Some("2"))];
        let query = query.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        let url = options("h", "r").socket_url("my id", &query).expect("a URL");
        assert_eq!(url, "wss://h/parties/main/r?_pk=my+id&a+b=c%26d%3D%C3%A9%2B%7E*&=&_pk=2");
    }

    #[test]
    fn hosts_of_this_machine_and_private_networks_need_no_tls() {
        let plain = [
            "localhost",
            "localhost:1999",
            "LocalHost:1999",
            "http://localhost:1999",
            "app.localhost:80",
            "127.0.0.1",
            "127.0.0.1:1999",
            "127.1.2.3:1999",
            "0.0.0.0:1999",
            "10.1.2.3",
            "192.168.0.1:80",
            "172.16.0.1:1999",
            "172.31.0.1",
            "[::1]",
            "[::1]:1999",
            "[::ffff:7f00:1]:1999",
            "[fd00::1]:1999",
        ];
        for host in plain {
            assert_eq!(guess_protocol(host), SocketProtocol::Ws, "{host}");
        }
        let tls = [
            "example.com",
            "example.com:1999",
            "localhost.example.com",
            "10.example.com",
            "192.168.example.com",
            "172.2.0.1",
            "172.100.0.1:80",
            "8.8.8.8",
            "[2001:db8::1]:1999",
            "example.com/localhost",
        ];
        for host in tls {
            assert_eq!(guess_protocol(host), SocketProtocol::Wss, "{host}");
        }
    }

    #[test]
    fn what_makes_no_url_is_refused_with_the_reason() {
        let table = [
            (options("", "r"), "host"),
            (options("http://", "r"), "host"),
            (options(":1999", "r"), "host"),
            (options("exa mple.com", "r"), "host"),
            (options("example.com?x", "r"), "host"),
            (options("user@example.com", "r"), "host"),
            (options("münchen.example", "r"), "host"),
            (options("example.com:port", "r"), "port"),
            (options("example.com:65536", "r"), "port"),
            (options("example.com", ""), "room"),
            (options("example.com", ".."), "room"),
            (options("example.com", "%2e%2E"), "room"),
            (options("example.com", "r").with_party(""), "party"),
            (options("example.com", "r").with_path("/p"), "path must not start with a slash"),
            (options("example.com", "r").with_path("a/../b"), "path"),
            (options("example.com", "r").with_base_path("/p"), "base_path must not start with a slash"),
            (options("example.com", "r").with_prefix("/p"), "prefix must not start with a slash"),
            (PartySocketOptions::without_room("example.com"), "room or a base_path"),
            (options("example.com", "r").with_header("Upgrade", "h2c"), "Upgrade"),
            (options("example.com", "r").with_header("Sec-WebSocket-Key", "x"), "Sec-WebSocket-Key"),
            (options("example.com", "r").with_header("A", "b\r\nc: d"), "header"),
            (options("example.com", "r").with_protocols(["a b"]), "subprotocol"),
            (options("example.com", "r").with_jitter(1.5), "jitter"),
            (options("example.com", "r").with_reconnection_delay_grow_factor(f64::NAN), "grow_factor"),
            (options("example.com", "r").with_max_enqueued_messages(0), "max_enqueued_messages"),
        ];
        for (options, reason) in table {
            let error = options.validate().expect_err(reason);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(reason), "{error} does not speak of {reason}");
        }
        assert!(PartySocketOptions::without_room("example.com").with_start_closed(true).validate().is_ok());
        assert!(options("h", "r").http_url("ftp", "/store").is_err());
        assert!(options("h", "r").http_url("http", "store").is_err());
    }

    #[test]
    fn ids_are_uuids_of_version_4() {
        assert_eq!(uuid_v4([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid_v4([0xFF; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
