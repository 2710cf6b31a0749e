//! What is asked about: pods of which only some labels are known, pods of which all are, and addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::policy::rewrite::{
    NAME, NAMESPACE, OF_NAMESPACE, OF_SERVICE_ACCOUNT, ORCHESTRATOR, SERVICE_ACCOUNT,
};
use crate::policy::world::{Endpoint, LabelMap, labels};
use crate::policy::{TransportProtocol, World};

/// Something that can be at one end of a connection: many pods or addresses about which the same is known.
#[derive(Clone, Debug)]
pub struct Member {
    pub(super) kind: Kind,
    /// Ranges that hold all its addresses; each of them may have some.
    pub(super) addresses: Vec<IpNet>,
    /// Services whose endpoints it is, all of them, with what they serve.
    pub(super) serves: Vec<Served>,
}

/// A service by namespace and name, and its ports; none: all of them.
pub(super) type Served = ((String, String), Vec<(TransportProtocol, u16)>);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Policies apply to it.
    Pods(Known),
    /// It has nothing but addresses, and nothing is enforced there.
    Addresses,
}

/// What is known of labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub labels: BTreeMap<String, Label>,
    /// Whether there may be other labels of a namespace, of a service account, of the pods themselves.
    pub open: Open,
    /// The namespace, where there is one that is known.
    pub namespace: Option<String>,
}

/// Whose labels may be more than those that are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    pub namespace: More,
    pub own: More,
}

/// Which labels there may be besides those that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum More {
    /// None.
    #[default]
    None,
    /// Those that Kubernetes, or whoever runs the cluster, gives.
    OfSystem,
    /// Any.
    Any,
}

/// What is known of one label.
#[derive(Clone, Debug)]
pub(super) enum Label {
    Value(String),
    /// It is there, with a value that is none of these.
    Other(Arc<BTreeSet<String>>),
    /// It is not there.
    Absent,
}

impl Member {
    /// All pods that a namespace has or may get: its own labels are known, and nothing of its pods but the ranges of
    /// their addresses. No ranges: not even those.
    #[must_use]
    pub fn namespace(name: &str, of_namespace: &LabelMap, pod_cidrs: &[IpNet]) -> Self {
        let known = labels(&LabelMap::new(), (name, of_namespace), None);
        let known = known
            .into_iter()
            .map(|(key, value)| (key, Label::Value(value)));
        Self {
            kind: Kind::Pods(Known {
                labels: known.collect(),
                open: Open {
                    namespace: More::None,
                    own: More::Any,
                },
                namespace: Some(name.to_owned()),
            }),
            addresses: somewhere(pod_cidrs),
            serves: Vec::new(),
        }
    }

    /// Pods that have the same labels, all of which are known.
    #[must_use]
    pub fn pods(alike: &[&Endpoint]) -> Self {
        let known = alike.first().map(|pod| pod.labels.clone());
        let known = known.unwrap_or_default().into_iter();
        let addresses = alike.iter().flat_map(|pod| &pod.addresses);
        Self {
            kind: Kind::Pods(Known {
                labels: known
                    .map(|(key, value)| (key, Label::Value(value)))
                    .collect(),
                open: Open::default(),
                namespace: alike.first().map(|pod| pod.namespace.clone()),
            }),
            addresses: addresses.map(|address| IpNet::from(*address)).collect(),
            serves: Vec::new(),
        }
    }

    /// The pods of a world that a namespace has, those that are alike together.
    #[must_use]
    pub fn pods_of(world: &World, namespace: &str) -> Vec<Self> {
        let mut alike: BTreeMap<&LabelMap, Vec<&Endpoint>> = BTreeMap::new();
        for pod in world
            .endpoints
            .iter()
            .filter(|it| it.namespace == namespace)
        {
            alike.entry(&pod.labels).or_default().push(pod);
        }
        alike.values().map(|pods| Self::pods(pods)).collect()
    }

    /// Pods with these labels in namespaces with those labels, none of which has one of the names in `others` or the
    /// label `without`.
    #[must_use]
    pub fn labelled(
        (namespace_labels, without): (&LabelMap, &str),
        pod_labels: &LabelMap,
        others: &Arc<BTreeSet<String>>,
        pod_cidrs: &[IpNet],
    ) -> Self {
        let mut known = BTreeMap::from([
            (
                format!("{OF_NAMESPACE}{NAME}"),
                Label::Other(Arc::clone(others)),
            ),
            (NAMESPACE.to_owned(), Label::Other(Arc::clone(others))),
            (ORCHESTRATOR.to_owned(), Label::Value("k8s".to_owned())),
            (format!("{OF_NAMESPACE}{without}"), Label::Absent),
        ]);
        let of_namespace = namespace_labels.iter();
        known.extend(
            of_namespace
                .map(|(key, value)| (format!("{OF_NAMESPACE}{key}"), Label::Value(value.clone()))),
        );
        // Every namespace is labelled with its name.
        if let Some(name) = namespace_labels.get(METADATA_NAME) {
            for key in [NAMESPACE.to_owned(), format!("{OF_NAMESPACE}{NAME}")] {
                known.insert(key, Label::Value(name.clone()));
            }
        }
        let own = pod_labels.iter();
        known.extend(own.map(|(key, value)| (key.clone(), Label::Value(value.clone()))));
        Self {
            kind: Kind::Pods(Known {
                labels: known,
                open: Open {
                    namespace: More::Any,
                    own: More::Any,
                },
                namespace: namespace_labels.get(METADATA_NAME).cloned(),
            }),
            addresses: somewhere(pod_cidrs),
            serves: Vec::new(),
        }
    }

