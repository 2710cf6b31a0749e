//! A panic in the operator: wherever it is, the process ends, unless it is somebody else's input that was given to the
//! evaluator.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail loudly, and this one is about panics"
)]

use std::process::{Command, Output};
use std::time::Duration;

use landing_zone_operator::telemetry::{LogFormat, contained, end_on_panic, start_logs};

/// Tells a process of this test's own what to do.
const WHERE: &str = "PANICS_WHERE";
/// Longer than anything here takes; nobody waits for it but where the test fails.
const FOR_EVER: Duration = Duration::from_mins(1);

#[tokio::main]
async fn panic_somewhere(place: &str) {
    start_logs(LogFormat::Json, "info").unwrap();
    end_on_panic();
    let task = match place {
        "in a task" => tokio::spawn(async { panic!("a watch that nobody waits for") }),
        "in a blocking task" => tokio::task::spawn_blocking(|| panic!("what is computed")),
        _ => tokio::spawn(async {
            assert!(contained(|| panic!("a policy that is too much")).is_err());
            std::process::exit(0);
        }),
    };
    tokio::time::sleep(FOR_EVER).await;
    drop(task);
}

fn ended(place: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_panic_ends_the_process", "--nocapture"])
        .env(WHERE, place)
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap()
}

#[test]
fn a_panic_ends_the_process() {
    if let Ok(place) = std::env::var(WHERE) {
        return panic_somewhere(&place);
    }
    for (place, message) in [
        ("in a task", "a watch that nobody waits for"),
        ("in a blocking task", "what is computed"),
    ] {
        let output = ended(place);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(101), "{place}: {log}");
        assert!(
            log.contains(message) && log.contains("can start anew"),
            "{log}"
        );
        assert!(log.contains("tests/panics.rs"), "no place: {log}");
    }
}

#[test]
fn what_is_contained_ends_nothing() {
    let output = ended("contained");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("a policy that is too much"), "{log}");
}
