//! What the cluster tells of its addresses: on which ones its DNS answers, and where pods get theirs
//! from. Each is followed only while somebody wants to know.

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures::{Stream, StreamExt, future};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::watch;

use super::{ClusterFacts, Nodes, Signs, WantedNodes, follow};
use crate::telemetry::Health;

const SERVICE: &str = "watch of the Service kube-system/kube-dns";
const POOLS: &str = "watch of ippools";

/// What somebody wants to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedAddresses {
    /// The addresses of the Service `kube-system/kube-dns`.
    pub dns_service: bool,
    /// The ranges of Calico's enabled pools.
    pub pools: bool,
    /// The ranges that Nodes give to their pods.
    pub nodes: bool,
}

/// What the cluster tells. None: nobody wants to know, or it was not read yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterAddresses {
    /// The addresses of the Service `kube-system/kube-dns`, of each family; empty where there is none.
    pub dns_service: Option<Vec<IpAddr>>,
    /// The ranges of Calico's enabled pools, in the order of their names.
    pub pools: Option<Vec<IpNet>>,
    /// The ranges that Nodes give to their pods, in the order of their names.
    pub nodes: Option<Vec<IpNet>>,
}

/// Follows what is wanted, and sends what the cluster tells whenever that changes. A watch that fails
/// takes nothing back: what was told last stands until a new list.
pub async fn watch_addresses(
    client: Client,
    health: &Health,
    signs: Signs,
    wanted: watch::Receiver<WantedAddresses>,
    found: &watch::Sender<ClusterAddresses>,
    (wanted_nodes, nodes): (&watch::Sender<WantedNodes>, watch::Receiver<Nodes>),
) {
    tokio::join!(
        while_wanted(
            wanted.clone(),
            |wanted| wanted.dns_service,
            async || follow_service(client.clone(), health, found).await,
            || {
                health.not_needed(SERVICE);
                tell(found, |found| &mut found.dns_service, None);
            },
        ),
        while_wanted(
            wanted.clone(),
            |wanted| wanted.pools,
            async || follow_pools(client.clone(), health, signs.clone(), found).await,
            || {
                health.not_needed(POOLS);
                tell(found, |found| &mut found.pools, None);
            },
        ),
        while_wanted(
            wanted,
            |wanted| wanted.nodes,
            async || take_from_nodes(wanted_nodes, nodes.clone(), found).await,
            || {
                wanted_nodes.send_if_modified(|wanted| std::mem::take(&mut wanted.ranges));
                tell(found, |found| &mut found.nodes, None);
            },
        ),
    );
}

async fn while_wanted(
    mut wanted: watch::Receiver<WantedAddresses>,
    is_wanted: fn(&WantedAddresses) -> bool,
    follow: impl AsyncFn(),
    forget: impl Fn(),
) {
    loop {
        if wanted.wait_for(is_wanted).await.is_err() {
            return;
        }
        tokio::select! {
            () = follow() => return,
            toggled = wanted.wait_for(|wanted| !is_wanted(wanted)) => if toggled.is_err() { return },
        }
        forget();
    }
}

fn tell<T: PartialEq>(
    found: &watch::Sender<ClusterAddresses>,
    part: fn(&mut ClusterAddresses) -> &mut Option<T>,
    new: Option<T>,
) {
    found.send_if_modified(|found| {
        let known = part(found);
        let differs = *known != new;
        *known = new;
        differs
    });
}

async fn follow_service(client: Client, health: &Health, found: &watch::Sender<ClusterAddresses>) {
    let api = Api::<Service>::namespaced(client, "kube-system");
    let config = Config::default().fields("metadata.name=kube-dns");
    gather(
        follow(api, config),
        (SERVICE, health),
        addresses_of,
        |all| {
            tell(found, |found| &mut found.dns_service, Some(all));
        },
    )
    .await;
}

fn addresses_of(service: &Service) -> Vec<IpAddr> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    let all = spec.cluster_ips.iter().flatten();
    let mut addresses: Vec<IpAddr> = all.chain(&spec.cluster_ip).filter_map(parsed).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// None for what is no address, as in a Service without one.
fn parsed<T: std::str::FromStr>(text: impl AsRef<str>) -> Option<T> {
    text.as_ref().parse().ok()
}

