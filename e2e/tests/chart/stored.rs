//! What is stored under the definitions of a release survives newer ones.

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::install::{
    apply_objects, install_calico_crds, install_operator_manifests, read_manifests,
};
use e2e::schema::{self, fields};
use e2e::{ClusterOptions, LocalCluster, eventually, workspace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use landing_zone_operator::api::{LandingZone, LandingZonePlatform};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Built, ready};

const ZONES: &str = "landingzones.landingzones.dev";
const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";

/// Every field of an older schema, in the spec and in the status, is there and means the same under the newer one.
pub async fn stored_objects_survive_newer_definitions(_: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    apply_objects(&client, schema::released()?).await?;
    let mut stored = Vec::new();
    for object in schema::released_objects()? {
        stored.push(store(&client, object).await?);
    }

    // As the chart does it: they are among its templates, which Helm applies.
    apply_objects(&client, schema::current()?).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in schema::released()? {
        let found = definitions.get(&definition.name_any()).await?;
        let version = found.spec.versions.iter().find(|it| it.name == "v1alpha1");
        let version = version.context("v1alpha1 is gone")?;
        ensure!(version.served && version.storage, "{version:?}");
        let versions = found.status.context("no status")?.stored_versions;
        ensure!(
            versions == Some(vec!["v1alpha1".to_owned()]),
            "{versions:?}"
        );
    }
    for old in &stored {
        let now = read(&client, old).await?;
        ensure!(content(&now) == content(old), "{now:#?}\n{old:#?}");
        is_understood(&client, &now).await?;
        // Whoever knows the old schema only writes back what was read: as it is, and with a label more.
        write_back(&client, &now).await?;
        let mut labelled = read(&client, old).await?;
        labelled.labels_mut().insert("seen".into(), "yes".into());
        write_back(&client, &labelled).await?;
        let now = read(&client, old).await?;
        ensure!(content(&now) == content(old), "{now:#?}\n{old:#?}");
    }
    what_a_narrower_definition_would_do(&client, &stored).await?;
    cluster.stop().await
}

/// What was declared while the kinds were first written down. There was no release then, and nothing was promised: but whoever tried
/// it must not lose what he declared. The operator of today reads what lies there, and keeps on with it.
pub async fn objects_of_the_first_schema_are_understood(built: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    install_calico_crds(&client).await?;
    let first = read_manifests(&workspace::root().join("e2e/released/first/crds"))?;
    let names: Vec<String> = first.iter().map(ResourceExt::name_any).collect();
    ensure!(
        names.len() == 2 && names.contains(&ZONES.to_owned()),
        "{names:?}"
    );
    apply_objects(&client, first.clone()).await?;
    let mut stored = Vec::new();
    let objects = workspace::root().join("e2e/released/first/objects");
    for object in read_manifests(&objects)? {
        let created = api(&client, &object)?
            .create(&PostParams::default(), &object)
            .await;
        let created = created.with_context(|| format!("{} is refused", object.name_any()))?;
        let lost = missing(&object.data["spec"], &created.data["spec"], "spec");
        ensure!(
            lost.is_empty(),
            "the first schema does not know it: {lost:?}"
        );
        stored.push(created);
    }

    // As an upgrade does it: the kinds, the rights and the rules first, then the operator.
    install_operator_manifests(&client).await?;
    for old in &stored {
        let now = read(&client, old).await?;
        let lost = missing(&old.data["spec"], &now.data["spec"], "spec");
        ensure!(lost.is_empty(), "{}: {lost:?}", old.name_any());
        ensure!(now.metadata.uid == old.metadata.uid, "{}", old.name_any());
        write_back(&client, &now).await?;
    }
    let operator = built.start(&cluster).await?;
    let zones: Api<LandingZone> = Api::all(client.clone());
    for zone in zones.list(&ListParams::default()).await? {
        eventually(CONVERGED, "the operator to tell of it", async || {
            let status = zones.get(&zone.name_any()).await?.status;
            let conditions = status.context("no status")?.conditions;
            let ready = conditions.iter().find(|it| it.type_ == "Ready");
            let ready = ready.context("no condition")?;
            // No node is there for its placement; but all of it can be read.
            ensure!(ready.reason != "Invalid", "{ready:?}");
            Ok(Some(()))
        })
        .await
        .with_context(|| format!("the landing zone {}", zone.name_any()))?;
    }
    ready(&zones, "plain").await?;
    operator.terminate().await?;
    cluster.stop().await
}

/// What one value says and another does not.
fn missing(old: &Value, new: &Value, path: &str) -> Vec<String> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .iter()
            .flat_map(|(key, value)| {
                let none = Value::Null;
                missing(
                    value,
                    new.get(key).unwrap_or(&none),
                    &format!("{path}.{key}"),
                )
            })
            .collect(),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => old
            .iter()
            .zip(new)
            .enumerate()
            .flat_map(|(at, (old, new))| missing(old, new, &format!("{path}[{at}]")))
            .collect(),
        (old, new) if old == new => Vec::new(),
        (old, new) => vec![format!("{path}: {old} is {new}")],
    }
}

