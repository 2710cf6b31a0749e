//! Declarations that the API server refuses.

use anyhow::{Context, Result, bail, ensure};
use e2e::refusals::{flawless, refusals};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

use super::Fixture;

/// Tries a declaration without keeping it; returns the answer's code and message.
async fn tried(fixture: &Fixture, declaration: Value) -> Result<(u16, String)> {
    let resource = ApiResource::erase::<LandingZone>(&());
    let zones: Api<DynamicObject> = Api::all_with(fixture.0.client(), &resource);
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let zone: DynamicObject = serde_json::from_value(declaration)?;
    match zones.create(&dry_run, &zone).await {
        Ok(_) => Ok((201, String::new())),
        Err(kube::Error::Api(status)) => Ok((status.code, status.message)),
        Err(error) => Err(error.into()),
    }
}

pub async fn the_flawless_declaration_is_accepted(fixture: &Fixture) -> Result<()> {
    let (code, message) = tried(fixture, flawless()).await?;
    ensure!(code == 201, "{code}: {message}");
    Ok(())
}

pub async fn each_mistake_is_refused_with_the_way_out(fixture: &Fixture) -> Result<()> {
    let mut wrong = Vec::new();
    for refusal in refusals() {
        let (code, message) = tried(fixture, refusal.declaration).await?;
        let fits = match refusal.admission {
            Some(words) => code == 422 && message.contains(words),
            None => code == 201,
        };
        if !fits {
            let expected = refusal.admission;
            wrong.push(format!(
                "{}: {code} {message}, expected {expected:?}",
                refusal.name
            ));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

pub async fn an_application_code_stays(fixture: &Fixture) -> Result<()> {
    let zones = fixture.0.zones();
    let mut declaration = flawless();
    declaration["metadata"]["name"] = json!("coded");
    declaration["spec"] = json!({
        "applicationCode": "coded", "stage": "Plan",
        "namespaces": [{"name": "coded", "zone": "frontend"}],
    });
    let zone: LandingZone = serde_json::from_value(declaration)?;
    zones.create(&PostParams::default(), &zone).await?;
    let name = zone.meta().name.as_deref().context("no name")?;
    let change = Patch::Merge(json!({"spec": {"applicationCode": "other"}}));
    let answer = zones.patch(name, &PatchParams::default(), &change).await;
    let Err(kube::Error::Api(status)) = answer else {
        bail!("it was changed: {answer:?}");
    };
    ensure!(status.code == 422, "{status:?}");
    ensure!(
        status.message.contains("cannot be changed"),
        "{}",
        status.message
    );
    Ok(())
}
