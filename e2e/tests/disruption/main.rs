//! The operator when something goes away under it: each test has a cluster of its own.

use std::process::ExitCode;
use std::time::Duration;

use e2e::{scenario, scenarios};

mod definition;
mod deleted;
mod restored;
mod rights;
mod watches;

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
fn main() -> ExitCode {
    use definition::*;
    use deleted::*;
    use restored::*;
    use rights::*;
    use watches::*;
    const DEADLINE: Duration = Duration::from_mins(3);
    scenario::run::<()>(scenarios![
        what_was_deleted_while_the_watch_was_cut_comes_back within DEADLINE,
        a_namespace_lost_while_the_operator_was_down_is_told within DEADLINE,
        without_the_right_to_delete_namespaces_the_message_says_so within DEADLINE,
        when_the_kind_is_deleted_the_namespaces_are_kept within DEADLINE,
        one_that_cannot_be_read_does_not_stop_others within DEADLINE,
        deleting_all_landing_zones_takes_no_namespace_in_use within DEADLINE,
        deleting_what_has_changed_since_deletes_nothing within DEADLINE,
        a_finalizer_removed_by_hand_deletes_nothing within DEADLINE,
        a_cluster_put_back_to_an_hour_ago_loses_nothing within DEADLINE,
    ])
}
