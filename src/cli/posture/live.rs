//! What a cluster shows, read with the rights of whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use serde_json::Value;

use crate::cli::landscape::live::{CALICO_GROUPS, calico, platform};
use crate::cli::landscape::{Landscape, Objects, PlaceKind};
use crate::cli::pod_ranges;
use crate::cli::reader::{ADMINISTRATORS, Kind, NAMESPACES, PLATFORMS, Reader, ZONES};
use crate::cluster::{failure, list_nodes};
use crate::domain::{Exempt, Platform};
use crate::posture::{Agent, ClusterState, Engine, Known, LoadBalancer, Missing, Policies};

const CORE: (&str, &str) = ("", "v1");
const NETWORKING: (&str, &str) = ("networking.k8s.io", "v1");
const KUBERNETES: Kind = Kind::namespaced(NETWORKING, "NetworkPolicy", "networkpolicies");
const INGRESS_CLASSES: Kind = Kind::global(NETWORKING, "IngressClass", "ingressclasses");
const DAEMON_SETS: Kind = Kind::namespaced(("apps", "v1"), "DaemonSet", "daemonsets");
const SERVICES: Kind = Kind::namespaced(CORE, "Service", "services");
const QUOTAS: Kind = Kind::namespaced(CORE, "ResourceQuota", "resourcequotas");
const PODS: Kind = Kind::namespaced(CORE, "Pod", "pods");
/// Cilium's own policies, which only Cilium knows.
const CILIUM: [Kind; 2] = [
    Kind::namespaced(
        ("cilium.io", "v2"),
        "CiliumNetworkPolicy",
        "ciliumnetworkpolicies",
    ),
    Kind::global(
        ("cilium.io", "v2"),
        "CiliumClusterwideNetworkPolicy",
        "ciliumclusterwidenetworkpolicies",
    ),
];
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
    let (mut platform, _) = platform(&mut reader, told, &mut notes).await;
    let unread = reader.unread.first();
    let exempt = exempt(
        &platform,
        unread.map(|it| it.why.as_str()),
        notes.first().map(String::as_str),
    );
    if platform.pod_cidrs.is_empty() {
        let found = pod_ranges::found(client, CALICO_GROUPS).await;
        platform = platform.completed(&found, &[]);
    }
    let namespaces = all(&mut reader, NAMESPACES).await;
    let zones = all(&mut reader, ZONES).await;
    let codes = zones.map(|it| it.map(|zones| codes(&zones)));
    let policies = policies(&mut reader, &namespaces, platform, &mut notes).await;
    let read_nodes = list_nodes(client).await.map_err(|error| Missing::Refused {
        what: "nodes".to_owned(),
        why: failure(&error),
    });
    let mut in_default = Reader::new(client.clone(), Some("default"));
    let in_default = all(&mut in_default, PODS)
        .await
        .map_err(|missing| match missing {
            Missing::Refused { why, .. } => Missing::Refused {
                what: "pods in the namespace default".to_owned(),
                why,
            },
            unusable @ Missing::Unusable { .. } => unusable,
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
        in_default: some(in_default, |objects| objects.iter().map(running).collect()),
        definitions: some(all(&mut reader, TEMPLATES).await, definitions),
    };
    (state, notes)
}

