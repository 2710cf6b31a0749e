//! The status of the platform. Several parts of the operator speak of it: who follows its values, who
//! keeps the default deny, and who keeps what it owns in Azure. Each says what it has to say here, and one status comes of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::api::ObjectMeta;
use tokio::sync::{Mutex, MutexGuard};

use super::azure::{AzureTold, azure_ready};
use super::context::Context;
use super::kind::ObjectKey;
use super::memory::Fight;
use super::status::{self, Conditions, Progress, contested, progress};
use crate::api::condition::{self, reason};
use crate::api::{DefaultDenyStage, LandingZonePlatform, LandingZonePlatformStatus};
use crate::domain::Platform;
use crate::telemetry::{Note, Severity};

/// The status of the platform, and what there is to say in it.
#[derive(Debug, Default)]
pub struct PlatformStatus(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The platform as it was seen last; None while there is none.
    meta: Option<ObjectMeta>,
    /// The status as it stands; without a platform, what of its inventory is left.
    stored: LandingZonePlatformStatus,
    /// The resource version that goes with it.
    version: String,
    values: Option<ValuesSaid>,
    default_deny: Option<DefaultDenySaid>,
    azure: Option<AzureSaid>,
    guard: GuardSaid,
}

/// What is said of the webhook.
#[derive(Clone, Debug, Default)]
enum GuardSaid {
    /// Nothing yet: what was said last stands.
    #[default]
    Nothing,
    /// It is off.
    Off,
    /// How it stands.
    On(Verdict),
}

/// How something stands.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// True, False or Unknown.
    pub ready: &'static str,
    /// Whether the operator is at work, and why.
    pub progress: Progress,
    /// A sentence for people.
    pub message: String,
}

impl Verdict {
    fn reason(&self) -> &'static str {
        let (Progress::Done(why) | Progress::Working(why) | Progress::Stuck(why)) = self.progress;
        why
    }
}

/// What is said of the values.
#[derive(Clone, Debug)]
pub struct ValuesSaid {
    /// How they stand.
    pub verdict: Verdict,
    /// Conditions of what the cluster itself was asked for.
    pub addresses: Vec<(&'static str, Verdict)>,
}

/// What is said of the default deny.
#[derive(Clone, Debug)]
pub struct DefaultDenySaid {
    /// What it was made from: of other values it says nothing.
    pub about: Arc<Platform>,
    /// How it stands.
    pub verdict: Verdict,
    /// The stage in force, as observed.
    pub stage: DefaultDenyStage,
    /// Every object that belongs to the platform.
    pub inventory: BTreeSet<String>,
    /// Digest of what was applied, where all of it was.
    pub digest: Option<String>,
    /// Objects that somebody else keeps changing back.
    pub fights: Vec<Fight>,
}

/// What is said of what the platform owns in Azure.
#[derive(Clone, Debug)]
pub struct AzureSaid {
    /// What it was made from: of other values it says nothing.
    pub about: Arc<Platform>,
    /// How it stands; None: there is nothing.
    pub told: Option<AzureTold>,
    /// Every object of Azure Service Operator's that belongs to the platform.
    pub inventory: BTreeSet<ObjectKey>,
    /// Objects that somebody else keeps changing back.
    pub fights: Vec<Fight>,
}

/// What the inventory of the platform names.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Whether there is a platform.
    pub is_declared: bool,
    /// Entries of kinds in the cluster that this version knows.
    pub known: BTreeSet<ObjectKey>,
    /// Those of Azure Service Operator's kinds.
    pub azure: BTreeSet<ObjectKey>,
    /// The others, as text: they are kept and never acted on.
    pub unknown: BTreeSet<String>,
    /// Digest of what was applied last.
    pub digest: Option<String>,
}

/// Whether an entry of the inventory is one of Azure Service Operator's.
fn is_azure(entry: &str) -> bool {
    let key = entry.parse::<ObjectKey>();
    key.is_ok_and(|key| key.kind.is_azure())
}

