//! Answers of a room as axum sends them.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
};
use roommate::{Error, ErrorKind, Result};
use roommate_partykit_proto::{Headers, Response};

/// What a JavaScript `Response` with a text says of it.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");

pub(crate) fn answer(response: Response) -> axum::response::Response {
    let mut answer = axum::response::Response::default();
    // Whoever sets up the server checks the headers, and a room makes no status of its own.
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // There the answer to a GET has a text even where that is empty, and no other empty answer has one.
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

/// The headers as HTTP has them; fails with what is wrong with them.
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
