//! What a real Prometheus makes of the metrics: they are clean and scraped, the alerts tell what they are about, and
//! every query of the dashboard is answered.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::install::{apply, apply_manifests, read_manifests};
use e2e::prometheus::{PrometheusBinaries, PrometheusServer};
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, eventually, scenarios, workspace};
use serde_json::{Value, json};

struct Fixture {
    governed: Governed,
    binaries: PrometheusBinaries,
    /// Where the rules are in a file of their own, as Prometheus reads them.
    folder: PathBuf,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let binaries = tokio::task::spawn_blocking(PrometheusBinaries::ensure).await??;
        let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
        let folder = governed.cluster.directory().join("rules");
        fs::create_dir_all(&folder)?;
        let groups = json!({"groups": rules()?["spec"]["groups"]});
        fs::write(folder.join("rules.yaml"), groups.to_string())?;
        Ok(Self {
            governed,
            binaries,
            folder,
        })
    }

    async fn stop(self) -> Result<()> {
        self.governed.stop().await
    }
}

fn configuration() -> PathBuf {
    workspace::root().join("config/prometheus")
}

/// The `PrometheusRule`.
fn rules() -> Result<Value> {
    let objects = read_manifests(&configuration().join("rules/rules.yaml"))?;
    let [rules] = objects.as_slice() else {
        anyhow::bail!("one object expected");
    };
    Ok(serde_json::to_value(rules)?)
}

fn alerts() -> Result<BTreeSet<String>> {
    let rules = rules()?;
    let groups = rules["spec"]["groups"].as_array().context("no groups")?;
    let rules = groups
        .iter()
        .filter_map(|group| group["rules"].as_array())
        .flatten();
    rules
        .map(|rule| {
            let name = rule["alert"].as_str().context("a rule without a name")?;
            let runbook = rule["annotations"]["runbook"].as_str();
            let expected = format!("docs/runbooks/{name}.md");
            ensure!(runbook == Some(&expected), "{name}: {runbook:?}");
            Ok(name.to_owned())
        })
        .collect()
}

async fn alerts_tell_what_they_are_about(fixture: &Fixture) -> Result<()> {
    let written = workspace::root().join("e2e/tests/prometheus/rules_test.yaml");
    let text = fs::read_to_string(&written)?;
    fs::copy(written, fixture.folder.join("rules_test.yaml"))?;
    let tool = |arguments: &[&str]| fixture.binaries.tool(&fixture.folder, arguments, None);
    tool(&["check", "rules", "rules.yaml"])?;
    tool(&["test", "rules", "rules_test.yaml"])?;
    for alert in alerts()? {
        ensure!(
            text.contains(&format!("alertname: {alert}")),
            "{alert} is not tried"
        );
    }
    // A test that cannot fail would say yes to this, too.
    let broken = text.replace("severity: critical", "severity: none");
    fs::write(fixture.folder.join("broken_test.yaml"), broken)?;
    ensure!(
        tool(&["test", "rules", "broken_test.yaml"]).is_err(),
        "anything passes"
    );
    Ok(())
}

async fn every_alert_has_a_page(_: &Fixture) -> Result<()> {
    let pages: BTreeSet<String> = fs::read_dir(workspace::root().join("docs/runbooks"))?
        .map(|entry| {
            Ok(entry?
                .path()
                .file_stem()
                .context("no name")?
                .to_string_lossy()
                .into_owned())
        })
        .collect::<Result<_>>()?;
    ensure!(pages == alerts()?, "{pages:?}");
    Ok(())
}

async fn metrics_are_clean(fixture: &Fixture) -> Result<()> {
    fixture.governed.converge("clean", spec("clean")).await?;
    let answer = fixture
        .governed
        .operator
        .fetch_as("/metrics", "text/plain")
        .await?;
    let form = answer.headers()["content-type"].to_str()?.to_owned();
    ensure!(form.starts_with("text/plain; version=0.0.4"), "{form}");
    let said =
        fixture
            .binaries
            .tool(&fixture.folder, &["check", "metrics"], Some(answer.body()))?;
    ensure!(said.trim().is_empty(), "{said}");
    let whole = fixture
        .governed
        .operator
        .fetch_as(
            "/metrics",
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
        )
        .await?;
    ensure!(whole.body().ends_with("# EOF\n"), "{}", whole.body());
    Ok(())
}

