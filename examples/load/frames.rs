//! WebSocket frames, written and read without a copy: the generator must cost far less than the servers.

use memchr::memchr;

/// Where a template has its sequence number, as eight digits.
pub(crate) const PLACE: &str = "########";

/// What is looked for in what arrives: `~`, a sequence number, `~`.
const MARKER: usize = PLACE.len() + 2;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const TEXT: u8 = 1;
const PONG: u8 = 10;

/// A masked text message, encoded once, whose sequence number can be replaced in place.
///
/// A listener recognizes it by `~`, the number and `~`.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    payload_at: usize,
    /// Where in the payload the sequence number is.
    places: Vec<usize>,
}

/// What a server sent in one frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    Data(&'a [u8]),
    Ping(&'a [u8]),
    Close,
}

impl Frame {
    /// Encodes `template`, with each [`PLACE`] in it.
    pub(crate) fn new(template: &str) -> Self {
        let places = template.match_indices(PLACE).map(|(place, _)| place).collect();
        let bytes = masked(TEXT, template.as_bytes());
        let payload_at = bytes.len() - template.len();
        Self { bytes, payload_at, places }
    }

    /// The frame's bytes with this sequence number.
    pub(crate) fn numbered(&mut self, sequence: usize) -> &[u8] {
        for &place in &self.places {
            let mut rest = sequence;
            for at in (place..place + PLACE.len()).rev() {
                self.bytes[self.payload_at + at] = (b'0' + (rest % 10) as u8) ^ MASK[at % 4];
                rest /= 10;
            }
        }
        &self.bytes
    }
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    masked(PONG, payload)
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(0x80 | opcode);
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Calls `on` for each complete frame at the start of `data`, and returns how many bytes these frames take.
pub(crate) fn walk(data: &[u8], mut on: impl FnMut(Incoming<'_>)) -> usize {
    let mut at = 0;
    while let Some((head, len)) = header(&data[at..]) {
        let Some(payload) = data[at + head..].get(..len) else { break };
        match data[at] & 0x0f {
            0..=2 => on(Incoming::Data(payload)),
            8 => on(Incoming::Close),
            9 => on(Incoming::Ping(payload)),
            _ => {}
        }
        at += head + len;
    }
    at
}

/// The lengths of an unmasked frame's header and payload, if the header is complete.
fn header(data: &[u8]) -> Option<(usize, usize)> {
    match *data.get(1)? & 0x7f {
        126 => Some((4, u16::from_be_bytes(*data.get(2..)?.first_chunk()?).into())),
        127 => Some((10, u64::from_be_bytes(*data.get(2..)?.first_chunk()?).try_into().ok()?)),
        len => Some((2, len.into())),
    }
}

/// Calls `on` with each sequence number in `payload`.
pub(crate) fn markers(mut payload: &[u8], mut on: impl FnMut(usize)) {
    while let Some(start) = memchr(b'~', payload) {
        payload = &payload[start..];
        match payload.get(..MARKER).and_then(number) {
            Some(sequence) => {
                on(sequence);
                payload = &payload[MARKER..];
            }
            None => payload = &payload[1..],
        }
    }
}

fn number(marker: &[u8]) -> Option<usize> {
    let [b'~', digits @ .., b'~'] = marker else { return None };
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + usize::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmasked(frame: &[u8], head: usize) -> Vec<u8> {
        let (mask, payload) = frame[head..].split_at(4);
        payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
    }

    #[test]
    fn a_frame_takes_its_number_at_any_place_and_size() {
        for (padding, head) in [(0, 2), (3, 2), (200, 4), (70_000, 10)] {
            let template = format!("{}~{PLACE}~ and {PLACE}", "x".repeat(padding));
            let mut frame = Frame::new(&template);
            for sequence in [0, 7, 12_345_678] {
                let wanted = template.replace(PLACE, &format!("{sequence:08}"));
                assert_eq!(unmasked(frame.numbered(sequence), head), wanted.as_bytes());
            }
        }
    }

    #[test]
    fn only_complete_frames_are_read_wherever_the_data_is_cut() {
        let mut data = vec![0x81, 2, b'h', b'i', 0x89, 1, b'p', 0x8a, 0];
        data.extend([0x82, 126, 0, 130]);
        data.extend([b'm'; 130]);
        data.extend([0x88, 2, 3, 0xe8]);
        let whole = |data: &[u8]| {
            let mut seen = Vec::new();
            let used = walk(data, |incoming| {
                seen.push(match incoming {
                    Incoming::Data(payload) => format!("data {}", payload.len()),
                    Incoming::Ping(payload) => format!("ping {}", payload.len()),
                    Incoming::Close => "close".to_owned(),
                });
            });
            (seen, used)
        };
        assert_eq!(whole(&data), (["data 2", "ping 1", "data 130", "close"].map(str::to_owned).to_vec(), data.len()));
        for cut in 0..data.len() {
            let (mut seen, used) = whole(&data[..cut]);
            assert!(used <= cut);
            let (rest, used_of_rest) = whole(&data[used..]);
            seen.extend(rest);
            assert_eq!((seen.len(), used + used_of_rest), (4, data.len()), "cut at {cut}");
        }
    }

    #[test]
    fn markers_are_found_among_what_only_looks_like_them() {
        let mut found = Vec::new();
        markers(b"~0000001~ ~~00000002~~00000003~ ~0000000x~ ~00000004", |sequence| found.push(sequence));
        assert_eq!(found, [2, 3]);
    }
}
