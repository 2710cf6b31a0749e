//! The default deny of the whole cluster: how far it goes, and whom it leaves alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{FieldPath, Problem, syntax};
use crate::api::rule::{self, BUILT_IN_EXEMPT_NAMESPACES, EXEMPT_MARKERS};
use crate::api::{self, DefaultDenyStage, LandingZonePlatformSpec, names};

/// The default deny of the whole cluster, as declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultDeny {
    /// How far it shall go.
    pub stage: DefaultDenyStage,
    /// Whom it leaves alone.
    pub exempt: Exempt,
}

/// Namespaces that the default deny leaves alone, besides landing zones, the built-in names and the
/// markers of AKS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exempt {
    /// By name; each is a DNS label, and none is built in.
    pub names: BTreeSet<String>,
    /// By labels, all of them together; empty: none.
    pub labels: BTreeMap<String, String>,
}

impl DefaultDeny {
    /// What a platform declares. What is wrong with it is added to `problems`.
    pub(super) fn declared(
        spec: &LandingZonePlatformSpec,
        path: &FieldPath,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let stage = spec.default_deny.as_ref().and_then(|deny| deny.stage);
        let exempt = spec.exempt.as_ref();
        Self {
            stage: stage.unwrap_or_default(),
            exempt: exempt
                .map(|exempt| Exempt::declared(exempt, &path.key("exempt"), problems))
                .unwrap_or_default(),
        }
    }
}

impl Exempt {
    /// These names, built-in ones left out.
    #[must_use]
    pub fn named(names: impl IntoIterator<Item = String>) -> Self {
        let is_built_in = |name: &String| BUILT_IN_EXEMPT_NAMESPACES.contains(&name.as_str());
        Self {
            names: names
                .into_iter()
                .filter(|name| !is_built_in(name))
                .collect(),
            labels: BTreeMap::new(),
        }
    }

    fn declared(declared: &api::Exempt, path: &FieldPath, problems: &mut Vec<Problem>) -> Self {
        let mut check = |path: &FieldPath, value: &str, outcome: Result<(), String>| {
            if let Err(rule) = outcome {
                problems.push(Problem {
                    path: path.clone(),
                    value: value.chars().take(80).collect(),
                    rule,
                });
            }
        };
        let at_names = path.key("namespaces");
        for (index, name) in declared.namespaces.iter().enumerate() {
            check(&at_names.index(index), name, syntax::dns_label(name, 63));
        }
        let labels = declared.selector.as_ref().map(|it| &it.match_labels);
        if let Some(labels) = labels {
            let path = path.key("selector").key("matchLabels");
            check(&path, "", fits(labels).map_err(str::to_owned));
            for (key, value) in labels {
                let path = path.key(key);
                check(&path, key, syntax::qualified_name(key));
                check(&path, value, syntax::label_value_or_empty(value));
            }
        }
        Self {
            labels: labels.cloned().unwrap_or_default(),
            ..Self::named(declared.namespaces.iter().cloned())
        }
    }

    /// All names, built-in ones included.
    #[must_use]
    pub fn all_names(&self) -> BTreeSet<&str> {
        let declared = self.names.iter().map(String::as_str);
        BUILT_IN_EXEMPT_NAMESPACES
            .iter()
            .copied()
            .chain(declared)
            .collect()
    }

    /// Whether the default deny leaves a namespace alone: as exempt, or as a landing zone's.
    #[must_use]
    pub fn leaves_alone(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let declared = |(key, value)| labels.get(key) == Some(value);
        let has = |key: &&str| labels.contains_key(*key);
        self.all_names().contains(name)
            || labels.contains_key(names::OWNER)
            || EXEMPT_MARKERS.iter().any(has)
            || (!self.labels.is_empty() && self.labels.iter().all(declared))
    }
}

fn fits(labels: &BTreeMap<String, String>) -> Result<(), &'static str> {
    let length: usize = labels
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if labels.is_empty() {
        Err(rule::EMPTY_EXEMPT_SELECTOR)
    } else if labels.len() > rule::SELECTOR_LABELS || length > rule::SELECTOR_LENGTH {
        Err(rule::LONG_EXEMPT_SELECTOR)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn declared(spec: serde_json::Value) -> Result<DefaultDeny, Vec<String>> {
        let spec = serde_json::from_value(spec).unwrap();
        let mut problems = Vec::new();
        let path = FieldPath::default().key("spec");
        let deny = DefaultDeny::declared(&spec, &path, &mut problems);
        if problems.is_empty() {
            Ok(deny)
        } else {
            Err(problems.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn left_out_it_is_off() {
        for spec in [json!({}), json!({"defaultDeny": {}, "exempt": {}})] {
            assert_eq!(declared(spec).unwrap(), DefaultDeny::default());
        }
        assert_eq!(DefaultDeny::default().stage, DefaultDenyStage::Off);
    }

    #[rstest]
    #[case("kube-system", &[], true)]
    #[case("cert-manager", &[], true)]
    #[case("mine", &[], true)]
    #[case("shop", &[], false)]
    #[case("shop", &[("landingzones.dev/landing-zone", "shop")], true)]
    #[case("gadget", &[("kubernetes.azure.com/managedby", "aks")], true)]
    #[case("gadget", &[("control-plane", "")], true)]
    #[case("shop", &[("tier", "platform"), ("team", "blue")], true)]
    #[case("shop", &[("tier", "platform")], false)]
    #[case("shop", &[("tier", "other"), ("team", "blue")], false)]
    fn it_leaves_alone(
        #[case] name: &str,
        #[case] labels: &[(&str, &str)],
        #[case] expected: bool,
    ) {
        let exempt = declared(json!({"exempt": {
            "namespaces": ["mine", "kube-system"],
            "selector": {"matchLabels": {"tier": "platform", "team": "blue"}},
        }}));
        let exempt = exempt.unwrap().exempt;
        assert_eq!(exempt.names, BTreeSet::from(["mine".to_owned()]));
        let labels = labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(exempt.leaves_alone(name, &labels.collect()), expected);
        // No labels at all are not "all of no labels".
        assert!(!Exempt::default().leaves_alone("shop", &BTreeMap::new()));
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let wrong = json!({"exempt": {
            "namespaces": ["fine", "Mine", "a.b"],
            "selector": {"matchLabels": {"a b": "c", "d": "-"}},
        }});
        let told = declared(wrong).unwrap_err();
        let starts = [
            r#"spec.exempt.namespaces[1]: "Mine": must be lower-case"#,
            r#"spec.exempt.namespaces[2]: "a.b": must be lower-case"#,
            r#"spec.exempt.selector.matchLabels.a b: "a b": must be a name"#,
            r#"spec.exempt.selector.matchLabels.d: "-": must be at most 63"#,
        ];
        assert_eq!(told.len(), starts.len(), "{told:?}");
        for (told, start) in told.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}");
        }
        let labels = |labels| json!({"exempt": {"selector": {"matchLabels": labels}}});
        let empty = declared(labels(json!({}))).unwrap_err();
        assert!(empty[0].contains("leave selector out"), "{empty:?}");
        let many: BTreeMap<_, _> = (0..9).map(|number| (format!("k{number}"), "v")).collect();
        let many = declared(labels(json!(many))).unwrap_err();
        assert!(many[0].contains("one label"), "{many:?}");
        let long: BTreeMap<_, _> = (0..8)
            .map(|number| (format!("k{number}{}", "x".repeat(50)), "v".repeat(60)))
            .collect();
        let long = declared(labels(json!(long))).unwrap_err();
        assert!(long[0].contains("800 characters"), "{long:?}");
    }
}
