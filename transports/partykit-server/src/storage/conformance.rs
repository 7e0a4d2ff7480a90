//! The suite that tests any [`Storage`].
//!
//! Each check is named after a sentence of [`Storage`]'s contract, and panics if that sentence does not hold. The
//! checks cannot test the effects of a crash of the operating system or of a power failure.
//!
//! Turn the suite on for tests only: `roommate-server = { ..., features = ["testing"] }` under `[dev-dependencies]`.
//!
//! ```
//! use roommate_server::{Memory, conformance};
//!
//! conformance::storage(|| {
//!     let rooms = Memory::new();
//!     move || rooms.clone()
//! });
//! ```

use std::sync::Arc;

use roommate_partykit_proto::Storage;

mod commits;
mod epochs;
mod histories;
mod reading;
mod snapshots;
mod support;
#[cfg(test)]
mod tests;
mod threads;

pub use commits::{
    a_commit_has_records, a_commit_is_stored_as_a_whole_and_as_it_was, a_commit_that_does_not_follow_is_invalid,
    a_commit_that_is_refused_has_no_effect_on_the_others, what_was_committed_is_there_after_a_restart,
};
pub use epochs::{
    a_commit_under_an_older_epoch_is_refused, a_snapshot_under_an_older_epoch_is_refused,
    an_epoch_is_there_after_a_restart, each_opening_of_a_stored_room_begins_an_epoch,
    of_two_owners_of_a_new_room_the_first_to_commit_has_it, opening_a_room_that_is_not_stored_writes_nothing,
    the_list_of_epochs_is_bounded,
};
pub use histories::random_histories_end_as_in_the_model;
pub use reading::{
    a_removed_room_begins_anew, a_room_is_described_as_it_was_committed, removing_a_room_removes_all_of_it,
    rooms_are_listed_in_the_order_of_their_names, the_log_is_read_in_parts, the_owner_of_a_removed_room_is_refused,
};
pub use snapshots::{
    a_room_is_opened_from_its_newest_snapshot_and_the_log_after_it, a_snapshot_has_stored_records_only,
    a_snapshot_is_never_replaced_by_an_older_one, a_snapshot_of_a_number_replaces_that_one,
    nothing_of_a_commit_that_goes_beyond_a_snapshot_is_removed,
    the_content_at_each_time_since_the_given_one_can_be_made_again, the_log_goes_on_from_a_snapshot,
    what_is_older_than_the_given_time_is_removed,
};
pub use threads::{of_owners_that_compete_one_wins_each_number, rooms_are_written_and_read_from_many_threads};

/// Opens the storage that earlier calls opened, as after a restart of the process. No two are open at once.
pub type Open<'a> = &'a dyn Fn() -> Arc<dyn Storage>;

/// A check. It gets an empty storage of its own.
pub type Check = fn(Open<'_>);

macro_rules! checks {
    ($($check:ident),* $(,)?) => {
        /// Every check and its name.
        pub const CHECKS: &[(&str, Check)] = &[$((stringify!($check), $check)),*];
    };
}

checks![
    what_was_committed_is_there_after_a_restart,
    a_commit_is_stored_as_a_whole_and_as_it_was,
    a_commit_has_records,
    a_commit_that_does_not_follow_is_invalid,
    a_commit_that_is_refused_has_no_effect_on_the_others,
    opening_a_room_that_is_not_stored_writes_nothing,
    each_opening_of_a_stored_room_begins_an_epoch,
    an_epoch_is_there_after_a_restart,
    the_list_of_epochs_is_bounded,
    a_commit_under_an_older_epoch_is_refused,
    a_snapshot_under_an_older_epoch_is_refused,
    of_two_owners_of_a_new_room_the_first_to_commit_has_it,
    a_room_is_opened_from_its_newest_snapshot_and_the_log_after_it,
    a_snapshot_has_stored_records_only,
    a_snapshot_of_a_number_replaces_that_one,
    a_snapshot_is_never_replaced_by_an_older_one,
    the_log_goes_on_from_a_snapshot,
    the_content_at_each_time_since_the_given_one_can_be_made_again,
    what_is_older_than_the_given_time_is_removed,
    nothing_of_a_commit_that_goes_beyond_a_snapshot_is_removed,
    the_log_is_read_in_parts,
    a_room_is_described_as_it_was_committed,
    rooms_are_listed_in_the_order_of_their_names,
    removing_a_room_removes_all_of_it,
    the_owner_of_a_removed_room_is_refused,
    a_removed_room_begins_anew,
    random_histories_end_as_in_the_model,
    rooms_are_written_and_read_from_many_threads,
    of_owners_that_compete_one_wins_each_number,
];

/// Runs every check, each with a storage of its own.
///
/// `new_storage` creates an empty storage, and returns a closure that opens it. The closure is called again only after
/// its previous result was dropped.
///
/// # Panics
///
/// If the storage breaks the contract.
pub fn storage<S: Storage, O: Fn() -> S>(new_storage: impl Fn() -> O) {
    for (_, check) in CHECKS {
        let open = new_storage();
        check(&|| Arc::new(open()));
    }
}