/// All objects of a kind; None where the cluster does not serve it.
async fn all(reader: &mut Reader, kind: Kind) -> Known<Option<Vec<Value>>> {
    let before = reader.unread.len();
    let found = reader.objects(kind).await;
    match reader.unread.get(before) {
        Some(unread) => Err(Missing::Refused {
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
    let mut of_cilium = 0;
    for kind in CILIUM {
        of_cilium += all(reader, kind).await?.unwrap_or_default().len();
    }
    notes.append(&mut objects.notes);
    // It may allow or deny anything.
    if let Some((what, why)) = objects.unreadable.first().cloned() {
        return Err(Missing::Unusable { what, why });
    }
    let pod_cidrs = platform.pod_cidrs.clone();
    let landscape = Landscape::of(SOURCE.to_owned(), Vec::new(), platform, objects);
    let places = landscape.places.iter();
    let dns = places.filter(|it| it.kind == PlaceKind::Dns);
    let dns = dns.flat_map(|it| &it.members);
    let dns = dns.filter_map(|at| landscape.members.get(*at).cloned());
    Ok(Policies {
        of_cilium,
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
    let named = daemon_sets.iter().filter_map(|it| {
        let name = text(it, "/metadata/name");
        let (engine, is_for_windows) = Engine::of_agent(&name)?;
        Some(Agent {
            engine,
            is_for_windows,
            namespace: text(it, "/metadata/namespace"),
            name,
            desired: number(it, "/status/desiredNumberScheduled"),
            ready: number(it, "/status/numberReady"),
        })
    });
    named.collect()
}

/// What the platform leaves alone, unless it could not be read, or says nothing that can be used.
fn exempt(platform: &Platform, refused: Option<&str>, unusable: Option<&str>) -> Known<Exempt> {
    match (refused, unusable) {
        (Some(why), _) => Err(Missing::Refused {
            what: PLATFORMS.to_string(),
            why: why.to_owned(),
        }),
        (None, Some(why)) => Err(Missing::Unusable {
            what: "the LandingZonePlatform".to_owned(),
            why: why.to_owned(),
        }),
        (None, None) => Ok(platform.default_deny.exempt.clone()),
    }
}

/// The application codes of landing zones, of those as well that are not valid: whose a namespace is they say all the same.
fn codes(zones: &[Value]) -> BTreeSet<String> {
    let codes = zones.iter().map(|it| text(it, "/spec/applicationCode"));
    codes.filter(|it| !it.is_empty()).collect()
}

/// A pod by what makes it, since its own name is another one tomorrow; by its name where nothing does.
fn running(pod: &Value) -> String {
    let name = text(pod, "/metadata/name");
    let owners = pod.pointer("/metadata/ownerReferences");
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    let owner = owners.into_iter().find(|it| it["controller"] == true);
    let Some(owner) = owner else {
        return format!("pod/{name}");
    };
    let (kind, of_owner) = (text(owner, "/kind"), text(owner, "/name"));
    let hash = text(pod, "/metadata/labels/pod-template-hash");
    let deployment = of_owner.strip_suffix(&format!("-{hash}"));
    match deployment.filter(|_| kind == "ReplicaSet" && !hash.is_empty()) {
        Some(deployment) => format!("deployment/{deployment}"),
        None => format!("{}/{of_owner}", kind.to_lowercase()),
    }
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
            keeps_source: text(it, "/spec/externalTrafficPolicy") == "Local",
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
        let agents = agents(&[set("cilium"), set("kube-proxy"), set("azure-npm-win")]);
        let known: Vec<_> = agents
            .iter()
            .map(|it| (it.engine, it.is_for_windows))
            .collect();
        assert_eq!(known, [(Engine::Cilium, false), (Engine::Azure, true)]);
        assert_eq!(
            (agents[0].name.as_str(), agents[0].desired, agents[0].ready),
            ("cilium", 3, 2)
        );
    }

    #[test]
    fn load_balancers_are_inside_by_annotation() {
        let service = |kind: &str, internal: &str, policy: &str| {
            json!({"metadata": {"namespace": "a", "name": "b", "annotations": {INTERNAL: internal}},
                "spec": {"type": kind, "ports": [{"port": 443}, {"port": 9}], "externalTrafficPolicy": policy}})
        };
        let found = load_balancers(&[
            service("LoadBalancer", "true", "Cluster"),
            service("LoadBalancer", "false", "Local"),
            service("ClusterIP", "false", "Local"),
        ]);
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.is_internal, it.keeps_source, it.ports.as_slice()))
            .collect();
        let ports = [443, 9].as_slice();
        assert_eq!(found, [(true, false, ports), (false, true, ports)]);
    }

    /// An exception that names what runs there holds after the next roll-out, too.
    #[test]
    fn what_runs_is_named_by_what_makes_it() {
        let pod = |name: &str, owner: Value, labels: Value| {
            running(
                &json!({"metadata": {"name": name, "labels": labels, "ownerReferences": owner}}),
            )
        };
        let of = |kind: &str, name: &str| json!([{"kind": kind, "name": name, "controller": true}]);
        let hash = json!({"pod-template-hash": "5d8f"});
        assert_eq!(
            pod("web-5d8f-x2", of("ReplicaSet", "web-5d8f"), hash),
            "deployment/web"
        );
        assert_eq!(
            pod("db-0", of("StatefulSet", "db"), json!({})),
            "statefulset/db"
        );
        assert_eq!(pod("x-1", of("ReplicaSet", "x"), json!({})), "replicaset/x");
        assert_eq!(pod("debug", json!(null), json!(null)), "pod/debug");
    }

    #[test]
    fn a_landing_zone_that_is_not_valid_has_its_code_all_the_same() {
        let zones = [
            json!({"spec": {"applicationCode": "shop", "stage": "unknown"}}),
            json!({"spec": {}}),
        ];
        assert_eq!(codes(&zones), BTreeSet::from(["shop".to_owned()]));
    }

    /// A platform that nobody could read may leave any namespace alone.
    #[test]
    fn an_unread_platform_exempts_nobody_knows_whom() {
        let platform = Platform::default();
        assert!(exempt(&platform, None, None).is_ok());
        for (refused, unusable, expected) in [
            (
                Some("forbidden"),
                None,
                "landingzoneplatforms of landingzones.dev/v1alpha1 could not be read: forbidden",
            ),
            (
                None,
                Some("the platform has no status yet"),
                "the LandingZonePlatform cannot be used: the platform has no status yet",
            ),
        ] {
            let missing = exempt(&platform, refused, unusable).unwrap_err();
            assert_eq!(missing.to_string(), expected);
        }
    }

    #[test]
    fn templates_name_their_definitions() {
        let template = json!({"metadata": {"annotations": {
            "azure-policy-definition-id-1": "/providers/Microsoft.Authorization/policyDefinitions/ABC",
            "other": "/x/def"}}});
        assert_eq!(definitions(&[template]), BTreeSet::from(["abc".to_owned()]));
    }
}
