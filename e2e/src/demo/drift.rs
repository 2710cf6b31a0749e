//! Four changes by somebody else, and how each is put back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use kube::Client;
use kube::api::{DeleteParams, DynamicObject, Patch};
use kube::runtime::wait::await_condition;
use landing_zone_operator::api::{LandingZone, names};
use landing_zone_operator::controller::Kind;
use serde_json::{Value, json};

use super::owned::Owned;
use super::page::{Page, seconds};
use super::stage::{Person, Stage};
use super::written_by;
use crate::audit::{AuditLog, Event, Mark};
use crate::eventually;
use crate::operator::OPERATOR_USER;

/// Much longer than a repair takes.
const REPAIR_DEADLINE: Duration = Duration::from_secs(10);
/// The log is written after the answer was sent.
const LOG_DEADLINE: Duration = Duration::from_secs(5);

/// A change that was put back.
#[derive(Clone, Debug)]
pub(super) struct Repair {
    /// The object, as the status names it.
    pub(super) object: String,
    /// When it was changed.
    pub(super) changed: Timestamp,
    /// The field manager by which the operator can know who it was; None where nothing tells.
    pub(super) manager: Option<String>,
}

enum Deed {
    Delete,
    Merge(Value),
}

struct Change<'a> {
    /// What somebody does, in words.
    what: String,
    target: &'a Owned,
    deed: Deed,
    /// Whether managed fields can tell who it was: they belong to values that are there.
    leaves_a_trace: bool,
}

/// Makes drift and waits for each repair.
pub(super) async fn show(
    stage: &Stage,
    zone: &LandingZone,
    objects: &[Owned],
    page: &mut Page,
) -> Result<Vec<Repair>> {
    page.heading("Drift, and how it is put back");
    let person = stage.intruder().await?;
    page.say(&format!(
        "{}, whose tool calls itself {:?} (the field manager), changes four things.",
        person.name, person.manager
    ));
    let mut repairs = Vec::new();
    for change in changes(zone, objects)? {
        stage.ensure_running().await?;
        page.entries(&[("change", &change.what)]);
        let changed = Timestamp::now();
        let text = format!("{} was put back", change.target.key);
        match put_back(stage, &person, &change).await {
            Ok(how) => {
                page.fact(true, &format!("{text} {how}"));
                repairs.push(Repair {
                    object: change.target.key.to_string(),
                    changed,
                    manager: change.leaves_a_trace.then(|| person.manager.clone()),
                });
            }
            Err(error) => page.fact(false, &format!("{text}. But: {error:#}")),
        }
    }
    Ok(repairs)
}

fn changes<'a>(zone: &LandingZone, objects: &'a [Owned]) -> Result<Vec<Change<'a>>> {
    let of = |kind: Kind, fits: &dyn Fn(&Owned) -> bool| {
        let mut found = objects.iter().filter(|it| it.key.kind == kind);
        found.find(|it| fits(it))
    };
    // Without Calico's kinds the policy of a namespace stands for its boundary.
    let boundary = of(Kind::GlobalNetworkPolicy, &|it| {
        it.key.name.contains("-boundary")
    })
    .or_else(|| of(Kind::NetworkPolicy, &|_| true))
    .context("no policy to delete")?;
    let quota = of(Kind::ResourceQuota, &|it| {
        it.object.data["spec"]["hard"]["pods"].is_string()
    })
    .context("no quota with pods to edit")?;
    let namespace = zone
        .spec
        .namespaces
        .first()
        .context("no namespaces are declared")?;
    let namespace = of(Kind::Namespace, &|it| *it.key.name == *namespace.name)
        .context("the first namespace is not there")?;
    let binding = of(Kind::RoleBinding, &|it| {
        it.object.data["roleRef"]["name"] == "edit"
    })
    .context("no RoleBinding to edit")?;
    let mut subjects = binding.object.data["subjects"].clone();
    if let Some(subjects) = subjects.as_array_mut() {
        subjects.push(json!({
            "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory@example.com",
        }));
    }
    Ok(vec![
        Change {
            what: format!("deletes the policy {}", boundary.key.name),
            target: boundary,
            deed: Deed::Delete,
            leaves_a_trace: false,
        },
        Change {
            what: format!(
                "raises the quota of {} from {} pods to 500",
                quota.key.in_namespace().unwrap_or_default(),
                quota.object.data["spec"]["hard"]["pods"]
                    .as_str()
                    .unwrap_or_default(),
            ),
            target: quota,
            deed: Deed::Merge(json!({"spec": {"hard": {"pods": "500"}}})),
            leaves_a_trace: true,
        },
        Change {
            what: format!(
                "strips the label {} from {}",
                names::ZONE,
                namespace.key.name
            ),
            target: namespace,
            deed: Deed::Merge(json!({"metadata": {"labels": {names::ZONE: null}}})),
            leaves_a_trace: false,
        },
        Change {
            what: format!(
                "gives mallory@example.com the role edit in {}",
                binding.key.in_namespace().unwrap_or_default()
            ),
            target: binding,
            deed: Deed::Merge(json!({"subjects": subjects})),
            leaves_a_trace: true,
        },
    ])
}