impl PlatformStatus {
    /// Takes in the platform as it is now, before anything is made from it.
    pub async fn saw(&self, meta: &ObjectMeta, status: Option<&LandingZonePlatformStatus>) {
        let mut state = self.0.lock().await;
        let number = |version: Option<&str>| version.and_then(|text| text.parse::<u128>().ok());
        let is_another = state
            .meta
            .as_ref()
            .is_none_or(|known| known.uid != meta.uid);
        let seen = meta.resource_version.as_deref();
        // Our own last write may not have come back through the watch yet.
        if is_another || number(seen) >= number(Some(state.version.as_str())) {
            let left = match state.meta {
                // Of one that is gone, and not cleared away yet.
                None => std::mem::take(&mut state.stored.inventory),
                Some(_) => Vec::new(),
            };
            state.stored = status.cloned().unwrap_or_default();
            state.stored.inventory.extend(left);
            seen.unwrap_or_default().clone_into(&mut state.version);
        }
        if is_another {
            state.values = None;
        }
        state.meta = Some(meta.clone());
    }

    /// There is no platform any more. What its inventory named is still known, to be cleared away.
    pub async fn gone(&self) {
        let mut state = self.0.lock().await;
        let inventory = std::mem::take(&mut state.stored.inventory);
        *state = State {
            stored: LandingZonePlatformStatus {
                inventory,
                ..LandingZonePlatformStatus::default()
            },
            // Nobody looks again for a platform that declares what holds without it.
            default_deny: state.default_deny.take(),
            azure: state.azure.take(),
            guard: state.guard.clone(),
            ..State::default()
        };
    }

    /// What the inventory names.
    pub async fn recorded(&self) -> Recorded {
        let state = self.0.lock().await;
        let mut recorded = Recorded {
            is_declared: state.meta.is_some(),
            digest: state.stored.applied_digest.clone(),
            ..Recorded::default()
        };
        for entry in &state.stored.inventory {
            match entry.parse::<ObjectKey>() {
                Ok(key) if key.kind.is_azure() => drop(recorded.azure.insert(key)),
                Ok(key) => drop(recorded.known.insert(key)),
                Err(_) => drop(recorded.unknown.insert(entry.clone())),
            }
        }
        recorded
    }

    /// Records the names of what will be created, before it is: a crash in between orphans nothing.
    ///
    /// # Errors
    /// As the API server answers.
    pub async fn record(&self, context: &Context, new: &BTreeSet<ObjectKey>) -> kube::Result<()> {
        let mut state = self.0.lock().await;
        let mut status = state.stored.clone();
        let mut names: BTreeSet<String> = status.inventory.into_iter().collect();
        names.extend(new.iter().map(ToString::to_string));
        status.inventory = names.into_iter().collect();
        status.applied_digest = None;
        write(&mut state, context, status).await
    }

    /// Says how the values stand. Returns whether it could be said: `patient`, it waits until the
    /// default deny and Azure have been looked at, too, since a restart should find nothing to write.
    ///
    /// # Errors
    /// As the API server answers.
    pub async fn say_values(
        &self,
        context: &Context,
        values: ValuesSaid,
        patient: bool,
    ) -> kube::Result<bool> {
        let mut state = self.0.lock().await;
        state.values = Some(values);
        if patient && !is_complete(&state, context) {
            return Ok(false);
        }
        publish(&mut state, context).await?;
        Ok(true)
    }

    /// Says what there is to say and could not be said before this operator wrote.
    ///
    /// # Errors
    /// As the API server answers.
    pub async fn say_again(&self, context: &Context) -> kube::Result<()> {
        let mut state = self.0.lock().await;
        publish(&mut state, context).await
    }

    /// Says how the webhook stands; None: it is off.
    ///
    /// # Errors
    /// As the API server answers.
    pub async fn say_guard(&self, context: &Context, said: Option<Verdict>) -> kube::Result<()> {
        let mut state = self.0.lock().await;
        state.guard = said.map_or(GuardSaid::Off, GuardSaid::On);
        if !is_complete(&state, context) {
            // Whoever speaks next says this, too.
            return Ok(());
        }
        publish(&mut state, context).await
    }

