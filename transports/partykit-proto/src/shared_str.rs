//! Text that several owners share, whole or in part.

use std::{
    fmt,
    ops::{Deref, Range},
    sync::Arc,
};

/// Part of a text that is rendered once and shared: a frame, and the changes in it.
///
/// A clone shares the text.
///
/// ```
/// use roommate_partykit_proto::SharedStr;
///
/// let frame = SharedStr::from("s[{},{},1]".to_owned());
/// let changes = frame.slice(1..frame.len());
/// assert_eq!(&*changes, "[{},{},1]");
/// ```
#[derive(Clone)]
pub struct SharedStr {
    whole: Arc<str>,
    range: Range<usize>,
}

impl SharedStr {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.whole[self.range.clone()]
    }

    /// Returns a part of this text, without a copy.
    ///
    /// # Panics
    ///
    /// If the range is out of bounds or splits a character.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(self.as_str().get(range.clone()).is_some(), "the range lies within the text, between characters");
        let begin = self.range.start;
        Self { whole: Arc::clone(&self.whole), range: begin + range.start..begin + range.end }
    }
}

impl Deref for SharedStr {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for SharedStr {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for SharedStr {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Default for SharedStr {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<Arc<str>> for SharedStr {
    fn from(whole: Arc<str>) -> Self {
        let range = 0..whole.len();
        Self { whole, range }
    }
}

impl From<String> for SharedStr {
    fn from(text: String) -> Self {
        Self::from(Arc::<str>::from(text))
    }
}

impl From<&str> for SharedStr {
    fn from(text: &str) -> Self {
        Self::from(Arc::<str>::from(text))
    }
}

impl PartialEq for SharedStr {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SharedStr {}

impl PartialEq<str> for SharedStr {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for SharedStr {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for SharedStr {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl fmt::Debug for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for SharedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_part_is_a_part_of_the_whole() {
        let whole = SharedStr::from("a\u{e9}bcd");
        let part = whole.slice(1..5);
        assert_eq!(part, "\u{e9}bc");
        assert_eq!(part.slice(2..4), "bc");
        assert_eq!(part.slice(4..4), "");
    }

    #[test]
    #[should_panic(expected = "between characters")]
    fn a_character_is_not_split() {
        let _ = SharedStr::from("\u{e9}").slice(1..2);
    }
}
