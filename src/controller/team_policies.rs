//! Where policies of others decide: what the operator allows where a landing zone or the default deny is in stage
//! Observe, and no staged policies could be used, must not open what they close.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Map, Value};

use super::calico_metadata;
use super::context::Context;
use super::others::{Key as Policy, Source, key};
use crate::api::names::{GROUP, METADATA_NAME};
use crate::cluster::Watched;
use crate::domain::{Directions, NamespaceName, Selected, SelectedPods, TeamPolicies};
use crate::policy::{NAME, NAMESPACE, OF_NAMESPACE, Selector, example, of_namespaces};
use crate::telemetry::contained;

/// Where others decide, in the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Global policies, each of which counts everywhere, whatever it selects.
    pub global: BTreeMap<String, Directions>,
    /// By namespace.
    pub within: BTreeMap<String, Directions>,
}

impl Decided {
    /// The directions in which somebody else decides in a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Directions {
        let within = self.within.get(namespace).copied().unwrap_or_default();
        self.global
            .values()
            .fold(within, |all, global| all.or(*global))
    }
}

/// What a policy selects.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Selects {
    directions: Directions,
    /// Which pods, at most; any of its namespaces if left out.
    pods: Option<Selector>,
}

impl Selects {
    /// Whether it may select pods of a namespace, by the namespace's name alone: its labels are not known here.
    fn may_select_in(&self, namespace: &NamespaceName) -> bool {
        let Some(pods) = &self.pods else {
            return true;
        };
        let name = namespace.as_str();
        let is_there = [
            pods.clone(),
            Selector::equal(NAMESPACE, name),
            Selector::equal(format!("{OF_NAMESPACE}{NAME}"), name),
            Selector::equal(format!("{OF_NAMESPACE}{METADATA_NAME}"), name),
        ];
        // What is too complex may, and what nobody can decide.
        !matches!(contained(|| example(&is_there)), Ok(Ok(None)))
    }
}

/// Everybody's policies but the operator's.
#[derive(Debug, Default)]
pub struct Policies {
    listed: BTreeSet<Source>,
    known: BTreeMap<Policy, Selects>,
    /// Lists under way.
    listing: BTreeMap<Source, BTreeMap<Policy, Selects>>,
}

impl Policies {
    /// Where they decide in these namespaces, and one sentence for each of the policies that do. None
    /// until all are known.
    #[must_use]
    pub fn decided<'a>(
        &self,
        namespaces: impl Iterator<Item = &'a NamespaceName>,
    ) -> Option<(TeamPolicies, Vec<String>)> {
        if self.listed.len() < Source::POLICIES.len() {
            return None;
        }
        let mut teams = TeamPolicies::default();
        let mut sentences = Vec::new();
        for namespace in namespaces {
            let here = self.known.iter();
            let here = here.filter(|((_, within, _), selects)| match within {
                Some(within) => within == namespace.as_str(),
                None => selects.may_select_in(namespace),
            });
            let mut selected = Selected::default();
            for (_, Selects { directions, pods }) in here.clone() {
                if directions.ingress {
                    selected.ingress.add(pods.as_ref());
                }
                if directions.egress {
                    selected.egress.add(pods.as_ref());
                }
            }
            for (policy, selects) in here {
                sentences.extend(unobserved(namespace, policy, selects, &selected));
            }
            if selected != Selected::default() {
                teams.0.insert(namespace.clone(), selected);
            }
        }
        Some((teams, sentences))
    }

    /// Where they decide in the whole cluster. None until all are known.
    #[must_use]
    pub fn decided_everywhere(&self) -> Option<Decided> {
        if self.listed.len() < Source::POLICIES.len() {
            return None;
        }
        let mut decided = Decided::default();
        for ((_, within, name), selects) in &self.known {
            let of_it = match within {
                Some(namespace) => decided.within.entry(namespace.clone()).or_default(),
                None => decided.global.entry(name.clone()).or_default(),
            };
            *of_it = of_it.or(selects.directions);
        }
        Some(decided)
    }

    /// Begins a complete list of one kind.
    pub(super) fn list_begins(&mut self, source: Source) {
        self.listing.insert(source, BTreeMap::new());
    }

    /// Ends a complete list of one kind. Returns whether all are known now.
    pub(super) fn list_ends(&mut self, source: Source) -> bool {
        let listed = self.listing.remove(&source).unwrap_or_default();
        self.replace(source, listed);
        self.listed.len() == Source::POLICIES.len()
    }

    /// Forgets a kind: its watch ended.
    pub(super) fn unlist(&mut self, source: Source) {
        self.listing.remove(&source);
        self.known.retain(|(known, ..), _| *known != source);
        self.listed.remove(&source);
    }

    fn replace(&mut self, source: Source, listed: BTreeMap<Policy, Selects>) {
        self.known.retain(|(known, ..), _| *known != source);
        self.known.extend(listed);
        self.listed.insert(source);
    }
}

