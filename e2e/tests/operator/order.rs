//! In which order policies are written, as the API server recorded it: at no moment on the way to stage Enforce is
//! denied what is declared.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::audit::{Event, Mark};
use e2e::shop::{PATIENCE, Shop};
use e2e::{Governed, eventually};
use serde_json::json;

use super::Fixture;

/// How the operator created these policies since the mark, in the order of its requests. Waits until each of them is
/// recorded: the audit log is written a moment after the answer.
async fn creations(
    governed: &Governed,
    mark: Mark,
    policies: &BTreeMap<String, f64>,
) -> Result<Vec<Event>> {
    let log = governed.cluster.audit_log();
    eventually(PATIENCE, "all policies to be recorded", async || {
        let mut events = log.writes_by(governed.operator_user(), mark)?;
        events.retain(|event| {
            event.verb == "create" && event.succeeded() && policies.contains_key(&event.name)
        });
        events.sort_by_key(|event| event.received);
        let names: Vec<_> = events.iter().map(|event| &event.name).collect();
        ensure!(names.len() >= policies.len(), "only {names:?}");
        Ok(Some(events))
    })
    .await
}

/// The policies that the landing zone has now, with their orders.
async fn orders(shop: &Shop<'_>) -> Result<BTreeMap<String, f64>> {
    let mut orders = BTreeMap::new();
    for policy in shop.policies().await? {
        let order = policy.at("/spec/order").await?;
        let order = order.as_f64().context("a policy without order")?;
        orders.insert(policy.key().name.to_string(), order);
    }
    Ok(orders)
}

/// On the way to stage Enforce, one after the other in the order in which Calico evaluates them.
pub async fn what_allows_is_there_before_what_denies(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let observed = json!({"stage": "Observe"});
    let shop = Shop::open_with(governed, "advancing", observed).await?;
    let mark = governed.cluster.audit_log().mark()?;
    shop.edit_and_converge(json!({"stage": "Enforce"})).await?;
    let orders = orders(&shop).await?;
    for purpose in ["dns", "boundary", "data-flows", "deny"] {
        let name = shop.policy(purpose).key().name.clone();
        ensure!(orders.contains_key(&*name), "no {name} in {orders:?}");
    }
    let created = creations(governed, mark, &orders).await?;
    for (first, then) in created.iter().zip(created.iter().skip(1)) {
        ensure!(
            first.completed <= then.received,
            "{} was still under way when {} came",
            first.name,
            then.name
        );
        ensure!(
            orders[&first.name] <= orders[&then.name],
            "{} came before {}, which Calico evaluates before it",
            first.name,
            then.name
        );
    }
    Ok(())
}
