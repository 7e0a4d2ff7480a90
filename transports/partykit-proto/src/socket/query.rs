//! The query of a socket's URL: fixed, or computed for each attempt.

use std::{fmt, sync::Arc};

use futures_core::future::BoxFuture;
use roommate::Result;

/// Names and values of a query; a name without a value is left out, as partysocket leaves out `null`.
pub type QueryPairs = Vec<(String, Option<String>)>;

/// A value of a query: a text, or an `Option` of one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct QueryValue(pub(super) Option<String>);

impl From<&str> for QueryValue {
    fn from(value: &str) -> Self {
        Self(Some(value.to_owned()))
    }
}

impl From<String> for QueryValue {
    fn from(value: String) -> Self {
        Self(Some(value))
    }
}

impl<T: Into<String>> From<Option<T>> for QueryValue {
    fn from(value: Option<T>) -> Self {
        Self(value.map(Into::into))
    }
}

/// Hides the value, which may be a secret.
impl fmt::Debug for QueryValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueryValue(..)")
    }
}

/// The source of the query of a socket's URL.
#[derive(Clone)]
pub enum Query {
    /// The same pairs at each attempt.
    Pairs(QueryPairs),
    /// A function that is called for each attempt, for instance to get a token that expires.
    ///
    /// If the function fails, the attempt fails: subscribers receive the error, and the socket tries again. The socket
    /// sets no time limit for the function.
    Function(Arc<dyn Fn() -> BoxFuture<'static, Result<QueryPairs>> + Send + Sync>),
}

impl Query {
    /// Returns this query with one more pair.
    pub fn with_pair(self, name: &'static str, value: &'static str) -> Self {
        let pair = move || (name.to_owned(), Some(value.to_owned()));
        match self {
            Self::Pairs(mut pairs) => {
                pairs.push(pair());
                Self::Pairs(pairs)
            }
            Self::Function(function) => Self::Function(Arc::new(move || {
                let pairs = function();
                Box::pin(async move {
                    let mut pairs = pairs.await?;
                    pairs.push(pair());
                    Ok(pairs)
                })
            })),
        }
    }

    /// Returns the pairs for the next attempt.
    ///
    /// # Errors
    /// Those of the function.
    pub async fn resolve(&self) -> Result<QueryPairs> {
        match self {
            Self::Pairs(pairs) => Ok(pairs.clone()),
            Self::Function(function) => function().await,
        }
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

/// Shows only names, since values may be secrets.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pairs(pairs) => f.debug_list().entries(pairs.iter().map(|(name, _)| name)).finish(),
            Self::Function(_) => f.write_str("Function(..)"),
        }
    }
}
