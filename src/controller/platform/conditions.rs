//! What the platform's status says of what the cluster itself tells. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::platform_status::Verdict;
use super::super::status::{Progress, sentence};
use crate::api::condition::{NODE_LOCAL_DNS_ALLOWED, POD_RANGES_KNOWN, reason};
use crate::api::{NetworkPlugin, PodCidrsSource};
use crate::cluster::ClusterAddresses;
use crate::domain::{FoundRanges, Platform};

/// Conditions of what is in force, by type.
pub(super) fn addresses(
    platform: &Platform,
    ranges: &FoundRanges,
    found: &ClusterAddresses,
) -> Vec<(&'static str, Verdict)> {
    let mut said = vec![(POD_RANGES_KNOWN, pod_ranges(platform, &kept(ranges, found)))];
    if platform.node_local_dns {
        let service = found.dns_service.as_deref().unwrap_or_default();
        said.push((NODE_LOCAL_DNS_ALLOWED, node_local_dns(service)));
    }
    said
}

fn pod_ranges(platform: &Platform, kept: &[IpNet]) -> Verdict {
    if platform.pod_cidrs.is_empty() {
        return verdict(false, reason::NOT_FOUND, not_known(platform.plugin));
    }
    let (why, message) = known_ranges(platform, kept);
    verdict(true, why, message)
}

fn node_local_dns(service: &[IpAddr]) -> Verdict {
    if service.is_empty() {
        return verdict(false, reason::SERVICE_MISSING, NO_SERVICE.to_owned());
    }
    let message = format!(
        "pods may ask NodeLocal DNSCache on the addresses of the Service kube-system/kube-dns, too \
         ({})",
        list(service)
    );
    verdict(true, reason::SERVICE_FOUND, message)
}

fn verdict(good: bool, why: &'static str, message: String) -> Verdict {
    Verdict {
        ready: if good { "True" } else { "False" },
        progress: Progress::Done(why),
        message,
    }
}

fn not_known(plugin: Option<NetworkPlugin>) -> String {
    let nowhere = match plugin {
        None => "no enabled IPPool of Calico and no Node says",
        Some(NetworkPlugin::Calico) => "no enabled IPPool of Calico says",
        Some(NetworkPlugin::Kubenet | NetworkPlugin::AzureCNIOverlay) => "no Node says",
        Some(NetworkPlugin::AzureCNI) => "nothing else in a cluster with Azure CNI says",
    };
    format!(
        "neither network.podCidrs nor the operator's --pod-cidr is set, and {nowhere} which ranges pods \
         get their addresses from: an address outside of the cluster could pass for a pod of a landing \
         zone, if a network set with forged labels came past admission; declare network.podCidrs"
    )
}

const NO_SERVICE: &str = "there is no Service kube-system/kube-dns with an address, so pods may ask \
    NodeLocal DNSCache on 169.254.20.10 only; it is followed, and its address allowed once it has one";

fn known_ranges(platform: &Platform, kept: &[IpNet]) -> (&'static str, String) {
    let (why, who) = match platform.pod_cidrs_from {
        PodCidrsSource::Platform => (reason::DECLARED, "network.podCidrs says"),
        PodCidrsSource::Operator => (reason::TOLD, "the operator was told by --pod-cidr"),
        PodCidrsSource::IPPools => (reason::IP_POOLS, "Calico's enabled IPPools say"),
        PodCidrsSource::Nodes => (reason::NODES, "the Nodes' spec.podCIDRs say"),
    };
    let ranges = list(&platform.pod_cidrs);
    let mut message = format!("pods get their addresses from {ranges}, as {who}");
    if platform.plugin == Some(NetworkPlugin::AzureCNI) {
        message.push_str(
            "; with Azure CNI, nodes and private endpoints in the same subnets cannot be told from pods",
        );
    }
    if !kept.is_empty() {
        let kept = list(kept);
        message = format!(
            "{message}; {kept} still counts, though no enabled pool holds it any more, since pods may \
             have addresses in it: declare network.podCidrs where that is wrong"
        );
    }
    (why, message)
}

