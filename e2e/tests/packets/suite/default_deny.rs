//! The default deny of the whole cluster: who is cut off, and who is not. It has a cluster of its own,
//! since it concerns everybody in one.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::data_plane::Verdict::{self, Allowed, Denied};
use e2e::data_plane::{Calls, End, FelixNode, POD_CIDR, Place, Protocol, WiredPod};
use e2e::governed::CONVERGED;
use e2e::install::apply_objects;
use e2e::shop::Object;
use e2e::{Governed, OperatorOptions, eventually};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use landing_zone_operator::api::LandingZonePlatform;
use serde_json::{Value, json};

use super::landscape::Landscape;
use super::moments::told;
use crate::CALICO;

/// Policies take effect within about a second; a busy machine takes longer.
const TAKES_EFFECT: Duration = Duration::from_secs(20);
/// How long it is watched that nothing leaks.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// Probes at once. More would make answers late on two cores.
const AT_ONCE: usize = 24;

/// From, to, port, and what becomes of TCP and UDP.
type Row = (&'static str, &'static str, u16, Verdict);

/// Ordinary namespaces beside a landing zone, an exempt one, one that AKS marks, and the system's.
struct Town {
    governed: Governed,
    node: FelixNode,
    pods: BTreeMap<String, WiredPod>,
}

impl Town {
    async fn build() -> Result<Self> {
        let options = OperatorOptions {
            arguments: vec![format!("--pod-cidr={POD_CIDR}")],
            ..OperatorOptions::default()
        };
        let governed = Governed::start(CALICO, options).await?;
        let node = FelixNode::start(&governed.cluster).await?;
        let namespace = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
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
        let objects = [
            namespace("plain", json!({})),
            namespace("neighbour", json!({})),
            namespace("named", json!({})),
            namespace("labelled", json!({"tier": "platform"})),
            namespace("marked", json!({"kubernetes.azure.com/managedby": "aks"})),
            dns,
        ];
        let objects = objects.map(serde_json::from_value).into_iter();
        apply_objects(&governed.client(), objects.collect::<Result<_, _>>()?).await?;
        let spec = json!({"applicationCode": "shop", "namespaces": [
            {"name": "shop-web", "zone": "web"}, {"name": "shop-api", "zone": "api"},
        ]});
        governed.converge("shop", spec).await?;
        let mut town = Self {
            governed,
            node,
            pods: BTreeMap::new(),
        };
        let dns = [("k8s-app", "kube-dns")];
        for (namespace, name, labels) in [
            ("plain", "a", &[][..]),
            ("plain", "b", &[]),
            ("neighbour", "a", &[]),
            ("neighbour", "false-dns", &dns),
            ("named", "a", &[]),
            ("labelled", "a", &[]),
            ("marked", "a", &[]),
            ("shop-web", "a", &[]),
            ("shop-api", "a", &[]),
            ("kube-system", "a", &[]),
            ("kube-system", "coredns", &dns),
        ] {
            town.wire(namespace, name, labels).await?;
        }
        Ok(town)
    }

    async fn wire(&mut self, namespace: &str, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let pod = self.node.wire(namespace, name, labels).await?;
        self.pods.insert(format!("{namespace}/{name}"), pod);
        Ok(())
    }

    async fn raze(self) -> Result<()> {
        drop(self.pods);
        self.node.stop().await?;
        self.governed.stop().await
    }

