//! Keeps the default deny of the whole cluster: decided, compared, applied and told like a landing
//! zone, but in an order that cuts nobody off meanwhile.

mod decision;
mod hosts;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::apply::{Applied, Behalf, Failure, WriteError};
use super::cache::PLATFORM_OWNER;
use super::context::Context;
use super::kind::{Kind, ObjectKey};
use super::memory::Memory;
use super::plan::{Basis, Half, Plan, plan};
use super::platform_status::{DefaultDenySaid, Recorded, Verdict};
use super::reconcile::{LOOK_AGAIN, SETTLES_WITHIN, backoff, is_unsettled};
use super::rendered::{RenderError, Targets};
use super::report::{remember, tell_platform_repairs};
use super::status::{Progress, sentence};
use super::tiers;
use crate::api::condition::reason;
use crate::api::{AdoptionPolicy, DefaultDenyStage};
use crate::build;
use crate::cluster::failure;
use crate::domain::{Flavour, Platform};
use crate::telemetry::Health;
use decision::{Cluster, Decision, decide};
use hosts::Hosts;

/// Keeps the default deny as the platform declares it. `own_namespace` is where the operator runs.
pub(super) async fn keep_default_deny(
    context: Arc<Context>,
    health: Health,
    own_namespace: Option<String>,
) {
    let mut keeper = Keeper {
        own_namespace,
        ..Keeper::default()
    };
    let mut signs = context.signs.clone();
    loop {
        let again = match keeper.look(&context, &health).await {
            Ok(again) => again,
            Err(error) => {
                tracing::warn!(%error, "failed to keep the default deny");
                keeper.memory.failures = keeper.memory.failures.saturating_add(1);
                Some(backoff(PLATFORM_OWNER, keeper.memory.failures))
            }
        };
        let pause = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = context.default_deny_woken() => {}
            changed = signs.changed() => if changed.is_err() { return },
            () = pause => {}
        }
    }
}

