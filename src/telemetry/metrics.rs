//! Metrics, in the text form of `OpenMetrics`. Every name starts with `landingzone_`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::controller::Kind;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests that change something, by verb and kind.
    pub writes: Family<WriteLabels, Counter>,
    /// Objects put back, by kind.
    pub drift_repairs: Family<KindLabels, Counter>,
    /// Pods evicted because they ran where their placement does not admit them.
    pub pods_evicted: Counter,
    /// Reconciles, by result.
    pub reconciles: Family<ResultLabels, Counter>,
    /// Time of one reconcile, in seconds.
    pub reconcile_seconds: Histogram,
    /// Landing zones in the cluster.
    pub landing_zones: Gauge,
    /// Landing zones whose Ready condition is not True.
    pub landing_zones_not_ready: Gauge,
    /// Landing zones with an object that somebody else keeps changing back.
    pub contested: Gauge,
    /// When the last day of a crossing is over, in seconds since 1970.
    pub crossing_expiry: Family<CrossingLabels, Gauge>,
    /// What others' policies and network sets do that would leave a boundary undeclared.
    pub boundary_findings: Family<FindingLabels, Gauge>,
    /// Landing zones whose boundary does not hold, by the reason that their status has for it.
    pub boundary_not_held: Family<ReasonLabels, Gauge>,
    /// Whether the webhook that judges policies is asked and answers: 1 or 0; without a series where it is off.
    pub guard_ready: Family<GuardLabels, Gauge>,
    /// Reviews that the API server asked for, by result.
    pub guard_reviews: Family<ReviewLabels, Counter>,
    /// Whether a kind is watched and was listed completely: 1 or 0.
    pub watch_synced: Family<KindLabels, Gauge<f64, AtomicU64>>,
    /// Whether this operator holds the Lease: 1, or 0.
    pub leader: Gauge,
    /// When this operator started, in seconds since 1970: it changes in a series where a container starts again.
    pub start: Gauge,
}

/// Labels of [`Metrics::writes`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct WriteLabels {
    /// What was asked.
    pub verb: RequestVerb,
    /// Kind of the object.
    pub kind: String,
}

/// Labels of [`Metrics::crossing_expiry`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
pub struct CrossingLabels {
    /// The landing zone that declares it.
    pub landing_zone: String,
    /// Egress or Ingress.
    pub direction: String,
    /// Its name.
    pub crossing: String,
}

/// Labels of [`Metrics::boundary_findings`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct FindingLabels {
    /// The landing zone.
    pub landing_zone: String,
    /// Id of the rule.
    pub rule: String,
    /// Whether it gets past the boundary, or could.
    pub open: String,
}

/// Label of [`Metrics::boundary_not_held`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabels {
    /// Reason of the condition `BoundaryHeld`, of which there are a handful.
    pub reason: String,
}

/// Label of [`Metrics::guard_ready`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct GuardLabels {
    /// What the platform declares: Observe or Enforce.
    pub stage: String,
}

/// Label of [`Metrics::guard_reviews`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReviewLabels {
    /// What came of it.
    pub result: ReviewResult,
}

/// What came of a review.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum ReviewResult {
    /// Nothing was found.
    Passed,
    /// Something was told.
    Warned,
    /// It was refused.
    Refused,
    /// There was no review: the request was too large, or no request.
    Failed,
}

/// Label of metrics by kind.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct KindLabels {
    /// Kind of the object.
    pub kind: String,
}

/// Label of [`Metrics::reconciles`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ResultLabels {
    /// How it ended.
    pub result: Result,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum Result {
    /// As it should.
    Ok,
    /// With an error; it is tried again.
    Error,
}

