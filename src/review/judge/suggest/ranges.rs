//! Crossings to ranges of addresses, as many as it takes: each acknowledges one thing.

use ipnet::{IpNet, Ipv4Net};

use super::{REASON, Wanted, own};
use crate::api::RangeAcknowledgement;
use crate::domain::{Platform, is_metadata, metadata_addresses, reaches_most};
use crate::policy::Way;
use crate::review::Rule;
use crate::review::address::Addresses;
use crate::review::declare::{
    Cidr, Entry, MAX_CIDRS, Names, Peer, list, ports_in_one_line, ranges_in_one_line,
};
use crate::review::judge::leak::Leak;
use crate::review::judge::walk::Form;

/// So many ranges are told in words.
const MOST_TOLD: usize = 16;
/// Peers of one shared service that are written out, each of as many ranges as one takes.
const MOST_PEERS: usize = 4;

/// What one crossing opens.
struct Part {
    cidrs: Vec<IpNet>,
    except: Vec<IpNet>,
    acknowledge: Option<RangeAcknowledgement>,
}

impl Part {
    fn is_of_metadata(&self) -> bool {
        self.acknowledge == Some(RangeAcknowledgement::MetadataService)
    }

    /// What of it is open once it is declared.
    fn opened(&self, platform: &Platform) -> Addresses {
        let open = Addresses::of_all_but(&self.cidrs, &self.except);
        open.without(&kept_apart(self.acknowledge, platform))
    }
}

/// The ranges of addresses, as many as anybody reads.
fn in_words(addresses: &Addresses) -> String {
    let nets = addresses.nets().take(MOST_TOLD);
    let nets: Vec<String> = nets.map(|it| it.to_string()).collect();
    nets.join(", ")
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

/// What a rule asks for: the addresses that nothing declares, all of them, and the ranges as they are written.
struct Asked<'n> {
    open: &'n Addresses,
    all: Addresses,
    written: Addresses,
}

/// The crossings that open exactly these addresses, or all that the rule asks for where that is shorter to say: what lies outside
/// the cluster, and each kind of addresses that somebody has to acknowledge. None: it takes too many ranges.
fn parts(asked: &Asked<'_>, platform: &Platform) -> Option<Vec<Part>> {
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
        let apart = kept_apart(by, platform);
        let meant = |it: &Addresses| of_kind(it).without(&apart);
        let open = meant(asked.open);
        if !open.is_empty() {
            let (all, written) = (meant(&asked.all), of_kind(&asked.written));
            parts.push(part([&open, &all], &written, (by, &apart))?);
        }
    }
    Some(parts)
}

/// The crossing that opens one of `meant`, in the ranges of `written` without exceptions, or else as few ranges as there can be.
/// What it keeps apart by itself may lie among its exceptions.
fn part(
    meant: [&Addresses; 2],
    written: &Addresses,
    (by, apart): (Option<RangeAcknowledgement>, &Addresses),
) -> Option<Part> {
    let candidate = |meant: &Addresses, around: &Addresses| {
        let cidrs = around.nets();
        let cidrs = cidrs.filter(|it| meant.meets(&Addresses::of(&[*it])));
        let cidrs: Vec<IpNet> = cidrs.take(MAX_CIDRS + 1).collect();
        let others = Addresses::of(&cidrs).without(meant);
        let closed = others.without(apart);
        let except = others.nets();
        let except = except.filter(|it| closed.meets(&Addresses::of(&[*it])));
        let except: Vec<IpNet> = except.take(MAX_CIDRS + 1).collect();
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
    let candidates = meant
        .into_iter()
        .flat_map(|meant| [candidate(meant, meant), candidate(meant, written)]);
    let candidates = candidates.flatten();
    candidates.min_by_key(|it| it.cidrs.len() + it.except.len())
}

/// What the landing zone declares to reach addresses.
pub(super) fn of_landing_zone(wanted: &Wanted<'_, '_>) -> String {
    let platform = &wanted.landscape.platform;
    let here = own::end(wanted.selected).peer(wanted.selected);
    let mut names = Wanted::names(wanted.boundary(), wanted.direction());
    let mut entries = Vec::new();
    let mut never = Addresses::default();
    let mut metadata = Addresses::default();
    for leak in wanted.all() {
        let end = &wanted.walked.end;
        let written = match &end.nets {
            Some(nets) => Addresses::of(nets),
            None if leak.rule == Rule::NetsEverything => everything(),
            None => leak.nets.clone(),
        };
        let asked = Asked {
            open: &leak.nets,
            all: written.without(&Addresses::of(&end.not_nets)),
            written,
        };
        let Some(parts) = parts(&asked, platform) else {
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
        if parts.len() > 1 {
            let of_metadata = parts.iter().filter(|it| it.is_of_metadata());
            metadata = of_metadata.fold(metadata, |all, it| all.or(&Addresses::of(&it.cidrs)));
        }
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
    let left = in_words(&never);
    if entries.is_empty() {
        return format!(
            "no crossing opens {left}, which are addresses of pods and of nodes at once: leave them out"
        );
    }
    let rest = if never.is_empty() {
        String::new()
    } else {
        format!(
            "; leave out {left}: no crossing opens what are addresses of pods and of nodes at once"
        )
    };
    // Few who mean everybody mean that.
    let metadata = if metadata.is_empty() {
        String::new()
    } else {
        format!(
            "; rather leave {} out of the rule, with the crossing that acknowledges MetadataService",
            in_words(&metadata)
        )
    };
    format!("{pods}{}{metadata}{rest}", wanted.declare(&entries))
}

/// Every address of IPv4.
fn everything() -> Addresses {
    Addresses::of(&[Ipv4Net::default().into()])
}

/// What to write and to declare where a rule says only which addresses it does not mean; None: it does not.
pub(super) fn of_all_but(wanted: &Wanted<'_, '_>) -> Option<String> {
    let not = &wanted.walked.end.not_nets;
    let is_it = wanted.leak.rule == Rule::AnyPeer
        && wanted.way == Way::Egress
        && wanted.walked.form == Form::Calico
        && !not.is_empty();
    if !is_it || !wanted.leak.declare.is_declarable() {
        return None;
    }
    let leak = Leak {
        nets: everything().without(&Addresses::of(not)),
        declare: wanted.leak.declare.clone(),
        ..Leak::of(Rule::NetsEverything)
    };
    let told = of_landing_zone(&Wanted {
        leak: &leak,
        ..*wanted
    });
    let told = told.strip_prefix("if it is meant, ").unwrap_or(&told);
    Some(format!(
        "if addresses are meant, write nets: [0.0.0.0/0] beside notNets, and {told}"
    ))
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
        let most = MOST_PEERS * MAX_CIDRS;
        let nets: Vec<Cidr> = leak.nets.nets().take(most + 1).map(Cidr).collect();
        let Some(first) = nets.first().filter(|_| nets.len() <= most) else {
            return format!(
                "if it is meant, the platform declares it as one of spec.sharedServices, and {own} names that in \
                 network.sharedServices"
            );
        };
        let name = names.give(&["from", &first.to_string()]);
        let ports = match leak.declare.listed() {
            [] => String::new(),
            ports => format!(", ports: {}", ports_in_one_line(ports)),
        };
        let peers = nets.chunks(MAX_CIDRS);
        let peers = peers.map(|it| format!("{{cidrs: {}}}", ranges_in_one_line(it)));
        let peers: Vec<String> = peers.collect();
        let content = format!(
            "peers: [{}], direction: ToLandingZones{ports}, landingZones: Declared",
            peers.join(", ")
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
