//! The page that `kubectl landingzone matrix -o html` makes, in a real browser: what a person filters, and moves to by
//! keyboard. Nothing is fetched: the page forbids it, and the browser says what it asked for.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::prerequisites;
use e2e::process::command_that_dies_with_us;
use e2e::workspace;
use serde_json::{Value, json};

/// Does what a person does, and writes down what there is to see.
const PERSON: &str = include_str!("person.html");

struct Page(PathBuf);

impl Page {
    fn folder() -> Result<PathBuf> {
        let folder = workspace::state().join("page");
        fs::create_dir_all(&folder).context("failed to make a folder for the page")?;
        Ok(folder)
    }

    /// The page about the sample, with a person in front of it.
    fn made() -> Result<Self> {
        let plugin = OperatorBinaries::ensure(Profile::Test)?.plugin;
        let sample = workspace::root().join("config/samples/matrix");
        let output = command_that_dies_with_us(plugin)
            .args(["matrix", "-o", "html", "-f"])
            .arg(sample)
            .output()?;
        let html = text(output)?;
        let end = html.rfind("</body>").context("no page")?;
        let file = Self::folder()?.join("matrix.html");
        fs::write(&file, format!("{}{PERSON}{}", &html[..end], &html[end..]))?;
        Ok(Self(file))
    }

    /// What the person saw.
    fn seen(&self) -> Result<Value> {
        let profile = Self::folder()?.join("profile");
        let output = command_that_dies_with_us(prerequisites::browser()?)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-sync",
            ])
            .args(["--disable-component-update"])
            .args([
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("file://{}", self.0.display()))
            .output()?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = log.lines().filter(|line| line.contains("CONSOLE"));
        let told = told.collect::<Vec<_>>().join("\n");
        let shown = text(output)?;
        let start = "<pre id=\"outcome\">";
        let from = shown
            .find(start)
            .with_context(|| format!("a script failed: {told}"))?;
        let rest = &shown[from + start.len()..];
        let outcome = &rest[..rest.find("</pre>").context("no end")?];
        let outcome = outcome
            .replace("&gt;", ">")
            .replace("&lt;", "<")
            .replace("&amp;", "&");
        serde_json::from_str(&outcome).with_context(|| outcome.clone())
    }
}

fn text(output: Output) -> Result<String> {
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_person_filters_and_moves_in_a_real_browser() -> Result<()> {
    let seen = Page::made()?.seen()?;
    let rows = |name: &str| -> Vec<&str> {
        let rows = seen[name]["rows"].as_array().into_iter().flatten();
        rows.filter_map(Value::as_str).collect()
    };
    let all = rows("all");
    let crossing = "invoices/backend → orders/backend";
    ensure!(
        all.contains(&crossing) && all.contains(&"orders/frontend → orders/backend"),
        "{seen}"
    );
    // Matrix, graph and list show the same.
    ensure!(seen["all"]["filled"] == json!(all.len()), "{seen}");
    ensure!(
        seen["all"]["paths"].as_u64().is_some_and(|paths| paths > 0),
        "{seen}"
    );

    let crossings = rows("crossings");
    ensure!(crossings.contains(&crossing), "{seen}");
    ensure!(
        !crossings.contains(&"orders/frontend → orders/backend"),
        "{seen}"
    );
    ensure!(
        rows("orders").iter().all(|it| it.contains("orders/")),
        "{seen}"
    );
    ensure!(rows("orders").contains(&crossing), "{seen}");
    let port = rows("port");
    ensure!(
        port.contains(&"invoices/backend → invoices/data") && !port.contains(&crossing),
        "{seen}"
    );
    ensure!(
        !rows("udp").contains(&"invoices/backend → invoices/data"),
        "{seen}"
    );
    ensure!(
        !rows("place").is_empty()
            && rows("place")
                .iter()
                .all(|it| it.contains("invoices/frontend")),
        "{seen}"
    );

    ensure!(seen["moved"] == "TD", "{seen}");
    ensure!(
        seen["first"].as_str().is_some_and(|it| !it.is_empty()),
        "{seen}"
    );
    ensure!(
        seen["second"].as_str().is_some_and(|it| !it.is_empty()),
        "{seen}"
    );
    ensure!(seen["scripts"] == 0 && seen["fetched"] == 0, "{seen}");
    Ok(())
}