/// What is not observed in a namespace because of one policy, a sentence for each of the directions that
/// differ: the pods that it selects, or all of them where nobody could say which the others are.
fn unobserved(
    namespace: &NamespaceName,
    (source, _, name): &Policy,
    Selects { directions, pods }: &Selects,
    selected: &Selected,
) -> Vec<String> {
    let policy = match source {
        Source::CalicoGlobal => format!("GlobalNetworkPolicy {name}"),
        _ => format!("NetworkPolicy {name}"),
    };
    let which = |of: &SelectedPods| pods.as_ref().filter(|_| of.others().is_some());
    let ingress = directions.ingress.then(|| which(&selected.ingress));
    let egress = directions.egress.then(|| which(&selected.egress));
    let told = if ingress == egress {
        vec![(ingress, "both directions")]
    } else {
        vec![(ingress, "what comes in"), (egress, "what goes out")]
    };
    let sentence = |(which, what): (Option<Option<&Selector>>, &str)| {
        let pods = which?.map_or_else(String::new, |pods| format!("pods with {pods}, "));
        Some(format!("{namespace}, {pods}{what}: {policy} decides there"))
    };
    told.into_iter().filter_map(sentence).collect()
}

/// Takes in a policy that a watch saw, or listed.
pub(super) fn saw(context: &Context, source: Source, policy: &Watched, is_listed: bool) {
    let read = read(source, policy);
    if is_listed {
        let mut policies = write(context);
        policies.listing.entry(source).or_default().extend(read);
        return;
    }
    let key = key(source, policy);
    let now = read.map(|(_, selects)| selects);
    let before = match now.clone() {
        None => write(context).known.remove(&key),
        Some(selects) => write(context).known.insert(key.clone(), selects),
    };
    if before != now {
        tell(context, &key);
    }
}

/// Takes in that a policy is gone.
pub(super) fn gone(context: &Context, policy: &Policy) {
    if write(context).known.remove(policy).is_some() {
        tell(context, policy);
    }
}

/// Asks for reconciles of those that a policy concerns.
fn tell(context: &Context, (_, namespace, _): &Policy) {
    if !*context.observing.borrow() {
        return;
    }
    context.wake_default_deny();
    let Some(namespace) = namespace else {
        return context.push_observing();
    };
    let claims = context
        .claims
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    for zone in claims.of_namespace(namespace) {
        context.queue.push(zone);
    }
}

fn write(context: &Context) -> std::sync::RwLockWriteGuard<'_, Policies> {
    let policies = context.team_policies.write();
    policies.unwrap_or_else(PoisonError::into_inner)
}

/// A policy with what it selects; None for one without a direction, and for those of the operator, which
/// it knows anyway.
fn read(source: Source, policy: &Watched) -> Option<(Policy, Selects)> {
    let spec = policy.tree().get("spec").unwrap_or(&Value::Null);
    if source == Source::CalicoGlobal && is_ours(policy) {
        return None;
    }
    let directions = directions(source, spec);
    let selects = Selects {
        directions,
        pods: contained(|| pods(source, spec)).unwrap_or_default(),
    };
    (!directions.is_empty()).then(|| (key(source, policy), selects))
}

/// The pods that a policy selects, or more; None where that is any pod, or cannot be said. Service accounts, which
/// narrow the selection of Calico's kinds further, are left out.
fn pods(source: Source, spec: &Value) -> Option<Selector> {
    let selector = match source {
        Source::Kubernetes => {
            let selector = spec.get("podSelector")?;
            let selector: LabelSelector = serde_json::from_value(selector.clone()).ok()?;
            matching(&selector)?
        }
        Source::CalicoGlobal => {
            let read = |field: &str| match spec.get(field).and_then(Value::as_str) {
                None | Some("") => Some(Vec::new()),
                Some(text) => text.parse().ok().map(|it| vec![it]),
            };
            let pods = read("selector")?.into_iter();
            let namespaces = read("namespaceSelector")?.into_iter().map(of_namespaces);
            Selector::and(pods.filter(|it| *it != Selector::All).chain(namespaces))
        }
        _ => spec.get("selector")?.as_str()?.parse().ok()?,
    };
    // Of pods, Felix takes no policy that says global().
    (selector != Selector::All && !selector.mentions_global()).then_some(selector)
}

