//! Control planes that sidecars need, with the namespaces and ports that are known of them.
//!
//! Sources: Istio's documentation, "Ports used by Istio" (istiod: 15010 and 15012 for configuration
//! and certificates), and AKS's namespaces for its Istio add-on; Dapr's documentation of its control
//! plane and its Helm chart (targets behind the services: sentry 50001, placement 50005, scheduler
//! 50006, operator 6500). Ports are those of the pods: policies see traffic after service translation.

use std::collections::BTreeMap;

use super::{PortRange, ServicePeer, SharedService};
use crate::api::names::METADATA_NAME;
use crate::api::{Preset, Protocol, ServiceAudience, ServiceDirection};

impl SharedService {
    /// The shared services that a preset stands for.
    #[must_use]
    pub fn of_preset(preset: Preset) -> Vec<Self> {
        use ServiceDirection::{FromLandingZones, ToLandingZones};
        match preset {
            Preset::Istio => vec![
                service(
                    "istio",
                    FromLandingZones,
                    &["aks-istio-system", "istio-system"],
                    &[15_010, 15_012],
                ),
                service(
                    "istio-gateways",
                    ToLandingZones,
                    &["aks-istio-ingress", "istio-ingress"],
                    &[],
                ),
            ],
            Preset::Dapr => vec![service(
                "dapr",
                FromLandingZones,
                &["dapr-system"],
                &[6500, 50_001, 50_005, 50_006],
            )],
        }
    }
}

fn service(
    name: &str,
    direction: ServiceDirection,
    namespaces: &[&str],
    ports: &[u16],
) -> SharedService {
    let peer = |namespace: &&str| ServicePeer::Pods {
        namespace_labels: BTreeMap::from([(METADATA_NAME.to_owned(), (*namespace).to_owned())]),
        pod_labels: BTreeMap::new(),
    };
    let port = |port: &u16| PortRange {
        protocol: Protocol::TCP,
        first: *port,
        last: *port,
    };
    SharedService {
        name: name.to_owned(),
        peers: namespaces.iter().map(peer).collect(),
        direction,
        ports: ports.iter().map(port).collect(),
        landing_zones: ServiceAudience::Declared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/network.md says of the presets, line by line.
    #[test]
    fn presets_open_what_is_documented() {
        let documented: Vec<_> = include_str!("../../docs/network.md")
            .lines()
            .skip_while(|line| !line.starts_with("| preset |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        let mut told = Vec::new();
        for (preset, name) in [(Preset::Istio, "istio"), (Preset::Dapr, "dapr")] {
            for (index, service) in SharedService::of_preset(preset).iter().enumerate() {
                let first = if index == 0 {
                    format!("| `{name}` |")
                } else {
                    "| |".to_owned()
                };
                told.push(format!("{first} `{}` | {} |", service.name, opens(service)));
            }
        }
        assert_eq!(documented, told);
    }

    fn opens(service: &SharedService) -> String {
        let namespaces = service.peers.iter().map(|peer| match peer {
            ServicePeer::Pods {
                namespace_labels,
                pod_labels,
            } if pod_labels.is_empty() && namespace_labels.len() == 1 => {
                format!("`{}`", namespace_labels[METADATA_NAME])
            }
            other => panic!("{other:?} is no namespace"),
        });
        let namespaces = namespaces.collect::<Vec<_>>().join(", ");
        let ports = service.ports.iter().map(|it| {
            assert_eq!((it.protocol, it.first), (Protocol::TCP, it.last));
            it.first.to_string()
        });
        let ports: Vec<_> = ports.collect();
        let ports = match ports.split_last() {
            None => String::new(),
            Some((last, [])) => format!(" on TCP {last}"),
            Some((last, rest)) => format!(" on TCP {} and {last}", rest.join(", ")),
        };
        match service.direction {
            ServiceDirection::ToLandingZones => format!("{namespaces} → landing zones{ports}"),
            ServiceDirection::FromLandingZones => format!("landing zones → {namespaces}{ports}"),
            ServiceDirection::Both => format!("{namespaces} ↔ landing zones{ports}"),
        }
    }
}
