//! Whether placement is in force: shown by a pod that is not created, never assumed.
//!
//! The pod is sent with `dryRun`, so that it goes through all of admission and is stored nowhere. What comes
//! back shows what the API server adds. A result counts for all landing zones with the same placement; it is
//! looked at again every few hours, in one namespace, and more often while it is not as it should be.

mod shown;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio::time::Instant;

use super::context::Context;
use super::reconcile::SETTLES_WITHIN;
use crate::api::Stage;
use crate::api::names::MANAGER;
use crate::cluster::{Nodes, failure};
use crate::domain::{LandingZone, Namespace, Node, Placement};

/// How long a placement that is in force is taken to stay so.
const STANDS: Duration = Duration::from_hours(4);
/// When one that is not is looked at again.
const LOOKED_AT_AGAIN: Duration = Duration::from_mins(1);
/// When a landing zone asks again that was refused.
const ASKED_AGAIN: Duration = Duration::from_mins(5);
/// Nodes come in groups, and each of them changes several times when it does.
const NODES_GATHER: Duration = Duration::from_secs(1);
/// And at first: the API server hears of a new namespace, its service account and its annotations one after
/// the other.
const SETTLING: Duration = Duration::from_millis(300);

/// What a pod showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of it is added to pods.
    InForce,
    /// This is not, in words.
    Missing(Vec<String>),
    /// The API server refused the pod, and why: nobody knows.
    Refused(String),
}

/// The nodes that a placement admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// They could not be read.
    Unknown,
    /// There is none.
    None,
    /// In these availability zones.
    In(BTreeSet<String>),
}

/// What is known of placements.
#[derive(Debug, Default)]
pub struct Placements {
    shown: Mutex<HashMap<Placement, Arc<tokio::sync::Mutex<Answers>>>>,
    placed: Mutex<Placed>,
}

/// The landing zones that have a placement.
#[derive(Debug, Default)]
struct Placed {
    /// What each of them has, and what it admitted when somebody looked; None: nobody has.
    zones: BTreeMap<String, (Placement, Option<Admitted>)>,
    /// Since when there are any.
    since: Option<Instant>,
}

impl Placed {
    /// Those that were looked at with other nodes than these, as far as that makes a difference.
    fn seen_otherwise(&self, nodes: Option<&BTreeMap<String, Node>>) -> Vec<String> {
        let mut now: HashMap<&Placement, Admitted> = HashMap::new();
        let mut all = Vec::new();
        for (zone, (placement, seen)) in &self.zones {
            // Whoever has not looked yet looks at these.
            let Some(seen) = seen else { continue };
            let now = now.entry(placement);
            if now.or_insert_with(|| admitted(placement, nodes)) != seen {
                all.push(zone.clone());
            }
        }
        all
    }
}

/// What is known of one placement.
#[derive(Debug, Default)]
struct Answers {
    /// What counts for all landing zones.
    shared: Option<Known>,
    /// Why a landing zone was refused is its own affair: a quota that is used up, say.
    refused: HashMap<String, Known>,
}

impl Answers {
    /// What stands for a landing zone.
    fn of(&self, zone: &str, now: Instant) -> Option<&Known> {
        let stands = |known: &&Known| known.until() > now;
        let shared = self.shared.as_ref().filter(stands);
        shared.or_else(|| self.refused.get(zone).filter(stands))
    }

    /// Takes in an answer.
    fn take(&mut self, zone: &str, shown: Shown, now: Instant) -> Known {
        let before = match shown {
            Shown::Refused(_) => self.refused.get(zone),
            _ => self.shared.as_ref().or_else(|| self.refused.get(zone)),
        };
        let known = Known::new(shown, before, now);
        if matches!(known.shown, Shown::Refused(_)) {
            self.refused.insert(zone.to_owned(), known.clone());
        } else {
            self.refused.clear();
            self.shared = Some(known.clone());
        }
        known
    }

