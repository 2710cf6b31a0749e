//! A policy, judged end by end.
//!
//! Whoever carries the code of an application, the ownership label of its landing zone, or lies in one of its
//! namespaces counts as inside: whether somebody may carry them is decided elsewhere (rules on admission, and the
//! boundary, which goes by the ownership label alone). Whatever else a rule lets through is outside, whatever its other
//! labels are.

mod classify;
mod deciding;
mod effect;
mod endpoints;
mod leak;
mod namespace;
mod opened;
mod set;
mod suggest;
#[cfg(test)]
mod tests;
mod walk;
mod witness;

use std::sync::Arc;

use crate::api::names::APPLICATION_CODE;
use crate::build;
use crate::domain::FieldPath;
use crate::policy::{
    self, Action, AdminPolicy, DEFAULT_TIER, Draft, Effect, GlobalNetworkPolicy, LabelMap,
    NAMESPACE, NetworkPolicy, Objection, Policy, PolicyKind, Selector, Tier, Unreadable, Written,
};

use super::known::{self, canonical};
use super::landscape::{Boundary, KnownNamespace, Landscape};
use super::object::{Body, Object, StagedAction};
use super::opening::Place;
use super::{Finding, Rule};
use walk::Direction;

pub use set::CALICOS_PREFIXES;

/// Orders below are the platform's (`docs/network.md`).
pub const FIRST_ORDER_OF_TEAMS: f64 = 100.0;
/// More rules of one direction are not looked at one by one. Calico takes 1,024 from 3.33 on.
const MOST_RULES: usize = 1024;
/// After so many that are too complex, the rest is taken for such, too.
const MOST_COMPLEX: usize = 3;

/// Everything that is found in an object, in the order in which it is looked at: what it is as a whole, then rule by
/// rule. What the operator wrote itself is not judged.
#[must_use]
pub fn judge(object: &Object, landscape: &Landscape) -> Vec<Finding> {
    judged(object, landscape, None)
}

/// The same for one landing zone: of a policy of the whole cluster, what crosses the boundary of this one.
#[must_use]
pub fn judge_for(object: &Object, landscape: &Landscape, landing_zone: &str) -> Vec<Finding> {
    judged(object, landscape, Some(landing_zone))
}

fn judged(object: &Object, landscape: &Landscape, only: Option<&str>) -> Vec<Finding> {
    let mut judge = Judge {
        object,
        landscape,
        only,
        place: Place::default(),
        findings: Vec::new(),
        complex: 0,
        comparisons: 0,
    };
    if object.is_operators {
        return Vec::new();
    }
    if object.staged == Some(StagedAction::Delete) {
        judge.find(
            Rule::DecidesUnread,
            FieldPath::default().key("spec").key("stagedAction"),
            "it is staged to take away the policy of its name: what that holds back would no longer be held back by it once it is \
             enforced",
            "have somebody read the policy that goes",
        );
        return judge.findings;
    }
    for path in &object.unknown {
        judge.find(
            Rule::UnknownField,
            path.clone(),
            format!("{path} is no field of this kind, and whoever reads it leaves it out"),
            "correct its name, or remove it",
        );
    }
    for path in &object.http {
        judge.find(
            Rule::UnknownField,
            path.clone(),
            format!(
                "{path} needs Calico's application layer policy, an Envoy beside each pod: Felix by itself leaves it out, and \
                 the rule means every request"
            ),
            "remove it, or make sure that the cluster has application layer policy",
        );
    }
    judge
        .findings
        .extend(object.fatal.iter().map(Finding::from));
    match &object.body {
        Body::Kubernetes(policy) => judge.kubernetes(policy),
        Body::Calico(policy) => judge.calico(policy),
        Body::Global(policy) => judge.global(policy),
        Body::Admin(kind, policy) => judge.admin(*kind, policy),
        Body::NetworkSet(set) => judge.set(set),
        Body::Tier(tier) => judge.tier(tier),
        Body::Namespace(namespace) => judge.namespace(namespace),
        Body::HostEndpoint(host) => judge.host_endpoint(host),
        Body::EndpointSlice(slice) => judge.slice(slice),
        Body::Endpoints(endpoints) => judge.endpoints(endpoints),
        Body::Deciding(deciding) => judge.deciding(&deciding.kind),
    }
    judge.witness_of_invalid();
    if object.staged.is_some() {
        judge.staged();
    }
    judge.findings
}