/// What each landing zone adds to the metrics: a series for each crossing that ends, and nothing else while all is well.
async fn series_are_bounded(fixture: &Fixture) -> Result<()> {
    /// As docs/metrics.md has it, whatever the number of landing zones.
    const MOST: usize = 120;
    const ZONES: usize = 12;
    let governed = &fixture.governed;
    for number in 0..ZONES {
        let code = format!("many-{number}");
        let mut declared = spec(&code);
        declared["contact"] = json!(format!("{code}@example.com"));
        if number == 0 {
            declared["network"] = json!({"egress": [
                {"name": "erp", "to": {"cidrs": ["192.0.2.0/24"]}, "validUntil": "2099-12-31"},
                {"name": "crm", "to": {"cidrs": ["198.51.100.0/24"]}},
            ]});
        }
        governed.declare(&code, declared).await?;
    }
    for number in 0..ZONES {
        governed.ready(&format!("many-{number}")).await?;
    }
    let metrics = governed.operator.metrics().await?;
    let series: Vec<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let (of_zones, of_all): (Vec<&str>, Vec<&str>) = series
        .iter()
        .partition(|line| line.contains("landing_zone=\""));
    ensure!(of_all.len() <= MOST, "{}: {of_all:#?}", of_all.len());
    let ours: Vec<_> = of_zones
        .iter()
        .filter(|line| line.contains("landing_zone=\"many-"))
        .collect();
    let expected = "landing_zone=\"many-0\",direction=\"Egress\",crossing=\"erp\"";
    ensure!(ours.len() == 1 && ours[0].contains(expected), "{ours:#?}");
    // Nothing is told by the names of namespaces or people.
    for word in ["many-3-web", "@example.com"] {
        ensure!(!metrics.contains(word), "{word}: {metrics}");
    }
    println!("{} series beside those of landing zones", of_all.len());
    Ok(())
}

fn spec(code: &str) -> Value {
    json!({
        "applicationCode": code,
        "namespaces": [{"name": format!("{code}-web"), "zone": "frontend"}],
    })
}

async fn every_query_of_the_dashboard_is_answered(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.governed;
    let server = PrometheusServer::start(
        &fixture.binaries,
        &governed.cluster,
        governed.operator.address(),
        &fixture.folder.join("rules.yaml"),
    )
    .await?;
    // Something to be shown of each kind, while somebody looks.
    let platform = json!({
        "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZonePlatform", "metadata": {"name": "cluster"},
        "spec": {"network": {"podCidrs": ["10.244.0.0/16"]}, "guard": "Observe"},
    });
    apply(&governed.client(), serde_json::from_value(platform)?).await?;
    apply_manifests(&governed.client(), &workspace::root().join("config/guard")).await?;
    let mut declared = spec("shown");
    declared["network"] = json!({"egress": [
        {"name": "erp", "to": {"cidrs": ["192.0.2.0/24"]}, "validUntil": "2099-12-31"},
    ]});
    governed.converge("shown", declared).await?;
    // One that is asked before the boundary, and one that asks for more than is declared.
    let open = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "default.open"},
        "spec": {
            "order": 5, "namespaceSelector": "projectcalico.org/name == 'shown-web'",
            "types": ["Ingress"], "ingress": [{"action": "Allow"}],
        },
    });
    let asks = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "asks", "namespace": "shown-web"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}]},
    });
    for object in [open, asks] {
        apply(&governed.client(), serde_json::from_value(object)?).await?;
    }
    let dashboard = fs::read_to_string(configuration().join("dashboard.json"))?;
    let dashboard: Value = serde_json::from_str(&dashboard)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let queries: Vec<&str> = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .filter_map(|target| target["expr"].as_str())
        .collect();
    ensure!(queries.len() > 10, "{queries:?}");
    for query in queries {
        eventually(CONVERGED, query, async || {
            let found = server.query(query).await?;
            let is_number = |it: &Value| it["value"][1].as_str().is_some_and(|it| it != "NaN");
            ensure!(
                !found.is_empty() && found.iter().all(is_number),
                "{found:?}"
            );
            Ok(Some(()))
        })
        .await?;
    }
    let known = server.ask("/api/v1/rules").await?;
    let groups = known["data"]["groups"].as_array().context("no groups")?;
    let rules: Vec<&Value> = groups
        .iter()
        .filter_map(|it| it["rules"].as_array())
        .flatten()
        .collect();
    ensure!(rules.len() == alerts()?.len(), "{rules:?}");
    eventually(CONVERGED, "all rules to be evaluated", async || {
        let known = server.ask("/api/v1/rules").await?.to_string();
        ensure!(!known.contains("\"health\":\"unknown\""), "{known}");
        ensure!(!known.contains("\"health\":\"err\""), "{known}");
        let expected = "\"state\":\"pending\"";
        ensure!(known.contains(expected), "nothing is pending: {known}");
        Ok(Some(()))
    })
    .await
}

fn main() -> ExitCode {
    let long = Duration::from_mins(3);
    scenario::run::<Fixture>(scenarios![
        alerts_tell_what_they_are_about,
        every_alert_has_a_page,
        metrics_are_clean,
        series_are_bounded within long,
        every_query_of_the_dashboard_is_answered within long,
    ])
}
