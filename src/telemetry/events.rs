//! Events, gathered: at most one for each reason and object in 5 seconds.
//!
//! kube's recorder is not used for them: it merges events whose note differs, so that within six
//! minutes a second repair would be lost.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::api::names::MANAGER;

/// How long notes are gathered after an event.
const GATHER: Duration = Duration::from_secs(5);
/// How long the API server may take to accept an event.
const PATIENCE: Duration = Duration::from_secs(15);
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

struct Gathered {
    until: Instant,
    notes: Vec<Note>,
}

impl Events {
    /// Starts publishing; ends when the last `Events` is dropped and everything is published.
    #[must_use]
    pub fn start(client: kube::Client) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let publisher = tokio::spawn(publish_all(client, receiver));
        (Self(sender), publisher)
    }

    /// Publishes a note, now or with others that come within 5 seconds.
    pub fn note(&self, note: Note) {
        if self.0.send(note).is_err() {
            tracing::debug!("an event came after the end");
        }
    }
}

async fn publish_all(client: kube::Client, mut notes: mpsc::UnboundedReceiver<Note>) {
    let mut gathered: HashMap<_, Gathered> = HashMap::new();
    loop {
        let next = gathered.values().map(|waiting| waiting.until).min();
        tokio::select! {
            note = notes.recv() => {
                let Some(note) = note else { break };
                let ObjectReference { kind, namespace, name, .. } = note.regarding.clone();
                let key = (kind, namespace, name, note.reason);
                if let Some(waiting) = gathered.get_mut(&key) {
                    waiting.notes.push(note);
                } else {
                    publish(&client, &[note]).await;
                    let until = Instant::now() + GATHER;
                    gathered.insert(key, Gathered { until, notes: Vec::new() });
                }
            }
            () = until(next) => {
                let now = Instant::now();
                for waiting in gathered.values_mut().filter(|waiting| waiting.until <= now) {
                    if waiting.notes.is_empty() {
                        continue;
                    }
                    publish(&client, &std::mem::take(&mut waiting.notes)).await;
                    waiting.until = Instant::now() + GATHER;
                }
                gathered.retain(|_, waiting| waiting.until > now || !waiting.notes.is_empty());
            }
        }
    }
    for waiting in gathered.into_values() {
        publish(&client, &waiting.notes).await;
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

async fn publish(client: &kube::Client, notes: &[Note]) {
    let Some(event) = event(notes, Timestamp::now()) else {
        return;
    };
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let api = Api::<Event>::namespaced(client.clone(), &namespace);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    // One call that hangs must not keep all later events back.
    match tokio::time::timeout(PATIENCE, api.create(&params, &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            let reason = event.reason.unwrap_or_default();
            tracing::warn!(%error, reason, "failed to publish an event");
        }
        Err(_) => tracing::warn!("failed to publish an event: no answer in time"),
    }
}

/// One event that says all the notes; None without any.
fn event(notes: &[Note], now: Timestamp) -> Option<Event> {
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
        event_time: Some(MicroTime(now)),
        action: Some("Reconcile".to_owned()),
        reason: Some(first.reason.to_owned()),
        regarding: Some(first.regarding.clone()),
        note: Some(text),
        type_: Some(match first.severity {
            Severity::Normal => "Normal".to_owned(),
            Severity::Warning => "Warning".to_owned(),
        }),
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

    #[test]
    fn no_notes_make_no_event() {
        assert!(event(&[], Timestamp::UNIX_EPOCH).is_none());
    }
}
