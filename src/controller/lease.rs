//! Which of several operators writes: the one that holds the Lease. The others watch, judge policies and wait.
//!
//! Whoever cannot renew it stops writing on time, by its own clock ([`leadership`]), and goes on trying: as long as
//! nobody else took it, nothing was missed. Whoever finds that somebody else did ends, and starts anew with what is.
//! A Lease is read as other controllers of Kubernetes do it (`client-go/tools/leaderelection`).

mod decision;
mod leadership;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client};

use crate::api::names::MANAGER;
use crate::cluster::{failure, follow};
use crate::telemetry::{Health, Metrics};
use decision::{LASTS, Record, Sight, Step, WRITES_FOR, step};

pub use leadership::{Leadership, NotLeading};

/// What the Lease is called, in the operator's own namespace.
pub const NAME: &str = MANAGER;
/// The namespace of the Lease where the operator does not know its own.
pub const DEFAULT_NAMESPACE: &str = "landing-zone-system";
/// What `/readyz` calls it.
const PART: &str = "Lease landing-zone-operator";
/// How long an answer about the Lease may take.
const PATIENCE: Duration = Duration::from_secs(3);
const NO_ANSWER: &str = "no answer in time";
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Why an operator ends by itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseLost {
    /// Somebody else took over.
    #[error("{holder} holds the Lease {NAME} now; this operator ends, and can start anew")]
    Taken {
        /// Who holds it.
        holder: String,
    },
    /// What this operator remembers is of a history that is no more, and its watches wait for versions that come a second
    /// time. Versions of one object only grow (KEP-5504, on how resource versions compare), but where etcd was restored
    /// from a snapshot.
    #[error(
        "the cluster was put back to an earlier state: version {now} of the Lease {NAME} came after version {seen}; this \
         operator ends, and can start anew with what is there"
    )]
    PutBack {
        /// The newest version that was seen.
        seen: u64,
        /// The one that came after it.
        now: u64,
    },
}

/// Keeps the Lease, or waits for it.
pub struct Keeper {
    leases: Api<Lease>,
    watched: Api<Lease>,
    me: String,
    leadership: Leadership,
    health: Health,
    metrics: Arc<Metrics>,
    sight: Sight,
    /// As it was seen last.
    lease: Option<Lease>,
    /// When the last renewal was asked for that was granted.
    renewed: Option<Instant>,
    /// The newest version of the Lease that was seen. What a watch tells may be older, and is asked for again then.
    newest: Option<u64>,
}

impl Keeper {
    /// One that neither knows nor holds anything yet. `electing` must not be behind the gate.
    #[must_use]
    pub fn new(
        electing: Client,
        watching: Client,
        namespace: &str,
        leadership: Leadership,
        health: Health,
        metrics: Arc<Metrics>,
    ) -> Self {
        health.waits_for(PART);
        Self {
            leases: Api::namespaced(electing, namespace),
            watched: Api::namespaced(watching, namespace),
            me: identity(),
            leadership,
            health,
            metrics,
            sight: Sight::default(),
            lease: None,
            renewed: None,
            newest: None,
        }
    }