    fn end(&self, name: &str) -> Result<End<'_>> {
        match name {
            "node" => Ok(End::Node),
            "outside" => Ok(End::Outside(Place::Internet)),
            _ => {
                let pod = self
                    .pods
                    .get(name)
                    .or_else(|| self.pods.get(&format!("{name}/a")));
                Ok(End::Pod(pod.with_context(|| format!("no pod {name}"))?))
            }
        }
    }

    /// Sends the packets of all rows, and again until all became what the table says.
    async fn holds(&self, what: &str, rows: &[Row]) -> Result<()> {
        eventually(TAKES_EFFECT, what, async || {
            let probes = rows
                .iter()
                .flat_map(|row| Protocol::ALL.map(|protocol| (row, protocol)));
            let wrong: Vec<String> = stream::iter(probes)
                .map(|((from, to, port, expected), protocol)| async move {
                    let (source, target) = (self.end(from)?, self.end(to)?);
                    let found = self.node.can(source, target, protocol, *port).await?;
                    let wrong = format!("{from} → {to} {protocol} {port}: {found}");
                    anyhow::Ok((found != *expected).then_some(wrong))
                })
                .buffered(AT_ONCE)
                .try_filter_map(|wrong| async move { Ok(wrong) })
                .try_collect()
                .await?;
            ensure!(wrong.is_empty(), "{wrong:#?}");
            Ok(Some(()))
        })
        .await
    }

    /// How many packets were logged so far, by Felix's rules in the kernel.
    async fn logged(&self) -> Result<u64> {
        let save = || {
            std::process::Command::new("iptables-nft-save")
                .arg("-c")
                .output()
        };
        let output = self.node.namespace().inside(save).await??;
        ensure!(output.status.success(), "{output:?}");
        let rules = String::from_utf8(output.stdout)?;
        let packets = rules
            .lines()
            .filter(|rule| rule.contains("-j LOG") && rule.contains("calico-packet"))
            .filter_map(|rule| {
                rule.strip_prefix('[')?
                    .split_once(':')?
                    .0
                    .parse::<u64>()
                    .ok()
            });
        Ok(packets.sum())
    }

    fn platforms(&self) -> Api<LandingZonePlatform> {
        Api::all(self.governed.client())
    }

    /// Sets the stage, and waits until it is in force.
    async fn stage(&self, stage: &str, why: &str) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"defaultDeny": {"stage": stage}}}));
        let platforms = self.platforms();
        platforms
            .patch("cluster", &PatchParams::default(), &patch)
            .await?;
        eventually(CONVERGED, &format!("the stage {stage}"), async || {
            let platform = platforms.get("cluster").await?;
            let status = platform.status.context("no status")?;
            ensure!(status.observed_generation == platform.metadata.generation);
            let is_it = |condition: &&Condition| condition.type_ == "DefaultDenyReady";
            let found = status
                .conditions
                .iter()
                .find(is_it)
                .context("no condition")?;
            ensure!(found.status == "True" && found.reason == why, "{found:?}");
            Ok(Some(()))
        })
        .await
    }

    /// A policy of Kubernetes' kind that allows TCP 8080 and UDP 9090 in one direction to or from a namespace.
    async fn allows(&self, namespace: &str, direction: &str, peer: &str) -> Result<Object> {
        let (rules, end) = match direction {
            "Ingress" => ("ingress", "from"),
            _ => ("egress", "to"),
        };
        let peer =
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peer}}});
        let ports = json!([{"protocol": "TCP", "port": 8080}, {"protocol": "UDP", "port": 9090}]);
        let rule = json!({end: [peer], "ports": ports});
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "opens", "namespace": namespace},
            "spec": {"podSelector": {}, "policyTypes": [direction], rules: [rule]},
        });
        Object::create(self.governed.client(), policy).await
    }
}

/// What is as it was before, whatever the stage.
const AS_BEFORE: [Row; 17] = [
    ("kube-system", "outside", 8080, Allowed),
    ("outside", "kube-system", 8080, Allowed),
    ("named", "outside", 8080, Allowed),
    ("outside", "named", 8080, Allowed),
    ("named", "kube-system", 8080, Allowed),
    ("labelled", "outside", 8080, Allowed),
    ("outside", "labelled", 8080, Allowed),
    ("marked", "outside", 8080, Allowed),
    ("outside", "marked", 8080, Allowed),
    ("marked", "named", 8080, Allowed),
    ("node", "plain", 8080, Allowed),
    ("plain", "kube-system/coredns", 53, Allowed),
    // The landing zone has its own boundary.
    ("shop-web", "shop-api", 8080, Allowed),
    ("shop-web", "kube-system/coredns", 53, Allowed),
    ("shop-web", "outside", 8080, Denied),
    ("named", "shop-web", 8080, Denied),
    ("plain", "shop-web", 8080, Denied),
];

/// What is open while nothing is denied, and closed while the default deny is in force.
const ORDINARY: [(&str, &str, u16); 10] = [
    ("plain", "neighbour", 8080),
    ("plain/a", "plain/b", 8080),
    ("plain", "outside", 8080),
    ("outside", "plain", 8080),
    ("plain", "kube-system", 8080),
    ("kube-system", "plain", 8080),
    ("plain", "kube-system/coredns", 8080),
    ("plain", "neighbour/false-dns", 53),
    ("named", "plain", 8080),
    ("plain", "node", 8080),
];