    /// Whether somebody asked not long ago.
    fn is_asked_for(&self, now: Instant) -> bool {
        let mut known = self.shared.iter().chain(self.refused.values());
        known.any(|known| known.until() + LOOKED_AT_AGAIN > now)
    }
}

#[derive(Clone, Debug)]
struct Known {
    shown: Shown,
    at: Instant,
    /// Since when it is not in force.
    since: Option<Instant>,
}

impl Known {
    /// What is known now, after what was known before.
    fn new(shown: Shown, before: Option<&Self>, at: Instant) -> Self {
        let since = match shown {
            Shown::InForce => None,
            _ => Some(before.and_then(|before| before.since).unwrap_or(at)),
        };
        Self { shown, at, since }
    }

    /// Whether it may be otherwise in a moment.
    fn is_settling(&self) -> bool {
        self.since
            .is_some_and(|since| self.at.duration_since(since) < SETTLES_WITHIN)
    }

    fn until(&self) -> Instant {
        let stands = match self.shown {
            Shown::InForce => STANDS,
            _ if self.is_settling() => SETTLING,
            Shown::Missing(_) => LOOKED_AT_AGAIN,
            Shown::Refused(_) => ASKED_AGAIN,
        };
        self.at + stands
    }
}

impl Placements {
    fn of(&self, placement: &Placement, now: Instant) -> Arc<tokio::sync::Mutex<Answers>> {
        let mut all = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody declares any more is forgotten in time.
        all.retain(|_, answers| {
            // Whoever asks now has it locked.
            Arc::strong_count(answers) > 1
                || answers
                    .try_lock()
                    .is_ok_and(|answers| answers.is_asked_for(now))
        });
        all.entry(placement.clone()).or_default().clone()
    }

    /// Takes in what a landing zone has. Returns whether any has one.
    pub fn places(&self, zone: &str, placement: Option<&Placement>) -> bool {
        let mut placed = self.placed();
        if let Some(placement) = placement {
            placed.since.get_or_insert_with(Instant::now);
            if placed.zones.get(zone).map(|(known, _)| known) != Some(placement) {
                let nobody_looked = (placement.clone(), None);
                placed.zones.insert(zone.to_owned(), nobody_looked);
            }
        } else {
            placed.zones.remove(zone);
        }
        if placed.zones.is_empty() {
            placed.since = None;
        }
        !placed.zones.is_empty()
    }

    /// The nodes that a landing zone's placement admits. Whoever hears of other nodes afterwards knows what was seen.
    fn admitted(
        &self,
        zone: &str,
        placement: &Placement,
        nodes: &watch::Sender<Nodes>,
    ) -> Admitted {
        // Under one lock: otherwise these nodes could be read before others come, and be noted after those were compared.
        let mut placed = self.placed();
        let admitted = admitted(placement, nodes.borrow().as_deref());
        if let Some((_, seen)) = placed.zones.get_mut(zone) {
            *seen = Some(admitted.clone());
        }
        admitted
    }

    /// Until when the nodes may still become known to whoever asked for them just now; None: for longer than that.
    fn nodes_expected_until(&self) -> Option<Instant> {
        let until = self.placed().since? + SETTLES_WITHIN;
        (until > Instant::now()).then_some(until)
    }

    fn placed(&self) -> MutexGuard<'_, Placed> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a look at every landing zone whose placement admits others than it did, when something about the nodes changed.
pub(super) async fn follow_nodes(context: Arc<Context>) {
    let mut nodes = context.nodes.subscribe();
    let mut were_known = false;
    while nodes.changed().await.is_ok() {
        // Whoever waits for the first ones waits no longer.
        if were_known {
            tokio::time::sleep(NODES_GATHER).await;
        }
        let known = nodes.borrow_and_update().clone();
        were_known = known.is_some();
        let zones = context.placements.placed().seen_otherwise(known.as_deref());
        for zone in zones {
            context.queue.push(&zone);
        }
    }
}

/// What a placement looks like, and when to look again.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What a pod showed.
    pub shown: Shown,
    /// The nodes that it admits.
    pub admitted: Admitted,
    /// Whether it may be otherwise in a moment.
    pub is_settling: bool,
    /// When to look again.
    pub until: Instant,
}

