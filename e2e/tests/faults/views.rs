//! What the operator sees is old, or not all there is.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::fault_proxy::End;
use e2e::governed::CONVERGED;
use e2e::{eventually, holds_for};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::Api;
use kube::api::DeleteParams;

use crate::Fixture;
use crate::answers::each;
use crate::journey::{Disturbance, learn, points};
use crate::life::{Step, bury, given, is_done};

/// Lists of before a step, after it was done in part or whole; and events that come late.
pub async fn an_old_view_of_the_cluster_does_no_harm(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.writes).max().unwrap_or(0);
    let mut all = vec![vec![Disturbance::Held], vec![Disturbance::Stale(None)]];
    let in_part = points(most, 1)?.into_iter();
    all.extend(in_part.map(|number| vec![Disturbance::Stale(Some(number))]));
    each(&mut ground, "old views", &all).await
}

/// An event is missed by a watch that has to begin anew later, as when the API server's history ends.
pub async fn an_event_that_nobody_saw_is_made_up_for(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.events).max().unwrap_or(0);
    let unseen = points(most, 2)?.into_iter();
    let unseen = unseen.map(|number| vec![Disturbance::Unseen(number)]);
    each(
        &mut ground,
        "events that nobody saw",
        &unseen.collect::<Vec<_>>(),
    )
    .await
}

pub async fn watches_that_end_lose_nothing(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let expected = learn(&mut ground).await?;
    let most = expected.values().map(|it| it.events).max().unwrap_or(0);
    let mut all = Vec::new();
    for number in points(most, 1)? {
        all.push(vec![Disturbance::Ended(End::Cut, number)]);
        all.push(vec![Disturbance::Ended(End::Gone, number)]);
    }
    each(&mut ground, "watches that end", &all).await
}

/// Somebody deletes a landing zone, which leaves what it has, and clears that away by hand; of the objects the operator hears
/// first.
pub async fn nothing_is_created_for_a_landing_zone_that_is_gone(fixture: &Fixture) -> Result<()> {
    let mut ground = fixture.ground.lock().await;
    let (name, client) = (ground.next_name(), ground.client());
    given(&client, &name).await?;
    Step::Convergence.act(&client, &name).await?;
    eventually(CONVERGED, "the landing zone to be ready", async || {
        is_done(&client, &name, Step::Convergence).await.map(Some)
    })
    .await?;
    ground.is_quiet().await?;
    ground.proxy.hold_events(|call| call.is_of("landingzones"));
    Step::Deletion.act(&client, &name).await?;
    let boundary = format!("default.landing-zone-{name}-boundary");
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &format!("{name}-web"));
    quotas
        .delete("landing-zone", &DeleteParams::default())
        .await?;
    ground
        .kubectl([
            "delete",
            "globalnetworkpolicies.crd.projectcalico.org",
            &boundary,
        ])
        .await?;
    holds_for(Duration::from_secs(3), "nothing is created", async || {
        ensure!(
            quotas.get_opt("landing-zone").await?.is_none(),
            "a quota is there"
        );
        Ok(())
    })
    .await?;
    ground.proxy.clear();
    ground.is_quiet().await?;
    ensure!(quotas.get_opt("landing-zone").await?.is_none());
    bury(&client, &name).await
}
