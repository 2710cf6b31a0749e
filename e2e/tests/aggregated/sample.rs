//! What the sample becomes, and that it stays so without a write.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::owned::{ensure_stored, owned_by, rendered, sample_file, sample_spec};
use e2e::shop::Shop;
use e2e::{eventually, governed::CONVERGED, holds_for};
use serde_json::{Value, json};

use super::Fixture;
use super::policies::{STORAGE, V3, names, policies};

const SAMPLE: &str = "application2";
const SILENCE: Duration = Duration::from_secs(15);

pub async fn the_sample_is_stored_under_calicos_names(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let zone = governed.converge(SAMPLE, sample_spec()?).await?;
    let status = zone.status.context("no status")?;
    let effective = status.effective.context("no effective values")?;
    ensure!(effective.flavour == "projectcalico.org/v3" && !effective.tiers);
    ensure!(status.namespaces_ready.as_deref() == Some("3/3"));

    let served = names(&policies(governed, V3), "landing-zone-application2-").await?;
    let stored = names(&policies(governed, STORAGE), "landing-zone-application2-").await?;
    ensure!(served.len() == 6, "{served:?}");
    let prefixed: Vec<_> = served
        .iter()
        .map(|name| format!("default.{name}"))
        .collect();
    ensure!(stored == prefixed, "{stored:?}");

    let flags = ["--flavour=v3", "--calico-version=3.28", "--tiers=false"];
    let (declared, _) = rendered(&sample_file(), &flags).await?;
    eventually(CONVERGED, "what is rendered to be stored", async || {
        let mut owned = owned_by(&governed.client(), SAMPLE).await?;
        owned.retain(|_, object| object["apiVersion"] != "crd.projectcalico.org/v1");
        // Calico's API server fills in what means the same as nothing.
        for object in owned.values_mut() {
            without_empty_peers(object);
        }
        ensure_stored(&declared, &owned)?;
        Ok(Some(()))
    })
    .await
}

fn without_empty_peers(policy: &mut Value) {
    for direction in ["ingress", "egress"] {
        let rules = policy
            .pointer_mut(&format!("/spec/{direction}"))
            .and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            rule.retain(|_, field| *field != json!({}));
        }
    }
}

pub async fn a_converged_landing_zone_sees_no_writes(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.0;
    let shop = Shop::open(governed, "silent").await?;
    let mark = governed.cluster.audit_log().mark()?;
    holds_for(SILENCE, "nothing is written about it", async || {
        let writes = governed
            .cluster
            .audit_log()
            .writes_by(governed.operator_user(), mark)?;
        let about = |text: &str| text.contains(shop.name());
        let write = writes
            .iter()
            .find(|write| about(&write.name) || about(&write.namespace));
        ensure!(write.is_none(), "{write:?}");
        Ok(())
    })
    .await
}
