//! The operator on a real API server: what a landing zone becomes, and what is put back.

use std::process::ExitCode;

use anyhow::Result;
use e2e::scenario::{self, Shared};
use e2e::shop::Shop;
use e2e::{Calico, Governed, OperatorOptions, install, scenarios, workspace};

mod adoption;
mod changes;
mod conflicts;
mod contested;
mod convergence;
mod drift;
mod forged;
mod invalid;
mod order;
mod refused;
mod removal;
mod territory;

struct Fixture(Governed);

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
        let deletion = workspace::root().join("config/namespace-deletion");
        install::apply_manifests(&governed.client(), &deletion).await?;
        Ok(Self(governed))
    }

    async fn stop(self) -> Result<()> {
        let respected = territory::was_respected(&self.0);
        self.0.stop().await?;
        respected
    }

    fn logs(&self) -> String {
        self.0.operator.logs().unwrap_or_default()
    }
}

impl Fixture {
    /// A landing zone of one's own, in force.
    async fn shop(&self, name: &str) -> Result<Shop<'_>> {
        Shop::open(&self.0, name).await
    }
}

#[expect(
    clippy::wildcard_imports,
    reason = "every function of these modules is a test, listed below by its name"
)]
fn main() -> ExitCode {
    use std::time::Duration;

    use adoption::*;
    use changes::*;
    use conflicts::*;
    use contested::*;
    use convergence::*;
    use forged::*;
    use invalid::*;
    use order::*;
    use refused::*;
    use removal::*;

    use drift::{access::*, namespace::*, policy::*, quota::*, team::*};

    // Those that wait for a minute come first, so that the others run beside them.
    const LONG: Duration = Duration::from_mins(4);
    scenario::run::<Fixture>(scenarios![
        a_fight_over_a_quota_slows_down within LONG,
        the_incumbent_keeps_a_namespace within LONG,
        the_incumbent_keeps_an_application_code within LONG,
        the_sample_becomes_a_landing_zone,
        a_changed_label_is_put_back,
        a_removed_label_is_put_back,
        a_lost_ownership_label_is_put_back,
        a_foreign_ownership_label_is_put_back,
        what_changes_again_while_it_is_put_back_is_looked_at,
        all_labels_stripped_at_once_are_put_back,
        a_changed_placement_is_put_back,
        a_deleted_namespace_comes_back_behind_its_policies within LONG,
        a_namespace_that_cannot_go_holds_nothing_up within LONG,
        a_raised_quota_is_put_back,
        a_key_added_to_a_quota_goes,
        a_key_removed_from_a_quota_comes_back,
        a_quota_stripped_of_its_label_is_put_back,
        a_deleted_quota_comes_back,
        a_quota_replaced_by_the_teams_own_is_put_back,
        deleted_limits_come_back,
        changed_limits_are_put_back,
        an_added_subject_goes,
        a_swapped_role_is_put_back,
        a_swapped_role_without_our_labels_is_put_back,
        a_deleted_binding_comes_back,
        a_widened_reader_role_is_put_back,
        an_added_rule_goes,
        an_added_selector_goes,
        an_added_field_goes,
        dropped_types_come_back,
        a_policy_stripped_of_its_label_is_put_back,
        a_policy_opened_under_no_label_is_put_back,
        a_deleted_policy_comes_back,
        all_policies_deleted_at_once_come_back,
        the_teams_objects_stay,
        a_forged_label_takes_nothing_in,
        a_label_under_the_operators_name_takes_nothing_in,
        a_label_under_the_operators_name_takes_nothing_out,
        a_fight_over_a_binding_never_slows_down,
        what_leaves_the_declaration_leaves_the_cluster,
        a_label_that_somebody_else_holds_stays,
        a_namespace_that_comes_back_is_as_it_is_declared,
        a_finalizer_keeps_no_access,
        a_namespace_that_leaves_is_released,
        a_released_namespace_may_be_claimed,
        a_suspended_landing_zone_is_left_alone,
        stage_plan_changes_nothing,
        the_application_code_cannot_be_changed,
        a_namespace_may_change_its_zone,
        what_is_declared_anew_keeps_its_namespaces,
        a_rename_is_no_failure,
        a_rename_in_the_other_order_is_no_failure,
        a_rename_deletes_no_namespace,
        a_rename_waits_for_no_namespace_of_others,
        an_existing_namespace_is_never_adopted,
        an_existing_namespace_is_adopted_once_it_is_identical,
        an_existing_namespace_is_always_adopted,
        what_azure_manages_is_not_adopted,
        what_argo_tracks_is_adopted_once_it_is_protected,
        what_flux_tracks_is_adopted_once_it_is_protected,
        a_foreign_object_of_our_name_is_not_overwritten,
        with_keep_everything_stays,
        a_finalizer_stands_while_delete_does,
        unused_namespaces_are_deleted within LONG,
        namespaces_in_use_need_confirmation within LONG,
        a_released_namespace_outlives_deletion within LONG,
        what_was_released_is_known_when_it_is_declared_again,
        what_waits_for_a_confirmation_is_kept_in_order within LONG,
        a_role_that_is_not_allowed_stalls_only_its_landing_zone,
        what_is_in_force_stays_when_an_edit_is_invalid,
        a_namespace_is_not_made_before_its_policies,
        an_old_policy_stays_until_the_new_ones_are_there,
        what_allows_stays_until_what_denies_is_gone,
        what_allows_is_there_before_what_denies,
    ])
}