/// Looks whether the placement of a landing zone is in force; None where it declares none, or none yet.
/// `exists` says of a namespace whether it is there and as declared.
pub(super) async fn look(
    context: &Context,
    zone: &LandingZone,
    exists: impl Fn(&Namespace) -> bool,
) -> Option<Looked> {
    let placement = zone.placement.as_ref();
    let placement = placement.filter(|it| !it.is_empty() && zone.stage == Stage::Enforce);
    context.places(zone.name.as_str(), placement);
    let placement = placement?;
    let namespace = zone.namespaces.iter().find(|it| exists(it));
    let known = show(context, zone, placement, namespace).await?;
    let mut looked = Looked {
        is_settling: known.is_settling(),
        until: known.until(),
        shown: known.shown,
        admitted: context
            .placements
            .admitted(zone.name.as_str(), placement, &context.nodes),
    };
    // Whoever learns of them asks for a reconcile: only where that does not happen it is told.
    if looked.admitted == Admitted::Unknown
        && let Some(until) = context.placements.nodes_expected_until()
    {
        looked.until = if looked.is_settling {
            looked.until.min(until)
        } else {
            until
        };
        looked.is_settling = true;
    }
    Some(looked)
}

/// What a pod shows now, or showed not long ago.
async fn show(
    context: &Context,
    zone: &LandingZone,
    placement: &Placement,
    namespace: Option<&Namespace>,
) -> Option<Known> {
    if placement.adds_nothing() {
        return Some(Known::new(Shown::InForce, None, Instant::now()));
    }
    let answers = context.placements.of(&placement.for_pods(), Instant::now());
    let mut answers = answers.lock().await;
    if let Some(known) = answers.of(zone.name.as_str(), Instant::now()) {
        return Some(known.clone());
    }
    let shown = ask(context, placement, namespace?).await;
    Some(answers.take(zone.name.as_str(), shown, Instant::now()))
}

fn admitted(placement: &Placement, nodes: Option<&BTreeMap<String, Node>>) -> Admitted {
    let Some(nodes) = nodes else {
        return Admitted::Unknown;
    };
    match placement.availability_zones(nodes.values()) {
        None => Admitted::None,
        Some(zones) => Admitted::In(zones.into_iter().map(str::to_owned).collect()),
    }
}

