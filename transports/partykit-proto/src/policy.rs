//! The policy of a room: what each client may do.

use std::{fmt::Debug, net::SocketAddr};

use async_trait::async_trait;
use http::Extensions;
use roommate::{Cell, Id, Result};

use super::dialect::{DIALECT_PARAMETER, DIALECT_VERSION};

/// Identifies one connection of a room. Chosen by the host, which never reuses it during the life of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The HTTP request that a client made, or that opened its connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Context {
    /// The party, percent-encoded as received.
    pub party: String,
    /// The room, percent-encoded as received.
    pub room: String,
    /// The method, in upper case; `GET` for a request that opens a connection.
    pub method: String,
    /// The whole path, percent-encoded as received.
    pub path: String,
    /// The query, without the `?`.
    pub query: String,
    /// The headers, with names in lower case. A value has one character per byte, as in JavaScript's `Headers`.
    pub headers: Vec<(String, String)>,
    /// The address of the client, if it has one.
    pub peer: Option<SocketAddr>,
    /// Values by their types: those that middleware attached to the request, and those that [`Policy::can_connect`] and
    /// [`Policy::can_request`] add. They are stored until the connection ends, so they should be small or shared.
    pub extensions: Extensions,
}

/// The client that a question to the policy is about.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The client's request, or the request that opened its connection.
    pub context: &'a Context,
    /// The client's connection; `None` for a request.
    pub connection: Option<ConnectionId>,
}

/// Decides which clients may connect, make requests, and change what. Every method allows everything by default.
///
/// # The two methods that wait
///
/// The host calls [`can_connect`](Self::can_connect) and [`can_request`](Self::can_request) before it passes the
/// request to the room, and before it reads the request's body. They may wait, for a database query say, and several
/// can run at once. They see the whole request with what middleware attached to it. They can attach their results to
/// [`Context::extensions`], for the methods below.
///
/// `false` is answered with 401, an error or a panic with 500, and a timeout with 503.
///
/// # The eight methods that do not wait
///
/// They are TinyBase's hooks with their names in snake case, and nest in the same way:
///
/// * A cell is set if the table, the row and the cell may be set; deleted, if the table and the row may be set and the
///   cell may be deleted.
/// * A row is deleted if its table may be set and the row may be deleted.
/// * A table is deleted if it may be deleted; a value is set or deleted if it may be.
///
/// A part that is refused is left out, and the rest is accepted.
///
/// The room calls these methods when it handles the change, in the room's order (R1). It never calls two at once for
/// one room, and handles no other input until they return. So they must not block: look up what they need to know
/// before, and store it in [`Context::extensions`], or in memory that the policy shares. A method that panics fails the
/// whole input, and nothing else.
///
/// ```
/// use std::{collections::BTreeSet, sync::Arc};
///
/// use async_trait::async_trait;
/// use roommate::{Id, Result};
/// use roommate_partykit_proto::{Asker, Context, Policy};
///
/// /// The tables that a client may write.
/// #[derive(Clone)]
/// struct Writes(Arc<BTreeSet<String>>);
///
/// #[derive(Debug)]
/// struct Members;
///
/// #[async_trait]
/// impl Policy for Members {
///     async fn can_connect(&self, context: &mut Context) -> Result<bool> {
///         let Some(token) = context.query_parameter("token") else { return Ok(false) };
///         let tables = look_up(token).await?;
///         context.extensions.insert(Writes(Arc::new(tables)));
///         Ok(true)
///     }
///
///     fn can_set_table(&self, table_id: &Id, asker: Asker<'_>) -> bool {
///         let writes = asker.context.extensions.get::<Writes>();
///         writes.is_some_and(|writes| writes.0.contains(table_id.as_str()))
///     }
/// }
///
/// async fn look_up(token: &str) -> Result<BTreeSet<String>> {
///     // ...
/// #   let _ = token;
/// #   Ok(["pets".to_owned()].into())
/// }
/// ```
#[async_trait]
pub trait Policy: Debug + Send + Sync + 'static {
    /// Whether a client may open a connection.
    ///
    /// # Errors
    ///
    /// If that cannot be determined. The client is answered with 500, and the host logs the error.
    async fn can_connect(&self, _context: &mut Context) -> Result<bool> {
        Ok(true)
    }

    /// Whether a client may make HTTP requests to the room: to read its store, or to create it.
    ///
    /// # Errors
    ///
    /// As [`can_connect`](Self::can_connect).
    async fn can_request(&self, _context: &mut Context) -> Result<bool> {
        Ok(true)
    }

    /// Whether every client may make every change. If `true`, the methods below are not called, which saves a fifth of
    /// the time of a large change. So a policy that returns `true` must not rely on being called.
    fn allows_all_changes(&self) -> bool {
        false
    }

    /// Whether anything in a table may be set, or any of its rows may be deleted.
    fn can_set_table(&self, _table_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a table may be deleted.
    fn can_del_table(&self, _table_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether anything in a row may be set, or any of its cells may be deleted.
    fn can_set_row(&self, _table_id: &Id, _row_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a row may be deleted.
    fn can_del_row(&self, _table_id: &Id, _row_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a cell may be set to `cell`. `old` is the present cell; `None` if there is none.
    fn can_set_cell(
        &self,
        _table_id: &Id,
        _row_id: &Id,
        _cell_id: &Id,
        _cell: &Cell,
        _old: Option<&Cell>,
        _asker: Asker<'_>,
    ) -> bool {
        true
    }

    /// Whether a cell may be deleted.
    fn can_del_cell(&self, _table_id: &Id, _row_id: &Id, _cell_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a value may be set to `value`. `old` is the present value; `None` if there is none.
    fn can_set_value(&self, _value_id: &Id, _value: &Cell, _old: Option<&Cell>, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a value may be deleted.
    fn can_del_value(&self, _value_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }
}

/// Allows everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowAll;

impl Policy for AllowAll {
    fn allows_all_changes(&self) -> bool {
        true
    }
}

impl Asker<'_> {
    /// Whether the question is about the first content of a room, by `PUT`; `false` for a change by a connection.
    pub fn initial_save(&self) -> bool {
        self.connection.is_none()
    }
}

impl Context {
    /// Whether a client asks for the extended dialect on the connection that this request opens.
    pub fn asks_for_dialect(&self) -> bool {
        self.query_parameter(DIALECT_PARAMETER) == Some(DIALECT_VERSION)
    }

    /// The first header with this name, which has to be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(header, value)| (header == name).then_some(&**value))
    }

    /// The first parameter with this name in the query, percent-encoded as received.
    pub fn query_parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parameter_of_a_name_counts() {
        let context = Context { query: "a=1&_pk=one&_pk=two&x".into(), ..Context::default() };
        assert_eq!(context.query_parameter("_pk"), Some("one"));
        assert_eq!(context.query_parameter("pk"), None);
        assert_eq!(context.query_parameter("x"), None);
    }
}
