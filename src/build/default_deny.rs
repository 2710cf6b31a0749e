//! The policies of the default deny, which selects every namespace of the cluster that is neither
//! exempt nor a landing zone's.
//!
//! | order | policy | does | tier, where there are tiers |
//! |---|---|---|---|
//! | 10 | dns | allows the cluster's DNS | platform |
//! | | (policies of teams) | | default |
//! | 5,500 | exempt | passes, for exempt namespaces that find no room in the selector of the deny | baseline |
//! | 6,000 | default-deny | denies the rest | baseline |
//! | 7,000 | observe | in stage Observe, without staged policies: logs the rest and lets it through | baseline |
//!
//! The built-in names always stand in the selector of the deny itself: what the cluster lives on must
//! not depend on a second policy. Without tiers there is nothing to pass to, and `not in` cannot be
//! spread over several denies, since they add up: a list that is too long is an error.
//!
//! In stage Observe the same policies are staged, where Calico has such. Without them the last rule has to
//! undo what every policy does, which is to deny the rest of its direction. In the baseline it passes, to
//! whatever decides after us. In one tier there is only Allow, which would open what a team's policy
//! closes: so there it selects by name those namespaces in which nobody else decides.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::calico_rule::{self, Direction};
use super::halves::halves;
use super::{metadata, policy_name, tier};
use crate::api::rule::{BUILT_IN_EXEMPT_NAMESPACES, EXEMPT_MARKERS};
use crate::api::{DefaultDenyStage, names};
use crate::domain::{Exempt, Flavour, Platform, PolicyApi};
use crate::policy::{
    Action, GlobalNetworkPolicy, GlobalNetworkPolicySpec, MAX_SELECTOR_LENGTH, Rule, Selector,
};

// Below 100 comes before the policies of teams; those of landing zones end at 5,000.
const DNS: f64 = 10.0;
const EXEMPT: f64 = 5_500.0;
const DEFAULT_DENY: f64 = 6_000.0;
// After what denies: on the way from one stage to the other both are there.
const OBSERVE: f64 = 7_000.0;

const BOTH: &[&str] = &["Ingress", "Egress"];

/// The policies of the default deny. Whoever applies them takes them apart without `..`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DefaultDenyPolicies {
    /// What allows and what passes. All of it is there before anything denies, and goes after it:
    /// otherwise exempt namespaces would be cut off meanwhile.
    pub opening: Vec<GlobalNetworkPolicy>,
    /// What denies.
    pub closing: Vec<GlobalNetworkPolicy>,
    /// What only says what it would do; in stage Observe.
    pub staged: Vec<GlobalNetworkPolicy>,
}

/// Ordinary namespaces in which no policy decides about a direction, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undecided {
    /// About what comes in.
    pub ingress: BTreeSet<String>,
    /// About what goes out.
    pub egress: BTreeSet<String>,
}

/// Why there can be no default deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DefaultDenyError {
    /// Only Kubernetes policies.
    #[error(
        "a default deny of the whole cluster needs Calico's own kinds, and this cluster has none: \
         create it with Calico (AKS: --network-policy calico), or leave defaultDeny out"
    )]
    NoCalico,
    /// The exempt namespaces do not fit into one selector.
    #[error(
        "the exempt namespaces are {by} characters too many for a selector of Calico, which without \
         tiers has to hold them all: exempt namespaces by one label (spec.exempt.selector) instead of by \
         name, or upgrade to Calico 3.29, which has tiers"
    )]
    TooLong {
        /// By how many characters.
        by: usize,
    },
}

/// The default deny of a platform, as it is where it is in force.
///
/// # Errors
/// Where it cannot be written in this flavour.
pub fn default_deny(
    platform: &Platform,
    flavour: Flavour,
) -> Result<DefaultDenyPolicies, DefaultDenyError> {
    if flavour.api == PolicyApi::Kubernetes {
        return Err(DefaultDenyError::NoCalico);
    }
    let exempt = &platform.default_deny.exempt;
    let Selected { selector, passed } = Selected::of(exempt, tier::used(flavour))?;
    let deny_all = || vec![calico_rule::deny_all()];
    let dns = Wanted {
        name: "landing-zones-dns".to_owned(),
        tier: tier::PLATFORM,
        order: DNS,
        selector: selector.clone(),
        types: &["Egress"],
        ingress: Vec::new(),
        egress: calico_rule::dns(&platform.dns_addresses),
    };
    let deny = Wanted {
        name: "landing-zones-default-deny".to_owned(),
        tier: tier::BASELINE,
        order: DEFAULT_DENY,
        selector,
        types: BOTH,
        ingress: deny_all(),
        egress: deny_all(),
    };
    Ok(DefaultDenyPolicies {
        opening: [dns]
            .into_iter()
            .chain(passes(passed))
            .map(|wanted| wanted.policy(flavour))
            .collect(),
        closing: vec![deny.policy(flavour)],
        staged: Vec::new(),
    })
}

