//! Whose an address is: a pod's, a node's, or nobody's in the cluster.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;

use super::dump::{Dump, Labels, Object};
use crate::api::names;
use crate::api::rule::METADATA_ADDRESSES;
use crate::domain::{LandingZone, Platform};

const TERMINATED: [&str; 2] = ["Succeeded", "Failed"];

/// One end of a connection, as declarations name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A zone of a landing zone.
    Zone {
        /// The landing zone.
        landing_zone: Rc<str>,
        /// Its zone.
        zone: Rc<str>,
        /// Labels of the pods that are meant, where not all of the zone are.
        pods: Option<Labels>,
    },
    /// A namespace of no landing zone.
    Namespace(Rc<str>),
    /// A node, and what shares its addresses.
    Node,
    /// An address by which Azure tells its machines more than pods should know.
    Metadata(IpAddr),
    /// The API server.
    ApiServer,
    /// A destination that the platform names.
    Destination(Rc<str>),
    /// A shared service of the platform.
    Service(Rc<str>),
    /// Outside of the cluster.
    Outside,
}

impl End {
    /// The landing zone that it belongs to.
    #[must_use]
    pub fn landing_zone(&self) -> Option<&Rc<str>> {
        match self {
            Self::Zone { landing_zone, .. } => Some(landing_zone),
            _ => None,
        }
    }
}

/// What is known of an address.
#[derive(Clone, Debug)]
pub struct Located {
    /// What declarations call it.
    pub end: End,
    /// Who it is: `namespace/pod`, `node/name`, or the address. Pods and nodes have one name,
    /// whatever the number of their addresses.
    pub name: Rc<str>,
    /// The address itself.
    pub address: IpAddr,
    /// Labels of the pod, if it is one.
    pub labels: Option<Rc<Labels>>,
    /// Labels of its namespace, if that is in no landing zone.
    pub namespace_labels: Option<Rc<Labels>>,
}

/// Why it cannot be told whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is a pod's, and no pod that is known has it.
    Gone,
    /// Several pods have it.
    Several,
}

/// A namespace of no landing zone that looks as if it belonged to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It carries the label of ownership of a landing zone.
    Owner(String),
    /// It carries the application code of a landing zone.
    Code {
        /// The code.
        code: String,
        /// The landing zone that has it.
        landing_zone: String,
    },
}

/// All addresses of a cluster.
#[derive(Debug)]
pub struct Inventory {
    holders: HashMap<IpAddr, Holder>,
    pod_cidrs: Vec<IpNet>,
    node_cidrs: Vec<IpNet>,
    claims: BTreeMap<String, Claim>,
}

/// Who has an address.
#[derive(Debug)]
enum Holder {
    Pod { located: Located, rank: Rank },
    Node(Located),
    Several(Rank),
}

/// Which of two pods has an address: the later one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It ended, and its address may be given to another.
    Terminated,
    /// It is being deleted.
    Deleted,
    /// It runs, or is about to.
    Live,
}

impl Inventory {
    /// The addresses of dumped pods and nodes. Only declared namespaces belong to a landing zone.
    #[must_use]
    pub fn new(dump: &Dump, zones: &[LandingZone], platform: &Platform) -> Self {
        let mut inventory = Self {
            holders: HashMap::new(),
            pod_cidrs: platform.pod_cidrs.clone(),
            node_cidrs: platform.node_cidrs.clone(),
            claims: claims(dump, zones),
        };
        let mut homes = Homes::new(dump, zones);
        for pod in &dump.pods {
            inventory.add_pod(pod, &mut homes);
        }
        for node in &dump.nodes {
            inventory.add_node(node);
        }
        inventory
    }

    /// Whether it is known which addresses pods have. If not, one of a pod that is gone looks like
    /// one outside.
    #[must_use]
    pub fn knows_pod_ranges(&self) -> bool {
        !self.pod_cidrs.is_empty()
    }

    /// What a namespace of no landing zone claims to be.
    #[must_use]
    pub fn claim(&self, namespace: &str) -> Option<&Claim> {
        self.claims.get(namespace)
    }

    /// Whose an address is; `is_pod` where its interface says that it is a pod's.
    ///
    /// # Errors
    /// It is a pod's, and it cannot be told whose.
    pub fn locate(&self, address: IpAddr, is_pod: bool) -> Result<Located, Unknown> {
        match self.holders.get(&address) {
            Some(Holder::Pod { located, .. } | Holder::Node(located)) => Ok(located.clone()),
            Some(Holder::Several(_)) => Err(Unknown::Several),
            None if is_pod || self.pod_cidrs.iter().any(|range| range.contains(&address)) => {
                Err(Unknown::Gone)
            }
            None => Ok(Located {
                end: self.stranger(address),
                name: address.to_string().into(),
                address,
                labels: None,
                namespace_labels: None,
            }),
        }
    }

    /// What an address is that nobody in the cluster has.
    fn stranger(&self, address: IpAddr) -> End {
        let is_metadata = |text: &&str| text.parse() == Ok(address);
        if METADATA_ADDRESSES.iter().any(is_metadata) {
            End::Metadata(address)
        } else if self.node_cidrs.iter().any(|range| range.contains(&address)) {
            End::Node
        } else {
            End::Outside
        }
    }

