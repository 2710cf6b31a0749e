//! From policies as they are written to policies as Felix takes them (`libcalico-go`, its update processors, and the
//! validation of Felix; 3.28). Those of Kubernetes are in `kubernetes.rs`.
//!
//! The selector of a policy is put together as text, so that one with a parenthesis too many can mean more than the
//! namespace it lies in. Each selector of a rule has to be one by itself.

use super::model::{DEFAULT_TIER, Policy, PolicyId, PolicyKind};
use super::objection::{Effect, Objection, Objections, Unreadable, Why, unreadable};
use super::{GlobalNetworkPolicy, NetworkPolicy, NetworkSet, Rule, Selector};
use crate::domain::FieldPath;

mod rule;
#[cfg(test)]
mod tests;

use rule::{nets, rules};
pub(super) use rule::{ports, rule};

/// The namespace of an endpoint, on every pod and on the network sets of a namespace.
pub const NAMESPACE: &str = "projectcalico.org/namespace";
/// The service account of a pod.
pub const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
/// Who runs an endpoint: `k8s` on every pod.
pub const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
/// The name of a namespace or a service account, among its labels.
pub const NAME: &str = "projectcalico.org/name";
/// What stands before the labels of a namespace on its endpoints.
pub const OF_NAMESPACE: &str = "pcns.";
/// What stands before the labels of a service account on its endpoints.
pub const OF_SERVICE_ACCOUNT: &str = "pcsa.";

/// Where a policy was written to: where nothing says which directions it has, they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// `projectcalico.org/v3`: directions follow the rules.
    Api,
    /// `crd.projectcalico.org/v1`: it has both.
    Storage,
}

fn selector(text: Option<&str>, path: &FieldPath) -> Result<Option<Selector>, Unreadable> {
    // An empty text is no selector at all.
    let text = text.filter(|text| !text.is_empty());
    let parsed = text.map(str::parse::<Selector>).transpose();
    parsed.map_err(|error| unreadable(path, Why::Selector(error)))
}

impl Selector {
    /// The same selector over labels that have something before them.
    fn of_labels_with(self, prefix: &str) -> Self {
        self.relabelled(&|label| format!("{prefix}{label}"))
    }

    /// The same selector with something else in place of `all()`, and of `global()` where that is given.
    fn in_place_of_all(self, all: &Self, global: Option<&Self>) -> Self {
        let each = |operands: Vec<Self>| {
            let operands = operands.into_iter();
            operands.map(|it| it.in_place_of_all(all, global)).collect()
        };
        match self {
            Self::All => all.clone(),
            Self::Global => global.cloned().unwrap_or(Self::Global),
            Self::Not(inner) => Self::Not(Box::new(inner.in_place_of_all(all, global))),
            Self::And(operands) => Self::And(each(operands)),
            Self::Or(operands) => Self::Or(each(operands)),
            other @ (Self::Has(_) | Self::Compare(..)) => other,
        }
    }
}

/// A namespace selector, over the labels of endpoints: those of their namespaces begin with `pcns.`.
#[must_use]
pub fn of_namespaces(selector: Selector) -> Selector {
    let inside = Selector::has(NAMESPACE);
    let nowhere = inside.clone().negate();
    selector
        .of_labels_with(OF_NAMESPACE)
        .in_place_of_all(&inside, Some(&nowhere))
}

/// A policy as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What can be read of it: rules that cannot are left out.
    pub policy: Policy,
    /// The positions of its rules for what comes in among those that are written.
    pub ingress: Vec<usize>,
    /// The same for what goes out.
    pub egress: Vec<usize>,
    /// What is not as Calico's API has it, in the order of the fields.
    pub objections: Vec<Objection>,
}

impl Draft {
    /// The policy as it is in force, depending on where it was written to.
    ///
    /// # Errors
    /// What Calico's API server refuses it because of, or Felix takes it for missing.
    fn in_force(self, written: Written) -> Result<Policy, Unreadable> {
        let is_fatal = |it: &Objection| written == Written::Api || it.effect == Effect::Missing;
        match self.objections.into_iter().find(is_fatal) {
            Some(objection) => Err(objection.problem),
            None => Ok(self.policy),
        }
    }
}

impl Policy {
    /// A Calico policy of a namespace.
    ///
    /// # Errors
    /// What Calico's API server refuses it because of, or Felix takes it for missing.
    pub fn of_calico(policy: &NetworkPolicy, written: Written) -> Result<Self, Unreadable> {
        Self::draft_of_calico(policy, written)?.in_force(written)
    }

