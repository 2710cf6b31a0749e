//! `kubectl landingzone status`: how landing zones stand, read with the rights of whoever asks.
//!
//! | file | what it does |
//! |---|---|
//! | `verdict` | healthy, act now, or waiting for whom: from a status alone |
//! | `told`, `json` | the forms of output |
//! | `operator` | whether an operator works, by its Lease |
//! | `pods` | which pods run elsewhere than the placement says |
//! | `watch` | tells changes as they come |

mod json;
mod operator;
mod pods;
mod told;
mod verdict;
mod watch;

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client};
use serde_json::Value;

use self::told::Row;
use self::verdict::{Standing, Verdict};
use super::client::{ClientError, client, runtime};
use super::reader::{Hints, PLATFORMS, Reader};
use super::terminal::{ColorArgs, Look};
use super::{Outcome, complain};
use crate::api::{LandingZone, LandingZonePlatform};
use crate::cluster::failure;

/// What follows the options in the help.
pub(super) const AFTER_HELP: &str = "\
The first line says how it stands:
  healthy      all is as declared
  act now      whoever declares it has to do something: it says what
  waiting for  who has to do something first: the operator, the team of another landing zone, the platform team,
               nodes, Kubernetes while it deletes a namespace, or its own team where stage or suspend keep it back

-o json prints an object with these fields, and without NAME one with the first three, landingZones (a list of such
objects), platform (another one) and unread:
  verdict     Healthy, ActNow or Waiting
  waitingFor  a list: who (Operator, LandingZone, PlatformTeam, Nodes, Kubernetes, OwnTeam), and name of a LandingZone
  message     why, and what to do
  name        of the landing zone
  pods        which run elsewhere than the placement says, or why that is not known; not with --watch
  status      as it is in the cluster
With --watch and without NAME, a line {\"noOperator\": why} tells that no operator works, and one with null that one does again.

Exit codes:
  0  healthy; with --watch also once it is interrupted
  1  act now; without NAME where one of them needs it
  2  it could not be read, or the command line is wrong
  3  waiting for somebody else";

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// Name of a landing zone; all of them, and the platform, when left out
    name: Option<String>,

    /// Context of the kubeconfig; the current one when left out
    #[arg(long)]
    context: Option<String>,

    /// Form of output
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Form,

    /// Tell every change: on a terminal all of it anew, elsewhere in a line of its own
    #[arg(short = 'w', long)]
    watch: bool,

    #[command(flatten)]
    color: ColorArgs,
}

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// For people, in 80 columns
    #[default]
    Tree,
    /// For programs
    Json,
}

#[derive(thiserror::Error, Debug)]
enum StatusError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
    #[error("failed to write JSON output")]
    Serialize(#[from] serde_json::Error),
    #[error("the landing zone {name} cannot be read: {}", failure(.error))]
    Read { name: String, error: kube::Error },
    #[error("{what} cannot be watched: {why}{way_out}")]
    Watch {
        what: String,
        why: String,
        way_out: &'static str,
    },
    #[error("there is no landing zone {0}: kubectl landingzone status lists them")]
    NoSuch(String),
}

/// A landing zone as it is stored.
#[derive(Clone, Debug)]
struct Zone {
    name: String,
    /// What is stored under another schema cannot be read.
    declared: Result<LandingZone, String>,
    verdict: Verdict,
}

impl Zone {
    fn of(object: Value) -> Self {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let name = name.to_owned();
        let declared = serde_json::from_value(object).map_err(|error| error.to_string());
        let verdict = status_verdict(&declared);
        Self {
            name,
            declared,
            verdict,
        }
    }

    /// The verdict of somebody who knows whether an operator works.
    fn judge(&mut self, absence: Option<&str>) {
        self.verdict = status_verdict(&self.declared).without_operator(absence);
    }

    /// All that there is to say, for people.
    async fn told(&self, client: &Client, look: Look) -> String {
        let mut text = told::headline(&self.verdict).print(look);
        if let Ok(zone) = &self.declared {
            let pods = self.pods(client).await;
            text.push_str(&told::zone(&self.name, zone, pods.as_deref()).print(look));
        }
        text
    }

