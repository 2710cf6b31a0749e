//! The steps of a measurement, in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use landing_zone_operator::api::{LandingZone, LandingZonePlatform};
use serde_json::{Value, json};

use super::bare::{Write, write_all};
use super::figures::{Converge, DriftRepair, Figures, Floor, Idle, PlatformChange, Restart, Storm};
use super::fleet::Fleet;
use super::usage::{self, Usage};
use crate::audit::{Event, Mark};
use crate::binaries::{OperatorBinaries, Profile};
use crate::operator::OPERATOR_USER;
use crate::progress::Progress;
use crate::wait::{eventually, holds_for};
use crate::{
    Calico, ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, governed, install,
};

/// Requests of the bare client that are under way at once.
const IN_FLIGHT: [usize; 3] = [8, 32, 64];
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// Nothing is asked for so long: nothing more is to come.
const QUIET: Duration = Duration::from_secs(4);
/// How long a storm takes to come in.
const STORM: Duration = Duration::from_secs(10);
/// Writes of a storm that may be under way at once.
const IN_A_STORM: usize = 256;

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many landing zones.
    pub landing_zones: usize,
    /// How long nothing happens.
    pub idle: Duration,
    /// Foreign writes one at a time.
    pub drifts: usize,
    /// Foreign writes in a storm, and how many storms.
    pub storm: (usize, usize),
}

/// Measures all of it. Takes some minutes, and is as good as the machine is quiet.
pub async fn run(options: &Options) -> Result<Figures> {
    let progress = Progress::new();
    let binaries = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Release))
        .await
        .context("the build of the operator was cut off")??;
    let mut bench = Bench::start(options, binaries).await?;
    let step = progress.step("converging");
    bench.converge().await?;
    step.finish();
    let step = progress.step("restarting");
    bench.restart().await?;
    step.finish();
    let step = progress.step("idle");
    bench.idle().await?;
    step.finish();
    let step = progress.step("one drift at a time");
    bench.drift_repair().await?;
    step.finish();
    let step = progress.step("storms of drift");
    bench.storms().await?;
    step.finish();
    let step = progress.step("a change of the platform");
    bench.platform_change().await?;
    step.finish();
    let step = progress.step("the bare client");
    let figures = bench.floors().await?;
    step.finish();
    Ok(figures)
}

/// A cluster, the operator, and what was measured so far.
struct Bench {
    options: Options,
    fleet: Fleet,
    binaries: OperatorBinaries,
    cluster: LocalCluster,
    operator: Option<OperatorProcess>,
    /// What the landing zones render to.
    objects: Vec<Value>,
    figures: Figures,
}

/// A write of somebody else, and the bare client's answer to it.
struct Foreign {
    key: Key,
    change: Write,
    answer: Write,
}

impl Bench {
    async fn start(options: &Options, binaries: OperatorBinaries) -> Result<Self> {
        let fleet = Fleet {
            landing_zones: options.landing_zones,
        };
        let cluster = empty_cluster(fleet).await?;
        let folder = cluster.directory().join("declared");
        let objects = fleet.rendered(&binaries.plugin, &folder)?;
        Ok(Self {
            options: options.clone(),
            fleet,
            binaries,
            cluster,
            operator: None,
            figures: Figures {
                landing_zones: fleet.landing_zones,
                objects: objects.len(),
                ..Figures::default()
            },
            objects,
        })
    }

    fn operator(&self) -> Result<&OperatorProcess> {
        self.operator.as_ref().context("the operator does not run")
    }

    async fn start_operator(&mut self) -> Result<()> {
        let options = OperatorOptions {
            profile: Profile::Release,
            arguments: vec!["--pod-cidr=10.244.0.0/16".to_owned()],
            ..OperatorOptions::default()
        };
        let binary = self.binaries.operator.clone();
        let operator = OperatorProcess::start_binary(&self.cluster, binary, options).await?;
        self.operator = Some(operator);
        Ok(())
    }

