//! What the platform owns in Azure: the network security group of the system pool's subnet, and what the firewall lets through. The
//! latter follows from what every landing zone declares, so it is looked at beside their reconciles.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::leaving::{Declared, Leaving, Left, leave};
use super::told::{self, AzureTold};
use super::{AzureState, compare, priorities};
use crate::api::{AdoptionPolicy, DeletePolicy};
use crate::build::{self, ApplicationRule};
use crate::cluster::ClusterFacts;
use crate::controller::apply::{Applied, Behalf, Failure};
use crate::controller::cache::{Objects, PLATFORM_OWNER};
use crate::controller::context::Context;
use crate::controller::kind::{Kind, ObjectKey};
use crate::controller::memory::Memory;
use crate::controller::plan::Plan;
use crate::controller::platform_status::{AzureSaid, Recorded};
use crate::controller::reconcile::{LOOK_AGAIN, SETTLES_WITHIN, backoff, is_unsettled};
use crate::controller::rendered::{RenderError, Targets, platform_azure};
use crate::controller::report::{remember, tell_platform_repairs};
use crate::domain::{AzureKind, Platform, PlatformAzure};

/// Landing zones come in crowds: what they declare is looked at together.
const GATHERED: Duration = Duration::from_millis(500);
/// The one object with what the firewall lets through is of this kind.
const OF_RULES: AzureKind = AzureKind::FirewallPoliciesRuleCollectionGroup;
const RULES: Kind = Kind::Azure(OF_RULES);

/// Why a look ended early. What could not be applied is no error: the status tells it.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to render: {0}")]
    Render(#[from] RenderError),
    #[error("failed to write the status of the platform: {}", crate::cluster::failure(.0))]
    Status(#[from] kube::Error),
}

/// What is to be done.
enum Prepared {
    /// Nothing, and why; None: the platform owns nothing in Azure.
    Idle(Option<AzureTold>),
    Planned {
        targets: Arc<Targets>,
        plan: Plan,
        leaving: Box<Leaving>,
    },
}

/// Keeps what the platform owns in Azure as it is declared.
pub(in crate::controller) async fn keep_platform_azure(context: Arc<Context>) {
    let mut memory = Memory::default();
    let mut signs = context.signs.clone();
    loop {
        let again = match look(&context, &mut memory).await {
            Ok(again) => again,
            Err(error) => {
                tracing::warn!(%error, "failed to keep what the platform owns in Azure");
                memory.failures = memory.failures.saturating_add(1);
                Some(backoff(PLATFORM_OWNER, memory.failures))
            }
        };
        let pause = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = context.azure.woken() => {}
            changed = signs.changed() => if changed.is_err() { return },
            () = pause => {}
        }
        tokio::time::sleep(GATHERED).await;
    }
}

/// Looks once. Returns when to look again without being asked.
async fn look(context: &Arc<Context>, memory: &mut Memory) -> Result<Option<Duration>, Error> {
    let (Some(facts), Some(platform)) = (context.facts(), context.platform()) else {
        // Whoever completes the picture asks for a look.
        return Ok(None);
    };
    let recorded = context.platform_status.recorded().await;
    let now = Instant::now();
    memory.tidy(now);
    let prepared = prepare(context, memory, (&facts, &platform), &recorded, now)?;
    let mut said = AzureSaid {
        about: platform.clone(),
        told: None,
        inventory: recorded.azure.clone(),
        fights: Vec::new(),
    };
    let mut again = None;
    match prepared {
        Prepared::Idle(told) => {
            if matches!(told, Some(AzureTold::Unknown(_))) {
                // Whoever lists them asks for a look: only where that does not happen it is told.
                let since = *memory.azure_unknown_since.get_or_insert(now);
                let left = SETTLES_WITHIN.saturating_sub(since.elapsed());
                if !left.is_zero() {
                    return Ok(Some(left));
                }
            }
            context.azure.set_platform_targets(None);
            said.told = told;
        }
        Prepared::Planned {
            targets,
            plan,
            leaving,
        } => {
            context.azure.set_platform_targets(Some(targets.clone()));
            let (told, applied) = carry_out(
                context,
                memory,
                (&facts, &platform),
                &recorded,
                (&targets, &plan, *leaving),
            )
            .await?;
            if is_unsettled(memory, applied.failed.iter(), now) {
                // Azure Service Operator writes into its objects while they are written.
                return Ok(Some(LOOK_AGAIN));
            }
            said.told = Some(told);
            said.inventory = inventory_after(context, &recorded, &targets);
            again = next(memory, &plan, &applied);
        }
    }
    memory.azure_unknown_since = None;
    said.fights = memory.fights(Instant::now());
    context.platform_status.say_azure(context, said).await?;
    Ok(again)
}

fn is_concerned(platform: &Platform, recorded: &Recorded) -> bool {
    let declared = platform.azure.as_ref();
    declared.is_some_and(|it| it.system_subnet.has_security_group || it.firewall.is_some())
        || !recorded.azure.is_empty()
}