fn ordinary(verdict: Verdict) -> Vec<Row> {
    let rows = ORDINARY.iter();
    rows.map(|&(from, to, port)| (from, to, port, verdict))
        .collect()
}

/// Nothing is denied, what would be is logged, and what a team closes stays closed.
async fn observed(town: &Town) -> Result<()> {
    town.holds("nothing to be denied", &ordinary(Allowed))
        .await?;
    for row in ordinary(Allowed) {
        let what = format!("{row:?} to be logged");
        eventually(TAKES_EFFECT, &what, async || {
            let before = town.logged().await?;
            town.holds(&what, &[row]).await?;
            let logged = town.logged().await? - before;
            ensure!(logged >= Protocol::ALL.len() as u64, "{logged} packets");
            Ok(Some(()))
        })
        .await?;
    }
    // DNS of ordinary namespaces is among it.
    let is_fine = |row: &&Row| row.0 != "plain" || row.2 == 53;
    let fine: Vec<Row> = AS_BEFORE.iter().filter(is_fine).copied().collect();
    let before = town.logged().await?;
    town.holds("what it does not concern", &fine).await?;
    ensure!(town.logged().await? == before, "something else is logged");

    let theirs = town.allows("neighbour", "Ingress", "plain").await?;
    let closed = [
        ("named", "neighbour", 8080, Denied),
        ("plain", "neighbour", 53, Denied),
        ("neighbour", "plain", 8080, Allowed),
    ];
    town.holds("what a team closes to stay closed", &closed)
        .await?;
    theirs.delete().await?;
    let open = [("named", "neighbour", 8080, Allowed)];
    town.holds("what it closed to be open", &open).await
}

/// What teams opened at both ends, and nothing else, passes from `plain` to `neighbour`.
async fn opened(town: &Town) -> Result<()> {
    let rows = [
        (Protocol::Tcp, 8080, Allowed),
        (Protocol::Udp, 8080, Denied),
        (Protocol::Tcp, 9090, Denied),
        (Protocol::Udp, 9090, Allowed),
    ];
    eventually(TAKES_EFFECT, "both to open what they name", async || {
        for (protocol, port, expected) in rows {
            let (from, to) = (town.end("plain")?, town.end("neighbour")?);
            let found = town.node.can(from, to, protocol, port).await?;
            ensure!(found == expected, "{protocol} {port}: {found}");
        }
        Ok(Some(()))
    })
    .await
}

/// From stage to stage nothing is cut that teams opened, nor what was open before and is open then.
async fn moved(town: &Town) -> Result<()> {
    let egress = town.allows("plain", "Egress", "neighbour").await?;
    let ingress = town.allows("neighbour", "Ingress", "plain").await?;
    opened(town).await?;
    let call = |from: &str, to: &str, port: u16| {
        let (from, to) = (town.end(from)?, town.end(to)?.address());
        anyhow::Ok(Protocol::ALL.map(|protocol| (from, protocol, to, port)))
    };
    let [_, calls_udp] = call("plain", "neighbour", 9090)?;
    let [calls_tcp, _] = call("plain", "neighbour", 8080)?;
    let opened = [calls_udp, calls_tcp];
    let dns = call("neighbour", "kube-system/coredns", 53)?;
    let undeclared = [
        call("named", "plain", 8080)?,
        call("neighbour", "outside", 8080)?,
    ];
    // What the team of the neighbour lets nobody else do.
    let closed = call("named", "neighbour", 8080)?;
    let all = [
        &opened[..],
        &dns[..],
        undeclared.as_flattened(),
        &closed[..],
    ]
    .concat();
    let mut was_open = false;
    for (stage, why) in [
        ("Observe", "Observed"),
        ("Off", "Off"),
        ("Observe", "Observed"),
        ("Enforce", "Enforcing"),
        ("Off", "Off"),
        ("Enforce", "Enforcing"),
    ] {
        let moves = async {
            town.stage(stage, why).await?;
            tokio::time::sleep(AFTERWARDS).await;
            Ok(())
        };
        let ((), calls) = Box::pin(town.node.meanwhile(&all, moves)).await?;
        let what = format!("to {stage} were answered: {}", told(&all, &calls));
        println!("{what}");
        let (allowed, others) = calls.split_at(opened.len() + dns.len());
        let (undeclared, closed) = others.split_at(undeclared.as_flattened().len());
        ensure!(allowed.iter().all(Calls::all_allowed), "{what}");
        ensure!(closed.iter().all(Calls::all_denied), "{what}");
        let is_open = stage != "Enforce";
        // Open or closed, and between the two it changes once and for all.
        let mut undeclared = undeclared.iter();
        ensure!(
            undeclared.all(|it| it.changed_once(was_open, is_open)),
            "{what}"
        );
        was_open = is_open;
        let verdict = if is_open { Allowed } else { Denied };
        let rows = [
            ("named", "plain", 8080, verdict),
            ("neighbour", "outside", 8080, verdict),
        ];
        town.holds("the stage to be in force", &rows).await?;
    }
    egress.delete().await?;
    ingress.delete().await
}

