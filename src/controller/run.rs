//! Puts the parts together and runs them until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use kube::Client;
use kube::runtime::controller::{Config, ReconcileRequest, applier};
use kube::runtime::reflector::store::Writer as StoreWriter;
use kube::runtime::reflector::{self, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::azure::{follow_azure, keep_platform_azure};
use super::clients::Clients;
use super::context::{Context, Queue, Stored};
use super::default_deny::keep_default_deny;
use super::eviction::evict_misplaced;
use super::guard::judge_others;
use super::lease::{DEFAULT_NAMESPACE, Keeper, LeaseLost};
use super::others::follow_others;
use super::placement::follow_nodes;
use super::platform::follow_platform;
use super::pressure::{LONGEST_WAIT, Pressure};
use super::reconcile::{SETTLES_WITHIN, reconcile, try_again};
use super::report::{flush, tell_once_calm};
use super::watch::{follow_flavour, follow_zones};
use super::webhook::{WebhookSettings, keep_webhook};
use crate::cluster::{ClusterFacts, failure, watch_nodes, watch_signs};
use crate::domain::Platform;
use crate::telemetry::{Busy, Events, Health, Metrics, ReconcileResult, ResultLabels, serve};

/// How long the writes in hand may take once the operator is told to stop: an API server that does
/// not answer must not hold it until Kubernetes kills it, after 30 s.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// What the operator is told when it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where metrics and health are served.
    pub listen: SocketAddr,
    /// What holds for the whole cluster.
    pub platform: Platform,
    /// The namespace that it runs in, where that is known.
    pub own_namespace: Option<String>,
    /// How the webhook is reached.
    pub webhook: WebhookSettings,
}

/// Why an operator ended that nobody told to.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// Nothing can listen there.
    #[error("failed to serve metrics and health on {0} (--listen)")]
    Listening(SocketAddr, #[source] std::io::Error),
    /// Another operator writes now, or the cluster was put back to an earlier state.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
}

/// Follows all that reconciles depend on; ends only when something went wrong.
async fn follow_everything(
    client: Client,
    facts: watch::Sender<Option<ClusterFacts>>,
    zones: StoreWriter<Stored>,
    context: Arc<Context>,
    settings: Settings,
    health: Health,
) {
    let leading = async {
        context.leadership.begun().await;
        context.push_all();
        tokio::join!(
            say_of_the_platform(&context),
            follow_nodes(context.clone()),
            evict_misplaced(context.clone()),
            tell_once_calm(&context),
            keep_default_deny(context.clone(), health.clone(), settings.own_namespace),
            keep_platform_azure(context.clone()),
        );
    };
    tokio::join!(
        watch_signs(client.clone(), health.clone(), facts),
        follow_flavour(context.clone(), health.clone()),
        follow_azure(context.clone()),
        follow_platform(
            client.clone(),
            context.clone(),
            settings.platform,
            health.clone()
        ),
        follow_others(context.clone(), health.clone()),
        judge_others(context.clone(), health.clone()),
        follow_zones(client.clone(), zones, context.clone(), health.clone()),
        watch_nodes(
            client,
            health.clone(),
            context.wanted_nodes.subscribe(),
            context.nodes.clone()
        ),
        keep_webhook(context.clone(), settings.webhook),
        leading,
    );
}

/// Says of the platform what is still to be said some time after this operator began to write. Whoever looks at the
/// default deny says all there is, and mostly finds it said: before that, nothing more could be told than that nobody has
/// looked.
async fn say_of_the_platform(context: &Context) {
    tokio::time::sleep(SETTLES_WITHIN).await;
    if let Err(error) = context.platform_status.say_again(context).await {
        let error = failure(&error);
        tracing::warn!(error, "failed to write the status of the platform");
    }
}

/// Runs the operator until `stop` is cancelled, then finishes the writes in hand.
///
/// Boxed, so that all of it is compiled here: of a future, the compiler makes code where somebody waits for it.
///
/// # Errors
/// When the address cannot be listened on, or another operator took over.
#[must_use]
pub fn run(
    clients: Clients,
    settings: Settings,
    stop: CancellationToken,
) -> LocalBoxFuture<'static, Result<(), Ended>> {
    run_until_stopped(clients, settings, stop).boxed_local()
}