/// Stores an object with its whole spec, and a status in which every field is filled.
async fn store(client: &Client, object: DynamicObject) -> Result<DynamicObject> {
    let api = api(client, &object)?;
    let name = object.name_any();
    let strict = PostParams::default();
    let created = api.create(&strict, &object).await;
    created.with_context(|| format!("{name} is refused"))?;
    let kind = &object.types.as_ref().context("no kind")?.kind;
    let definitions = schema::released()?;
    let definition = definitions
        .iter()
        .find(|it| it.data["spec"]["names"]["kind"] == *kind.as_str());
    let definition = definition.with_context(|| format!("nothing defines {kind}"))?;
    let status = fields::filled(&schema::stored_schema(definition)?["properties"]["status"])?;
    let patch = Patch::Merge(json!({"status": status}));
    let patched = api
        .patch_status(&name, &PatchParams::default(), &patch)
        .await;
    patched.with_context(|| format!("the status of {name} is refused"))?;
    let stored = read(client, &object).await?;
    let spec = &object.data["spec"];
    ensure!(stored.data["spec"] == *spec, "{stored:#?}\nnot {spec:#}");
    ensure!(
        stored.data["status"] == status,
        "{stored:#?}\nnot {status:#}"
    );
    Ok(stored)
}

/// The Rust types of today read all of it, and lose nothing as they write it.
async fn is_understood(client: &Client, object: &DynamicObject) -> Result<()> {
    let name = object.name_any();
    let kind = object.types.as_ref().context("no kind")?.kind.as_str();
    let (spec, status) = if kind == "LandingZone" {
        let found = Api::<LandingZone>::all(client.clone()).get(&name).await?;
        (plain(&found.spec)?, plain(&found.status)?)
    } else {
        let found = Api::<LandingZonePlatform>::all(client.clone())
            .get(&name)
            .await?;
        (plain(&found.spec)?, plain(&found.status)?)
    };
    for (what, read) in [("spec", spec), ("status", status)] {
        let stored = &object.data[what];
        ensure!(
            read == *stored,
            "the {what} of {name} reads as {read:#}\nand is {stored:#}"
        );
    }
    Ok(())
}

fn plain(value: &impl Serialize) -> Result<Value> {
    Ok(serde_json::to_value(value)?)
}

async fn write_back(client: &Client, object: &DynamicObject) -> Result<()> {
    let name = object.name_any();
    let written = api(client, object)?
        .replace(&name, &PostParams::default(), object)
        .await;
    written.with_context(|| format!("{name} cannot be written as it is stored"))?;
    Ok(())
}

/// What the comparison of schemas is there to prevent, and that the checks above would see it: a field that goes takes what is
/// stored along; a rule that refuses more lets stay what is stored as long as nobody touches it, and refuses the same declaration
/// elsewhere.
async fn what_a_narrower_definition_would_do(
    client: &Client,
    stored: &[DynamicObject],
) -> Result<()> {
    let shop = stored
        .iter()
        .find(|it| it.name_any() == "shop")
        .context("no shop")?;
    let made_up = json!([{"rule": "!self.endsWith('example.com')", "message": "made up"}]);
    let narrower = changed(|fields| {
        fields["contact"]["x-kubernetes-validations"] = made_up;
        Ok(())
    })?;
    apply_objects(client, vec![narrower]).await?;
    let mut same_elsewhere = shop.clone();
    same_elsewhere.metadata = kube::api::ObjectMeta::default();
    same_elsewhere.metadata.name = Some("elsewhere".into());
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually(CONVERGED, "the made-up rule to hold", async || {
        let answer = api(client, shop)?.create(&dry, &same_elsewhere).await;
        let refused = answer.is_err_and(|error| error.to_string().contains("made up"));
        Ok(refused.then_some(()))
    })
    .await?;
    write_back(client, &read(client, shop).await?).await?;
    let mut touched = read(client, shop).await?;
    touched.data["spec"]["contact"] = json!("other@example.com");
    let error = write_back(client, &touched)
        .await
        .err()
        .context("a touched field passes")?;
    ensure!(format!("{error:#}").contains("made up"), "{error:#}");

    let without = changed(|fields| {
        let fields = fields.as_object_mut().context("no fields")?;
        fields.remove("contact").context("no such field")?;
        Ok(())
    })?;
    apply_objects(client, vec![without]).await?;
    eventually(CONVERGED, "the field to be pruned", async || {
        let now = read(client, shop).await?;
        Ok(now.data["spec"]["contact"].is_null().then_some(()))
    })
    .await
}

/// The definition of landing zones as it is now, with a change of the fields of its spec.
fn changed(change: impl FnOnce(&mut Value) -> Result<()>) -> Result<DynamicObject> {
    let current = schema::current()?;
    let definition = current.iter().find(|it| it.name_any() == ZONES);
    let mut definition = serde_json::to_value(definition.context("no definition")?)?;
    change(
        definition
            .pointer_mut(SPEC)
            .context("no spec in the schema")?,
    )?;
    Ok(serde_json::from_value(definition)?)
}

async fn read(client: &Client, object: &DynamicObject) -> Result<DynamicObject> {
    Ok(api(client, object)?.get(&object.name_any()).await?)
}

/// What people and the operator wrote.
fn content(object: &DynamicObject) -> (&Value, &Value, Option<&String>) {
    let data = &object.data;
    (&data["spec"], &data["status"], object.metadata.uid.as_ref())
}

fn api(client: &Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
    let types = object.types.as_ref().context("an object without a kind")?;
    let kind = GroupVersionKind::try_from(types)?;
    let resource = ApiResource::from_gvk(&kind);
    Ok(Api::all_with(client.clone(), &resource))
}
