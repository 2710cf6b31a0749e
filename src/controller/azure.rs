//! What a landing zone owns in Azure, through Azure Service Operator and Karpenter. Whatever is wrong here, everything in the cluster goes on.

mod leaving;
mod platform;
mod replacing;
mod state;
#[cfg(test)]
mod tests;
mod told;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tokio::sync::{Notify, watch as channel};
use tokio::time::Instant;

use super::apply::{Applied, Behalf, Failure};
use super::cache::{Objects, Observed};
use super::context::Context;
use super::kind::{Kind, ObjectKey};
use super::memory::Memory;
use super::plan::{Basis, Half, Plan, Prune, plan};
use super::reconcile::Observation;
use super::rendered::{AzureSource, Rendered, Targets};
use super::report::{remember, report};
use crate::api::NodeProvisioning;
use crate::build::{self, ApplicationRule, Neighbours, Priorities};
use crate::domain::{self, AzureKind, LandingZoneName, PlatformAzure};

pub(super) use leaving::{Declared, Leaving, Left, leave};
pub(super) use platform::keep_platform_azure;
pub use state::{AzureState, Ready, ReadyProgress};
pub use told::{AzureTold, azure_ready};
pub(super) use watch::follow_azure;

const POOL: Kind = Kind::Azure(AzureKind::ManagedClustersAgentPool);
const KARPENTER_POOL: Kind = Kind::Azure(AzureKind::NodePool);
const NODE_CLASS: Kind = Kind::Azure(AzureKind::AksNodeClass);

/// What all landing zones share about Azure.
#[derive(Debug)]
pub struct AzureContext {
    /// What is followed.
    pub followed: channel::Sender<Followed>,
    /// Landing zones that have objects of Karpenter's, whatever the platform says now.
    of_karpenter: Mutex<BTreeSet<String>>,
    /// What is wrong with the watches, by kind.
    trouble: Mutex<BTreeMap<Kind, String>>,
    /// Landing zones that have to do with Azure.
    concerned: Mutex<BTreeSet<String>>,
    /// What the firewall is to let through of each landing zone whose declaration is in force.
    let_out: Mutex<BTreeMap<String, Arc<[ApplicationRule]>>>,
    /// The objects of the platform's own, as they were rendered last.
    platform_targets: Mutex<Option<Arc<Targets>>>,
    platform_woken: Notify,
    /// How many subnets were declared no more and still there at the last look.
    pub former_subnets: AtomicUsize,
}

/// Whose objects are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The namespace of Azure Service Operator's objects, as the platform declares it.
    pub namespace: Option<String>,
    /// Whether the platform has Karpenter make nodes.
    is_auto: bool,
    /// Whether any landing zone has objects of Karpenter's.
    is_left: bool,
}

impl Followed {
    /// Whether objects of a kind are.
    #[must_use]
    pub fn has(&self, kind: AzureKind) -> bool {
        if kind.is_karpenter() {
            self.is_auto || self.is_left
        } else {
            self.namespace.is_some()
        }
    }
}

impl Default for AzureContext {
    fn default() -> Self {
        Self {
            followed: channel::Sender::default(),
            of_karpenter: Mutex::default(),
            trouble: Mutex::default(),
            concerned: Mutex::default(),
            let_out: Mutex::default(),
            platform_targets: Mutex::default(),
            platform_woken: Notify::new(),
            former_subnets: AtomicUsize::new(0),
        }
    }
}

impl AzureContext {
    /// Takes in what is wrong with a watch, or that nothing is. Returns whether that is news.
    pub fn fails(&self, kind: Kind, trouble: Option<String>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &trouble {
            Some(trouble) => known.insert(kind, trouble.clone()),
            None => known.remove(&kind),
        };
        drop(known);
        if before == trouble {
            return false;
        }
        if let Some(trouble) = trouble {
            tracing::warn!(%kind, trouble, "does not work; trying again");
        }
        true
    }

