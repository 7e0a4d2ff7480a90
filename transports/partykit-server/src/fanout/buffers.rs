//! Encoded frames side by side, in buffers of limited size.

use std::ops::Range;

use axum::body::Bytes;

use crate::connection::{
    Connection,
    frame::{Frames, FramesMut},
};

/// Buffers in which frames are being encoded.
#[derive(Debug, Default)]
pub(super) struct BuffersMut {
    full: Vec<Frames>,
    last: FramesMut,
}

/// Buffers of encoded frames.
#[derive(Debug, Default)]
pub(super) struct Buffers(Vec<Frames>);

/// The position of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    buffer: usize,
    frame: usize,
}

/// Frames for one connection. They are joined where that saves writes.
#[derive(Debug)]
pub(super) struct Splice<'a> {
    connection: &'a Connection,
    /// The newest frames, which are adjacent in a buffer.
    range: Option<(&'a Frames, Range<usize>)>,
    /// The frames before them.
    copies: FramesMut,
    size: usize,
}

/// The size from which on a payload is not copied, and a buffer is full.
const LARGE: usize = 16 << 10;

impl BuffersMut {
    /// Adds a text frame. A large one shares its payload.
    pub(super) fn push_text(&mut self, payload: &Bytes) -> Place {
        if payload.len() < LARGE {
            return self.push(|frames| frames.push_text(payload));
        }
        self.rotate();
        self.full.push(Frames::sharing(payload));
        Place { buffer: self.full.len() - 1, frame: 0 }
    }

    pub(super) fn push_ping(&mut self, token: u64) -> Place {
        self.push(|frames| frames.push_ping(token))
    }

    /// The total number of bytes.
    pub(super) fn size(&self) -> usize {
        self.full.iter().map(|frames| frames.size()).sum::<usize>() + self.last.size()
    }

    pub(super) fn freeze(mut self) -> Buffers {
        self.rotate();
        Buffers(self.full)
    }

    fn push(&mut self, encode: impl FnOnce(&mut FramesMut)) -> Place {
        if self.last.size() >= LARGE {
            self.rotate();
        }
        encode(&mut self.last);
        Place { buffer: self.full.len(), frame: self.last.len() - 1 }
    }

    fn rotate(&mut self) {
        if self.last.len() > 0 {
            self.full.push(std::mem::take(&mut self.last).freeze());
        }
    }
}

impl Buffers {
    /// Everything, in order.
    pub(super) fn all(&self) -> &[Frames] {
        &self.0
    }

    /// The total number of bytes.
    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|frames| frames.size()).sum()
    }
}

impl<'a> Splice<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, range: None, copies: FramesMut::default(), size: 0 }
    }

    /// Adds a frame.
    pub(super) fn push(&mut self, buffers: &'a Buffers, place: Place) {
        let frames = &buffers.0[place.buffer];
        self.size += frames.size_of(&(place.frame..place.frame + 1));
        if let Some((last, range)) = &mut self.range
            && std::ptr::eq(*last, frames)
            && range.end == place.frame
        {
            range.end += 1;
            return;
        }
        if let Some((frames, range)) = self.range.replace((frames, place.frame..place.frame + 1)) {
            self.copy(frames, range);
        }
    }

    /// Sends the frames that were added.
    pub(super) fn flushed(&mut self) -> &'a Connection {
        match self.range.take() {
            Some((frames, range)) if self.copies.len() == 0 => self.connection.send(frames, range),
            Some((frames, range)) => {
                self.copy(frames, range);
                self.send_copies();
            }
            None => {}
        }
        self.connection
    }

    /// The total number of bytes that were added.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn copy(&mut self, frames: &Frames, range: Range<usize>) {
        let is_large = frames.size_of(&range) >= LARGE;
        if is_large || self.copies.size() >= LARGE {
            self.send_copies();
        }
        if is_large {
            self.connection.send(frames, range);
        } else {
            self.copies.extend(frames, range);
        }
    }

    fn send_copies(&mut self) {
        if self.copies.len() > 0 {
            let copies = std::mem::take(&mut self.copies).freeze();
            self.connection.send(&copies, 0..copies.len());
        }
    }
}
