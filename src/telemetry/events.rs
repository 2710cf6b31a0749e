//! Events, gathered: at most one for each reason and object in 5 seconds. What is no warning waits while there is much else to
//! write.
//!
//! kube's recorder is not used for them: it merges events whose note differs, so that within six
//! minutes a second repair would be lost.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::api::names::MANAGER;

/// How long notes are gathered after an event.
const GATHER: Duration = Duration::from_secs(5);
/// How often it is looked whether there is still much else to write.
const GLANCE: Duration = Duration::from_millis(500);
/// The API server refuses longer notes; it counts bytes.
const LONGEST_NOTE: usize = 1024;

/// Something that people should know about a landing zone, or about an object in its namespaces.
#[derive(Clone, Debug)]
pub struct Note {
    /// The object, as events refer to it.
    pub regarding: ObjectReference,
    /// Whether it needs attention.
    pub severity: Severity,
    /// One word that a script can match.
    pub reason: &'static str,
    /// What is wrong, what was done, what the reader can do.
    pub text: String,
}

/// Whether an event needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does not.
    Normal,
    /// It does.
    Warning,
}

/// Where notes go. They never wait: a reconcile is not held up by its events.
#[derive(Clone, Debug)]
pub struct Events(mpsc::UnboundedSender<Note>);

/// Whether something else comes first, and how long that is waited for at most.
pub struct Busy<F> {
    /// Whether it does now.
    pub is_so: F,
    /// How long a note waits for it.
    pub at_most: Duration,
}

/// What is told of which object, and why.
type Key = (Option<String>, Option<String>, Option<String>, &'static str);

/// Notes that are told together, the first of which came at that time.
type Together = (Vec<Note>, Timestamp);

/// Notes that wait, by what they are told of.
#[derive(Default)]
struct Gathering(HashMap<Key, Gathered>);

struct Gathered {
    until: Instant,
    /// Whether they are told earlier, once nothing else comes first.
    waits_for_calm: bool,
    notes: Vec<Note>,
    /// When the first of them came.
    since: Timestamp,
}

impl Gathering {
    /// Takes in a note. Returns what is told at once. While something else comes first, what is no warning waits so long.
    fn take(&mut self, note: Note, now: Instant, busy: Option<Duration>) -> Option<Together> {
        let ObjectReference {
            kind,
            namespace,
            name,
            ..
        } = note.regarding.clone();
        let since = Timestamp::now();
        let is_warning = note.severity == Severity::Warning;
        let busy = busy.filter(|_| !is_warning);
        match self.0.entry((kind, namespace, name, note.reason)) {
            Entry::Occupied(mut entry) => {
                let waiting = entry.get_mut();
                if waiting.notes.is_empty() {
                    waiting.since = since;
                }
                if is_warning && waiting.waits_for_calm {
                    waiting.calm(now);
                }
                waiting.notes.push(note);
                None
            }
            Entry::Vacant(entry) => {
                let waiting = entry.insert(Gathered {
                    until: now + busy.unwrap_or(GATHER),
                    waits_for_calm: busy.is_some(),
                    notes: vec![note],
                    since,
                });
                let at_once = || (std::mem::take(&mut waiting.notes), since);
                busy.is_none().then(at_once)
            }
        }
    }

    /// Whether any note waits until nothing else comes first.
    fn waits_for_calm(&self) -> bool {
        self.0.values().any(|waiting| waiting.waits_for_calm)
    }

    /// Nothing else comes first any more.
    fn calm(&mut self, now: Instant) {
        let all = self.0.values_mut();
        all.filter(|waiting| waiting.waits_for_calm)
            .for_each(|waiting| waiting.calm(now));
    }

    /// When something is to be told, or forgotten.
    fn next(&self) -> Option<Instant> {
        self.0.values().map(|waiting| waiting.until).min()
    }

    /// What is to be told by now. What comes afterwards is gathered anew.
    fn due(&mut self, now: Instant) -> Vec<Together> {
        self.0
            .retain(|_, waiting| waiting.until > now || !waiting.notes.is_empty());
        let due = self.0.values_mut().filter(|waiting| waiting.until <= now);
        due.map(|waiting| {
            waiting.until = now + GATHER;
            waiting.waits_for_calm = false;
            (std::mem::take(&mut waiting.notes), waiting.since)
        })
        .collect()
    }

    /// All that waits.
    fn rest(self) -> impl Iterator<Item = Together> {
        let all = self.0.into_values();
        all.map(|waiting| (waiting.notes, waiting.since))
    }
}

impl Gathered {
    fn calm(&mut self, now: Instant) {
        self.until = now;
        self.waits_for_calm = false;
    }
}

impl Events {
    /// Starts publishing; ends when the last `Events` is dropped and everything is published.
    #[must_use]
    pub fn start(
        client: kube::Client,
        busy: Busy<impl Fn() -> bool + Send + 'static>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let publisher = tokio::spawn(publish_all(client, receiver, busy));
        (Self(sender), publisher)
    }

    /// Publishes a note, now or with others that come within 5 seconds; one that is no warning later, while something else
    /// comes first.
    pub fn note(&self, note: Note) {
        if self.0.send(note).is_err() {
            tracing::debug!("an event came after the end");
        }
    }
}

async fn publish_all(
    client: kube::Client,
    mut notes: mpsc::UnboundedReceiver<Note>,
    busy: Busy<impl Fn() -> bool>,
) {
    let mut gathering = Gathering::default();
    // Neither a note nor what is forgotten puts it off.
    let mut glance = tokio::time::interval(GLANCE);
    glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = match gathering.next() {
            Some(next) => tokio::time::sleep_until(next).left_future(),
            None => std::future::pending().right_future(),
        };
        tokio::select! {
            note = notes.recv() => {
                let Some(note) = note else { break };
                let busy = (busy.is_so)().then_some(busy.at_most);
                if let Some((notes, since)) = gathering.take(note, Instant::now(), busy) {
                    publish(&client, &notes, since).await;
                }
            }
            _ = glance.tick(), if gathering.waits_for_calm() => {
                if !(busy.is_so)() {
                    gathering.calm(Instant::now());
                }
            }
            () = due => {
                for (notes, since) in gathering.due(Instant::now()) {
                    publish(&client, &notes, since).await;
                }
            }
        }
    }
    for (notes, since) in gathering.rest() {
        publish(&client, &notes, since).await;
    }
}