/// What counts and is in no pool any more. Nodes come and go, so that they are no news.
fn kept(ranges: &FoundRanges, found: &ClusterAddresses) -> Vec<IpNet> {
    match &found.pools {
        Some(pools) if ranges.source() == Some(PodCidrsSource::IPPools) => ranges.not_in(pools),
        _ => Vec::new(),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    sentence(items.iter().map(ToString::to_string)).replace("; ", ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// State, reason and message of each condition, in the order of the types.
    fn said(
        platform: Platform,
        pools: &[&str],
        found: &ClusterAddresses,
    ) -> Vec<(&'static str, &'static str, &'static str, String)> {
        let mut ranges = FoundRanges::default();
        ranges.add_pools(&nets(pools));
        let service = found.dns_service.clone().unwrap_or_default();
        let platform = platform.completed(&ranges, &service);
        let all = addresses(&platform, &ranges, found).into_iter();
        all.map(|(type_, said)| {
            let Progress::Done(why) = said.progress else {
                panic!("{said:?}");
            };
            (type_, said.ready, why, said.message)
        })
        .collect()
    }

    #[test]
    fn ranges_that_are_kept_are_told_apart() {
        let found = ClusterAddresses {
            pools: Some(nets(&["10.244.0.0/16"])),
            ..ClusterAddresses::default()
        };
        let both = ["10.244.0.0/16", "10.1.0.0/16"];
        let all = said(Platform::default(), &both, &found);
        let [(POD_RANGES_KNOWN, "True", "IPPools", message)] = all.as_slice() else {
            panic!("{all:?}");
        };
        let words =
            "from 10.1.0.0/16, 10.244.0.0/16, as Calico's enabled IPPools say; 10.1.0.0/16 still";
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn what_is_weaker_without_ranges_is_told() {
        let all = said(Platform::default(), &[], &ClusterAddresses::default());
        let [(POD_RANGES_KNOWN, "False", "NotFound", message)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert!(message.contains("could pass for a pod"), "{message}");
    }

    #[test]
    fn with_azure_cni_nobody_else_knows() {
        let azure = |pod_cidrs: &[&str]| Platform {
            plugin: Some(NetworkPlugin::AzureCNI),
            pod_cidrs: nets(pod_cidrs),
            pod_cidrs_from: PodCidrsSource::Platform,
            ..Platform::default()
        };
        let all = said(azure(&[]), &[], &ClusterAddresses::default());
        let [(POD_RANGES_KNOWN, "False", "NotFound", message)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert!(message.contains("cluster with Azure CNI says"), "{message}");
        let all = said(azure(&["10.1.0.0/16"]), &[], &ClusterAddresses::default());
        let [(POD_RANGES_KNOWN, "True", "Declared", message)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert!(message.contains("private endpoints"), "{message}");
    }

    #[test]
    fn a_service_that_is_missing_is_told() {
        let node_local = || Platform {
            node_local_dns: true,
            ..Platform::default()
        };
        let found = |service: &[&str]| ClusterAddresses {
            dns_service: Some(service.iter().map(|it| it.parse().unwrap()).collect()),
            ..ClusterAddresses::default()
        };
        let all = said(node_local(), &["10.244.0.0/16"], &found(&[]));
        let [
            _,
            (NODE_LOCAL_DNS_ALLOWED, "False", "ServiceMissing", message),
        ] = all.as_slice()
        else {
            panic!("{all:?}");
        };
        assert!(
            message.contains("no Service kube-system/kube-dns"),
            "{message}"
        );

        let all = said(
            node_local(),
            &["10.244.0.0/16"],
            &found(&["10.0.0.10", "fd00::a"]),
        );
        let [_, (NODE_LOCAL_DNS_ALLOWED, "True", "ServiceFound", message)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert!(message.contains("(10.0.0.10, fd00::a)"), "{message}");
    }
}