fn prepare(
    context: &Context,
    memory: &Memory,
    (facts, platform): (&ClusterFacts, &Arc<Platform>),
    recorded: &Recorded,
    now: Instant,
) -> Result<Prepared, Error> {
    if !is_concerned(platform, recorded) {
        return Ok(Prepared::Idle(None));
    }
    let unknown = || AzureTold::Unknown("it is not known yet what is there".to_owned());
    let azure = platform.azure.as_ref();
    let mut kinds = azure.map(PlatformAzure::kinds).unwrap_or_default();
    // What is declared no more is to go.
    let has_rules = recorded.azure.iter().any(|key| key.kind == RULES);
    if has_rules && !kinds.contains(&OF_RULES) && facts.azure_versions(&[OF_RULES]).is_ok() {
        kinds.push(OF_RULES);
    }
    let not_written = || {
        let trouble = context.azure.trouble(&kinds);
        let why = told::not_written(platform, facts, &kinds, trouble);
        Ok(Prepared::Idle(Some(why)))
    };
    let Some(azure) = azure.filter(|it| it.service_operator.is_some()) else {
        return not_written();
    };
    let Ok(versions) = facts.azure_versions(&kinds) else {
        return not_written();
    };
    if !context.are_zones_listed() {
        return Ok(Prepared::Idle(Some(unknown())));
    }
    let objects = context.cache.read();
    if !objects.is_azure_synced(&kinds) || !context.azure.is_followed(azure) {
        return not_written();
    }
    let declared = declared(context, &objects);
    let resources = build::platform_azure(
        platform,
        &context.azure_neighbours(&objects),
        &declared,
        &priorities(&objects, PLATFORM_OWNER),
    );
    if let Some(faulty) = told::faulty(&resources.faults()) {
        return Ok(Prepared::Idle(Some(faulty)));
    }
    let owner = build::Owner::platform();
    let manifests = build::azure_objects(&resources, azure, &versions, &owner);
    let targets = Arc::new(platform_azure(manifests, facts.flavour())?);
    let whose = (PLATFORM_OWNER, &recorded.azure);
    let (plan, prune) = compare(whose, &targets, &objects, memory, now);
    // The nodes of the whole cluster depend on it.
    let leaving = Leaving::of(&prune, &objects, Declared::only(DeletePolicy::Keep));
    let leaving = Box::new(leaving);
    Ok(Prepared::Planned {
        targets,
        plan,
        leaving,
    })
}

/// What all landing zones declare. Of those that are there and whose declaration is not in force, or was not looked at yet, it is
/// what the firewall lets through already.
fn declared(context: &Context, objects: &Objects) -> Vec<ApplicationRule> {
    let known = context.azure.let_out();
    let there = objects
        .owned_by(PLATFORM_OWNER)
        .filter(|(key, _)| key.kind == RULES)
        .filter_map(|(_, found)| found.azure.as_ref())
        .flat_map(|it| &it.application_rules);
    let is_kept = |rule: &&ApplicationRule| {
        let zone = build::landing_zone_of_rule(&rule.name);
        zone.is_some_and(|zone| !known.contains_key(zone) && context.stays(zone))
    };
    let kept = there.filter(is_kept).cloned();
    let declared = known.values().flat_map(|it| it.iter().cloned());
    declared.chain(kept).collect()
}

async fn carry_out(
    context: &Arc<Context>,
    memory: &mut Memory,
    (facts, platform): (&ClusterFacts, &Platform),
    recorded: &Recorded,
    (targets, plan, leaving): (&Targets, &Plan, Leaving),
) -> Result<(AzureTold, Applied), Error> {
    let new = plan.writes.iter().map(|write| &write.target.key);
    let new: BTreeSet<_> = new
        .filter(|key| !recorded.azure.contains(key))
        .cloned()
        .collect();
    if !new.is_empty() {
        context.platform_status.record(context, &new).await?;
    }
    let behalf = Behalf {
        zone: "",
        adoption: AdoptionPolicy::Never,
        flavour: facts.flavour(),
    };
    let mut applied = context.writer.apply_azure(plan, behalf).await;
    let Left {
        pruned,
        failed,
        waits,
        replacing,
        released: _,
    } = leave(context, "", leaving, behalf.flavour).await;
    applied.pruned.extend(pruned);
    applied.failed.extend(failed);
    remember(context, None, memory, &applied);
    tell_platform_repairs(context, memory, &applied.repaired).await;
    let states: Vec<(ObjectKey, Option<Arc<AzureState>>)> = {
        let objects = context.cache.read();
        let states = targets.iter().map(|target| {
            let found = objects.get(&target.key);
            (target.key.clone(), found.and_then(|it| it.azure.clone()))
        });
        states.collect()
    };
    let going = told::Going { waits, replacing };
    let told = told::stands(&states, &applied, plan, going, platform);
    if applied
        .failed
        .iter()
        .all(|failure| failure.error.is_transient())
    {
        memory.failures = 0;
    }
    Ok((told, applied))
}

/// What is the platform's own in Azure now.
fn inventory_after(
    context: &Context,
    recorded: &Recorded,
    targets: &Targets,
) -> BTreeSet<ObjectKey> {
    let objects = context.cache.read();
    let owned = objects.owned_by(PLATFORM_OWNER).map(|(key, _)| key);
    let still_there = owned.filter(|key| recorded.azure.contains(*key)).cloned();
    still_there.chain(targets.keys()).collect()
}

fn next(memory: &Memory, plan: &Plan, applied: &Applied) -> Option<Duration> {
    let now = Instant::now();
    let mut times: Vec<Instant> = plan.postponed.iter().map(|it| it.until).collect();
    times.extend(memory.peace_at(now));
    if memory.failures > 0 {
        times.push(now + backoff(PLATFORM_OWNER, memory.failures));
    }
    let transient = |failure: &Failure| failure.error.is_transient();
    if !applied.failed.is_empty() && applied.failed.iter().all(transient) {
        times.push(now + SETTLES_WITHIN);
    }
    let first = times.into_iter().min()?;
    Some(first.saturating_duration_since(now))
}
