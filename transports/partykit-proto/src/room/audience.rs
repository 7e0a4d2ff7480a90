//! The connections that a frame is sent to.

use std::sync::Arc;

use crate::policy::ConnectionId;

/// The connections that a frame is sent to. Never empty.
#[derive(Clone, Debug)]
pub enum Audience {
    /// One connection.
    One(ConnectionId),
    /// All members but at most one.
    All {
        /// The members. Shared between frames until a member joins or leaves.
        members: Arc<[ConnectionId]>,
        /// The member that the frame is not sent to: its author.
        except: Option<ConnectionId>,
    },
}

impl Audience {
    /// All of `members` but `except`; `None` if no member remains.
    pub(super) fn all(members: &Arc<[ConnectionId]>, except: Option<ConnectionId>) -> Option<Self> {
        let except = except.filter(|except| members.contains(except));
        (members.len() > usize::from(except.is_some())).then(|| Self::All { members: Arc::clone(members), except })
    }

    /// The connections, each once.
    pub fn iter(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        let (one, members, except) = match self {
            Self::One(one) => (Some(*one), [].as_slice(), None),
            Self::All { members, except } => (None, &**members, *except),
        };
        one.into_iter().chain(members.iter().copied().filter(move |member| Some(*member) != except))
    }

    /// Whether both are the same connections, by a cheap comparison: `false` does not mean that they differ.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => one == other,
            (Self::All { members, except }, Self::All { members: others, except: other }) => {
                Arc::ptr_eq(members, others) && except == other
            }
            _ => false,
        }
    }
}

impl PartialEq for Audience {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
