//! Follows the platform: what it declares holds for every landing zone, and its status says so.

mod conditions;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client, CustomResourceExt, Resource, ResourceExt};
use tokio::sync::watch;

use super::context::Context;
use super::platform_status::{ValuesSaid, Verdict};
use super::status::{Progress, sentence};
use super::watch::explained;
use crate::api::condition::reason;
use crate::api::{LandingZonePlatform, LandingZonePlatformStatus, PlatformValues};
use crate::cluster::{ClusterAddresses, WantedAddresses, failure, follow, watch_addresses};
use crate::domain::{FoundRanges, PLATFORM_NAME, Platform};
use crate::telemetry::Health;

/// A platform as it is stored: one that cannot be read must not stop the operator.
type Declared = DeserializeGuard<LandingZonePlatform>;

const PART: &str = "watch of the platform (LandingZonePlatform)";

/// Follows the platform, and of the cluster what it leaves open. `told` is what the operator was started
/// with: it holds where nothing is declared.
pub(super) async fn follow_platform(
    client: Client,
    context: Arc<Context>,
    told: Platform,
    health: Health,
) {
    let wanted_nodes = context.wanted_nodes.clone();
    let nodes = (&wanted_nodes, context.nodes.subscribe());
    let (want, wanted) = watch::channel(WantedAddresses::default());
    let (find, found) = watch::channel(ClusterAddresses::default());
    let signs = context.signs.clone();
    let following = Following {
        context,
        told,
        declared: None,
        base: None,
        ranges: FoundRanges::default(),
        want,
        found,
    };
    tokio::join!(
        watch_addresses(client.clone(), &health, signs, wanted, &find, nodes),
        following.run(client, &health),
    );
}

/// When to try again to write a status, and how long what has to be read first is nobody's business.
const TELL_AGAIN: Duration = Duration::from_secs(5);

struct Following {
    context: Arc<Context>,
    /// What the operator was started with.
    told: Platform,
    /// What is declared, right or wrong.
    declared: Option<Declared>,
    /// What holds but for what the cluster itself tells. None until the declaration is known.
    base: Option<Platform>,
    /// What the cluster told of the ranges of pods.
    ranges: FoundRanges,
    want: watch::Sender<WantedAddresses>,
    found: watch::Receiver<ClusterAddresses>,
}

