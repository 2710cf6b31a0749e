//! What others than the operator write that decides about traffic: policies and network sets. There is one watch for
//! each kind: where `watch.rs` has one already, its events are passed on from there.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use futures::StreamExt;
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Resource, ResourceExt};
use tokio_util::task::AbortOnDropHandle;

use super::context::Context;
use super::kind::Kind;
use super::team_policies::{self, Policies};
use crate::cluster::{ClusterFacts, Watched, follow};
use crate::domain::{Flavour, PolicyApi};
use crate::telemetry::Health;

/// The group of the policies of the cluster's administrators.
const ADMINISTRATORS: &str = "policy.networking.k8s.io";

/// A kind that others write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Source {
    Kubernetes,
    Calico,
    CalicoGlobal,
    NetworkSet,
    GlobalNetworkSet,
    Staged,
    StagedGlobal,
    StagedKubernetes,
    Admin,
    BaselineAdmin,
    ClusterNetworkPolicy,
}

impl Source {
    pub const ALL: [Self; 11] = [
        Self::Kubernetes,
        Self::Calico,
        Self::CalicoGlobal,
        Self::NetworkSet,
        Self::GlobalNetworkSet,
        Self::Staged,
        Self::StagedGlobal,
        Self::StagedKubernetes,
        Self::Admin,
        Self::BaselineAdmin,
        Self::ClusterNetworkPolicy,
    ];
    /// Those that decide where the operator's own policies leave a decision to others.
    pub const POLICIES: [Self; 3] = [Self::Kubernetes, Self::Calico, Self::CalicoGlobal];
    /// Kinds that nobody but this module watches.
    const WATCHED_HERE: [Self; 8] = [
        Self::Calico,
        Self::NetworkSet,
        Self::GlobalNetworkSet,
        Self::Staged,
        Self::StagedKubernetes,
        Self::Admin,
        Self::BaselineAdmin,
        Self::ClusterNetworkPolicy,
    ];

    /// What others write of a kind that the operator writes, too.
    pub const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::NetworkPolicy => Some(Self::Kubernetes),
            Kind::GlobalNetworkPolicy => Some(Self::CalicoGlobal),
            Kind::StagedGlobalNetworkPolicy => Some(Self::StagedGlobal),
            _ => None,
        }
    }

    fn decides(self) -> bool {
        Self::POLICIES.contains(&self)
    }

    /// Policies of the cluster's administrators (`policy.networking.k8s.io`).
    pub const fn is_of_administrators(self) -> bool {
        matches!(
            self,
            Self::Admin | Self::BaselineAdmin | Self::ClusterNetworkPolicy
        )
    }

    /// Policies that are about pods of any namespace, each of which is judged for one landing zone at a time.
    pub const fn is_policy_of_cluster(self) -> bool {
        self.is_of_administrators() || matches!(self, Self::CalicoGlobal | Self::StagedGlobal)
    }

    /// Whether its objects are addresses with labels.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::NetworkSet | Self::GlobalNetworkSet)
    }

    /// Whether a cluster has this kind.
    pub fn is_in(self, facts: &ClusterFacts) -> bool {
        if self == Self::Kubernetes {
            return true;
        }
        let flavour = facts.flavour();
        if self == Self::StagedGlobal && !flavour.staged {
            // Defined without tiers: the operator writes none, and nobody watches them.
            return false;
        }
        let plural = self.resource(flavour).plural;
        let groups: &[&str] = if self.is_of_administrators() {
            &[ADMINISTRATORS]
        } else {
            &["crd.projectcalico.org", "projectcalico.org"]
        };
        let is_defined = |group: &str| facts.definitions.contains(&format!("{plural}.{group}"));
        flavour.api != PolicyApi::Kubernetes && groups.iter().copied().any(is_defined)
    }

    pub fn resource(self, flavour: Flavour) -> ApiResource {
        let plural = match self {
            Self::Kubernetes | Self::Calico => "networkpolicies",
            Self::CalicoGlobal => "globalnetworkpolicies",
            Self::NetworkSet => "networksets",
            Self::GlobalNetworkSet => "globalnetworksets",
            Self::Staged => "stagednetworkpolicies",
            Self::StagedGlobal => "stagedglobalnetworkpolicies",
            Self::StagedKubernetes => "stagedkubernetesnetworkpolicies",
            Self::Admin => "adminnetworkpolicies",
            Self::BaselineAdmin => "baselineadminnetworkpolicies",
            Self::ClusterNetworkPolicy => "clusternetworkpolicies",
        };
        // The only versions that ever served them.
        let (group, version) = match (self, flavour.api) {
            (Self::Kubernetes, _) => ("networking.k8s.io", "v1"),
            (Self::Admin | Self::BaselineAdmin, _) => (ADMINISTRATORS, "v1alpha1"),
            (Self::ClusterNetworkPolicy, _) => (ADMINISTRATORS, "v1alpha2"),
            (_, PolicyApi::CalicoV3) => ("projectcalico.org", "v3"),
            (_, PolicyApi::CalicoCrdV1 | PolicyApi::Kubernetes) => ("crd.projectcalico.org", "v1"),
        };
        let kind = GroupVersionKind::gvk(group, version, self.kind());
        ApiResource::from_gvk_with_plural(&kind, plural)
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Kubernetes | Self::Calico => "NetworkPolicy",
            Self::CalicoGlobal => "GlobalNetworkPolicy",
            Self::NetworkSet => "NetworkSet",
            Self::GlobalNetworkSet => "GlobalNetworkSet",
            Self::Staged => "StagedNetworkPolicy",
            Self::StagedGlobal => "StagedGlobalNetworkPolicy",
            Self::StagedKubernetes => "StagedKubernetesNetworkPolicy",
            Self::Admin => "AdminNetworkPolicy",
            Self::BaselineAdmin => "BaselineAdminNetworkPolicy",
            Self::ClusterNetworkPolicy => "ClusterNetworkPolicy",
        }
    }

    fn part(self) -> String {
        format!("watch of others' {}", self.kind())
    }
}