/// Whose pods a policy selects.
struct Selected<'a> {
    /// The boundary around them.
    boundary: &'a Boundary,
    /// Their namespace, where it is one.
    namespace: Option<&'a KnownNamespace>,
    /// What they are called in a sentence.
    words: String,
    /// Which pods, by canonical labels.
    selector: Selector,
    /// The same in each of the namespaces in which it can select some, with what is known of it put in.
    pods: Arc<[(String, Selector)]>,
}

struct Judge<'a> {
    object: &'a Object,
    landscape: &'a Landscape,
    /// The landing zone of which alone a policy of the whole cluster is judged.
    only: Option<&'a str>,
    /// Where the policy stands among the others.
    place: Place,
    findings: Vec<Finding>,
    /// How many times it was too complex.
    complex: usize,
    /// How many times two rules were compared.
    comparisons: usize,
}

impl<'a> Judge<'a> {
    /// Notes something that is not about who gets through.
    fn find(
        &mut self,
        rule: Rule,
        path: FieldPath,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) {
        self.findings
            .push(Finding::new(rule, path, message, suggestion));
    }

    /// Says of what would need approval that it is not in force: who approves it approves that it may be.
    fn staged(&mut self) {
        for finding in &mut self.findings {
            if finding.rule.needs_approval() {
                finding.message.push_str(
                    "; the policy is staged: it decides nothing yet, and would once it is enforced",
                );
            }
        }
    }

    /// The same, where somebody gets through.
    fn find_who(
        &mut self,
        rule: Rule,
        path: FieldPath,
        message: impl Into<String>,
        suggestion: impl Into<String>,
        witness: impl Into<String>,
    ) {
        self.find(rule, path, message, suggestion);
        if let Some(found) = self.findings.last_mut() {
            found.witness = Some(witness.into());
        }
    }

    fn invalid(&mut self, unreadable: &Unreadable) {
        let what = match self.object.body {
            // The API server takes most of it.
            Body::Admin(..) if matches!(unreadable.why, policy::Why::Unsupported(_)) => {
                "Calico leaves the rule out"
            }
            Body::Kubernetes(_) | Body::Admin(..) => {
                "the API server refuses it, or Calico leaves the rule out"
            }
            _ => {
                "Felix takes the policy for missing, or leaves a part of it out, and says so in its log only"
            }
        };
        let message = format!("{unreadable}; {what}");
        self.find(
            Rule::Invalid,
            unreadable.path.clone(),
            message,
            unreadable.why.instead(&unreadable.path),
        );
    }

    /// Tells what is not as the API has it, and what becomes of the policy.
    fn object_to(&mut self, objection: &Objection) {
        let refuses =
            "Calico's API server refuses it; written to its storage, which nobody validates, ";
        let becomes = match (&self.object.body, &objection.effect) {
            (Body::Kubernetes(_) | Body::Admin(..), Effect::TakenFor(other)) => {
                format!("newer versions of Kubernetes refuse it, and older ones take it for {other}")
            }
            (Body::Kubernetes(_) | Body::Admin(..), _) => {
                "Kubernetes refuses it; where a version of it does not, Calico leaves it out, and the rest of the rule \
                 decides"
                    .to_owned()
            }
            (_, effect) => {
                let written = match self.object.written {
                    Written::Api => refuses,
                    Written::Storage => "",
                };
                let becomes = match effect {
                    Effect::Missing => "Felix takes the whole policy for missing".to_owned(),
                    Effect::LeftOut => "Felix leaves it out, and the rest decides".to_owned(),
                    Effect::TakenFor(other) => format!("Felix takes it for {other}"),
                };
                format!("{written}{becomes}, and tells nobody")
            }
        };
        let problem = &objection.problem;
        let message = format!("{problem}; {becomes}");
        let instead = problem.why.instead(&problem.path);
        self.find(Rule::Invalid, problem.path.clone(), message, instead);
    }

    fn objections(&mut self, all: &[Objection]) {
        let object = self.object;
        for objection in all.iter().chain(&object.spelled) {
            self.object_to(objection);
        }
    }

