//! What a change adds: what is found now and was not before.
//!
//! What leaves the boundary by a rule is old where rules of the same policy opened all of it before, whatever they were called
//! and wherever they stood. Where nobody can say what something opens, it is old only as long as all of the object stays as it
//! is, but for what surely decides nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use ipnet::IpNet;
use serde_json::Value;

use super::address::without;
use super::landscape::STORED;
use super::opening::{Comparing, Extent, Opening};
use super::{Finding, Rule};
use crate::domain::Segment;

/// An object as it is written, and what is found in it.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// What it says.
    pub object: &'a Value,
    /// What is found, whatever of it the caller is interested in.
    pub findings: Vec<&'a Finding>,
}

/// What tells an object from others, whichever of Calico's APIs it is written to: group, kind, namespace and name.
#[must_use]
pub fn identity(object: &Value) -> [String; 4] {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let name = text("/metadata/name").unwrap_or_default();
    let (group, name) = match group {
        // The storage has the tier before the names of policies.
        "crd.projectcalico.org" => (
            "projectcalico.org",
            name.strip_prefix("default.").unwrap_or(name),
        ),
        other => (other, name),
    };
    let kind = text("/kind").unwrap_or_default();
    let namespace = text("/metadata/namespace").unwrap_or_default();
    [group, kind, namespace, name].map(str::to_owned)
}

/// For each finding of an object, whether it was not there before; `before` is the same object as it was, or several that
/// were called so.
#[must_use]
pub fn added(now: &Found<'_>, before: &[Found<'_>]) -> Vec<bool> {
    let mut comparing = Comparing::default();
    let mut others = Others::of(before);
    let known: Vec<&Finding> = before.iter().flat_map(|it| &it.findings).copied().collect();
    let each = now.findings.iter().map(|finding| {
        let is_first = matches!(finding.rule, Rule::OrderBeforePlatform | Rule::OtherTier);
        let is_old = if finding.opening.is_some() && !is_first {
            is_open(finding, &known, &mut comparing)
        } else if is_about_all(finding.rule) {
            let is_same = before.iter().any(|before| {
                opens_no_more(now.object, before.object)
                    && before.findings.iter().any(|it| is_same(finding, it))
            });
            is_same && (finding.opening.is_none() || is_open(finding, &known, &mut comparing))
        } else {
            others.take(finding, now.object)
        };
        !is_old
    });
    each.collect()
}

/// Whether those before opened all that a finding is about: where nothing was declared either, or of all that it reaches, declared
/// or not.
fn is_open(finding: &Finding, known: &[&Finding], comparing: &mut Comparing) -> bool {
    let Some(opening) = &finding.opening else {
        return false;
    };
    let is_declared = finding.declared.is_some();
    let extent = if is_declared {
        Extent::Whole
    } else {
        Extent::Undeclared
    };
    let comparable =
        |it: &&&Finding| (is_declared || it.declared.is_none()) && is_settled_alike(finding, it);
    let mut known: Vec<_> = known
        .iter()
        .filter(comparable)
        .filter_map(|it| Some((*it, it.opening.as_ref()?)))
        .collect();
    // Most rules stay as they are, or where they are.
    known.sort_by_cached_key(|(it, before)| (before.rule != opening.rule, it.path != finding.path));
    let known: Vec<&Opening> = known.iter().map(|(_, before)| before.as_ref()).collect();
    let mut each = known.iter();
    each.any(|before| comparing.is_within(opening, before, extent))
        || comparing.is_within_all(opening, &known, extent)
}

/// Whether somebody says of both, or of neither, that it is meant. What nobody waives any more is to be looked at again, and so
/// is a waiver that nobody has seen.
fn is_settled_alike(finding: &Finding, before: &Finding) -> bool {
    finding.waived.is_some() == before.waived.is_some()
}

fn is_same(finding: &Finding, before: &Finding) -> bool {
    (finding.rule, &finding.path, &finding.message) == (before.rule, &before.path, &before.message)
        && is_settled_alike(finding, before)
}

/// Whether a rule finds something about all of an object: what comes before the boundary opens whatever it allows, and of
/// what is invalid, unknown or too complex nobody knows more.
fn is_about_all(rule: Rule) -> bool {
    match rule {
        // It says all that it is about.
        Rule::NamespaceJoins | Rule::NamespaceExempt => false,
        rule => rule.leaves_boundary(),
    }
}

