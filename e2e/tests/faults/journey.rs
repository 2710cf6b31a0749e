//! A landing zone's life with one disturbance in each of its steps, and whether that made a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::eventually;
use e2e::fault_proxy::{Call, End, Fault, Injected, Moment, Rule};
use serde_json::Value;

use crate::ground::Ground;
use crate::life::{Marks, Step, View, bury, given, is_done, team_objects, view};

/// How long a step may take: namespaces go only once Kubernetes' controller has looked several times.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long nobody looks after an event that was not seen: some of it is found out without it.
const UNSEEN: Duration = Duration::from_secs(3);

/// What a step comes to when nothing fails.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub view: View,
    /// How many writes it took.
    pub writes: usize,
    /// How many events there were.
    pub events: usize,
}

/// Of each step.
pub type Expected = BTreeMap<Step, Outcome>;

/// What goes wrong in each step, once.
#[derive(Clone, Debug)]
pub enum Disturbance {
    /// The operator dies at its n-th write, and another starts.
    Crash(Moment, usize),
    /// Its n-th write fails.
    Answer(Fault, usize),
    /// The operator dies at its n-th write (None: after all of them), and the next one is shown the cluster as it was before
    /// the step, until it does nothing more.
    Stale(Option<usize>),
    /// Events but those of the landing zone come only once the operator does nothing more.
    Held,
    /// The n-th event is left out, and the watches need new lists after a while.
    Unseen(usize),
    /// All watches end at the n-th event.
    Ended(End, usize),
}

impl Disturbance {
    /// The same within the writes or events that a step has: None where it is past them and all points are tried, since that
    /// one is no point of this step; else one of those that there are.
    fn within(&self, outcome: &Outcome) -> Result<Option<Self>> {
        let all = all_points()?;
        let within =
            |number: usize, count: usize| (!all || number < count).then(|| number % count.max(1));
        let (writes, events) = (outcome.writes, outcome.events);
        Ok(match self {
            Self::Crash(moment, number) => {
                within(*number, writes).map(|number| Self::Crash(*moment, number))
            }
            Self::Answer(fault, number) => {
                within(*number, writes).map(|number| Self::Answer(fault.clone(), number))
            }
            Self::Stale(Some(number)) => {
                within(*number, writes).map(|number| Self::Stale(Some(number)))
            }
            Self::Unseen(number) => within(*number, events).map(Self::Unseen),
            Self::Ended(how, number) => {
                within(*number, events).map(|number| Self::Ended(*how, number))
            }
            Self::Held | Self::Stale(None) => Some(self.clone()),
        })
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

/// How often something was tried, and in how many steps it happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub tried: usize,
    pub happened: usize,
}

/// What each step comes to in a life that nothing disturbs. Learned once.
pub async fn learn(ground: &mut Ground) -> Result<Expected> {
    if let Some(expected) = &ground.expected {
        return Ok(expected.clone());
    }
    let (name, client) = (ground.next_name(), ground.client());
    given(&client, &name).await?;
    let mut expected = Expected::new();
    for step in Step::ALL {
        ground.is_quiet().await?;
        let events = count_events(ground);
        step.act(&client, &name).await?;
        // Before the quiet is waited for, which forgets them.
        let mut writes = Vec::new();
        eventually(PATIENCE, &format!("{step:?} of {name}"), async || {
            writes.extend(ground.proxy.take_writes());
            is_done(&client, &name, step).await.map(Some)
        })
        .await?;
        let mut quiet_since = std::time::Instant::now();
        eventually(PATIENCE, "the operator to be quiet", async || {
            let more = ground.proxy.take_writes();
            if !more.is_empty() {
                writes.extend(more);
                quiet_since = std::time::Instant::now();
            }
            Ok((quiet_since.elapsed() > Duration::from_secs(2)).then_some(()))
        })
        .await?;
        ground.proxy.clear();
        let outcome = Outcome {
            view: view(&client, &name).await?,
            writes: writes.len(),
            events: events.load(Ordering::SeqCst),
        };
        expected.insert(step, outcome);
        if step == Step::Convergence {
            team_objects(&client, &format!("{name}-web")).await?;
        }
    }
    bury(&client, &name).await?;
    ground.expected = Some(expected.clone());
    Ok(expected)
}

fn count_events(ground: &Ground) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    ground.proxy.hide_events(move |call, _| {
        if is_told(call) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        false
    });
    count
}

