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
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::generated::{PODS, SIDES, address, namespace};

/// Groups that have a policy set each in a round: what Felix takes to see them is waited for once.
pub const GROUPS: usize = 20;
/// How long a witness's answer is waited for; there will be one as soon as Felix has seen everything.
const HURRIED: Duration = Duration::from_millis(250);
/// Requests and interfaces that are made at once.
const AT_ONCE: usize = 8;
/// How long Felix may take to see what was written; below a second where the machine does nothing else.
const SEEN_WITHIN: Duration = Duration::from_mins(3);
/// Those that are asked whether Felix has seen everything: for each kind of object one, which is opened on another port
/// by the object of its kind that is written last.
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
    /// Whose turn it is: tests run at once, and there is one set of policies.
    pub turn: tokio::sync::Mutex<()>,
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
        open_many_files()?;
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
            PODS.iter()
                .enumerate()
                .map(move |(number, (side, name, labels))| {
                    let address = address(group, number);
                    (address, namespace(group, side), *name, labels.to_vec())
                })
        });
        let mut everybody: Vec<_> = everybody.collect();
        for name in WITNESSES.iter().chain(&["asks"]) {
            let labels = vec![("witness", *name)];
            everybody.push((node.free_address()?, "witness".to_owned(), name, labels));
        }
        let pods = stream::iter(&everybody)
            .map(|(address, namespace, name, labels)| {
                node.wire_at(*address, namespace, name, labels)
            })
            .buffer_unordered(AT_ONCE)
            .map_ok(|pod| ((pod.namespace.clone(), pod.name.clone()), pod))
            .try_collect()
            .await?;
        Ok(Self::Wired(Box::new(Wired {
            governed,
            node,
            pods,
            turn: tokio::sync::Mutex::default(),
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
    pub async fn have(&self, objects: &[Value]) -> Result<()> {
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
        // Each kind is followed by itself, and in the order in which it is written. What Felix has seen it hands on in
        // parts, policies before the pods that they select: what is written once the first part is in force comes after all of it.
        let asks = self.pod("witness", "asks")?;
        for turn in &TURNS {
            for object in witnesses(turn, asks.address) {
                self.write(object).await?;
            }
            let seen = eventually(SEEN_WITHIN, "Felix to see what was written", async || {
                if let Err(ended) = self.node.ensure_running() {
                    return Ok(Some(Err(ended)));
                }
                // Before Felix knows a pod, that is open on every port.
                let each = TURNS
                    .iter()
                    .flat_map(|it| WITNESSES.map(|name| (name, it.port)));
                let each = each.map(async |(name, port)| {
                    let expected = if port == turn.port {
                        Verdict::Allowed
                    } else {
                        Verdict::Denied
                    };
                    let (from, to) = (End::Pod(asks), End::Pod(self.pod("witness", name)?));
                    let asked = self.node.can_within(HURRIED, from, to, Protocol::Udp, port);
                    let found = asked.await?;
                    ensure!(found == expected, "{name} is {found} on port {port}");
                    Ok(())
                });
                try_join_all(each).await?;
                Ok(Some(Ok(())))
            });
            seen.await??;
        }
        Ok(())
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

/// What the witnesses are like, one time after the other.
struct Turn {
    /// The port on which each of them is open, and no other.
    port: u16,
    /// The label by which those that open one are known.
    label: &'static str,
}

const TURNS: [Turn; 2] = [
    Turn {
        port: 8080,
        label: "even",
    },
    Turn {
        port: 9090,
        label: "odd",
    },
];

/// What opens each witness on a turn's port, by an object of one kind.
fn witnesses(turn: &Turn, asks: Ipv4Addr) -> Vec<Value> {
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
    let allow = |port: u16, source: Value| {
        json!({
            "action": "Allow", "protocol": "UDP", "source": source,
            "destination": {"ports": [port]},
        })
    };
    let of = |name: &str, rules: Value| json!({"selector": format!("witness == '{name}'"), "types": ["Ingress"], "ingress": rules});
    // These policies stay as they are: the set's label says which of their rules counts.
    let by_set = |name: &str, namespaces: &str| {
        let rules = TURNS.map(|turn| {
            let set = format!("{name} == '{}'", turn.label);
            allow(
                turn.port,
                json!({"selector": set, "namespaceSelector": namespaces}),
            )
        });
        of(name, json!(rules))
    };
    let set = |kind: &str, name: &str| {
        json!({
            "apiVersion": "crd.projectcalico.org/v1", "kind": kind,
            "metadata": {"name": format!("witness-{name}"), "labels": {name: turn.label}},
            "spec": {"nets": [format!("{asks}/32")]},
        })
    };
    let mut of_namespace = set("NetworkSet", "set");
    of_namespace["metadata"]["namespace"] = json!("witness");
    let open = json!([allow(turn.port, json!({}))]);
    let mut global = of("global", open.clone());
    global["namespaceSelector"] = json!("projectcalico.org/name == 'witness'");
    vec![
        calico("NetworkPolicy", "witness-set", by_set("set", "all()")),
        calico(
            "NetworkPolicy",
            "witness-global-set",
            by_set("global-set", "global()"),
        ),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"namespace": "witness", "name": "witness"},
            "spec": {
                "podSelector": {"matchLabels": {"witness": "kubernetes"}}, "policyTypes": ["Ingress"],
                "ingress": [{"ports": [{"protocol": "UDP", "port": turn.port}]}],
            },
        }),
        calico("GlobalNetworkPolicy", "witness", global),
        of_namespace,
        set("GlobalNetworkSet", "global-set"),
        calico("NetworkPolicy", "witness", of("calico", open)),
    ]
}

/// Each pod has a dozen sockets, and each packet on its way one: more than many systems allow unless they are asked.
fn open_many_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("failed to raise the limit of open files")
}
