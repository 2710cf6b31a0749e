//! The loop that judges what has to be judged, and says whom it concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::found::{Found, Judged, gets_through, is_asked_first, short};
use super::inputs::Inputs;
use crate::api::BoundaryFinding;
use crate::api::names::OWNER;
use crate::controller::context::Context;
use crate::controller::kind::{Kind, ObjectKey};
use crate::controller::others::{Key, Source};
use crate::domain::{Flavour, NamespaceName};
use crate::policy::{GlobalNetworkPolicySpec, Selector, example};
use crate::review::{Body, Finding, Landscape, Object, Rule, judge};

/// Changes come in bursts.
const GATHER: Duration = Duration::from_millis(100);
/// A look may take its time once in so many times: with many landing zones, judging must not keep a core busy.
const REST: u32 = 4;

/// Judges what others write, whenever something changes.
pub(in crate::controller) async fn judge_others(context: Arc<Context>) {
    let mut known: Option<(Inputs, Arc<Landscape>)> = None;
    loop {
        context.guard.woken.notified().await;
        tokio::time::sleep(GATHER).await;
        let started = Instant::now();
        known = look(&context, known).await;
        tokio::time::sleep(started.elapsed() * REST).await;
    }
}

/// Something that has to be judged.
struct Work {
    key: Key,
    taken_in: u64,
    text: Option<Arc<[u8]>>,
}

/// Looks once. Whoever completes what is missing asks for another look.
async fn look(
    context: &Context,
    known: Option<(Inputs, Arc<Landscape>)>,
) -> Option<(Inputs, Arc<Landscape>)> {
    let (Some(facts), Some(platform)) = (context.facts(), context.platform()) else {
        return known;
    };
    if !context.are_zones_listed() {
        return known;
    }
    let (inputs, work) = {
        let objects = context.cache.read();
        let state = context.guard.lock();
        if !objects.are_synced(facts.flavour()) || !state.is_complete(&facts) {
            return known;
        }
        let inputs = Inputs::new(&facts, platform, &objects, &state);
        let is_same = known.as_ref().is_some_and(|(known, _)| *known == inputs);
        let due = state
            .written
            .iter()
            .filter(|(_, written)| !is_same || written.judged.is_none());
        let work: Vec<_> = due
            .map(|(key, written)| Work {
                key: key.clone(),
                taken_in: written.taken_in,
                text: written.text.clone(),
            })
            .collect();
        (inputs, work)
    };
    let landscape = known
        .filter(|(known, _)| *known == inputs)
        .map(|(_, landscape)| landscape);
    let judging = tokio::task::spawn_blocking(move || {
        let landscape = landscape.unwrap_or_else(|| Arc::new(inputs.landscape()));
        let judged: Vec<_> = work
            .into_iter()
            .map(|work| {
                let judged = judged(&work, &inputs, &landscape);
                (work.key, work.taken_in, judged)
            })
            .collect();
        (inputs, landscape, judged)
    });
    match judging.await {
        Ok((inputs, landscape, judged)) => {
            context.guard.set_landscape(&landscape);
            context.wake_webhook();
            publish(context, &inputs, judged);
            Some((inputs, landscape))
        }
        Err(error) => {
            tracing::error!(%error, "failed to judge what others write");
            None
        }
    }
}

/// Records what was found, and asks for reconciles of those for whom that is news.
fn publish(context: &Context, inputs: &Inputs, judged: Vec<(Key, u64, Judged)>) {
    let mut state = context.guard.lock();
    for (key, taken_in, judged) in judged {
        // What changed meanwhile is judged once more.
        if let Some(written) = state.written.get_mut(&key)
            && written.taken_in == taken_in
        {
            written.judged = Some(judged);
        }
    }
    let mut by_zone: BTreeMap<&String, Vec<BoundaryFinding>> =
        inputs.zones().map(|(name, _)| (name, Vec::new())).collect();
    for (key, written) in &state.written {
        let Some(judged) = &written.judged else {
            continue;
        };
        if judged.findings.is_empty()
            || is_declared(context, key, written.owner.as_deref(), inputs.flavour)
        {
            continue;
        }
        for zone in &judged.concerned {
            if let Some(findings) = by_zone.get_mut(zone) {
                findings.extend(judged.findings.iter().cloned());
            }
        }
    }
    let mut news = Vec::new();
    for (zone, findings) in by_zone {
        if !state.in_force.contains_key(zone) {
            // It went meanwhile.
            continue;
        }
        let found = Found::of(findings);
        let before = state.found.get(zone).cloned();
        if before.as_deref() == Some(&found) {
            continue;
        }
        found.measure(zone, before.as_deref(), &context.metrics);
        state.found.insert(zone.clone(), Arc::new(found));
        news.push(zone.clone());
    }
    drop(state);
    for zone in news {
        context.queue.push(&zone);
    }
}

/// Whether it is one of the operator's own: with its label, and as something that the landing zone renders to.
fn is_declared(context: &Context, key: &Key, owner: Option<&str>, flavour: Flavour) -> bool {
    let (Source::Kubernetes, namespace, name) = key else {
        return false;
    };
    let key = ObjectKey::of_served(Kind::NetworkPolicy, namespace.clone(), name, flavour);
    let rendered = owner.and_then(|owner| context.rendered(owner));
    rendered.is_some_and(|rendered| rendered.get(&key).is_some())
}