    /// Takes the Lease as soon as it may, and keeps it.
    ///
    /// # Errors
    /// When somebody else holds what this operator held, or the cluster was put back to an earlier state.
    pub async fn keep(&mut self) -> Result<Infallible, LeaseLost> {
        let by_name = Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = pin!(follow(self.watched.clone(), by_name));
        loop {
            let done = match step(&self.me, &self.sight, self.renewed, Instant::now()) {
                Step::Look => self.look().await,
                Step::Create | Step::Hold => self.hold().await,
                Step::End(holder) => return Err(self.ends(LeaseLost::Taken { holder })),
                Step::WaitUntil(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {}
                        event = events.next() => self.take_in(event),
                    }
                    continue;
                }
            };
            match done {
                Ok(()) => {}
                Err(Failed::ForGood(ended)) => return Err(self.ends(ended)),
                Err(Failed::ForNow(why)) => {
                    self.health.fails(PART, &why);
                    tokio::time::sleep(RETRY).await;
                }
            }
            if self.renewed.is_some() {
                let leads = self.leadership.may_write();
                if !leads && self.metrics.leader.get() == 1 {
                    tracing::warn!(
                        "the Lease could not be renewed in time; nothing is written until it is"
                    );
                }
                self.metrics.leader.set(leads.into());
            }
        }
    }

    /// Gives the Lease up, so that another one need not wait until it runs out.
    pub async fn release(&mut self) {
        if self.renewed.take().is_none() {
            return;
        }
        self.leadership.ends();
        self.metrics.leader.set(0);
        let releasing = async {
            loop {
                let Some(lease) = self.lease.clone().filter(|lease| self.is_mine(lease)) else {
                    return Ok(());
                };
                match answered(self.replace(&released(lease))).await {
                    Ok(_) => return Ok(()),
                    // A renewal may have been under way.
                    Err(why) => {
                        let version = self.version();
                        self.look().await.map_err(|failed| failed.to_string())?;
                        if self.version() == version {
                            return Err(why);
                        }
                    }
                }
            }
        };
        match tokio::time::timeout(PATIENCE, releasing).await {
            Ok(Ok(())) => tracing::info!("gave the Lease up"),
            Ok(Err(why)) => tracing::warn!(why, "failed to give the Lease up; it will run out"),
            Err(_) => tracing::warn!("failed to give the Lease up in time; it will run out"),
        }
    }

    fn ends(&mut self, why: LeaseLost) -> LeaseLost {
        self.leadership.ends();
        self.metrics.leader.set(0);
        self.renewed = None;
        why
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        record(lease).holder.as_ref() == Some(&self.me)
    }

    fn version(&self) -> Option<String> {
        let lease = self.lease.as_ref()?;
        lease.metadata.resource_version.clone()
    }

    /// Takes in what a watch tells. Its holder knows better, by the answers to its own writes, which may be newer.
    fn take_in(&mut self, event: Option<Result<Event<Lease>, String>>) {
        match event {
            Some(Err(why)) => self.health.fails(PART, &why),
            Some(Ok(event)) if self.renewed.is_none() => {
                self.health.is_well(PART);
                match event {
                    // Told late, or the cluster was put back: the API server itself says which.
                    Event::InitApply(lease) | Event::Apply(lease)
                        if follows(&mut self.newest.clone(), &lease).is_err() =>
                    {
                        self.sight = Sight::Unseen;
                    }
                    Event::InitApply(lease) | Event::Apply(lease) => {
                        self.newest = version(&lease).max(self.newest);
                        self.see(lease);
                    }
                    Event::Delete(_) => self.sight = Sight::Absent,
                    // A Lease that vanished while nobody looked shows when somebody tries to take it.
                    Event::Init | Event::InitDone => {}
                }
            }
            Some(Ok(_)) | None => {}
        }
    }

    fn see(&mut self, lease: Lease) {
        self.sight.see(record(&lease), Instant::now());
        self.lease = Some(lease);
    }

    async fn look(&mut self) -> Result<(), Failed> {
        let found = answered(self.leases.get_opt(NAME)).await;
        if let Some(lease) = found.map_err(Failed::ForNow)? {
            follows(&mut self.newest, &lease)?;
            self.see(lease);
        } else {
            self.sight = Sight::Absent;
            self.lease = None;
        }
        self.health.is_well(PART);
        Ok(())
    }

    /// Creates the Lease, takes it or renews it: each only if it still is as it was seen.
    async fn hold(&mut self) -> Result<(), Failed> {
        let lease = match (&self.sight, &self.lease) {
            (Sight::Present(..), Some(lease)) => self.held(lease.clone()),
            _ => self.held(Lease::default()),
        };
        let is_known = lease.metadata.resource_version.is_some();
        let asked = Instant::now();
        let written = async {
            if is_known {
                self.replace(&lease).await
            } else {
                self.leases.create(&PostParams::default(), &lease).await
            }
        };
        let written = tokio::time::timeout(PATIENCE, written).await;
        match written {
            Ok(Ok(lease)) => {
                follows(&mut self.newest, &lease)?;
                let is_first = self.renewed.replace(asked).is_none();
                self.leadership.holds_until(asked + WRITES_FOR);
                self.see(lease);
                self.health.is_well(PART);
                if is_first {
                    tracing::info!(identity = self.me, "holds the Lease; writing");
                }
                Ok(())
            }
            // Another one than was seen, or none any more: look what it is.
            Ok(Err(kube::Error::Api(status)))
                if status.code == 409 || (status.code == 404 && is_known) =>
            {
                self.look().await
            }
            Ok(Err(error)) => Err(Failed::ForNow(failure(&error))),
            // It may have been done all the same: the next try finds out.
            Err(_) => Err(Failed::ForNow(NO_ANSWER.to_owned())),
        }
    }

    fn held(&self, mut lease: Lease) -> Lease {
        let now = MicroTime(Timestamp::now());
        lease.metadata.name = Some(NAME.to_owned());
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_ref() != Some(&self.me) {
            let before = spec.lease_transitions.map_or(0, |before| before + 1);
            *spec = LeaseSpec {
                holder_identity: Some(self.me.clone()),
                acquire_time: Some(now.clone()),
                lease_transitions: Some(before),
                ..LeaseSpec::default()
            };
        }
        spec.lease_duration_seconds = i32::try_from(LASTS.as_secs()).ok();
        spec.renew_time = Some(now);
        lease
    }

    async fn replace(&self, lease: &Lease) -> kube::Result<Lease> {
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.leases.replace(NAME, &params, lease).await
    }
}