/// The default deny of a platform in stage Observe. `undecided` matters only where there are no tiers
/// ([`depends_on_others`]).
///
/// # Errors
/// Where it cannot be written in this flavour.
pub fn observed_default_deny(
    platform: &Platform,
    undecided: &Undecided,
    flavour: Flavour,
) -> Result<DefaultDenyPolicies, DefaultDenyError> {
    if flavour.api == PolicyApi::Kubernetes {
        return Err(DefaultDenyError::NoCalico);
    }
    if flavour.staged {
        let DefaultDenyPolicies {
            opening, closing, ..
        } = default_deny(platform, flavour)?;
        let all = opening.into_iter().chain(closing);
        return Ok(DefaultDenyPolicies {
            staged: all.map(super::staged_policy).collect(),
            ..DefaultDenyPolicies::default()
        });
    }
    let dns = calico_rule::dns(&platform.dns_addresses);
    let wanted = if depends_on_others(flavour) {
        let mut wanted = observing(Direction::Ingress, &undecided.ingress, Vec::new());
        wanted.extend(observing(Direction::Egress, &undecided.egress, dns));
        wanted
    } else {
        let Selected { selector, passed } = Selected::of(&platform.default_deny.exempt, true)?;
        let observe = Wanted {
            name: "landing-zones-observe".to_owned(),
            tier: tier::BASELINE,
            order: OBSERVE,
            selector,
            types: BOTH,
            ingress: calico_rule::passing(logged(Vec::new())),
            egress: calico_rule::passing(logged(dns)),
        };
        passes(passed).chain([observe]).collect()
    };
    Ok(DefaultDenyPolicies {
        opening: wanted.into_iter().map(|it| it.policy(flavour)).collect(),
        ..DefaultDenyPolicies::default()
    })
}

/// Whether in stage Observe the policies depend on where others decide: with Calico, without tiers.
#[must_use]
pub fn depends_on_others(flavour: Flavour) -> bool {
    flavour.api != PolicyApi::Kubernetes && !tier::used(flavour)
}

/// In which stage the platform has a policy, by its name in Calico's storage; None for one that is
/// needed in several.
#[must_use]
pub fn stage_of(name: &str) -> Option<DefaultDenyStage> {
    let name = name.rsplit('.').next().unwrap_or(name);
    if name.starts_with("landing-zones-observe") {
        Some(DefaultDenyStage::Observe)
    } else if name.starts_with("landing-zones-exempt") {
        None
    } else {
        Some(DefaultDenyStage::Enforce)
    }
}

/// What logs one direction of these namespaces and allows it. One that becomes a landing zone's has its
/// own policies from then on.
fn observing(direction: Direction, names: &BTreeSet<String>, allowed: Vec<Rule>) -> Vec<Wanted> {
    let name = match direction {
        Direction::Ingress => "landing-zones-observe-ingress",
        Direction::Egress => "landing-zones-observe-egress",
    };
    let selector = |names: &[&String]| {
        let names = names.iter().map(|name| name.as_str());
        let these = Selector::one_of(names::CALICO_NAMESPACE_NAME, names);
        Selector::and([Selector::has(names::OWNER).negate(), these]).to_string()
    };
    let rules = logged(allowed);
    in_parts(names, name, selector)
        .into_iter()
        .map(|(name, selector)| {
            let (types, ingress, egress) = match direction {
                Direction::Ingress => (["Ingress"].as_slice(), rules.clone(), Vec::new()),
                Direction::Egress => (["Egress"].as_slice(), Vec::new(), rules.clone()),
            };
            Wanted {
                name,
                tier: tier::BASELINE,
                order: OBSERVE,
                selector,
                types,
                ingress,
                egress,
            }
        })
        .collect()
}

