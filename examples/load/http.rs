//! The requests that a benchmark makes beside its messages: fill a room, read it, open a WebSocket.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
}

/// Makes one request on a connection of its own, and reads the whole answer.
pub(crate) fn request(host: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut stream = connect(host)?;
    let len = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: {len}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    // workerd leaves the connection open for seconds, whatever it is asked.
    while !is_whole(&answer) {
        match stream.read(&mut buffer)? {
            0 => break,
            len => answer.extend_from_slice(&buffer[..len]),
        }
    }
    let end = end_of_head(&answer).ok_or_else(|| invalid(&answer))?;
    let body = answer.split_off(end);
    let status = status(&answer).ok_or_else(|| invalid(&answer))?;
    Ok(Answer { status, head: String::from_utf8_lossy(&answer).to_ascii_lowercase(), body })
}

/// Opens a WebSocket. Returns what the server has sent after its answer, too.
pub(crate) fn upgrade(host: SocketAddr, path: &str) -> io::Result<(TcpStream, Vec<u8>)> {
    let mut stream = connect(host)?;
    // The key is that of the specification's example: nothing here depends on it.
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if let Some(end) = end_of_head(&answer) {
            break end;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(invalid(&answer)),
            len => answer.extend_from_slice(&buffer[..len]),
        }
    };
    if status(&answer) != Some(101) {
        return Err(invalid(&answer));
    }
    let rest = answer.split_off(end);
    Ok((stream, rest))
}

/// Whether an answer says by itself that it is complete. JSON has no line breaks that end a chunk.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = end_of_head(answer) else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    match length {
        Some(length) => answer.len() - end >= length,
        None => head.contains("\r\ntransfer-encoding: chunked") && answer.ends_with(b"0\r\n\r\n"),
    }
}

impl Answer {
    /// The body, decoded if it came in chunks.
    pub(crate) fn into_body(self) -> Vec<u8> {
        if !self.head.contains("\r\ntransfer-encoding: chunked") {
            return self.body;
        }
        let (mut decoded, mut rest) = (Vec::new(), &self.body[..]);
        while let Some((chunk, after)) = chunk(rest) {
            decoded.extend_from_slice(chunk);
            rest = after;
        }
        decoded
    }
}

/// The first chunk of a body and what follows it; `None` at the last one, which is empty, and where a chunk is cut off.
fn chunk(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = body.windows(2).position(|pair| pair == b"\r\n")?;
    let len = usize::from_str_radix(std::str::from_utf8(&body[..line]).ok()?.split(';').next()?.trim(), 16).ok()?;
    let data = &body[line + 2..];
    (len > 0 && data.len() >= len + 2).then(|| (&data[..len], &data[len + 2..]))
}

fn connect(host: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn end_of_head(answer: &[u8]) -> Option<usize> {
    memchr::memmem::find(answer, END_OF_HEAD).map(|at| at + END_OF_HEAD.len())
}

fn status(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?.parse().ok()
}

fn invalid(answer: &[u8]) -> io::Error {
    let start = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
    io::Error::new(io::ErrorKind::InvalidData, format!("the server answered {start:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_length_or_its_last_chunk_has_come() {
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for answer in [&length[..], chunked] {
            let first = (1..=answer.len()).find(|&len| is_whole(&answer[..len]));
            assert_eq!(first, Some(answer.len()));
        }
    }

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let head = "http/1.1 200 ok\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        let body = b"4\r\nwiki\r\n6;ext=1\r\npedia \r\n0\r\n\r\n".to_vec();
        assert_eq!(Answer { status: 200, head, body }.into_body(), b"wikipedia ");
    }
}
