//! Converts a room's answers to axum's responses.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
};
use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::{Headers, Response};

/// The content type of a JavaScript `Response` with a text.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");

pub(crate) fn answer(response: Response) -> axum::response::Response {
    let mut answer = axum::response::Response::default();
    // The headers were checked when the server was set up, and a room uses only valid status codes.
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // In the original, the answer to a GET has a text even if that is empty, and no other empty answer has one.
    if !response.body.is_empty() || answer.status() == StatusCode::OK {
        answer.headers_mut().insert(CONTENT_TYPE, TEXT);
        *answer.body_mut() = Body::from(Bytes::from_owner(response.body));
    }
    add_headers(&mut answer, &response.headers);
    answer
}

/// Adds the headers that every answer has.
pub(crate) fn add_headers(answer: &mut axum::response::Response, headers: &Headers) {
    if let Ok(headers) = header_map(headers) {
        answer.headers_mut().extend(headers);
    }
}

/// The headers in HTTP's form. Fails with what is wrong with them.
pub(crate) fn header_map(headers: &Headers) -> Result<HeaderMap> {
    let invalid =
        |name: &str| Error::new(ErrorKind::Invalid, format!("the response header {name:?} is no HTTP header"));
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        let key = HeaderName::try_from(name).map_err(|_| invalid(name))?;
        map.append(key, HeaderValue::try_from(value).map_err(|_| invalid(name))?);
    }
    Ok(map)
}
