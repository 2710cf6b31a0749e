//! What a running cluster shows, as far as whoever asks may read it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::domain::{Exempt, Node};
use crate::policy::{LabelMap, Member, World};

/// Something that was read, or could not be.
pub type Known<T> = Result<T, Missing>;

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What, as the API server calls it: `networkpolicies of networking.k8s.io/v1`.
    pub what: String,
    /// Why, in the API server's words.
    pub why: String,
}

impl Missing {
    /// The right that whoever asks would need.
    pub(super) fn right(&self) -> String {
        format!("the right to list {} (--live)", self.what)
    }
}

/// What a cluster shows.
#[derive(Debug)]
pub struct ClusterState {
    /// Labels of all namespaces, by name.
    pub namespaces: Known<BTreeMap<String, LabelMap>>,
    /// What the cluster-wide deny leaves alone, as the platform declares it.
    pub exempt: Exempt,
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
    /// Names of the pods in the namespace default.
    pub in_default: Known<Vec<String>>,
    /// Ids of the definitions of Azure Policy whose constraint templates are in the cluster.
    pub definitions: Known<BTreeSet<String>>,
}

/// The policies of a cluster.
#[derive(Debug)]
pub struct Policies {
    /// The policies, as they are evaluated.
    pub world: World,
    /// The cluster's DNS.
    pub dns: Vec<Member>,
    /// Ranges of pods; empty: not known.
    pub pod_cidrs: Vec<IpNet>,
}

/// A `DaemonSet` whose pods enforce network policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
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
    /// Its ports.
    pub ports: Vec<i64>,
}

impl ClusterState {
    /// Names of `DaemonSets` that enforce network policies: Calico's, Cilium's and Azure's.
    pub const AGENTS: [&'static str; 3] = ["calico-node", "cilium", "azure-npm"];

    /// The namespaces that applications have: all but those of the system.
    pub(super) fn of_applications(&self) -> Result<Vec<(&str, &LabelMap)>, &Missing> {
        let namespaces = self.namespaces.as_ref()?;
        let all = namespaces
            .iter()
            .map(|(name, labels)| (name.as_str(), labels));
        Ok(all
            .filter(|(name, labels)| !self.is_system(name, labels))
            .collect())
    }

    /// Whether a namespace is one that no cluster-wide rule may cut off. A landing zone's never is.
    pub(super) fn is_system(&self, name: &str, labels: &LabelMap) -> bool {
        let is_landing_zones = labels.contains_key(crate::api::names::OWNER);
        !is_landing_zones && self.exempt.leaves_alone(name, labels)
    }
}

impl Agent {
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
    /// Whether it takes HTTP or HTTPS from the internet.
    pub(super) fn is_way_in(&self) -> bool {
        !self.is_internal && self.ports.iter().any(|it| matches!(it, 80 | 443))
    }
}