/// Makes a change and waits until it is undone. Says how long that took, and how that is known.
async fn put_back(stage: &Stage, person: &Person, change: &Change<'_>) -> Result<String> {
    let target = change.target;
    // As it is now: others may have changed what is theirs since.
    let before = target.api(stage.client()).get(&target.key.name).await?;
    let wanted = essence(&before);
    let log = stage.audit_log();
    let mark = log.as_ref().map(AuditLog::mark).transpose()?;
    make(person.client.clone(), person, change).await?;
    let start = Instant::now();
    let undone = |object: Option<&DynamicObject>| {
        object.is_some_and(|object| {
            essence(object) == wanted
                && object.metadata.resource_version != before.metadata.resource_version
        })
    };
    let watch = await_condition(target.api(stage.client()), &target.key.name, undone);
    tokio::time::timeout(REPAIR_DEADLINE, watch)
        .await
        .with_context(|| format!("it is as it was left after {REPAIR_DEADLINE:?}"))?
        .context("failed to watch it")?;
    let seen = start.elapsed();
    let (Some(log), Some(mark)) = (log, mark) else {
        return Ok(format!("within {}, as a watch saw it.", seconds(seen)));
    };
    let (foreign, repair) = logged(&log, mark, person, target).await?;
    let took = repair.completed.duration_since(foreign.completed);
    // Both answers carry the server's time; a repair may be answered first.
    let took = Duration::try_from(took).unwrap_or_default();
    let blame = if change.leaves_a_trace {
        String::new()
    } else {
        format!(" Who it was says the audit log alone: {}.", foreign.user)
    };
    Ok(format!(
        "after {} (audit log: {}).{blame}",
        seconds(took),
        repair.verb
    ))
}

/// The change and its repair, as the API server recorded them.
async fn logged(
    log: &AuditLog,
    mark: Mark,
    person: &Person,
    target: &Owned,
) -> Result<(Event, Event)> {
    eventually(LOG_DEADLINE, "both writes in the audit log", async || {
        let events = log.since(mark)?;
        let about_target = events.into_iter().filter(|event| {
            event.is_write()
                && event.succeeded()
                && event.resource == target.resource.plural
                && *event.name == *target.key.name
                && event.subresource.is_empty()
                && target
                    .key
                    .namespace
                    .as_ref()
                    .is_none_or(|own| **own == *event.namespace)
        });
        let (own, foreign): (Vec<_>, Vec<_>) =
            about_target.partition(|event| event.user == OPERATOR_USER);
        let foreign = foreign.into_iter().find(|event| event.user == person.name);
        // The repair that took effect is the last: an earlier one may have had nothing to do yet.
        Ok(foreign.zip(own.into_iter().next_back()))
    })
    .await
}

async fn make(client: Client, person: &Person, change: &Change<'_>) -> Result<()> {
    let api = change.target.api(client);
    let name = &change.target.key.name;
    let (patch, _) = written_by(&person.manager);
    let done = match &change.deed {
        Deed::Delete => api.delete(name, &DeleteParams::default()).await.map(drop),
        Deed::Merge(value) => api
            .patch(name, &patch, &Patch::Merge(value))
            .await
            .map(drop),
    };
    done.with_context(|| format!("{} could not change it", person.name))
}

/// What must come back: all but what the server and other controllers write.
fn essence(object: &DynamicObject) -> (Value, Option<Value>) {
    let mut data = object.data.clone();
    if let Some(fields) = data.as_object_mut() {
        fields.remove("status");
    }
    let labels = object.metadata.labels.as_ref().map(|labels| json!(labels));
    (data, labels)
}