async fn publish(client: &kube::Client, notes: &[Note], since: Timestamp) {
    let Some(event) = event(notes, since) else {
        return;
    };
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let api = Api::<Event>::namespaced(client.clone(), &namespace);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    // The client gives up a call that hangs. One that the API server asks to wait with keeps later ones back, as it should.
    if let Err(error) = api.create(&params, &event).await {
        let reason = event.reason.unwrap_or_default();
        tracing::warn!(%error, reason, "failed to publish an event");
    }
}

/// One event that says all the notes, the first of which came at that time; None without any.
fn event(notes: &[Note], since: Timestamp) -> Option<Event> {
    let first = notes.first()?;
    let mut text = first.text.clone();
    for pair in notes.windows(2) {
        if pair[0].text != pair[1].text {
            text.push('\n');
            text.push_str(&pair[1].text);
        }
    }
    if text.len() > LONGEST_NOTE {
        let more = format!("\n… {} in all", notes.len());
        text.truncate(text.floor_char_boundary(LONGEST_NOTE - more.len()));
        text += &more;
    }
    let name = first.regarding.name.as_deref().unwrap_or("landingzone");
    let namespace = first.regarding.namespace.as_deref();
    Some(Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            // Where Kubernetes keeps events about objects that live in no namespace.
            namespace: Some(namespace.unwrap_or("default").to_owned()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(since)),
        action: Some("Reconcile".to_owned()),
        reason: Some(first.reason.to_owned()),
        regarding: Some(first.regarding.clone()),
        note: Some(text),
        type_: Some(
            if notes.iter().any(|it| it.severity == Severity::Warning) {
                "Warning"
            } else {
                "Normal"
            }
            .to_owned(),
        ),
        reporting_controller: Some(format!("landingzones.dev/{MANAGER}")),
        reporting_instance: Some(instance()),
        ..Event::default()
    })
}