/// What stage Enforce would allow, without a word; then the rest, logged.
fn logged(allowed: Vec<Rule>) -> Vec<Rule> {
    let rest = calico_rule::log_and_allow();
    allowed.into_iter().chain(rest).collect()
}

fn passes(passed: Vec<(String, String)>) -> impl Iterator<Item = Wanted> {
    passed.into_iter().map(|(name, selector)| Wanted {
        name,
        tier: tier::BASELINE,
        order: EXEMPT,
        selector,
        types: BOTH,
        ingress: vec![pass_all()],
        egress: vec![pass_all()],
    })
}

/// Which namespaces are selected.
struct Selected {
    /// Those that are denied, and perhaps some of those in `passed`.
    selector: String,
    /// Those that pass before that: names of policies, and their selectors.
    passed: Vec<(String, String)>,
}

impl Selected {
    fn of(exempt: &Exempt, tiers: bool) -> Result<Self, DefaultDenyError> {
        let labelled = exempted_by(&exempt.labels);
        let whole = selecting_all_but(&exempt.all_names(), labelled);
        if whole.len() <= MAX_SELECTOR_LENGTH {
            return Ok(Self {
                selector: whole,
                passed: Vec::new(),
            });
        }
        if !tiers {
            let by = whole.len() - MAX_SELECTOR_LENGTH;
            return Err(DefaultDenyError::TooLong { by });
        }
        let built_in = BUILT_IN_EXEMPT_NAMESPACES.iter().copied().collect();
        let mut passed = named(&exempt.names);
        if !exempt.labels.is_empty() {
            let selector = Selector::from(&exempt.labels).to_string();
            passed.push(("landing-zones-exempt-labels".to_owned(), selector));
        }
        Ok(Self {
            selector: selecting_all_but(&built_in, None),
            passed,
        })
    }
}

/// Every namespace but landing zones', those that AKS marks, and these.
fn selecting_all_but(names: &BTreeSet<&str>, labelled: Option<Selector>) -> String {
    let markers = [names::OWNER]
        .into_iter()
        .chain(EXEMPT_MARKERS.iter().copied());
    let unmarked = markers.map(|label| Selector::has(label).negate());
    let unnamed = Selector::none_of(names::CALICO_NAMESPACE_NAME, names.iter().copied());
    Selector::and(unmarked.chain([unnamed]).chain(labelled)).to_string()
}

/// Every namespace that lacks one of these labels; None without labels.
fn exempted_by(labels: &BTreeMap<String, String>) -> Option<Selector> {
    let mut all = labels.iter();
    match (all.next(), all.next()) {
        (None, _) => None,
        (Some((label, value)), None) => Some(Selector::not_equal(label, value)),
        _ => Some(Selector::from(labels).negate()),
    }
}

/// Exempt namespaces by name.
fn named(names: &BTreeSet<String>) -> Vec<(String, String)> {
    in_parts(names, "landing-zones-exempt-names", |names| {
        let names = names.iter().map(|name| name.as_str());
        Selector::one_of(names::CALICO_NAMESPACE_NAME, names).to_string()
    })
}

/// Namespaces in as many policies as their selectors need: names of policies, and their selectors.
fn in_parts(
    names: &BTreeSet<String>,
    policy: &str,
    selector: impl Fn(&[&String]) -> String,
) -> Vec<(String, String)> {
    let parts = halves(
        names.iter().collect(),
        ToString::to_string,
        |names: &[&&String]| {
            let names: Vec<&String> = names.iter().map(|name| **name).collect();
            selector(&names).len() <= MAX_SELECTOR_LENGTH
        },
    );
    let name = |place: u64| match place {
        1 => policy.to_owned(),
        place => format!("{policy}-{place}"),
    };
    parts
        .iter()
        .map(|part| (name(part.place), selector(&part.items)))
        .collect()
}

fn pass_all() -> Rule {
    Rule {
        action: Action::Pass,
        ..calico_rule::deny_all()
    }
}

/// One policy, whatever the flavour.
struct Wanted {
    name: String,
    tier: &'static str,
    order: f64,
    selector: String,
    types: &'static [&'static str],
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
}

