//! The bounded queue of frames that a socket has not accepted yet. No I/O.

use std::{
    collections::VecDeque,
    io::{Cursor, IoSlice},
    ops::Range,
};

use axum::body::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

use super::frame::Frames;

/// Encoded frames that wait for a socket, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pieces: VecDeque<Piece>,
    frames: usize,
    bytes: usize,
}

/// The bounds of one connection's queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) frames: usize,
    /// A single frame may be larger.
    pub(crate) bytes: usize,
}

/// Whole frames. The socket may have accepted some of their bytes, but not all.
#[derive(Debug)]
struct Piece {
    /// Everything, or the header of a single frame.
    first: Bytes,
    /// The payload in that case.
    second: Bytes,
    taken: usize,
    frames: usize,
}

/// How many slices go out in one write.
pub(super) const SLICES: usize = 16;

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds frames, of which the socket has accepted the first `taken` bytes. Returns `false` if not all of them fit;
    /// then it adds only the first ones, as many as fit. An empty queue accepts a frame of any size.
    pub(super) fn push(&mut self, frames: &Frames, range: Range<usize>, taken: usize, bounds: Bounds) -> bool {
        let taken = frames.start(range.start) + taken;
        let mut range = range;
        while !range.is_empty() && frames.start(range.start + 1) <= taken {
            range.start += 1;
        }
        let (all, start) = (range.end, frames.start(range.start));
        let taken = taken.saturating_sub(start);
        range.end = range.start;
        while range.end < all {
            let (queued, end) = (frames.start(range.end), frames.start(range.end + 1));
            let frames_fit = self.frames + range.len() < bounds.frames;
            let bytes_fit = self.bytes.saturating_add(end - start - taken) <= bounds.bytes;
            let is_first = self.is_empty() && queued == start;
            if !(is_first || frames_fit && bytes_fit) {
                break;
            }
            range.end += 1;
        }
        if !range.is_empty() {
            let (first, second) = frames.parts(&range);
            let piece = Piece { first, second, taken, frames: range.len() };
            self.frames += piece.frames;
            self.bytes += piece.left();
            self.pieces.push_back(piece);
        }
        range.end == all
    }

    /// Fills in what to write next, and returns the number of slices.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let next = self.pieces.iter().flat_map(Piece::slices).map(IoSlice::new);
        slices.iter_mut().zip(next).map(|(slice, next)| *slice = next).count()
    }

    /// Removes the next `count` bytes, which the socket has accepted.
    pub(super) fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(piece) = self.pieces.front_mut() {
            let left = piece.left();
            if count < left {
                piece.taken += count;
                return;
            }
            count -= left;
            self.frames -= piece.frames;
            self.pieces.pop_front();
        }
        // A connection that has caught up needs no memory for a queue.
        *self = Self::default();
    }

    /// Removes every frame of which the socket has accepted nothing, and adds `last`.
    pub(super) fn finish(&mut self, last: Bytes) {
        let begun = self.pieces.pop_front().filter(|piece| piece.taken > 0);
        *self = Self::default();
        let begun = begun.and_then(|mut piece| {
            if piece.second.is_empty() {
                piece.first.truncate(end_of_frame(&piece.first, piece.taken)?);
            }
            (piece.left() > 0).then_some(piece)
        });
        let last = Piece { first: last, second: Bytes::new(), taken: 0, frames: 1 };
        self.pieces.extend(begun.into_iter().chain((last.left() > 0).then_some(last)));
        self.pieces.iter_mut().for_each(|piece| piece.frames = 1);
        self.frames = self.pieces.len();
        self.bytes = self.pieces.iter().map(Piece::left).sum();
    }
}

impl Piece {
    fn left(&self) -> usize {
        self.first.len() + self.second.len() - self.taken
    }

    /// The bytes that are left.
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let slices = match self.taken.checked_sub(self.first.len()) {
            None => [&self.first[self.taken..], &self.second],
            Some(taken) => [&self.second[taken..], &[]],
        };
        slices.into_iter().filter(|slice| !slice.is_empty())
    }
}