/// Why a look ended early. What could not be applied is no error: the status tells it.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to render: {0}")]
    Render(#[from] RenderError),
    #[error("failed to write the status of the platform: {}", failure(.0))]
    Status(#[from] kube::Error),
}

/// What is kept between two looks.
#[derive(Default)]
struct Keeper {
    memory: Memory,
    /// Cut off itself, the operator could not even take the default deny back.
    own_namespace: Option<String>,
    /// Present unless it is to be off.
    hosts: Option<Hosts>,
    /// What there was to be when that could be decided last.
    decided: Option<(Flavour, Arc<Targets>)>,
    /// Since when something is about to be known that decides.
    finding_out_since: Option<Instant>,
}

/// What was done, and why.
struct Round {
    platform: Arc<Platform>,
    verdict: Verdict,
    /// None: whatever there is stays.
    targets: Option<Arc<Targets>>,
    recorded: Recorded,
    plan: Plan,
    applied: Applied,
}

impl Keeper {
    /// Looks once. Returns when to look again without being asked.
    async fn look(
        &mut self,
        context: &Arc<Context>,
        health: &Health,
    ) -> Result<Option<Duration>, Error> {
        let (Some(facts), Some(platform)) = (context.facts(), context.platform()) else {
            // Whoever completes the picture asks for a look.
            return Ok(None);
        };
        let flavour = facts.flavour();
        let stage = platform.default_deny.stage;
        self.follow_hosts(context, health, stage);
        let depends_on_others =
            stage == DefaultDenyStage::Observe && build::depends_on_others(flavour);
        context.set_default_deny_observes(depends_on_others);
        let now = Instant::now();
        self.memory.tidy(now);
        let recorded = context.platform_status.recorded().await;
        let decided = if depends_on_others {
            let policies = context.team_policies.read();
            let policies = policies.unwrap_or_else(PoisonError::into_inner);
            policies.decided_everywhere()
        } else {
            None
        };
        let (verdict, finds_out, targets, plan) = {
            let objects = context.cache.read();
            if !objects.are_synced(flavour) {
                return Ok(None);
            }
            let hosted = || {
                let hosts = self.hosts.as_ref().ok_or("not looked at yet")?;
                let mut hosted = hosts.hosted()?;
                if let Some(own) = &self.own_namespace {
                    let what = hosted.entry(own.clone()).or_default();
                    what.insert("landing-zone-operator itself".to_owned());
                }
                Ok(hosted)
            };
            let cluster = Cluster {
                flavour,
                hosted: &hosted,
                decided,
                objects: &objects,
            };
            let Decision {
                targets,
                verdict,
                finds_out,
            } = decide(&platform, &cluster)?;
            if let Some(targets) = &targets {
                self.decided = Some((flavour, targets.clone()));
            }
            // What was decided before is still kept in order.
            let before = self.decided.as_ref().filter(|(of, _)| *of == flavour);
            let targets = targets.or_else(|| before.map(|(_, targets)| targets.clone()));
            let plan = targets.as_ref().map_or_else(Plan::default, |targets| {
                self.plan(targets, &recorded, &objects, now)
            });
            (verdict, finds_out, targets, plan)
        };
        context.set_default_deny(targets.clone());
        let applied = self
            .apply(context, flavour, &plan, targets.as_deref(), &recorded)
            .await?;
        remember(context, None, &mut self.memory, &applied);
        tell_platform_repairs(context, &mut self.memory, &applied.repaired).await;
        let round = Round {
            platform,
            verdict,
            targets,
            recorded,
            plan,
            applied,
        };
        let failed = round.applied.failed.iter();
        if is_unsettled(&mut self.memory, failed, now) {
            return Ok(Some(LOOK_AGAIN));
        }
        if let Some(patience) = self.patience(finds_out, now) {
            return Ok(Some(patience));
        }
        let said = self.said(context, flavour, &round);
        context
            .platform_status
            .say_default_deny(context, said)
            .await?;
        let failed = round.applied.failed.iter();
        if failed.clone().all(|failure| failure.error.is_transient()) {
            self.memory.failures = 0;
        }
        Ok(self.next(&round))
    }

    /// Who is called by the API server is of interest only to somebody who wants to deny, now or later.
    fn follow_hosts(&mut self, context: &Arc<Context>, health: &Health, asked: DefaultDenyStage) {
        if asked == DefaultDenyStage::Off {
            self.hosts = None;
        } else if self.hosts.is_none() {
            self.hosts = Some(Hosts::follow(context, health));
        }
    }

    fn plan(
        &self,
        targets: &Targets,
        recorded: &Recorded,
        objects: &super::cache::Objects,
        now: Instant,
    ) -> Plan {
        let mut inventory = recorded.known.clone();
        if !recorded.is_declared {
            // It was deleted, and its inventory with it, perhaps while nobody looked: that we wrote the
            // label ourselves has to do.
            let ours = objects.owned_by(PLATFORM_OWNER);
            let ours = ours.filter(|(_, found)| found.labelled_by_us);
            inventory.extend(ours.map(|(key, _)| key.clone()));
        }
        let applied_before =
            !self.memory.compared && recorded.digest.as_ref() == Some(&targets.digest.to_string());
        let basis = Basis {
            half: Half::Cluster,
            owner: PLATFORM_OWNER,
            targets,
            inventory: &inventory,
            inherited: &BTreeSet::new(),
            left_alone: &BTreeSet::new(),
            applied_before,
            lost: &BTreeSet::new(),
            recorded_keys: &std::collections::BTreeMap::new(),
            memory: &self.memory,
            now,
        };
        plan(&basis, objects)
    }

    /// Carries out a plan. What denies is written only when all that allows and passes is there, and
    /// goes before it.
    async fn apply(
        &self,
        context: &Context,
        flavour: Flavour,
        plan: &Plan,
        targets: Option<&Targets>,
        recorded: &Recorded,
    ) -> Result<Applied, Error> {
        let is_new = |key: &&ObjectKey| !recorded.known.contains(key);
        let new = plan.writes.iter().map(|write| &write.target.key);
        let new: BTreeSet<_> = new.filter(is_new).cloned().collect();
        if !new.is_empty() {
            context.platform_status.record(context, &new).await?;
        }
        let blocked = match targets {
            Some(targets) if !targets.is_empty() => tiers::ensure(context, flavour).await?,
            _ => Vec::new(),
        };
        let behalf = Behalf {
            zone: "",
            adoption: AdoptionPolicy::Never,
            flavour,
        };
        let writer = &context.writer;
        let (closing, opening): (Vec<_>, Vec<_>) = plan
            .writes
            .iter()
            .cloned()
            .partition(|write| closes(&write.target.key));
        let first = Plan {
            writes: opening,
            settled: plan.settled.clone(),
            ..Plan::default()
        };
        let mut applied = writer.apply(&first, blocked, behalf).await;
        let waits = plan.waiting.iter();
        let waits = waits.chain(plan.postponed.iter().map(|postponed| &postponed.key));
        let is_open =
            applied.failed.is_empty() && applied.skipped.is_empty() && waits.clone().all(closes);
        if !is_open {
            let closing = closing.into_iter().map(|write| write.target.key);
            applied.skipped.extend(closing);
            return Ok(applied);
        }
        let second = Plan {
            writes: closing,
            ..Plan::default()
        };
        applied.add(writer.apply(&second, Vec::new(), behalf).await);
        if !applied.failed.is_empty() || waits.count() > 0 {
            return Ok(applied);
        }
        let (closing, opening) = plan.prune.iter().cloned().partition(|it| closes(&it.key));
        for prune in [closing, opening] {
            let step = Plan {
                prune,
                ..Plan::default()
            };
            applied.add(writer.apply(&step, Vec::new(), behalf).await);
            if !applied.failed.is_empty() {
                break;
            }
        }
        Ok(applied)
    }

    /// How long to wait for something that is about to be known, as after a restart: then to wait tells
    /// more than a status would.
    fn patience(&mut self, finds_out: bool, now: Instant) -> Option<Duration> {
        if !finds_out {
            self.finding_out_since = None;
            return None;
        }
        let since = *self.finding_out_since.get_or_insert(now);
        let left = (since + SETTLES_WITHIN).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    fn said(&self, context: &Context, flavour: Flavour, round: &Round) -> DefaultDenySaid {
        let objects = context.cache.read();
        let owned: BTreeSet<_> = objects
            .owned_by(PLATFORM_OWNER)
            .map(|(key, _)| key)
            .collect();
        let Round {
            platform,
            verdict,
            targets,
            recorded,
            plan,
            applied,
        } = round;
        // Of kinds that this flavour does not have nobody knows what is still there.
        let still_there = recorded
            .known
            .iter()
            .filter(|key| owned.contains(key) || key.kind.api_resource(flavour).is_none());
        let wanted = targets.iter().flat_map(|targets| targets.keys());
        let mut inventory = recorded.unknown.clone();
        inventory.extend(still_there.map(ToString::to_string));
        inventory.extend(wanted.map(|key| key.to_string()));
        let complete = applied.failed.is_empty()
            && applied.skipped.is_empty()
            && plan.waiting.is_empty()
            && plan
                .postponed
                .iter()
                .all(|postponed| postponed.why.is_none());
        let observes = complete && matches!(verdict.progress, Progress::Done(reason::OBSERVED));
        let stage = stage_in_force(owned.iter().copied(), observes);
        DefaultDenySaid {
            about: platform.clone(),
            verdict: obstacle(plan, applied).unwrap_or_else(|| verdict.clone()),
            stage,
            inventory,
            digest: match targets {
                // What was applied before the operator started is still what it was.
                None => recorded.digest.clone(),
                Some(targets) if complete && !targets.is_empty() => {
                    Some(targets.digest.to_string())
                }
                Some(_) => None,
            },
            fights: self.memory.fights(Instant::now()),
        }
    }

    fn next(&self, round: &Round) -> Option<Duration> {
        let now = Instant::now();
        let mut times: Vec<Instant> = Vec::new();
        let postponed = round.plan.postponed.iter();
        times.extend(postponed.map(|postponed| postponed.until));
        times.extend(self.memory.peace_at(now));
        if self.memory.failures > 0 {
            times.push(now + backoff(PLATFORM_OWNER, self.memory.failures));
        }
        let transient = |failure: &Failure| failure.error.is_transient();
        let pending = !round.applied.failed.is_empty() || !round.applied.skipped.is_empty();
        if pending && round.applied.failed.iter().all(transient) {
            times.push(now + SETTLES_WITHIN);
        }
        let first = times.into_iter().min()?;
        Some(first.saturating_duration_since(now))
    }
}

/// The stage that these policies of the platform make. Where there is nothing to observe, or nothing can
/// be, there are none in stage Observe either.
fn stage_in_force<'a>(
    owned: impl Iterator<Item = &'a ObjectKey>,
    observes: bool,
) -> DefaultDenyStage {
    let stages = owned.filter_map(|key| {
        if key.kind == Kind::StagedGlobalNetworkPolicy {
            Some(DefaultDenyStage::Observe)
        } else {
            build::stage_of(&key.name)
        }
    });
    let without = observes.then_some(DefaultDenyStage::Observe);
    stages.chain(without).max().unwrap_or_default()
}

/// Whether a policy denies: a staged one of that name does not.
fn closes(key: &ObjectKey) -> bool {
    key.kind == Kind::GlobalNetworkPolicy && build::denies(&key.name)
}

/// What keeps the default deny from being as it was decided.
fn obstacle(plan: &Plan, applied: &Applied) -> Option<Verdict> {
    let verdict = |progress, message| Verdict {
        ready: "False",
        progress,
        message,
    };
    let taken = |failure: &&Failure| matches!(failure.error, WriteError::NotOurs(_));
    if let Some(Failure { key, .. }) = applied.failed.iter().find(taken) {
        let message = format!(
            "{key}: an object of that name exists and is not the operator's; delete or rename it"
        );
        return Some(verdict(Progress::Stuck(reason::NOT_ADOPTED), message));
    }
    if !applied.failed.is_empty() {
        let failures = applied
            .failed
            .iter()
            .map(|failure| format!("{}: {}", failure.key, failure.error));
        let message = sentence(failures) + "; it is tried again";
        return Some(verdict(Progress::Working(reason::APPLY_FAILED), message));
    }
    let waiting = plan.waiting.iter().chain(&applied.skipped);
    let waiting = waiting.map(|key| format!("{key} is not in place yet"));
    let rewritten = plan.postponed.iter().filter_map(|it| it.why.clone());
    let pending: Vec<_> = waiting.chain(rewritten).collect();
    if pending.is_empty() {
        return None;
    }
    let message = sentence(pending.into_iter());
    Some(verdict(
        Progress::Working(reason::POLICIES_PENDING),
        message,
    ))
}