    fn kubernetes(&mut self, policy: &k8s_openapi::api::networking::v1::NetworkPolicy) {
        match Policy::of_kubernetes(policy) {
            Err(unreadable) => self.invalid(&unreadable),
            Ok(read) => {
                let spec = policy.spec.clone().unwrap_or_default();
                let types = spec.policy_types.unwrap_or_default();
                let ingress = spec.ingress.unwrap_or_default();
                let egress = spec.egress.unwrap_or_default();
                let counts = [ingress.len(), egress.len()];
                self.rules_without_type(&types, counts, [false, !egress.is_empty()]);
                let selected = self.of_namespace(&read);
                let selected: Vec<_> = selected.into_iter().collect();
                if self.selects_nothing(&read, "podSelector") {
                    return;
                }
                let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
                self.place = Place::of(&read);
                if let Some(rules) = read.ingress.as_ref().map(|_| &ingress) {
                    let rules = walk::of_kubernetes_ingress(rules, namespace);
                    self.direction(&Direction::ingress(rules), &selected);
                }
                if let Some(rules) = read.egress.as_ref().map(|_| &egress) {
                    let rules = walk::of_kubernetes_egress(rules, namespace);
                    self.direction(&Direction::egress(rules), &selected);
                }
            }
        }
    }

    fn calico(&mut self, policy: &'a NetworkPolicy) {
        let spec = &policy.spec;
        let root = FieldPath::default();
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        if let Some(order) = spec.order.filter(|it| self.is_before_boundary(*it)) {
            self.find(
                Rule::OrderBeforePlatform,
                root.key("spec").key("order"),
                format!("order {order} comes before the boundary, which is below 100 where there are no tiers"),
                "leave order out, or give it 100 or more",
            );
        }
        let tier = spec.tier.as_deref().filter(|it| !it.is_empty());
        let of_name = name.split_once('.').map(|(tier, _)| tier);
        if let Some(other) = tier.filter(|it| *it != DEFAULT_TIER) {
            self.other_tier(root.key("spec").key("tier"), other);
        } else if let Some(other) = of_name.filter(|it| *it != DEFAULT_TIER) {
            self.other_tier(root.key("metadata").key("name"), other);
        }
        let draft = match Policy::draft_of_calico(policy, self.object.written) {
            Ok(draft) => draft,
            Err(unreadable) => return self.invalid(&unreadable),
        };
        self.objections(&draft.objections);
        let read = &draft.policy;
        self.types(&spec.types, [spec.ingress.len(), spec.egress.len()]);
        let mut selected: Vec<_> = self.of_namespace(read).into_iter().collect();
        if self.selects_nothing(read, "selector") {
            return;
        }
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        if Self::reaches_out(&draft, namespace) {
            selected = self.of_cluster(read);
        }
        self.both(&draft, (&spec.ingress, &spec.egress), namespace, &selected);
    }

    fn global(&mut self, policy: &'a GlobalNetworkPolicy) {
        let spec = &policy.spec;
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        if build::is_operators(name) {
            self.find(
                Rule::OperatorsName,
                FieldPath::default().key("metadata").key("name"),
                format!(
                    "{name} is a name that the operator gives: the policy takes the place of the operator's own, or the \
                     operator writes over it"
                ),
                "give it another name: those that begin with landing-zone- or landing-zones- are the operator's",
            );
            if let Some(found) = self.findings.last_mut() {
                let witness =
                    "whoever the operator's own policy of that name keeps out could get through";
                found.witness = Some(witness.to_owned());
            }
        }
        let draft = match Policy::draft_of_global(policy, self.object.written) {
            Ok(Some(draft)) => draft,
            Ok(None) => return self.of_hosts(policy),
            Err(unreadable) => return self.invalid(&unreadable),
        };
        self.objections(&draft.objections);
        let read = &draft.policy;
        self.types(&spec.types, [spec.ingress.len(), spec.egress.len()]);
        if self.selects_nothing(read, "selector") {
            return;
        }
        let selected = self.of_cluster(read);
        self.place = Place::of(read);
        if !selected.is_empty() {
            self.before_boundary(policy, &selected);
        }
        self.both(&draft, (&spec.ingress, &spec.egress), "", &selected);
    }

    /// Whether a policy of tier default with this order is asked before a boundary: where there are tiers, that has one of its own,
    /// which comes first; where nobody declares anything, there is none.
    fn is_before_boundary(&self, order: f64) -> bool {
        order < FIRST_ORDER_OF_TEAMS
            && self.landscape.tiers.is_none()
            && self.landscape.has_declared_boundary()
    }

