//! PartyKit rooms for Roommate.

pub mod proto;
