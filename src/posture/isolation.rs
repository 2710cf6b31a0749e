//! What the policies of a cluster come to: a deny by default, DNS under it, and the system left alone. The evaluator says it of
//! all pods that a namespace has or may get, and of those policies that the engine of the cluster knows.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ipnet::IpNet;

use super::check::{Answer, Seen};
use super::cluster_state::{Agent, DEFAULT_NAMESPACE, Engine, Policies};
use super::{Asked, ClusterState};
use crate::policy::{
    Answer as Reachable, Decider, Does, LabelMap, Member, Passage, Policy, PolicyKind, PortSpan,
    Reach, TransportProtocol, Way, World, everywhere, without,
};

/// What the questions need.
struct InForce<'a> {
    live: &'a ClusterState,
    policies: &'a Policies,
    /// The policies that the engine knows; all of them where none was found.
    world: Cow<'a, World>,
}

/// What the questions need, or what is missing of it.
fn read<'a>(asked: &Asked<'a>) -> Result<InForce<'a>, Answer> {
    let live = asked.live.ok_or_else(Answer::without_cluster)?;
    let policies = live.policies.as_ref().map_err(Answer::missing)?;
    let agents = live.agents.as_deref();
    let runs = |engine| agents.is_ok_and(|it| it.iter().any(|it| it.engine == engine));
    if policies.of_cilium > 0 && (runs(Engine::Cilium) || agents.is_err()) {
        let seen = format!(
            "there are {} policies of Cilium's own kinds, which are not evaluated here",
            policies.of_cilium
        );
        return Err(Answer::untold(seen, OF_CILIUM));
    }
    let is_kubernetes = |it: &Policy| it.id.kind == PolicyKind::Kubernetes;
    let is_calicos = |it: &Policy| matches!(it.id.kind, PolicyKind::Calico | PolicyKind::Global);
    let world = if runs(Engine::Calico) || !agents.is_ok_and(|it| !it.is_empty()) {
        Cow::Borrowed(&policies.world)
    } else {
        let mut all = policies.world.policies().iter();
        if let Some(policy) = all.find(|it| !is_kubernetes(it) && !is_calicos(it)) {
            let seen = format!(
                "whether the cluster's engine knows {} is not known here",
                policy.id
            );
            return Err(Answer::untold(seen, OF_ADMINISTRATORS));
        }
        // What Calico left behind nobody reads any more.
        Cow::Owned(policies.world.only(is_kubernetes))
    };
    Ok(InForce {
        live,
        policies,
        world,
    })
}

/// What tells of policies that are not evaluated.
const OF_CILIUM: &str = "the policies themselves (`kubectl get ciliumclusterwidenetworkpolicies,ciliumnetworkpolicies --all-namespaces`)";
const OF_ADMINISTRATORS: &str =
    "the documentation of the engine, on the kinds of policy.networking.k8s.io";

/// Namespaces as members, and behind them strangers: whatever is no pod, and pods of a namespace that nobody has labelled.
struct Members {
    all: Vec<Member>,
    /// With addresses of every family.
    strangers: [usize; 2],
    /// The same for each family that pods have addresses of: what is open to one of them is open.
    by_family: Vec<[usize; 2]>,
}

impl Members {
    fn of(policies: &Policies, namespaces: &[(&str, &LabelMap)]) -> Self {
        let nothing = LabelMap::new();
        let ranges = &policies.pod_cidrs;
        let pods = namespaces
            .iter()
            .map(|(name, labels)| Member::namespace(name, labels, ranges));
        let mut members = Self {
            all: pods.collect(),
            strangers: [0, 0],
            by_family: Vec::new(),
        };
        members.strangers = members.stranger(&everywhere(), ranges, ranges, &nothing);
        for family in everywhere() {
            let is_v4 = |it: &IpNet| it.addr().is_ipv4();
            let of_family = ranges.iter().filter(|it| is_v4(it) == is_v4(&family));
            let mut own: Vec<IpNet> = of_family.copied().collect();
            // Every cluster of AKS has addresses of IPv4.
            if ranges.is_empty() && is_v4(&family) {
                own.push(family);
            }
            if !own.is_empty() {
                let stranger = members.stranger(&[family], ranges, &own, &nothing);
                members.by_family.push(stranger);
            }
        }
        members
    }

    /// Adds what has addresses outside of the ranges of pods, and pods that are nobody's.
    fn stranger(
        &mut self,
        outside: &[IpNet],
        ranges: &[IpNet],
        of_pods: &[IpNet],
        labels: &LabelMap,
    ) -> [usize; 2] {
        let first = self.all.len();
        let outside = without(outside, ranges);
        self.all.push(Member::addresses(&outside));
        let pods = Member::namespace(STRANGER, labels, of_pods);
        self.all.push(pods);
        [first, first + 1]
    }
}

/// No namespace can be called so.
const STRANGER: &str = "-";