    /// Nothing is wrong with watches that ended.
    fn is_calm(&self) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        known.clear();
    }

    /// What is wrong with a watch of one of these kinds; None: nothing that is known.
    pub fn trouble(&self, kinds: &[AzureKind]) -> Option<String> {
        let known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kinds = kinds.iter();
        kinds.find_map(|kind| known.get(&Kind::Azure(*kind)).cloned())
    }

    /// Takes in what the platform says.
    pub fn declares(&self, azure: Option<&PlatformAzure>) {
        let operator = azure.and_then(|azure| azure.service_operator.as_ref());
        let namespace = operator.map(|it| it.namespace.clone());
        let is_auto = azure.is_some_and(|it| it.node_provisioning == NodeProvisioning::Auto);
        self.follow_other(|followed| {
            followed.namespace = namespace;
            followed.is_auto = is_auto;
        });
    }

    fn follow_other(&self, change: impl FnOnce(&mut Followed)) {
        self.followed.send_if_modified(|followed| {
            let before = followed.clone();
            change(followed);
            *followed != before
        });
    }

    /// Takes in whether a landing zone has objects of Karpenter's.
    pub fn has_of_karpenter(&self, zone: &str, has: bool) {
        let known = self.of_karpenter.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        let is_news = if has {
            known.insert(zone.to_owned())
        } else {
            known.remove(zone)
        };
        if is_news {
            let is_left = !known.is_empty();
            // While nobody else changes the set: of two at once the last word would be either's.
            self.follow_other(|followed| followed.is_left = is_left);
        }
        drop(known);
    }

    /// Takes in whether a landing zone has to do with Azure.
    pub fn concerns(&self, zone: &str, is_concerned: bool) {
        let concerned = self.concerned.lock();
        let mut concerned = concerned.unwrap_or_else(PoisonError::into_inner);
        if is_concerned {
            concerned.insert(zone.to_owned());
        } else {
            concerned.remove(zone);
        }
    }

    /// Whether that is what is followed: a moment ago it may have been another namespace.
    fn is_followed(&self, azure: &PlatformAzure) -> bool {
        let operator = azure.service_operator.as_ref();
        self.followed.borrow().namespace.as_ref() == operator.map(|it| &it.namespace)
    }

    /// Takes in what the firewall is to let through of a landing zone.
    pub fn lets_out(&self, zone: &str, rules: Vec<ApplicationRule>) {
        let mut let_out = self.let_out.lock().unwrap_or_else(PoisonError::into_inner);
        if let_out.get(zone).map(AsRef::as_ref) != Some(&*rules) {
            let_out.insert(zone.to_owned(), rules.into());
            drop(let_out);
            self.wake_platform();
        }
    }

    /// Forgets a landing zone that is gone.
    pub fn forget(&self, zone: &str) {
        self.concerns(zone, false);
        self.has_of_karpenter(zone, false);
        let mut let_out = self.let_out.lock().unwrap_or_else(PoisonError::into_inner);
        let_out.remove(zone);
        drop(let_out);
        self.wake_platform();
    }

    fn let_out(&self) -> BTreeMap<String, Arc<[ApplicationRule]>> {
        let let_out = self.let_out.lock().unwrap_or_else(PoisonError::into_inner);
        let_out.clone()
    }

    /// The objects of the platform's own, as they were rendered last.
    pub fn platform_targets(&self) -> Option<Arc<Targets>> {
        let targets = self.platform_targets.lock();
        targets.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_platform_targets(&self, new: Option<Arc<Targets>>) {
        let targets = self.platform_targets.lock();
        *targets.unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Asks for a look at what the platform owns.
    pub fn wake_platform(&self) {
        self.platform_woken.notify_one();
    }

    /// Waits until somebody asks for such a look, or did since the last one.
    async fn woken(&self) {
        self.platform_woken.notified().await;
    }

    /// The landing zones that have to do with Azure.
    pub fn concerned(&self) -> Vec<String> {
        let concerned = self.concerned.lock();
        let concerned = concerned.unwrap_or_else(PoisonError::into_inner);
        concerned.iter().cloned().collect()
    }
}

/// What is to be done in Azure, before any request.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Nothing is written, and why; None: the landing zone has nothing to do with Azure.
    Idle(Option<AzureTold>),
    /// What is to be written, and what left the declaration.
    Planned { plan: Plan, leaving: Box<Leaving> },
}

