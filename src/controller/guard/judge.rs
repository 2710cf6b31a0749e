//! The loop that judges what has to be judged, and says whom it concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use serde_json::Value;
use tokio::time::Instant;

use super::State;
use super::found::{Found, Judged, gets_through, is_asked_first, short};
use super::inputs::Inputs;
use super::room::read_again;
use crate::api::BoundaryFinding;
use crate::api::names::OWNER;
use crate::controller::context::Context;
use crate::controller::kind::{Kind, ObjectKey};
use crate::controller::others::{Key, Source};
use crate::controller::packed::Packed;
use crate::controller::reconcile::SETTLES_WITHIN;
use crate::controller::status;
use crate::domain::{Flavour, NamespaceName};
use crate::policy::{Selector, example};
use crate::review::{CALICOS_PREFIXES, Finding, Landscape, Object, Rule, Unread, judge, judge_for};
use crate::telemetry::{Health, contained};

/// Changes come in bursts.
const GATHER: Duration = Duration::from_millis(100);
/// So many times as long as a look took, no other is taken: with many landing zones, judging takes a tenth of a core at
/// most, also while they come into force one after the other, and what is told of the last of them does not wait for long.
const REST: u32 = 9;

/// How long what could not be read waits for another try.
const RETRIED_AFTER: Duration = Duration::from_secs(10);

/// While landing zones come into force one after the other, as after a restart, all that others write would be judged again
/// and again; it waits for so long.
const LONGEST_GATHER: Duration = Duration::from_secs(2);

/// What was judged by last.
type Known = (Inputs, Arc<Landscape>);

/// Judges what others write, whenever something changes. Before the first time the operator is not ready: whoever asks the
/// webhook would be answered without a judgement.
pub(in crate::controller) async fn judge_others(context: Arc<Context>, health: Health) {
    const PART: &str = "first judgement of what others write";
    health.waits_for(PART);
    let mut known: Option<Known> = None;
    let mut has_failed = false;
    loop {
        tokio::select! {
            () = context.guard.woken.notified() => {}
            () = tokio::time::sleep(RETRIED_AFTER), if has_failed => {}
        }
        gather(&context, known.is_none()).await;
        let started = Instant::now();
        known = look(&context, known).await;
        if known.is_some() {
            health.is_well(PART);
        }
        has_failed = match context.facts() {
            Some(facts) => read_again(&context, facts.flavour()).await,
            None => false,
        };
        tokio::time::sleep(started.elapsed() * REST).await;
    }
}

/// Waits until no landing zone comes into force any more, or long enough. The first time nothing is told before it is known
/// what was in force when this operator started: what is declared would pass for what is not.
async fn gather(context: &Context, is_first: bool) {
    let progress = || {
        let state = context.guard.lock();
        (state.came_into_force, state.looked_at.len())
    };
    let began = Instant::now();
    let (mut before, mut since) = (progress(), began);
    loop {
        tokio::time::sleep(GATHER).await;
        let now = progress();
        let stands_still = now == before;
        if !stands_still {
            (before, since) = (now, Instant::now());
        }
        let is_enough = if is_first && is_anything_unknown(context) {
            since.elapsed() >= SETTLES_WITHIN
        } else {
            stands_still || began.elapsed() >= LONGEST_GATHER
        };
        if is_enough {
            return;
        }
    }
}

/// Whether some landing zone has anything according to its status, and nobody has looked at it since this operator started.
fn is_anything_unknown(context: &Context) -> bool {
    if context.picture().is_none() {
        // Whoever completes it asks for another look.
        return false;
    }
    let zones = context.zones.state();
    let state = context.guard.lock();
    zones.iter().any(|stored| {
        let status = stored.0.as_ref().ok().and_then(|zone| zone.status.as_ref());
        status.is_some_and(|status| !status.inventory.is_empty())
            && !state.looked_at.contains(&stored.name_any())
    })
}

/// Something that has to be judged.
struct Work {
    key: Key,
    taken_in: u64,
    object: Packed,
    is_whole: bool,
}

/// Looks once. Whoever completes what is missing asks for another look.
async fn look(context: &Context, known: Option<Known>) -> Option<Known> {
    let Some((facts, platform)) = context.picture() else {
        return known;
    };
    let inputs = {
        let objects = context.cache.read();
        let state = context.guard.lock();
        // It may be another flavour's by now.
        if !objects.are_synced(facts.flavour()) || !state.is_complete(&facts) {
            return known;
        }
        Inputs::new(&facts, platform, &objects, &state)
    };
    let guard = context.guard.clone();
    let judging = tokio::task::spawn_blocking(move || {
        contained(|| {
            let (landscape, same) = landscape(&inputs, known.as_ref());
            let work = guard.lock().due(same);
            let judged: Vec<_> = work
                .into_iter()
                .map(|work| {
                    let judged = contained(|| judged(&work, &inputs, &landscape));
                    let judged = judged.unwrap_or_else(|_| undecided(&work, &inputs));
                    (work.key, work.taken_in, judged)
                })
                .collect();
            (inputs, landscape, judged)
        })
    });
    let judged = judging.await.map_err(|error| error.to_string());
    match judged.and_then(|judged| judged.map_err(|panicked| panicked.to_string())) {
        Ok((inputs, landscape, judged)) => {
            context.guard.set_landscape(&landscape);
            context.wake_webhook();
            publish(context, &inputs, judged);
            Some((inputs, landscape))
        }
        Err(why) => {
            tracing::error!(why, "failed to judge what others write");
            None
        }
    }
}

