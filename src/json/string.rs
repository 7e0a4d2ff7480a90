//! JSON strings, their escapes, and the ids that JavaScript treats as array indices.

use std::borrow::Cow;

/// The text between the quotes of a JSON string whose grammar has been checked.
#[derive(Clone, Copy)]
pub(super) struct JsonString<'a> {
    inside: &'a str,
    escaped: bool,
}

/// One escape sequence, read.
enum Unit {
    Char(char),
    /// Half of a pair without its other half: legal in JavaScript's strings, not in Rust's.
    LoneSurrogate(u16),
}

impl<'a> JsonString<'a> {
    /// `inside` holds well-formed escape sequences if `escaped`, and none otherwise.
    pub(super) fn new(inside: &'a str, escaped: bool) -> Self {
        Self { inside, escaped }
    }

    /// The string, if it is written without an escape sequence.
    #[inline]
    pub(super) fn unescaped(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.inside)
    }

    /// The string, unless it holds a lone surrogate.
    pub(super) fn decode(self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.inside));
        }
        let mut decoded = String::with_capacity(self.inside.len());
        let mut rest = self.inside;
        while let Some((plain, unit, behind)) = next_escape(rest) {
            decoded.push_str(plain);
            match unit {
                Unit::Char(char) => decoded.push(char),
                Unit::LoneSurrogate(_) => return None,
            }
            rest = behind;
        }
        decoded.push_str(rest);
        Some(Cow::Owned(decoded))
    }

    /// Whether the string is written exactly as `other`, without an escape sequence. If this returns false, the two may
    /// still be equal.
    pub(super) fn is_plainly(self, other: &[u8]) -> bool {
        !self.escaped && self.inside.as_bytes() == other
    }

    /// Whether the string is `other`.
    pub(super) fn is(self, other: &str) -> bool {
        if self.escaped { self.decode().is_some_and(|decoded| decoded == other) } else { self.inside == other }
    }

    /// Writes the string, in quotes, as `JSON.stringify` does. Two strings are equal when their written forms are.
    pub(super) fn write(self, out: &mut String) {
        out.push('"');
        let mut rest = self.inside;
        while self.escaped
            && let Some((plain, unit, behind)) = next_escape(rest)
        {
            out.push_str(plain);
            match unit {
                Unit::Char(char) => write_escaped(out, char.encode_utf8(&mut [0; 4])),
                Unit::LoneSurrogate(surrogate) => write_unicode_escape(out, surrogate),
            }
            rest = behind;
        }
        out.push_str(rest);
        out.push('"');
    }
}

/// Writes `text`, in quotes, as `JSON.stringify` does.
pub(super) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    write_escaped(out, text);
    out.push('"');
}

/// Writes `text` without quotes.
pub(super) fn write_escaped(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    loop {
        let at = special_at(bytes, written);
        out.push_str(&text[written..at]);
        let Some(&byte) = bytes.get(at) else { return };
        written = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0C => out.push_str("\\f"),
            _ => write_unicode_escape(out, byte.into()),
        }
    }
}

/// The position of the first quote, backslash or control character from `at` on; the end if there is none.
pub(super) fn special_at(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // Checks eight bytes at once. A borrow can set a bit wrongly only above a correct one, and only the lowest bit
    // counts.
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*word);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let special = (quote | backslash | control) & HIGH;
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let special = rest.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\');
    special.map_or(bytes.len(), |more| at + more)
}

/// The array index that JavaScript treats `id` as when it orders an object's keys: "0" to "4294967294", written as
/// JavaScript would write them. These keys come first, ascending; all other keys follow in the order of insertion.
pub(super) fn array_index(id: impl AsRef<[u8]>) -> Option<u32> {
    let digits = id.as_ref();
    let canonical = match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 10 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    let index = digits.iter().fold(0_u64, |index, digit| index * 10 + u64::from(digit - b'0'));
    u32::try_from(index).ok().filter(|index| *index != u32::MAX)
}

/// The sort key of an object's key; equal for keys that stay in the order of insertion.
pub(super) fn rank(id: impl AsRef<[u8]>) -> u32 {
    array_index(id).unwrap_or(u32::MAX)
}

/// The text before the next escape sequence, that sequence, and the text after it.
fn next_escape(text: &str) -> Option<(&str, Unit, &str)> {
    let (plain, escape) = text.split_once('\\')?;
    let mut behind = escape.get(1..)?;
    let char = match escape.as_bytes()[0] {
        b'b' => '\u{8}',
        b'f' => '\u{C}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hex(behind)?;
            behind = &behind[4..];
            return match char::from_u32(unit.into()) {
                Some(char) => Some((plain, Unit::Char(char), behind)),
                None => Some(match low_surrogate(unit, behind) {
                    Some(char) => (plain, Unit::Char(char), &behind[6..]),
                    None => (plain, Unit::LoneSurrogate(unit), behind),
                }),
            };
        }
        itself => char::from(itself),
    };
    Some((plain, Unit::Char(char), behind))
}

/// The character of the surrogate pair of `high` and an escaped low surrogate at the beginning of `behind`.
fn low_surrogate(high: u16, behind: &str) -> Option<char> {
    let low = hex(behind.strip_prefix("\\u")?)?;
    char::decode_utf16([high, low]).next()?.ok()
}

fn hex(text: &str) -> Option<u16> {
    u16::from_str_radix(text.get(..4)?, 16).ok()
}

fn write_unicode_escape(out: &mut String, unit: u16) {
    out.push_str(&format!("\\u{unit:04x}"));
}