/// What was done.
#[derive(Debug)]
pub(super) struct Round {
    /// What came of the plan.
    pub applied: Applied,
    /// How it stands; None: the landing zone has nothing to do with Azure.
    pub told: Option<AzureTold>,
}

/// What the half in Azure is rendered from; None where nothing of it can be written, or nobody declares any.
pub(super) fn source(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
) -> Option<AzureSource> {
    let is_concerned = is_concerned(observation, zone);
    context.azure.concerns(&observation.name, is_concerned);
    let mut recorded = observation.inventory.iter();
    let has_of_karpenter = recorded.any(|key| key.kind.is_karpenter());
    let azure = &context.azure;
    azure.has_of_karpenter(&observation.name, has_of_karpenter);
    let azure = observation.platform.azure.as_ref()?;
    let kinds = kinds(observation);
    let versions = observation.facts.azure_versions(&kinds).ok()?;
    if !is_concerned || kinds.is_empty() || !context.azure.is_followed(azure) {
        return None;
    }
    let objects = context.cache.read();
    objects.is_azure_synced(&kinds).then(|| AzureSource {
        versions,
        neighbours: context.azure_neighbours(&objects),
        before: priorities(&objects, &observation.name),
    })
}

/// The kinds that a landing zone is written in, and those that it was written in before the platform said otherwise, as far as they
/// are still served: what is there of them is to go.
fn kinds(observation: &Observation) -> Vec<AzureKind> {
    let Some(azure) = &observation.platform.azure else {
        return Vec::new();
    };
    let mut kinds = azure.kinds_of_landing_zones();
    let recorded = observation.inventory.iter();
    let recorded = recorded.filter_map(|key| key.kind.as_azure());
    let has_service_operator = azure.service_operator.is_some();
    let before: BTreeSet<_> = recorded
        .filter(|kind| kind.is_karpenter() || has_service_operator)
        .filter(|kind| !kinds.contains(kind))
        .filter(|kind| observation.facts.azure_versions(&[*kind]).is_ok())
        .collect();
    kinds.extend(before);
    kinds
}

fn is_concerned(observation: &Observation, zone: &domain::LandingZone) -> bool {
    let declares = zone.azure.node_pool.is_some() || zone.azure.subnet.is_some();
    declares || observation.inventory.iter().any(|key| key.kind.is_azure())
}

/// Subnets that are there and that their landing zones, which have others, declare no more: nodes and pods may still be in them.
pub(super) fn former_subnets(
    objects: &Objects,
    declared: &Neighbours,
) -> Vec<(LandingZoneName, IpNet)> {
    let subnets = objects.of_kind(Kind::Azure(AzureKind::VirtualNetworksSubnet));
    let former = subnets.filter_map(|(_, found)| {
        let range = found.azure.as_ref()?.address_prefix?;
        let owner: LandingZoneName = found.owner.as_ref()?.parse().ok()?;
        let own = declared.subnets.get(&owner)?;
        (!own.subnet.ranges().contains(&range)).then_some((owner, range))
    });
    former.collect()
}

/// Takes in what the firewall is to let through of a landing zone whose declaration is in force.
pub(super) fn lets_out(
    observation: &Observation,
    context: &Context,
    zone: &domain::LandingZone,
    openings: &domain::Openings,
) {
    let azure = observation.platform.azure.as_ref();
    let rules = if azure.is_some_and(|azure| azure.firewall.is_some()) {
        let neighbours = context.azure_neighbours(&context.cache.read());
        build::application_rules(zone, &observation.platform, openings, &neighbours)
    } else {
        Vec::new()
    };
    context.azure.lets_out(&observation.name, rules);
}

