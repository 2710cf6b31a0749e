//! Whether the default deny may be in force, and what is said of it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hosts::Hosted;
use crate::api::DefaultDenyStage;
use crate::api::condition::reason;
use crate::build::{self, DefaultDenyError, DefaultDenyPolicies, Undecided};
use crate::controller::cache::Objects;
use crate::controller::kind::ObjectKey;
use crate::controller::platform_status::Verdict;
use crate::controller::rendered::{self, RenderError, Targets};
use crate::controller::status::{Progress, sentence};
use crate::controller::team_policies::Decided;
use crate::domain::{Directions, Exempt, Flavour, Platform, PolicyApi};

/// What becomes of the policies, and what is said of that.
#[derive(Debug)]
pub struct Decision {
    /// The policies that there must be; None: whatever there is stays as it is.
    pub targets: Option<Arc<Targets>>,
    /// How that stands to what is declared, once it is applied.
    pub verdict: Verdict,
    /// Whether something is about to be known that the verdict depends on.
    pub finds_out: bool,
}

/// What there is to know of the cluster.
pub struct Cluster<'a> {
    /// How policies are written.
    pub flavour: Flavour,
    /// Whom the cluster depends on; or what is missing to know that. Asked for where it matters.
    pub hosted: &'a dyn Fn() -> Result<Hosted, String>,
    /// Where others decide; None until that is known, and where it does not matter.
    pub decided: Option<Decided>,
    /// Namespaces.
    pub objects: &'a Objects,
}

/// What keeps Enforce out of force.
enum Refusal {
    /// It cannot be written.
    TooLong(DefaultDenyError),
    /// It is not known yet whether it may be: what is missing.
    NotKnown(String),
    /// Namespaces that it would cut off, as a sentence.
    CutOff(String),
}

/// Decides.
///
/// # Errors
/// Only where rendering is wrong.
pub fn decide(platform: &Platform, cluster: &Cluster<'_>) -> Result<Decision, RenderError> {
    let stage = platform.default_deny.stage;
    if stage != DefaultDenyStage::Off && cluster.flavour.api == PolicyApi::Kubernetes {
        let stuck = Progress::Stuck(reason::NO_CALICO);
        let message = DefaultDenyError::NoCalico.to_string();
        return Ok(Decision::nothing("False", stuck, message));
    }
    match stage {
        DefaultDenyStage::Off => {
            let message = "defaultDeny is Off: nothing is denied but by landing zones".to_owned();
            let done = Progress::Done(reason::OFF);
            Ok(Decision::nothing("True", done, message))
        }
        DefaultDenyStage::Observe => observe(platform, cluster),
        DefaultDenyStage::Enforce => enforce(platform, cluster),
    }
}

/// Stage Enforce.
fn enforce(platform: &Platform, cluster: &Cluster<'_>) -> Result<Decision, RenderError> {
    let policies = match enforced(platform, cluster) {
        Ok(policies) => policies,
        // Less than what was in force would open what is closed.
        Err(Refusal::TooLong(error)) => {
            let stuck = Progress::Stuck(reason::EXEMPTIONS_TOO_LONG);
            return Ok(Decision::hold("False", stuck, &error.to_string()));
        }
        Err(Refusal::NotKnown(missing)) => {
            let why = format!(
                "whether the default deny would cut off what the cluster depends on is not known yet \
                 ({missing})"
            );
            let working = Progress::Working(reason::PROGRESSING);
            return Ok(Decision::hold("Unknown", working, &why));
        }
        Err(Refusal::CutOff(namespaces)) => {
            let message = format!(
                "nothing is denied, because Enforce would cut off what the cluster depends on: \
                 {namespaces}; exempt these namespaces (spec.exempt), or remove what is named, and it \
                 comes into force by itself"
            );
            let stuck = Progress::Stuck(reason::WOULD_CUT_OFF);
            return Ok(Decision::nothing("False", stuck, message));
        }
    };
    let message = "what nothing allows is denied in every namespace that is neither exempt (see \
                   status.effective) nor a landing zone's; DNS is allowed";
    Ok(Decision {
        targets: Some(Arc::new(rendered::default_deny(
            &policies,
            cluster.flavour,
        )?)),
        verdict: Verdict {
            ready: "True",
            progress: Progress::Done(reason::ENFORCING),
            message: message.to_owned(),
        },
        finds_out: false,
    })
}

/// The policies of stage Enforce, where it may come into force.
fn enforced(platform: &Platform, cluster: &Cluster<'_>) -> Result<DefaultDenyPolicies, Refusal> {
    let policies = build::default_deny(platform, cluster.flavour).map_err(Refusal::TooLong)?;
    let hosted = (cluster.hosted)().map_err(Refusal::NotKnown)?;
    let cut_off = cut_off(&hosted, &platform.default_deny.exempt, cluster.objects);
    if cut_off.is_empty() {
        return Ok(policies);
    }
    let namespaces = cut_off
        .into_iter()
        .map(|(name, what)| format!("{name} ({what})"));
    Err(Refusal::CutOff(sentence(namespaces)))
}

