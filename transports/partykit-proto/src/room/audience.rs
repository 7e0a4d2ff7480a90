//! Whom a frame is for.

use std::sync::Arc;

use crate::policy::ConnectionId;

/// The connections that a frame is sent to. Never empty.
#[derive(Clone, Debug)]
pub enum Audience {
    /// One connection.
    One(ConnectionId),
    /// All of the members but one.
    All {
        /// Shared from one frame to the next, until somebody comes or goes.
        members: Arc<[ConnectionId]>,
        /// One of the members that the frame is not for, its author.
        except: Option<ConnectionId>,
    },
}

impl Audience {
    /// All of `members` but `except`; `None` if that is nobody.
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

    /// Whether both are for the same connections, as far as that is seen at a glance.
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