/// Priorities of the rules of somebody's group as they are.
fn priorities(objects: &Objects, owner: &str) -> Priorities {
    let kind = Kind::Azure(AzureKind::NetworkSecurityGroupsSecurityRule);
    let rules = objects
        .owned_by(owner)
        .filter(|(key, _)| key.kind == kind)
        .filter_map(|(_, found)| found.azure.as_ref());
    rules
        .filter_map(|it| Some((it.azure_name.clone()?, it.priority?)))
        .collect()
}

/// Compares what is declared in Azure with what Azure Service Operator was told.
pub(super) fn prepare(
    observation: &Observation,
    context: &Context,
    memory: &Memory,
    zone: &domain::LandingZone,
    rendered: &Rendered,
    now: Instant,
) -> Prepared {
    if !is_concerned(observation, zone) {
        return Prepared::Idle(None);
    }
    let Some(source) = &rendered.source.azure else {
        let kinds = kinds(observation);
        let trouble = context.azure.trouble(&kinds);
        let why = told::not_written(&observation.platform, &observation.facts, &kinds, trouble);
        return Prepared::Idle(Some(why));
    };
    if let Some(faulty) = told::faulty(&rendered.azure_faults) {
        return Prepared::Idle(Some(faulty));
    }
    let objects = context.cache.read();
    let pool = zone.azure.node_pool.as_ref();
    let replaces = pool.is_some_and(|pool| pool.replace);
    if !replaces
        && let Some(refused) = told::refused(&rendered.azure, &pools(&objects, observation))
    {
        return Prepared::Idle(Some(refused));
    }
    let inventory = &observation.inventory;
    let owned = (observation.name.as_str(), inventory);
    let (plan, mut prune) = compare(owned, &rendered.azure, &objects, memory, now);
    // Of a kind that this was not rendered for nothing is known: until the watch of before ends, its objects are still here.
    let rendered_kinds: BTreeSet<_> = source.versions.kinds().collect();
    prune.retain(|it| {
        it.key
            .kind
            .as_azure()
            .is_some_and(|kind| rendered_kinds.contains(&kind))
    });
    let mut targets = rendered.azure.iter().map(|target| &target.key);
    let successor = targets.find(|key| key.kind == POOL);
    let declared = Declared {
        delete_policy: zone.azure.delete_policy,
        successor: successor.filter(|_| replaces),
        has_karpenter_pool: rendered
            .azure
            .iter()
            .any(|it| it.key.kind == KARPENTER_POOL),
    };
    let leaving = Box::new(Leaving::of(&prune, &objects, declared));
    Prepared::Planned { plan, leaving }
}

/// What has to be written of what somebody owns, and what left the declaration.
fn compare(
    (owner, inventory): (&str, &BTreeSet<ObjectKey>),
    targets: &Targets,
    objects: &Objects,
    memory: &Memory,
    now: Instant,
) -> (Plan, Vec<Prune>) {
    let basis = Basis {
        half: Half::Azure,
        owner,
        targets,
        inventory,
        inherited: &BTreeSet::new(),
        left_alone: &BTreeSet::new(),
        applied_before: false,
        lost: &BTreeSet::new(),
        recorded_keys: &BTreeMap::new(),
        memory,
        now,
    };
    let mut plan = plan(&basis, objects);
    // How it goes is decided by what it is.
    let prune = std::mem::take(&mut plan.prune);
    (plan, prune)
}

/// The node pools of a landing zone that are there.
fn pools(objects: &Objects, observation: &Observation) -> BTreeMap<ObjectKey, Arc<AzureState>> {
    let is_there = |(key, found): &(&ObjectKey, &Observed)| {
        key.kind == POOL && !found.deleting && observation.inventory.contains(*key)
    };
    let pools = objects.owned_by(&observation.name).filter(is_there);
    pools
        .filter_map(|(key, found)| Some((key.clone(), found.azure.clone()?)))
        .collect()
}