impl Wanted {
    fn policy(self, flavour: Flavour) -> GlobalNetworkPolicy {
        let tier = tier::used(flavour).then_some(self.tier);
        let name = policy_name::stored(flavour, tier, &self.name);
        GlobalNetworkPolicy {
            metadata: metadata::of_platform(name),
            spec: GlobalNetworkPolicySpec {
                tier: tier.map(str::to_owned),
                staged_action: None,
                order: Some(self.order),
                selector: None,
                namespace_selector: Some(self.selector),
                types: self.types.iter().map(|&it| it.to_owned()).collect(),
                ingress: self.ingress,
                egress: self.egress,
                ..GlobalNetworkPolicySpec::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;

    use super::super::fixture::{
        CALICO, CRD_NO_TIERS, V3_NO_TIERS, V3_TIERS, any_platform, platform,
    };
    use super::*;

    fn exempting(names: impl IntoIterator<Item = String>) -> Platform {
        let mut platform = platform();
        platform.default_deny.exempt = Exempt::named(names);
        platform
    }

    fn long_names(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|number| format!("{number:03}-{}", "x".repeat(59)))
    }

    fn names(policies: &[GlobalNetworkPolicy]) -> Vec<&str> {
        let names = policies
            .iter()
            .map(|policy| policy.metadata.name.as_deref());
        names.map(Option::unwrap).collect()
    }

    fn selector(policy: &GlobalNetworkPolicy) -> &str {
        policy.spec.namespace_selector.as_deref().unwrap()
    }

    #[test]
    fn without_tiers() {
        let mut platform = exempting(["mine".to_owned()]);
        let labels = [("tier", "platform")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        platform.default_deny.exempt.labels = labels.into();
        let policies = default_deny(&platform, CRD_NO_TIERS).unwrap();
        insta::assert_yaml_snapshot!((&policies.opening, &policies.closing));
    }

    #[test]
    fn with_tiers_and_a_long_list() {
        let mut platform = exempting(long_names(12));
        let labels = [("tier", "platform"), ("team", "blue")];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned()));
        platform.default_deny.exempt.labels = labels.into();
        let policies = default_deny(&platform, V3_TIERS).unwrap();
        insta::assert_yaml_snapshot!((&policies.opening, &policies.closing));
    }

    #[test]
    fn a_short_list_needs_no_second_policy() {
        let policies = default_deny(&exempting(["mine".to_owned()]), V3_TIERS).unwrap();
        assert_eq!(
            names(&policies.opening),
            ["landingzones-platform.landing-zones-dns"]
        );
        assert_eq!(
            selector(&policies.opening[0]),
            selector(&policies.closing[0])
        );
        assert!(selector(&policies.closing[0]).contains("'mine'"));
        let name = policies.closing[0].metadata.name.as_deref().unwrap();
        assert!(super::super::denies(name));
    }

    #[test]
    fn without_tiers_a_list_that_is_too_long_is_an_error() {
        let fits = (0..500).find(|&count| {
            let platform = exempting(long_names(count + 1));
            default_deny(&platform, V3_NO_TIERS).is_err()
        });
        let fits = fits.unwrap();
        assert!(fits >= 7, "{fits} long names fit");
        let error = default_deny(&exempting(long_names(fits + 1)), CRD_NO_TIERS).unwrap_err();
        let DefaultDenyError::TooLong { by } = error else {
            panic!("{error}");
        };
        // One name fewer fits: 63 characters, quotes and a comma.
        assert!((1..=66).contains(&by), "{by}");
        assert!(
            error
                .to_string()
                .contains(&format!("{by} characters too many"))
        );
        assert!(default_deny(&exempting(long_names(500)), V3_TIERS).is_ok());
    }

    #[test]
    fn kubernetes_policies_cannot_say_it() {
        let error = default_deny(&platform(), Flavour::KUBERNETES).unwrap_err();
        assert_eq!(error, DefaultDenyError::NoCalico);
        let undecided = Undecided::default();
        let error = observed_default_deny(&platform(), &undecided, Flavour::KUBERNETES);
        assert_eq!(error.unwrap_err(), DefaultDenyError::NoCalico);
    }

    fn undecided(ingress: usize, egress: usize) -> Undecided {
        Undecided {
            ingress: long_names(ingress).collect(),
            egress: long_names(egress).collect(),
        }
    }

    #[test]
    fn observed_without_tiers() {
        let policies = observed_default_deny(&platform(), &undecided(1, 2), CRD_NO_TIERS);
        let policies = policies.unwrap();
        assert!(policies.closing.is_empty() && policies.staged.is_empty());
        insta::assert_yaml_snapshot!(policies.opening);
        let none = observed_default_deny(&platform(), &Undecided::default(), CRD_NO_TIERS);
        assert_eq!(none.unwrap(), DefaultDenyPolicies::default());
    }

    #[test]
    fn observed_with_tiers() {
        let platform = exempting(long_names(12));
        let policies = observed_default_deny(&platform, &Undecided::default(), V3_TIERS).unwrap();
        assert!(policies.closing.is_empty() && policies.staged.is_empty());
        insta::assert_yaml_snapshot!(policies.opening);
        let stages: Vec<_> = names(&policies.opening)
            .iter()
            .map(|it| stage_of(it))
            .collect();
        assert_eq!(stages, [None, Some(DefaultDenyStage::Observe)]);
        // An administrator's baseline comes after ours: an Allow would open what it closes.
        for policy in &policies.opening {
            let rules = policy.spec.ingress.iter().chain(&policy.spec.egress);
            for rule in rules {
                assert!(
                    matches!(rule.action, Action::Log | Action::Pass),
                    "{rule:?}"
                );
            }
        }
    }

    #[test]
    fn staged_policies_say_what_would_be_enforced() {
        let platform = exempting(long_names(12));
        let staged = Flavour {
            staged: true,
            ..V3_TIERS
        };
        let enforced = default_deny(&platform, staged).unwrap();
        let observed = observed_default_deny(&platform, &Undecided::default(), staged).unwrap();
        assert!(observed.opening.is_empty() && observed.closing.is_empty());
        let mut expected = [enforced.opening, enforced.closing].concat();
        for policy in &mut expected {
            policy.spec.staged_action = Some("Set".to_owned());
        }
        assert_eq!(observed.staged, expected);
    }

    fn any_exempt() -> impl Strategy<Value = Exempt> {
        let name = "[a-z]([a-z0-9-]{0,61}[a-z0-9])?";
        let label = "([a-z]{1,20}[.][a-z]{1,20}/)?[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,20}[a-zA-Z0-9])?";
        let value = prop_oneof!["", "[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,30}[a-zA-Z0-9])?"];
        (btree_set(name, 0..80), btree_map(label, value, 0..8)).prop_map(|(names, labels)| Exempt {
            labels,
            ..Exempt::named(names)
        })
    }

    proptest! {
        /// Felix treats what it cannot read as missing: a pass that is missing cuts off who is exempt.
        #[test]
        fn calico_takes_whatever_is_made(exempt in any_exempt(), mut platform in any_platform()) {
            platform.default_deny.exempt = exempt.clone();
            for flavour in CALICO {
                let names = exempt.names.clone();
                let undecided = Undecided { ingress: names.clone(), egress: names };
                let observed = observed_default_deny(&platform, &undecided, flavour).unwrap();
                for policy in &observed.opening {
                    let problems = policy.validate(flavour);
                    prop_assert!(problems.is_empty(), "{policy:?}: {problems:?}");
                }
                let Ok(policies) = default_deny(&platform, flavour) else {
                    prop_assert!(!flavour.tiers);
                    continue;
                };
                let all = policies.opening.iter().chain(&policies.closing);
                for policy in all {
                    let problems = policy.validate(flavour);
                    prop_assert!(problems.is_empty(), "{policy:?}: {problems:?}");
                }
                // Everybody who is exempt is told apart somewhere.
                let texts: Vec<&str> = policies.opening.iter().map(selector).collect();
                for name in &exempt.names {
                    let quoted = format!("'{name}'");
                    let found = texts.iter().any(|text| text.contains(&quoted));
                    prop_assert!(found, "{name} is in none of {texts:?}");
                }
                for name in BUILT_IN_EXEMPT_NAMESPACES {
                    let quoted = format!("'{name}'");
                    prop_assert!(selector(&policies.closing[0]).contains(&quoted));
                }
            }
        }
    }
}
