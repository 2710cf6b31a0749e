//! Landing zones with pods in them, and others beside them, on one node.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Error, Result};
use e2e::data_plane::{End, FelixNode, POD_CIDR, WiredPod};
use e2e::install::apply_objects;
use e2e::prerequisites::PacketFilter;
use e2e::scenario::{Shared, Skipped};
use e2e::{Governed, OperatorOptions};
use serde_json::{Value, json};

use crate::CALICO;

/// What the tests share; or why there can be no packets here.
pub enum Landscape {
    Wired(Box<Wired>),
    OutOfReach(String),
}

/// A cluster with a node, and pods on it.
pub struct Wired {
    pub governed: Governed,
    pub node: FelixNode,
    pods: BTreeMap<String, WiredPod>,
}

impl Shared for Landscape {
    async fn start() -> Result<Self> {
        let filter = tokio::task::spawn_blocking(PacketFilter::ensure).await??;
        if let PacketFilter::OutOfReach(why) = filter {
            return Ok(Self::OutOfReach(why));
        }
        let options = OperatorOptions {
            arguments: vec![format!("--pod-cidr={POD_CIDR}")],
            ..OperatorOptions::default()
        };
        let governed = Governed::start(CALICO, options).await?;
        let node = FelixNode::start(&governed.cluster).await?;
        let mut wired = Wired {
            governed,
            node,
            pods: BTreeMap::new(),
        };
        wired.settle().await?;
        Ok(Self::Wired(Box::new(wired)))
    }

    async fn stop(self) -> Result<()> {
        let Self::Wired(wired) = self else {
            return Ok(());
        };
        drop(wired.pods);
        wired.node.stop().await?;
        wired.governed.stop().await
    }

    fn logs(&self) -> String {
        match self {
            Self::Wired(wired) => wired.governed.operator.logs().unwrap_or_default(),
            Self::OutOfReach(_) => String::new(),
        }
    }
}

impl Landscape {
    /// What is wired; otherwise the test is skipped, loudly.
    pub fn wired(&self) -> Result<&Wired> {
        match self {
            Self::Wired(wired) => Ok(wired),
            Self::OutOfReach(why) => Err(Error::new(Skipped::because(why))),
        }
    }
}

impl Wired {
    /// Declares three landing zones and strangers, and wires a pod in each namespace.
    async fn settle(&mut self) -> Result<()> {
        self.declare("shop", &["web", "api", "data"], shop_flows())
            .await?;
        self.declare("free", &["web", "api"], Value::Null).await?;
        self.declare("other", &["web", "data"], Value::Null).await?;
        self.declare("bare", &["web", "api"], Value::Null).await?;
        self.declare("drifting", &["web"], Value::Null).await?;
        let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let dns = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {
                "selector": {"k8s-app": "kube-dns"},
                "ports": [
                    {"name": "dns", "protocol": "UDP", "port": 53},
                    {"name": "dns-tcp", "protocol": "TCP", "port": 53},
                ],
            },
        });
        // The code and the zone alone make nobody a member.
        let mut impostor = namespace("impostor");
        impostor["metadata"]["labels"] = json!({"applicationcode": "free", "zone": "api"});
        let objects =
            [impostor, namespace("stranger"), namespace("early"), dns].map(serde_json::from_value);
        let objects = objects.into_iter().collect::<Result<_, _>>()?;
        apply_objects(&self.governed.client(), objects).await?;
        for (namespace, name, labels) in [
            ("shop-web", "a", &[][..]),
            ("shop-api", "a", &[]),
            ("shop-data", "a", &[]),
            ("free-web", "a", &[]),
            ("free-api", "a", &[]),
            ("bare-web", "a", &[]),
            ("bare-api", "a", &[]),
            ("drifting-web", "a", &[]),
            ("impostor", "a", &[]),
            (
                "stranger",
                "impostor",
                &[
                    ("pcns.landingzones.dev/landing-zone", "free"),
                    ("landingzones.dev/landing-zone", "free"),
                    ("zone", "api"),
                ],
            ),
            ("other-web", "a", &[]),
            ("other-data", "a", &[]),
            ("stranger", "a", &[]),
            ("stranger", "control", &[("app", "control")]),
            ("early", "a", &[]),
            ("stranger", "false-dns", &[("k8s-app", "kube-dns")]),
            ("kube-system", "coredns", &[("k8s-app", "kube-dns")]),
            ("kube-system", "a", &[]),
        ] {
            let pod = self.node.wire(namespace, name, labels).await?;
            self.pods.insert(format!("{namespace}/{name}"), pod);
        }
        Ok(())
    }

    async fn declare(&self, name: &str, zones: &[&str], flows: Value) -> Result<()> {
        let namespaces: Vec<_> = zones
            .iter()
            .map(|zone| json!({"name": format!("{name}-{zone}"), "zone": zone}))
            .collect();
        let mut spec = json!({"applicationCode": name, "namespaces": namespaces});
        if !flows.is_null() {
            spec["network"] = json!({"flows": flows});
        }
        self.governed.converge(name, spec).await.map(drop)
    }

    /// The address of a namespace's pod `a`.
    pub fn address(&self, namespace: &str) -> Result<Ipv4Addr> {
        let pod = self.pods.get(&format!("{namespace}/a"));
        Ok(pod
            .with_context(|| format!("no pod {namespace}/a"))?
            .address)
    }

    /// An end by its name: `namespace/pod`, or `namespace` for the pod `a` in it, `node` or `outside`.
    pub fn end(&self, name: &str) -> Result<End<'_>> {
        match name {
            "node" => Ok(End::Node),
            "outside" => Ok(End::Outside),
            _ => {
                let full = if name.contains('/') {
                    name.to_owned()
                } else {
                    format!("{name}/a")
                };
                let pod = self.pods.get(&full);
                Ok(End::Pod(pod.with_context(|| format!("no pod {full}"))?))
            }
        }
    }
}

fn shop_flows() -> Value {
    json!([
        {"name": "web-to-api", "from": {"zone": "web"}, "to": {"zone": "api"},
         "ports": [{"protocol": "TCP", "port": 8080}]},
        {"name": "api-to-data", "from": {"zone": "api"}, "to": {"zone": "data"},
         "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "UDP", "port": 5432}]},
    ])
}