/// The first end of a frame that is not before `taken`.
fn end_of_frame(frames: &[u8], taken: usize) -> Option<usize> {
    let mut end = 0;
    while end < taken {
        let mut cursor = Cursor::new(&frames[end..]);
        let (_, length) = FrameHeader::parse(&mut cursor).ok()??;
        end += cursor.position() as usize + length as usize;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{frame::FramesMut, testing::bytes},
        *,
    };

    const AMPLE: Bounds = Bounds { frames: 1000, bytes: 1 << 20 };

    fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Frames {
        let mut frames = FramesMut::default();
        texts.into_iter().for_each(|text| frames.push_text(text.as_bytes()));
        frames.freeze()
    }

    /// Everything that is queued, in the order in which the socket accepts it.
    fn drain(queue: &mut Queue, mut at_once: impl FnMut() -> usize) -> Vec<u8> {
        let mut written = Vec::new();
        while !queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = queue.slices(&mut slices);
            let next: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            let taken = at_once().clamp(1, next.len());
            written.extend_from_slice(&next[..taken]);
            queue.advance(taken);
        }
        written
    }

    #[test]
    fn an_empty_queue_takes_any_frame_and_no_more_than_the_bounds_after_it() {
        let frames = texts(["12345678", "2", "3", "4"]);
        let mut queue = Queue::default();
        assert!(!queue.push(&frames, 0..4, 0, Bounds { frames: 10, bytes: 5 }), "the first is too large for any other");
        assert_eq!(drain(&mut queue, || 1), bytes(&frames, 0..1));
        assert!(!queue.push(&frames, 0..4, 0, Bounds { frames: 3, bytes: 100 }));
        assert!(!queue.push(&frames, 3..4, 0, Bounds { frames: 3, bytes: 100 }));
        assert_eq!(drain(&mut queue, || 100), bytes(&frames, 0..3));
        assert!(queue.push(&frames, 0..4, 0, Bounds { frames: 4, bytes: 19 }));
        assert_eq!(drain(&mut queue, || 100), bytes(&frames, 0..4));
    }

    #[test]
    fn a_frame_that_the_socket_has_begun_is_finished_before_the_last_word() {
        let (frames, last) = (texts(["first", "second", "third"]), Bytes::from_static(b"last"));
        // The position of the cut, and how many frames have to be whole in the end.
        for (taken, whole) in [(0, 0), (1, 1), (7, 1), (8, 2), (15, 2), (16, 3)] {
            let mut queue = Queue::default();
            assert!(queue.push(&frames, 0..3, taken, AMPLE));
            assert!(queue.push(&frames, 0..3, 0, AMPLE));
            queue.finish(last.clone());
            let written = [&bytes(&frames, 0..3)[..taken], &drain(&mut queue, || 2)].concat();
            assert_eq!(written, [&bytes(&frames, 0..whole)[..], b"last"].concat(), "{taken}");
        }
    }

    #[test]
    fn a_shared_payload_is_not_copied_and_finished_wherever_the_socket_has_begun_it() {
        let (payload, last) = (Bytes::from("x".repeat(300)), Bytes::from_static(b"last"));
        let frame = Frames::sharing(&payload);
        for taken in [1, 3, 4, 5, 303] {
            let mut queue = Queue::default();
            assert!(queue.push(&frame, 0..1, taken, AMPLE));
            assert_eq!(queue.pieces[0].second.as_ptr(), payload.as_ptr());
            assert!(queue.push(&frame, 0..1, 0, AMPLE));
            queue.finish(last.clone());
            let written = [&bytes(&frame, 0..1)[..taken], &drain(&mut queue, || 2)].concat();
            assert_eq!(written, [&bytes(&frame, 0..1)[..], b"last"].concat(), "{taken}");
        }
    }

    proptest! {
        #[test]
        fn what_is_queued_comes_out_in_order_however_it_is_taken(
            pushes in prop::collection::vec((prop::collection::vec("[a-z]{0,200}", 1..5), 0_usize..300), 1..40),
            steps in prop::collection::vec(1_usize..500, 1..20),
        ) {
            let (mut queue, mut expected) = (Queue::default(), Vec::new());
            for (payloads, taken) in &pushes {
                let frames = match &payloads[..] {
                    [payload] => Frames::sharing(&Bytes::from(payload.clone())),
                    payloads => texts(payloads.iter().map(String::as_str)),
                };
                // Only the first frames can have been accepted in part.
                let taken = if queue.is_empty() { (*taken).min(frames.size() - 1) } else { 0 };
                prop_assert!(queue.push(&frames, 0..frames.len(), taken, AMPLE));
                expected.extend_from_slice(&bytes(&frames, 0..frames.len())[taken..]);
            }
            let mut step = steps.iter().cycle();
            prop_assert_eq!(drain(&mut queue, || *step.next().unwrap()), expected);
            prop_assert_eq!((queue.frames, queue.bytes), (0, 0));
        }
    }
}
