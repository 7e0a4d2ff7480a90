//! The decoder of the messages that arrive on a client's connections. It does not need the client.

use std::sync::Arc;

use roommate::{Decoded, Payload, Result};

use crate::{Dialect, ServerMessage, Side, Wire};

/// Decodes messages. It is separate from the client, so that a large message is decoded without the client's lock.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    pub(super) wire: Wire,
    pub(super) dialect: Dialect,
}

/// A decoded message.
#[derive(Debug)]
pub struct Incoming(pub(super) Message);

#[derive(Debug)]
pub(super) enum Message {
    Extended(ServerMessage),
    Stock(Payload),
}

impl Decoder {
    /// Creates a decoder for messages with a prefix, which server and clients have to agree on.
    pub fn new(prefix: impl Into<Arc<str>>) -> Self {
        let prefix = prefix.into();
        Self { wire: Wire::new(Arc::clone(&prefix)), dialect: Dialect::new(prefix) }
    }

    /// Decodes a text message; `None` for one that is not TinyBase's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`](roommate::ErrorKind::Corrupt) for a malformed message of the extended dialect.
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