/// Whether a watch tells of what matters here: the Lease is renewed all the time.
fn is_told(call: &Call) -> bool {
    !call.is_of("leases")
}

/// What happens in the steps of a life, one after the other and from the beginning again.
pub type Fate = Vec<Disturbance>;

/// Lets a landing zone live with one of these disturbances in each step.
pub async fn live(ground: &mut Ground, fate: &Fate) -> Result<Tally> {
    let expected = learn(ground).await?;
    let (name, client) = (ground.next_name(), ground.client());
    given(&client, &name).await?;
    let mut tally = Tally::default();
    for (step, disturbance) in Step::ALL.into_iter().zip(fate.iter().cycle()) {
        let outcome = &expected[&step];
        let before = Marks::of(&client, &name).await?;
        let disturbance = disturbance.within(outcome)?;
        let where_it_is = || match &disturbance {
            Some(disturbance) => format!("{disturbance} in {step:?} of {name}"),
            None => format!("{step:?} of {name}"),
        };
        if let Some(disturbance) = &disturbance {
            tally.tried += 1;
            let happened = go(ground, &name, step, outcome, disturbance).await;
            tally.happened += usize::from(happened.with_context(where_it_is)?);
        } else {
            step.act(&client, &name).await?;
            let reached = reached(ground, &name, outcome).await;
            reached.with_context(where_it_is)?;
        }
        let now = Marks::of(&client, &name).await?;
        let goes: &[&str] = match step {
            Step::Deletion => &["web", "data", "old"],
            _ => &[],
        };
        before.ensure_kept(&now, goes).with_context(where_it_is)?;
        if step == Step::Convergence {
            team_objects(&client, &format!("{name}-web")).await?;
        }
    }
    bury(&client, &name).await?;
    Ok(tally)
}

/// One step with its disturbance; whether that happened.
async fn go(
    ground: &mut Ground,
    name: &str,
    step: Step,
    outcome: &Outcome,
    disturbance: &Disturbance,
) -> Result<bool> {
    let client = ground.client();
    let happened = match disturbance {
        Disturbance::Crash(moment, number) => {
            let crash = ground.proxy.inject(crash(*moment, *number));
            step.act(&client, name).await?;
            let crashed = either(ground, name, outcome, &crash).await?;
            if crashed {
                restart(ground).await?;
            }
            crashed
        }
        Disturbance::Answer(fault, number) => {
            let rule = Rule::new(fault.clone()).of(Call::is_write).at(*number);
            let failed = ground.proxy.inject(rule);
            step.act(&client, name).await?;
            reached(ground, name, outcome).await?;
            failed.times() > 0
        }
        Disturbance::Stale(number) => stale(ground, name, step, outcome, *number).await?,
        Disturbance::Held => {
            ground.is_quiet().await?;
            // Of the declaration itself it has to know.
            ground.proxy.hold_events(|call| !call.is_of("landingzones"));
            step.act(&client, name).await?;
            let mut has_written = false;
            eventually(PATIENCE, "the first write", async || {
                has_written |= !ground.proxy.take_writes().is_empty();
                Ok(has_written.then_some(()))
            })
            .await?;
            ground.is_quiet().await?;
            true
        }
        Disturbance::Unseen(number) => {
            let hidden = hide(ground, *number);
            step.act(&client, name).await?;
            let seen = eventually(UNSEEN, "the end", async || {
                is_reached(ground, name, outcome).await.map(Some)
            });
            let was_needed = seen.await.is_err();
            let happened = hidden.load(Ordering::SeqCst) > *number;
            ground.proxy.clear();
            if was_needed && happened {
                ground.proxy.end_watches(End::Gone);
            }
            happened
        }
        Disturbance::Ended(how, number) => {
            let hidden = hide(ground, usize::MAX);
            step.act(&client, name).await?;
            let mut ended = false;
            eventually(PATIENCE, "an event, or the end", async || {
                if hidden.load(Ordering::SeqCst) > *number {
                    ground.proxy.end_watches(*how);
                    ended = true;
                    return Ok(Some(()));
                }
                is_reached(ground, name, outcome).await.map(Some)
            })
            .await?;
            ended
        }
    };
    ground.proxy.clear();
    reached(ground, name, outcome).await?;
    // It stays so, for longer than anything is tried again after a failure.
    ground.stays_quiet().await?;
    is_reached(ground, name, outcome).await?;
    Ok(happened)
}

