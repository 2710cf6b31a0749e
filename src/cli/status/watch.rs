//! Tells how landing zones stand, and each change as it comes: by watching, not by asking again and again.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client, ResourceExt as _};

use super::json::Told;
use super::told::{self, Row};
use super::verdict::Verdict;
use super::{Form, StatusArgs, StatusError, Zone, operator, platform, zones};
use crate::api::LandingZonePlatform;
use crate::cli::Outcome;
use crate::cli::terminal::{Look, cut};
use crate::cluster::follow;

/// How often it is looked whether an operator works. Its Lease is not watched: it changes every two seconds.
const LEASE_LOOKED_AT: Duration = Duration::from_secs(15);
/// What makes a terminal begin anew.
const CLEAR: &[u8] = b"\x1b[2J\x1b[3J\x1b[H";

/// What was seen.
enum Seen {
    Zone(Result<Event<DynamicObject>, String>),
    Platform(Result<Event<DynamicObject>, String>),
    /// That no operator works, in words; None where one does.
    Operator(Option<String>),
}

/// What is known, and what of it was told.
#[derive(Default)]
struct Known {
    zones: BTreeMap<String, Zone>,
    /// Those of a list that is under way.
    listed: BTreeMap<String, Zone>,
    is_listed: bool,
    platform: Option<(LandingZonePlatform, Verdict)>,
    /// That no operator works, in words, as it was told last.
    absence: Option<String>,
    /// The line of each landing zone that was told last.
    told: BTreeMap<String, String>,
}

impl Known {
    /// Takes in an event. Returns whether there may be something new to tell.
    fn take(&mut self, event: Event<DynamicObject>) -> Result<bool, serde_json::Error> {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                let zone = Zone::of(serde_json::to_value(object)?);
                self.listed.insert(zone.name.clone(), zone);
            }
            Event::InitDone => {
                self.zones = std::mem::take(&mut self.listed);
                self.is_listed = true;
            }
            Event::Apply(object) => {
                let zone = Zone::of(serde_json::to_value(object)?);
                self.zones.insert(zone.name.clone(), zone);
            }
            Event::Delete(object) => {
                self.zones.remove(&object.name_any());
            }
        }
        Ok(self.is_listed)
    }

    /// A line for each landing zone of which something else is to be told than was last, as `line` tells it.
    fn news(&mut self, line: impl Fn(&Zone) -> String, gone: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        for (name, zone) in &self.zones {
            let line = line(zone);
            if self.told.get(name) != Some(&line) {
                out.push_str(&line);
                out.push('\n');
                self.told.insert(name.clone(), line);
            }
        }
        let zones = &self.zones;
        self.told.retain(|name, _| {
            let stays = zones.contains_key(name);
            if !stays {
                out.push_str(&gone(name));
                out.push('\n');
            }
            stays
        });
        out
    }
}

/// One line, however long.
fn line(zone: &Zone) -> String {
    let whole = Look {
        unicode: false,
        width: usize::MAX,
    };
    cut(&format!("{}: {}", zone.name, zone.verdict), whole)
}

impl StatusArgs {
    /// Until somebody interrupts it.
    pub(super) async fn watch(&self, client: &Client) -> Result<Outcome, StatusError> {
        let config = match &self.name {
            Some(name) => Config::default().fields(&format!("metadata.name={name}")),
            None => Config::default(),
        };
        let changes = follow(zones(client), config).map(Seen::Zone);
        let platforms = if self.name.is_none() {
            let kind = ApiResource::erase::<LandingZonePlatform>(&());
            let api = Api::all_with(client.clone(), &kind);
            follow(api, Config::default())
                .map(Seen::Platform)
                .left_stream()
        } else {
            stream::pending().right_stream()
        };
        // An answer that does not come says nothing of the operator: what was known stays.
        let operators = stream::unfold((), async |()| {
            tokio::time::sleep(LEASE_LOOKED_AT).await;
            Some((operator::absence(client).await, ()))
        });
        let operators = operators.filter_map(async |it| it.ok().map(Seen::Operator));
        let objects = stream::select(changes, platforms);
        let mut seen = pin!(stream::select(objects, operators));
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        // Before anything else: without an operator all that follows may be old.
        let mut known = Known {
            absence: operator::absence(client).await.unwrap_or_default(),
            ..Known::default()
        };
        let mut is_first = true;
        let mut noted = None;
        loop {
            let seen = tokio::select! {
                // It is what people end it with.
                _ = &mut interrupted => return Ok(Outcome::Done),
                seen = seen.next() => seen,
            };
            let is_news = match seen {
                None => return Ok(Outcome::Done),
                Some(Seen::Zone(Ok(event))) => known.take(event)?,
                Some(Seen::Platform(Ok(event))) => known.take_platform(event)?,
                Some(Seen::Operator(absence)) => {
                    let is_news = known.absence != absence;
                    if is_news && self.name.is_none() && known.is_listed {
                        self.say_of_the_operator(absence.as_deref())?;
                    }
                    known.absence = absence;
                    is_news && known.is_listed
                }
                Some(Seen::Zone(Err(why))) if !known.is_listed => return Err(self.refused(why)),
                Some(Seen::Zone(Err(why)) | Seen::Platform(Err(why))) => {
                    // The same every few seconds would be noise.
                    if noted.as_ref() != Some(&why) {
                        // Nobody is left to tell when standard error is closed.
                        let _ = writeln!(io::stderr(), "note: {why}; it is tried again");
                        noted = Some(why);
                    }
                    false
                }
            };
            if let Some(name) = self.name.as_ref().filter(|_| is_news)
                && known.zones.is_empty()
                && known.told.is_empty()
            {
                return Err(StatusError::NoSuch(name.clone()));
            }
            if is_news {
                if std::mem::take(&mut is_first) && self.name.is_none() && known.absence.is_some() {
                    self.say_of_the_operator(known.absence.as_deref())?;
                }
                self.show(client, &mut known).await?;
            }
        }
    }