    /// A Calico policy of a namespace, as far as it can be read.
    ///
    /// # Errors
    /// Where it lacks what nobody can do without: a name and a namespace.
    pub fn draft_of_calico(policy: &NetworkPolicy, written: Written) -> Result<Draft, Unreadable> {
        let root = FieldPath::default();
        let at = root.key("spec");
        let spec = &policy.spec;
        let metadata = (&policy.metadata.name, &policy.metadata.namespace);
        let (Some(name), Some(namespace)) = metadata else {
            let missing = if metadata.0.is_none() {
                "name"
            } else {
                "namespace"
            };
            return Err(unreadable(&root.key("metadata").key(missing), Why::Missing));
        };
        let mut objections = Objections::default();
        let own = Selector::equal(NAMESPACE, namespace);
        let around = (spec.selector.as_deref(), Some(own));
        let account = spec.service_account_selector.as_deref();
        let others = [(account, "serviceAccountSelector", OF_SERVICE_ACCOUNT, None)];
        let selector = put_together(around, others, &at, &mut objections);
        hints(&spec.performance_hints, &at, &mut objections);
        let directions = Directions::of(
            (&spec.types, &spec.ingress, &spec.egress),
            written,
            &at,
            &mut objections,
        );
        let of_rules = (&*spec.ingress, &*spec.egress, namespace.as_str());
        let policy = Self {
            id: PolicyId {
                kind: PolicyKind::Calico,
                namespace: Some(namespace.clone()),
                name: name.clone(),
            },
            tier: tier(spec.tier.as_deref()),
            order: spec.order,
            selector,
            ingress: None,
            egress: None,
        };
        Ok(policy.with_rules(&directions, of_rules, &at, objections))
    }

    /// A cluster-wide policy of Calico; None where it is about hosts only.
    ///
    /// # Errors
    /// What Calico's API server refuses it because of, or Felix takes it for missing.
    pub fn of_global(
        policy: &GlobalNetworkPolicy,
        written: Written,
    ) -> Result<Option<Self>, Unreadable> {
        let draft = Self::draft_of_global(policy, written)?;
        draft.map(|it| it.in_force(written)).transpose()
    }

    /// A cluster-wide policy of Calico, as far as it can be read; None where it is about hosts only.
    ///
    /// # Errors
    /// Where it has no name.
    pub fn draft_of_global(
        policy: &GlobalNetworkPolicy,
        written: Written,
    ) -> Result<Option<Draft>, Unreadable> {
        let root = FieldPath::default();
        let at = root.key("spec");
        let spec = &policy.spec;
        let Some(name) = &policy.metadata.name else {
            return Err(unreadable(&root.key("metadata").key("name"), Why::Missing));
        };
        if spec.do_not_track == Some(true) || spec.pre_dnat == Some(true) {
            return Ok(None);
        }
        let mut objections = Objections::default();
        let others = [
            (
                spec.namespace_selector.as_deref(),
                "namespaceSelector",
                OF_NAMESPACE,
                Some(NAMESPACE),
            ),
            (
                spec.service_account_selector.as_deref(),
                "serviceAccountSelector",
                OF_SERVICE_ACCOUNT,
                Some(SERVICE_ACCOUNT),
            ),
        ];
        let selector = put_together(
            (spec.selector.as_deref(), None),
            others,
            &at,
            &mut objections,
        );
        hints(&spec.performance_hints, &at, &mut objections);
        let directions = Directions::of(
            (&spec.types, &spec.ingress, &spec.egress),
            written,
            &at,
            &mut objections,
        );
        let policy = Self {
            id: PolicyId {
                kind: PolicyKind::Global,
                namespace: None,
                name: name.clone(),
            },
            tier: tier(spec.tier.as_deref()),
            order: spec.order,
            selector,
            ingress: None,
            egress: None,
        };
        let of_rules = (&*spec.ingress, &*spec.egress, "");
        Ok(Some(policy.with_rules(
            &directions,
            of_rules,
            &at,
            objections,
        )))
    }

    fn with_rules(
        mut self,
        directions: &Directions,
        (ingress, egress, namespace): (&[Rule], &[Rule], &str),
        at: &FieldPath,
        mut objections: Objections,
    ) -> Draft {
        // Also those that no direction uses have to be right.
        let (of_ingress, comes_in) = rules(ingress, namespace, &at.key("ingress"), &mut objections);
        let (of_egress, goes_out) = rules(egress, namespace, &at.key("egress"), &mut objections);
        self.ingress = directions.ingress.then_some(comes_in);
        self.egress = directions.egress.then_some(goes_out);
        Draft {
            policy: self,
            ingress: of_ingress,
            egress: of_egress,
            objections: objections.0,
        }
    }
}

