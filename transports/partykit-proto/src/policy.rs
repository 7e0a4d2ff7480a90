//! Who may do what in a room.

use std::{fmt::Debug, net::SocketAddr};

use async_trait::async_trait;
use http::Extensions;
use roommate::{Cell, Id, Result};

use super::dialect::{DIALECT_PARAMETER, DIALECT_VERSION};

/// Names one connection of a room. Chosen by the host, never used twice over the life of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What is known of a request or a connection: the HTTP request that it is or that opened it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Context {
    /// The party, percent-encoded as it came.
    pub party: String,
    /// The room, percent-encoded as it came.
    pub room: String,
    /// The method, upper case; `GET` where a connection is opened.
    pub method: String,
    /// The whole path, percent-encoded as it came.
    pub path: String,
    /// What follows the `?`, without it.
    pub query: String,
    /// The headers, names in lower case. A value has a character for each byte, as in JavaScript's `Headers`.
    pub headers: Vec<(String, String)>,
    /// The other end, where there is one.
    pub peer: Option<SocketAddr>,
    /// Values by their types: what middleware attached to the request, and what [`Policy::can_connect`] and
    /// [`Policy::can_request`] add. They stay with a connection until it ends, so let them be small or shared.
    pub extensions: Extensions,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The request, or the one that opened the connection.
    pub context: &'a Context,
    /// The connection, unless it is a request.
    pub connection: Option<ConnectionId>,
}

/// Decides who may connect, request, and change what. Everything is allowed unless a method says otherwise.
///
/// # The two methods that wait
///
/// [`can_connect`](Self::can_connect) and [`can_request`](Self::can_request) are asked by the host before the room learns
/// of the request, and before its body is read. They may take their time, ask a database say, and several run at once. They
/// see the whole request with what middleware attached to it, and can attach what they find out to
/// [`Context::extensions`], for the methods below.
///
/// `false` is answered with 401, an error or a panic with 500, and no answer in time with 503.
///
/// # The eight methods that do not
///
/// They are TinyBase's hooks under their names in snake case, and nest as there:
///
/// * A cell is set if the table, the row and the cell may be set; deleted, if the table and the row may be set and the
///   cell may be deleted.
/// * A row is deleted if its table may be set and the row may be deleted.
/// * A table is deleted if it may be deleted; a value is set or deleted if it may be.
///
/// A part that is refused is left out, and the rest is accepted.
///
/// The room calls them where the change stands in its order (R1), never two at once for one room, and decides nothing else
/// until they have answered. So they must not block: what they need to know is looked up before, and is in
/// [`Context::extensions`], or in memory that the policy shares. A method that panics makes the input fail as a whole, and
/// nothing else.
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
    /// If that cannot be found out. The client is answered with 500, and the host logs the error.
    async fn can_connect(&self, _context: &mut Context) -> Result<bool> {
        Ok(true)
    }

    /// Whether a client may request anything of the room by HTTP: to read its store, or to make it.
    ///
    /// # Errors
    ///
    /// As [`can_connect`](Self::can_connect).
    async fn can_request(&self, _context: &mut Context) -> Result<bool> {
        Ok(true)
    }

    /// Whether every change is allowed to everybody. If so, none of the questions below is asked: asking them takes a fifth of
    /// the time of a large change. So a policy that returns `true` must not rely on being asked.
    fn allows_all_changes(&self) -> bool {
        false
    }

    /// Whether anything in a table may be set, or any of its rows deleted.
    fn can_set_table(&self, _table_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a table may be deleted.
    fn can_del_table(&self, _table_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether anything in a row may be set, or any of its cells deleted.
    fn can_set_row(&self, _table_id: &Id, _row_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a row may be deleted.
    fn can_del_row(&self, _table_id: &Id, _row_id: &Id, _asker: Asker<'_>) -> bool {
        true
    }

    /// Whether a cell may become `cell`; it was `old` before, `None` if it was not there.
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

    /// Whether a value may become `value`; it was `old` before, `None` if it was not there.
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
    /// Whether this is the first content of a room, by `PUT`; else it is a change, by a connection.
    pub fn initial_save(&self) -> bool {
        self.connection.is_none()
    }
}

impl Context {
    /// Whether a client asks for the extended dialect on the connection that this opens.
    pub fn asks_for_dialect(&self) -> bool {
        self.query_parameter(DIALECT_PARAMETER) == Some(DIALECT_VERSION)
    }

    /// The first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(header, value)| (header == name).then_some(&**value))
    }

    /// The first parameter of that name in the query, percent-encoded as it came.
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