/// Verb of a request that changes something.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum RequestVerb {
    /// POST.
    Create,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl From<Kind> for KindLabels {
    fn from(kind: Kind) -> Self {
        Self {
            kind: kind.name().to_owned(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("landingzone");
        let metrics = Self {
            writes: Family::default(),
            drift_repairs: Family::default(),
            pods_evicted: Counter::default(),
            reconciles: Family::default(),
            reconcile_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            landing_zones: Gauge::default(),
            landing_zones_not_ready: Gauge::default(),
            contested: Gauge::default(),
            crossing_expiry: Family::default(),
            boundary_findings: Family::default(),
            boundary_not_held: Family::default(),
            guard_ready: Family::default(),
            guard_reviews: Family::default(),
            watch_synced: Family::default(),
            leader: Gauge::default(),
            start: Gauge::default(),
            registry: Registry::default(),
        };
        // A counter that appears with its first count hides that count from `increase()`.
        for kind in Kind::ALL {
            metrics.drift_repairs.get_or_create(&kind.into()).inc_by(0);
        }
        for result in [Result::Ok, Result::Error] {
            metrics
                .reconciles
                .get_or_create(&ResultLabels { result })
                .inc_by(0);
        }
        metrics.start.set(jiff::Timestamp::now().as_second());
        metrics.register(&mut registry);
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// A new set, shared.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// The metrics as text (`application/openmetrics-text; version=1.0.0`).
    ///
    /// # Errors
    /// When a metric cannot be written as text, which is a defect.
    pub fn encode(&self) -> std::result::Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "writes",
            "Requests that change something, by verb and kind",
            self.writes.clone(),
        );
        registry.register(
            "drift_repairs",
            "Objects put back to what is declared, by kind",
            self.drift_repairs.clone(),
        );
        registry.register(
            "pods_evicted",
            "Pods evicted because they ran where their placement does not admit them",
            self.pods_evicted.clone(),
        );
        registry.register(
            "reconciles",
            "Reconciles, by result",
            self.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile",
            "Time of one reconcile",
            Unit::Seconds,
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "landing_zones",
            "Landing zones in the cluster",
            self.landing_zones.clone(),
        );
        registry.register(
            "landing_zones_not_ready",
            "Landing zones whose Ready condition is not True",
            self.landing_zones_not_ready.clone(),
        );
        registry.register(
            "contested",
            "Landing zones with an object that somebody else keeps changing back",
            self.contested.clone(),
        );
        registry.register_with_unit(
            "crossing_expiry_timestamp",
            "When the last day of a crossing is over, since 1970",
            Unit::Seconds,
            self.crossing_expiry.clone(),
        );
        registry.register(
            "boundary_findings",
            "What others' policies and network sets do that would leave a boundary undeclared, by rule",
            self.boundary_findings.clone(),
        );
        registry.register(
            "boundary_not_held",
            "Landing zones whose boundary does not hold, by the reason that their status has",
            self.boundary_not_held.clone(),
        );
        registry.register(
            "guard_ready",
            "Whether the webhook that judges policies is asked and answers",
            self.guard_ready.clone(),
        );
        registry.register(
            "guard_reviews",
            "Reviews that the API server asked for, by result",
            self.guard_reviews.clone(),
        );
        registry.register(
            "watch_synced",
            "Whether a kind is watched and was listed completely",
            self.watch_synced.clone(),
        );
        registry.register(
            "leader",
            "Whether this operator holds the Lease, so that it writes",
            self.leader.clone(),
        );
        registry.register_with_unit(
            "start_timestamp",
            "When this operator started, since 1970",
            Unit::Seconds,
            self.start.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_carries_the_prefix_and_ends_as_openmetrics_asks() {
        let metrics = Metrics::default();
        metrics.landing_zones.set(3);
        let labels = KindLabels::from(Kind::ResourceQuota);
        metrics.drift_repairs.get_or_create(&labels).inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("landingzone_landing_zones 3\n"), "{text}");
        let repairs = "landingzone_drift_repairs_total{kind=\"ResourceQuota\"} 1\n";
        assert!(text.contains(repairs), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