    /// Whoever may not read nodes or pods still reads the rest.
    async fn pods(&self, client: &Client) -> Option<String> {
        let zone = self.declared.as_ref().ok()?;
        let placed = pods::placed(client, zone).await;
        Some(placed.unwrap_or_else(|error| error.to_string()))
    }

    fn row(&self) -> Row {
        Row {
            name: self.name.clone(),
            verdict: self.verdict.clone(),
        }
    }
}

/// What a status says, whoever keeps it up to date.
fn status_verdict(declared: &Result<LandingZone, String>) -> Verdict {
    match declared {
        Ok(zone) => verdict::of_zone(zone),
        Err(why) => Verdict::unreadable(why),
    }
}

/// The platform as it is stored, and what is said of it.
fn platform(object: Value) -> Option<(LandingZonePlatform, Verdict)> {
    let platform = serde_json::from_value(object).ok()?;
    let verdict = verdict::of_platform(&platform);
    Some((platform, verdict))
}

impl StatusArgs {
    pub(super) fn run(&self) -> Outcome {
        let ended = runtime()
            .map_err(StatusError::from)
            .and_then(|runtime| runtime.block_on(self.status()));
        match ended {
            Ok(outcome) => outcome,
            // Whoever reads has seen enough, as `head` has.
            Err(StatusError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Done
            }
            Err(error) => {
                complain(&error);
                Outcome::Unread
            }
        }
    }

    async fn status(&self) -> Result<Outcome, StatusError> {
        let client = client(self.context.as_deref()).await?;
        match &self.name {
            _ if self.watch => self.watch(&client).await,
            Some(name) => self.one(&client, name).await,
            None => self.all(&client).await,
        }
    }

    async fn one(&self, client: &Client, name: &str) -> Result<Outcome, StatusError> {
        let found = zones(client).get_opt(name).await;
        let found = found.map_err(|error| StatusError::Read {
            name: name.to_owned(),
            error,
        })?;
        let found = found.ok_or_else(|| StatusError::NoSuch(name.to_owned()))?;
        let mut zone = Zone::of(serde_json::to_value(found)?);
        let absence = operator::absence(client).await.unwrap_or_default();
        zone.judge(absence.as_deref());
        let text = match self.output {
            Form::Tree => zone.told(client, Look::of_stdout()).await,
            Form::Json => {
                let pods = zone.pods(client).await;
                json::pretty(&json::Told::of(&zone, pods))?
            }
        };
        self.color.write(&text)?;
        Ok(outcome(zone.verdict.standing))
    }

    async fn all(&self, client: &Client) -> Result<Outcome, StatusError> {
        let mut reader = Reader::new(client.clone(), None);
        let found = reader.zones(&Hints::default()).await;
        let zones: Vec<Zone> = found.objects.into_iter().map(Zone::of).collect();
        let platforms = reader.objects(PLATFORMS).await;
        let mut platforms = platforms.into_iter().flat_map(|it| it.objects);
        let platform = platforms.next().and_then(platform);
        let mut rows: Vec<Row> = zones.iter().map(Zone::row).collect();
        told::sort(&mut rows);
        let verdict = told::summary(&rows, platform.as_ref().map(|it| &it.1));
        let absence = operator::absence(client).await.unwrap_or_default();
        let verdict = verdict.without_operator(absence.as_deref());
        let text = match self.output {
            Form::Tree => {
                let platform = platform.as_ref().map(|it| (&it.0, &it.1));
                told::overview(&verdict, &rows, platform, Look::of_stdout())
            }
            Form::Json => {
                let unread = &reader.unread;
                json::pretty(&json::All::of(
                    &verdict,
                    &zones,
                    &rows,
                    platform.as_ref(),
                    unread,
                ))?
            }
        };
        let is_nothing = zones.is_empty() && !found.is_whole;
        if !is_nothing || self.output == Form::Json {
            self.color.write(&text)?;
        }
        for unread in &reader.unread {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "could not be read: {unread}");
        }
        if is_nothing {
            return Ok(Outcome::Unread);
        }
        Ok(outcome(verdict.standing))
    }
}

/// Landing zones, those included that were stored under another schema.
fn zones(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::erase::<LandingZone>(&()))
}

const fn outcome(standing: Standing) -> Outcome {
    match standing {
        Standing::Healthy => Outcome::Done,
        Standing::Waiting => Outcome::Waits,
        Standing::ActNow => Outcome::Found,
    }
}