    fn refused(&self, why: String) -> StatusError {
        match &self.name {
            Some(name) => StatusError::Watch {
                what: format!("the landing zone {name}"),
                why,
                way_out: "; without --watch it is read once, which takes the right to get it",
            },
            None => StatusError::Watch {
                what: "landing zones".to_owned(),
                why,
                way_out: "; name yours, if you may watch it",
            },
        }
    }

    /// Whether everything is drawn anew, rather than told line by line.
    fn is_drawn(&self) -> bool {
        self.output == Form::Tree && io::stdout().is_terminal()
    }

    /// A line of its own, where each landing zone has one. What is drawn says it on top.
    fn say_of_the_operator(&self, absence: Option<&str>) -> Result<(), StatusError> {
        if self.is_drawn() {
            return Ok(());
        }
        let line = match (self.output, absence) {
            (Form::Tree, Some(absence)) => {
                format!("waiting for the operator: {absence}. What is told may be old\n")
            }
            (Form::Tree, None) => "an operator holds the Lease\n".to_owned(),
            (Form::Json, absence) => format!("{}\n", serde_json::json!({"noOperator": absence})),
        };
        Ok(self.color.write(&line)?)
    }

    async fn show(&self, client: &Client, known: &mut Known) -> Result<(), StatusError> {
        let is_drawn = self.is_drawn();
        if let Some(name) = &self.name
            && let Some(zone) = known.zones.get_mut(name)
        {
            zone.judge(known.absence.as_deref());
        }
        let line = |zone: &Zone| match self.output {
            Form::Tree => line(zone),
            // What cannot be written is told when it is read without --watch.
            Form::Json => serde_json::to_string(&Told::of(zone, None)).unwrap_or_default(),
        };
        let gone = |name: &str| match self.output {
            Form::Tree => format!("{name}: deleted"),
            Form::Json => serde_json::json!({"name": name, "deleted": true}).to_string(),
        };
        let news = known.news(line, gone);
        if !is_drawn {
            return Ok(self.color.write(&news)?);
        }
        let look = Look::of_stdout();
        let text = if let Some(name) = &self.name {
            match known.zones.get(name) {
                Some(zone) => zone.told(client, look).await,
                None => format!("{name} is deleted\n"),
            }
        } else {
            let mut rows: Vec<Row> = known.zones.values().map(Zone::row).collect();
            told::sort(&mut rows);
            let platform = known.platform.as_ref().map(|it| (&it.0, &it.1));
            let verdict = told::summary(&rows, platform.map(|it| it.1))
                .without_operator(known.absence.as_deref());
            told::overview(&verdict, &rows, platform, look)
        };
        // It is no colour, and goes to a terminal in any case.
        io::stdout().write_all(CLEAR)?;
        Ok(self.color.write(&text)?)
    }
}

impl Known {
    fn take_platform(&mut self, event: Event<DynamicObject>) -> Result<bool, serde_json::Error> {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                self.platform = platform(serde_json::to_value(object)?);
            }
            Event::Delete(_) => self.platform = None,
            Event::Init | Event::InitDone => {}
        }
        Ok(self.is_listed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, message: &str) -> DynamicObject {
        let object = json!({
            "metadata": {"name": name, "generation": 1},
            "spec": {"applicationCode": name, "namespaces": [{"name": name, "zone": "web"}]},
            "status": {"observedGeneration": 1, "conditions": [
                {"type": "Ready", "status": "True", "reason": "AsDeclared", "message": message,
                 "lastTransitionTime": "2026-11-26T00:00:00Z"},
            ]},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_line_is_told_when_it_changes_and_nothing_before_all_are_known() {
        let mut known = Known::default();
        let take = |known: &mut Known, event| {
            let is_news = known.take(event).unwrap();
            is_news.then(|| known.news(line, |name| format!("{name}: deleted")))
        };
        assert_eq!(take(&mut known, Event::Init), None);
        assert_eq!(take(&mut known, Event::InitApply(object("b", "1"))), None);
        assert_eq!(take(&mut known, Event::InitApply(object("a", "1"))), None);
        let told = take(&mut known, Event::InitDone).unwrap();
        assert_eq!(told, "a: healthy: 1\nb: healthy: 1\n");
        let told = take(&mut known, Event::Apply(object("a", "1")));
        assert_eq!(told.as_deref(), Some(""));
        let told = take(&mut known, Event::Apply(object("a", "2")));
        assert_eq!(told.as_deref(), Some("a: healthy: 2\n"));
        let told = take(&mut known, Event::Delete(object("a", "2")));
        assert_eq!(told.as_deref(), Some("a: deleted\n"));
        // A list that comes anew says what went meanwhile.
        take(&mut known, Event::Init);
        take(&mut known, Event::InitApply(object("c", "1\n2")));
        let told = take(&mut known, Event::InitDone);
        assert_eq!(told.as_deref(), Some("c: healthy: 1 2\nb: deleted\n"));
    }
}