    fn add_pod(&mut self, pod: &Object, homes: &mut Homes<'_>) {
        if pod.spec.host_network {
            // Without a name of the node the pod stands for it: one of each is enough.
            let node = Some(pod.spec.node_name.as_str()).filter(|name| !name.is_empty());
            let node = node.unwrap_or(&pod.metadata.name);
            let name: Rc<str> = format!("node/{node}").into();
            for address in pod_addresses(pod) {
                let located = node_at(Rc::clone(&name), address);
                self.holders.insert(address, Holder::Node(located));
            }
            return;
        }
        let rank = rank(pod);
        let namespace = pod.metadata.namespace.as_str();
        let home = homes.of(namespace);
        let name: Rc<str> = format!("{namespace}/{}", pod.metadata.name).into();
        let labels = Rc::new(pod.metadata.labels.clone());
        for address in pod_addresses(pod) {
            let located = Located {
                end: home.end.clone(),
                name: Rc::clone(&name),
                address,
                labels: Some(Rc::clone(&labels)),
                namespace_labels: home.labels.clone(),
            };
            let holder = match self.holders.remove(&address) {
                Some(Holder::Pod {
                    located: other,
                    rank: others,
                }) if others == rank && other.name != located.name => Holder::Several(rank),
                Some(Holder::Pod {
                    located: other,
                    rank: others,
                }) if others > rank => Holder::Pod {
                    located: other,
                    rank: others,
                },
                Some(Holder::Several(others)) if others >= rank => Holder::Several(others),
                Some(Holder::Node(node)) => Holder::Node(node),
                Some(Holder::Pod { .. } | Holder::Several(_)) | None => {
                    Holder::Pod { located, rank }
                }
            };
            self.holders.insert(address, holder);
        }
    }

    fn add_node(&mut self, node: &Object) {
        let name: Rc<str> = format!("node/{}", node.metadata.name).into();
        for address in &node.status.addresses {
            if address.kind == "InternalIP"
                && let Ok(address) = address.address.parse()
            {
                let located = node_at(Rc::clone(&name), address);
                self.holders.insert(address, Holder::Node(located));
            }
        }
        let ranges = std::iter::once(&node.spec.pod_cidr).chain(&node.spec.pod_cidrs);
        for range in ranges.filter_map(|range| range.parse().ok()) {
            if !self.pod_cidrs.contains(&range) {
                self.pod_cidrs.push(range);
            }
        }
    }
}

fn node_at(name: Rc<str>, address: IpAddr) -> Located {
    Located {
        end: End::Node,
        name,
        address,
        labels: None,
        namespace_labels: None,
    }
}

fn rank(pod: &Object) -> Rank {
    if TERMINATED.contains(&pod.status.phase.as_str()) {
        Rank::Terminated
    } else if pod.metadata.deletion_timestamp.is_some() {
        Rank::Deleted
    } else {
        Rank::Live
    }
}

fn pod_addresses(pod: &Object) -> Vec<IpAddr> {
    let more = pod.status.pod_ips.iter().map(|ip| &ip.ip);
    let mut addresses: Vec<IpAddr> = std::iter::once(&pod.status.pod_ip)
        .chain(more)
        .filter_map(|address| address.parse().ok())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// What the pods of a namespace have in common.
#[derive(Clone)]
struct Home {
    end: End,
    labels: Option<Rc<Labels>>,
}

/// All namespaces that have pods.
struct Homes<'a> {
    declared: BTreeMap<&'a str, End>,
    labels: BTreeMap<&'a str, &'a Labels>,
    known: BTreeMap<String, Home>,
}

impl<'a> Homes<'a> {
    fn new(dump: &'a Dump, zones: &'a [LandingZone]) -> Self {
        let labels = dump.namespaces.iter().map(|it| &it.metadata);
        Self {
            declared: declared_ends(zones),
            labels: labels.map(|it| (it.name.as_str(), &it.labels)).collect(),
            known: BTreeMap::new(),
        }
    }

    fn of(&mut self, namespace: &str) -> Home {
        if let Some(home) = self.known.get(namespace) {
            return home.clone();
        }
        let home = if let Some(end) = self.declared.get(namespace) {
            Home {
                end: end.clone(),
                labels: None,
            }
        } else {
            let dumped = self.labels.get(namespace).map(|it| (*it).clone());
            let mut labels = dumped.unwrap_or_default();
            labels.insert(names::METADATA_NAME.to_owned(), namespace.to_owned());
            Home {
                end: End::Namespace(namespace.into()),
                labels: Some(Rc::new(labels)),
            }
        };
        self.known.insert(namespace.to_owned(), home.clone());
        home
    }
}

/// The zones of all declared namespaces.
fn declared_ends(zones: &[LandingZone]) -> BTreeMap<&str, End> {
    let mut ends = BTreeMap::new();
    for declared in zones {
        let landing_zone: Rc<str> = declared.name.as_str().into();
        for namespace in &declared.namespaces {
            let end = End::Zone {
                landing_zone: Rc::clone(&landing_zone),
                zone: namespace.zone.as_str().into(),
                pods: None,
            };
            ends.insert(namespace.name.as_str(), end);
        }
    }
    ends
}

/// Namespaces that carry a label of a landing zone and are declared by none.
fn claims(dump: &Dump, zones: &[LandingZone]) -> BTreeMap<String, Claim> {
    let declared = declared_ends(zones);
    let by_code: BTreeMap<&str, &str> = zones
        .iter()
        .map(|zone| (zone.code.as_str(), zone.name.as_str()))
        .collect();
    dump.namespaces
        .iter()
        .map(|namespace| &namespace.metadata)
        .filter(|metadata| !declared.contains_key(metadata.name.as_str()))
        .filter_map(|metadata| {
            let code = metadata.labels.get(names::APPLICATION_CODE);
            let claim = match (metadata.labels.get(names::OWNER), code) {
                (Some(owner), _) => Claim::Owner(owner.clone()),
                (None, Some(code)) => Claim::Code {
                    code: code.clone(),
                    landing_zone: (*by_code.get(code.as_str())?).to_owned(),
                },
                (None, None) => return None,
            };
            Some((metadata.name.clone(), claim))
        })
        .collect()
}

#[cfg(test)]
mod tests;