fn crash(moment: Moment, number: usize) -> Rule {
    Rule::new(Fault::Crash(moment))
        .of(Call::is_write)
        .at(number)
}

/// Leaves out the n-th event; counts all.
fn hide(ground: &Ground, number: usize) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    ground.proxy.hide_events(move |call, _| {
        is_told(call) && counted.fetch_add(1, Ordering::SeqCst) == number
    });
    count
}

/// Waits until the fault has happened, or the step has come to its end without it.
async fn either(ground: &Ground, name: &str, outcome: &Outcome, fault: &Injected) -> Result<bool> {
    eventually(PATIENCE, "the fault, or the end", async || {
        if fault.times() > 0 {
            return Ok(Some(true));
        }
        is_reached(ground, name, outcome).await?;
        Ok(Some(false))
    })
    .await
}

async fn restart(ground: &mut Ground) -> Result<()> {
    ground.kill().await?;
    ground.proxy.clear();
    ground.start_operator()
}

/// The operator of before the step has its lists recorded; the one after it starts with them.
async fn stale(
    ground: &mut Ground,
    name: &str,
    step: Step,
    outcome: &Outcome,
    number: Option<usize>,
) -> Result<bool> {
    ground.proxy.record_lists();
    restart(ground).await?;
    ground.is_ready().await?;
    ground.is_quiet().await?;
    ground.proxy.keep_recorded_lists();
    let crash = number.map(|number| ground.proxy.inject(crash(Moment::After, number)));
    step.act(&ground.client(), name).await?;
    match &crash {
        Some(crash) => drop(either(ground, name, outcome, crash).await?),
        None => reached(ground, name, outcome).await?,
    }
    ground.kill().await?;
    ground.proxy.clear();
    ground.proxy.hold_events(|_| true);
    let old = ground
        .proxy
        .inject(Rule::new(Fault::Stale).of(Call::is_list));
    ground.start_operator()?;
    ground.is_ready().await?;
    ground.is_quiet().await?;
    Ok(old.times() > 0)
}

/// Waits until a step has come to what it comes to when nothing fails.
async fn reached(ground: &Ground, name: &str, outcome: &Outcome) -> Result<()> {
    eventually(PATIENCE, "the same end as without it", async || {
        // An operator that ended finds no end.
        if let Err(ended) = ground.runs() {
            return Ok(Some(Err(ended)));
        }
        is_reached(ground, name, outcome).await?;
        Ok(Some(Ok(())))
    })
    .await?
}

async fn is_reached(ground: &Ground, name: &str, outcome: &Outcome) -> Result<()> {
    same(&outcome.view, &view(&ground.client(), name).await?)
}

/// Fails where two lives have led to different places.
pub fn same(expected: &View, found: &View) -> Result<()> {
    let keys: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differences: Vec<String> = keys
        .into_iter()
        .filter(|key| found.get(*key) != expected.get(*key))
        .map(|key| difference(key, expected.get(key), found.get(key)))
        .collect();
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

/// What differs, field by field.
fn difference(key: &str, expected: Option<&Value>, found: Option<&Value>) -> String {
    let (Some(Value::Object(expected)), Some(Value::Object(found))) = (expected, found) else {
        return format!("{key}: expected {expected:?}, found {found:?}");
    };
    let fields: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let fields = fields
        .into_iter()
        .filter(|field| expected.get(*field) != found.get(*field))
        .map(|field| {
            let (expected, found) = (expected.get(field), found.get(field));
            format!("{key} {field}: expected {expected:?}, found {found:?}")
        });
    fields.collect::<Vec<_>>().join("\n")
}

/// Whether every point is tried, as `FAULT_POINTS=all` asks for.
pub fn all_points() -> Result<bool> {
    match std::env::var("FAULT_POINTS").as_deref() {
        Ok("all") => Ok(true),
        Ok(other) => bail!("FAULT_POINTS is {other:?}; it can be \"all\""),
        Err(_) => Ok(false),
    }
}

/// Which of so many points are tried: all of them, or so many that lie far apart.
pub fn points(all: usize, few: usize) -> Result<Vec<usize>> {
    if all_points()? {
        return Ok((0..all).collect());
    }
    Ok((0..few).map(|it| (2 * it + 1) * all / (2 * few)).collect())
}
