//! Where one of a server's WebSocket frames ends and the next begins.

/// Follows what a server says on a WebSocket connection, from the answer to the upgrade on.
#[derive(Debug, Default)]
pub(super) struct Frames {
    has_answered: bool,
    /// The beginning of what is not whole yet: of the answer, or of a frame's header.
    begun: Vec<u8>,
    /// How much of a frame's content has yet to come.
    left: u64,
}

impl Frames {
    /// Takes in what came next.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            self.begun.push(*byte);
            if !self.has_answered {
                self.has_answered = self.begun.ends_with(b"\r\n\r\n");
                if self.has_answered {
                    self.begun.clear();
                }
            } else if let Some(length) = length(&self.begun) {
                self.left = length;
                self.begun.clear();
            }
        }
    }

    /// Whether other frames may be put in here.
    pub(super) fn are_whole(&self) -> bool {
        self.has_answered && self.begun.is_empty() && self.left == 0
    }
}

/// The length of a frame's content, once its header is whole. Servers do not mask.
fn length(header: &[u8]) -> Option<u64> {
    let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |length, byte| (length << 8) | u64::from(*byte));
    match (header.get(1)? & 0x7f, header.len()) {
        (126, 4) | (127, 10) => Some(big_endian(&header[2..])),
        (126 | 127, _) => None,
        (length, _) => Some(length.into()),
    }
}
