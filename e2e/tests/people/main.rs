//! What people meet: refusals, explanations, columns, and what their roles let them do.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, scenarios};

mod commands;
mod exceptions;
mod kubectl;
mod namespaces;
mod refused;
mod roles;
mod token;

use commands::{
    diff_tells_what_a_stopped_operator_does_not_put_back, status_says_first_whom_it_waits_for,
    status_tells_changes_as_they_come, the_team_gets_what_it_may_read,
};
use exceptions::an_older_api_server_takes_no_exception_of_everything;
use kubectl::{kubectl_applies_without_a_warning_and_shows_columns, kubectl_explains_every_field};
use namespaces::{
    a_landing_zone_s_namespace_is_not_deleted, a_landing_zone_s_namespace_is_not_edited,
    nobody_joins_a_landing_zone_by_label,
};
use refused::{
    an_application_code_stays, each_mistake_is_refused_with_the_way_out,
    the_flawless_declaration_is_accepted,
};
use roles::{subjects_see_their_own_landing_zone, teams_write_their_own_policies_and_no_others};
use token::{
    the_operator_s_token_hands_out_nothing_else, the_operator_s_token_writes_no_other_namespace,
};

struct Fixture(Governed);

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let options = OperatorOptions::default();
        Ok(Self(Governed::start(Calico::Storage, options).await?))
    }

    async fn stop(self) -> Result<()> {
        self.0.stop().await
    }

    fn logs(&self) -> String {
        self.0.operator.logs().unwrap_or_default()
    }
}

fn main() -> ExitCode {
    let long = Duration::from_mins(2);
    scenario::run::<Fixture>(scenarios![
        the_flawless_declaration_is_accepted,
        each_mistake_is_refused_with_the_way_out within long,
        an_application_code_stays,
        kubectl_explains_every_field within long,
        kubectl_applies_without_a_warning_and_shows_columns within long,
        teams_write_their_own_policies_and_no_others,
        subjects_see_their_own_landing_zone,
        the_operator_s_token_hands_out_nothing_else within long,
        the_operator_s_token_writes_no_other_namespace,
        a_landing_zone_s_namespace_is_not_edited within long,
        a_landing_zone_s_namespace_is_not_deleted within long,
        nobody_joins_a_landing_zone_by_label within long,
        status_says_first_whom_it_waits_for within 2 * long,
        status_tells_changes_as_they_come within long,
        the_team_gets_what_it_may_read within long,
        diff_tells_what_a_stopped_operator_does_not_put_back within long,
        an_older_api_server_takes_no_exception_of_everything within long,
    ])
}