    /// Says how the default deny stands.
    ///
    /// # Errors
    /// As the API server answers.
    pub async fn say_default_deny(
        &self,
        context: &Context,
        said: DefaultDenySaid,
    ) -> kube::Result<()> {
        let mut state = self.0.lock().await;
        let is_declared = state.meta.is_some();
        if !is_declared {
            state.stored.inventory.retain(|entry| is_azure(entry));
            state
                .stored
                .inventory
                .extend(said.inventory.iter().cloned());
        }
        state.default_deny = Some(said);
        if !is_declared || !is_complete(&state, context) {
            // Other values hold meanwhile, and whoever set them asked for another look; or whoever speaks next says this, too.
            return Ok(());
        }
        publish(&mut state, context).await
    }

    /// Says how it stands in Azure.
    ///
    /// # Errors
    /// As the API server answers.
    pub async fn say_azure(&self, context: &Context, said: AzureSaid) -> kube::Result<()> {
        let mut state = self.0.lock().await;
        let is_declared = state.meta.is_some();
        if !is_declared {
            state.stored.inventory.retain(|entry| !is_azure(entry));
            state
                .stored
                .inventory
                .extend(said.inventory.iter().map(ToString::to_string));
        }
        state.azure = Some(said);
        if !is_declared || !is_complete(&state, context) {
            return Ok(());
        }
        publish(&mut state, context).await
    }
}

/// Whether the default deny and Azure have been looked at with the values in force.
fn is_complete(state: &State, context: &Context) -> bool {
    current(state, context).is_some() && current_azure(state, context).is_some()
}

/// What is said of Azure, where it is said of the values in force.
fn current_azure<'a>(state: &'a State, context: &Context) -> Option<&'a AzureSaid> {
    let said = state.azure.as_ref()?;
    (context.platform().as_ref() == Some(&said.about)).then_some(said)
}

/// What is said of the default deny, where it is said of the values in force.
fn current<'a>(state: &'a State, context: &Context) -> Option<&'a DefaultDenySaid> {
    let said = state.default_deny.as_ref()?;
    (context.platform().as_ref() == Some(&said.about)).then_some(said)
}

async fn publish(state: &mut MutexGuard<'_, State>, context: &Context) -> kube::Result<()> {
    let (Some(meta), Some(values)) = (state.meta.clone(), state.values.clone()) else {
        // Whoever follows the values has not spoken yet.
        return Ok(());
    };
    let said = Said {
        default_deny: current(state, context),
        azure: current_azure(state, context),
        guard: &state.guard,
    };
    let new = composed(&state.stored, &meta, &values, said, context);
    if new == state.stored || !context.leadership.may_write() {
        // Once this operator writes it is said again.
        return Ok(());
    }
    let base = state.stored.clone();
    write(state, context, new.clone()).await?;
    for (severity, reason, text) in news(&base, &new) {
        context.events.note(Note {
            regarding: reference(&meta),
            severity,
            reason,
            text,
        });
    }
    Ok(())
}

async fn write(
    state: &mut MutexGuard<'_, State>,
    context: &Context,
    status: LandingZonePlatformStatus,
) -> kube::Result<()> {
    state.version = status::write_platform(&context.client, &status).await?;
    state.stored = status;
    Ok(())
}

/// What the others say, where they speak of the values in force.
#[derive(Clone, Copy)]
struct Said<'a> {
    default_deny: Option<&'a DefaultDenySaid>,
    azure: Option<&'a AzureSaid>,
    guard: &'a GuardSaid,
}

