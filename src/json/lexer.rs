//! A cursor over JSON text that rejects exactly what JavaScript's `JSON.parse` rejects.
//!
//! `serde_json` rejects more: a lone surrogate, a number beyond `f64`, a value nested deeper than 128. Each of these is
//! legal JSON that web pages send, and rejecting it loses a whole message. The lexer accepts such a token like any
//! other. Only decoding the token finds that Rust cannot represent it.

use super::string::{JsonString, special_at};
use crate::error::{Error, ErrorKind, Result};

/// A position in a JSON text.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is not white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Reads `byte` if it comes next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    /// Reads `byte`, which has to come next.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(self.unexpected_byte(byte)) }
    }

    /// Reads up to the next entry of an object or element of an array, or reads the byte that closes it.
    #[inline]
    pub(super) fn next(&mut self, close: u8, first: bool) -> Result<bool> {
        if self.take(close) {
            return Ok(false);
        }
        if !first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Reads the key of an entry and its colon.
    #[inline]
    pub(super) fn key(&mut self) -> Result<JsonString<'a>> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    pub(super) fn string(&mut self) -> Result<JsonString<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = special_at(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => {
                    let inside = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(JsonString::new(inside, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.unexpected("an escaped control character")),
                None => return Err(self.unexpected("the end of a string")),
            }
        }
    }

    /// Reads a whole number of up to 15 digits, the most frequent kind. For anything else, returns `None` and reads
    /// nothing.
    #[inline]
    pub(super) fn whole_number(&mut self) -> Option<u64> {
        let bytes = self.text.as_bytes().get(self.at..)?;
        let mut number = 0_u64;
        let mut digits = 0;
        while let Some(byte @ b'0'..=b'9') = bytes.get(digits) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            digits += 1;
        }
        let is_whole = matches!((digits, bytes.first()), (1, _) | (2..=15, Some(b'1'..=b'9')));
        if !is_whole || matches!(bytes.get(digits), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at += digits;
        Some(number)
    }

    /// Reads a number and returns its text, in a grammar that `f64::from_str` accepts.
    #[inline]
    pub(super) fn number(&mut self) -> Result<&'a str> {
        self.peek();
        let start = self.at;
        self.take_byte(b'-');
        if !self.take_byte(b'0') {
            self.digits()?;
        }
        if self.take_byte(b'.') {
            self.digits()?;
        }
        if self.take_byte(b'e') || self.take_byte(b'E') {
            let _sign = self.take_byte(b'+') || self.take_byte(b'-');
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Reads `true`, `false` or `null`.
    pub(super) fn literal(&mut self, literal: &str) -> Result<()> {
        self.peek();
        if !self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            return Err(self.unexpected(&format!("`{literal}`")));
        }
        self.at += literal.len();
        Ok(())
    }

    /// Reads any value and returns its text. This is not recursive, since an untrusted client chooses the nesting.
    pub(super) fn value(&mut self) -> Result<Span<'a>> {
        self.peek();
        let start = self.at;
        let mut closes = Vec::new();
        let mut depth = 0;
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    closes.push(b'}');
                    depth = depth.max(closes.len());
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    closes.push(b']');
                    depth = depth.max(closes.len());
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'"') => drop(self.string()?),
                Some(b't') => self.literal("true")?,
                Some(b'f') => self.literal("false")?,
                Some(b'n') => self.literal("null")?,
                _ => drop(self.number()?),
            }
            while let Some(&close) = closes.last() {
                if !self.take(close) {
                    break;
                }
                closes.pop();
            }
            match closes.last() {
                None => return Ok(Span { text: &self.text[start..self.at], depth }),
                Some(close) => {
                    self.expect(b',')?;
                    if *close == b'}' {
                        self.key()?;
                    }
                }
            }
        }
    }

    /// Fails if anything but white space is left.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("nothing more")),
        }
    }

    #[cold]
    fn unexpected_byte(&self, expected: u8) -> Error {
        self.unexpected(&format!("`{}`", char::from(expected)))
    }

    /// The error that something other than `expected` is next.
    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        let at = self.at;
        Error::new(ErrorKind::Corrupt, format!("expected {expected} at byte {at} of the JSON"))
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn take_byte(&mut self, byte: u8) -> bool {
        let taken = self.byte() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    #[inline]
    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a value or a digit")) } else { Ok(()) }
    }

    fn escape(&mut self) -> Result<()> {
        let length = match &self.text.as_bytes()[self.at..] {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [_, b'u', hex @ ..] if hex.len() >= 4 && hex[..4].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(self.unexpected("an escape sequence")),
        };
        self.at += length;
        Ok(())
    }
}

/// The text of one value, and how deep objects and arrays are nested in it: 0 for a scalar, 1 for `[]`.
pub(super) struct Span<'a> {
    pub(super) text: &'a str,
    pub(super) depth: usize,
}