async fn ask(context: &Context, placement: &Placement, namespace: &Namespace) -> Shown {
    let pod = match shown::test_pod(namespace.limits.as_ref()) {
        Ok(pod) => pod,
        Err(error) => return Shown::Refused(error.to_string()),
    };
    let params = PostParams {
        dry_run: true,
        field_manager: Some(MANAGER.to_owned()),
    };
    let api = Api::<Pod>::namespaced(context.client.clone(), namespace.name.as_str());
    match api.create(&params, &pod).await {
        Ok(pod) => {
            let missing = shown::missing(placement, &pod.spec.unwrap_or_default());
            if missing.is_empty() {
                Shown::InForce
            } else {
                Shown::Missing(missing)
            }
        }
        Err(error) => Shown::Refused(failure(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> Shown {
        Shown::Missing(vec!["the node selector a=b".to_owned()])
    }

    fn refused() -> Shown {
        Shown::Refused("exceeded quota".to_owned())
    }

    /// One pod stands for all landing zones with the same placement, but for what is one's own affair.
    #[test]
    fn an_answer_counts_for_all_and_a_refusal_for_one() {
        let now = Instant::now();
        let mut answers = Answers::default();
        answers.take("shop", refused(), now);
        assert_eq!(answers.of("shop", now).unwrap().shown, refused());
        assert!(answers.of("orders", now).is_none());
        answers.take("orders", Shown::InForce, now);
        for zone in ["shop", "orders", "billing"] {
            assert_eq!(answers.of(zone, now).unwrap().shown, Shown::InForce);
        }
        assert!(answers.of("shop", now + STANDS).is_none());
    }

    /// The API server hears of things one after the other: what is missing at first may be there in a moment.
    #[test]
    fn what_is_missing_settles_once() {
        let mut now = Instant::now();
        let mut answers = Answers::default();
        assert!(answers.take("shop", missing(), now).is_settling());
        now += SETTLES_WITHIN;
        let later = answers.take("shop", missing(), now);
        assert!(!later.is_settling() && later.until() == now + LOOKED_AT_AGAIN);
        now += LOOKED_AT_AGAIN;
        assert!(!answers.take("orders", missing(), now).is_settling());
        // In force once, and then not any more, it settles anew.
        answers.take("shop", Shown::InForce, now);
        assert!(answers.take("shop", missing(), now + STANDS).is_settling());
    }

    fn on(stack: &str) -> Placement {
        Placement {
            node_selector: [("stack".to_owned(), stack.to_owned())].into(),
            ..Placement::default()
        }
    }

    #[tokio::test]
    async fn what_nobody_declares_any_more_is_forgotten() {
        let now = Instant::now();
        let placements = Placements::default();
        let [one, other] = ["one", "other"].map(on);
        let answers = placements.of(&one, now);
        answers.lock().await.take("shop", Shown::InForce, now);
        drop(answers);
        placements.of(&other, now);
        assert!(placements.of(&one, now).lock().await.shared.is_some());
        placements.of(&other, now + STANDS + LOOKED_AT_AGAIN);
        assert_eq!(placements.shown.lock().unwrap().len(), 1);
    }

    #[test]
    fn nodes_are_wanted_as_long_as_anybody_has_a_placement() {
        let placements = Placements::default();
        let placement = on("shop");
        assert!(placements.places("shop", Some(&placement)));
        assert!(placements.nodes_expected_until().is_some());
        assert!(placements.places("orders", Some(&placement)));
        assert!(placements.places("shop", None));
        assert!(!placements.places("orders", None));
        assert!(placements.nodes_expected_until().is_none());
    }

    /// A cluster's nodes come and go all day: nobody is looked at for one that makes no difference.
    #[test]
    fn only_those_are_looked_at_that_see_other_nodes() {
        let node = |stack: &str| {
            let labels = [
                ("stack", stack),
                ("topology.kubernetes.io/zone", "westeurope-1"),
            ];
            Node {
                labels: labels
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                ..Node::default()
            }
        };
        let nodes = |stacks: &[&str]| {
            let named = stacks.iter().enumerate();
            let nodes = named.map(|(number, stack)| (number.to_string(), node(stack)));
            Some(Arc::new(nodes.collect::<BTreeMap<_, _>>()))
        };
        let placements = Placements::default();
        let known = watch::Sender::new(None);
        let look = |zone: &str, stack: &str| placements.admitted(zone, &on(stack), &known);
        let otherwise = || {
            placements
                .placed()
                .seen_otherwise(known.borrow().as_deref())
        };
        for name in ["one", "other"] {
            placements.places(name, Some(&on(name)));
        }
        assert_eq!(otherwise(), [""; 0], "nobody has looked yet");
        assert_eq!(look("one", "one"), Admitted::Unknown);
        known.send_replace(nodes(&["one"]));
        assert_eq!(otherwise(), ["one"], "the other looks at these at first");
        assert_eq!(
            look("one", "one"),
            Admitted::In(["westeurope-1".to_owned()].into())
        );
        assert_eq!(look("other", "other"), Admitted::None);
        assert_eq!(otherwise(), [""; 0]);
        known.send_replace(nodes(&["one", "one"]));
        assert_eq!(
            otherwise(),
            [""; 0],
            "one more in the same availability zone"
        );
        known.send_replace(nodes(&["one", "other"]));
        assert_eq!(otherwise(), ["other"]);
        // Another placement is another question.
        placements.places("one", Some(&on("else")));
        assert_eq!(otherwise(), ["other"]);
    }
}
