//! WebSocket frames as a server sends them: unmasked, so that one encoding serves every connection.

use std::ops::Range;

use axum::body::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// Encoded frames, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    bytes: Bytes,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
}

/// Frames that are being encoded.
#[derive(Debug, Default)]
pub(crate) struct FramesMut {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A heartbeat's ping. The pings of a room carry a token.
pub(crate) const PING: [u8; 2] = [0x89, 0];

impl Frames {
    /// Bytes that are sent as if they were one frame.
    pub(crate) fn one(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { ends: vec![bytes.len()], bytes }
    }

    /// How many frames there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Where the frame begins in the bytes; the end of the last one for the index after it.
    pub(crate) fn start(&self, frame: usize) -> usize {
        frame.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The bytes of some of the frames.
    pub(crate) fn slice(&self, frames: Range<usize>) -> &[u8] {
        &self.bytes[self.start(frames.start)..self.start(frames.end)]
    }
}

impl FramesMut {
    /// Adds a text frame. The payload has to be UTF-8.
    pub(crate) fn push_text(&mut self, payload: &[u8]) {
        self.push(OpCode::Data(Data::Text), payload);
    }

    /// Adds a ping that carries `token`.
    pub(crate) fn push_ping(&mut self, token: u64) {
        self.push(OpCode::Control(Control::Ping), &token.to_be_bytes());
    }

    /// Adds frames that are encoded already.
    pub(crate) fn extend(&mut self, frames: &Frames, range: Range<usize>) {
        let (from, to) = (frames.start(range.start), self.bytes.len());
        self.bytes.extend_from_slice(frames.slice(range.clone()));
        self.ends.extend(frames.ends[range].iter().map(|end| end - from + to));
    }

    /// How many frames there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they have in all.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn freeze(self) -> Frames {
        Frames { bytes: self.bytes.into(), ends: self.ends }
    }

    fn push(&mut self, opcode: OpCode, payload: &[u8]) {
        let header = FrameHeader { is_final: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask: None };
        let length = payload.len() as u64;
        self.bytes.reserve(header.len(length) + payload.len());
        // A vector takes everything that is written to it.
        let _always = header.format(length, &mut self.bytes);
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{Sent, decode},
        *,
    };

    #[test]
    fn frames_of_every_header_length_are_as_the_standard_has_them() {
        let sizes = [0, 1, 125, 126, 65_535, 65_536];
        let mut frames = FramesMut::default();
        sizes.iter().for_each(|size| frames.push_text(&vec![b'x'; *size]));
        frames.push_ping(0x0102_0304_0506_0708);
        let frames = frames.freeze();
        let mut expected: Vec<_> = sizes.iter().map(|size| Sent::Text("x".repeat(*size))).collect();
        expected.push(Sent::Ping(vec![1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(decode(frames.bytes()), expected);
        for (index, frame) in expected.iter().enumerate() {
            assert_eq!(decode(frames.slice(index..index + 1)), std::slice::from_ref(frame));
        }
        assert_eq!(decode(&PING), [Sent::Ping(vec![])]);
    }

    #[test]
    fn some_of_the_frames_can_be_copied() {
        let mut frames = FramesMut::default();
        ["a", "bb", "ccc", "d"].iter().for_each(|text| frames.push_text(text.as_bytes()));
        let frames = frames.freeze();
        let mut some = FramesMut::default();
        some.extend(&frames, 3..4);
        some.extend(&frames, 1..3);
        let some = some.freeze();
        assert_eq!(some.bytes(), &[frames.slice(3..4), frames.slice(1..3)].concat());
        assert_eq!(some.slice(1..2), frames.slice(1..2));
    }
}