/// Whether every namespace starts from deny.
pub(super) fn default_deny(asked: &Asked<'_>) -> Answer {
    let read = match read(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    match &read.live.agents {
        Ok(agents) if agents.is_empty() => {
            return Answer::fail(format!(
                "no policy has an effect: the cluster runs none of {}",
                Agent::all_names()
            ))
            .mend("# see network-policy-engine");
        }
        Ok(_) => {}
        Err(missing) => return Answer::missing(missing),
    }
    let mut namespaces = match read.live.of_applications() {
        Ok(namespaces) => namespaces,
        Err(missing) => return Answer::missing(missing),
    };
    // Whoever may create pods anywhere may do so there.
    let all = read.live.namespaces.iter().flatten();
    let default = all.filter(|(name, _)| name.as_str() == DEFAULT_NAMESPACE);
    namespaces.extend(default.map(|(name, labels)| (name.as_str(), labels)));
    let members = Members::of(read.policies, &namespaces);
    let reach = read.world.reach(&members.all);
    let open = namespaces.iter().enumerate().filter_map(|(at, (name, _))| {
        let of = |way| openness(&reach, at, &members, way);
        let (enters, leaves) = (of(Way::Ingress), of(Way::Egress));
        let what = [
            (
                Open::Undecided,
                "has pods, or may get some, of which no policy decides",
            ),
            (Open::Allowed, "has policies that let everything through"),
        ];
        let what = what.iter().filter_map(|(how, what)| {
            let directions = match (enters == Some(*how), leaves == Some(*how)) {
                (true, true) => "in and out",
                (true, false) => "in",
                (false, true) => "out",
                (false, false) => return None,
            };
            Some(format!("{what}: {directions} everything passes"))
        });
        let what: Vec<String> = what.collect();
        (!what.is_empty()).then(|| Seen::of(*name, what.join(", and ")))
    });
    let well = match namespaces.len() {
        0 => "there is no namespace but the system's".to_owned(),
        count => format!("of each pod in {count} namespaces a policy decides, in and out"),
    };
    Answer::fail_each(open.collect(), well)
        .mend("# a LandingZone that lists the namespace closes it; kubectl landingzone propose says what it needs open")
        .mend("# or for all that are left, once stage Observe shows nothing that is needed: spec.defaultDeny.stage: Enforce of the LandingZonePlatform")
        .mend("# the namespace default is left alone by both: a NetworkPolicy there, for all pods and both directions and without rules, closes it")
}

/// How a namespace is open in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// Some pods, because nothing decides about them.
    Undecided,
    /// All pods, because policies allow everything.
    Allowed,
}

fn openness(reach: &Reach<'_>, at: usize, members: &Members, way: Way) -> Option<Open> {
    let strangers = &members.strangers;
    let is_undecided = match way {
        Way::Egress => is_undecided(&reach.passages(&[at], strangers), |it| &it.egress),
        Way::Ingress => is_undecided(&reach.passages(strangers, &[at]), |it| &it.ingress),
    };
    let mut families = members.by_family.iter();
    let is_allowed = families.any(|strangers| {
        let answers = reach.own_answers(at, strangers, way);
        !answers.is_empty() && answers.iter().all(|(_, it)| *it == Reachable::Allowed)
    });
    match (is_undecided, is_allowed) {
        (true, _) => Some(Open::Undecided),
        (false, true) => Some(Open::Allowed),
        (false, false) => None,
    }
}

/// Whether something passes because nothing decides about it.
fn is_undecided<'p>(passages: &'p [Passage], of: impl Fn(&'p Passage) -> &'p Vec<Decider>) -> bool {
    let mut deciders = passages
        .iter()
        .filter(|it| it.answer != Reachable::Denied)
        .flat_map(of);
    deciders.any(|it| matches!(it, Decider::Nothing | Decider::Passed(_)))
}