impl NetworkSet {
    /// Addresses that are not written as Calico's API has them.
    #[must_use]
    pub fn objections(&self) -> Vec<Objection> {
        let mut objections = Objections::default();
        let at = FieldPath::default().key("spec").key("nets");
        nets(&self.spec.nets, &at, &mut objections);
        objections.0
    }
}

/// A selector that is put before the others: its text, its field, what stands before its labels, and what `all()` means
/// once it is there.
type Another<'a> = (
    Option<&'a str>,
    &'static str,
    &'static str,
    Option<&'static str>,
);

/// The selector of a policy. Others that are none are dropped, so that the policy is for more than it seems.
fn put_together<const N: usize>(
    (own, namespace): (Option<&str>, Option<Selector>),
    others: [Another<'_>; N],
    at: &FieldPath,
    objections: &mut Objections,
) -> Selector {
    let own = own.filter(|text| !text.is_empty());
    let parsed = own.map(str::parse::<Selector>).transpose();
    let mut good = Vec::new();
    let mut error = None;
    match parsed {
        Ok(parsed) => good.extend(parsed),
        Err(other) => error = Some(other),
    }
    good.extend(namespace.clone());
    // The same as text, which counts where its own part is no selector.
    let mut text = match (own, &namespace) {
        (Some(own), Some(namespace)) => format!("({own}) && {namespace}"),
        (Some(own), None) => own.to_owned(),
        (None, namespace) => namespace.iter().map(ToString::to_string).collect(),
    };
    let mut all = (!good.is_empty()).then(|| Selector::and(good));
    for (other, field, prefix, anyone) in others {
        let Some(other) = other.filter(|it| !it.is_empty()) else {
            continue;
        };
        match other.parse::<Selector>() {
            Ok(other) => {
                let other = other.of_labels_with(prefix);
                text = if text.is_empty() {
                    other.to_string()
                } else {
                    format!("({text}) && ({other})")
                };
                all = Some(Selector::and(all.take().into_iter().chain([other])));
            }
            Err(error) => objections.add(&at.key(field), Why::Selector(error), Effect::LeftOut),
        }
        // Calico replaces it in the whole selector, not in this part only.
        if let Some(anyone) = anyone {
            let anyone = Selector::has(anyone);
            text = text.replace("all()", &anyone.to_string());
            all = all.map(|it| it.in_place_of_all(&anyone, None));
        }
    }
    if let Some(error) = error {
        let path = at.key("selector");
        match text.parse::<Selector>() {
            Ok(read) => {
                objections.add(&path, Why::Selector(error), Effect::TakenFor(text));
                return read;
            }
            Err(_) => objections.add(&path, Why::Selector(error), Effect::Missing),
        }
    }
    all.unwrap_or(Selector::All)
}

fn hints(hints: &[String], at: &FieldPath, objections: &mut Objections) {
    for (index, hint) in hints.iter().enumerate() {
        if hint != "AssumeNeededOnEveryNode" || hints.iter().take(index).any(|it| it == hint) {
            let path = at.key("performanceHints").index(index);
            objections.add(&path, Why::Hint(hint.clone()), Effect::Missing);
        }
    }
}

fn tier(declared: Option<&str>) -> String {
    let declared = declared.filter(|tier| !tier.is_empty());
    declared.unwrap_or(DEFAULT_TIER).to_owned()
}

/// Which directions a policy has.
struct Directions {
    ingress: bool,
    egress: bool,
}

impl Directions {
    fn of(
        (types, ingress, egress): (&[String], &[Rule], &[Rule]),
        written: Written,
        at: &FieldPath,
        objections: &mut Objections,
    ) -> Self {
        if types.is_empty() {
            return match written {
                Written::Storage => Self {
                    ingress: true,
                    egress: true,
                },
                Written::Api => Self {
                    ingress: !ingress.is_empty() || egress.is_empty(),
                    egress: !egress.is_empty(),
                },
            };
        }
        let mut found = Self {
            ingress: false,
            egress: false,
        };
        for written in types {
            let known = match folded(written).as_str() {
                "ingress" => {
                    found.ingress = true;
                    Some("Ingress")
                }
                "egress" => {
                    found.egress = true;
                    Some("Egress")
                }
                _ => None,
            };
            let effect = match known {
                Some(known) if known == written => continue,
                Some(known) => Effect::TakenFor(known.to_owned()),
                None => Effect::LeftOut,
            };
            objections.add(&at.key("types"), Why::Direction(written.clone()), effect);
        }
        found
    }
}

/// In lower case, as Go's `strings.EqualFold` compares words: the long s is an s to it.
fn folded(text: &str) -> String {
    text.to_lowercase().replace('\u{17f}', "s")
}
