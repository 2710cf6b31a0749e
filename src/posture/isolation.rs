//! What the policies of a cluster come to: a deny by default, DNS under it, and the system left alone. The evaluator says it of
//! all pods that a namespace has or may get.

use super::check::{Answer, Seen};
use super::cluster_state::{Known, Policies};
use super::{Asked, ClusterState};
use crate::policy::{
    Answer as Reachable, Decider, LabelMap, Member, Passage, PolicyKind, Reach, TransportProtocol,
    everywhere, without,
};

/// What the questions need, or what is missing of it.
fn read<'a>(asked: &Asked<'a>) -> Result<(&'a ClusterState, &'a Policies), Answer> {
    let live = asked.live.ok_or_else(Answer::without_cluster)?;
    let policies = live.policies.as_ref().map_err(Answer::missing)?;
    Ok((live, policies))
}

/// Namespaces as members, and behind them strangers: whatever is no pod, and pods of a namespace that nobody has labelled.
fn members(policies: &Policies, namespaces: &[(&str, &LabelMap)]) -> (Vec<Member>, [usize; 2]) {
    let nothing = LabelMap::new();
    let pods = namespaces
        .iter()
        .map(|(name, labels)| Member::namespace(name, labels, &policies.pod_cidrs));
    let outside = without(&everywhere(), &policies.pod_cidrs);
    let stranger = Member::namespace(STRANGER, &nothing, &policies.pod_cidrs);
    let members = pods.chain([Member::addresses(&outside), stranger]);
    let first = namespaces.len();
    (members.collect(), [first, first + 1])
}

/// No namespace can be called so.
const STRANGER: &str = "-";

/// Whether every namespace starts from deny.
pub(super) fn default_deny(asked: &Asked<'_>) -> Answer {
    let (live, policies) = match read(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let namespaces = match live.of_applications() {
        Ok(namespaces) => namespaces,
        Err(missing) => return Answer::missing(missing),
    };
    let (members, strangers) = members(policies, &namespaces);
    let reach = policies.world.reach(&members);
    let open = namespaces.iter().enumerate().filter_map(|(at, (name, _))| {
        let leaves = is_undecided(&reach.passages(&[at], &strangers), |it| &it.egress);
        let enters = is_undecided(&reach.passages(&strangers, &[at]), |it| &it.ingress);
        let directions = match (enters, leaves) {
            (true, true) => "in and out",
            (true, false) => "in",
            (false, true) => "out",
            (false, false) => return None,
        };
        let what = format!(
            "has pods, or may get some, of which no policy decides: {directions} everything passes"
        );
        Some(Seen::of(*name, what))
    });
    let well = match namespaces.len() {
        0 => "there is no namespace but the system's".to_owned(),
        count => format!("of each pod in {count} namespaces a policy decides, in and out"),
    };
    Answer::fail_each(open.collect(), well)
        .mend("# a LandingZone that lists the namespace closes it; kubectl landingzone propose says what it needs open")
        .mend("# or for all that are left, once stage Observe shows nothing that is needed: spec.defaultDeny.stage: Enforce of the LandingZonePlatform")
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
    let (live, policies) = match read(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let namespaces = match live.of_applications() {
        Ok(namespaces) => namespaces,
        Err(missing) => return Answer::missing(missing),
    };
    let (mut members, _) = members(policies, &namespaces);
    let first = members.len();
    members.extend(policies.dns.iter().cloned());
    let dns: Vec<usize> = (first..members.len()).collect();
    let reach = policies.world.reach(&members);
    let (mut cut_off, mut partly) = (Vec::new(), Vec::new());
    for (at, (name, _)) in namespaces.iter().enumerate() {
        match reachable(&reach, at, &dns) {
            Reachable::Denied => cut_off.push(Seen::of(
                *name,
                "reaches the cluster's DNS by neither UDP nor TCP 53",
            )),
            Reachable::Partly => partly.push(*name),
            Reachable::Allowed => {}
        }
    }
    let answer = Answer::fail_each(cut_off, "no namespace is cut off from the cluster's DNS");
    let answer = if partly.is_empty() {
        answer
    } else {
        answer.note(format!(
            "some pods may be cut off from DNS, or by one of the two protocols, in {}",
            partly.join(", ")
        ))
    };
    answer
        .mend("# allow UDP and TCP 53 to the pods labelled k8s-app=kube-dns in kube-system; the boundary of a landing zone does")
        .mend("kubectl landingzone why --live <namespace>/<pod> DNS")
}

/// The best of what of DNS is reached, by the worse of both protocols; Denied by one and not by the other is Partly.
fn reachable(reach: &Reach<'_>, from: usize, dns: &[usize]) -> Reachable {
    let by = |protocol| {
        let each = dns.iter().filter_map(|to| {
            let answer = reach.answer_on(&[from], &[*to], (protocol, 53));
            answer.map(|(_, answer)| answer)
        });
        each.min().unwrap_or(Reachable::Denied)
    };
    match (by(TransportProtocol::UDP), by(TransportProtocol::TCP)) {
        (Reachable::Denied, Reachable::Denied) => Reachable::Denied,
        (Reachable::Allowed, Reachable::Allowed) => Reachable::Allowed,
        _ => Reachable::Partly,
    }
}

/// Whether cluster-wide policies leave the system's namespaces alone.
pub(super) fn system(asked: &Asked<'_>) -> Answer {
    let (live, policies) = match read(asked) {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let namespaces: &Known<_> = &live.namespaces;
    let namespaces = match namespaces {
        Ok(namespaces) => namespaces,
        Err(missing) => return Answer::missing(missing),
    };
    let all = namespaces
        .iter()
        .map(|(name, labels)| (name.as_str(), labels));
    let system: Vec<_> = all
        .filter(|(name, labels)| live.is_system(name, labels))
        .collect();
    let (members, strangers) = members(policies, &system);
    let reach = policies.world.reach(&members);
    let cut_off = system.iter().enumerate().filter_map(|(at, (name, _))| {
        let leaves = cut_by(&reach.passages(&[at], &strangers), |it| &it.egress);
        let enters = cut_by(&reach.passages(&strangers, &[at]), |it| &it.ingress);
        let by = enters.or(leaves)?;
        Some(Seen::of(*name, format!("is cut off by {by}")))
    });
    Answer::fail_each(
        cut_off.collect(),
        format!("no cluster-wide policy cuts off any of {} system namespaces", system.len()),
    )
    .mend("# leave the namespace out of the policy's selector, for instance by projectcalico.org/name not in {…}")
    .mend("# spec.defaultDeny of the LandingZonePlatform leaves these namespaces alone by itself; spec.defaultDeny.exempt names more")
}

/// The cluster-wide policy because of which nothing passes, where it is such a one. What the system's own policies deny is meant.
fn cut_by<'p>(
    passages: &'p [Passage],
    of: impl Fn(&'p Passage) -> &'p Vec<Decider>,
) -> Option<String> {
    let [passage] = passages else {
        return None;
    };
    if passage.answer != Reachable::Denied {
        return None;
    }
    let is_wide = |kind: PolicyKind| !matches!(kind, PolicyKind::Kubernetes | PolicyKind::Calico);
    let deciders = of(passage);
    let wide = deciders.iter().map(|it| match it {
        Decider::Rule(id, _) if is_wide(id.kind) => Some(id.to_string()),
        Decider::EndOfTier(_, ids) if ids.iter().all(|it| is_wide(it.kind)) => {
            ids.first().map(ToString::to_string)
        }
        _ => None,
    });
    let wide: Option<Vec<String>> = wide.collect();
    wide?.into_iter().next()
}

#[cfg(test)]
mod tests;
