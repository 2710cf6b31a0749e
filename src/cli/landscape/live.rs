//! A cluster as it is, read with the rights of whoever asks. What they may not read is told, and is missing; what the
//! operator has written for the landing zones that they may read, they need not read.

use super::{Landscape, LandscapeError, Objects, SecurityGroups, WorkloadName, rendered};
use crate::api::{EffectiveValues, LandingZonePlatform, LandingZoneStatus};
use crate::cli::client::client;
use crate::cli::crossings::{Before, resolved_among};
use crate::cli::pod_ranges;
use crate::cli::reader::{ADMINISTRATORS, Hints, Kind, NAMESPACES, PLATFORMS, Reader, declared};
use crate::domain::{CalicoNaming, Flavour, LandingZone, Opening, Platform, PolicyApi};

const CORE: (&str, &str) = ("", "v1");
const KUBERNETES: [Kind; 5] = [
    NAMESPACES,
    Kind::namespaced(CORE, "ServiceAccount", "serviceaccounts"),
    Kind::namespaced(CORE, "Pod", "pods"),
    Kind::namespaced(
        ("discovery.k8s.io", "v1"),
        "EndpointSlice",
        "endpointslices",
    ),
    Kind::namespaced(
        ("networking.k8s.io", "v1"),
        "NetworkPolicy",
        "networkpolicies",
    ),
];
/// Calico's groups. Both show the same objects.
pub(in crate::cli) const CALICO_GROUPS: [(&str, &str); 2] =
    [("projectcalico.org", "v3"), ("crd.projectcalico.org", "v1")];
const GLOBAL_POLICIES: &str = "globalnetworkpolicies";

/// Calico's kinds in one of its groups, those first in which the operator writes.
pub(in crate::cli) const fn calico(group: (&'static str, &'static str)) -> [Kind; 5] {
    [
        Kind::global(group, "GlobalNetworkPolicy", GLOBAL_POLICIES),
        Kind::global(group, "Tier", "tiers"),
        Kind::namespaced(group, "NetworkPolicy", "networkpolicies"),
        Kind::global(group, "GlobalNetworkSet", "globalnetworksets"),
        Kind::namespaced(group, "NetworkSet", "networksets"),
    ]
}

/// Reads a cluster. `told` holds where its platform says nothing. What could not be read is told in sentences.
pub(in crate::cli) async fn read(
    context: Option<&str>,
    told: &Platform,
    hints: &Hints,
    workloads: &[WorkloadName],
) -> Result<(Landscape, Vec<String>), LandscapeError> {
    let client = client(context).await?;
    let mut reader = Reader::new(client.clone(), None);
    let mut objects = Objects::default();
    let (mut platform, is_platform_known) = platform(&mut reader, told, &mut objects.notes).await;
    if platform.pod_cidrs.is_empty() {
        let found = pod_ranges::found(&client, CALICO_GROUPS).await;
        platform = platform.completed(&found, &[]);
    }
    let Declared {
        zones,
        before,
        flavour,
    } = landing_zones(
        &mut reader,
        hints,
        &platform,
        is_platform_known,
        &mut objects,
    )
    .await;
    for kind in KUBERNETES.into_iter().chain(ADMINISTRATORS) {
        let found = reader.objects(kind).await;
        for object in found.into_iter().flat_map(|it| it.objects) {
            objects.add(&object, "the cluster");
        }
    }
    for workload in workloads {
        let (name, namespace) = (workload.name.as_str(), workload.namespace.as_str());
        let kind = (workload.kind.group(), "v1");
        let kind = Kind::namespaced(kind, workload.kind.name(), workload.kind.plural());
        if let Some(object) = reader.object(kind, namespace, name).await {
            objects.add(&object, "the cluster");
        }
    }
    let mut is_closed_to_us = false;
    let [served, stored] = CALICO_GROUPS.map(calico);
    for kinds in served.into_iter().zip(stored) {
        for kind in [kinds.0, kinds.1] {
            let Some(found) = reader.objects(kind).await else {
                continue;
            };
            is_closed_to_us |= kind.plural() == GLOBAL_POLICIES && !found.is_whole;
            for object in &found.objects {
                objects.add(object, "the cluster");
            }
            break;
        }
    }
    if is_closed_to_us {
        let note = match flavour {
            Some(flavour) => {
                let resolved = resolved_among(&zones, &platform, flavour, Some(&before));
                rendered::add(&mut objects, &zones, &resolved, &platform, flavour);
                let names: Vec<String> = zones.iter().map(|it| it.name.to_string()).collect();
                format!(
                    "what the operator writes for {} is taken from the declaration and its status, since \
                     {GLOBAL_POLICIES} cannot be read",
                    names.join(", ")
                )
            }
            None => format!(
                "no boundary is known, since {GLOBAL_POLICIES} cannot be read, nor a landing zone with a status: what \
                 is told to be allowed may be denied"
            ),
        };
        objects.notes.push(note);
    }
    let unread = reader.unread.iter();
    let unread = unread.map(|it| format!("what could not be read is missing: {it}"));
    let mut notes: Vec<String> = unread.collect();
    notes.append(&mut objects.notes);
    let cluster = context.unwrap_or("live").to_owned();
    let groups = flavour.and_then(|flavour| {
        let resolved = resolved_among(&zones, &platform, flavour, Some(&before));
        SecurityGroups::of(&zones, &resolved, &platform)
    });
    let mut landscape = Landscape::of(cluster, zones, platform, objects);
    landscape.security_groups = groups;
    Ok((landscape, notes))
}