/// How much is judged as before.
#[derive(Clone, Copy)]
enum Same {
    All,
    /// All but policies of the whole cluster: whom they concern is asked of labels as they are, declared or not.
    WithinNamespaces,
    Nothing,
}

/// What they make, and how much of it is judged as before: what drifts for a moment is declared all the same.
fn landscape(inputs: &Inputs, known: Option<&Known>) -> (Arc<Landscape>, Same) {
    let Some((before, known)) = known else {
        return (Arc::new(inputs.landscape()), Same::Nothing);
    };
    if before == inputs {
        return (known.clone(), Same::All);
    }
    let new = inputs.landscape();
    let same = if before.judge_like(inputs) && known.judges_like(&new) {
        Same::WithinNamespaces
    } else {
        Same::Nothing
    };
    (Arc::new(new), same)
}

impl State {
    /// What has to be judged: what is new, and what is not judged as before.
    fn due(&self, same: Same) -> Vec<Work> {
        let changes = |key: &Key| match same {
            Same::All => false,
            Same::WithinNamespaces => key.0.is_policy_of_cluster(),
            Same::Nothing => true,
        };
        let due = self.written.iter();
        let due = due.filter(|(key, written)| written.judged.is_none() || changes(key));
        due.map(|(key, written)| Work {
            key: key.clone(),
            taken_in: written.taken_in,
            object: written.object.clone(),
            is_whole: written.is_whole,
        })
        .collect()
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
        if judged.0.is_empty()
            || is_declared(context, key, written.owner.as_deref(), inputs.flavour)
        {
            continue;
        }
        for (concerned, found) in &judged.0 {
            for zone in concerned {
                if let Some(findings) = by_zone.get_mut(zone) {
                    findings.extend(found.iter().cloned());
                }
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
        let found = Arc::new(found);
        state.found.insert(zone.clone(), found.clone());
        news.push((zone, before.is_none().then_some(found)));
    }
    drop(state);
    for (zone, first) in news {
        if !first.is_some_and(|found| is_told(context, zone, &found)) {
            context.queue.push(zone);
        }
    }
}

/// Whether the status tells already what is found; a reconcile that goes on may be about to say something else.
fn is_told(context: &Context, zone: &str, found: &Found) -> bool {
    let Some(declared) = context.zone(zone) else {
        return false;
    };
    let memory = context.memory(zone);
    let Ok(memory) = memory.try_lock() else {
        return false;
    };
    let (status, _) = memory.last_status(&declared);
    let generation = declared.metadata.generation;
    status.is_some_and(|status| status::is_told(found, status, generation))
}

/// Whether it is one of the operator's own: with its label, and as something that the landing zone renders to.
fn is_declared(context: &Context, key: &Key, owner: Option<&str>, flavour: Flavour) -> bool {
    let (Source::Kubernetes, namespace, name) = key else {
        return false;
    };
    let key = ObjectKey::of_served(Kind::NetworkPolicy, namespace.as_deref(), name, flavour);
    let rendered = owner.and_then(|owner| context.rendered(owner));
    rendered.is_some_and(|rendered| rendered.get(&key).is_some())
}

/// What somebody wrote and the evaluator does not live through has to be taken for open, by everybody.
fn undecided(work: &Work, inputs: &Inputs) -> Judged {
    let name = told(&work.key, inputs.flavour);
    let found = not_judged(&name, FAILED.to_owned(), inputs.flavour);
    Judged(vec![(everybody(inputs), vec![found])])
}

fn judged(work: &Work, inputs: &Inputs, landscape: &Landscape) -> Judged {
    let (source, namespace, _) = &work.key;
    let name = told(&work.key, inputs.flavour);
    let inside = namespace
        .as_deref()
        .and_then(|it| landscape.of_namespace(it));
    let inside = inside.and_then(|(boundary, _)| boundary.landing_zone.clone());
    let json = work.object.unpack();
    let concerned = || match &inside {
        Some(zone) => vec![zone.clone()],
        None => concerned(*source, &json, inputs),
    };
    let read = match Object::read(&json) {
        Some(Ok(read)) => read,
        Some(Err(unread)) => {
            let is_of_cluster = *source == Source::GlobalNetworkSet;
            let concerned = if is_of_cluster {
                everybody(inputs)
            } else {
                concerned()
            };
            return not_read(&name, &unread, concerned, inputs.flavour);
        }
        // The watch brings no other kinds.
        None => return Judged::default(),
    };
    let is_policy = !source.is_set();
    if is_policy && namespace.is_some() && inside.is_none() {
        // A policy in a namespace of somebody else is about nobody's boundary.
        return fatal(&name, &read, inputs);
    }
    if is_policy && !work.is_whole {
        let found = vec![not_judged(&name, too_large(), inputs.flavour)];
        return Judged(vec![(concerned(), found)]);
    }
    let mut judged = fatal(&name, &read, inputs);
    let is_first = is_asked_first(&read, inputs.flavour);
    let in_short = |found: Option<Vec<Finding>>| -> Vec<_> {
        let Some(found) = found else {
            return vec![not_judged(&name, FAILED.to_owned(), inputs.flavour)];
        };
        let others = found.iter().filter(|it| it.rule != Rule::BreaksFelix);
        let short = others.filter_map(|finding| {
            let mut short = short(&name, finding, inputs.flavour)?;
            short.open |= is_first && finding.leaves_boundary();
            // It decides nothing yet.
            short.open &= read.staged.is_none();
            Some(short)
        });
        short.collect()
    };
    let all = in_short(findings(&name, || judge(&read, landscape)));
    if all.is_empty() {
        return judged;
    }
    if !source.is_policy_of_cluster() {
        judged.0.push((concerned(), all));
        return judged;
    }
    // What crosses one boundary is no matter of those behind another one.
    for zone in concerned() {
        let found = in_short(findings(&name, || judge_for(&read, landscape, &zone)));
        if !found.is_empty() {
            judged.0.push((vec![zone], found));
        }
    }
    judged
}

/// Where Felix ends, it does so for all pods of a node, whoever wrote what it ends on.
fn fatal(name: &str, object: &Object, inputs: &Inputs) -> Judged {
    let found = object.fatal.iter().map(Finding::from);
    let found: Vec<_> = found
        .filter_map(|finding| short(name, &finding, inputs.flavour))
        .collect();
    if found.is_empty() {
        return Judged::default();
    }
    Judged(vec![(everybody(inputs), found)])
}

/// What cannot be read has to be taken for open: nobody knows what Calico makes of it.
fn not_read(name: &str, unread: &Unread, concerned: Vec<String>, flavour: Flavour) -> Judged {
    let found = short(name, &Finding::from(unread), flavour).map(|mut found| {
        found.open = true;
        found
    });
    Judged(vec![(concerned, found.into_iter().collect())])
}

/// What is found in an object; None: the evaluator failed, which must not end the watch over all others.
fn findings(name: &str, judging: impl FnOnce() -> Vec<Finding>) -> Option<Vec<Finding>> {
    let found = contained(judging);
    if found.is_err() {
        tracing::error!(name, "the evaluator failed, which is a defect");
    }
    found.ok()
}

const FAILED: &str = "the evaluator failed, which is a defect, so it is not judged and has to be taken for open; \
    please report it with the object";

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
fn concerned(source: Source, object: &Value, inputs: &Inputs) -> Vec<String> {
    match source {
        Source::NetworkSet | Source::GlobalNetworkSet => {
            let labels = object.pointer("/metadata/labels");
            let labels = labels.and_then(Value::as_object).into_iter().flatten();
            let forged = |key: &&String| CALICOS_PREFIXES.iter().any(|it| key.starts_with(it));
            let mut is_forged = false;
            let mut passes_for = BTreeSet::new();
            for (key, value) in labels.filter(|(key, _)| forged(key)) {
                is_forged = true;
                if key.strip_prefix("pcns.") == Some(OWNER) {
                    passes_for.extend(value.as_str().map(str::to_owned));
                }
            }
            if is_forged && passes_for.is_empty() {
                everybody(inputs)
            } else {
                // Without such labels its addresses pass for nobody.
                passes_for.into_iter().collect()
            }
        }
        // Which pods they select is asked for each landing zone.
        Source::Admin | Source::BaselineAdmin | Source::ClusterNetworkPolicy => everybody(inputs),
        Source::CalicoGlobal | Source::StagedGlobal => {
            let selects = |namespace: &NamespaceName| may_select(object, namespace, inputs);
            let zones = inputs.zones();
            zones
                .filter(|(_, it)| it.zone.namespaces.iter().any(|it| selects(&it.name)))
                .map(|(name, _)| name.clone())
                .collect()
        }
        Source::Kubernetes | Source::Calico | Source::Staged | Source::StagedKubernetes => {
            Vec::new()
        }
    }
}

/// Whether a policy of the whole cluster may select a pod of a namespace.
fn may_select(policy: &Value, namespace: &NamespaceName, inputs: &Inputs) -> bool {
    let read = |field: &str| match policy.pointer(&format!("/spec/{field}")) {
        // One that cannot be read selects nothing, since Calico takes the policy for missing.
        Some(Value::String(text)) if !text.is_empty() => text.parse().ok(),
        // What is no text at all could be anything.
        _ => Some(Selector::All),
    };
    let (Some(of_namespaces), Some(of_pods)) = (read("namespaceSelector"), read("selector")) else {
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

#[cfg(test)]
mod tests;