/// Which kind the pools are depends on how Calico is installed; without it there are none.
async fn follow_pools(
    client: Client,
    health: &Health,
    mut signs: Signs,
    found: &watch::Sender<ClusterAddresses>,
) {
    loop {
        let group = match signs.wait_for(Option::is_some).await {
            Ok(facts) => group_in(facts.as_ref()),
            Err(_) => return,
        };
        let following = async {
            if let Some((group, version)) = group {
                let kind = GroupVersionKind::gvk(group, version, "IPPool");
                let resource = ApiResource::from_gvk_with_plural(&kind, "ippools");
                let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
                let events = follow(api, Config::default());
                gather(events, (POOLS, health), range_of_pool, |all| {
                    tell(found, |found| &mut found.pools, Some(all));
                })
                .await;
            } else {
                health.not_needed(POOLS);
                tell(found, |found| &mut found.pools, Some(Vec::new()));
                future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = following => return,
            changed = signs.wait_for(|facts| group_in(facts.as_ref()) != group) => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// Group and version.
type Served = (&'static str, &'static str);

fn group_in(facts: Option<&ClusterFacts>) -> Option<Served> {
    facts.and_then(ClusterFacts::pools)
}

/// The range of a pool that pods get addresses from: neither a disabled one, nor one for tunnels or load
/// balancers alone (Calico's reference of the `IPPool`).
pub(crate) fn range_of_pool(pool: &DynamicObject) -> Vec<IpNet> {
    let spec = &pool.data["spec"];
    let uses = spec["allowedUses"].as_array();
    let for_pods =
        uses.is_none_or(|uses| uses.is_empty() || uses.iter().any(|it| it == "Workload"));
    let range = spec["cidr"].as_str().and_then(|text| text.parse().ok());
    range
        .filter(|_| for_pods && spec["disabled"] != true)
        .into_iter()
        .collect()
}

/// Takes the ranges from the nodes, which are followed for others, too.
async fn take_from_nodes(
    wanted: &watch::Sender<WantedNodes>,
    mut nodes: watch::Receiver<Nodes>,
    found: &watch::Sender<ClusterAddresses>,
) {
    wanted.send_if_modified(|wanted| !std::mem::replace(&mut wanted.ranges, true));
    loop {
        let ranges = nodes.borrow_and_update().as_ref().map(|nodes| {
            let ranges = nodes.values().flat_map(|node| node.ranges.iter().copied());
            ranges.collect()
        });
        if ranges.is_some() {
            tell(found, |found| &mut found.nodes, ranges);
        }
        if nodes.changed().await.is_err() {
            return;
        }
    }
}

/// Gathers what each object says, and tells all of it whenever it changes.
async fn gather<K: Resource, T: Clone + PartialEq>(
    events: impl Stream<Item = Result<Event<K>, String>>,
    (part, health): (&str, &Health),
    read: fn(&K) -> Vec<T>,
    tell: impl Fn(Vec<T>),
) {
    health.waits_for(part);
    let mut known: BTreeMap<String, Vec<T>> = BTreeMap::new();
    let mut listed: BTreeMap<String, Vec<T>> = BTreeMap::new();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listed.insert(object.name_any(), read(&object));
                continue;
            }
            Ok(Event::InitDone) => known = std::mem::take(&mut listed),
            Ok(Event::Apply(object)) => {
                let new = read(&object);
                let before = known.insert(object.name_any(), new.clone());
                // A Node tells of itself every few minutes.
                if before.as_ref() == Some(&new) {
                    continue;
                }
            }
            Ok(Event::Delete(object)) => {
                known.remove(&object.name_any());
            }
            Err(error) => {
                health.fails(part, &error);
                continue;
            }
        }
        health.is_well(part);
        tell(known.values().flatten().cloned().collect());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: &Value) -> Vec<String> {
        let service = json!({"metadata": {"name": "kube-dns"}, "spec": spec});
        let addresses = addresses_of(&serde_json::from_value(service).unwrap());
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_service_has_an_address_of_each_family() {
        let both = json!({"clusterIP": "10.0.0.10", "clusterIPs": ["10.0.0.10", "fd00::a"]});
        assert_eq!(service(&both), ["10.0.0.10", "fd00::a"]);
        assert_eq!(service(&json!({"clusterIP": "10.0.0.10"})), ["10.0.0.10"]);
        let headless = json!({"clusterIP": "None", "clusterIPs": ["None"]});
        assert!(service(&headless).is_empty());
        assert!(service(&json!({})).is_empty());
    }

    fn pool(spec: &Value) -> Vec<String> {
        let pool = json!({"metadata": {"name": "pods"}, "spec": spec});
        let ranges = range_of_pool(&serde_json::from_value(pool).unwrap());
        ranges.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pool_counts_while_pods_get_addresses_from_it() {
        let range = ["10.244.0.0/16"];
        assert_eq!(pool(&json!({"cidr": range[0]})), range);
        assert_eq!(pool(&json!({"cidr": range[0], "disabled": false})), range);
        let both = json!({"cidr": range[0], "allowedUses": ["Tunnel", "Workload"]});
        assert_eq!(pool(&both), range);
        for other in [
            json!({"cidr": range[0], "disabled": true}),
            json!({"cidr": range[0], "allowedUses": ["Tunnel"]}),
            json!({"cidr": "all"}),
        ] {
            assert!(pool(&other).is_empty(), "{other}");
        }
    }

    #[tokio::test]
    async fn what_a_failing_watch_told_stands_until_the_next_list() {
        let pool = |name: &str, cidr: &str| {
            let pool = json!({"metadata": {"name": name}, "spec": {"cidr": cidr}});
            serde_json::from_value::<DynamicObject>(pool).unwrap()
        };
        let events = [
            Ok(Event::Init),
            Ok(Event::InitApply(pool("b", "10.2.0.0/16"))),
            Ok(Event::InitApply(pool("a", "10.1.0.0/16"))),
            Ok(Event::InitDone),
            Ok(Event::Apply(pool("a", "10.1.0.0/16"))),
            Err("the watch broke off".to_owned()),
            Ok(Event::Init),
            Ok(Event::InitApply(pool("b", "10.2.0.0/16"))),
            Ok(Event::InitDone),
            Ok(Event::Delete(pool("b", "10.2.0.0/16"))),
        ];
        let told = std::cell::RefCell::new(Vec::new());
        let health = Health::default();
        let events = futures::stream::iter(events);
        gather(
            events,
            ("pools", &health),
            range_of_pool,
            |all: Vec<IpNet>| {
                told.borrow_mut()
                    .push(all.iter().map(ToString::to_string).collect::<Vec<_>>());
            },
        )
        .await;
        assert_eq!(
            told.into_inner(),
            [
                vec!["10.1.0.0/16", "10.2.0.0/16"],
                vec!["10.2.0.0/16"],
                vec![]
            ]
        );
    }
}
