//! Frames of the stock dialect: a prefix, the letter `s`, and JSON.

use std::sync::Arc;

use roommate::{Changes, Content, Decoded, Payload};

/// Writes and reads the text frames that TinyBase's PartyKit client and server exchange.
///
/// There is one type of frame, `s` (set changes), with the same form in both directions. Any other text is a frame of
/// another application, and decodes to `None`: TinyBase's client and server ignore it, and so do both ends here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    prefix: Arc<str>,
}

/// The one frame type of the stock dialect.
const SET_CHANGES: char = 's';

impl Wire {
    /// Creates the wire of peers whose `messagePrefix` is `prefix`; empty is TinyBase's default.
    pub fn new(prefix: impl Into<Arc<str>>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Encodes `changes` as a frame.
    pub fn encode_changes(&self, changes: &Changes) -> String {
        self.frame(&changes.to_json())
    }

    /// Encodes `content` as a frame that replaces a client's whole content, in one transaction of the client.
    pub fn encode_content(&self, content: &Content) -> String {
        self.frame(&content.to_json())
    }

    /// Decodes a frame that a room received: changes that pass TinyBase's validation as a whole, or `None`.
    pub fn decode_changes(&self, frame: &str) -> Option<Decoded<Changes>> {
        Changes::from_json(self.payload(frame)?).ok()
    }

    /// Decodes a frame that a client received.
    ///
    /// This is stricter than TinyBase's client, which applies what it can of a payload without validation: a payload
    /// with a malformed part decodes to `None` as a whole, as it does for the room.
    pub fn decode_payload(&self, frame: &str) -> Option<Decoded<Payload>> {
        Payload::from_json(self.payload(frame)?).ok()
    }

    /// Where the payload of a frame begins, in bytes.
    pub(super) fn payload_start(&self) -> usize {
        self.prefix.len() + SET_CHANGES.len_utf8()
    }

    /// The frame of a payload that is JSON already.
    pub(super) fn frame(&self, payload: &str) -> String {
        let mut frame = String::with_capacity(self.prefix.len() + SET_CHANGES.len_utf8() + payload.len());
        frame.push_str(&self.prefix);
        frame.push(SET_CHANGES);
        frame.push_str(payload);
        frame
    }

    fn payload<'a>(&self, frame: &'a str) -> Option<&'a str> {
        frame.strip_prefix(&*self.prefix)?.strip_prefix(SET_CHANGES)
    }
}

#[cfg(test)]
mod tests {
    use roommate::Cell;

    use super::*;

    fn changes() -> Changes {
        let mut changes = Changes::new();
        changes.set_cell("pets", "fido", "species", Cell::try_from("dog").unwrap());
        changes.del_row("pets", "felix");
        changes.del_value("open");
        changes
    }

    #[test]
    fn a_frame_is_the_prefix_then_s_then_json() {
        let frame = Wire::new("app:").encode_changes(&changes());
        assert_eq!(
            frame,
            "app:s[{\"pets\":{\"fido\":{\"species\":\"dog\"},\"felix\":\"\u{FFFC}\"}},{\"open\":\"\u{FFFC}\"},1]"
        );
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        for prefix in ["", "s", "app:", "\u{1F600}"] {
            let wire = Wire::new(prefix);
            let frame = wire.encode_changes(&changes());
            assert_eq!(wire.decode_changes(&frame).unwrap().value, changes());
            assert_eq!(wire.decode_payload(&frame).unwrap().value, Payload::Changes(changes()));

            let mut content = Content::new();
            content.apply(&changes());
            let frame = wire.encode_content(&content);
            assert_eq!(wire.decode_changes(&frame), None, "a room takes changes only");
            assert_eq!(wire.decode_payload(&frame).unwrap().value, Payload::Content(content));
        }
    }

    #[test]
    fn what_is_not_ours_is_ignored() {
        let wire = Wire::new("app:");
        for frame in
            ["", "app:", "s[{},{},1]", "app:c[{},{},1]", "app:s", "app:s{", "APP:s[{},{},1]", "xapp:s[{},{},1]"]
        {
            assert_eq!(wire.decode_changes(frame), None, "{frame}");
            assert_eq!(wire.decode_payload(frame), None, "{frame}");
        }
    }

    #[test]
    fn a_falsy_payload_asks_the_client_to_load_and_says_nothing_to_the_room() {
        let wire = Wire::default();
        for frame in ["s0", "s-0", "s0.0e9", "snull", "s null ", "sfalse", "s\"\"", "s\"\u{FFFC}\"", "s\"\\uFFFC\""] {
            assert_eq!(wire.decode_payload(frame).unwrap().value, Payload::Reload, "{frame}");
            assert_eq!(wire.decode_changes(frame), None, "{frame}");
        }
        for frame in ["s1", "s{}", "s[]", "s\"x\"", "s\u{FFFC}", "s+0", "s00", "s.0"] {
            assert_eq!(wire.decode_payload(frame), None, "{frame}");
        }
    }

    #[test]
    fn one_malformed_part_spoils_the_whole_frame() {
        let wire = Wire::default();
        for frame in [
            "s[{\"t\":null},{},1]",
            "s[{\"t\":{\"r\":null}},{},1]",
            "s[{\"t\":[]},{},1]",
            "s[{},{},1,9]",
            "s[{},1]",
            "s{\"0\":{},\"1\":{},\"2\":1}",
        ] {
            assert_eq!(wire.decode_changes(frame), None, "{frame}");
            assert_eq!(wire.decode_payload(frame), None, "{frame}");
        }
    }
}
