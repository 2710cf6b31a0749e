//! Namespaces: their labels make their pods part of what selectors mean.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;

use super::Judge;
use crate::api::DefaultDenyStage;
use crate::api::names::METADATA_NAME;
use crate::api::names::{APPLICATION_CODE, OWNER, POD_SECURITY_PREFIX, STAGE, ZONE};
use crate::api::rule::EXEMPT_MARKERS;
use crate::domain::{FieldPath, ServicePeer};
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
            let witness = format!("any pod of namespace {name} counts as one of {whose}");
            Finding {
                witness: Some(witness),
                ..Finding::new(
                    Rule::NamespaceJoins,
                    FieldPath::default().key("metadata").key("labels").key(key),
                    format!(
                        "{key}: {text} makes namespace {name} part of {whose} for policies that ask for it, and \
                         {declared}"
                    ),
                    format!(
                        "remove the label; if it is meant, declare {name} in spec.namespaces of {whose}: the operator \
                         then labels it"
                    ),
                )
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
        match declaring {
            Some(boundary) => self.weakened(namespace, boundary),
            None => self.of_platform(namespace),
        }
    }

    /// What the platform declares of namespaces by their labels: whoever gives a namespace such labels decides that it is
    /// meant. Where the platform names the namespace, it has decided that itself.
    fn of_platform(&mut self, namespace: &Namespace) {
        let metadata = &namespace.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let empty = BTreeMap::new();
        let labels = metadata.labels.as_ref().unwrap_or(&empty);
        let platform = &self.landscape.platform;
        let mut joined = Vec::new();
        for service in &platform.shared_services {
            for peer in &service.peers {
                let ServicePeer::Pods {
                    namespace_labels, ..
                } = peer
                else {
                    continue;
                };
                let mut wanted = namespace_labels.iter();
                let is_meant = wanted.all(|(key, value)| labels.get(key) == Some(value));
                let is_named = namespace_labels.contains_key(METADATA_NAME);
                if let Some((key, value)) = namespace_labels.iter().next()
                    && is_meant
                    && !is_named
                {
                    joined.push((key.clone(), value.clone(), service.name.clone()));
                }
            }
        }
        let exempt = &platform.default_deny.exempt;
        let is_exempt = platform.default_deny.stage != DefaultDenyStage::Off
            && exempt.leaves_alone(name, labels)
            && !exempt.leaves_alone(name, &empty);
        let mut markers = EXEMPT_MARKERS.iter().copied();
        let exempting = markers
            .find(|key| labels.contains_key(*key))
            .or_else(|| exempt.labels.keys().next().map(String::as_str));
        let exempting = exempting.filter(|_| is_exempt).map(str::to_owned);
        let at = |key: &str| FieldPath::default().key("metadata").key("labels").key(key);
        for (key, value, service) in joined {
            self.find_who(
                Rule::NamespaceJoins,
                at(&key),
                format!(
                    "{key}: {value} makes namespace {name} part of the shared service {service}, with whatever is open for it \
                     in landing zones"
                ),
                format!(
                    "remove the label; if it is meant, name the namespace in the shared service instead: peers with \
                     namespaceSelector: {{matchLabels: {{{METADATA_NAME}: {name}}}}}"
                ),
                format!(
                    "any pod of namespace {name} counts as one of the shared service {service}"
                ),
            );
        }
        if let Some(key) = exempting {
            let value = labels.get(&key).map_or("", String::as_str);
            self.find_who(
                Rule::NamespaceExempt,
                at(&key),
                format!("{key}: {value} takes namespace {name} out of the default deny of the platform"),
                format!(
                    "remove the label; if it is meant, list {name} in spec.exempt.namespaces of the LandingZonePlatform"
                ),
                format!(
                    "any pod of namespace {name} reaches, and is reached from, whatever no other policy closes"
                ),
            );
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
            self.find_who(
                Rule::NamespaceWeakened,
                FieldPath::default().key("metadata").key("labels").key(key),
                format!(
                    "{key}: {written} on namespace {name} takes back what {boundary} declares, which is {declared}; until the \
                     operator puts it back, {what}"
                ),
                format!("remove the label; if it is meant, change it in spec.namespaces of {boundary}"),
                format!("any pod of namespace {name}: {what}"),
            );
        }
    }
}
