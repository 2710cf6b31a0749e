//! What the API server was asked to do, by whom, and what it answered.
//!
//! The API server writes an event when it has sent the answer, so whoever just
//! had one may not find it yet: wait for events, do not look once.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde::Deserialize;

use crate::wait::{eventually, holds_for};

/// The verbs that change something.
const WRITES: [&str; 6] = [
    "create",
    "update",
    "patch",
    "apply",
    "delete",
    "deletecollection",
];

/// How much of the log is read at once to find the end of its last whole line; most lines are shorter.
const LINE: u64 = 4096;

/// The audit log of a cluster.
#[derive(Clone, Debug)]
pub struct AuditLog {
    file: PathBuf,
}

/// A place in the log: the events so far are before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u64);

/// A request, as the API server recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Under whose name: the impersonated one, if any.
    pub user: String,
    /// What was asked for: `get`, `list`, `watch`, `create`, `patch` and so on.
    pub verb: String,
    /// The kind of object, such as `namespaces`; empty for paths like `/readyz`.
    pub resource: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
    /// Empty for the core group.
    pub api_group: String,
    /// Empty for what is in no namespace.
    pub namespace: String,
    /// Empty for lists and for created objects that the server names.
    pub name: String,
    /// The path and query of the request.
    pub request_uri: String,
    /// How far the request was.
    pub stage: Stage,
    /// The code of the answer; 0 while there is none.
    pub code: u16,
    /// When the request came.
    pub received: Timestamp,
    /// When this stage was reached.
    pub completed: Timestamp,
    /// What the client calls itself.
    pub user_agent: String,
}

/// How far a request was when it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Stage {
    /// It came. Not recorded by this crate's policy.
    RequestReceived,
    /// The answer begins: for watches.
    ResponseStarted,
    /// The answer is sent whole.
    ResponseComplete,
    /// The API server failed.
    Panic,
}

impl AuditLog {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// The end of the log as it is now. An event that is still being written comes after it.
    pub fn mark(&self) -> Result<Mark> {
        let mut file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Mark::default()),
            Err(error) => return Err(error).context("failed to open the audit log"),
        };
        let mut end = file
            .metadata()
            .context("failed to look at the audit log")?
            .len();
        while end > 0 {
            let begin = end.saturating_sub(LINE);
            let mut part = vec![0; usize::try_from(end - begin)?];
            file.seek(SeekFrom::Start(begin))
                .and_then(|_| file.read_exact(&mut part))
                .context("failed to read the end of the audit log")?;
            if let Some(newline) = part.iter().rposition(|&byte| byte == b'\n') {
                return Ok(Mark(begin + u64::try_from(newline)? + 1));
            }
            end = begin;
        }
        Ok(Mark::default())
    }

    /// The events recorded since the mark, in order.
    pub fn since(&self, mut mark: Mark) -> Result<Vec<Event>> {
        self.more(&mut mark)
    }

    /// The same, and moves the mark behind them: whoever looks again and again reads each event once.
    pub fn more(&self, mark: &mut Mark) -> Result<Vec<Event>> {
        let mut text = Vec::new();
        match File::open(&self.file) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(mark.0))
                    .context("failed to find a place in the audit log")?;
                file.read_to_end(&mut text)
                    .context("failed to read the audit log")?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("failed to open the audit log"),
        }
        // The last line may still be under way.
        let end = text.iter().rposition(|&byte| byte == b'\n');
        text.truncate(end.map_or(0, |end| end + 1));
        let events = text
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| {
                Event::read(line).with_context(|| {
                    format!(
                        "failed to read an audit event: {}",
                        String::from_utf8_lossy(line)
                    )
                })
            })
            .collect::<Result<_>>()?;
        mark.0 += u64::try_from(text.len())?;
        Ok(events)
    }

    /// The requests of one user since the mark, each counted once. What is about a Lease is left out: it goes on
    /// every other second, whatever happens.
    pub fn requests_by(&self, user: &str, mark: Mark) -> Result<Vec<Event>> {
        let mut events = self.since(mark)?;
        events.retain(|event| event.is_request_of(user));
        Ok(events)
    }

    /// The requests of one user since the mark that were to change something.
    pub fn writes_by(&self, user: &str, mark: Mark) -> Result<Vec<Event>> {
        let mut events = self.requests_by(user, mark)?;
        events.retain(Event::is_write);
        Ok(events)
    }

    /// Waits until a user asked for nothing for a moment, renewals of watches aside, and returns the place in the log.
    pub async fn quiet(&self, user: &str, moment: Duration, deadline: Duration) -> Result<Mark> {
        let what = format!("{user} to have nothing left to do");
        eventually(deadline, &what, async || {
            let mark = self.mark()?;
            holds_for(moment, "silence", async || {
                let mut requests = self.requests_by(user, mark)?;
                requests.retain(|event| event.verb != "watch");
                ensure!(requests.is_empty(), "{:?}", by_kind(&requests));
                Ok(())
            })
            .await?;
            self.mark().map(Some)
        })
        .await
    }
}