/// Whether pods reach DNS.
pub(super) fn dns(asked: &Asked<'_>) -> Answer {
    let read = match read(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let namespaces = match read.live.of_applications() {
        Ok(namespaces) => namespaces,
        Err(missing) => return Answer::missing(missing),
    };
    let mut members = Members::of(read.policies, &namespaces).all;
    let first = members.len();
    members.extend(read.policies.dns.iter().cloned());
    let dns: Vec<usize> = (first..members.len()).collect();
    let reach = read.world.reach(&members);
    let (mut cut_off, mut partly) = (Vec::new(), Vec::new());
    for (at, (name, _)) in namespaces.iter().enumerate() {
        let by = |protocol| reachable(&reach, at, &dns, protocol);
        match (by(TransportProtocol::UDP), by(TransportProtocol::TCP)) {
            (Reachable::Denied, Reachable::Denied) => cut_off.push(Seen::of(
                *name,
                "reaches the cluster's DNS by neither UDP nor TCP 53",
            )),
            // Resolvers ask by UDP, and by TCP what is too long for it.
            (Reachable::Denied, _) => cut_off.push(Seen::of(
                *name,
                "does not reach the cluster's DNS by UDP 53",
            )),
            (Reachable::Allowed, Reachable::Allowed) => {}
            _ => partly.push(*name),
        }
    }
    let answer = Answer::fail_each(cut_off, "no namespace is cut off from the cluster's DNS");
    let answer = if partly.is_empty() {
        answer
    } else {
        answer.note(format!(
            "some pods may be cut off from DNS, or all of them by TCP, in {}",
            partly.join(", ")
        ))
    };
    answer
        .mend("# allow UDP and TCP 53 to the pods labelled k8s-app=kube-dns in kube-system; the boundary of a landing zone does")
        .mend("kubectl landingzone why --live <namespace>/<pod> DNS")
}

/// The best of what of DNS is reached by a protocol.
fn reachable(
    reach: &Reach<'_>,
    from: usize,
    dns: &[usize],
    protocol: TransportProtocol,
) -> Reachable {
    let each = dns.iter().filter_map(|to| {
        let answer = reach.answer_on(&[from], &[*to], (protocol, 53));
        answer.map(|(_, answer)| answer)
    });
    each.min().unwrap_or(Reachable::Denied)
}

/// Whether cluster-wide policies leave the system's namespaces alone. They are judged by themselves: a policy in the namespace that
/// opens what they deny can be gone tomorrow.
pub(super) fn system(asked: &Asked<'_>) -> Answer {
    let read = match read(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let system = match read.live.of_system() {
        Ok(system) => system,
        Err(missing) => return Answer::missing(missing),
    };
    let members = Members::of(read.policies, &system);
    let is_wide = |it: &Policy| !matches!(it.id.kind, PolicyKind::Kubernetes | PolicyKind::Calico);
    let world = read.world.only(is_wide);
    let reach = world.reach(&members.all);
    let mut cut_off = Vec::new();
    for (at, (name, _)) in system.iter().enumerate() {
        for way in [Way::Ingress, Way::Egress] {
            let cuts = cuts(&reach, at, &members, way);
            cut_off.extend(cuts.iter().map(|it| Seen::of(*name, it.told(way))));
        }
    }
    Answer::fail_each(
        cut_off,
        format!("no cluster-wide policy cuts off any of {} system namespaces", system.len()),
    )
    .mend("# leave the namespace out of the policy's selector, for instance by projectcalico.org/name not in {…}")
    .mend("# spec.defaultDeny of the LandingZonePlatform leaves these namespaces alone by itself; its spec.exempt names more")
}

/// What surely does not pass in a direction, whatever the pod.
#[derive(Debug)]
struct Cut {
    /// The policies that deny it.
    by: String,
    ports: BTreeSet<PortSpan>,
    /// Whether that is all ports.
    is_whole: bool,
    /// Whether it is denied for what is no pod, and for pods.
    is_of: [bool; 2],
}

fn cuts(reach: &Reach<'_>, at: usize, members: &Members, way: Way) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    let strangers = members
        .by_family
        .iter()
        .flat_map(|it| it.iter().enumerate());
    for (kind, stranger) in strangers {
        let answers = reach.own_answers(at, &[*stranger], way);
        let denied = answers.iter().filter(|it| it.1 == Reachable::Denied);
        let denied: Vec<PortSpan> = denied.map(|it| it.0).collect();
        for span in &denied {
            let (from, to) = match way {
                Way::Ingress => (*stranger, at),
                Way::Egress => (at, *stranger),
            };
            let links = reach.chain(&[from], &[to], way, *span);
            let by = links.iter().find(|it| it.does == Does::Denies);
            let by = by.map_or_else(String::new, |it| denier(&it.by));
            let known = cuts.iter().position(|it| it.by == by);
            let known = known.unwrap_or(cuts.len());
            if known == cuts.len() {
                cuts.push(Cut {
                    by,
                    ports: BTreeSet::new(),
                    is_whole: false,
                    is_of: [false; 2],
                });
            }
            if let Some(cut) = cuts.get_mut(known) {
                cut.ports.insert(*span);
                cut.is_whole |= denied.len() == answers.len();
                if let Some(is_of) = cut.is_of.get_mut(kind) {
                    *is_of = true;
                }
            }
        }
    }
    cuts
}

impl Cut {
    fn told(&self, way: Way) -> String {
        let direction = match way {
            Way::Ingress => "in",
            Way::Egress => "out",
        };
        let of = match self.is_of {
            [true, false] => ", for what is no pod",
            [false, true] => ", for pods",
            _ => "",
        };
        let ports: Vec<PortSpan> = self.ports.iter().copied().collect();
        let ports = PortSpan::merged(&ports);
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let ports = if self.is_whole {
            String::new()
        } else {
            format!(" by {}", ports.join(", "))
        };
        let by = &self.by;
        format!("is cut off by {by} on the way {direction}{ports}{of}")
    }
}

/// The policy that denies.
fn denier(decider: &Decider) -> String {
    match decider {
        Decider::Rule(id, _) => id.to_string(),
        Decider::EndOfTier(_, ids) if !ids.is_empty() => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            ids.join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
