//! Groups of pods on one node, policies that come and go, and how to know that Felix has seen them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::data_plane::{End, FelixNode, HostNetwork, Lodgings, Protocol, Verdict, WiredPod};
use e2e::install::apply_objects;
use e2e::prerequisites::PacketFilter;
use e2e::scenario::Shared;
use e2e::{Calico, Governed, OperatorOptions, eventually};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::generated::{PODS, SIDES, namespace};

/// Groups that have a policy set each in a round.
pub const GROUPS: usize = 5;
/// Requests and interfaces that are made at once.
const AT_ONCE: usize = 8;
/// How long Felix may take to see what was written.
const SEEN_WITHIN: Duration = Duration::from_mins(1);
/// Those that are asked whether Felix has seen everything: for each kind of object one, which is open or closed by the
/// object that is written last.
const WITNESSES: [&str; 5] = ["kubernetes", "calico", "global", "set", "global-set"];

/// The ground; or why there can be no packets here.
pub enum Ground {
    Wired(Box<Wired>),
    OutOfReach(String),
}

pub struct Wired {
    pub governed: Governed,
    pub node: FelixNode,
    /// By namespace and name.
    pub pods: BTreeMap<(String, String), WiredPod>,
    /// What the last round left.
    written: tokio::sync::Mutex<BTreeSet<Key>>,
    before: HostNetwork,
}

/// What an object is: API version, kind, namespace and name.
type Key = (String, String, Option<String>, String);

impl Shared for Ground {
    async fn start() -> Result<Self> {
        let filter = tokio::task::spawn_blocking(PacketFilter::ensure).await??;
        if let PacketFilter::OutOfReach(why) = filter {
            return Ok(Self::OutOfReach(why));
        }
        let before = HostNetwork::look()?;
        let operator = OperatorOptions::default();
        let governed = Governed::start(Calico::Storage, operator).await?;
        let node = FelixNode::start(&governed.cluster).await?;
        let groups = (0..GROUPS).flat_map(|group| SIDES.map(|side| (group, side)));
        let namespaces = groups.map(|(group, side)| {
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {
                    "name": namespace(group, side),
                    "labels": {"team": side, "group": format!("g{group}")},
                },
            })
        });
        let witness =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "witness"}});
        let objects = namespaces.chain([witness]).map(serde_json::from_value);
        let objects = objects.collect::<Result<_, _>>()?;
        apply_objects(&governed.client(), objects).await?;

        let everybody = (0..GROUPS).flat_map(|group| {
            PODS.map(move |(side, name, labels)| (namespace(group, side), name, labels))
        });
        let everybody =
            everybody.map(|(namespace, name, labels)| (namespace, name, labels.to_vec()));
        let witnesses = WITNESSES.iter().chain(&["asks"]);
        let witnesses =
            witnesses.map(|name| ("witness".to_owned(), *name, vec![("witness", *name)]));
        let everybody: Vec<_> = everybody.chain(witnesses).collect();
        let pods = stream::iter(&everybody)
            .map(|(namespace, name, labels)| node.wire(namespace, name, labels))
            .buffer_unordered(AT_ONCE)
            .map_ok(|pod| ((pod.namespace.clone(), pod.name.clone()), pod))
            .try_collect()
            .await?;
        Ok(Self::Wired(Box::new(Wired {
            governed,
            node,
            pods,
            written: tokio::sync::Mutex::default(),
            before,
        })))
    }

    async fn stop(self) -> Result<()> {
        let Self::Wired(wired) = self else {
            return Ok(());
        };
        let lodgings = Lodgings::of_children(std::process::id())?;
        drop(wired.pods);
        wired.node.stop().await?;
        wired.governed.stop().await?;
        lodgings.are_given_up().await?;
        HostNetwork::look()?.ensure_nothing_new(&wired.before)
    }

    fn logs(&self) -> String {
        match self {
            Self::Wired(wired) => wired.node.log().unwrap_or_default(),
            Self::OutOfReach(_) => String::new(),
        }
    }
}

