//! Crossings to ranges of addresses, as many as it takes: each acknowledges one thing.

use ipnet::IpNet;

use super::{DeclaredPorts, MOST_DECLARED, REASON, Wanted, own};
use crate::api::RangeAcknowledgement;
use crate::domain::{Platform, is_metadata, metadata_addresses, reaches_most};
use crate::review::Rule;
use crate::review::address::Addresses;
use crate::review::declare::{
    Cidr, Entry, MAX_CIDRS, Names, Peer, list, ports_in_one_line, ranges_in_one_line,
};

/// What one crossing opens.
struct Part {
    cidrs: Vec<IpNet>,
    except: Vec<IpNet>,
    acknowledge: Option<RangeAcknowledgement>,
}

impl Part {
    /// What of it is open once it is declared.
    fn opened(&self, platform: &Platform) -> Addresses {
        let open = Addresses::of_all_but(&self.cidrs, &self.except);
        open.without(&kept_apart(self.acknowledge, platform))
    }
}

/// What a crossing leaves out that acknowledges only this.
fn kept_apart(acknowledge: Option<RangeAcknowledgement>, platform: &Platform) -> Addresses {
    let mut nets = Vec::new();
    if acknowledge != Some(RangeAcknowledgement::PodRange) {
        nets.extend(&platform.pod_cidrs);
    }
    if acknowledge != Some(RangeAcknowledgement::NodeRange) {
        nets.extend(&platform.node_cidrs);
    }
    if acknowledge != Some(RangeAcknowledgement::MetadataService) {
        nets.extend(metadata_addresses());
    }
    Addresses::of(&nets)
}

/// The crossings that open exactly these addresses, which are part of what is `written`: what lies outside the cluster, and
/// each kind of addresses that somebody has to acknowledge. None: it takes too many ranges.
fn parts(open: &Addresses, written: &Addresses, platform: &Platform) -> Option<Vec<Part>> {
    let (pods, nodes) = (
        Addresses::of(&platform.pod_cidrs),
        Addresses::of(&platform.node_cidrs),
    );
    let metadata = Addresses::of(&metadata_addresses());
    let mut parts = Vec::new();
    for (by, kind) in [
        (None, None),
        (Some(RangeAcknowledgement::MetadataService), Some(&metadata)),
        (Some(RangeAcknowledgement::NodeRange), Some(&nodes)),
        (Some(RangeAcknowledgement::PodRange), Some(&pods)),
    ] {
        let of_kind = |it: &Addresses| kind.map_or_else(|| it.clone(), |kind| it.and(kind));
        let meant = of_kind(open).without(&kept_apart(by, platform));
        if !meant.is_empty() {
            parts.push(part(&meant, &of_kind(written), by, platform)?);
        }
    }
    Some(parts)
}

/// The crossing that opens `meant`, in the ranges of `written` without exceptions, or else as few ranges as there can be.
fn part(
    meant: &Addresses,
    written: &Addresses,
    by: Option<RangeAcknowledgement>,
    platform: &Platform,
) -> Option<Part> {
    let candidate = |around: &Addresses| {
        let cidrs = around.nets();
        let cidrs = cidrs.filter(|it| meant.meets(&Addresses::of(&[*it])));
        let cidrs: Vec<IpNet> = cidrs.take(MAX_CIDRS + 1).collect();
        let others = Addresses::of(&cidrs).without(meant);
        let except = others.without(&kept_apart(by, platform));
        let except: Vec<IpNet> = except.nets().take(MAX_CIDRS + 1).collect();
        let is_metadata = by != Some(RangeAcknowledgement::MetadataService)
            && cidrs.iter().any(|it| is_metadata(*it));
        let fits = cidrs.len() <= MAX_CIDRS && except.len() <= MAX_CIDRS && !is_metadata;
        let by = by.or_else(|| {
            let mut wide = cidrs.iter().filter(|it| reaches_most(**it));
            wide.next().map(|_| RangeAcknowledgement::AllAddresses)
        });
        fits.then_some(Part {
            cidrs,
            except,
            acknowledge: by,
        })
    };
    let candidates = [candidate(meant), candidate(written)];
    let candidates = candidates.into_iter().flatten();
    candidates.min_by_key(|it| it.cidrs.len() + it.except.len())
}