/// The pod's name inside a cluster, as Kubernetes sets it.
fn instance() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| MANAGER.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Note {
        Note {
            regarding: ObjectReference {
                name: Some("shop".into()),
                ..ObjectReference::default()
            },
            severity: Severity::Normal,
            reason: "DriftRepaired",
            text: text.into(),
        }
    }

    #[test]
    fn many_notes_make_one_event_that_fits() {
        let notes: Vec<_> = (0..500)
            .map(|i| note(&format!("change number {i} – of many")))
            .collect();
        let text = event(&notes, Timestamp::UNIX_EPOCH).unwrap().note.unwrap();
        assert!(text.len() <= LONGEST_NOTE);
        assert!(text.starts_with("change number 0 – of many\nchange number 1 – of many\n"));
        assert!(text.ends_with("… 500 in all"), "{text}");
    }

    #[test]
    fn what_is_said_twice_is_told_once() {
        let notes = [note("ready"), note("ready"), note("not ready")];
        let text = event(&notes, Timestamp::UNIX_EPOCH).unwrap().note.unwrap();
        assert_eq!(text, "ready\nnot ready");
    }

    #[test]
    fn an_event_is_where_its_object_is() {
        let mut inside = note("evicted");
        inside.regarding.namespace = Some("shop-web".into());
        let namespace = |note| {
            let event = event(&[note], Timestamp::UNIX_EPOCH).unwrap();
            event.metadata.namespace.unwrap()
        };
        assert_eq!(namespace(inside), "shop-web");
        assert_eq!(namespace(note("ready")), "default");
    }

    fn texts(all: &[Together]) -> Vec<Vec<&str>> {
        let told = all.iter().map(|(notes, _)| notes);
        told.map(|notes| notes.iter().map(|it| &*it.text).collect())
            .collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_next_together() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        assert_eq!(
            texts(gathering.take(note("one"), now, None).as_slice()),
            [["one"]]
        );
        for text in ["two", "three"] {
            assert!(gathering.take(note(text), now, None).is_none());
        }
        assert!(gathering.due(now + GATHER / 2).is_empty());
        assert_eq!(texts(&gathering.due(now + GATHER)), [["two", "three"]]);
        // One that comes right after is gathered too; then nothing is remembered.
        assert!(gathering.take(note("four"), now + GATHER, None).is_none());
        assert_eq!(texts(&gathering.due(now + 2 * GATHER)), [["four"]]);
        assert!(gathering.due(now + 3 * GATHER).is_empty() && gathering.next().is_none());
    }

    #[test]
    fn what_is_no_warning_waits_for_calm_and_not_for_ever() {
        let patience = Some(4 * GATHER);
        let warning = || Note {
            severity: Severity::Warning,
            ..note("lost")
        };
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        for text in ["one", "two"] {
            assert!(gathering.take(note(text), now, patience).is_none());
        }
        assert!(gathering.due(now + GATHER).is_empty() && gathering.waits_for_calm());
        gathering.calm(now + GATHER);
        assert_eq!(texts(&gathering.due(now + GATHER)), [["one", "two"]]);
        assert!(!gathering.waits_for_calm());

        let mut gathering = Gathering::default();
        assert!(gathering.take(note("one"), now, patience).is_none());
        assert_eq!(texts(&gathering.due(now + 4 * GATHER)), [["one"]]);

        // A warning does not wait, and takes along what does.
        let mut gathering = Gathering::default();
        assert!(gathering.take(warning(), now, patience).is_some());
        let mut gathering = Gathering::default();
        assert!(gathering.take(note("one"), now, patience).is_none());
        assert!(gathering.take(warning(), now, patience).is_none());
        assert_eq!(texts(&gathering.due(now)), [["one", "lost"]]);
    }

    #[test]
    fn what_waits_at_the_end_is_told() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        gathering.take(note("one"), now, Some(GATHER));
        let rest: Vec<_> = gathering.rest().collect();
        assert_eq!(texts(&rest), [["one"]]);
    }

    #[test]
    fn no_notes_make_no_event() {
        assert!(event(&[], Timestamp::UNIX_EPOCH).is_none());
    }
}