fn composed(
    base: &LandingZonePlatformStatus,
    meta: &ObjectMeta,
    values: &ValuesSaid,
    Said {
        default_deny: said,
        azure,
        guard,
    }: Said<'_>,
    context: &Context,
) -> LandingZonePlatformStatus {
    let mut conditions =
        Conditions::after(base.conditions.clone(), meta.generation, Timestamp::now());
    let platform = context.platform();
    let asked = platform
        .as_ref()
        .map(|platform| platform.default_deny.stage);
    let waiting = Verdict {
        ready: "Unknown",
        progress: Progress::Working(reason::PROGRESSING),
        message: "the default deny waits until the kinds of this cluster are known".to_owned(),
    };
    let default_deny = match said {
        Some(said) => Some(&said.verdict),
        None if asked.unwrap_or_default() == DefaultDenyStage::Off => None,
        None => Some(&waiting),
    };
    if let Some(verdict) = default_deny {
        conditions.set(
            condition::DEFAULT_DENY_READY,
            verdict.ready,
            verdict.reason(),
            &verdict.message,
        );
    }
    if let Some(azure) = azure {
        azure_ready(&mut conditions, azure.told.as_ref());
    }
    if let Some(said) = said {
        let in_azure = azure.into_iter().flat_map(|it| &it.fights);
        let fights: Vec<_> = said.fights.iter().chain(in_azure).cloned().collect();
        if !fights.is_empty() || conditions.has(condition::CONTESTED) {
            contested(&mut conditions, &fights);
        }
    }
    match guard {
        GuardSaid::Nothing => {}
        GuardSaid::Off => conditions.remove(condition::GUARD_READY),
        GuardSaid::On(verdict) => conditions.set(
            condition::GUARD_READY,
            verdict.ready,
            verdict.reason(),
            &verdict.message,
        ),
    }
    for (type_, about) in &values.addresses {
        conditions.set(type_, about.ready, about.reason(), &about.message);
    }
    for type_ in OF_ADDRESSES {
        // Before anything is in force nobody knows better than what was said last.
        let is_said = values.addresses.iter().any(|(said, _)| *said == type_);
        if !is_said && platform.is_some() {
            conditions.remove(type_);
        }
    }
    // What is wrong with the values comes first, and what is wrong in Azure last.
    let values = &values.verdict;
    let told = azure.and_then(|azure| azure.told.as_ref());
    let in_azure = told.and_then(|told| {
        Some(Verdict {
            ready: "False",
            progress: told.progress()?,
            message: told.message().to_owned(),
        })
    });
    let overall = match (default_deny, &in_azure) {
        (Some(verdict), _) if values.ready == "True" && verdict.ready != "True" => verdict,
        (_, Some(verdict)) if values.ready == "True" => verdict,
        _ => values,
    };
    progress(
        &mut conditions,
        overall.ready,
        overall.progress,
        &overall.message,
    );
    let stage = said
        .map(|said| said.stage)
        .or_else(|| base.effective.as_ref()?.default_deny);
    LandingZonePlatformStatus {
        observed_generation: meta.generation,
        conditions: conditions.finish(),
        // What held before the operator started is known from here until something is in force.
        effective: platform
            .map(|platform| crate::api::PlatformValues {
                default_deny: Some(stage.unwrap_or_default()),
                ..platform.values()
            })
            .or_else(|| base.effective.clone()),
        inventory: inventory(base, said, azure),
        applied_digest: said
            .map_or_else(|| base.applied_digest.clone(), |said| said.digest.clone()),
    }
}

/// What belongs to the platform, in the cluster and in Azure. Of what nobody speaks about it is what was said last.
fn inventory(
    base: &LandingZonePlatformStatus,
    default_deny: Option<&DefaultDenySaid>,
    azure: Option<&AzureSaid>,
) -> Vec<String> {
    let (in_azure, in_cluster): (BTreeSet<String>, BTreeSet<String>) =
        base.inventory.iter().cloned().partition(|it| is_azure(it));
    let in_cluster = default_deny.map_or(in_cluster, |said| said.inventory.clone());
    let in_azure = azure.map_or(in_azure, |said| {
        said.inventory.iter().map(ToString::to_string).collect()
    });
    in_cluster.union(&in_azure).cloned().collect()
}

