//! The answers of a room to requests for its store.

use roommate::{Content, Error, ErrorKind, Result};

use crate::proto::{Response, StoreAnswer};

/// The response to a request, which error messages name.
pub(crate) fn answer<'a>(request: &'a str, response: &'a Response) -> StoreAnswer<'a> {
    StoreAnswer { request, status: response.status, body: response.body.as_bytes() }
}

/// The content in the response to a GET.
pub(crate) fn content(request: &str, response: &Response) -> Result<Option<Content>> {
    Ok(answer(request, response).content()?.map(|decoded| decoded.value))
}

/// The error of a request without a response.
pub(crate) fn unavailable(method: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{method} of the room did not get through"))
}
