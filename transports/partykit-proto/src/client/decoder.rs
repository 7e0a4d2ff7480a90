//! What arrives on a client's connections, read without the client.

use roommate::{Decoded, Payload, Result};

use crate::{Dialect, ServerMessage, Side, Wire};

/// Reads messages. It is apart from the client, so that a large one is read without the lock of that.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// Reads the messages of stock servers.
    pub wire: Wire,
    /// Reads the messages of the extended dialect.
    pub dialect: Dialect,
}

/// A message that was read.
#[derive(Debug)]
pub struct Incoming(pub(super) Message);

#[derive(Debug)]
pub(super) enum Message {
    Extended(ServerMessage),
    Stock(Payload),
}

impl Decoder {
    /// Reads a text message; `None` for one that is not TinyBase's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](roommate::ErrorKind::Corrupt) for a message of the extended dialect that cannot be understood.
    pub fn decode(&self, side: Side, text: &str) -> Option<Result<Decoded<Incoming>>> {
        if side == Side::Ear
            && let Some(message) = self.dialect.decode_server(text)
        {
            return Some(message.map(|decoded| Decoded {
                value: Incoming(Message::Extended(decoded.value)),
                unrepresentable: decoded.unrepresentable,
            }));
        }
        let Decoded { value, unrepresentable } = self.wire.decode_payload(text)?;
        Some(Ok(Decoded { value: Incoming(Message::Stock(value)), unrepresentable }))
    }
}
