//! What has no effect, or another one than it seems.

use super::opened::Around;
use super::walk::{Direction, WalkedRule};
use super::{Judge, MOST_COMPLEX, MOST_RULES, Selected};
use crate::api::names::{APPLICATION_CODE, ZONE};
use crate::domain::FieldPath;
use crate::policy::{Action, Policy, PolicyRule, RuleEnd, Selector, Way, Written, example};
use crate::review::address::Addresses;
use crate::review::covered::{Cover, covers};
use crate::review::known::{
    canonical, in_known_namespace, in_namespace, is_inside, is_pod, of_namespace,
};
use crate::review::landscape::Boundary;
use crate::review::{Body, Rule};

/// With more rules that decide, later ones are not compared with all of them.
const MOST_COMPARED: usize = 64;
/// So often two selectors of a policy are compared.
const MOST_COMPARISONS: usize = 2048;
/// Selectors with more parts are not compared: that can take as long as is allowed, each time.
const MOST_PARTS: usize = 48;

impl<'a> Judge<'a> {
    /// All rules of one direction.
    pub(super) fn direction(&mut self, direction: &Direction, selected: &[Selected<'a>]) {
        let around = Around::new(direction, selected);
        let mut deciding: Vec<(&WalkedRule, &PolicyRule)> = Vec::new();
        let mut earlier: Vec<Selector> = Vec::new();
        for (index, walked) in direction.rules.iter().enumerate() {
            let walked = match walked {
                Ok(walked) => walked,
                Err(unreadable) => {
                    self.invalid(unreadable);
                    continue;
                }
            };
            for objection in &walked.objections {
                self.object_to(objection);
            }
            if index >= MOST_RULES {
                self.find(
                    Rule::TooComplex,
                    walked.at.clone(),
                    format!("only the first {MOST_RULES} rules are judged, and Calico takes no more from 3.33 on"),
                    "split the policy",
                );
                return;
            }
            if let Some(whole) = &walked.whole {
                let mut earlier = deciding.iter();
                if let Some((first, _)) = earlier.find(|(_, it)| self.decides(it, whole)) {
                    let at = first.at.clone();
                    self.find(
                        Rule::Unreachable,
                        walked.at.clone(),
                        format!("{at} decides all that this rule is about"),
                        "remove it, or put it before",
                    );
                    continue;
                }
                if whole.action != Action::Log && deciding.len() < MOST_COMPARED {
                    deciding.push((walked, whole));
                }
            }
            if self.matches_nothing(walked, selected) {
                continue;
            }
            match walked.action {
                Action::Allow | Action::Pass => {
                    self.leaks(&around, index, walked, &earlier);
                }
                Action::Deny => self.denies(direction.way, walked, selected),
                Action::Log => {}
            }
            // What an earlier rule lets through is told there, and of this one as well: who mends the first shall not find
            // the next one new.
            let decided = walked.whole.as_ref();
            let decided = decided.filter(|it| matches!(it.action, Action::Deny | Action::Pass));
            if let Some(decided) = decided.and_then(|it| only_selector(it, direction.way))
                && earlier.len() < MOST_COMPARED
            {
                earlier.push(canonical(decided.clone()).negate());
            }
        }
    }

    /// Whether a rule decides all that a later one is about, as far as that can be told quickly.
    fn decides(&mut self, earlier: &PolicyRule, later: &PolicyRule) -> bool {
        let is_plain = earlier.ip_version.is_none()
            && earlier.not_protocol.is_none()
            && earlier.icmp.is_none()
            && earlier.not_icmp.is_none()
            && (earlier.protocol.is_none() || earlier.protocol == later.protocol);
        is_plain
            && self.holds_all(&earlier.source, &later.source)
            && self.holds_all(&earlier.destination, &later.destination)
    }

    /// Whether one end of a rule means all that another one means.
    fn holds_all(&mut self, wider: &RuleEnd, narrower: &RuleEnd) -> bool {
        if wider == narrower || *wider == RuleEnd::default() {
            return true;
        }
        let only = RuleEnd {
            selector: wider.selector.clone(),
            ..RuleEnd::default()
        };
        let (Some(all), Some(some)) = (&wider.selector, &narrower.selector) else {
            return false;
        };
        let is_short = all.parts() <= MOST_PARTS && some.parts() <= MOST_PARTS;
        if *wider != only || !is_short || self.comparisons >= MOST_COMPARISONS {
            return false;
        }
        self.comparisons += 1;
        let found = example(&[some.clone(), all.clone().negate()]);
        if found.is_err() {
            self.comparisons = MOST_COMPARISONS;
        }
        matches!(found, Ok(None))
    }

    /// Whether nothing at all can be the other end of a rule, which is found then.
    fn matches_nothing(&mut self, walked: &WalkedRule, selected: &[Selected<'a>]) -> bool {
        let end = &walked.end;
        let nets = end.nets.as_ref();
        if nets.is_some_and(|nets| Addresses::of_all_but(nets, &end.not_nets).is_empty()) {
            let path = walked.end_at.key("nets");
            self.find(
                Rule::MatchesNothing,
                path,
                "notNets leaves nothing of the ranges",
                "correct the ranges, or remove the rule",
            );
            return true;
        }
        let Some(selector) = &end.selector else {
            return false;
        };
        let mut meant = vec![canonical(selector.clone())];
        let not = end.not_selector.iter().cloned();
        meant.extend(not.map(|not| canonical(not).negate()));
        let path = walked.blamed.as_ref().map(|(path, _)| path.clone());
        let path = path.unwrap_or_else(|| walked.end_at.clone());
        if self.complex >= MOST_COMPLEX {
            return false;
        }
        let found = example(&meant);
        if found.is_err() {
            self.complex += 1;
            return false;
        }
        if matches!(found, Ok(None)) {
            let message = format!("no labels at all are what {path} asks for");
            self.find(Rule::MatchesNothing, path, message, "correct it");
            return true;
        }
        // Of pods inside, the namespaces are known.
        let [selected] = selected else { return false };
        let boundary = selected.boundary;
        let mut inside = meant.clone();
        inside.extend([is_inside(boundary).negate()]);
        if !matches!(example(&inside), Ok(None)) {
            return false;
        }
        if self.is_in_some(boundary, &Selector::and(meant)) {
            return false;
        }
        let zones = boundary.namespaces.iter();
        let mut zones: Vec<_> = zones
            .filter_map(|name| self.landscape.namespace(name)?.labels.get(ZONE))
            .map(String::as_str)
            .collect();
        zones.sort_unstable();
        zones.dedup();
        let message = format!(
            "no namespace of {boundary} is what {path} asks for (its zones are {})",
            zones.join(", ")
        );
        self.find(Rule::MatchesNothing, path, message, "correct it");
        true
    }

    /// Whether a selector can mean pods in the namespaces of a boundary.
    fn is_in_some(&self, boundary: &Boundary, selector: &Selector) -> bool {
        let is_in = |name: &String| {
            let namespace = self.landscape.namespace(name);
            namespace.is_none_or(|namespace| {
                let left = in_namespace(selector, name, namespace);
                !matches!(example(&[left, is_pod()]), Ok(None))
            })
        };
        boundary.namespaces.iter().any(is_in)
    }

    /// What is denied outside the boundary is denied anyway.
    fn denies(&mut self, way: Way, walked: &WalkedRule, selected: &[Selected<'a>]) {
        let [selected] = selected else { return };
        let end = &walked.end;
        let is_global = matches!(self.object.body, Body::Global(_) | Body::Admin(..));
        if end.service.is_some() || is_global || self.complex >= MOST_COMPLEX {
            return;
        }
        let boundary = selected.boundary;
        let mut covers = covers(boundary, selected.namespace, way, self.landscape);
        // What is open on other ports, or for other pods, has nothing to do with it.
        covers.retain(|it| {
            let mut ports = walked.ports.iter();
            ports.any(|(protocol, ports)| it.may_have_ports((*protocol, ports)))
                && it.may_be_for(&selected.selector)
        });
        // Whether all of it lies outside, and what of that is open.
        let (is_outside, open): (bool, Vec<&Cover>) = match (&end.selector, &end.nets) {
            (Some(selector), _) => {
                let mut meant = vec![canonical(selector.clone())];
                let not = end.not_selector.iter().cloned();
                meant.extend(not.map(|not| canonical(not).negate()));
                let never = |other: Selector| {
                    let both = [meant.clone(), vec![other]].concat();
                    matches!(example(&both), Ok(None))
                };
                let is_pod_outside = Selector::and([is_inside(boundary).negate(), is_pod()]);
                let code = Selector::equal(of_namespace(APPLICATION_CODE), &boundary.code);
                let is_outside = never(code)
                    && !self.is_in_some(boundary, &Selector::and(meant.clone()))
                    && !never(is_pod_outside);
                let may_be = |it: &&Cover| it.pods.clone().is_some_and(|pods| !never(pods));
                let open: Vec<_> = covers.iter().filter(may_be).collect();
                let is_meant = |it: &&Cover| {
                    let both = meant.iter().cloned().chain(it.pods.clone());
                    in_known_namespace(&both.collect::<Vec<_>>(), self.landscape)
                };
                let certain: Vec<_> = open.iter().copied().filter(is_meant).collect();
                if certain.is_empty() && !open.is_empty() {
                    // Nobody knows of a pod that it is about.
                    return;
                }
                (is_outside, certain)
            }
            (None, Some(nets)) => {
                let pods = &self.landscape.platform.pod_cidrs;
                let meant = Addresses::of(nets);
                let is_apart = |others: &[ipnet::IpNet]| !meant.meets(&Addresses::of(others));
                let is_outside = !pods.is_empty() && is_apart(pods);
                let is_meant = |it: &&Cover| !is_apart(&it.nets);
                (is_outside, covers.iter().filter(is_meant).collect())
            }
            (None, None) => return,
        };
        if !is_outside {
            return;
        }
        let at = walked.at.clone();
        if open.is_empty() {
            self.find(
                Rule::DenyWithoutEffect,
                at,
                format!("all that it denies lies outside of {boundary}, and the boundary denies that already"),
                "remove it",
            );
            return;
        }
        let what: Vec<_> = open.iter().map(|it| it.what.as_str()).collect();
        let what = what.join("; ");
        self.find(
            Rule::DenyWithoutEffect,
            at,
            format!(
                "the platform's policies decide about what lies outside of {boundary} before those of teams: {what} stays \
                 open, and the rest is denied already"
            ),
            format!("remove or narrow what is declared in {boundary}, or remove the rule"),
        );
    }

    /// Whether a policy can select nothing, which is found then.
    pub(super) fn selects_nothing(&mut self, read: &Policy, field: &str) -> bool {
        let path = FieldPath::default().key("spec").key(field);
        let selector = canonical(read.selector.clone());
        let namespace = read.id.namespace.as_deref().and_then(|name| {
            let namespace = self.landscape.namespace(name)?;
            Some(in_namespace(&selector, name, namespace))
        });
        let selector = namespace.unwrap_or(selector);
        if !matches!(example(&[selector, is_pod()]), Ok(None)) {
            return false;
        }
        self.find(
            Rule::SelectsNothing,
            path,
            "no pod can have the labels that it asks for, so the policy is about nobody",
            "correct the selector",
        );
        true
    }

    /// Directions that a policy of Calico's does not name.
    pub(super) fn types(&mut self, types: &[String], counts: [usize; 2]) {
        if !types.is_empty() {
            return self.rules_without_type(types, counts, [false, false]);
        }
        let what = match (self.object.written, counts) {
            (Written::Storage, _) => {
                "written to crd.projectcalico.org it is about both, and denies what no rule allows"
            }
            (Written::Api, [_, 0]) => "through projectcalico.org it is about what comes in only",
            (Written::Api, [0, _]) => "through projectcalico.org it is about what goes out only",
            (Written::Api, _) => "through projectcalico.org it is about both",
        };
        self.find(
            Rule::TypesMissing,
            FieldPath::default().key("spec"),
            format!("types is missing: {what}"),
            "write types: [Ingress], [Egress] or both",
        );
    }

    /// Rules of a direction that is left out. `implied`: those that are there without being named.
    pub(super) fn rules_without_type(
        &mut self,
        types: &[String],
        counts: [usize; 2],
        implied: [bool; 2],
    ) {
        for (index, (type_, field)) in [("Ingress", "ingress"), ("Egress", "egress")]
            .into_iter()
            .enumerate()
        {
            let is_named = types.iter().any(|it| it.eq_ignore_ascii_case(type_))
                || (types.is_empty() && implied[index]);
            let is_implied = types.is_empty() && type_ == "Ingress";
            if counts[index] > 0 && !is_named && !is_implied {
                self.find(
                    Rule::RulesWithoutType,
                    FieldPath::default().key("spec").key(field),
                    format!("it has rules for {field}, and its types leave {type_} out, so they say nothing"),
                    format!("add {type_} to its types, or remove the rules"),
                );
            }
        }
    }
}

/// What a rule decides for all ports, where that is what its other end's labels are.
fn only_selector(rule: &PolicyRule, way: Way) -> Option<&Selector> {
    let (end, own) = match way {
        Way::Ingress => (&rule.source, &rule.destination),
        Way::Egress => (&rule.destination, &rule.source),
    };
    let selector = end.selector.as_ref()?;
    let only = RuleEnd {
        selector: Some(selector.clone()),
        ..RuleEnd::default()
    };
    let is_all = rule.protocol.is_none()
        && rule.not_protocol.is_none()
        && rule.ip_version.is_none()
        && rule.icmp.is_none()
        && rule.not_icmp.is_none();
    (is_all && *end == only && *own == RuleEnd::default()).then_some(selector)
}