/// Why something about the Lease was not done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Failed {
    /// It is tried again.
    #[error("{0}")]
    ForNow(String),
    /// It is not.
    #[error(transparent)]
    ForGood(#[from] LeaseLost),
}

fn version(lease: &Lease) -> Option<u64> {
    lease.metadata.resource_version.as_ref()?.parse().ok()
}

/// Takes note of a version of the Lease, which has to be newer than those before. What is no number cannot be compared.
fn follows(newest: &mut Option<u64>, lease: &Lease) -> Result<(), LeaseLost> {
    let Some(now) = version(lease) else {
        return Ok(());
    };
    match newest.replace(now) {
        Some(seen) if now < seen => Err(LeaseLost::PutBack { seen, now }),
        _ => Ok(()),
    }
}

/// The Lease as it is when nobody holds it.
fn released(mut lease: Lease) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.lease_duration_seconds = Some(1);
    lease
}

fn record(lease: &Lease) -> Record {
    let Some(spec) = &lease.spec else {
        return Record::default();
    };
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    Record {
        holder: spec.holder_identity.clone().filter(|it| !it.is_empty()),
        lasts: Duration::from_secs(seconds.try_into().unwrap_or_default()),
        renewed: spec.renew_time.as_ref().map(|time| time.0.to_string()),
    }
}

/// Under which name this process holds the Lease. In a pod, where the first process has the same number each time, a
/// container that starts again is the same one, and need not wait for itself; elsewhere each process is another one.
pub(super) fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| MANAGER.to_owned());
    format!("{host}_{}", std::process::id())
}

async fn answered<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => Err(NO_ANSWER.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_version(text: &str) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some(text.to_owned());
        lease
    }

    #[test]
    fn a_version_that_is_older_than_the_last_one_ends_the_operator() {
        let mut newest = None;
        assert_eq!(follows(&mut newest, &of_version("7")), Ok(()));
        // Looked at twice.
        assert_eq!(follows(&mut newest, &of_version("7")), Ok(()));
        assert_eq!(follows(&mut newest, &of_version("12")), Ok(()));
        let put_back = Err(LeaseLost::PutBack { seen: 12, now: 9 });
        assert_eq!(follows(&mut newest, &of_version("9")), put_back);
    }

    #[test]
    fn versions_that_are_no_numbers_are_not_compared() {
        let mut newest = None;
        assert_eq!(follows(&mut newest, &of_version("7")), Ok(()));
        assert_eq!(follows(&mut newest, &of_version("a1")), Ok(()));
        assert_eq!(newest, Some(7));
    }
}