/// The three rules of the articles: deny by default with the system exempt, DNS for all, then open
/// step by step.
pub async fn the_default_deny_cuts_off_who_is_not_exempt(landscape: &Landscape) -> Result<()> {
    landscape.wired()?;
    let mut town = Town::build().await?;
    let spec = json!({"exempt": {
        "namespaces": ["named"], "selector": {"matchLabels": {"tier": "platform"}},
    }});
    let platform = LandingZonePlatform::new("cluster", serde_json::from_value(spec)?);
    town.platforms()
        .create(&PostParams::default(), &platform)
        .await?;
    town.holds("what is open without it", &ordinary(Allowed))
        .await?;
    town.holds("what it does not concern", &AS_BEFORE).await?;

    town.stage("Observe", "Observed").await?;
    observed(&town).await?;
    town.stage("Enforce", "Enforcing").await?;
    town.holds("what it closes", &ordinary(Denied)).await?;
    town.holds("what it leaves alone", &AS_BEFORE).await?;
    // A namespace that comes later is closed from its first packet on, whichever way it goes.
    let address = town.node.free_address()?;
    let (named, outside) = (town.end("named")?, town.end("outside")?);
    let appears = async {
        let late = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}});
        Object::create(town.governed.client(), late).await?;
        let pod = town.node.wire_at(address, "late", "a", &[]).await?;
        let out = [named, outside]
            .map(|to| Protocol::ALL.map(|protocol| (End::Pod(&pod), protocol, to.address(), 8080)));
        let waits = async {
            tokio::time::sleep(AFTERWARDS).await;
            Ok(())
        };
        let ((), calls) = town.node.meanwhile(out.as_flattened(), waits).await?;
        let what = told(out.as_flattened(), &calls);
        ensure!(calls.iter().all(Calls::all_denied), "{what}");
        anyhow::Ok(pod)
    };
    let inward =
        [named, outside].map(|from| Protocol::ALL.map(|protocol| (from, protocol, address, 8080)));
    let inward = inward.as_flattened();
    let (pod, calls) = Box::pin(town.node.meanwhile(inward, appears)).await?;
    ensure!(
        calls.iter().all(Calls::all_denied),
        "{}",
        told(inward, &calls)
    );
    town.pods.insert("late/a".to_owned(), pod);
    let late = [
        ("late", "named", 8080, Denied),
        ("late", "kube-system/coredns", 53, Allowed),
        ("node", "late", 8080, Allowed),
    ];
    town.holds("it to be like the others", &late).await?;

    // Its own policies open it: each side for itself, and nothing else.
    let egress = town.allows("plain", "Egress", "neighbour").await?;
    let half = [
        ("plain", "neighbour", 8080, Denied),
        ("plain", "kube-system/coredns", 53, Allowed),
    ];
    town.holds("half of it not to open", &half).await?;
    let ingress = town.allows("neighbour", "Ingress", "plain").await?;
    opened(&town).await?;
    let still = [
        ("plain", "outside", 8080, Denied),
        ("outside", "neighbour", 8080, Denied),
        ("neighbour", "plain", 8080, Denied),
    ];
    town.holds("the rest to stay closed", &still).await?;
    egress.delete().await?;
    ingress.delete().await?;
    town.holds("all of it to be closed again", &ordinary(Denied))
        .await?;

    moved(&town).await?;
    town.holds("all of it to be closed once more", &ordinary(Denied))
        .await?;
    town.platforms()
        .delete("cluster", &DeleteParams::default())
        .await?;
    town.holds(
        "everything to be open without the platform",
        &ordinary(Allowed),
    )
    .await?;
    town.holds("what it never concerned", &AS_BEFORE).await?;
    town.raze().await
}
