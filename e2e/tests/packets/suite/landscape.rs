//! Landing zones with pods in them, and others beside them, on one node.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Error, Result, bail, ensure};
use e2e::data_plane::{
    DNS_CACHE, End, FelixNode, HostNetwork, Lodgings, POD_CIDR, Place, WiredPod,
};
use e2e::install::apply_objects;
use e2e::prerequisites::PacketFilter;
use e2e::scenario::{Shared, Skipped};
use e2e::{Governed, OperatorOptions};
use futures::future::try_join_all;
use futures::{StreamExt as _, stream};

use super::{crossings, observe, propose, residents};
use crate::CALICO;

/// Pods that are wired at once: each takes a few programs and requests.
const WIRED_AT_ONCE: usize = 6;

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
    /// The host's network before there was any of this.
    before: HostNetwork,
}

impl Shared for Landscape {
    async fn start() -> Result<Self> {
        let filter = tokio::task::spawn_blocking(PacketFilter::ensure).await??;
        if let PacketFilter::OutOfReach(why) = filter {
            return Ok(Self::OutOfReach(why));
        }
        let before = HostNetwork::look()?;
        let options = OperatorOptions {
            arguments: vec![
                format!("--pod-cidr={POD_CIDR}"),
                format!("--dns-address={DNS_CACHE}"),
            ],
            ..OperatorOptions::default()
        };
        let older = residents::before_admission().map(serde_json::from_value);
        let older = older.into_iter().collect::<Result<_, _>>()?;
        let governed = Governed::start_among(CALICO, options, older).await?;
        let node = FelixNode::start(&governed.cluster).await?;
        let mut wired = Wired {
            governed,
            node,
            pods: BTreeMap::new(),
            before,
        };
        wired.settle().await?;
        Ok(Self::Wired(Box::new(wired)))
    }

    async fn stop(self) -> Result<()> {
        let Self::Wired(wired) = self else {
            return Ok(());
        };
        let lodgings = Lodgings::of_children(std::process::id())?;
        ensure!(lodgings.count() > wired.pods.len(), "{lodgings:?}");
        drop(wired.pods);
        wired.node.stop().await?;
        wired.governed.stop().await?;
        lodgings.are_given_up().await?;
        HostNetwork::look()?.ensure_nothing_new(&wired.before)
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
    /// Declares the landing zones, and wires everybody's pods.
    async fn settle(&mut self) -> Result<()> {
        let objects = residents::beside().into_iter();
        let objects = objects.chain(crossings::beside());
        let objects = objects.map(serde_json::from_value);
        let objects = objects.collect::<Result<_, _>>()?;
        apply_objects(&self.governed.client(), objects).await?;
        let declared = residents::landing_zones()?.into_iter();
        let declared = declared
            .chain(crossings::landing_zones())
            .chain(observe::landing_zones())
            .chain(propose::landing_zones());
        try_join_all(declared.map(|(name, spec)| self.governed.converge(name, spec))).await?;
        let everybody = residents::PODS.into_iter();
        let everybody = everybody
            .chain(crossings::PODS)
            .chain(observe::PODS)
            .chain(propose::PODS);
        let mut wired = stream::iter(everybody)
            .map(|(namespace, name, labels)| self.node.wire(namespace, name, labels))
            .buffer_unordered(WIRED_AT_ONCE);
        let mut pods = BTreeMap::new();
        while let Some(pod) = wired.next().await {
            let pod = pod?;
            pods.insert(format!("{}/{}", pod.namespace, pod.name), pod);
        }
        drop(wired);
        self.pods = pods;
        Ok(())
    }

    /// The address of a namespace's pod `a`.
    pub fn address(&self, namespace: &str) -> Result<Ipv4Addr> {
        let pod = self.pods.get(&format!("{namespace}/a"));
        Ok(pod
            .with_context(|| format!("no pod {namespace}/a"))?
            .address)
    }

    /// Ends by their names, separated by spaces: `namespace/pod`; `namespace` for the pod `a` in it;
    /// `shop-*` for the pods `a` of all namespaces that begin so; `node`, `dns-cache`, `outside`,
    /// `metadata`, `endpoint`, `other-node`.
    pub fn ends<'a>(&'a self, names: &str) -> Result<Vec<(&'a str, End<'a>)>> {
        let mut ends = Vec::new();
        for name in names.split_whitespace() {
            match name {
                "node" => ends.push(("node", End::Node)),
                "dns-cache" => ends.push(("dns-cache", End::DnsCache)),
                "outside" => ends.push(("outside", End::Outside(Place::Internet))),
                "metadata" => ends.push(("metadata", End::Outside(Place::Metadata))),
                "endpoint" => ends.push(("endpoint", End::Outside(Place::Endpoint))),
                "other-node" => ends.push(("other-node", End::Outside(Place::OtherNode))),
                _ => ends.extend(self.pods_named(name)?),
            }
        }
        Ok(ends)
    }

    /// One end by its name.
    pub fn end(&self, name: &str) -> Result<End<'_>> {
        match self.ends(name)?.as_slice() {
            [(_, end)] => Ok(*end),
            ends => bail!("{name} are {} ends", ends.len()),
        }
    }

    fn pods_named<'a>(&'a self, name: &str) -> Result<Vec<(&'a str, End<'a>)>> {
        let is_meant = |full: &str| match (name.strip_suffix('*'), name.contains('/')) {
            (Some(start), _) => full.starts_with(start) && full.ends_with("/a"),
            (None, true) => full == name,
            (None, false) => full.strip_suffix("/a") == Some(name),
        };
        let pods = self.pods.iter().filter(|(full, _)| is_meant(full));
        let pods: Vec<_> = pods
            .map(|(full, pod)| (full.as_str(), End::Pod(pod)))
            .collect();
        ensure!(!pods.is_empty(), "no pod {name}");
        Ok(pods)
    }
}
