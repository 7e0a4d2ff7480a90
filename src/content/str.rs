//! A text that is stored inline if it is short, and shared if it is long.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// The maximum length of an inline text. With it this type has 16 bytes, and so has a cell.
const SHORT: usize = 14;

/// An immutable text of 16 bytes: a short text is inline, and clones of a long text share it.
///
/// A text of up to [`SHORT`] bytes is always inline, so a short text never equals a long one. The bytes after the end
/// of a short text are zero.
#[derive(Clone)]
pub(super) enum Str {
    Short { len: u8, bytes: [u8; SHORT] },
    // Two indirections, so that the pointer is one word: with two words a cell would be half as large again.
    Long(Arc<Box<str>>),
}

impl Str {
    #[inline]
    pub(super) fn new(text: impl AsRef<str> + Into<String>) -> Self {
        match short(text.as_ref().as_bytes()) {
            Some(bytes) => Self::Short { len: text.as_ref().len() as u8, bytes },
            None => Self::Long(Arc::new(text.into().into_boxed_str())),
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len).min(SHORT)],
            Self::Long(text) => text.as_bytes(),
        }
    }

    #[inline]
    pub(super) fn as_str(&self) -> &str {
        match self {
            // It is valid UTF-8, and checking that again is cheaper than fetching it from elsewhere.
            Self::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }
}

/// The bytes of a short text, followed by zeros.
///
/// They are read as whole words, two of which may overlap: copying the bytes one by one, or by a call, would take
/// longer than most operations on a short text.
#[inline]
fn short(text: &[u8]) -> Option<[u8; SHORT]> {
    let word = match text.len() {
        0 => 0,
        1 => u128::from(text[0]),
        length @ 2..4 => {
            let (first, last) = (u16::from_le_bytes(*text.first_chunk()?), u16::from_le_bytes(*text.last_chunk()?));
            u128::from(first) | u128::from(last) << (8 * (length - 2))
        }
        length @ 4..8 => {
            let (first, last) = (u32::from_le_bytes(*text.first_chunk()?), u32::from_le_bytes(*text.last_chunk()?));
            u128::from(first) | u128::from(last) << (8 * (length - 4))
        }
        length @ 8..=SHORT => {
            let (first, last) = (u64::from_le_bytes(*text.first_chunk()?), u64::from_le_bytes(*text.last_chunk()?));
            u128::from(first) | u128::from(last) << (8 * (length - 8))
        }
        _ => return None,
    };
    word.to_le_bytes().first_chunk().copied()
}

impl PartialEq for Str {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Short { len, bytes }, Self::Short { len: other_len, bytes: other }) => {
                len == other_len && bytes == other
            }
            (Self::Long(text), Self::Long(other)) => Arc::ptr_eq(text, other) || text == other,
            _ => false,
        }
    }
}

impl Eq for Str {}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// Hashes as a `str` does, since either can be the key of a map look-up.
impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use proptest::prelude::*;

    use super::*;
    use crate::content::Cell;

    #[test]
    fn a_cell_is_no_larger_than_a_text() {
        assert_eq!(size_of::<Str>(), 16);
        assert_eq!(size_of::<Cell>(), 16);
        assert_eq!(size_of::<Option<Cell>>(), 16);
    }

    proptest! {
        #[test]
        fn it_is_the_text_that_it_was_made_of(a in "\\PC{0,24}", b in "[a\u{e4}\u{1F600}]{0,8}") {
            let lengths = (0..16).map(|length| "0123456789abcdef"[..length].to_owned());
            let texts = [a.clone(), b.clone(), a.chars().take(13).collect(), format!("{b}{a}"), format!("{b}\0")];
            let texts: Vec<_> = texts.into_iter().chain(lengths).collect();
            let hasher = RandomState::new();
            for one in &texts {
                let str = Str::new(one.as_str());
                prop_assert_eq!(str.as_str(), one.as_str());
                prop_assert_eq!(str.as_bytes(), one.as_bytes());
                prop_assert_eq!(hasher.hash_one(&str), hasher.hash_one(one.as_str()));
                for other in &texts {
                    let other_str = Str::new(other.clone());
                    prop_assert_eq!(str == other_str, one == other);
                    prop_assert_eq!(str.cmp(&other_str), one.cmp(other));
                }
            }
        }
    }
}
