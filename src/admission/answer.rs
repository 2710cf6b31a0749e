//! From a request of the API server to an answer. Pure.

use std::sync::Arc;

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse};
use serde_json::Value;

use crate::api::GuardStage;
use crate::review::{Finding, Found, Landscape, Object, Rule, Severity, added, judge, judged_part};

/// The API server shows so much of a warning.
const LONGEST_WARNING: usize = 250;
/// So many warnings are given, and so many findings stand in a refusal; the rest is counted.
const MOST_TOLD: usize = 5;
/// A finding in a refusal is cut there, in characters.
const LONGEST_TOLD: usize = 800;

/// What an answer depends on besides the request.
#[derive(Clone, Debug)]
pub struct Knowledge {
    /// Whether findings are refused, or only told.
    pub stage: GuardStage,
    /// What is declared, and whose namespaces there are.
    pub landscape: Arc<Landscape>,
}

/// Answers a request. Of a change only what it adds is told: who edits an old policy need not mend all of it, and what is
/// being deleted can lose its finalizers. Until they are gone it is in force, and can be changed like any other.
#[must_use]
pub fn answer(
    request: &AdmissionRequest<DynamicObject>,
    knowledge: &Knowledge,
) -> AdmissionResponse {
    let response = AdmissionResponse::from(request);
    let Some(object) = &request.object else {
        return response;
    };
    if knowledge.stage == GuardStage::Off {
        return response;
    }
    let kind = &request.kind;
    let landscape = &knowledge.landscape;
    let before = request.old_object.as_ref();
    let before = before.and_then(|it| found(it, &kind.group, &kind.version, &kind.kind, landscape));
    // What is of a kind that is not judged is for those who validate it.
    let Some(now) = found(object, &kind.group, &kind.version, &kind.kind, landscape) else {
        return response;
    };
    let was = before.as_ref().map(Judged::found);
    let is_new = added(&now.found(), was.as_slice());
    let new = now.findings.into_iter().zip(is_new);
    let new: Vec<_> = new
        .filter(|(_, is_new)| *is_new)
        .map(|(it, _)| it)
        .collect();
    let zone = request
        .namespace
        .as_deref()
        .and_then(|it| landscape.of_namespace(it));
    let zone = zone
        .map(|(boundary, _)| boundary.name())
        .unwrap_or_default();
    told(response, &new, zone, knowledge.stage)
}

/// The answer of whoever could not judge in time: it has to be taken for open.
#[must_use]
pub(super) fn in_vain(
    request: &AdmissionRequest<DynamicObject>,
    stage: GuardStage,
) -> AdmissionResponse {
    let finding = Finding::new(
        Rule::TooComplex,
        crate::domain::FieldPath::default(),
        "it could not be judged in time",
        "write it shorter: fewer rules, and selectors with fewer alternatives",
    );
    let zone = request.namespace.as_deref().unwrap_or_default();
    told(AdmissionResponse::from(request), &[finding], zone, stage)
}

/// An object, and what is found in it.
struct Judged {
    object: Value,
    findings: Vec<Finding>,
}

impl Judged {
    fn found(&self) -> Found<'_> {
        Found {
            object: &self.object,
            findings: self.findings.iter().collect(),
        }
    }
}

/// What is found in an object that would not be there in a review; None where it is not judged. What cannot be read is
/// found, too: nobody can say what becomes of it.
fn found(
    object: &DynamicObject,
    group: &str,
    version: &str,
    kind: &str,
    landscape: &Landscape,
) -> Option<Judged> {
    let object = judged_part(&format!("{group}/{version}"), kind, object);
    let mut findings = match Object::read(&object)? {
        Ok(read) => judge(&read, landscape),
        Err(unread) => vec![Finding::from(&unread)],
    };
    // Only namespaces of landing zones are asked about, so one that is not known is not known yet.
    findings.retain(|it| it.severity() > Severity::Note && it.rule != Rule::NamespaceUnknown);
    Some(Judged { object, findings })
}

fn told(
    mut response: AdmissionResponse,
    findings: &[Finding],
    zone: &str,
    stage: GuardStage,
) -> AdmissionResponse {
    let (crossing, others): (Vec<_>, Vec<_>) = findings.iter().partition(|it| is_refused(it));
    if stage == GuardStage::Enforce && !crossing.is_empty() {
        let count = crossing.len();
        let mut all: Vec<_> = crossing
            .iter()
            .take(MOST_TOLD)
            .map(|it| sentence(it))
            .collect();
        if count > MOST_TOLD {
            all.push(format!("and {} more", count - MOST_TOLD));
        }
        let message = format!(
            "it leaves the boundary of the landing zone {zone}, and nothing declares that: {}. Change it, or declare \
             the crossing in spec.network of the LandingZone {zone}, and of the one on the other side",
            all.join("; ")
        );
        return response.deny(message);
    }
    let count = findings.len();
    let mut warnings: Vec<_> = crossing
        .into_iter()
        .chain(others)
        .take(MOST_TOLD)
        .map(|it| cut(&sentence(it), LONGEST_WARNING))
        .collect();
    if count > MOST_TOLD {
        warnings.push(format!(
            "{} more findings: kubectl landingzone review lists them",
            count - MOST_TOLD
        ));
    }
    response.warnings = (!warnings.is_empty()).then_some(warnings);
    response
}

/// Whether it is about the boundary, and nothing declares it. Waivers do not count: whoever may write the policy may
/// write the waiver.
fn is_refused(finding: &Finding) -> bool {
    finding.rule.needs_approval() && finding.declared.is_none()
}

/// A finding with its place, as a review tells it.
fn sentence(finding: &Finding) -> String {
    let place = finding.path.to_string();
    let text = if place.is_empty() {
        finding.to_string()
    } else {
        format!("{place}: {finding}")
    };
    cut(&text, LONGEST_TOLD)
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
