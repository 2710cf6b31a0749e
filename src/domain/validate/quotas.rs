//! Quotas and limits: what the API server would refuse in a `ResourceQuota` or a `LimitRange` is
//! refused here, so that nothing is applied halfway.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Findings;
use crate::api::rule::{self, CONTAINER_RESOURCES, COUNTED_RESOURCES, MEASURED_RESOURCES};
use crate::api::{ContainerLimits, LandingZoneSpec, QuantityText};
use crate::domain::{FieldPath, Limits, Quantity, syntax};

type Declared = BTreeMap<String, QuantityText>;
type Quantities = BTreeMap<String, Quantity>;

/// Reads the hard limits of a quota.
pub(super) fn hard(declared: &Declared, path: &FieldPath, findings: &mut Findings) -> Quantities {
    quantities(declared, path, findings, quota_resource)
}

/// Checks that the quotas of all namespaces add up to no more than `total`, exactly. A namespace without
/// any has the quota `default`.
///
/// A namespace without a quota for a resource that has a total is unbounded, which no total holds.
pub(super) fn total(
    total: &Quantities,
    spec: &LandingZoneSpec,
    default: &Quantities,
    path: &FieldPath,
    findings: &mut Findings,
) {
    for (resource, most) in total {
        let mut parts = Vec::new();
        let mut by_default = 0;
        for (index, namespace) in spec.namespaces.iter().enumerate() {
            let path = path.key("namespaces").index(index).key("quota");
            if let Some(part) = namespace.quota.get(resource) {
                parts.extend(part.0.parse::<Quantity>().ok());
            } else if !namespace.quota.is_empty() || default.is_empty() {
                findings.report(&path, "", format!("{} ({resource})", rule::UNBOUNDED));
            } else if let Some(part) = default.get(resource) {
                parts.push(part.clone());
                by_default += 1;
            } else {
                let rule = rule::UNBOUNDED_BY_DEFAULT;
                findings.report(&path, "", format!("{rule} ({resource})"));
            }
        }
        let sum: Quantity = parts.iter().sum();
        if sum > *most {
            let mut rule = format!("{} (they are {sum}", rule::OVER_TOTAL);
            if let Some(part) = default.get(resource).filter(|_| by_default > 0) {
                let _ = write!(rule, ", with {part} for each of {by_default} that have");
                rule.push_str(" no quota of their own, from the platform's defaults");
            }
            rule.push(')');
            findings.report(&path.key("quotaTotal").key(resource), most, rule);
        }
    }
}

/// Reads defaults and bounds of containers, and holds them against each other as the API server
/// does for a `LimitRange`, after its own defaulting.
pub(super) fn limits(
    declared: &ContainerLimits,
    path: &FieldPath,
    findings: &mut Findings,
) -> Limits {
    let before = findings.0.len();
    let mut read =
        |values, field| quantities(values, &path.key(field), findings, container_resource);
    let limits = Limits {
        default: read(&declared.default, "default"),
        default_request: read(&declared.default_request, "defaultRequest"),
        max: read(&declared.max, "max"),
        min: read(&declared.min, "min"),
    };
    // What does not parse says nothing about the rest.
    if findings.0.len() == before {
        consistent(&limits, path, findings);
    }
    limits
}

fn consistent(limits: &Limits, path: &FieldPath, findings: &mut Findings) {
    let Limits {
        default,
        default_request,
        max,
        min,
    } = limits;
    let ordered = [
        ("min", min, "max", max),
        ("min", min, "default", default),
        ("min", min, "defaultRequest", default_request),
        ("default", default, "max", max),
        ("defaultRequest", default_request, "max", max),
        ("defaultRequest", default_request, "default", default),
    ];
    for (lower_field, lower, upper_field, upper) in ordered {
        for (resource, low) in lower {
            if let Some(high) = upper.get(resource).filter(|high| low > *high) {
                findings.report(
                    &path.key(lower_field).key(resource),
                    low,
                    format!("is more than {upper_field}: lower it, or raise {upper_field} (it is {high})"),
);
            }
        }
    }

    let resources: BTreeSet<&String> = default.keys().chain(max.keys()).collect();
    for resource in resources {
        // Kubernetes takes max for a missing default.
        let limit = default.get(resource).or_else(|| max.get(resource));
        let request = default_request.get(resource);
        if !may_be_overcommitted(resource)
            && let (Some(limit), Some(request)) = (limit, request)
            && limit != request
        {
            findings.report(
                &path.key("defaultRequest").key(resource),
                request,
                rule::OVERCOMMIT,
            );
        }
    }
}

fn quantities(
    declared: &Declared,
    path: &FieldPath,
    findings: &mut Findings,
    check_resource: fn(&str) -> Result<(), String>,
) -> Quantities {
    let mut read = Quantities::new();
    for (resource, text) in declared {
        let path = path.key(resource);
        findings.check(&path, resource, check_resource(resource));
        let Some(quantity) = findings.parse::<Quantity>(&path, &text.0) else {
            continue;
        };
        if quantity.nano() < 0 {
            findings.report(&path, &quantity, rule::NEGATIVE);
        }
        if !quantity.is_whole() && is_counted(resource) {
            findings.report(&path, &quantity, rule::FRACTION);
        }
        read.insert(resource.clone(), quantity);
    }
    read
}

fn quota_resource(resource: &str) -> Result<(), String> {
    syntax::qualified_name(resource)?;
    let huge_pages = resource
        .strip_prefix("requests.")
        .unwrap_or(resource)
        .starts_with("hugepages-");
    if resource.contains('/')
        || huge_pages
        || MEASURED_RESOURCES.contains(&resource)
        || COUNTED_RESOURCES.contains(&resource)
    {
        return Ok(());
    }
    Err(rule::QUOTA_RESOURCE.into())
}

fn container_resource(resource: &str) -> Result<(), String> {
    syntax::qualified_name(resource)?;
    let standard = CONTAINER_RESOURCES.contains(&resource) || is_huge_pages(resource);
    let extended =
        resource.contains('/') && (is_native(resource) || !resource.starts_with("requests."));
    if standard || extended {
        return Ok(());
    }
    Err(rule::CONTAINER_RESOURCE.into())
}

/// Whether Kubernetes itself defines the resource.
fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

fn is_huge_pages(resource: &str) -> bool {
    resource.starts_with("hugepages-")
}

fn may_be_overcommitted(resource: &str) -> bool {
    is_native(resource) && !is_huge_pages(resource)
}

/// Whether Kubernetes takes whole numbers only: counted objects, and devices.
fn is_counted(resource: &str) -> bool {
    COUNTED_RESOURCES.contains(&resource)
        || (!is_native(resource) && !resource.starts_with("requests."))
}