fn judged(work: &Work, inputs: &Inputs, landscape: &Landscape) -> Judged {
    let name = told(&work.key, inputs.flavour);
    let inside = work
        .key
        .1
        .as_deref()
        .and_then(|it| landscape.of_namespace(it));
    let inside = inside.and_then(|(boundary, _)| boundary.landing_zone.clone());
    let is_outside = inside.is_none();
    if is_outside && work.key.1.is_some() && !work.key.0.is_set() {
        // A policy of somebody else's namespace is about nobody's boundary.
        return Judged::default();
    }
    let Some(object) = work.text.as_deref().map(read) else {
        let findings = vec![not_judged(&name, too_large(), inputs.flavour)];
        let concerned = inside.map_or_else(|| everybody(inputs), |zone| vec![zone]);
        return Judged {
            concerned,
            findings,
        };
    };
    // What cannot be read Calico takes for missing.
    let Some(object) = object else {
        return Judged::default();
    };
    let findings: Vec<_> = match findings(&object, landscape) {
        Some(found) => {
            let is_first = is_asked_first(&object, inputs.flavour);
            let short = found.iter().filter_map(|finding| {
                let mut short = short(&name, finding, inputs.flavour)?;
                short.open |= is_first && finding.leaves_boundary();
                Some(short)
            });
            short.collect()
        }
        None => vec![not_judged(&name, FAILED.to_owned(), inputs.flavour)],
    };
    if findings.is_empty() {
        return Judged::default();
    }
    let concerned = inside.map_or_else(|| concerned(&object, inputs), |zone| vec![zone]);
    Judged {
        concerned,
        findings,
    }
}

/// What is found in an object; None: the evaluator failed, which must not end the watch over all others.
fn findings(object: &Object, landscape: &Landscape) -> Option<Vec<Finding>> {
    let judging = std::panic::AssertUnwindSafe(|| judge(object, landscape));
    let found = std::panic::catch_unwind(judging);
    if found.is_err() {
        tracing::error!(
            name = object.name(),
            "the evaluator failed, which is a defect"
        );
    }
    found.ok()
}

const FAILED: &str = "the evaluator failed, which is a defect, so it is not judged and has to be taken for open; \
    please report it with the object";

fn read(text: &[u8]) -> Option<Object> {
    let object: Value = serde_json::from_slice(text).ok()?;
    Object::read(&object)?.ok()
}

/// What an object is called, as kubectl finds it.
fn told((source, namespace, name): &Key, flavour: Flavour) -> String {
    let resource = source.resource(flavour);
    let kind = match source {
        Source::Kubernetes => resource.kind,
        _ => format!("{}.{}", resource.kind, resource.group),
    };
    match namespace {
        Some(namespace) => format!("{kind}/{namespace}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

fn too_large() -> String {
    format!(
        "it is larger than {} KiB, or what lies in its namespace is larger than {} MiB in all, so it is not judged \
         and has to be taken for open; split it, or delete what nobody needs",
        super::LARGEST / 1024,
        super::LARGEST_NAMESPACE / 1024 / 1024
    )
}

fn not_judged(object: &str, message: String, flavour: Flavour) -> BoundaryFinding {
    BoundaryFinding {
        rule: Rule::TooComplex.to_string(),
        object: object.to_owned(),
        field: None,
        message,
        open: gets_through(Rule::TooComplex, flavour),
    }
}

fn everybody(inputs: &Inputs) -> Vec<String> {
    inputs.zones().map(|(name, _)| name.clone()).collect()
}

/// Whom an object concerns that lies in no landing zone.
fn concerned(object: &Object, inputs: &Inputs) -> Vec<String> {
    match &object.body {
        Body::NetworkSet(set) => {
            let labels = set.metadata.labels.iter().flatten();
            let passes_for: BTreeSet<_> = labels
                .filter(|(key, _)| key.strip_prefix("pcns.") == Some(OWNER))
                .map(|(_, value)| value.clone())
                .collect();
            if passes_for.is_empty() {
                everybody(inputs)
            } else {
                passes_for.into_iter().collect()
            }
        }
        Body::Global(policy) => {
            let selects = |namespace: &NamespaceName| may_select(&policy.spec, namespace, inputs);
            let zones = inputs.zones();
            zones
                .filter(|(_, it)| it.zone.namespaces.iter().any(|it| selects(&it.name)))
                .map(|(name, _)| name.clone())
                .collect()
        }
        _ => everybody(inputs),
    }
}

/// Whether a policy of the whole cluster may select a pod of a namespace.
fn may_select(spec: &GlobalNetworkPolicySpec, namespace: &NamespaceName, inputs: &Inputs) -> bool {
    let read = |text: &Option<String>| match text.as_deref().unwrap_or_default() {
        "" => Some(Selector::All),
        text => text.parse().ok(),
    };
    // One that cannot be read selects nothing, since Calico takes the policy for missing.
    let (Some(of_namespaces), Some(of_pods)) =
        (read(&spec.namespace_selector), read(&spec.selector))
    else {
        return false;
    };
    let mut labels = inputs
        .labels(namespace.as_str())
        .cloned()
        .unwrap_or_default();
    labels.insert("projectcalico.org/name".to_owned(), namespace.to_string());
    let inside = Selector::equal("projectcalico.org/namespace", namespace.as_str());
    of_namespaces.matches(&labels) && !matches!(example(&[of_pods, inside]), Ok(None))
}
