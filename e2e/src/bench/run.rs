//! The steps of a measurement, in their order.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use landing_zone_operator::api::{LandingZone, LandingZonePlatform};
use serde_json::{Value, json};

use super::figures::{
    self, BesideOthers, Converge, DriftRepair, Figures, Idle, Limits, PlatformChange, Storm, at,
    count, mebibytes,
};
use super::fleet::Fleet;
use super::foreign::{Foreign, Key, foreign_writes, paced};
use super::neighbour::Neighbour;
use super::pace::Pace;
use super::usage::{self, Usage};
use crate::audit::{Event, Mark, by_kind};
use crate::binaries::{OperatorBinaries, Profile, kustomize_controller};
use crate::operator::OPERATOR_USER;
use crate::progress::Progress;
use crate::wait::{eventually, eventually_each};
use crate::{
    Calico, ClusterOptions, LocalCluster, OperatorOptions, OperatorProcess, governed, install,
    workspace,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// Nothing is asked for so long: nothing more is to come.
const QUIET: Duration = Duration::from_secs(4);
/// So many landing zones converge where somebody else's requests are timed for other shares: for longer than those take.
const BESIDE_OTHERS: usize = 100;
/// From one look to the next while the operator works: whoever looks more often takes a core from it.
const GLANCE: Duration = Duration::from_millis(500);
/// The same where it takes a few seconds in all.
const CLOSE_LOOK: Duration = Duration::from_millis(100);
/// How long somebody else's requests are timed before the operator starts.
const NEIGHBOUR_ALONE: Duration = Duration::from_secs(20);
/// Restarts that are timed.
const RESTARTS: usize = 3;

/// What is measured, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many landing zones.
    pub landing_zones: usize,
    /// How long nothing happens.
    pub idle: Duration,
    /// Foreign writes one at a time.
    pub drifts: usize,
    /// Foreign writes in a storm.
    pub storm: usize,
    /// How many storms.
    pub storms: usize,
    /// Limits of the operator with which somebody else's requests are timed besides.
    pub limits: Vec<Limits>,
    /// Whether kubectl is tried, too.
    pub kubectl: bool,
    /// Whether Flux is.
    pub flux: bool,
}

/// Keeps figures: once those of the operator are known, before others are tried, and at the end.
pub type Save = dyn Fn(&Figures) -> Result<()>;

/// Measures all of it. Takes some minutes, and is as good as the machine is quiet.
pub async fn run(options: &Options, save: &Save) -> Result<Figures> {
    let progress = Progress::new();
    let binaries = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Release))
        .await
        .context("the build of the operator was cut off")??;
    let step = progress.step("beside somebody else");
    let mut beside_others = Vec::new();
    for limits in &options.limits {
        beside_others.push(beside_others_with(*limits, options, &binaries).await?);
    }
    step.finish();
    let mut bench = Bench::start(options, binaries).await?;
    bench.figures.beside_others = beside_others;
    if options.flux {
        let building = tokio::task::spawn_blocking(|| kustomize_controller(&Progress::new()));
        let controller = building.await;
        let controller = controller.context("the build of kustomize-controller was cut off")?;
        bench.kustomize_controller = Some(controller?);
    }
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
    let figures = Box::pin(bench.floors(save)).await?;
    step.finish();
    save(&figures)?;
    Ok(figures)
}

/// How long somebody else's requests take while the operator converges with such limits.
async fn beside_others_with(
    limits: Limits,
    options: &Options,
    binaries: &OperatorBinaries,
) -> Result<BesideOthers> {
    let options = Options {
        landing_zones: options.landing_zones.min(BESIDE_OTHERS),
        ..options.clone()
    };
    let mut bench = Bench::start(&options, binaries.clone()).await?;
    let levels: Api<PriorityLevelConfiguration> = Api::all(bench.cluster.client());
    let limited = json!({"spec": {"limited": {"nominalConcurrencyShares": limits.shares}}});
    levels
        .patch(
            "landing-zone-operator",
            &PatchParams::default(),
            &Patch::Merge(limited),
        )
        .await?;
    bench
        .arguments
        .push(format!("--writes-in-flight={}", limits.writes_in_flight));
    let rate = limits.requests_per_second;
    let rate = rate.map(|it| format!("--requests-per-second={it}"));
    bench.arguments.extend(rate);
    bench.converge().await?;
    let figures = BesideOthers {
        limits,
        landing_zones: options.landing_zones,
        converge_seconds: bench.figures.converge.seconds,
        neighbour: bench.figures.neighbour,
    };
    bench.stop_operator().await?;
    bench.cluster.stop().await?;
    Ok(figures)
}

