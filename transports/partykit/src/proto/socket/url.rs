//! The pieces of a room's URL.
//!
//! The `place` part (host and path) is written once, fully encoded, for the socket and for HTTP: the two clients
//! beneath read URLs with different parsers, which leave nothing to do in such a text and so agree.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
};

use roommate::{Error, ErrorKind, Result};

use super::SocketProtocol;

/// The host as it stands in a URL: a protocol in front and one slash behind are cut, a path in it stays.
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

/// Plain for this machine and private networks, TLS for all else.
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
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) fn uuid_v4(random: [u8; 16]) -> String {
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
        // The last colon of `[::1]` is no port's.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    }
}

/// Whether a URL parser takes a segment for "here" or "one up".
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Encodes what the URL standard encodes in a path, what would end the path, and `extra`. A `%` stays, as there.
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