/// Stage Observe. It cuts nobody off, so nothing refuses it; what would refuse Enforce is told.
fn observe(platform: &Platform, cluster: &Cluster<'_>) -> Result<Decision, RenderError> {
    let flavour = cluster.flavour;
    let mut undecided = Undecided::default();
    let mut unseen = None;
    if build::depends_on_others(flavour) {
        // As for landing zones: before that is known, an Allow could open what somebody closes.
        let Some(decided) = &cluster.decided else {
            let working = Progress::Working(reason::PROGRESSING);
            let why = "stage Observe waits until the operator knows everybody's policies; if it stays so, \
                       its /readyz and its log say why they cannot be read";
            return Ok(Decision::hold("Unknown", working, why));
        };
        let ordinary = ordinary(&platform.default_deny.exempt, cluster.objects);
        unseen = unobserved(&ordinary, decided);
        undecided = sorted_out(&ordinary, decided);
    }
    let policies = match build::observed_default_deny(platform, &undecided, flavour) {
        Ok(policies) => policies,
        Err(error) => {
            let stuck = Progress::Stuck(reason::EXEMPTIONS_TOO_LONG);
            return Ok(Decision::hold("False", stuck, &error.to_string()));
        }
    };
    let (refused, finds_out) = match enforced(platform, cluster) {
        Ok(_) => (None, false),
        Err(Refusal::TooLong(error)) => (Some(format!("Enforce would be refused: {error}")), false),
        Err(Refusal::NotKnown(missing)) => {
            let text = format!("Whether Enforce would be refused is not known yet ({missing})");
            (Some(text), true)
        }
        Err(Refusal::CutOff(namespaces)) => {
            let text = format!(
                "Enforce would be refused, because it would cut off what the cluster depends on: \
                 {namespaces}; exempt these namespaces (spec.exempt) before"
            );
            (Some(text), false)
        }
    };
    let said = [Some(recorded(flavour)), unseen, refused];
    let said: Vec<String> = said.into_iter().flatten().collect();
    Ok(Decision {
        targets: Some(Arc::new(rendered::default_deny(&policies, flavour)?)),
        verdict: Verdict {
            ready: "True",
            progress: Progress::Done(reason::OBSERVED),
            message: said.join(". "),
        },
        finds_out,
    })
}

/// Where people find what would be denied.
fn recorded(flavour: Flavour) -> String {
    let place = if flavour.staged {
        "is told to Calico's flow logs by staged policies"
    } else {
        "is in the kernel log of the nodes (calico-packet, or what Felix's logPrefix says)"
    };
    format!("nothing is denied; what Enforce would deny {place}")
}

/// Namespaces that the default deny concerns.
fn ordinary(exempt: &Exempt, objects: &Objects) -> BTreeSet<String> {
    objects
        .namespaces()
        .filter(|(name, found)| !exempt.leaves_alone(name, &found.labels))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Where nobody else decides.
fn sorted_out(ordinary: &BTreeSet<String>, decided: &Decided) -> Undecided {
    let free = |closes: fn(Directions) -> bool| {
        let free = |name: &&String| !closes(decided.of(name));
        ordinary.iter().filter(free).cloned().collect()
    };
    Undecided {
        ingress: free(|theirs| theirs.ingress),
        egress: free(|theirs| theirs.egress),
    }
}

/// Where somebody else decides, and nothing is recorded because of it: how many, and some of them.
fn unobserved(ordinary: &BTreeSet<String>, decided: &Decided) -> Option<String> {
    const SHOWN: usize = 3;
    let phrase = |name: &str, directions: Directions| {
        let what = match directions {
            Directions { egress: false, .. } => "what comes in",
            Directions { ingress: false, .. } => "what goes out",
            Directions { .. } => "both directions",
        };
        format!("{name} ({what})")
    };
    let global = decided.global.iter();
    let global: Vec<String> = global
        .map(|(name, directions)| phrase(name, *directions))
        .collect();
    let within = ordinary.iter();
    let within: Vec<String> = within
        .filter_map(|name| Some(phrase(name, *decided.within.get(name)?)))
        .collect();
    let mut parts = Vec::new();
    if !global.is_empty() {
        let names = some(&global, SHOWN);
        parts.push(format!(
            "in all namespaces, global policies: {} ({names})",
            global.len()
        ));
    }
    if !within.is_empty() {
        let names = some(&within, SHOWN);
        parts.push(format!("namespaces: {} ({names})", within.len()));
    }
    let parts = parts.join("; ");
    (!parts.is_empty())
        .then(|| format!("Not recorded, since others' policies decide there: {parts}"))
}

impl Decision {
    /// No policy at all.
    fn nothing(ready: &'static str, progress: Progress, message: String) -> Self {
        Self {
            targets: Some(Arc::default()),
            verdict: Verdict {
                ready,
                progress,
                message,
            },
            finds_out: false,
        }
    }

    /// Whatever there is stays.
    fn hold(ready: &'static str, progress: Progress, why: &str) -> Self {
        Self {
            targets: None,
            verdict: Verdict {
                ready,
                progress,
                message: format!("{why}; until then what was in force before is left as it is"),
            },
            finds_out: matches!(progress, Progress::Working(_)),
        }
    }
}

/// Namespaces that the API server calls into and that a default deny would select, with what they host.
/// One that does not exist hosts nothing.
fn cut_off(hosted: &Hosted, exempt: &Exempt, objects: &Objects) -> BTreeMap<String, String> {
    let is_cut_off = |namespace: &str| {
        let found = objects.get(&ObjectKey::namespace(namespace))?;
        Some(!exempt.leaves_alone(namespace, &found.labels))
    };
    hosted
        .iter()
        .filter(|(namespace, _)| is_cut_off(namespace) == Some(true))
        .map(|(namespace, what)| {
            const SHOWN: usize = 2;
            let what: Vec<String> = what.iter().cloned().collect();
            (namespace.clone(), some(&what, SHOWN))
        })
        .collect()
}

/// The first of these, and how many more there are.
fn some(all: &[String], shown: usize) -> String {
    let mut text = all[..shown.min(all.len())].to_vec();
    if all.len() > shown {
        text.push(format!("and {} more", all.len() - shown));
    }
    text.join(", ")
}

#[cfg(test)]
mod tests;