async fn run_until_stopped(
    clients: Clients,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let health = Health::default();
    let metrics = Metrics::shared();
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.map_err(|error| Ended::Listening(settings.listen, error))?;
    tracing::info!(version = crate::version(), address = %settings.listen, "serving /metrics, /healthz and /readyz");
    let serving = serve(
        listener,
        metrics.clone(),
        health.clone(),
        stop.clone().cancelled_owned(),
    );
    let serving = tokio::spawn(serving);

    let (facts, signs) = watch::channel(None);
    let (queue, requests) = Queue::new();
    let (store, writer) = reflector::store::<Stored>();
    let pressure = Arc::new(Pressure::default());
    let busy = Busy {
        is_so: {
            let pressure = pressure.clone();
            move || pressure.is_high(Instant::now())
        },
        at_most: LONGEST_WAIT,
    };
    let (events, publishing) = Events::start(clients.asking.clone(), busy);
    let context = Arc::new(Context::new(
        clients.clone(),
        store.clone(),
        signs,
        queue,
        events,
        pressure,
        metrics.clone(),
    ));
    let writes_in_flight = clients.writes_in_flight;
    let mut keeper = Keeper::new(
        clients.electing,
        clients.watching.clone(),
        settings
            .own_namespace
            .as_deref()
            .unwrap_or(DEFAULT_NAMESPACE),
        clients.leadership,
        health.clone(),
        metrics,
    );

    let watches = follow_everything(
        clients.watching,
        facts,
        writer,
        context.clone(),
        settings,
        health.clone(),
    );
    let reconciling = async {
        reconcile_all(&context, store, requests, writes_in_flight, stop.clone()).await;
        flush(&context).await;
    };
    let out_of_time = async {
        stop.cancelled().await;
        // Before all landing zones are known nothing is written, and the applier has not begun.
        if context.are_zones_listed() {
            tokio::time::sleep(LAST_WRITES).await;
            tracing::warn!("stopped without an answer to the writes in hand");
        }
    };
    let ended = tokio::select! {
        () = watches => {
            tracing::error!("the watches ended");
            Ok(())
        }
        () = reconciling => {
            tracing::info!("stopped");
            Ok(())
        }
        () = out_of_time => Ok(()),
        Err(deposed) = keeper.keep() => Err(deposed),
    };
    drop(context);
    // Events that were gathered are still told.
    let patience = Duration::from_secs(2);
    if tokio::time::timeout(patience, publishing).await.is_err() {
        tracing::debug!("some events were not published in time");
    }
    // Only now: whoever comes next finds nothing under way.
    keeper.release().await;
    serving.abort();
    Ok(ended?)
}

/// Does something in a task of its own, which ends when this is dropped. kube polls all reconciles in one task: what they
/// compute would be computed by one thread, one after the other.
async fn in_a_task<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match AbortOnDropHandle::new(tokio::spawn(work)).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The process ends.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Reconciles what is asked for, until `stop` is cancelled and what runs is done.
async fn reconcile_all(
    context: &Arc<Context>,
    zones: Store<Stored>,
    requests: UnboundedReceiver<ReconcileRequest<Stored>>,
    writes_in_flight: u16,
    stop: CancellationToken,
) {
    // Enough landing zones at once that the API server always has something to do while some of them wait for the rights that
    // they grant, and no more: each writes its status, too.
    let concurrency = writes_in_flight.saturating_mul(2);
    let requests = requests
        .map(Ok::<_, std::convert::Infallible>)
        // The end of the requests ends the applier, once what runs is done.
        .take_until(stop.cancelled_owned());
    let results = applier(
        |zone, context| Box::pin(in_a_task(reconcile(zone, context))),
        |zone, error, context| try_again(&zone, error, &context),
        context.clone(),
        zones,
        requests,
        Config::default().concurrency(concurrency),
    );
    let counting = results.for_each(|result| {
        use kube::runtime::controller::Error;
        let result = match result {
            Ok(_) => Some(ReconcileResult::Ok),
            Err(Error::ReconcilerFailed(..)) => Some(ReconcileResult::Error),
            // Deleted while it waited.
            Err(Error::ObjectNotFound(_)) => None,
            Err(error) => {
                tracing::error!(%error, "the queue failed");
                None
            }
        };
        if let Some(result) = result {
            let labels = ResultLabels { result };
            context.metrics.reconciles.get_or_create(&labels).inc();
        }
        std::future::ready(())
    });
    counting.await;
}