/// What holds for the whole cluster, and whether the cluster said so.
pub(in crate::cli) async fn platform(
    reader: &mut Reader,
    told: &Platform,
    notes: &mut Vec<String>,
) -> (Platform, bool) {
    let found = reader.objects(PLATFORMS).await;
    let is_known = found.as_ref().is_none_or(|it| it.is_whole);
    let mut platform = told.clone();
    for object in found.into_iter().flat_map(|it| it.objects) {
        match serde_json::from_value::<LandingZonePlatform>(object) {
            Ok(declared) => match declared.status.and_then(|status| status.effective) {
                Some(values) => {
                    let (told, found) = Platform::of_status(&values);
                    platform = told.completed(&found, &[]);
                }
                None => notes
                    .push("the platform has no status yet: its values are not known".to_owned()),
            },
            Err(error) => notes.push(format!("the platform cannot be read: {error}")),
        }
    }
    (platform, is_known)
}

/// What is known of landing zones.
struct Declared {
    zones: Vec<LandingZone>,
    /// What each is told to have open.
    before: Before,
    /// The form in which the operator writes policies, where a status tells it.
    flavour: Option<Flavour>,
}

async fn landing_zones(
    reader: &mut Reader,
    hints: &Hints,
    platform: &Platform,
    is_platform_known: bool,
    objects: &mut Objects,
) -> Declared {
    let found = reader.zones(hints).await;
    objects.is_partial = !found.is_whole;
    let mut all = Declared {
        zones: Vec::new(),
        before: Before::new(),
        flavour: None,
    };
    for object in found.objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let name = name.to_owned();
        // A status that cannot be read is none.
        let status = serde_json::from_value::<LandingZoneStatus>(object["status"].clone());
        let status = status.unwrap_or_default();
        match declared(object, platform, is_platform_known) {
            Ok(mut zone) => {
                if let Some(effective) = &status.effective {
                    // Defaults of the platform are in there.
                    zone.stage = effective.stage;
                    zone.network.intra_zone = effective.intra_zone;
                    let flavour = flavour(effective, &status.inventory);
                    all.flavour = all.flavour.or(flavour);
                }
                let before = Opening::all_of_status(&status.crossings);
                all.before.insert(zone.name.clone(), before);
                all.zones.push(zone);
            }
            Err(why) => objects
                .notes
                .push(format!("landing zone {name} is left out: {why}")),
        }
    }
    all.zones.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// The form of policies that a status tells.
fn flavour(effective: &EffectiveValues, inventory: &[String]) -> Option<Flavour> {
    let all = [
        PolicyApi::CalicoV3,
        PolicyApi::CalicoCrdV1,
        PolicyApi::Kubernetes,
    ];
    let api = all
        .into_iter()
        .find(|it| it.to_string() == effective.flavour)?;
    let mut policies = inventory
        .iter()
        .filter_map(|it| it.strip_prefix("GlobalNetworkPolicy/"));
    Some(Flavour {
        api,
        tiers: effective.tiers,
        staged: effective.tiers,
        naming: if policies.any(|name| name.contains('.')) {
            CalicoNaming::TierPrefixed
        } else {
            CalicoNaming::Plain
        },
    })
}
