//! PartyKit rooms for Roommate.
