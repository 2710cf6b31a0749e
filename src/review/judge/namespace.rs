//! Namespaces: their labels make their pods part of what selectors mean.

use k8s_openapi::api::core::v1::Namespace;

use super::Judge;
use crate::api::names::{APPLICATION_CODE, OWNER, POD_SECURITY_PREFIX, STAGE, ZONE};
use crate::domain::FieldPath;
use crate::review::landscape::Boundary;
use crate::review::{Finding, Rule};

/// How much a Pod Security standard forbids; Kubernetes takes what is none for the strictest.
fn strictness(standard: &str) -> u8 {
    match standard {
        "privileged" => 0,
        "baseline" => 1,
        _ => 2,
    }
}

impl Judge<'_> {
    /// The labels by which pods count as inside are given by whoever declares the landing zone. Where nobody declares
    /// the application, its code on namespaces is all that there is.
    pub(super) fn namespace(&mut self, namespace: &Namespace) {
        let metadata = &namespace.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
        let declaring = self.landscape.declaring(name);
        let joined = |key: &str, whose: String| {
            let declared = match declaring {
                Some(other) => format!("{other} declares it"),
                None => "no LandingZone declares it".to_owned(),
            };
            let names = [metadata.name.as_deref(), metadata.generate_name.as_deref()];
            let name = names.into_iter().flatten().next().unwrap_or_default();
            let text = label(key).unwrap_or_default();
            Finding {
                rule: Rule::NamespaceJoins,
                path: FieldPath::default().key("metadata").key("labels").key(key),
                message: format!(
                    "{key}: {text} makes namespace {name} part of {whose} for policies that ask for it, and {declared}"
                ),
                witness: Some(format!(
                    "any pod of namespace {name} counts as one of {whose}"
                )),
                declared: None,
                suggestion: format!(
                    "remove the label; if it is meant, declare {name} in spec.namespaces of {whose}: the operator then \
                     labels it"
                ),
                waived: None,
                opening: None,
            }
        };
        let owner = label(OWNER)
            .filter(|owner| declaring.and_then(|it| it.landing_zone.as_deref()) != Some(*owner));
        if let Some(owner) = owner {
            return self
                .findings
                .push(joined(OWNER, format!("landing zone {owner}")));
        }
        let code = label(APPLICATION_CODE)
            .filter(|code| declaring.is_none_or(|it| it.code != **code))
            .filter(|code| {
                declaring.is_some() || self.landscape.declared_with_code(code).is_some()
            });
        if let Some(code) = code {
            let whose = self.landscape.declared_with_code(code);
            let whose = whose.map_or_else(|| format!("application {code}"), ToString::to_string);
            self.findings.push(joined(APPLICATION_CODE, whose));
        }
        if let Some(boundary) = declaring {
            self.weakened(namespace, boundary);
        }
    }

    /// The labels that the operator writes on a namespace of a landing zone, where somebody else writes others.
    fn weakened(&mut self, namespace: &Namespace, boundary: &Boundary) {
        let metadata = &namespace.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let Some(known) = self.landscape.namespace(name) else {
            return;
        };
        let enforce = format!("{POD_SECURITY_PREFIX}enforce");
        for (key, what) in [
            (ZONE, "its pods get what is open for another zone"),
            (STAGE, "rules on admission no longer hold for its pods"),
            (
                enforce.as_str(),
                "its pods may do more: those on the host's network are outside of every network policy",
            ),
        ] {
            let written = metadata.labels.as_ref().and_then(|it| it.get(key));
            let declared = known.labels.get(key);
            let (Some(written), Some(declared)) = (written, declared) else {
                continue;
            };
            let is_less = match key {
                ZONE => written != declared,
                STAGE => written != declared && declared == "Enforce",
                _ => strictness(written) < strictness(declared),
            };
            if !is_less {
                continue;
            }
            self.find(
                Rule::NamespaceWeakened,
                FieldPath::default().key("metadata").key("labels").key(key),
                format!(
                    "{key}: {written} on namespace {name} takes back what {boundary} declares, which is {declared}; until the \
                     operator puts it back, {what}"
                ),
                format!("remove the label; if it is meant, change it in spec.namespaces of {boundary}"),
            );
            if let Some(found) = self.findings.last_mut() {
                found.witness = Some(format!("any pod of namespace {name}: {what}"));
            }
        }
    }
}
