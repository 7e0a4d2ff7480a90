//! How a room answers HTTP requests.

use std::{str, sync::Arc};

use roommate::{Content, Decoded};

use super::{Output, Room, accept::divide_content, caught};
use crate::{
    dialect::{OFFER_HEADER, Offer},
    http::{Headers, Response},
    policy::{Asker, Context},
};

impl Room {
    pub(super) fn request(&mut self, context: &Context, body: &[u8]) -> (Vec<Output>, Response) {
        let (outputs, mut response) = self.answer(context, body);
        if context.path.ends_with(self.config.store_path()) {
            response.headers = Arc::clone(&self.store_headers);
        }
        (outputs, response)
    }

    fn answer(&mut self, context: &Context, body: &[u8]) -> (Vec<Output>, Response) {
        let asker = Asker { context, connection: None };
        let response = match &*context.method {
            _ if !context.path.ends_with(self.config.store_path()) => self.empty(404),
            "PUT" if body.len() > self.config.max_body_size() => self.empty(413),
            "PUT" => return self.put(asker, body),
            _ if !self.exists => self.empty(200),
            method => {
                if let ("GET", Some(cures)) = (method, &mut self.cures) {
                    cures.handed_out();
                }
                let content = self.encoded_content();
                Response::text(200, self.headers(), content)
            }
        };
        (Vec::new(), response)
    }

    fn put(&mut self, asker: Asker<'_>, body: &[u8]) -> (Vec<Output>, Response) {
        let content = str::from_utf8(body).ok().and_then(|body| Content::from_json(body).ok());
        let Some(Decoded { value: content, unrepresentable }) = content else {
            return (Vec::new(), self.empty(400));
        };
        let offer = asker.context.header(OFFER_HEADER).filter(|_| self.extended.is_some()).map(Offer::decode);
        let Ok(offer) = offer.transpose() else {
            return (Vec::new(), self.empty(400));
        };
        if self.exists {
            return (Vec::new(), self.empty(205));
        }
        let is_empty = content.is_empty() && unrepresentable == 0;
        let divided = caught(|| divide_content(self.config.policy(), asker, content));
        let Ok((accepted, refused)) = divided else {
            return (Vec::new(), self.failed());
        };
        let created = self.empty(201);
        // An empty content creates an empty store. A content of which everything is left out creates none, yet gets a
        // 201.
        if accepted.is_empty() && !is_empty {
            return (Vec::new(), created);
        }
        let own = offer.and_then(|offer| self.extended.as_ref()?.own_of(offer, &refused));
        (self.create(None, None, own, accepted), created)
    }

    fn headers(&self) -> &Headers {
        self.config.response_headers()
    }

    fn empty(&self, status: u16) -> Response {
        Response::empty(status, self.headers())
    }

    fn failed(&self) -> Response {
        Response::text(500, self.headers(), "the room's policy failed")
    }
}
