//! From what people wrote to [`LandingZone`], or everything that is wrong with it.
//!
//! Each file here speaks of one part of the declaration. All of them report into [`Findings`] and
//! go on, so that an author learns of every mistake at once.

mod access;
pub(super) mod azure;
mod crossings;
pub(super) mod defaults;
pub(super) mod metadata;
mod namespaces;
pub(super) mod network;
mod placement;
mod quotas;
pub(super) mod shared_services;
#[cfg(test)]
mod tests;
pub(super) mod workload_rules;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use super::azure::placed_on_own_pool;
use super::{ApplicationCode, FieldPath, LandingZone, LandingZoneName, Platform, Problem, syntax};
use crate::api::{self, rule};

impl LandingZone {
    /// Validates a declaration.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the fields; never empty.
    pub fn validate(
        declared: &api::LandingZone,
        platform: &Platform,
    ) -> Result<Self, Vec<Problem>> {
        let mut findings = Findings::default();
        let root = FieldPath::default();
        let own_name = declared.metadata.name.as_deref().unwrap_or_default();
        let name = findings.parse::<LandingZoneName>(&root.key("metadata").key("name"), own_name);

        let spec = &declared.spec;
        let path = root.key("spec");
        let code =
            findings.parse::<ApplicationCode>(&path.key("applicationCode"), &spec.application_code);
        if let Some(contact) = &spec.contact {
            findings.check(
                &path.key("contact"),
                contact,
                syntax::one_line(contact, 256),
            );
        }
        metadata::labels(&spec.labels, &path.key("labels"), &mut findings);
        let required = &platform.required_labels;
        metadata::required(&spec.labels, required, &path.key("labels"), &mut findings);
        let quota_total = quotas::hard(&spec.quota_total, &path.key("quotaTotal"), &mut findings);
        let defaults = &platform.defaults;
        let namespaces =
            namespaces::validate(spec, defaults, &path.key("namespaces"), &mut findings);
        let azure = platform.azure.as_ref();
        if let Some(operator) = azure.and_then(|it| it.service_operator.as_ref()) {
            let path = path.key("namespaces");
            namespaces::not_azure(spec, &operator.namespace, &path, &mut findings);
        }
        quotas::total(&quota_total, spec, &defaults.quota, &path, &mut findings);

        let zones = Zones(spec.namespaces.iter().map(|n| n.zone.as_str()).collect());
        let access = access::validate(spec, &zones, platform, &path.key("access"), &mut findings);
        let placement = spec
            .placement
            .as_ref()
            .map(|declared| placement::validate(declared, &path.key("placement"), &mut findings))
            .or_else(|| defaults.placement.clone());
        let azure = spec.azure.as_ref().map(|declared| {
            azure::landing_zone(declared, platform, &path.key("azure"), &mut findings)
        });
        let azure = azure.unwrap_or_default();
        let placement = match (&azure.node_pool, &spec.placement) {
            (None, _) => placement,
            // What the platform says of others' nodes does not hold for those who have their own.
            (Some(pool), declared) => {
                let declared = placement.filter(|_| declared.is_some());
                let code = &spec.application_code;
                azure::placement(
                    declared.as_ref(),
                    code,
                    &path.key("placement"),
                    &mut findings,
                );
                Some(placed_on_own_pool(declared, code, pool))
            }
        };
        let network =
            network::validate(spec, own_name, &zones, &path.key("network"), &mut findings);

        match (name, code) {
            (Some(name), Some(code)) if findings.0.is_empty() => Ok(Self {
                name,
                code,
                contact: spec.contact.clone(),
                stage: spec.stage.unwrap_or_default(),
                suspend: spec.suspend.unwrap_or_default(),
                adoption_policy: spec.adoption_policy.unwrap_or_default(),
                delete_policy: spec.delete_policy.unwrap_or_default(),
                quota_total,
                namespaces,
                access,
                placement,
                network,
                azure,
            }),
            _ => Err(findings.0),
        }
    }
}

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Problem>);

impl Findings {
    /// Longest value that is shown whole.
    const SHOWN: usize = 80;

    pub(super) fn report(
        &mut self,
        path: &FieldPath,
        value: impl Display,
        rule: impl Into<String>,
    ) {
        let mut value = value.to_string();
        if value.chars().count() > Self::SHOWN {
            value = value.chars().take(Self::SHOWN).chain(['…']).collect();
        }
        self.0.push(Problem {
            path: path.clone(),
            value,
            rule: rule.into(),
        });
    }

    pub(super) fn check(
        &mut self,
        path: &FieldPath,
        value: impl Display,
        outcome: Result<(), String>,
    ) {
        if let Err(rule) = outcome {
            self.report(path, value, rule);
        }
    }

    fn parse<T: FromStr<Err = String>>(&mut self, path: &FieldPath, text: &str) -> Option<T> {
        text.parse()
            .map_err(|rule: String| self.report(path, text, rule))
            .ok()
    }
}

/// The zones that the namespaces of one declaration name.
struct Zones<'a>(BTreeSet<&'a str>);

impl Zones<'_> {
    fn check_known(&self, zone: &str, path: &FieldPath, findings: &mut Findings) {
        if !self.0.contains(zone) {
            let known = self.0.iter().copied().collect::<Vec<_>>().join(", ");
            findings.report(
                path,
                zone,
                format!("{} (there are {known})", rule::UNKNOWN_ZONE),
            );
        }
    }
}