    /// What a policy of the whole cluster lets through before the boundary is asked is decided by labels alone, which
    /// addresses and other namespaces may have as well.
    fn before_boundary(&mut self, policy: &GlobalNetworkPolicy, selected: &[Selected<'a>]) {
        let spec = &policy.spec;
        let mut rules = spec.ingress.iter().chain(&spec.egress);
        if !rules.any(|it| matches!(it.action, Action::Allow | Action::Pass)) {
            return;
        }
        let tier = spec.tier.as_deref().filter(|it| !it.is_empty());
        let tier = tier.unwrap_or(DEFAULT_TIER);
        let root = FieldPath::default().key("spec");
        let known = self.findings.len();
        if build::own_tiers()
            .iter()
            .any(|own| own.metadata.name.as_deref() == Some(tier))
        {
            self.find(
                Rule::OtherTier,
                root.key("tier"),
                format!("it is in tier {tier}, which is the operator's: what it allows there is decided before the boundary, or in its place"),
                "leave tier out, or make one of your own after it",
            );
        } else if tier == DEFAULT_TIER
            && let Some(order) = spec.order.filter(|it| self.is_before_boundary(*it))
        {
            self.find(
                Rule::OrderBeforePlatform,
                root.key("order"),
                format!("order {order} comes before the boundary, which is below 100 where there are no tiers: what it allows is decided by labels alone"),
                "leave order out, or give it 100 or more",
            );
        }
        // Whom it is for may grow beside it.
        if self.findings.len() > known {
            let opening = self.opening_of_everything(selected);
            let new = self.findings.iter_mut().skip(known);
            new.for_each(|it| it.opening = Some(opening.clone()));
        }
    }

    /// Administrators' policies lie in tiers of their own, after that of the boundary and before what teams write.
    fn admin(&mut self, kind: PolicyKind, policy: &AdminPolicy) {
        let read = match Policy::of_admin(policy, kind) {
            Ok(read) => read,
            Err(unreadable) => return self.invalid(&unreadable),
        };
        if self.selects_nothing(&read, "subject") {
            return;
        }
        let selected = self.of_cluster(&read);
        self.place = Place::of(&read);
        let spec = &policy.spec;
        let ingress = Direction::ingress(walk::of_admin(&spec.ingress, "ingress"));
        self.direction(&ingress, &selected);
        let egress = Direction::egress(walk::of_admin(&spec.egress, "egress"));
        self.direction(&egress, &selected);
    }

    fn both(
        &mut self,
        draft: &Draft,
        (ingress, egress): (&'a [crate::policy::Rule], &'a [crate::policy::Rule]),
        namespace: &str,
        selected: &[Selected<'a>],
    ) {
        self.place = Place::of(&draft.policy);
        if let Some(rules) = &draft.policy.ingress {
            let rules = walk::of_calico(ingress, (&draft.ingress, rules), namespace, "ingress");
            let direction = Direction::ingress(rules);
            self.witness_past_boundary(&direction, selected);
            self.direction(&direction, selected);
        }
        if let Some(rules) = &draft.policy.egress {
            let rules = walk::of_calico(egress, (&draft.egress, rules), namespace, "egress");
            let direction = Direction::egress(rules);
            self.witness_past_boundary(&direction, selected);
            self.direction(&direction, selected);
        }
    }

    /// The boundary that a policy of a namespace lies in; where nobody knows it, that is found.
    fn of_namespace(&mut self, read: &Policy) -> Option<Selected<'a>> {
        let name = read.id.namespace.as_deref().unwrap_or_default();
        let landscape = self.landscape;
        let Some((boundary, namespace)) = landscape.of_namespace(name) else {
            self.find(
                Rule::NamespaceUnknown,
                FieldPath::default().key("metadata").key("namespace"),
                format!(
                    "namespace {name} belongs to no landing zone that is known and has no label \
                     {APPLICATION_CODE}, so nobody can say whether what the policy allows leaves a boundary"
                ),
                "give the LandingZone as well (kubectl landingzone review -f takes several folders), correct the name, \
                 or declare the namespace in spec.namespaces of its LandingZone",
            );
            return None;
        };
        let selector = known::in_namespace(&canonical(read.selector.clone()), name, namespace);
        Some(Selected {
            boundary,
            namespace: Some(namespace),
            words: format!("pods of {name}"),
            pods: Arc::new([(name.to_owned(), selector.clone())]),
            selector,
        })
    }

    /// Whether a policy of a namespace selects pods of others: one whose selector is none by itself can.
    fn reaches_out(draft: &Draft, namespace: &str) -> bool {
        let at = FieldPath::default().key("spec").key("selector");
        let is_odd =
            |it: &Objection| it.problem.path == at && matches!(it.effect, Effect::TakenFor(_));
        if !draft.objections.iter().any(is_odd) {
            return false;
        }
        let elsewhere = Selector::equal(NAMESPACE, namespace).negate();
        let selector = canonical(draft.policy.selector.clone());
        let found = policy::example(&[selector, elsewhere, known::is_pod()]);
        !matches!(found, Ok(None))
    }

    /// The boundaries whose pods a policy of the whole cluster selects.
    fn of_cluster(&self, read: &Policy) -> Vec<Selected<'a>> {
        let selector = canonical(read.selector.clone());
        let is_meant = |it: &&Boundary| {
            self.only
                .is_none_or(|only| it.landing_zone.as_deref() == Some(only))
        };
        let boundaries = self.landscape.boundaries().iter().filter(is_meant);
        let selected = boundaries.filter_map(|boundary| {
            let inside = boundary.namespaces.iter().filter_map(|name| {
                let namespace = self.landscape.namespace(name)?;
                let left = known::in_namespace(&selector, name, namespace);
                // What is too complex counts as selected.
                let labels = match policy::example(std::slice::from_ref(&left)) {
                    Ok(None) => return None,
                    Ok(Some(labels)) => labels,
                    Err(_) => LabelMap::new(),
                };
                let labels = known::labels_of_namespace(&labels);
                Some(((namespace, labels), (name.clone(), left)))
            });
            let (inside, pods): (Vec<_>, Vec<_>) = inside.unzip();
            let (namespace, labels) = inside.first()?;
            // Labels that others may have put there, where all that is selected depends on such.
            let is_certain = inside.iter().any(|(_, labels)| labels.is_none());
            let labels = labels.as_ref().filter(|_| !is_certain);
            let labelled = labels.map(|it| format!(", where a namespace of it is labelled {it}"));
            Some(Selected {
                boundary,
                namespace: Some(*namespace).filter(|_| inside.len() == 1),
                words: format!("pods of {boundary}{}", labelled.unwrap_or_default()),
                selector: selector.clone(),
                pods: pods.into(),
            })
        });
        selected.collect()
    }