    async fn stop_operator(&mut self) -> Result<()> {
        if let Some(operator) = self.operator.take() {
            operator.terminate().await?;
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage> {
        Usage::of(self.operator()?.process().id())
    }

    /// Waits until each landing zone was compared at least once, and all are ready.
    async fn all_compared(&self) -> Result<()> {
        let operator = self.operator()?;
        let wanted = self.fleet.landing_zones;
        eventually(PATIENCE, "every landing zone to be compared", async || {
            let metrics = operator.metrics().await?;
            let value = |name: &str| metric(&metrics, name);
            let compared = value("landingzone_reconcile_seconds_count");
            let unready = value("landingzone_landing_zones_not_ready");
            ensure!(
                value("landingzone_landing_zones") == Some(wanted)
                    && compared >= Some(wanted)
                    && unready == Some(0),
                "{compared:?} of {wanted} compared, {unready:?} not ready"
            );
            Ok(Some(()))
        })
        .await
    }

    fn writes_since(&self, mark: Mark) -> Result<Vec<Event>> {
        self.cluster.audit_log().writes_by(OPERATOR_USER, mark)
    }

    /// Waits until the operator asks for nothing but its Lease any more.
    async fn quiet(&self) -> Result<()> {
        let log = self.cluster.audit_log();
        eventually(PATIENCE, "the operator to be quiet", async || {
            let mark = log.mark()?;
            let quiet = holds_for(QUIET, "quiet", async || {
                let asked = log.requests_by(OPERATOR_USER, mark)?;
                ensure!(
                    asked.iter().all(|it| it.verb == "watch"),
                    "{:?}",
                    asked.first()
                );
                Ok(())
            });
            quiet.await.map(Some)
        })
        .await
    }

    async fn converge(&mut self) -> Result<()> {
        let servers = self.cluster.process_ids().await;
        let apiserver = servers
            .into_iter()
            .find(|it| usage::name(*it).is_ok_and(|name| name.starts_with("kube-apiserver")))
            .context("no kube-apiserver")?;
        let mark = self.cluster.audit_log().mark()?;
        let server_before = Usage::of(apiserver)?.processor;
        let started = Timestamp::now();
        self.start_operator().await?;
        self.all_compared().await?;
        self.quiet().await?;
        let server = Usage::of(apiserver)?
            .processor
            .saturating_sub(server_before);
        let requests = self.cluster.audit_log().requests_by(OPERATOR_USER, mark)?;
        let writes: Vec<_> = requests.iter().filter(|it| it.is_write()).collect();
        let last = writes.iter().map(|it| it.completed).max();
        tell_by_kind("converging", &writes);
        let per_1000 =
            |processor: Duration| processor.as_secs_f64() / count(self.objects.len()) * 1e3;
        self.figures.converge = Converge {
            seconds: since(started, last.context("nothing was written")?),
            requests: requests.len(),
            writes: writes.len(),
            failed: requests.iter().filter(|it| !it.succeeded()).count(),
            operator_cpu_seconds_per_1000_objects: per_1000(self.usage()?.processor),
            apiserver_cpu_seconds_per_1000_objects: per_1000(server),
            ..Converge::default()
        };
        self.everything_is_ready().await
    }

    /// What the metrics say is compared with the landing zones themselves.
    async fn everything_is_ready(&self) -> Result<()> {
        for zone in self.declared().await? {
            let status = zone.status.as_ref();
            let status = status.context("a landing zone without status")?;
            let ready = governed::condition(status, "Ready");
            ensure!(
                ready.is_some_and(|(state, ..)| state == "True"),
                "{:?}: {ready:?}",
                zone.metadata.name
            );
        }
        Ok(())
    }

    async fn declared(&self) -> Result<Vec<LandingZone>> {
        let zones: Api<LandingZone> = Api::all(self.cluster.client());
        Ok(zones.list(&ListParams::default()).await?.items)
    }

    /// With what the teams wrote meanwhile.
    async fn restart(&mut self) -> Result<()> {
        let client = self.cluster.client();
        self.fleet.write_team_policies(&client).await?;
        self.quiet().await?;
        self.stop_operator().await?;
        let mark = self.cluster.audit_log().mark()?;
        let started = Instant::now();
        self.start_operator().await?;
        self.all_compared().await?;
        let seconds = started.elapsed().as_secs_f64();
        self.quiet().await?;
        let requests = self.cluster.audit_log().requests_by(OPERATOR_USER, mark)?;
        let writes: Vec<_> = requests.iter().filter(|it| it.is_write()).collect();
        tell_by_kind("restarting", &requests.iter().collect::<Vec<_>>());
        let began = requests.iter();
        let began = began.filter(|it| it.verb == "watch" && it.succeeded());
        let watched: BTreeSet<_> = began
            .map(|it| (&it.api_group, &it.resource, &it.namespace, &it.name))
            .collect();
        self.figures.watches = watched.len();
        self.figures.restart = Restart {
            writes: writes.len(),
            requests: requests.iter().filter(|it| !is_next_page(it)).count(),
            seconds,
        };
        Ok(())
    }

    async fn idle(&mut self) -> Result<()> {
        let mark = self.cluster.audit_log().mark()?;
        let before = self.usage()?;
        let started = Instant::now();
        tokio::time::sleep(self.options.idle).await;
        let seconds = started.elapsed().as_secs_f64();
        let used = self.usage()?.processor.saturating_sub(before.processor);
        let requests = self.cluster.audit_log().requests_by(OPERATOR_USER, mark)?;
        self.figures.idle = Idle {
            seconds,
            writes: requests.iter().filter(|it| it.is_write()).count(),
            others: requests.iter().filter(|it| it.verb != "watch").count(),
            cpu_percent: used.as_secs_f64() / seconds * 100.0,
        };
        Ok(())
    }

    /// Foreign writes: each to another object, of each kind in turn.
    fn foreign_writes(&self, wanted: usize) -> Result<Vec<Foreign>> {
        let mut by_kind: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for object in &self.objects {
            let kind = object["kind"].as_str().unwrap_or_default();
            by_kind.entry(kind).or_default().push(object);
        }
        let longest = by_kind.values().map(Vec::len).max().unwrap_or_default();
        let kinds: Vec<_> = by_kind.into_values().collect();
        let mut foreign = Vec::new();
        for object in
            (0..longest).flat_map(|place| kinds.iter().filter_map(move |kind| kind.get(place)))
        {
            if let Some(patch) = foreign_change(object) {
                foreign.push(Foreign {
                    key: Key::of(object),
                    change: Write::merge(object, &patch)?,
                    answer: Write::apply(object)?,
                });
            }
            if foreign.len() == wanted {
                break;
            }
        }
        Ok(foreign)
    }

    async fn drift_repair(&mut self) -> Result<()> {
        let client = self.cluster.client();
        let log = self.cluster.audit_log();
        let mut repaired = Vec::new();
        for Foreign { key, change, .. } in self.foreign_writes(self.options.drifts)? {
            let mark = log.mark()?;
            change.send(&client).await?;
            let took = eventually(PATIENCE, "a repair", async || {
                let events = log.since(mark)?;
                let by = |ours: bool| {
                    let mut events = events.iter();
                    let event = events.find(|it| {
                        it.is_write()
                            && it.succeeded()
                            && (it.user == OPERATOR_USER) == ours
                            && Key::of_event(it) == key
                    });
                    event.map(|it| it.completed)
                };
                let both = by(false).zip(by(true));
                Ok(both.map(|(drifted, repaired)| since(drifted, repaired)))
            });
            repaired.push(took.await.with_context(|| format!("{key:?}"))?);
        }
        self.quiet().await?;
        repaired.sort_by(f64::total_cmp);
        // In seconds until the floor is known.
        self.figures.drift_repair = DriftRepair {
            samples: repaired.len(),
            p50_ratio: at(&repaired, 0.5),
            p99_ratio: at(&repaired, 0.99),
            ..DriftRepair::default()
        };
        Ok(())
    }

    async fn storms(&mut self) -> Result<()> {
        let (drifts, storms) = self.options.storm;
        let writes = self.foreign_writes(drifts)?;
        let client = self.cluster.client();
        let log = self.cluster.audit_log();
        let mut resident = Vec::new();
        for _ in 0..storms {
            let mark = log.mark()?;
            let first = Timestamp::now();
            paced(&writes, async |it| it.change.send(&client).await).await?;
            let last_foreign = Timestamp::now();
            let repaired = eventually(PATIENCE, "the storm to be repaired", async || {
                let mut waiting: BTreeSet<_> = writes.iter().map(|it| it.key.clone()).collect();
                let mut last = first;
                let events = self.writes_since(mark)?;
                for event in events.iter().filter(|it| it.succeeded()) {
                    if waiting.remove(&Key::of_event(event)) {
                        last = last.max(event.completed);
                    }
                }
                ensure!(waiting.is_empty(), "{} are not repaired", waiting.len());
                Ok(Some(last))
            });
            let last = repaired.await?;
            self.quiet().await?;
            resident.push(self.usage()?.resident);
            let all = self.writes_since(mark)?;
            tell_by_kind("a storm", &all.iter().collect::<Vec<_>>());
            self.figures.storm = Storm {
                drifts: writes.len(),
                seconds: since(first, last),
                behind_seconds: since(last_foreign, last),
                other_writes: all.len() - writes.len(),
                ..Storm::default()
            };
        }
        if let (Some(first), Some(last)) = (resident.first(), resident.last()) {
            let growth = mebibytes(*last) / mebibytes(*first) - 1.0;
            self.figures.storm.growth_percent = growth * 100.0;
        }
        Ok(())
    }

    /// One more address of DNS servers: a policy of each landing zone differs.
    async fn platform_change(&mut self) -> Result<()> {
        let platforms: Api<LandingZonePlatform> = Api::all(self.cluster.client());
        let platform = |addresses: &[&str]| {
            json!({
                "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform",
                "metadata": {"name": "cluster"},
                "spec": {
                    "dns": {"extraAddresses": addresses},
                    "network": {"podCidrs": ["10.244.0.0/16"]},
                },
            })
        };
        let created = serde_json::from_value(platform(&[]))?;
        platforms.create(&PostParams::default(), &created).await?;
        self.quiet().await?;
        let mark = self.cluster.audit_log().mark()?;
        let patch = Patch::Merge(platform(&["10.9.0.53"]));
        let changed = Timestamp::now();
        platforms
            .patch("cluster", &PatchParams::default(), &patch)
            .await?;
        let zones = self.fleet.landing_zones;
        eventually(PATIENCE, "every landing zone to follow", async || {
            let writes = self.writes_since(mark)?;
            let mut policies = writes.iter();
            let policies = policies
                .by_ref()
                .filter(|it| it.resource == "globalnetworkpolicies" && it.succeeded())
                .count();
            ensure!(policies >= zones, "{policies} of {zones}");
            Ok(Some(()))
        })
        .await?;
        self.quiet().await?;
        let writes = self.writes_since(mark)?;
        // What it says of the platform itself is no write to a landing zone.
        let writes: Vec<_> = writes
            .iter()
            .filter(|it| it.resource != "landingzoneplatforms")
            .collect();
        tell_by_kind("a change of the platform", &writes);
        let last = writes.iter().map(|it| it.completed).max();
        self.figures.platform_change = PlatformChange {
            // The policy, and in the status which objects are in force.
            expected: 2 * zones,
            writes: writes.len(),
            seconds: since(changed, last.context("nothing was written")?),
            ..PlatformChange::default()
        };
        let usage = self.usage()?;
        self.figures.resident_mib = mebibytes(usage.resident);
        self.figures.peak_mib = mebibytes(usage.peak);
        Ok(())
    }

    /// The bare client: in this cluster once the operator is gone, then in empty ones.
    async fn floors(mut self) -> Result<Figures> {
        let declared = self.declared().await?.into_iter();
        let statuses: Vec<(String, Value)> = declared
            .map(|zone| {
                let name = zone.metadata.name.unwrap_or_default();
                Ok((name, serde_json::to_value(zone.status)?))
            })
            .collect::<Result<_>>()?;
        self.stop_operator().await?;
        let client = self.cluster.client();
        self.floor_of_drift(&client).await?;
        self.floor_of_storm(&client).await?;
        self.floor_of_platform_change(&client, &statuses).await?;
        let Self {
            cluster,
            fleet,
            objects,
            mut figures,
            ..
        } = self;
        cluster.stop().await?;
        let writes = everything(&objects, &statuses)?;
        for in_flight in IN_FLIGHT {
            let cluster = empty_cluster(fleet).await?;
            let took = write_all(&cluster.client(), &writes, in_flight).await?;
            cluster.stop().await?;
            figures.floors.push(Floor {
                in_flight,
                seconds: took.as_secs_f64(),
            });
        }
        let floors = figures.floors.iter().map(|it| it.seconds);
        figures.floor_seconds = floors.fold(f64::INFINITY, f64::min);
        figures.converge.ratio = figures.converge.seconds / figures.floor_seconds;
        Ok(figures)
    }

    async fn floor_of_drift(&mut self, client: &kube::Client) -> Result<()> {
        let mut applied = Vec::new();
        for Foreign { change, answer, .. } in self.foreign_writes(self.options.drifts)? {
            change.send(client).await?;
            let started = Instant::now();
            answer.send(client).await?;
            applied.push(started.elapsed().as_secs_f64());
        }
        applied.sort_by(f64::total_cmp);
        let apply = at(&applied, 0.5);
        let drift = &mut self.figures.drift_repair;
        drift.apply_seconds = apply;
        drift.p50_ratio /= apply;
        drift.p99_ratio /= apply;
        Ok(())
    }

    async fn floor_of_storm(&mut self, client: &kube::Client) -> Result<()> {
        let writes = self.foreign_writes(self.options.storm.0)?;
        let started = Instant::now();
        paced(&writes, async |it| {
            it.change.send(client).await?;
            it.answer.send(client).await
        })
        .await?;
        let floor = started.elapsed().as_secs_f64();
        let changes: Vec<_> = writes.iter().map(|it| it.change.clone()).collect();
        let answers: Vec<_> = writes.iter().map(|it| it.answer.clone()).collect();
        let storm = &mut self.figures.storm;
        storm.floor_seconds = floor;
        storm.ratio = storm.seconds / floor;
        storm.applies_seconds = best_of_answers(client, &changes, &answers).await?;
        Ok(())
    }

    async fn floor_of_platform_change(
        &mut self,
        client: &kube::Client,
        statuses: &[(String, Value)],
    ) -> Result<()> {
        let is_meant = |it: &&Value| {
            let name = it["metadata"]["name"].as_str();
            it["kind"] == "GlobalNetworkPolicy" && name.is_some_and(|it| it.ends_with("-dns"))
        };
        let policies: Vec<_> = self.objects.iter().filter(is_meant).collect();
        ensure!(
            policies.len() == self.fleet.landing_zones,
            "{} policies for DNS",
            policies.len()
        );
        let changes = policies.iter();
        let changes = changes.map(|it| Write::merge(it, &json!({"spec": {"order": 999}})));
        let other = |status: &Value| {
            let mut status = status.clone();
            status["appliedDigest"] = json!("another");
            status
        };
        let others = statuses
            .iter()
            .map(|(zone, status)| Write::status(zone, &other(status)));
        let changes: Vec<_> = changes.chain(others).collect::<Result<_>>()?;
        let told = statuses
            .iter()
            .map(|(zone, status)| Write::status(zone, status));
        let answers = policies.into_iter().map(Write::apply).chain(told);
        let answers: Vec<_> = answers.collect::<Result<_>>()?;
        let floor = best_of_answers(client, &changes, &answers).await?;
        let change = &mut self.figures.platform_change;
        change.ratio = change.seconds / floor;
        Ok(())
    }
}

/// The best time for all answers, each time after all changes.
async fn best_of_answers(
    client: &kube::Client,
    changes: &[Write],
    answers: &[Write],
) -> Result<f64> {
    let mut best = f64::INFINITY;
    for in_flight in IN_FLIGHT {
        write_all(client, changes, in_flight).await?;
        let took = write_all(client, answers, in_flight).await?;
        best = best.min(took.as_secs_f64());
    }
    Ok(best)
}

/// A cluster with all kinds and rights, and the landing zones declared.
async fn empty_cluster(fleet: Fleet) -> Result<LocalCluster> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    governed::install_calico(&client, Calico::Storage).await?;
    install::install_operator_manifests(&client).await?;
    fleet.declare(&client).await?;
    Ok(cluster)
}

/// Namespaces first, since the others lie in them; then two writes of each status, as the operator does: what it will
/// make, then how it went.
fn everything(objects: &[Value], statuses: &[(String, Value)]) -> Result<Vec<Write>> {
    let (namespaces, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|it| it["kind"] == "Namespace");
    let mut writes: Vec<Write> = namespaces
        .into_iter()
        .chain(others)
        .map(Write::apply)
        .collect::<Result<_>>()?;
    for (zone, status) in statuses {
        let inventory = json!({"inventory": status["inventory"]});
        writes.push(Write::status(zone, &inventory)?);
    }
    for (zone, status) in statuses {
        writes.push(Write::status(zone, status)?);
    }
    Ok(writes)
}

/// Does something with each at a steady pace, all within the time of a storm where the server keeps up, and waits for it.
async fn paced(all: &[Foreign], work: impl AsyncFn(&Foreign) -> Result<()>) -> Result<()> {
    let started = tokio::time::Instant::now();
    let pace = STORM.div_f64(count(all.len()));
    let work = &work;
    stream::iter(all.iter().enumerate())
        .map(|(place, item)| async move {
            tokio::time::sleep_until(started + pace.mul_f64(count(place))).await;
            work(item).await
        })
        .buffer_unordered(IN_A_STORM)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
}

/// What somebody else would change about an object, by a merge patch; nothing where nobody would.
fn foreign_change(object: &Value) -> Option<Value> {
    Some(match object["kind"].as_str()? {
        "Namespace" => json!({"metadata": {"labels": {"applicationcode": "somebody"}}}),
        "LimitRange" => {
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "9"}}]}})
        }
        "ClusterRole" => json!({"rules": []}),
        "ResourceQuota" => json!({"spec": {"hard": {"pods": "51"}}}),
        "GlobalNetworkPolicy" => json!({"spec": {"order": 999}}),
        "RoleBinding" => json!({"subjects": []}),
        _ => return None,
    })
}

