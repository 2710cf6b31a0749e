//! What a cluster shows, read with the rights of whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use serde_json::Value;

use crate::cli::landscape::live::{CALICO_GROUPS, calico, platform};
use crate::cli::landscape::{Landscape, Objects, PlaceKind};
use crate::cli::pod_ranges;
use crate::cli::reader::{ADMINISTRATORS, Kind, NAMESPACES, Reader, ZONES, declared};
use crate::cluster::{failure, list_nodes};
use crate::domain::Platform;
use crate::posture::{Agent, ClusterState, Known, LoadBalancer, Missing, Policies};

const CORE: (&str, &str) = ("", "v1");
const NETWORKING: (&str, &str) = ("networking.k8s.io", "v1");
const KUBERNETES: Kind = Kind::namespaced(NETWORKING, "NetworkPolicy", "networkpolicies");
const INGRESS_CLASSES: Kind = Kind::global(NETWORKING, "IngressClass", "ingressclasses");
const DAEMON_SETS: Kind = Kind::namespaced(("apps", "v1"), "DaemonSet", "daemonsets");
const SERVICES: Kind = Kind::namespaced(CORE, "Service", "services");
const QUOTAS: Kind = Kind::namespaced(CORE, "ResourceQuota", "resourcequotas");
const PODS: Kind = Kind::namespaced(CORE, "Pod", "pods");
/// What Gatekeeper makes of a definition of Azure Policy.
const TEMPLATES: Kind = Kind::global(
    ("templates.gatekeeper.sh", "v1"),
    "ConstraintTemplate",
    "constrainttemplates",
);
/// Annotations of a constraint template that name its definitions: `azure-policy-definition-id-1` and so on.
const DEFINITION: &str = "azure-policy-definition-id-";
/// The annotation of a Service that keeps its load balancer inside the VNet.
const INTERNAL: &str = "service.beta.kubernetes.io/azure-load-balancer-internal";

/// Reads a cluster; `told` holds where its platform says nothing. What is to be known besides comes along.
pub(super) async fn read(client: &Client, told: &Platform) -> (ClusterState, Vec<String>) {
    let mut notes = Vec::new();
    let mut reader = Reader::new(client.clone(), None);
    let (mut platform, is_platform_known) = platform(&mut reader, told, &mut notes).await;
    if platform.pod_cidrs.is_empty() {
        let found = pod_ranges::found(client, CALICO_GROUPS).await;
        platform = platform.completed(&found, &[]);
    }
    let exempt = platform.default_deny.exempt.clone();
    let namespaces = all(&mut reader, NAMESPACES).await;
    let zones = all(&mut reader, ZONES).await;
    let codes = zones.map(|zones| {
        let zones = zones?.into_iter();
        // What is stored under another schema belongs to nobody here.
        let declared = zones.filter_map(|it| declared(it, &platform, is_platform_known).ok());
        Some(declared.map(|it| it.code.to_string()).collect())
    });
    let policies = policies(&mut reader, &namespaces, platform, &mut notes).await;
    let read_nodes = list_nodes(client).await.map_err(|error| Missing {
        what: "nodes".to_owned(),
        why: failure(&error),
    });
    let mut in_default = Reader::new(client.clone(), Some("default"));
    let in_default = all(&mut in_default, PODS).await.map_err(|missing| Missing {
        what: "pods in the namespace default".to_owned(),
        ..missing
    });
    let state = ClusterState {
        namespaces: some(namespaces, labels),
        exempt,
        codes,
        policies,
        nodes: read_nodes,
        agents: some(all(&mut reader, DAEMON_SETS).await, agents),
        load_balancers: some(all(&mut reader, SERVICES).await, load_balancers),
        ingress_classes: some(all(&mut reader, INGRESS_CLASSES).await, |objects| {
            objects
                .iter()
                .map(|it| text(it, "/metadata/name"))
                .collect()
        }),
        with_quota: some(all(&mut reader, QUOTAS).await, |objects| {
            let namespaces = objects.iter();
            namespaces
                .map(|it| text(it, "/metadata/namespace"))
                .collect()
        }),
        in_default: some(in_default, |objects| {
            objects
                .iter()
                .map(|it| text(it, "/metadata/name"))
                .collect()
        }),
        definitions: some(all(&mut reader, TEMPLATES).await, definitions),
    };
    (state, notes)
}

/// All objects of a kind; None where the cluster does not serve it.
async fn all(reader: &mut Reader, kind: Kind) -> Known<Option<Vec<Value>>> {
    let before = reader.unread.len();
    let found = reader.objects(kind).await;
    match reader.unread.get(before) {
        Some(unread) => Err(Missing {
            what: kind.to_string(),
            why: unread.why.clone(),
        }),
        None => Ok(found.map(|it| it.objects)),
    }
}

/// What objects say; of a kind that is not served there are none.
fn some<T>(objects: Known<Option<Vec<Value>>>, read: impl Fn(&[Value]) -> T) -> Known<T> {
    objects.map(|it| read(&it.unwrap_or_default()))
}