impl Wired {
    /// Has exactly these policies and network sets, and waits until Felix has.
    pub async fn have(&self, objects: &[Value], round: usize) -> Result<()> {
        let mut written = self.written.lock().await;
        let keys = objects.iter().map(key).collect::<Result<BTreeSet<_>>>()?;
        let gone: Vec<_> = written.difference(&keys).cloned().collect();
        // What is written in part counts as written.
        written.extend(keys.iter().cloned());
        stream::iter(gone)
            .map(|key| self.delete(key))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        stream::iter(objects.iter().cloned())
            .map(|object| self.write(object))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        *written = keys;
        // Each kind is followed by itself, and in the order in which it is written. At first all is open.
        let is_open = !round.is_multiple_of(2);
        let asks = self.pod("witness", "asks")?;
        for object in witnesses(is_open, asks.address) {
            self.write(object).await?;
        }
        let expected = if is_open {
            Verdict::Allowed
        } else {
            Verdict::Denied
        };
        eventually(SEEN_WITHIN, "Felix to see what was written", async || {
            for name in WITNESSES {
                let to = End::Pod(self.pod("witness", name)?);
                let found = self
                    .node
                    .can(End::Pod(asks), to, Protocol::Udp, 8080)
                    .await?;
                ensure!(found == expected, "{name} is {found}");
            }
            Ok(Some(()))
        })
        .await
    }

    pub fn pod(&self, namespace: &str, name: &str) -> Result<&WiredPod> {
        let key = (namespace.to_owned(), name.to_owned());
        self.pods
            .get(&key)
            .with_context(|| format!("no pod {namespace}/{name}"))
    }

    fn api(&self, version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let kind = GroupVersionKind::gvk(group, version, kind);
        let plural = match kind.kind.as_str() {
            "NetworkPolicy" => "networkpolicies",
            "GlobalNetworkPolicy" => "globalnetworkpolicies",
            "NetworkSet" => "networksets",
            _ => "globalnetworksets",
        };
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let client = self.governed.client();
        match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        }
    }

    async fn write(&self, object: Value) -> Result<()> {
        let (version, kind, namespace, name) = key(&object)?;
        let api = self.api(&version, &kind, namespace.as_deref());
        let params = PatchParams::apply("agreement").force();
        let written = api.patch(&name, &params, &Patch::Apply(&object)).await;
        written
            .map(drop)
            .with_context(|| format!("failed to write {object}"))
    }

    async fn delete(&self, (version, kind, namespace, name): Key) -> Result<()> {
        let api = self.api(&version, &kind, namespace.as_deref());
        match api.delete(&name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error).context("failed to delete a policy"),
        }
    }
}

fn key(object: &Value) -> Result<Key> {
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let types = object.types.clone().context("an object without a kind")?;
    Ok((
        types.api_version,
        types.kind,
        object.namespace(),
        object.name_any(),
    ))
}

/// What opens or closes each witness, by an object of one kind.
fn witnesses(is_open: bool, asks: Ipv4Addr) -> Vec<Value> {
    let pods = |name: &str| json!({"matchLabels": {"witness": name}});
    let calico = |kind: &str, name: &str, spec: Value| {
        let mut policy = json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": kind,
            "metadata": {"name": format!("default.{name}")}, "spec": spec,
        });
        if kind == "NetworkPolicy" {
            policy["metadata"]["namespace"] = json!("witness");
        }
        policy
    };
    let rules = |source: Value| {
        if is_open {
            json!([{"action": "Allow", "source": source}])
        } else {
            json!([])
        }
    };
    let of = |name: &str, rules: Value| json!({"selector": format!("witness == '{name}'"), "types": ["Ingress"], "ingress": rules});
    let by_set = |name: &str, set: &str| {
        let source = json!({"selector": format!("witness == '{set}'"), "namespaceSelector": match name {
            "set" => "all()",
            _ => "global()",
        }});
        of(name, json!([{"action": "Allow", "source": source}]))
    };
    let nets = if is_open {
        json!([format!("{asks}/32")])
    } else {
        json!([])
    };
    let mut global = of("global", rules(json!({})));
    global["namespaceSelector"] = json!("projectcalico.org/name == 'witness'");
    vec![
        calico("NetworkPolicy", "witness-set", by_set("set", "opens")),
        calico(
            "NetworkPolicy",
            "witness-global-set",
            by_set("global-set", "opens-all"),
        ),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"namespace": "witness", "name": "witness"},
            "spec": {
                "podSelector": pods("kubernetes"), "policyTypes": ["Ingress"],
                "ingress": if is_open { json!([{}]) } else { json!([]) },
            },
        }),
        calico("GlobalNetworkPolicy", "witness", global),
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkSet",
            "metadata": {"namespace": "witness", "name": "opens", "labels": {"witness": "opens"}},
            "spec": {"nets": nets},
        }),
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkSet",
            "metadata": {"name": "opens-all", "labels": {"witness": "opens-all"}},
            "spec": {"nets": nets},
        }),
        calico("NetworkPolicy", "witness", of("calico", rules(json!({})))),
    ]
}