/// Whether an object surely opens no more than another one of which nobody knows what it opens: it says the same, or is a network
/// set with fewer addresses. Whatever denies them counts where it stands.
fn opens_no_more(now: &Value, before: &Value) -> bool {
    let kind = |it: &Value| it.get("kind").and_then(Value::as_str).map(str::to_owned);
    if kind(now) != kind(before) {
        return false;
    }
    match kind(now).as_deref() {
        Some("NetworkSet" | "GlobalNetworkSet") => {
            let (mut one, mut other) = (now.clone(), before.clone());
            let nets = [&mut one, &mut other].map(|it| {
                let spec = it.get_mut("spec").and_then(Value::as_object_mut);
                ranges(spec?.remove("nets")?.as_array()?)
            });
            of_object(now) == of_object(before)
                || (of_object(&one) == of_object(&other)
                    && matches!(nets, [Some(own), Some(others)] if without(&own, &others).is_empty()))
        }
        Some(policy) if policy.ends_with("NetworkPolicy") => {
            of_object(&said(now)) == of_object(&said(before))
        }
        _ => of_object(now) == of_object(before),
    }
}

/// Ranges of a network set; None: nobody knows what one of them is.
fn ranges(nets: &[Value]) -> Option<Vec<IpNet>> {
    let each = nets.iter().map(|it| {
        let text = it.as_str()?;
        let net: Option<IpNet> = text.parse().ok();
        net.filter(|net| net.trunc() == *net)
    });
    each.collect()
}

/// A policy without what nothing reads that decides: its labels, and notes on rules.
fn said(policy: &Value) -> Value {
    let mut said = policy.clone();
    if let Some(metadata) = said.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("labels");
    }
    for direction in ["/spec/ingress", "/spec/egress"] {
        let rules = said.pointer_mut(direction).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            if rule.get("metadata").is_some_and(is_note) {
                rule.remove("metadata");
            }
        }
    }
    said
}

/// Whether it is annotations of a rule, and nothing else.
fn is_note(metadata: &Value) -> bool {
    let fields = metadata.as_object();
    let texts = |it: &Value| {
        let texts = it.as_object();
        texts.is_some_and(|it| it.values().all(Value::is_string))
    };
    fields.is_some_and(|it| {
        it.iter()
            .all(|(key, value)| key == "annotations" && texts(value))
    })
}

/// All that decides what an object opens: of a network set, its labels as well as its addresses. What Calico makes of it
/// depends on where it is written to.
fn of_object(object: &Value) -> [Option<&Value>; 7] {
    let annotations = object.pointer("/metadata/annotations");
    [
        object.get("apiVersion"),
        object.get("spec"),
        object.pointer("/metadata/labels"),
        annotations.and_then(|it| it.get(STORED)),
        // Of what is behind a service.
        object.get("endpoints"),
        object.get("ports"),
        object.get("subsets"),
    ]
}

/// What leaves no boundary by itself: it is known by its rule, its field and what is written there, each as often as it was
/// there before.
struct Others<'a>(HashMap<Key<'a>, usize>);

/// Rule and field; what is written there, or, of what is about no single rule, what is told; and whether it is waived.
type Key<'a> = (Rule, Vec<&'a str>, Option<&'a Value>, Cow<'a, str>, bool);

impl<'a> Others<'a> {
    fn of(before: &[Found<'a>]) -> Self {
        let mut counts = HashMap::new();
        for found in before {
            for finding in &found.findings {
                *counts.entry(key(finding, found.object)).or_default() += 1;
            }
        }
        Self(counts)
    }

    fn take(&mut self, finding: &'a Finding, object: &'a Value) -> bool {
        match self.0.get_mut(&key(finding, object)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

fn key<'a>(finding: &'a Finding, object: &'a Value) -> Key<'a> {
    let keys = finding.path.0.iter().filter_map(|step| match step {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Index(_) => None,
    });
    let rule = finding
        .path
        .0
        .get(..3)
        .filter(|it| matches!(it, [.., Segment::Index(_)]));
    let (value, message) = match rule {
        // All of the rule, and which pods are concerned: they are what Felix ends on.
        Some(rule) if finding.rule == Rule::BreaksFelix => {
            (at(object, rule), Cow::Owned(beside_rules(object)))
        }
        // Nobody knows what any of it means.
        None if finding.rule == Rule::DecidesUnread => (Some(object), Cow::Borrowed("")),
        // It may name the places of rules, which move.
        Some(_) => (at(object, &finding.path.0), Cow::Borrowed("")),
        None => (None, Cow::Borrowed(finding.message.as_str())),
    };
    let is_waived = finding.rule.needs_approval() && finding.waived.is_some();
    (finding.rule, keys.collect(), value, message, is_waived)
}

/// What a spec says beside its rules.
fn beside_rules(object: &Value) -> String {
    let fields = object.get("spec").and_then(Value::as_object);
    let mut fields = fields.cloned().unwrap_or_default();
    fields.retain(|field, _| field != "ingress" && field != "egress");
    Value::Object(fields).to_string()
}

fn at<'a>(object: &'a Value, path: &[Segment]) -> Option<&'a Value> {
    let mut steps = path.iter();
    steps.try_fold(object, |value, step| match step {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}