/// A label selector of Kubernetes in Calico's language; None for an operator that is not known.
fn matching(selector: &LabelSelector) -> Option<Selector> {
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(label, value)| Some(Selector::equal(label, value)));
    let expressions = selector.match_expressions.iter().flatten().map(|it| {
        let values = || it.values.iter().flatten().cloned();
        Some(match it.operator.as_str() {
            "In" => Selector::one_of(&it.key, values()),
            "NotIn" => Selector::none_of(&it.key, values()),
            "Exists" => Selector::has(&it.key),
            "DoesNotExist" => Selector::has(&it.key).negate(),
            _ => return None,
        })
    });
    let all: Option<Vec<_>> = labels.chain(expressions).collect();
    Some(Selector::and(all?))
}

/// Global policies are nobody's but the platform's: whoever may write them may label them.
pub(super) fn is_ours(policy: &Watched) -> bool {
    let are_ours = |labels: &Map<String, Value>| labels.keys().any(|key| key.starts_with(GROUP));
    let shown = policy.tree().pointer("/metadata/labels");
    let shown = shown.and_then(Value::as_object);
    shown.is_some_and(are_ours)
        || calico_metadata::labels(policy.tree())
            .as_ref()
            .is_some_and(are_ours)
}

/// Without `types`, Kubernetes means Ingress, and Egress where there are such rules; of Calico's, both
/// are assumed.
fn directions(source: Source, spec: &Value) -> Directions {
    let field = match source {
        Source::Kubernetes => "policyTypes",
        _ => "types",
    };
    let types = spec.get(field).and_then(Value::as_array);
    match types.filter(|types| !types.is_empty()) {
        Some(types) => Directions {
            ingress: types.iter().any(|it| it == "Ingress"),
            egress: types.iter().any(|it| it == "Egress"),
        },
        None if source == Source::Kubernetes => Directions {
            ingress: true,
            egress: spec.get("egress").is_some(),
        },
        None => Directions::BOTH,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn policy(namespace: Option<&str>, name: &str, spec: &Value) -> Watched {
        let metadata = json!({"name": name, "namespace": namespace});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn names(names: &[&str]) -> Vec<NamespaceName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn directions_are_those_that_a_policy_closes() {
        use Source::{Calico, Kubernetes};
        let ingress = Directions {
            ingress: true,
            egress: false,
        };
        for (source, spec, expected) in [
            (Kubernetes, json!({"podSelector": {}}), ingress),
            (Kubernetes, json!({"egress": []}), Directions::BOTH),
            (
                Kubernetes,
                json!({"policyTypes": ["Ingress"], "egress": []}),
                ingress,
            ),
            (Calico, json!({"ingress": []}), Directions::BOTH),
            (Calico, json!({"types": ["Ingress"]}), ingress),
        ] {
            assert_eq!(directions(source, &spec), expected, "{spec}");
        }
    }

    #[test]
    fn a_policy_decides_in_its_namespace_and_a_global_one_everywhere() {
        let mut policies = Policies::default();
        let wanted = names(&["shop-web", "shop-data"]);
        let (one, other) = (json!({"types": ["Ingress"]}), json!({"types": ["Egress"]}));
        let own = policy(Some("shop-web"), "team", &one);
        policies.replace(Source::Kubernetes, BTreeMap::new());
        policies.replace(
            Source::Calico,
            read(Source::Calico, &own).into_iter().collect(),
        );
        assert_eq!(policies.decided(wanted.iter()), None);
        let everywhere = policy(None, "admin", &other);
        let mut ours = policy(None, "landing-zone-shop-dns", &other).into_tree();
        ours["metadata"]["labels"] = json!({"landingzones.dev/landing-zone": "shop"});
        let ours = Watched::from(ours);
        let listed = [&everywhere, &ours].map(|it| read(Source::CalicoGlobal, it));
        policies.replace(Source::CalicoGlobal, listed.into_iter().flatten().collect());
        let (teams, sentences) = policies.decided(wanted.iter()).unwrap();
        let (both, none) = (SelectedPods::All, SelectedPods::default());
        let expected = [&both, &none].map(|ingress| Selected {
            ingress: ingress.clone(),
            egress: both.clone(),
        });
        assert_eq!([&wanted[0], &wanted[1]].map(|it| teams.of(it)), expected);
        assert_eq!(
            sentences,
            [
                "shop-web, what comes in: NetworkPolicy team decides there",
                "shop-web, what goes out: GlobalNetworkPolicy admin decides there",
                "shop-data, what goes out: GlobalNetworkPolicy admin decides there",
            ]
        );
    }

    /// Otherwise nothing would stand in place of what is taken away on the way to stage Observe, for the sake of a
    /// policy that is about others.
    #[test]
    fn a_global_policy_of_other_namespaces_decides_nothing() {
        let mut policies = Policies::default();
        let wanted = names(&["shop-web"]);
        let spec = |namespaces: &str| json!({"types": ["Egress"], "namespaceSelector": namespaces});
        let elsewhere = [
            "projectcalico.org/name == 'elsewhere'",
            "kubernetes.io/metadata.name in {'a','b'}",
        ];
        let here = ["projectcalico.org/name == 'shop-web'", "team == 'x'"];
        for (selectors, decides) in [(elsewhere, false), (here, true)] {
            let listed = selectors.map(|selector| {
                let policy = policy(None, selector, &spec(selector));
                read(Source::CalicoGlobal, &policy).unwrap()
            });
            policies.replace(Source::CalicoGlobal, listed.into_iter().collect());
            policies.replace(Source::Calico, BTreeMap::new());
            policies.replace(Source::Kubernetes, BTreeMap::new());
            let (teams, sentences) = policies.decided(wanted.iter()).unwrap();
            assert_eq!(teams != TeamPolicies::default(), decides, "{sentences:?}");
            assert_eq!(sentences.len(), if decides { 2 } else { 0 });
        }
    }

    #[rstest]
    #[case(Source::Kubernetes, json!({"podSelector": {"matchLabels": {"app": "a"}}}), Some("app == 'a'"))]
    #[case(
        Source::Kubernetes,
        json!({"podSelector": {"matchExpressions": [
            {"key": "app", "operator": "In", "values": ["b", "a"]},
            {"key": "tier", "operator": "NotIn", "values": ["c"]},
            {"key": "d", "operator": "Exists"},
            {"key": "e", "operator": "DoesNotExist"},
        ]}}),
        Some("app in {'a','b'} && tier not in {'c'} && has(d) && !has(e)")
    )]
    #[case(
        Source::Kubernetes,
        json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}}),
        None
    )]
    #[case(Source::Kubernetes, json!({"podSelector": {}}), None)]
    #[case(Source::Kubernetes, json!({}), None)]
    #[case(Source::Calico, json!({"selector": "app=='a'"}), Some("app == 'a'"))]
    #[case(Source::Calico, json!({"selector": "app == 'a'", "serviceAccountSelector": "b == 'c'"}), Some("app == 'a'"))]
    #[case(Source::Calico, json!({"selector": "all()"}), None)]
    #[case(Source::Calico, json!({"selector": ""}), None)]
    #[case(Source::Calico, json!({"selector": "app == 'a' || global()"}), None)]
    #[case(Source::Calico, json!({"selector": "app =="}), None)]
    #[case(Source::CalicoGlobal, json!({}), None)]
    #[case(Source::CalicoGlobal, json!({"selector": "all()"}), None)]
    #[case(Source::CalicoGlobal, json!({"namespaceSelector": "a == 'b'"}), Some("pcns.a == 'b'"))]
    #[case(
        Source::CalicoGlobal,
        json!({"selector": "app == 'a'", "namespaceSelector": "projectcalico.org/name == 'b'"}),
        Some("app == 'a' && pcns.projectcalico.org/name == 'b'")
    )]
    #[case(Source::CalicoGlobal, json!({"selector": "app == 'a'", "namespaceSelector": "b =="}), None)]
    fn pods_are_those_that_a_policy_selects(
        #[case] source: Source,
        #[case] spec: Value,
        #[case] expected: Option<&str>,
    ) {
        let pods = pods(source, &spec).map(|pods| pods.to_string());
        assert_eq!(pods.as_deref(), expected, "{spec}");
    }

    /// What differs by direction is told by direction.
    #[test]
    fn of_a_policy_that_selects_some_pods_those_are_told() {
        let mut policies = Policies::default();
        let wanted = names(&["shop-web"]);
        let some = json!({"selector": "app == 'a'"});
        let all = json!({"types": ["Egress"]});
        let listed = [("some", &some), ("all", &all)];
        let listed = listed.map(|(name, spec)| {
            read(Source::Calico, &policy(Some("shop-web"), name, spec)).unwrap()
        });
        policies.replace(Source::Calico, listed.into_iter().collect());
        policies.replace(Source::Kubernetes, BTreeMap::new());
        policies.replace(Source::CalicoGlobal, BTreeMap::new());
        let (_, sentences) = policies.decided(wanted.iter()).unwrap();
        assert_eq!(
            sentences,
            [
                "shop-web, what goes out: NetworkPolicy all decides there",
                "shop-web, pods with app == 'a', what comes in: NetworkPolicy some decides there",
                "shop-web, what goes out: NetworkPolicy some decides there",
            ]
        );
    }
}