/// An object, as the audit log names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    resource: String,
    namespace: String,
    name: String,
}

impl Key {
    fn of(object: &Value) -> Self {
        let text = |pointer: &str| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let kind = text("/kind").to_lowercase();
        let resource = match kind.strip_suffix('y') {
            Some(start) => format!("{start}ies"),
            None => format!("{kind}s"),
        };
        let name = text("/metadata/name");
        // The API server says of a namespace that it lies in itself.
        let namespace = if kind == "namespace" {
            name.clone()
        } else {
            text("/metadata/namespace")
        };
        Self {
            resource,
            namespace,
            name,
        }
    }

    fn of_event(event: &Event) -> Self {
        Self {
            resource: event.resource.clone(),
            namespace: event.namespace.clone(),
            name: event.name.clone(),
        }
    }
}

/// A list counts once, however many pages it has.
fn is_next_page(event: &Event) -> bool {
    event.verb == "list" && event.request_uri.contains("continue=")
}

/// How many requests there were of each kind, for who looks for those that should not be.
fn tell_by_kind(during: &str, requests: &[&Event]) {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for it in requests {
        let what = [&it.verb, &it.resource, &it.subresource].map(String::as_str);
        *kinds
            .entry(format!("{} {}", what.join(" "), it.code))
            .or_default() += 1;
    }
    eprintln!("{during}:");
    for (what, times) in kinds {
        eprintln!("  {times:>7} {what}");
    }
}

/// The value of a metric without labels.
fn metric(text: &str, name: &str) -> Option<usize> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.split('.').next()?.trim().parse().ok()
}

fn since(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// The value below which such a part of sorted ones lies.
fn at(sorted: &[f64], part: f64) -> f64 {
    let last = count(sorted.len().saturating_sub(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of values"
    )]
    let place = (last * part).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