/// All policies, or the first of what is missing: without one of them nobody can say what the others come to.
async fn policies(
    reader: &mut Reader,
    namespaces: &Known<Option<Vec<Value>>>,
    platform: Platform,
    notes: &mut Vec<String>,
) -> Known<Policies> {
    const SOURCE: &str = "the cluster";
    let mut objects = Objects::default();
    let namespaces = namespaces.as_ref().map_err(Clone::clone)?;
    for namespace in namespaces.iter().flatten() {
        objects.add(namespace, SOURCE);
    }
    for kind in [KUBERNETES].into_iter().chain(ADMINISTRATORS) {
        for object in all(reader, kind).await?.into_iter().flatten() {
            objects.add(&object, SOURCE);
        }
    }
    let [served, stored] = CALICO_GROUPS.map(calico);
    for kinds in served.into_iter().zip(stored) {
        for kind in [kinds.0, kinds.1] {
            let Some(found) = all(reader, kind).await? else {
                continue;
            };
            for object in &found {
                objects.add(object, SOURCE);
            }
            // What the first group serves, the second one stores.
            break;
        }
    }
    notes.append(&mut objects.notes);
    let pod_cidrs = platform.pod_cidrs.clone();
    let landscape = Landscape::of(SOURCE.to_owned(), Vec::new(), platform, objects);
    let places = landscape.places.iter();
    let dns = places.filter(|it| it.kind == PlaceKind::Dns);
    let dns = dns.flat_map(|it| &it.members);
    let dns = dns.filter_map(|at| landscape.members.get(*at).cloned());
    Ok(Policies {
        dns: dns.collect(),
        pod_cidrs,
        world: landscape.world,
    })
}

fn text(object: &Value, pointer: &str) -> String {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The labels or annotations of an object.
fn pairs(object: &Value, pointer: &str) -> BTreeMap<String, String> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    let pairs = map.into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn labels(namespaces: &[Value]) -> BTreeMap<String, BTreeMap<String, String>> {
    let labels = namespaces
        .iter()
        .map(|it| (text(it, "/metadata/name"), pairs(it, "/metadata/labels")));
    labels.collect()
}

fn agents(daemon_sets: &[Value]) -> Vec<Agent> {
    let number = |object: &Value, pointer: &str| {
        let number = object.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_default()
    };
    let named = daemon_sets.iter().filter(|it| {
        let name = text(it, "/metadata/name");
        ClusterState::AGENTS.contains(&name.as_str())
    });
    named
        .map(|it| Agent {
            namespace: text(it, "/metadata/namespace"),
            name: text(it, "/metadata/name"),
            desired: number(it, "/status/desiredNumberScheduled"),
            ready: number(it, "/status/numberReady"),
        })
        .collect()
}

fn load_balancers(services: &[Value]) -> Vec<LoadBalancer> {
    let own = services
        .iter()
        .filter(|it| text(it, "/spec/type") == "LoadBalancer");
    own.map(|it| {
        let annotations = pairs(it, "/metadata/annotations");
        let ports = it.pointer("/spec/ports").and_then(Value::as_array);
        LoadBalancer {
            namespace: text(it, "/metadata/namespace"),
            name: text(it, "/metadata/name"),
            is_internal: annotations.get(INTERNAL).is_some_and(|it| it == "true"),
            ports: ports
                .into_iter()
                .flatten()
                .filter_map(|it| it["port"].as_i64())
                .collect(),
        }
    })
    .collect()
}

fn definitions(templates: &[Value]) -> BTreeSet<String> {
    let annotations = templates
        .iter()
        .map(|it| pairs(it, "/metadata/annotations"));
    let ids = annotations
        .flatten()
        .filter(|(key, _)| key.starts_with(DEFINITION));
    let names = ids.filter_map(|(_, id)| Some(id.rsplit('/').next()?.to_lowercase()));
    names.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn agents_are_known_by_name() {
        let set = |name: &str| {
            json!({"metadata": {"namespace": "kube-system", "name": name},
                "status": {"desiredNumberScheduled": 3, "numberReady": 2}})
        };
        let agents = agents(&[set("cilium"), set("kube-proxy")]);
        assert_eq!(agents.len(), 1);
        assert_eq!(
            (agents[0].name.as_str(), agents[0].desired, agents[0].ready),
            ("cilium", 3, 2)
        );
    }

    #[test]
    fn load_balancers_are_inside_by_annotation() {
        let service = |kind: &str, internal: &str| {
            json!({"metadata": {"namespace": "a", "name": "b", "annotations": {INTERNAL: internal}},
                "spec": {"type": kind, "ports": [{"port": 443}, {"port": 9}]}})
        };
        let found = load_balancers(&[
            service("LoadBalancer", "true"),
            service("LoadBalancer", "false"),
            service("ClusterIP", "false"),
        ]);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.is_internal, it.ports.as_slice()))
            .collect();
        assert_eq!(found, [(true, [443, 9].as_slice()), (false, &[443, 9])]);
    }

    #[test]
    fn templates_name_their_definitions() {
        let template = json!({"metadata": {"annotations": {
            "azure-policy-definition-id-1": "/providers/Microsoft.Authorization/policyDefinitions/ABC",
            "other": "/x/def"}}});
        assert_eq!(definitions(&[template]), BTreeSet::from(["abc".to_owned()]));
    }
}