    /// The same, as a part of the system: no application labels its pods, nor its namespace.
    #[must_use]
    pub fn of_system(mut self) -> Self {
        if let Kind::Pods(known) = &mut self.kind {
            known.open = Open {
                namespace: More::OfSystem,
                own: More::OfSystem,
            };
        }
        self
    }

    /// Whatever has addresses in these ranges and is no pod: nothing is enforced there.
    #[must_use]
    pub fn addresses(ranges: &[IpNet]) -> Self {
        Self {
            kind: Kind::Addresses,
            addresses: ranges.to_vec(),
            serves: Vec::new(),
        }
    }

    /// The same, with any address of these ranges: pods that are not there yet. No ranges: of any address.
    #[must_use]
    pub fn somewhere_in(mut self, pod_cidrs: &[IpNet]) -> Self {
        self.addresses = somewhere(pod_cidrs);
        self
    }

    /// The same, as the endpoints of a service, with its ports; none: all.
    #[must_use]
    pub fn serving(mut self, service: (&str, &str), ports: Vec<(TransportProtocol, u16)>) -> Self {
        let service = (service.0.to_owned(), service.1.to_owned());
        self.serves.push((service, ports));
        self
    }

    pub(super) fn known(&self) -> Option<&Known> {
        match &self.kind {
            Kind::Pods(known) => Some(known),
            Kind::Addresses => None,
        }
    }
}

/// The label that Kubernetes puts on every namespace.
const METADATA_NAME: &str = "kubernetes.io/metadata.name";

/// Who may have a label that is not known, and whether it is one of the system's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Namespace(Giver),
    ServiceAccount,
    Pod(Giver),
}

/// Who gives a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Giver {
    /// Kubernetes, or whoever runs the cluster.
    System,
    Anybody,
}

impl Owner {
    pub fn of(key: &str) -> Self {
        if let Some(label) = key.strip_prefix(OF_NAMESPACE) {
            Self::Namespace(Giver::of(label))
        } else if key.starts_with(OF_SERVICE_ACCOUNT) || key == SERVICE_ACCOUNT {
            Self::ServiceAccount
        } else {
            Self::Pod(Giver::of(key))
        }
    }
}

impl Giver {
    /// By the domain of the key, and the few keys without one that system pods and namespaces have on AKS.
    fn of(label: &str) -> Self {
        let domains = ["kubernetes.io", "k8s.io", "kubernetes.azure.com"];
        let of_system = match label.split_once('/') {
            Some((domain, _)) => domains.iter().any(|known| {
                domain
                    .strip_suffix(known)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
            None => ["k8s-app", "control-plane", "pod-template-hash", "version"].contains(&label),
        };
        if of_system {
            Self::System
        } else {
            Self::Anybody
        }
    }
}

impl Open {
    pub fn is_for(self, owner: Owner) -> bool {
        let (more, giver) = match owner {
            Owner::Namespace(giver) => (self.namespace, giver),
            Owner::Pod(giver) => (self.own, giver),
            Owner::ServiceAccount => (self.own, Giver::System),
        };
        match more {
            More::None => false,
            More::OfSystem => giver == Giver::System,
            More::Any => true,
        }
    }
}

fn somewhere(pod_cidrs: &[IpNet]) -> Vec<IpNet> {
    if pod_cidrs.is_empty() {
        everywhere().to_vec()
    } else {
        pod_cidrs.to_vec()
    }
}

/// All addresses of both families.
#[must_use]
pub fn everywhere() -> [IpNet; 2] {
    let v4 = std::net::IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED);
    let v6 = std::net::IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED);
    // No prefix of 0 is too long.
    [v4, v6].map(|address| IpNet::new_assert(address, 0))
}

/// What is left of ranges without others.
#[must_use]
pub fn without(ranges: &[IpNet], holes: &[IpNet]) -> Vec<IpNet> {
    let mut left = Vec::new();
    let mut open: Vec<IpNet> = ranges.to_vec();
    while let Some(range) = open.pop() {
        if holes.iter().any(|hole| hole.contains(&range)) {
            continue;
        }
        if !holes.iter().any(|hole| range.contains(hole)) {
            left.push(range);
            continue;
        }
        // A hole lies inside, so that it can be halved.
        let longer = range.prefix_len().saturating_add(1);
        let halves = range.subnets(longer).into_iter().flatten();
        open.extend(halves);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn ranges_have_holes() {
        let left = |ranges: &[&str], holes: &[&str]| {
            let mut left = without(&nets(ranges), &nets(holes));
            left.sort();
            left
        };
        assert_eq!(
            left(&["10.0.0.0/8"], &["10.64.0.0/10"]),
            nets(&["10.0.0.0/10", "10.128.0.0/9"])
        );
        assert_eq!(left(&["10.0.0.0/8"], &["0.0.0.0/0"]), []);
        assert_eq!(left(&["10.0.0.0/8"], &["10.0.0.0/9", "10.128.0.0/9"]), []);
        assert_eq!(left(&["10.0.0.0/8"], &["::/0"]), nets(&["10.0.0.0/8"]));
        let most = left(&["0.0.0.0/0"], &["203.0.113.9/32"]);
        assert_eq!(most.len(), 32);
        let address: std::net::IpAddr = "203.0.113.9".parse().unwrap();
        assert!(most.iter().all(|net| !net.contains(&address)));
        assert_eq!(everywhere().to_vec(), nets(&["0.0.0.0/0", "::/0"]));
    }
}
