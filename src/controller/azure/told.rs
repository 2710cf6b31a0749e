//! What is told of the half in Azure. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{AzureState, POOL, Ready, ReadyProgress};
use crate::api::condition::{self, reason};
use crate::build::security_groups_govern_pods;
use crate::cluster::{ClusterFacts, NoAzure};
use crate::controller::apply::{Applied, Failure};
use crate::controller::kind::ObjectKey;
use crate::controller::plan::Plan;
use crate::controller::rendered::Targets;
use crate::controller::status::{Conditions, Progress, sentence};
use crate::domain::{AzureKind, Platform};

/// How the half in Azure stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureTold {
    /// Somebody else makes it: the platform names no namespace for objects of Azure Service Operator.
    ByOthers(String),
    /// It is not known yet.
    Unknown(String),
    /// Nothing can be written at present, whatever is declared: a reason, and what helps.
    Impossible(&'static str, String),
    /// It is being worked on, or waits for something.
    Working(&'static str, String),
    /// Only an edit of the declaration helps.
    Stuck(&'static str, String),
    /// All of it is as declared.
    Done(String),
}

impl AzureTold {
    /// What it says.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::ByOthers(message)
            | Self::Unknown(message)
            | Self::Impossible(_, message)
            | Self::Working(_, message)
            | Self::Stuck(_, message)
            | Self::Done(message) => message,
        }
    }

    /// How far the landing zone is, where this is all that it lacks; None where it lacks nothing.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        match self {
            Self::ByOthers(_) | Self::Unknown(_) | Self::Done(_) => None,
            Self::Impossible(why, _) => Some(Progress::Done(why)),
            Self::Working(why, _) => Some(Progress::Working(why)),
            Self::Stuck(why, _) => Some(Progress::Stuck(why)),
        }
    }
}

/// Sets the condition; takes it away where a landing zone has nothing to do with Azure.
pub fn azure_ready(conditions: &mut Conditions, told: Option<&AzureTold>) {
    let (state, why) = match told {
        None => return conditions.remove(condition::AZURE_READY),
        Some(AzureTold::ByOthers(_)) => ("Unknown", reason::NOT_MANAGED),
        Some(AzureTold::Unknown(_)) => ("Unknown", reason::PROGRESSING),
        Some(
            AzureTold::Impossible(why, _) | AzureTold::Working(why, _) | AzureTold::Stuck(why, _),
        ) => ("False", *why),
        Some(AzureTold::Done(_)) => ("True", reason::AS_DECLARED),
    };
    let message = told.map_or("", AzureTold::message);
    conditions.set(condition::AZURE_READY, state, why, message);
}

/// What nothing of this changes.
const STAYS: &str = "What is in Azure already stays, and everything in the cluster goes on";

/// Why nothing is written in Azure.
pub(super) fn not_written(
    platform: &Platform,
    facts: &ClusterFacts,
    kinds: &[AzureKind],
    trouble: Option<String>,
) -> AzureTold {
    let azure = platform.azure.as_ref();
    if azure.is_none() || kinds.is_empty() {
        return AzureTold::ByOthers(
            "nobody here makes what is declared in Azure, since spec.azure.serviceOperator of the LandingZonePlatform is left \
             out: kubectl landingzone render --azure bicep, or terraform, writes it; what is there already stays"
                .to_owned(),
        );
    }
    // Which of the two lacks something: their kinds are told apart, since other people install them.
    let (of_karpenter, of_service_operator): (Vec<_>, Vec<_>) =
        kinds.iter().partition(|kind| kind.is_karpenter());
    match facts.azure_versions(&of_karpenter) {
        Err(NoAzure::Missing(kinds)) => {
            let kinds = sentence(kinds.into_iter().map(str::to_owned));
            let message = format!(
                "Karpenter is not there, or without these kinds: {kinds}; turn on node auto-provisioning (az aks update \
                 --node-provisioning-mode Auto), or take azure.nodeProvisioning out of the LandingZonePlatform. {STAYS}"
            );
            return AzureTold::Impossible(reason::KARPENTER_MISSING, message);
        }
        Err(NoAzure::Unfit(why)) => {
            let why = sentence(why.into_iter());
            let message = format!(
                "this release of Karpenter cannot be used: {why}; install another. {STAYS}"
            );
            return AzureTold::Impossible(reason::KARPENTER_UNFIT, message);
        }
        Ok(_) => {}
    }
    match facts.azure_versions(&of_service_operator) {
        Err(NoAzure::Missing(kinds)) => {
            let kinds = sentence(kinds.into_iter().map(str::to_owned));
            let message = format!(
                "Azure Service Operator is not there, or without these kinds: {kinds}; install it with --crd-pattern \
                 'network.azure.com/*;containerservice.azure.com/*'. {STAYS}"
            );
            AzureTold::Impossible(reason::SERVICE_OPERATOR_MISSING, message)
        }
        Err(NoAzure::Unfit(why)) => {
            let why = sentence(why.into_iter());
            let message = format!(
                "this release of Azure Service Operator cannot be used: {why}; install another. {STAYS}"
            );
            AzureTold::Impossible(reason::SERVICE_OPERATOR_UNFIT, message)
        }
        Ok(_) => match trouble {
            Some(trouble) => {
                let message = format!(
                    "{trouble}; what is in Azure already stays. Give the operator its rights (config/azure, and config/karpenter for Karpenter)"
                );
                AzureTold::Impossible(reason::NOT_WATCHED, message)
            }
            None => AzureTold::Unknown("it is not known yet what is there".to_owned()),
        },
    }
}

