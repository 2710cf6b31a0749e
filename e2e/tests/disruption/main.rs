//! The operator when something goes away under it: each test has a cluster of its own.

use std::process::ExitCode;
use std::time::Duration;

use e2e::{scenario, scenarios};

mod definition;
mod rights;
mod watches;

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
fn main() -> ExitCode {
    use definition::*;
    use rights::*;
    use watches::*;
    const DEADLINE: Duration = Duration::from_mins(3);
    scenario::run::<()>(scenarios![
        what_was_deleted_while_the_watch_was_cut_comes_back within DEADLINE,
        a_namespace_lost_while_the_operator_was_down_is_told within DEADLINE,
        without_the_right_to_delete_namespaces_the_message_says_so within DEADLINE,
        when_the_kind_is_deleted_the_namespaces_are_kept within DEADLINE,
        one_that_cannot_be_read_does_not_stop_others within DEADLINE,
    ])
}