impl Following {
    async fn run(mut self, client: Client, health: &Health) {
        health.waits_for(PART);
        let mut listed: Option<Declared> = None;
        // Whether something is to be told that could not be told yet.
        let mut untold = false;
        let events = follow(Api::<Declared>::all(client), Config::default());
        let mut events = std::pin::pin!(events);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                Ok(()) = self.found.changed(), if self.base.is_some() => {
                    untold = !self.take(true).await;
                    continue;
                }
                () = tokio::time::sleep(TELL_AGAIN), if untold => {
                    untold = !self.take(false).await;
                    continue;
                }
            };
            let Some(event) = event else { return };
            let is_it = |platform: &Declared| platform.name_any() == PLATFORM_NAME;
            self.declared = match event {
                Ok(Event::Init) => {
                    listed = None;
                    continue;
                }
                Ok(Event::InitApply(platform)) => {
                    if is_it(&platform) {
                        listed = Some(platform);
                    }
                    continue;
                }
                Ok(Event::InitDone) => listed.take(),
                Ok(Event::Apply(platform)) if is_it(&platform) => Some(platform),
                Ok(Event::Delete(platform)) if is_it(&platform) => None,
                // Another name is refused on admission.
                Ok(Event::Apply(_) | Event::Delete(_)) => continue,
                Err(error) => {
                    // Without the kind nothing can be declared, and landing zones need not wait.
                    if self.base.is_none() && is_missing(&self.context).await {
                        untold = !self.take(true).await;
                    }
                    health.fails(PART, &explained(error, LandingZonePlatform::crd_name()));
                    continue;
                }
            };
            health.is_well(PART);
            untold = !self.take(true).await;
        }
    }

    /// Puts what is declared into force, and says so. Returns whether that was said. `patient`, it waits
    /// for a moment with that until the cluster and the default deny were looked at, too.
    async fn take(&mut self, patient: bool) -> bool {
        let Some(declared) = self.declared.clone() else {
            self.context.platform_status.gone().await;
            self.base = Some(self.told.clone());
            self.enforce();
            return true;
        };
        let status = match &declared.0 {
            Ok(platform) => platform.status.clone(),
            Err(_) => match stored_status(&self.context).await {
                Ok(status) => status,
                Err(error) => {
                    let error = failure(&error);
                    tracing::warn!(error, "failed to read the status of the platform");
                    return false;
                }
            },
        };
        let meta = declared.meta();
        let desk = &self.context.platform_status;
        desk.saw(meta, status.as_ref()).await;
        let before = status.as_ref().and_then(|status| status.effective.as_ref());
        let judged = self.judge(&declared, before);
        let is_in_force = self.enforce();
        if patient && !is_in_force {
            return false;
        }
        let platform = self.context.platform();
        let addresses = platform.map_or_else(Vec::new, |platform| {
            conditions::addresses(&platform, &self.ranges, &self.found.borrow())
        });
        let values = ValuesSaid {
            verdict: verdict(judged, is_in_force, &addresses),
            addresses,
        };
        let desk = &self.context.platform_status;
        match desk.say_values(&self.context, values, patient).await {
            Ok(was_said) => was_said,
            Err(error) => {
                let error = failure(&error);
                tracing::warn!(error, "failed to write the status of the platform");
                false
            }
        }
    }

    /// What is declared becomes what holds, if it is right; otherwise the sentence says why not.
    fn judge(
        &mut self,
        declared: &Declared,
        before: Option<&PlatformValues>,
    ) -> Result<(), String> {
        let found = match &declared.0 {
            Ok(platform) => self.told.declared(platform).map_err(|problems| {
                let problems = problems.iter().map(ToString::to_string);
                format!(
                    "the declaration is not valid: {}; correct it",
                    sentence(problems)
                )
            }),
            Err(invalid) => Err(format!(
                "the declaration cannot be read: {}; correct it, or apply the \
                 CustomResourceDefinition that belongs to this operator",
                invalid.error
            )),
        };
        let is_first = self.base.is_none();
        let (before, found_before) = before.map(Platform::of_status).unzip();
        if is_first {
            self.ranges = found_before.unwrap_or_default();
        }
        match found {
            Ok(platform) => {
                self.base = Some(platform);
                Ok(())
            }
            Err(why) => {
                // What held before goes on holding, across a restart too: falling back to less would
                // open boundaries.
                if is_first {
                    self.base = Some(before.unwrap_or_else(|| self.told.clone()));
                }
                Err(why)
            }
        }
    }

    /// Puts what holds into force, completed by what the cluster tells. Returns false while that was not
    /// read yet: values without it would be weaker, and every landing zone would be written twice.
    fn enforce(&mut self) -> bool {
        let Some(base) = &self.base else {
            return false;
        };
        let found = self.found.borrow_and_update().clone();
        self.ranges.keep_for(base);
        let sources = base.sources_of_pod_ranges(&self.ranges, found.pools.as_deref());
        if sources.pools {
            self.ranges
                .add_pools(found.pools.as_deref().unwrap_or_default());
        }
        if sources.nodes {
            self.ranges
                .add_nodes(found.nodes.as_deref().unwrap_or_default());
        }
        let wanted = WantedAddresses {
            dns_service: base.node_local_dns,
            pools: sources.pools,
            nodes: sources.nodes,
        };
        self.want
            .send_if_modified(|known| std::mem::replace(known, wanted) != wanted);
        let is_read = (!wanted.dns_service || found.dns_service.is_some())
            && (!wanted.pools || found.pools.is_some())
            && (!wanted.nodes || found.nodes.is_some());
        if is_read {
            let dns_service = found.dns_service.unwrap_or_default();
            let platform = base.clone().completed(&self.ranges, &dns_service);
            self.context.set_platform(platform);
        }
        is_read
    }
}

/// How the values stand. What is only weaker for what could not be found stands in its message.
fn verdict(
    judged: Result<(), String>,
    is_in_force: bool,
    addresses: &[(&'static str, Verdict)],
) -> Verdict {
    let (ready, progress, message) = match judged {
        Err(why) => {
            let message = format!("{why}; until then what held before holds, see status.effective");
            ("False", Progress::Stuck(reason::INVALID), message)
        }
        Ok(()) if !is_in_force => {
            let message = "what the declaration leaves to the cluster is being read; until then what \
                           held before holds; if it stays so, /readyz of the operator and its log say \
                           why it cannot be read";
            let message = message.to_owned();
            ("Unknown", Progress::Working(reason::PROGRESSING), message)
        }
        Ok(()) => {
            let message = "the values in status.effective hold for every landing zone".to_owned();
            ("True", Progress::Done(reason::AS_DECLARED), message)
        }
    };
    let weaker = addresses.iter().filter(|(_, it)| it.ready != "True");
    let weaker = weaker.map(|(_, it)| it.message.clone());
    Verdict {
        ready,
        progress,
        message: sentence(std::iter::once(message).chain(weaker)),
    }
}

/// Whether the kind is not installed. What a watch says about its failure is not enough to go by: with
/// fewer values, boundaries would be weaker.
async fn is_missing(context: &Context) -> bool {
    let api = Api::<PartialObjectMeta<CustomResourceDefinition>>::all(context.client.clone());
    matches!(api.get_opt(LandingZonePlatform::crd_name()).await, Ok(None))
}

/// The status of a platform whose spec cannot be read.
async fn stored_status(context: &Context) -> kube::Result<Option<LandingZonePlatformStatus>> {
    let resource = ApiResource::erase::<LandingZonePlatform>(&());
    let api = Api::<DynamicObject>::all_with(context.client.clone(), &resource);
    let stored = api.get_opt(PLATFORM_NAME).await?;
    Ok(stored.and_then(|stored| {
        let status = stored.data.get("status")?.clone();
        serde_json::from_value(status).ok()
    }))
}