    /// Tiers decide who is asked first, and what nobody decides.
    fn tier(&mut self, tier: &Tier) {
        let name = tier.metadata.name.as_deref().unwrap_or_default();
        let order = tier.spec.order.unwrap_or(f64::INFINITY);
        let end = tier.spec.default_action.as_deref().unwrap_or("Deny");
        let known = build::own_tiers()
            .into_iter()
            .chain(policy::brought_tiers());
        let known = known.map(|it| (it.metadata.name, it.spec));
        let mut same = known
            .clone()
            .filter(|(known, _)| known.as_deref() == Some(name));
        let spec = FieldPath::default().key("spec");
        let message = if let Some((_, known)) = same.next() {
            let known_end = known.default_action.as_deref().unwrap_or("Deny");
            if known.order == Some(order) && known_end == end {
                return;
            }
            format!(
                "tier {name} has another order or end than its own, and the boundary rests on them"
            )
        } else {
            let platform = build::own_tiers()
                .into_iter()
                .filter_map(|it| it.spec.order);
            if order > platform.fold(f64::INFINITY, f64::min) {
                return;
            }
            format!(
                "tier {name} comes before that of the boundary: what its policies allow is open"
            )
        };
        self.find(
            Rule::OtherTier,
            spec.key("order"),
            message,
            "leave Calico's tiers and those of the operator as they are, and put others after them",
        );
    }

    fn other_tier(&mut self, path: FieldPath, tier: &str) {
        let known = self.landscape.tiers.iter().flatten();
        let exists = known.filter(|it| it.metadata.name.as_deref() == Some(tier));
        let why = match exists.count() {
            0 => {
                "no such tier is known: a policy in it counts after all others, and ends in a deny"
            }
            _ => "whoever writes there decides before or after the boundary",
        };
        self.find(
            Rule::OtherTier,
            path,
            format!("it is in tier {tier}, and teams have tier {DEFAULT_TIER}; {why}"),
            "leave tier out, and use no dot in the name but that of the prefix default.",
        );
    }
}
