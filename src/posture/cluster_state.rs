//! What a running cluster shows, as far as whoever asks may read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ipnet::IpNet;

use crate::domain::{Exempt, Node};
use crate::policy::{LabelMap, Member, World};

/// Something that was read, or could not be.
pub type Known<T> = Result<T, Missing>;

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The API server does not show it.
    Refused {
        /// What, as the API server calls it: `networkpolicies of networking.k8s.io/v1`.
        what: String,
        /// Why, in the API server's words.
        why: String,
    },
    /// It is there, and what it says cannot be used.
    Unusable {
        /// What, by kind and name.
        what: String,
        /// Why.
        why: String,
    },
}

impl Missing {
    /// What would have to be otherwise so that it could be read.
    pub(super) fn tells(&self) -> String {
        match self {
            Self::Refused { what, .. } => format!("the right to list {what} (--live)"),
            Self::Unusable { what, .. } => format!("{what}, once it can be used (--live)"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { what, why } => write!(f, "{what} could not be read: {why}"),
            Self::Unusable { what, why } => write!(f, "{what} cannot be used: {why}"),
        }
    }
}

/// What a cluster shows.
#[derive(Debug)]
pub struct ClusterState {
    /// Labels of all namespaces, by name.
    pub namespaces: Known<BTreeMap<String, LabelMap>>,
    /// What the cluster-wide deny leaves alone, as the platform declares it.
    pub exempt: Known<Exempt>,
    /// The application codes of landing zones; None where the cluster does not know the kind.
    pub codes: Known<Option<BTreeSet<String>>>,
    /// Policies and what they act on.
    pub policies: Known<Policies>,
    /// Nodes by name.
    pub nodes: Known<BTreeMap<String, Node>>,
    /// Agents that may enforce network policies.
    pub agents: Known<Vec<Agent>>,
    /// Services of type `LoadBalancer`.
    pub load_balancers: Known<Vec<LoadBalancer>>,
    /// Names of ingress classes.
    pub ingress_classes: Known<Vec<String>>,
    /// Namespaces that have a quota.
    pub with_quota: Known<BTreeSet<String>>,
    /// What runs in the namespace default: pods, or what makes them.
    pub in_default: Known<BTreeSet<String>>,
    /// Ids of the definitions of Azure Policy whose constraint templates are in the cluster.
    pub definitions: Known<BTreeSet<String>>,
}

/// The policies of a cluster.
#[derive(Debug)]
pub struct Policies {
    /// The policies, as they are evaluated.
    pub world: World,
    /// Policies of Cilium's own kinds, which are not evaluated.
    pub of_cilium: usize,
    /// The cluster's DNS.
    pub dns: Vec<Member>,
    /// Ranges of pods; empty: not known.
    pub pod_cidrs: Vec<IpNet>,
}

/// What enforces network policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Calico, which knows policies of its own kinds besides those of Kubernetes.
    Calico,
    /// Cilium, which does so, too.
    Cilium,
    /// Azure's network policy manager.
    Azure,
}

/// A `DaemonSet` whose pods enforce network policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What it is a part of.
    pub engine: Engine,
    /// Whether it is for nodes with Windows.
    pub is_for_windows: bool,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Nodes that should run it.
    pub desired: i64,
    /// Nodes where it runs and is ready.
    pub ready: i64,
}

/// A Service of type `LoadBalancer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether Azure's annotation keeps it inside the VNet.
    pub is_internal: bool,
    /// Whether pods see the client's address: its externalTrafficPolicy is Local.
    pub keeps_source: bool,
    /// Its ports.
    pub ports: Vec<i64>,
}

/// The namespace that is there in every cluster, and is neither the system's nor an application's.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

impl ClusterState {
    /// The namespaces that applications have: all but those of the system, and default.
    pub(super) fn of_applications(&self) -> Result<Vec<(&str, &LabelMap)>, &Missing> {
        let (namespaces, exempt) = (self.namespaces.as_ref()?, self.exempt.as_ref()?);
        let all = namespaces.iter();
        let own = all.filter(|(name, labels)| {
            name.as_str() != DEFAULT_NAMESPACE && !is_system(exempt, name, labels)
        });
        Ok(own.map(|(name, labels)| (name.as_str(), labels)).collect())
    }

    /// The namespaces that no cluster-wide rule may cut off.
    pub(super) fn of_system(&self) -> Result<Vec<(&str, &LabelMap)>, &Missing> {
        let (namespaces, exempt) = (self.namespaces.as_ref()?, self.exempt.as_ref()?);
        let all = namespaces.iter();
        let own = all.filter(|(name, labels)| is_system(exempt, name, labels));
        Ok(own.map(|(name, labels)| (name.as_str(), labels)).collect())
    }
}

/// Whether a namespace is the system's. A landing zone's never is, nor is default: it is exempt, and nothing of the system runs there.
fn is_system(exempt: &Exempt, name: &str, labels: &LabelMap) -> bool {
    let is_landing_zones = labels.contains_key(crate::api::names::OWNER);
    name != DEFAULT_NAMESPACE && !is_landing_zones && exempt.leaves_alone(name, labels)
}

impl Engine {
    /// The `DaemonSets` whose pods enforce: name, engine, and whether it is for nodes with Windows.
    const AGENTS: [(&'static str, Self, bool); 5] = [
        ("calico-node", Self::Calico, false),
        ("calico-node-windows", Self::Calico, true),
        ("cilium", Self::Cilium, false),
        ("azure-npm", Self::Azure, false),
        ("azure-npm-win", Self::Azure, true),
    ];

    /// The engine of a `DaemonSet`, by its name, and whether it is for nodes with Windows; None where it enforces nothing.
    #[must_use]
    pub fn of_agent(name: &str) -> Option<(Self, bool)> {
        let mut all = Self::AGENTS.iter();
        let found = all.find(|(known, ..)| *known == name);
        found.map(|(_, engine, is_for_windows)| (*engine, *is_for_windows))
    }

    /// The engine that the field networkPolicy of a cluster names.
    pub(super) fn of_field(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "calico" => Some(Self::Calico),
            "cilium" => Some(Self::Cilium),
            "azure" => Some(Self::Azure),
            _ => None,
        }
    }
}

impl Agent {
    /// What was looked for, by name.
    pub(super) fn all_names() -> String {
        Engine::AGENTS.map(|(name, ..)| name).join(", ")
    }

    /// `calico-system/calico-node`
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether it is ready wherever it should run.
    pub(super) fn is_whole(&self) -> bool {
        self.desired > 0 && self.ready >= self.desired
    }
}

impl LoadBalancer {
    /// `shop-web/front`
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether it takes HTTP or HTTPS from the internet.
    pub(super) fn is_way_in(&self) -> bool {
        !self.is_internal && self.ports.iter().any(|it| matches!(it, 80 | 443))
    }
}