/// What the landing zone declares to reach addresses.
pub(super) fn of_landing_zone(wanted: &Wanted<'_, '_>) -> String {
    let platform = &wanted.landscape.platform;
    let here = own::end(wanted.selected).peer(wanted.selected);
    let mut names = Wanted::names(wanted.boundary(), wanted.direction());
    let mut entries = Vec::new();
    let mut never = Addresses::default();
    for leak in wanted.all() {
        let written = wanted.walked.end.nets.as_ref();
        let written = written.map_or_else(|| leak.nets.clone(), |nets| Addresses::of(nets));
        let Some(parts) = parts(&leak.nets, &written, platform) else {
            return format!(
                "if it is meant, declare it as network.{} in {}, in crossings of at most {MAX_CIDRS} ranges",
                list(wanted.direction()),
                wanted.own()
            );
        };
        let opened = parts
            .iter()
            .fold(Addresses::default(), |all, it| all.or(&it.opened(platform)));
        never = never.or(&leak.nets.without(&opened));
        entries.extend(parts.into_iter().map(|part| {
            let first = part.cidrs.first().map(ToString::to_string);
            let cidrs = |nets: Vec<IpNet>| nets.into_iter().map(Cidr).collect();
            let there = Peer {
                cidrs: cidrs(part.cidrs),
                except: cidrs(part.except),
                ..Peer::default()
            };
            let name = names.give(&["to", &first.unwrap_or_default()]);
            Entry {
                reason: Some(REASON),
                ports: leak.declare.listed().to_vec(),
                acknowledge: part.acknowledge,
                ..Entry::new(name, here.clone(), there, None)
            }
        }));
    }
    let of_pods = wanted.leak.rule == Rule::NetsReachPods;
    let pods = if of_pods {
        "pods are better named by their landing zone than by addresses; "
    } else {
        ""
    };
    let never: Vec<String> = never
        .nets()
        .take(MOST_DECLARED)
        .map(|it| it.to_string())
        .collect();
    if entries.is_empty() {
        return format!(
            "no crossing opens {}, which are addresses of pods and of nodes at once: leave them out",
            never.join(", ")
        );
    }
    let rest = if never.is_empty() {
        String::new()
    } else {
        format!(
            "; leave out {}: no crossing opens what are addresses of pods and of nodes at once",
            never.join(", ")
        )
    };
    format!("{pods}{}{rest}", wanted.declare(&entries))
}

/// The platform's own list, and no landing zone's.
const OF_PLATFORM: [&str; 2] = ["", "sharedServices"];

/// What lets addresses in: a landing zone cannot declare that, only the platform can, as a shared service.
pub(super) fn of_platform(wanted: &Wanted<'_, '_>) -> String {
    let own = wanted.own();
    let taken = wanted.landscape.platform.shared_services.iter();
    let mut names = Names::new(taken.map(|it| it.name.as_str()));
    let (mut services, mut given) = (Vec::new(), Vec::new());
    for leak in wanted.all() {
        let nets: Vec<IpNet> = leak.nets.nets().take(MOST_DECLARED + 1).collect();
        let Some(first) = nets.first().filter(|_| nets.len() <= MOST_DECLARED) else {
            return format!(
                "if it is meant, the platform declares it as one of spec.sharedServices, and {own} names that in \
                 network.sharedServices"
            );
        };
        let name = names.give(&["from", &first.to_string()]);
        let ports = match &leak.declare {
            DeclaredPorts::Some(ports) => format!(", ports: {}", ports_in_one_line(ports)),
            DeclaredPorts::All | DeclaredPorts::Beyond => String::new(),
        };
        let cidrs: Vec<Cidr> = nets.into_iter().map(Cidr).collect();
        let content = format!(
            "peers: [{{cidrs: {}}}], direction: ToLandingZones{ports}, landingZones: Declared",
            ranges_in_one_line(&cidrs)
        );
        let all = wanted.landscape.given.as_ref();
        let name = all.map_or_else(|| name.clone(), |it| it.name(OF_PLATFORM, &name, &content));
        services.push(format!("{{name: {name}, {content}}}"));
        given.push(name);
    }
    format!(
        "if it is meant, the platform declares it: sharedServices: [{}], and {own} names it: network: {{sharedServices: \
         [{}]}}",
        services.join(", "),
        given.join(", ")
    )
}
