//! WebSocket frames as a server sends them: unmasked, so that one encoding serves all connections.

use std::ops::Range;

use axum::body::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// Encoded frames, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    /// The header of a single frame whose payload is `bytes`. Empty if `bytes` has the headers as well.
    header: Bytes,
    bytes: Bytes,
    /// Where each frame ends.
    ends: Vec<usize>,
}

/// Frames that are being encoded.
#[derive(Debug, Default)]
pub(crate) struct FramesMut {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// The ping of the heartbeat. It is empty, while a room's pings carry a token.
pub(crate) const PING: [u8; 2] = [0x89, 0];

impl Frames {
    /// Bytes that are handled as one frame.
    pub(crate) fn one(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { header: Bytes::new(), ends: vec![bytes.len()], bytes }
    }

    /// A text frame that shares its payload, which has to be UTF-8.
    pub(crate) fn sharing(payload: &Bytes) -> Self {
        let header = header(OpCode::Data(Data::Text), payload.len());
        Self { ends: vec![header.len() + payload.len()], header: header.into(), bytes: payload.clone() }
    }

    /// How many frames there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The total number of bytes.
    pub(crate) fn size(&self) -> usize {
        self.header.len() + self.bytes.len()
    }

    /// The position at which the frame begins. For the index after the last frame, the position at which that one ends.
    pub(crate) fn start(&self, frame: usize) -> usize {
        frame.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The number of bytes of a range of frames.
    pub(crate) fn size_of(&self, frames: &Range<usize>) -> usize {
        self.start(frames.end) - self.start(frames.start)
    }

    /// A range of frames, in two parts, of which the second may be empty.
    pub(super) fn parts(&self, frames: &Range<usize>) -> (Bytes, Bytes) {
        let (start, end) = (self.start(frames.start), self.start(frames.end));
        match self.header.len() {
            0 => (self.bytes.slice(start..end), Bytes::new()),
            _ if start == end => (Bytes::new(), Bytes::new()),
            _ => (self.header.clone(), self.bytes.clone()),
        }
    }

    /// The rest of a range of frames after `taken` bytes, in two parts, of which the second may be empty.
    pub(super) fn rest(&self, frames: &Range<usize>, taken: usize) -> (&[u8], &[u8]) {
        let (start, end) = (self.start(frames.start) + taken, self.start(frames.end));
        match self.header.len() {
            0 => (&self.bytes[start..end], &[]),
            header if start < header => (&self.header[start..], &self.bytes),
            header => (&self.bytes[start - header..], &[]),
        }
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
        let (first, second) = frames.rest(&range, 0);
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
        self.ends.extend(frames.ends[range].iter().map(|end| end - from + to));
    }

    /// How many frames there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The total number of bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn freeze(self) -> Frames {
        Frames { header: Bytes::new(), bytes: self.bytes.into(), ends: self.ends }
    }

    fn push(&mut self, opcode: OpCode, payload: &[u8]) {
        self.bytes.extend_from_slice(&header(opcode, payload.len()));
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
    }
}

fn header(opcode: OpCode, length: usize) -> Vec<u8> {
    let header = FrameHeader { is_final: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask: None };
    let mut bytes = Vec::with_capacity(header.len(length as u64));
    // Writing to a vector never fails.
    let _always = header.format(length as u64, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{Sent, bytes, decode},
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
        assert_eq!(decode(&bytes(&frames, 0..expected.len())), expected);
        for (index, frame) in expected.iter().enumerate() {
            assert_eq!(decode(&bytes(&frames, index..index + 1)), std::slice::from_ref(frame));
        }
        for size in sizes {
            let (payload, text) = (Bytes::from("x".repeat(size)), Sent::Text("x".repeat(size)));
            let frame = Frames::sharing(&payload);
            assert_eq!((decode(&bytes(&frame, 0..1)), frame.size()), (vec![text], bytes(&frame, 0..1).len()));
            assert_eq!(frame.parts(&(0..1)).1.as_ptr(), payload.as_ptr(), "it is not copied");
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
        assert_eq!(bytes(&some, 0..3), [bytes(&frames, 3..4), bytes(&frames, 1..3)].concat());
        assert_eq!(bytes(&some, 1..2), bytes(&frames, 1..2));
    }
}
