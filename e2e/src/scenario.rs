//! Tests that share something costly, such as a cluster.
//!
//! A test target sets `harness = false`, lists its async functions, and ends in
//! [`run`]. Each function is a test of its own for `cargo test`: it is listed,
//! filtered, and timed; it runs beside others; and it can skip itself.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use anyhow::{Result, ensure};
//! use e2e::{ClusterOptions, LocalCluster, scenario::{self, Shared}, scenarios};
//!
//! struct Fixture(LocalCluster);
//!
//! impl Shared for Fixture {
//!     async fn start() -> Result<Self> {
//!         Ok(Self(LocalCluster::start(ClusterOptions::default()).await?))
//!     }
//!
//!     async fn stop(self) -> Result<()> {
//!         self.0.stop().await
//!     }
//! }
//!
//! async fn serves_a_release(fixture: &Fixture) -> Result<()> {
//!     ensure!(fixture.0.version().starts_with("v1."));
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     scenario::run::<Fixture>(scenarios![serves_a_release])
//! }
//! ```

use std::{any::Any, panic::AssertUnwindSafe, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Error, Result};
use futures::{FutureExt, future::LocalBoxFuture};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::process::last_lines;

/// How many tests run at once when nothing else is asked for.
const THREADS: usize = 4;
/// How long a test may take when it does not say.
const DEADLINE: Duration = Duration::from_mins(1);
/// How much of the logs a failure shows.
const LOG_LINES: usize = 60;

/// What the tests of one target share. It starts with the first test that runs,
/// so that listing tests costs nothing.
pub trait Shared: Sized + Send + Sync + 'static {
    /// Starts it.
    fn start() -> impl Future<Output = Result<Self>>;

    /// Stops it, after the last test.
    fn stop(self) -> impl Future<Output = Result<()>>;

    /// What is shown when a test fails: the operator's log, say.
    fn logs(&self) -> String {
        String::new()
    }
}

/// Tests that share nothing.
impl Shared for () {
    async fn start() -> Result<Self> {
        Ok(())
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

/// A named test. [`scenarios!`](crate::scenarios) makes them from functions.
pub struct Scenario<C> {
    name: &'static str,
    body: Body<C>,
    deadline: Duration,
}

/// The body of a test.
pub type Body<C> = for<'a> fn(&'a C) -> LocalBoxFuture<'a, Result<()>>;

impl<C> Scenario<C> {
    /// A test with the usual deadline.
    #[must_use]
    pub fn new(name: &'static str, body: Body<C>) -> Self {
        Self {
            name,
            body,
            deadline: DEADLINE,
        }
    }

    /// Sets how long the test may take.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// Makes a list of tests from async functions that take `&C` and return
/// `anyhow::Result<()>`; `name within duration` sets a deadline.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident $(within $deadline:expr)?),* $(,)?) => {
        vec![$(
            $crate::scenario::Scenario::new(
                stringify!($name),
                |shared| ::std::boxed::Box::pin($name(shared)),
            )$(.within($deadline))?
        ),*]
    };
}

/// Ends a test without success or failure: `return skip("needs root")`.
pub fn skip(reason: impl Into<String>) -> Result<()> {
    Err(Error::new(Skipped::because(reason)))
}

/// Why a test was skipped.
#[derive(Debug, thiserror::Error)]
#[error("skipped: {0}")]
pub struct Skipped(String);

impl Skipped {
    /// An error that skips a test, for functions that return something else.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Runs tests as the arguments of the process say, as Rust's own harness would.
#[must_use]
pub fn run<C: Shared>(scenarios: Vec<Scenario<C>>) -> ExitCode {
    // Killed, Cargo takes this process along, and that takes its children along.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));

    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("failed to start the runtime of the tests: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stage = Arc::new(Stage::<C> {
        shared: OnceCell::new(),
    });
    let trials = scenarios
        .into_iter()
        .map(|scenario| {
            let (runtime, stage) = (Arc::clone(&runtime), Arc::clone(&stage));
            Trial::ignorable_test(scenario.name, move || {
                runtime.block_on(stage.play(&scenario)).into_result()
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);

    let stopped = Arc::into_inner(stage)
        .and_then(|stage| stage.shared.into_inner())
        .and_then(Result::ok)
        .map_or(Ok(()), |shared| runtime.block_on(shared.stop()));
    if let Err(error) = stopped {
        eprintln!("failed to stop what the tests share: {error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// What the tests share, once it was asked for; or why it did not start.
struct Stage<C> {
    shared: OnceCell<Result<C, String>>,
}

/// How a test ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

impl<C: Shared> Stage<C> {
    async fn play(&self, scenario: &Scenario<C>) -> Outcome {
        let start = async || C::start().await.map_err(|error| describe(&error));
        let shared = match self.shared.get_or_init(start).await {
            Ok(shared) => shared,
            Err(error) => {
                return Outcome::Failed(format!("what the tests share did not start: {error}"));
            }
        };
        let body = AssertUnwindSafe((scenario.body)(shared)).catch_unwind();
        let result = match tokio::time::timeout(scenario.deadline, body).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::msg(panic_message(panic.as_ref()))),
            Err(late) => {
                Err(late).with_context(|| format!("not done after {:?}", scenario.deadline))
            }
        };
        let Err(error) = result else {
            return Outcome::Passed;
        };
        if let Some(Skipped(reason)) = error.downcast_ref() {
            // Loud: a skipped test must not look like a passed one.
            eprintln!("SKIPPED {}: {reason}", scenario.name);
            return Outcome::Skipped(reason.clone());
        }
        let logs = last_lines(&shared.logs(), LOG_LINES);
        if logs.is_empty() {
            return Outcome::Failed(describe(&error));
        }
        Outcome::Failed(format!(
            "the end of the logs:\n{logs}\n\n{}",
            describe(&error)
        ))
    }
}

impl Outcome {
    fn into_result(self) -> Result<Completion, Failed> {
        match self {
            Self::Passed => Ok(Completion::Completed),
            Self::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            Self::Failed(message) => Err(message.into()),
        }
    }
}

/// An error with its causes. `{:?}` would add a backtrace of the runtime's own
/// functions, longer than the rest of the output.
fn describe(error: &Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  because: ")
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the test panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn play(body: Body<()>, deadline: Duration) -> Outcome {
        let stage = Stage::<()> {
            shared: OnceCell::new(),
        };
        stage
            .play(&Scenario::new("test", body).within(deadline))
            .await
    }

    fn failure(outcome: Outcome) -> String {
        match outcome {
            Outcome::Failed(message) => message,
            other => panic!("{other:?} is no failure"),
        }
    }

    #[tokio::test]
    async fn success_failure_panic_and_skip_are_told_apart() {
        let second = Duration::from_secs(1);
        let passed = play(|()| Box::pin(async { Ok(()) }), second).await;
        assert_eq!(passed, Outcome::Passed);

        let failed = play(|()| Box::pin(async { anyhow::bail!("no") }), second).await;
        assert!(failure(failed).starts_with("no"));

        let panicked = play(|()| Box::pin(async { panic!("oh {}", 1) }), second).await;
        assert!(failure(panicked).starts_with("oh 1"));

        let skipped = play(|()| Box::pin(async { skip("needs root") }), second).await;
        assert_eq!(skipped, Outcome::Skipped("needs root".to_owned()));
    }

    #[tokio::test]
    async fn a_test_that_hangs_fails() {
        let hanging = play(
            |()| Box::pin(std::future::pending()),
            Duration::from_millis(50),
        )
        .await;
        assert!(failure(hanging).contains("not done after 50ms"));
    }
}