/// Where Azure would refuse what is rendered: nothing is changed then.
pub(super) fn faulty(faults: &[String]) -> Option<AzureTold> {
    if faults.is_empty() {
        return None;
    }
    let message = format!(
        "Azure would refuse what follows from the declarations, so nothing was changed there: {}; declare fewer crossings or shared \
         services, or wider ones",
        sentence(faults.iter().cloned())
    );
    Some(AzureTold::Stuck(reason::REFUSED_BY_AZURE, message))
}

/// Where a pool would have to become another one: nothing is changed then.
pub(super) fn refused(
    targets: &Targets,
    pools: &BTreeMap<ObjectKey, Arc<AzureState>>,
) -> Option<AzureTold> {
    let declared = targets.iter().find(|target| target.key.kind == POOL)?;
    if pools.contains_key(&declared.key) {
        // Another one was to take its place, and is declared no more.
        return None;
    }
    let (key, there) = pools.first_key_value()?;
    let wanted = AzureState::of(&declared.object.unpack());
    let fields: BTreeSet<_> = wanted.fixed.keys().chain(there.fixed.keys()).collect();
    let differ = fields.into_iter().filter_map(|field| {
        let (now, then) = (there.fixed.get(field), wanted.fixed.get(field));
        let shown = |it: Option<&String>| it.cloned().unwrap_or_else(|| "none".to_owned());
        (now != then).then(|| format!("{field} is {}, declared {}", shown(now), shown(then)))
    });
    let differ = sentence(differ);
    let message = format!(
        "{key} cannot become what is declared: {differ}; Azure changes none of it, so nothing was changed in Azure. Write back \
         what was declared before; or add replace: true to nodePool, which makes the new pool, moves the pods there and deletes this \
         one; or take nodePool and subnet out of spec.azure, which lets this pool go, and declare the new one then"
    );
    Some(AzureTold::Stuck(reason::POOL_CANNOT_CHANGE, message))
}

/// What is told of an object that is on its way out.
pub(super) fn goes(key: &ObjectKey, state: Option<&AzureState>) -> String {
    match state.and_then(|state| state.ready.as_ref()) {
        Some(Ready { message, .. }) if !message.is_empty() => {
            format!("{key} is being deleted: {message}")
        }
        _ => format!("{key} is being deleted"),
    }
}

/// What is on its way out, a phrase each.
#[derive(Debug, Default)]
pub(super) struct Going {
    /// What waits for something.
    pub waits: Vec<String>,
    /// How far pools are that give way to others.
    pub replacing: Vec<String>,
}

/// How it stands after all was written.
pub(super) fn stands(
    states: &[(ObjectKey, Option<Arc<AzureState>>)],
    applied: &Applied,
    plan: &Plan,
    Going { waits, replacing }: Going,
    platform: &Platform,
) -> AzureTold {
    if !applied.failed.is_empty() {
        let failures = applied.failed.iter();
        let failures = failures.map(|Failure { key, error }| format!("{key}: {error}"));
        let message = sentence(failures) + "; it is tried again";
        return AzureTold::Working(reason::APPLY_FAILED, message);
    }
    let said = |wanted: ReadyProgress| {
        let of_it = states.iter().filter_map(move |(key, state)| {
            let ready = state.as_ref().and_then(|state| state.ready.as_ref());
            match ready {
                Some(Ready {
                    progress,
                    reason,
                    message,
                }) if *progress == wanted => Some(format!("{key}: {reason}: {message}")),
                None if wanted == ReadyProgress::Working => {
                    let who = if key.kind.is_karpenter() {
                        "Karpenter"
                    } else {
                        "Azure Service Operator"
                    };
                    Some(format!("{key}: {who} has not looked yet"))
                }
                _ => None,
            }
        });
        of_it.collect::<Vec<_>>()
    };
    let given_up = said(ReadyProgress::GivenUp);
    if !given_up.is_empty() {
        let message = format!(
            "Azure refuses what is declared: {}; change it, since Azure Service Operator does not try again",
            sentence(given_up.into_iter())
        );
        return AzureTold::Stuck(reason::REFUSED_BY_AZURE, message);
    }
    if !replacing.is_empty() {
        return AzureTold::Working(reason::REPLACING, sentence(replacing.into_iter()));
    }
    let waiting = plan.waiting.iter();
    let waiting = waiting.map(|key| format!("{key}: the one of that name is being deleted"));
    let postponed = plan.postponed.iter();
    let postponed = postponed.map(|it| match &it.why {
        Some(why) => why.clone(),
        None => format!(
            "{} is repaired once a minute, since somebody else changes it back",
            it.key
        ),
    });
    let working: Vec<_> = said(ReadyProgress::Working)
        .into_iter()
        .chain(waiting)
        .chain(postponed)
        .collect();
    if !working.is_empty() {
        return AzureTold::Working(reason::PROGRESSING, sentence(working.into_iter()));
    }
    if !waits.is_empty() {
        return AzureTold::Working(reason::LEAVING, sentence(waits.into_iter()));
    }
    let message = match states.len() {
        0 => "nothing is declared in Azure any more".to_owned(),
        number => format!("all {number} resources are as declared"),
    };
    let is_by_others = platform
        .azure
        .as_ref()
        .is_some_and(|it| it.service_operator.is_none());
    let message = if is_by_others {
        format!(
            "{message}; subnets and network security groups are somebody else's to make, since azure.serviceOperator of the \
             LandingZonePlatform is left out (kubectl landingzone render --azure)"
        )
    } else {
        message
    };
    let plugin = platform
        .plugin
        .filter(|_| !states.is_empty() && !security_groups_govern_pods(platform));
    let message = match plugin {
        Some(plugin) => format!(
            "{message}; with network plugin {plugin:?} network security groups hold nodes apart, and Calico alone governs pods"
        ),
        None => message,
    };
    AzureTold::Done(message)
}
