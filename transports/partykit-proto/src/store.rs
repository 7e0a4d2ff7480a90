//! A client's reading of the HTTP responses of a room's store.

use std::str;

use roommate::{Content, Decoded, Error, ErrorKind, Result};

/// A response to a request to a room's store.
#[derive(Clone, Copy, Debug)]
pub struct StoreAnswer<'a> {
    /// The request as method and URL, for error messages.
    pub request: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// The outcome of offering a first content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The room stored the content, except for the parts that it refused, which may be all of it.
    Created,
    /// The room has a content already.
    Existed,
}

/// How many characters of an error's body are included in the error message.
const MOST_OF_A_REASON: usize = 300;

impl StoreAnswer<'_> {
    /// Returns the content in the response to a GET; `None` for a room in which nothing was ever saved.
    pub fn content(self) -> Result<Option<Decoded<Content>>> {
        self.success()?;
        if self.body.is_empty() {
            return Ok(None);
        }
        let corrupt = |reason: String| {
            let message = format!("{} was answered with something that is no content: {reason}", self.request);
            Error::new(ErrorKind::Corrupt, message)
        };
        let text = str::from_utf8(self.body).map_err(|error| corrupt(error.to_string()))?;
        let mut decoded = Content::from_json(text).map_err(|error| corrupt(error.to_string()))?;
        decoded.value.prune();
        Ok(Some(decoded))
    }

    /// Returns the outcome of a PUT.
    pub fn put(self) -> Result<Put> {
        self.success()?;
        Ok(if self.status == 205 { Put::Existed } else { Put::Created })
    }

    fn success(self) -> Result<()> {
        let (kind, advice) = match self.status {
            200..=299 => return Ok(()),
            401 | 403 => (ErrorKind::Refused, "; the headers of the socket's options are sent with it"),
            404 => (ErrorKind::Refused, "; check host, party and store path"),
            408 | 425 | 429 | 500..=599 => (ErrorKind::Unavailable, ""),
            _ => (ErrorKind::Refused, ""),
        };
        let reason = String::from_utf8_lossy(self.body);
        let mut reason = reason.trim();
        if let Some((end, _)) = reason.char_indices().nth(MOST_OF_A_REASON) {
            reason = &reason[..end];
        }
        let colon = if reason.is_empty() { "" } else { ": " };
        Err(Error::new(kind, format!("{} was answered with {}{colon}{reason}{advice}", self.request, self.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> StoreAnswer<'_> {
        StoreAnswer { request: "GET http://host/store", status, body: body.as_bytes() }
    }

    #[test]
    fn an_empty_body_is_a_room_without_a_store() {
        assert_eq!(answer(200, "").content().unwrap(), None);
        assert_eq!(answer(200, "[{},{}]").content().unwrap().unwrap().value, Content::new());
    }

    #[test]
    fn a_status_says_what_became_of_a_put() {
        assert_eq!(answer(201, "").put().unwrap(), Put::Created);
        assert_eq!(answer(205, "").put().unwrap(), Put::Existed);
    }

    #[test]
    fn a_failure_says_whether_it_passes_and_why() {
        for (status, kind) in [(400, ErrorKind::Refused), (403, ErrorKind::Refused), (500, ErrorKind::Unavailable)] {
            let error = answer(status, "the reason").put().unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains("GET http://host/store was answered with"), "{error}");
            assert!(error.to_string().contains("the reason"), "{error}");
        }
        let error = answer(500, &"é".repeat(1000)).content().unwrap_err();
        assert!(error.to_string().len() < 800, "a long body is cut");
    }
}