/// A cluster, the operator, and what was measured so far.
pub(super) struct Bench {
    pub options: Options,
    pub fleet: Fleet,
    binaries: OperatorBinaries,
    pub cluster: LocalCluster,
    operator: Option<OperatorProcess>,
    /// Arguments of the operator.
    arguments: Vec<String>,
    /// Flux's, where it is tried.
    pub kustomize_controller: Option<PathBuf>,
    /// What the landing zones render to.
    pub objects: Vec<Value>,
    pub pace: Pace,
    pub figures: Figures,
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
            arguments: vec!["--pod-cidr=10.244.0.0/16".to_owned()],
            kustomize_controller: None,
            pace: Pace::begin()?,
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
            arguments: self.arguments.clone(),
            ..OperatorOptions::default()
        };
        let binary = self.binaries.operator.clone();
        let operator = OperatorProcess::start_binary(&self.cluster, binary, options).await?;
        self.operator = Some(operator);
        Ok(())
    }

    pub async fn stop_operator(&mut self) -> Result<()> {
        if let Some(operator) = self.operator.take() {
            operator.terminate().await?;
        }
        Ok(())
    }

    fn usage(&self) -> Result<Usage> {
        Usage::of(self.operator()?.process().id())
    }

    /// Waits until each landing zone was compared at least once, and all are ready.
    async fn all_compared(&self, interval: Duration) -> Result<()> {
        let operator = self.operator()?;
        let wanted = self.fleet.landing_zones;
        let what = "every landing zone to be compared";
        eventually_each(interval, PATIENCE, what, async || {
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
    async fn quiet(&self) -> Result<Mark> {
        let log = self.cluster.audit_log();
        log.quiet(OPERATOR_USER, QUIET, PATIENCE).await
    }

    async fn converge(&mut self) -> Result<()> {
        let apiserver = apiserver(&self.cluster).await?;
        let quiet = self.quiet_neighbour().await?;
        let neighbour = Neighbour::begin(&self.cluster).await?;
        let mark = self.cluster.audit_log().mark()?;
        let server_before = Usage::of(apiserver)?.processor;
        let (started, began) = (Timestamp::now(), Instant::now());
        self.start_operator().await?;
        self.all_compared(GLANCE).await?;
        let pace_milliseconds = self.pace.since(began)?;
        let converging = neighbour.end().await?;
        self.figures.neighbour = figures::Neighbour {
            quiet_p99_seconds: quiet,
            converging_p99_seconds: converging,
            ratio: converging / quiet,
        };
        self.quiet().await?;
        let server = Usage::of(apiserver)?;
        let apiserver_peak_mib = mebibytes(server.peak);
        let server = server.processor.saturating_sub(server_before);
        let requests = self.cluster.audit_log().requests_by(OPERATOR_USER, mark)?;
        let writes: Vec<_> = requests.iter().filter(|it| it.is_write()).collect();
        // What is told in events follows when all is there, as nobody waits for it.
        let objects = writes.iter().filter(|it| it.resource != "events");
        let last = objects.map(|it| it.completed).max();
        tell("converging", writes.iter().copied());
        self.figures.converge = Converge {
            seconds: since(started, last.context("nothing was written")?),
            requests: requests.len(),
            writes: writes.len(),
            failed: requests.iter().filter(|it| !it.succeeded()).count(),
            operator_cpu_seconds_per_1000_objects: per_1000(
                self.usage()?.processor,
                self.objects.len(),
            ),
            apiserver_cpu_seconds_per_1000_objects: per_1000(server, self.objects.len()),
            apiserver_peak_mib,
            pace_milliseconds,
            ..Converge::default()
        };
        self.everything_is_ready().await
    }

    /// How long somebody else's requests take before the operator is there.
    async fn quiet_neighbour(&self) -> Result<f64> {
        Neighbour::move_in(&self.cluster).await?;
        let neighbour = Neighbour::begin(&self.cluster).await?;
        tokio::time::sleep(NEIGHBOUR_ALONE).await;
        neighbour.end().await
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

    /// The landing zones as they are.
    pub async fn declared(&self) -> Result<Vec<LandingZone>> {
        let zones: Api<LandingZone> = Api::all(self.cluster.client());
        Ok(zones.list(&ListParams::default()).await?.items)
    }

    /// With what the teams wrote meanwhile; several times, of which the seconds are the median and the counts the most.
    async fn restart(&mut self) -> Result<()> {
        let client = self.cluster.client();
        self.fleet.write_team_policies(&client).await?;
        let mut seconds = Vec::new();
        for _ in 0..RESTARTS {
            seconds.push(self.restart_once().await?);
        }
        seconds.sort_by(f64::total_cmp);
        eprintln!("restarts: {seconds:.2?} s");
        self.figures.restart.seconds = at(&seconds, 0.5);
        Ok(())
    }

    async fn restart_once(&mut self) -> Result<f64> {
        self.quiet().await?;
        self.stop_operator().await?;
        let mark = self.cluster.audit_log().mark()?;
        let started = Instant::now();
        self.start_operator().await?;
        self.all_compared(CLOSE_LOOK).await?;
        let seconds = started.elapsed().as_secs_f64();
        self.quiet().await?;
        let requests = self.cluster.audit_log().requests_by(OPERATOR_USER, mark)?;
        let writes = requests.iter().filter(|it| it.is_write()).count();
        tell("restarting", &requests);
        let began = requests.iter();
        let began = began.filter(|it| it.verb == "watch" && it.succeeded());
        let watched: BTreeSet<_> = began
            .map(|it| (&it.api_group, &it.resource, &it.namespace, &it.name))
            .collect();
        self.figures.watches = self.figures.watches.max(watched.len());
        let restart = &mut self.figures.restart;
        let asked = requests.iter().filter(|it| !it.is_next_page()).count();
        restart.writes = restart.writes.max(writes);
        restart.requests = restart.requests.max(asked);
        Ok(seconds)
    }

    /// Waits until it does nothing any more: what others write is judged without a request.
    async fn at_rest(&self) -> Result<()> {
        eventually(PATIENCE, "the operator to be at rest", async || {
            let before = self.usage()?.processor;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let used = self.usage()?.processor.saturating_sub(before);
            ensure!(used < Duration::from_millis(20), "it used {used:?}");
            Ok(Some(()))
        })
        .await
    }

    async fn idle(&mut self) -> Result<()> {
        self.at_rest().await?;
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
        self.figures.resident_mib = mebibytes(before.resident);
        self.figures.peak_mib = mebibytes(before.peak);
        Ok(())
    }

    async fn drift_repair(&mut self) -> Result<()> {
        let client = self.cluster.client();
        let log = self.cluster.audit_log();
        let mut repaired = Vec::new();
        for Foreign { key, change, .. } in foreign_writes(&self.objects, self.options.drifts)? {
            let mark = log.mark()?;
            change.send(&client).await?;
            let (mut read, mut drifted, mut answered) = (mark, None, None);
            let took = eventually(PATIENCE, "a repair", async || {
                for event in log.more(&mut read)? {
                    if !event.is_write() || !event.succeeded() || Key::of_event(&event) != key {
                        continue;
                    }
                    let ours = event.user == OPERATOR_USER;
                    let first = if ours { &mut answered } else { &mut drifted };
                    first.get_or_insert(event.completed);
                }
                Ok(drifted.zip(answered).map(|(from, to)| since(from, to)))
            });
            repaired.push(took.await.with_context(|| format!("{key:?}"))?);
        }
        self.quiet().await?;
        repaired.sort_by(f64::total_cmp);
        self.figures.drift_repair = DriftRepair {
            samples: repaired.len(),
            p50_seconds: at(&repaired, 0.5),
            p99_seconds: at(&repaired, 0.99),
            ..DriftRepair::default()
        };
        Ok(())
    }

    async fn storms(&mut self) -> Result<()> {
        let writes = foreign_writes(&self.objects, self.options.storm)?;
        let client = self.cluster.client();
        let log = self.cluster.audit_log();
        let mut resident = Vec::new();
        for _ in 0..self.options.storms {
            let mark = log.mark()?;
            let (first, began) = (Timestamp::now(), Instant::now());
            paced(&writes, async |it| it.change.send(&client).await).await?;
            let last_foreign = Timestamp::now();
            let mut waiting: BTreeSet<_> = writes.iter().map(|it| it.key.clone()).collect();
            let (mut read, mut last) = (mark, first);
            let what = "the storm to be repaired";
            let repaired = eventually_each(GLANCE, PATIENCE, what, async || {
                let events = log.more(&mut read)?;
                let repairs = events.iter();
                for event in repairs.filter(|it| it.is_write_of(OPERATOR_USER) && took_effect(it)) {
                    if waiting.remove(&Key::of_event(event)) {
                        last = last.max(event.completed);
                    }
                }
                ensure!(waiting.is_empty(), "{} are not repaired", waiting.len());
                Ok(Some(()))
            });
            repaired.await?;
            let pace_milliseconds = self.pace.since(began)?;
            self.quiet().await?;
            resident.push(self.usage()?.resident);
            eprintln!(
                "resident after it: {:.1} MiB",
                mebibytes(self.usage()?.resident)
            );
            let all = self.writes_since(mark)?;
            tell("a storm", &all);
            self.figures.storm = Storm {
                drifts: writes.len(),
                seconds: since(first, last),
                behind_seconds: since(last_foreign, last),
                other_writes: all.len() - writes.len(),
                pace_milliseconds,
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
        let (changed, began) = (Timestamp::now(), Instant::now());
        platforms
            .patch("cluster", &PatchParams::default(), &patch)
            .await?;
        let zones = self.fleet.landing_zones;
        let log = self.cluster.audit_log();
        let (mut read, mut policies) = (mark, 0);
        let what = "every landing zone to follow";
        eventually_each(GLANCE, PATIENCE, what, async || {
            let events = log.more(&mut read)?;
            let written = events.iter().filter(|it| it.is_write_of(OPERATOR_USER));
            policies += written
                .filter(|it| it.resource == "globalnetworkpolicies" && it.succeeded())
                .count();
            ensure!(policies >= zones, "{policies} of {zones}");
            Ok(Some(()))
        })
        .await?;
        let pace_milliseconds = self.pace.since(began)?;
        self.quiet().await?;
        let writes = self.writes_since(mark)?;
        // What it says of the platform itself is no write to a landing zone.
        let writes: Vec<_> = writes
            .iter()
            .filter(|it| it.resource != "landingzoneplatforms")
            .collect();
        tell("a change of the platform", writes.iter().copied());
        let last = writes.iter().map(|it| it.completed).max();
        self.figures.platform_change = PlatformChange {
            // The policy, and in the status which objects are in force.
            expected: 2 * zones,
            writes: writes.len(),
            seconds: since(changed, last.context("nothing was written")?),
            pace_milliseconds,
            ..PlatformChange::default()
        };
        self.figures.afterwards_mib = mebibytes(self.usage()?.resident);
        Ok(())
    }
}

/// The process that is the cluster's API server.
pub(super) async fn apiserver(cluster: &LocalCluster) -> Result<u32> {
    let mut servers = cluster.process_ids().await.into_iter();
    let is_it = |it: &u32| usage::name(*it).is_ok_and(|name| name.starts_with("kube-apiserver"));
    servers.find(is_it).context("no kube-apiserver")
}

/// Processor time for 1,000 objects, seconds.
pub(super) fn per_1000(processor: Duration, objects: usize) -> f64 {
    processor.as_secs_f64() / count(objects) * 1e3
}

/// A cluster with all kinds and rights, and the landing zones declared.
pub(super) async fn empty_cluster(fleet: Fleet) -> Result<LocalCluster> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    governed::install_calico(&client, Calico::Storage).await?;
    install::install_operator_manifests(&client).await?;
    let flow_control = workspace::root().join("config/flow-control/flow-control.yaml");
    install::apply_manifests(&client, &flow_control).await?;
    fleet.declare(&client).await?;
    Ok(cluster)
}

/// How many requests there were of each kind, for who looks for those that should not be.
fn tell<'a>(during: &str, requests: impl IntoIterator<Item = &'a Event>) {
    eprintln!("{during}:");
    for (what, times) in by_kind(requests) {
        eprintln!("  {times:>7} {what}");
    }
}

/// Whether a write did something. One whose answer came too late mostly did; where not, the operator writes again.
fn took_effect(write: &Event) -> bool {
    write.succeeded() || write.code == 504
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