/// An object of others: kind, namespace and the name that the API of the flavour calls it by.
pub(super) type Key = (Source, Option<String>, String);

/// The key of an object.
pub(super) fn key<K: Resource>(source: Source, object: &K) -> Key {
    (source, object.namespace(), object.name_any())
}

/// Follows what nobody else watches.
pub(super) async fn follow_others(context: Arc<Context>, health: Health) {
    let mut signs = context.signs.clone();
    let mut running: BTreeMap<Source, (ApiResource, AbortOnDropHandle<()>)> = BTreeMap::new();
    loop {
        let facts = signs.borrow_and_update().clone();
        for source in Source::WATCHED_HERE {
            let wanted = facts.as_ref().filter(|facts| source.is_in(facts));
            let wanted = wanted.map(|facts| (source.resource(facts.flavour()), facts.flavour()));
            let resource = wanted.as_ref().map(|(resource, _)| resource);
            if running.get(&source).map(|(resource, _)| resource) == resource {
                continue;
            }
            if running.remove(&source).is_some() {
                unlist(&context, source);
                health.not_needed(&source.part());
            }
            if let Some((resource, flavour)) = wanted {
                let (context, health) = (context.clone(), health.clone());
                let watch = async move {
                    follow_one(&context, &health, source, flavour).await;
                };
                running.insert(
                    source,
                    (resource, AbortOnDropHandle::new(tokio::spawn(watch))),
                );
            }
        }
        context.guard.wake();
        if signs.changed().await.is_err() {
            return;
        }
    }
}

async fn follow_one(context: &Context, health: &Health, source: Source, flavour: Flavour) {
    let part = source.part();
    health.waits_for(&part);
    let resource = source.resource(flavour);
    let api = Api::<Watched>::all_with(context.watching.clone(), &resource);
    let mut events = std::pin::pin!(follow(api, Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if !matches!(event, Event::Init | Event::InitApply(_)) {
                    health.is_well(&part);
                }
                take_in(context, source, flavour, &event);
            }
            Err(error) => health.fails(&part, &error),
        }
    }
}

/// Nothing is known of a kind any more: its watch ended.
pub(super) fn unlist(context: &Context, source: Source) {
    policies(context).unlist(source);
    context.guard.unlist(source);
}

/// Takes in what the watch of a kind saw.
pub(super) fn take_in(context: &Context, source: Source, flavour: Flavour, event: &Event<Watched>) {
    match event {
        Event::Init => {
            policies(context).list_begins(source);
            context.guard.list_begins(source);
        }
        Event::InitApply(object) | Event::Apply(object) => {
            if source.decides() {
                let is_listed = matches!(event, Event::InitApply(_));
                team_policies::saw(context, source, object, is_listed);
            }
            context.guard.saw(source, flavour, object);
        }
        Event::Delete(object) => {
            let key = key(source, object);
            team_policies::gone(context, &key);
            context.guard.gone(&key);
        }
        Event::InitDone => {
            if source.decides() && policies(context).list_ends(source) {
                context.push_observing();
            }
            context.guard.list_ends(source);
        }
    }
}

fn policies(context: &Context) -> std::sync::RwLockWriteGuard<'_, Policies> {
    let policies = context.team_policies.write();
    policies.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the guard waits for has to be watched by somebody: else it would never judge anything.
    #[test]
    fn staged_policies_without_tiers_are_not_waited_for() {
        let storage = |kinds: &[&str]| ClusterFacts {
            definitions: kinds
                .iter()
                .map(|kind| format!("{kind}.crd.projectcalico.org"))
                .collect(),
            ..ClusterFacts::default()
        };
        let staged = ["globalnetworkpolicies", "stagedglobalnetworkpolicies"];
        let with_tiers = [&staged[..], &["tiers"]].concat();
        assert!(!Source::StagedGlobal.is_in(&storage(&staged)));
        assert!(Source::StagedGlobal.is_in(&storage(&with_tiers)));
        for facts in [storage(&staged), storage(&with_tiers)] {
            let resource = Kind::StagedGlobalNetworkPolicy.api_resource(facts.flavour());
            assert_eq!(Source::StagedGlobal.is_in(&facts), resource.is_some());
        }
    }
}