impl Prepared {
    /// What is written anew: it is recorded before.
    pub(super) fn targets<'a>(
        &'a self,
        rendered: &'a Rendered,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        let is_planned = matches!(self, Self::Planned { .. });
        let targets = rendered.azure.iter().filter(move |_| is_planned);
        targets.map(|target| &target.key)
    }

    /// The plan, where there is one.
    pub(super) fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Idle(_) => None,
            Self::Planned { plan, .. } => Some(plan),
        }
    }

    /// Leaves out whatever would bring something into being. While nothing new may come, nothing goes either: the platform may have
    /// changed what the same declaration comes to.
    pub(super) fn keep_to_what_is_there(&mut self) {
        if let Self::Planned { plan, leaving } = self {
            plan.writes
                .retain(|write| !matches!(write.change, super::plan::Change::Create));
            **leaving = Leaving::default();
        }
    }

    /// How many changes would be made.
    pub(super) fn changes(&self) -> usize {
        match self {
            Self::Idle(_) => 0,
            Self::Planned { plan, leaving } => plan.writes.len() + leaving.sentences().len(),
        }
    }

    /// What would be done, a sentence each; where nothing is, why.
    pub(super) fn sentences(&self, inventory: &BTreeSet<ObjectKey>) -> Vec<String> {
        match self {
            Self::Idle(told) => told.iter().map(|it| it.message().to_owned()).collect(),
            Self::Planned { plan, leaving } => {
                let mut all = plan.sentences(&BTreeMap::new(), inventory);
                all.extend(leaving.sentences());
                all
            }
        }
    }
}

/// Carries out what was prepared, remembers and reports it.
pub(super) async fn carry_out(
    observation: &Observation,
    context: &Context,
    memory: &mut Memory,
    prepared: Prepared,
    behalf: Behalf<'_>,
    rendered: &Rendered,
) -> Round {
    let (plan, leaving) = match prepared {
        Prepared::Idle(told) => {
            let applied = Applied::default();
            return Round { applied, told };
        }
        Prepared::Planned { plan, leaving } => (plan, leaving),
    };
    let mut applied = context.writer.apply_azure(&plan, behalf).await;
    let Left {
        pruned,
        failed,
        mut waits,
        replacing,
        released,
    } = leave(context, &observation.name, *leaving, behalf.flavour).await;
    applied.pruned.extend(pruned);
    applied.failed.extend(failed);
    report(
        observation,
        context,
        memory,
        &applied,
        &BTreeSet::new(),
        &plan,
    );
    remember(context, Some(&observation.name), memory, &applied);
    for key in released {
        memory.in_force.remove(&key);
    }
    let told = {
        let objects = context.cache.read();
        let states = rendered.azure.iter().map(|target| {
            let found = objects.get(&target.key);
            let state = found.and_then(|found| found.azure.clone());
            (target.key.clone(), state)
        });
        let states: Vec<_> = states.collect();
        let going = objects.owned_by(&observation.name);
        let going = going.filter(|(key, found)| {
            let is_left = rendered.azure.get(key).is_none() && observation.inventory.contains(*key);
            key.kind.is_azure() && found.deleting && is_left
        });
        waits.extend(going.map(|(key, found)| told::goes(key, found.azure.as_deref())));
        let going = told::Going { waits, replacing };
        told::stands(&states, &applied, &plan, going, &observation.platform)
    };
    let azure = observation.platform.azure.as_ref();
    let is_by_others = azure.is_some_and(|it| it.kinds_of_landing_zones().is_empty());
    let declares = rendered.zone.azure.node_pool.is_some();
    let told = if is_by_others && declares && matches!(told, AzureTold::Done(_)) {
        told::not_written(&observation.platform, &observation.facts, &[], None)
    } else {
        told
    };
    Round {
        applied,
        told: Some(told),
    }
}

impl Round {
    /// Whether nothing but looking again is to be done about what failed.
    pub(super) fn is_transient(&self) -> bool {
        let transient = |failure: &Failure| failure.error.is_transient();
        !self.applied.failed.is_empty() && self.applied.failed.iter().all(transient)
    }
}
