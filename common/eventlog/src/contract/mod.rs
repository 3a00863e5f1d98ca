//! The suite that every [`Log`] must pass: one function a guarantee.
//!
//! [`contract_tests!`](crate::contract_tests) makes a test of each of them for one implementation.
//! Nothing here assumes that offsets are dense, that an end is one more than the last record's
//! offset, or that what was committed a moment ago is fetched at the first try: only that it comes.
#![expect(clippy::expect_used, reason = "a test suite says what it expects")]
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod commits;
mod durability;
mod fixture;
mod membership;
mod reading;
mod state;

pub use commits::{
    a_batch_shows_as_a_whole, a_refused_batch_leaves_nothing, offsets_are_kept_for_each_group,
    records_keep_their_order_and_content,
};
pub use durability::{
    a_restart_keeps_everything, appended_records_are_durable_when_it_says_so,
    callbacks_come_once_their_commit_is_durable, concurrent_appends_are_each_there_once,
};
pub use fixture::{LogFactory, STORES, block_on, unique_name};
pub use membership::{
    a_former_owner_is_fenced, a_partition_lost_for_a_while_is_told,
    partitions_are_shared_out_and_passed_on, sessions_are_woken_for_records_and_assignments,
};
pub use reading::{
    a_compacted_topic_keeps_the_newest_of_each_key, a_fetch_starves_no_partition,
    a_follower_misses_nothing_and_repeats_nothing, a_reader_at_the_end_waits_there,
    ends_cover_what_was_committed, unknown_places_are_errors, unread_records_outlast_housekeeping,
};
pub use state::{
    ranges_are_in_order_and_bounded, stores_belong_to_a_group_and_a_partition,
    the_newest_change_of_a_key_counts,
};

#[cfg(doc)]
use crate::log::Log;

/// Makes a test of every guarantee, for the implementation that a [`LogFactory`] makes.
#[macro_export]
macro_rules! contract_tests {
    ($factory:expr) => {
        $crate::contract_tests!(@each $factory,
            a_batch_shows_as_a_whole,
            a_refused_batch_leaves_nothing,
            offsets_are_kept_for_each_group,
            records_keep_their_order_and_content,
            a_restart_keeps_everything,
            appended_records_are_durable_when_it_says_so,
            callbacks_come_once_their_commit_is_durable,
            concurrent_appends_are_each_there_once,
            a_former_owner_is_fenced,
            a_partition_lost_for_a_while_is_told,
            partitions_are_shared_out_and_passed_on,
            sessions_are_woken_for_records_and_assignments,
            a_compacted_topic_keeps_the_newest_of_each_key,
            a_fetch_starves_no_partition,
            a_follower_misses_nothing_and_repeats_nothing,
            a_reader_at_the_end_waits_there,
            ends_cover_what_was_committed,
            unknown_places_are_errors,
            unread_records_outlast_housekeeping,
            ranges_are_in_order_and_bounded,
            stores_belong_to_a_group_and_a_partition,
            the_newest_change_of_a_key_counts
        );
    };
    (@each $factory:expr, $($guarantee:ident),+) => {
        $(
            #[test]
            fn $guarantee() {
                $crate::contract::$guarantee(&$factory);
            }
        )+
    };
}