/// How many requests there were of each kind: verb, resource and code.
#[must_use]
pub fn by_kind<'a>(requests: impl IntoIterator<Item = &'a Event>) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for event in requests {
        let resource = match event.subresource.as_str() {
            "" => event.resource.clone(),
            subresource => format!("{}/{subresource}", event.resource),
        };
        let kind = format!("{} {resource} {}", event.verb, event.code);
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

impl Event {
    /// Reads a line of the log.
    pub(crate) fn read(line: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice::<Record>(line).map(Self::from)
    }

    /// Whether the request was to change something. A dry run is not.
    #[must_use]
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.verb.as_str()) && !self.request_uri.contains("dryRun=All")
    }

    /// Whether it asks for another page of a list than the first: a list is one, however many pages it has.
    #[must_use]
    pub fn is_next_page(&self) -> bool {
        self.verb == "list" && self.request_uri.contains("continue=")
    }

    /// Whether the API server did what it was asked.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        (100..400).contains(&self.code)
    }

    /// Whether this is a request of that user that counts.
    fn is_request_of(&self, user: &str) -> bool {
        self.user == user && self.counts_as_request() && self.resource != "leases"
    }

    /// Whether this is a request of that user that was to change something.
    #[must_use]
    pub fn is_write_of(&self, user: &str) -> bool {
        self.is_request_of(user) && self.is_write()
    }

    /// A watch is recorded when it begins and when it ends: the beginning counts,
    /// and so does the end of one that was refused.
    fn counts_as_request(&self) -> bool {
        match self.stage {
            Stage::ResponseStarted => true,
            Stage::ResponseComplete => self.verb != "watch" || !self.succeeded(),
            Stage::RequestReceived | Stage::Panic => false,
        }
    }
}

/// The event as it is written, `audit.k8s.io/v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    stage: Stage,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    api_group: String,
    subresource: String,
}

#[derive(Default, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl From<Record> for Event {
    fn from(record: Record) -> Self {
        Self {
            user: record.impersonated_user.unwrap_or(record.user).username,
            verb: record.verb,
            resource: record.object_ref.resource,
            subresource: record.object_ref.subresource,
            api_group: record.object_ref.api_group,
            namespace: record.object_ref.namespace,
            name: record.object_ref.name,
            request_uri: record.request_uri,
            stage: record.stage,
            code: record.response_status.code,
            received: record.request_received_timestamp,
            completed: record.stage_timestamp,
            user_agent: record.user_agent,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn line(verb: &str, stage: &str, user: &str, code: u16) -> String {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"{stage}","requestURI":"/api/v1/namespaces/shop","verb":"{verb}","user":{{"username":"{user}","groups":["g"]}},"sourceIPs":["127.0.0.1"],"userAgent":"test","objectRef":{{"resource":"namespaces","namespace":"shop","name":"shop","apiVersion":"v1"}},"responseStatus":{{"metadata":{{}},"code":{code}}},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stageTimestamp":"2026-01-01T00:00:01.000001Z"}}"#
        ) + "\n"
    }

    fn log(name: &str, text: &str) -> AuditLog {
        let folder = crate::workspace::state().join("unit-tests");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("audit-{name}.jsonl"));
        fs::write(&file, text).unwrap();
        AuditLog::new(file)
    }

    #[test]
    fn a_watch_counts_once() {
        let log = log(
            "watch",
            &(line("watch", "ResponseStarted", "a", 200)
                + &line("watch", "ResponseComplete", "a", 200)
                + &line("watch", "ResponseComplete", "a", 403)
                + &line("get", "ResponseComplete", "b", 200)),
        );
        assert_eq!(log.requests_by("a", Mark::default()).unwrap().len(), 2);
        assert!(log.writes_by("a", Mark::default()).unwrap().is_empty());
    }

    /// Whoever reads on from a mark must find a line there, not the rest of one.
    #[test]
    fn a_mark_is_never_in_the_middle_of_a_line() {
        let first = line("patch", "ResponseComplete", "a", 200);
        let begun = format!("{{\"stage\":\"{}", "x".repeat(10_000));
        let log = log("half", &(first.clone() + &begun));
        let end = Mark(u64::try_from(first.len()).unwrap());
        assert_eq!(log.mark().unwrap(), end);
        fs::write(&log.file, &begun).unwrap();
        assert_eq!(log.mark().unwrap(), Mark::default());
        fs::write(&log.file, "").unwrap();
        assert_eq!(log.mark().unwrap(), Mark::default());
        fs::remove_file(&log.file).unwrap();
        assert_eq!(log.mark().unwrap(), Mark::default());
    }

    #[test]
    fn only_events_after_the_mark_and_whole_lines() {
        let first = line("patch", "ResponseComplete", "a", 200);
        let mark = Mark(u64::try_from(first.len()).unwrap());
        let text = first + &line("create", "ResponseComplete", "a", 409) + "{\"stage\":";
        let log = log("mark", &text);
        let writes = log.writes_by("a", mark).unwrap();
        assert_eq!(writes.len(), 1);
        assert_eq!(writes[0].verb, "create");
        assert!(!writes[0].succeeded());
        assert!(writes[0].received < writes[0].completed);
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let first = line("patch", "ResponseComplete", "a", 200);
        let log = log("more", &(first.clone() + &first[..40]));
        let mut mark = Mark::default();
        assert_eq!(log.more(&mut mark).unwrap().len(), 1);
        assert_eq!(log.more(&mut mark).unwrap(), []);
        let rest = first.clone() + &line("create", "ResponseComplete", "a", 409);
        fs::write(&log.file, first + &rest).unwrap();
        let events = log.more(&mut mark).unwrap().into_iter();
        let verbs: Vec<_> = events.map(|it| it.verb).collect();
        assert_eq!(verbs, ["patch", "create"]);
    }

    #[test]
    fn no_log_holds_no_events() {
        let log = AuditLog::new("no such file".into());
        assert_eq!(log.mark().unwrap(), Mark::default());
        assert_eq!(log.since(Mark::default()).unwrap(), []);
    }
}