/// Conditions of what the cluster itself was asked for.
const OF_ADDRESSES: [&str; 2] = [
    condition::POD_RANGES_KNOWN,
    condition::NODE_LOCAL_DNS_ALLOWED,
];

type News = (Severity, &'static str, String);

/// One event for each change of state. Where the platform is not ready because of the default deny, that
/// alone is told.
fn news(base: &LandingZonePlatformStatus, new: &LandingZonePlatformStatus) -> Vec<News> {
    let of = |status: &LandingZonePlatformStatus, type_: &str| {
        let found = status.conditions.iter().find(|it| it.type_ == type_)?;
        Some((
            found.status.clone(),
            found.reason.clone(),
            found.message.clone(),
        ))
    };
    let changed = |type_: &str| {
        let (state, why, message) = of(new, type_)?;
        let before = of(base, type_).map(|(state, why, _)| (state, why));
        let is_first = before.is_none();
        let is_news = before != Some((state.clone(), why.clone())) && why != reason::PROGRESSING;
        is_news.then_some((state == "True", is_first, why, message))
    };
    let severity = |good: bool| {
        if good {
            Severity::Normal
        } else {
            Severity::Warning
        }
    };
    let mut all = Vec::new();
    if let Some((good, is_first, why, message)) = changed(condition::DEFAULT_DENY_READY) {
        let reason = match why.as_str() {
            reason::ENFORCING => "DefaultDenyEnforced",
            reason::OBSERVED => "DefaultDenyObserved",
            reason::OFF => "DefaultDenyOff",
            _ => "DefaultDenyNotReady",
        };
        // Nothing was denied before the first time, so nothing is told about its being off.
        if !(is_first && why == reason::OFF) {
            all.push((severity(good), reason, message));
        }
    }
    if let Some((good, is_first, why, message)) = changed(condition::AZURE_READY)
        && !(good && is_first)
        && why != reason::NOT_MANAGED
    {
        let reason = if good { "AzureReady" } else { "AzureNotReady" };
        all.push((severity(good), reason, message));
    }
    if let Some((good, _, _, message)) = changed(condition::READY)
        && all.is_empty()
    {
        let reason = if good { "Ready" } else { "NotReady" };
        all.push((severity(good), reason, message));
    }
    if let Some((good, is_first, _, message)) = changed(condition::GUARD_READY)
        && !(good && is_first)
    {
        let reason = if good { "GuardReady" } else { "GuardNotReady" };
        all.push((severity(good), reason, message));
    }
    for type_ in OF_ADDRESSES {
        // That all is well at first is no news.
        if let Some((good, is_first, why, message)) = changed(type_)
            && !(good && is_first)
        {
            let reason = match why.as_str() {
                reason::NOT_FOUND => "PodRangesNotKnown",
                reason::SERVICE_MISSING => "DnsServiceMissing",
                reason::SERVICE_FOUND => "DnsServiceFound",
                _ => "PodRangesKnown",
            };
            all.push((severity(good), reason, message));
        }
    }
    if let Some((good, is_first, _, message)) = changed(condition::CONTESTED) {
        let reason = if good {
            "Contested"
        } else {
            "NoLongerContested"
        };
        if good || !is_first {
            all.push((severity(!good), reason, message));
        }
    }
    all
}

/// The platform, as events refer to it.
fn reference(meta: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(LandingZonePlatform::api_version(&()).into_owned()),
        kind: Some(LandingZonePlatform::kind(&()).into_owned()),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    }
}

impl PlatformStatus {
    /// Tells people about the platform, if there is one.
    pub async fn note(
        &self,
        context: &Context,
        severity: Severity,
        reason: &'static str,
        text: String,
    ) {
        let state = self.0.lock().await;
        if let Some(meta) = &state.meta {
            context.events.note(Note {
                regarding: reference(meta),
                severity,
                reason,
                text,
            });
        }
    }
}
