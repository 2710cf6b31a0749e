//! The page that `kubectl landingzone matrix -o html` makes, in a real browser: what a person filters, and moves to by
//! keyboard. Nothing is fetched: the page forbids it, and the browser says what it asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::prerequisites;
use e2e::process::command_that_dies_with_us;
use e2e::workspace;
use serde_json::{Value, json};

/// Does what a person does, and writes down what there is to see.
const PERSON: &str = include_str!("person.html");
/// The same in front of a graph with many places.
const IN_A_CROWD: &str = include_str!("in_a_crowd.html");
/// The same in front of a change.
const OF_A_CHANGE: &str = include_str!("of_a_change.html");

/// The same with paper in hand.
const IN_PRINT: &str = include_str!("in_print.html");

struct Page(PathBuf);

impl Page {
    fn folder() -> Result<PathBuf> {
        let folder = workspace::state().join("page");
        fs::create_dir_all(&folder).context("failed to make a folder for the page")?;
        Ok(folder)
    }

    /// The page about some files, and perhaps what was before, with a person in front of it.
    fn made(name: &str, files: &Path, base: Option<&Path>, person: &str) -> Result<Self> {
        let plugin = OperatorBinaries::ensure(Profile::Test)?.plugin;
        let mut command = command_that_dies_with_us(plugin);
        command.args(["matrix", "-o", "html", "-f"]).arg(files);
        if let Some(base) = base {
            command.arg("--base").arg(base);
        }
        let html = text(command.output()?)?;
        let end = html.rfind("</body>").context("no page")?;
        let file = Self::folder()?.join(format!("{name}.html"));
        fs::write(&file, format!("{}{person}{}", &html[..end], &html[end..]))?;
        Ok(Self(file))
    }

    /// What the person saw.
    fn seen(&self) -> Result<Value> {
        let profile = self.0.with_extension("profile");
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
    let sample = workspace::root().join("config/samples/matrix");
    let seen = Page::made("matrix", &sample, None, PERSON)?.seen()?;
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

/// Landing zones of three zones each, of which each reaches the next.
fn many(count: usize) -> String {
    let one = |number: usize| {
        let (next, last) = ((number + 1) % count, (number + count - 1) % count);
        format!(
            "---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {{name: app{number:03}}}
spec:
  applicationCode: app{number:03}
  namespaces:
  - {{name: app{number:03}-web, zone: frontend}}
  - {{name: app{number:03}-api, zone: backend}}
  - {{name: app{number:03}-sql, zone: data}}
  network:
    egress:
    - {{name: next, from: {{zone: backend}}, to: {{landingZone: app{next:03}, zone: backend}}, ports: [{{protocol: TCP, port: 8443}}]}}
    ingress:
    - {{name: last, from: {{landingZone: app{last:03}, zone: backend}}, to: {{zone: backend}}, ports: [{{protocol: TCP, port: 8443}}]}}
"
        )
    };
    (0..count).map(one).collect()
}

#[test]
fn names_do_not_lie_over_each_other_where_there_are_many() -> Result<()> {
    let file = Page::folder()?.join("crowd.yaml");
    fs::write(&file, many(100))?;
    let seen = Page::made("crowd", &file, None, IN_A_CROWD)?.seen()?;
    let named = |name: &str| -> Vec<&str> {
        let named = seen[name]["named"].as_array().into_iter().flatten();
        named.filter_map(Value::as_str).collect()
    };
    ensure!(
        seen["rest"]["places"].as_u64().is_some_and(|it| it >= 300),
        "{seen}"
    );
    for moment in ["rest", "filtered", "pointed", "focused", "moved", "left"] {
        ensure!(seen[moment]["over"] == 0, "{moment}: {seen}");
    }
    // Landing zones by their names, then what the filter, the pointer and the focus are about.
    ensure!(
        named("rest").len() > 50 && named("rest").contains(&"app007"),
        "{seen}"
    );
    ensure!(named("filtered").contains(&"app042/backend"), "{seen}");
    ensure!(named("pointed").contains(&"app007/backend"), "{seen}");
    ensure!(
        named("pointed").contains(&"app008/backend") && named("pointed").len() < 20,
        "{seen}"
    );
    ensure!(named("focused").contains(&"app000/backend"), "{seen}");
    ensure!(named("moved").contains(&"app000/data"), "{seen}");
    let near = seen["focused"]["near"].as_str().unwrap_or_default();
    ensure!(
        near.contains("app000/backend → ") && near.contains("app001/backend"),
        "{seen}"
    );
    ensure!(
        seen["stops"] == 1,
        "one stop of the tabulator for all places: {seen}"
    );
    ensure!(named("left") == named("rest"), "{seen}");
    Ok(())
}

#[test]
fn what_a_change_opens_and_closes_is_marked_and_can_be_filtered() -> Result<()> {
    let (before, after) = (
        Page::folder()?.join("before.yaml"),
        Page::folder()?.join("after.yaml"),
    );
    fs::write(&before, many(3))?;
    let edited = many(3).replace("port: 8443", "port: 9443");
    fs::write(&after, edited)?;
    let seen = Page::made("change", &after, Some(&before), OF_A_CHANGE)?.seen()?;
    ensure!(seen["title"] == "What a change opens and closes", "{seen}");
    let changes = seen["changes"].as_array().context("no changes")?;
    ensure!(
        !changes.is_empty() && changes.iter().all(|it| it != ""),
        "{seen}"
    );
    ensure!(
        seen["marks"]
            .as_array()
            .is_some_and(|it| it.iter().all(|it| it != "A")),
        "{seen}"
    );
    ensure!(seen["all"].as_u64() > Some(changes.len() as u64), "{seen}");
    ensure!(
        seen["told"]
            .as_str()
            .is_some_and(|it| it.contains("closed, was allowed")),
        "{seen}"
    );
    ensure!(seen["lines"].as_u64().is_some_and(|it| it > 0), "{seen}");
    Ok(())
}

/// On paper, all that passes is listed, and nothing is there that only a mouse reaches.
#[test]
fn the_printed_page_lists_all_that_passes() -> Result<()> {
    let file = Page::folder()?.join("printed.yaml");
    fs::write(&file, many(30))?;
    let seen = Page::made("printed", &file, None, IN_PRINT)?.seen()?;
    ensure!(seen["rules"] == 1, "{seen}");
    ensure!(seen["form"] == false && seen["title"] == true, "{seen}");
    ensure!(
        seen["rows"].as_u64() > Some(30) && seen["shown"] == seen["rows"],
        "{seen}"
    );
    ensure!(seen["cut"] == json!([]), "{seen}");
    Ok(())
}
