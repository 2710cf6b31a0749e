//! The bare client in the operator's place: what the same server takes from it is the floor.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::bare::{self, Write, write_all};
use super::figures::{Compared, Figures, Floor, at};
use super::foreign::{Foreign, foreign_writes, paced};
use super::neighbour::Neighbour;
use super::run::{Bench, Save, apiserver, empty_cluster, per_1000};
use super::today::{flux_apply, kubectl_apply};
use super::usage::Usage;

/// Requests of the bare client that are under way at once.
const IN_FLIGHT: [usize; 3] = [8, 32, 64];

impl Bench {
    /// The bare client: in this cluster once the operator is gone, then in empty ones.
    pub(super) async fn floors(mut self, save: &Save) -> Result<Figures> {
        let declared = self.declared().await?.into_iter();
        let statuses: Vec<(String, Value)> = declared
            .map(|zone| {
                let name = zone.metadata.name.unwrap_or_default();
                Ok((name, serde_json::to_value(zone.status)?))
            })
            .collect::<Result<_>>()?;
        self.stop_operator().await?;
        let client = bare::move_in(&self.cluster).await?.client().await?;
        self.floor_of_drift(&client).await?;
        self.floor_of_storm(&client).await?;
        self.floor_of_platform_change(&client, &statuses).await?;
        let Self {
            cluster,
            fleet,
            objects,
            pace,
            mut figures,
            options,
            kustomize_controller,
            ..
        } = self;
        cluster.stop().await?;
        let writes = everything(&objects, &statuses)?;
        for in_flight in IN_FLIGHT {
            let cluster = empty_cluster(fleet).await?;
            let client = bare::move_in(&cluster).await?.client().await?;
            let apiserver = apiserver(&cluster).await?;
            // He is there while the operator converges, too.
            Neighbour::move_in(&cluster).await?;
            let neighbour = Neighbour::begin(&cluster).await?;
            let before = Usage::of(apiserver)?.processor;
            let began = Instant::now();
            let took = write_all(&client, &writes, in_flight).await?;
            let pace_milliseconds = pace.since(began)?;
            let used = Usage::of(apiserver)?.processor.saturating_sub(before);
            let neighbour_p99_seconds = neighbour.end().await?;
            cluster.stop().await?;
            figures.floors.push(Floor {
                in_flight,
                seconds: took.as_secs_f64(),
                apiserver_cpu_seconds_per_1000_objects: per_1000(used, objects.len()),
                neighbour_p99_seconds,
                pace_milliseconds,
            });
        }
        let floors = figures.floors.iter();
        let best = floors.min_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let best = *best.context("the bare client was not timed")?;
        figures.floor_seconds = best.seconds;
        let converge = &mut figures.converge;
        converge.ratio = converge.seconds / best.seconds;
        let faster = best.pace_milliseconds / converge.pace_milliseconds;
        converge.even_ratio = converge.ratio * faster;
        // Whatever becomes of others, what was measured of the operator is not lost.
        save(&figures)?;
        let told = |what: &str, seconds: Result<f64>| match seconds {
            Ok(seconds) => Compared {
                seconds,
                ratio: seconds / best.seconds,
            },
            Err(error) => {
                eprintln!("{what} failed: {error:#}");
                Compared::default()
            }
        };
        if options.kubectl {
            let cluster = empty_cluster(fleet).await?;
            figures.kubectl = told("kubectl apply", kubectl_apply(&cluster, &objects).await);
            cluster.stop().await?;
        }
        if let Some(controller) = kustomize_controller {
            let cluster = empty_cluster(fleet).await?;
            figures.flux = told("Flux", flux_apply(&cluster, &controller, &objects).await);
            cluster.stop().await?;
        }
        Ok(figures)
    }

    async fn floor_of_drift(&mut self, client: &kube::Client) -> Result<()> {
        let mut applied = Vec::new();
        for Foreign { change, answer, .. } in foreign_writes(&self.objects, self.options.drifts)? {
            change.send(client).await?;
            let started = Instant::now();
            answer.send(client).await?;
            applied.push(started.elapsed().as_secs_f64());
        }
        applied.sort_by(f64::total_cmp);
        let apply = at(&applied, 0.5);
        let drift = &mut self.figures.drift_repair;
        drift.apply_seconds = apply;
        drift.p50_ratio = drift.p50_seconds / apply;
        drift.p99_ratio = drift.p99_seconds / apply;
        Ok(())
    }

    async fn floor_of_storm(&mut self, client: &kube::Client) -> Result<()> {
        let writes = foreign_writes(&self.objects, self.options.storm)?;
        let started = Instant::now();
        paced(&writes, async |it| {
            it.change.send(client).await?;
            it.answer.send(client).await
        })
        .await?;
        let floor = started.elapsed().as_secs_f64();
        let pace_milliseconds = self.pace.since(started)?;
        let changes: Vec<_> = writes.iter().map(|it| it.change.clone()).collect();
        let answers: Vec<_> = writes.iter().map(|it| it.answer.clone()).collect();
        let storm = &mut self.figures.storm;
        storm.floor_seconds = floor;
        storm.ratio = storm.seconds / floor;
        storm.even_ratio = storm.ratio * pace_milliseconds / storm.pace_milliseconds;
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
        let began = Instant::now();
        let floor = best_of_answers(client, &changes, &answers).await?;
        let pace_milliseconds = self.pace.since(began)?;
        let change = &mut self.figures.platform_change;
        change.ratio = change.seconds / floor;
        change.even_ratio = change.ratio * pace_milliseconds / change.pace_milliseconds;
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
