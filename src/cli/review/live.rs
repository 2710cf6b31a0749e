//! What is reviewed, read from a cluster with the rights of whoever asks.

use kube::Client;

use super::super::pod_ranges;
use super::super::reader::{
    ADMINISTRATORS, Found, Hints, Kind, NAMESPACES, PLATFORMS, Reader, Unread, declared,
};
use super::input::{Input, ObjectName};
use super::pods;
use crate::api;
use crate::domain::Platform;

const CALICO: (&str, &str) = ("projectcalico.org", "v3");
const STORAGE: (&str, &str) = ("crd.projectcalico.org", "v1");

/// Calico's kinds in one of its groups.
const fn calico(group: (&'static str, &'static str)) -> [Kind; 8] {
    [
        Kind::namespaced(group, "NetworkPolicy", "networkpolicies"),
        Kind::global(group, "GlobalNetworkPolicy", "globalnetworkpolicies"),
        Kind::namespaced(group, "NetworkSet", "networksets"),
        Kind::global(group, "GlobalNetworkSet", "globalnetworksets"),
        Kind::global(group, "Tier", "tiers"),
        Kind::namespaced(group, "StagedNetworkPolicy", "stagednetworkpolicies"),
        Kind::global(
            group,
            "StagedGlobalNetworkPolicy",
            "stagedglobalnetworkpolicies",
        ),
        Kind::namespaced(
            group,
            "StagedKubernetesNetworkPolicy",
            "stagedkubernetesnetworkpolicies",
        ),
    ]
}

const KUBERNETES: Kind = Kind::namespaced(
    ("networking.k8s.io", "v1"),
    "NetworkPolicy",
    "networkpolicies",
);

/// What of the cluster could be read, and what could not.
pub(super) struct Live {
    pub input: Input,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// What could not be read, and is no policy: the review is whole without it.
    pub besides: Vec<Unread>,
}

/// What is behind services: most who ask may read it, and a review without it is one.
const SERVICES: [Kind; 2] = [
    Kind::namespaced(("", "v1"), "Service", "services"),
    Kind::namespaced(
        ("discovery.k8s.io", "v1"),
        "EndpointSlice",
        "endpointslices",
    ),
];

/// Containers of pods give names to ports, which rules may have.
const PODS: Kind = Kind::namespaced(("", "v1"), "Pod", "pods");

/// Reads everything that a review looks at; of one namespace only, where one is named.
pub(super) async fn read(
    client: &Client,
    told: &Platform,
    namespace: Option<&str>,
    landing_zones: &[String],
) -> Live {
    let hints = Hints {
        landing_zones: landing_zones.to_vec(),
        namespaces: namespace.map(str::to_owned).into_iter().collect(),
        either: Vec::new(),
    };
    let mut reading = Reading {
        reader: Reader::new(client.clone(), namespace),
        input: Input {
            platform: told.clone(),
            ..Input::default()
        },
    };
    reading.declarations(client, &hints).await;
    reading.objects(NAMESPACES).await;
    reading.objects(KUBERNETES).await;
    for kind in ADMINISTRATORS {
        reading.objects(kind).await;
    }
    for group in [CALICO, STORAGE] {
        let mut is_served = false;
        for kind in calico(group) {
            is_served |= reading.objects(kind).await;
        }
        // What the first group serves, the second one only stores, and says less of how it was written.
        if is_served {
            break;
        }
    }
    let unread = std::mem::take(&mut reading.reader.unread);
    for kind in SERVICES {
        reading.objects(kind).await;
    }
    // There are many, and little is asked of them.
    let mut written = reading.input.written.iter();
    if written.any(|it| pods::names_ports(&it.json)) {
        reading.objects(PODS).await;
    }
    let besides = std::mem::replace(&mut reading.reader.unread, unread);
    // Nobody asks for what is none of a review's business.
    reading.input.skipped.remove("Service");
    reading.input.skipped.remove("Pod");
    Live {
        besides,
        input: reading.input,
        unread: reading.reader.unread,
    }
}

struct Reading {
    reader: Reader,
    input: Input,
}

impl Reading {
    async fn declarations(&mut self, client: &Client, hints: &Hints) {
        let platforms = self.reader.objects(PLATFORMS).await;
        let is_known = platforms.as_ref().is_none_or(|it| it.is_whole);
        for platform in platforms.into_iter().flat_map(|it| it.objects) {
            match serde_json::from_value(platform) {
                Ok(platform) => self.platform(&platform),
                Err(error) => self
                    .reader
                    .miss("the LandingZonePlatform", error.to_string()),
            }
        }
        if self.input.platform.pod_cidrs.is_empty() {
            let found = pod_ranges::found(client, [CALICO, STORAGE]).await;
            let platform = std::mem::take(&mut self.input.platform);
            self.input.platform = platform.completed(&found, &[]);
        }
        for zone in self.reader.zones(hints).await.objects {
            let name = ObjectName::of(&zone);
            match declared(zone, &self.input.platform, is_known) {
                Ok(zone) => self.input.zones.push(zone),
                Err(why) => self.reader.miss(name.to_string(), why),
            }
        }
        self.input.zones.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// What the operator says is in force knows more than what is declared: it has looked for it in the cluster.
    fn platform(&mut self, platform: &api::LandingZonePlatform) {
        let effective = platform
            .status
            .as_ref()
            .and_then(|it| it.effective.as_ref());
        if let Some(effective) = effective {
            let (platform, found) = Platform::of_status(effective);
            self.input.platform = platform.completed(&found, &[]);
            return;
        }
        match self.input.platform.declared(platform) {
            Ok(declared) => self.input.platform = declared,
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                self.reader
                    .miss("the LandingZonePlatform", problems.join("; "));
            }
        }
    }

    /// Reads the objects of a kind; false where the cluster does not serve it.
    async fn objects(&mut self, kind: Kind) -> bool {
        let Some(Found { objects, .. }) = self.reader.objects(kind).await else {
            return false;
        };
        for object in objects {
            self.input.add(object, None);
        }
        true
    }
}
