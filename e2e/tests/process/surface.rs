//! What the operator shows of itself.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::eventually;
use e2e::governed::CONVERGED;
use e2e::operator::operator_kubeconfig;
use e2e::owned::sample_spec;
use e2e::ports::free_port;
use e2e::process::Program;
use serde_json::Value;

use super::{Fixture, operator_binary};

pub async fn metrics_are_open_metrics(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.governed;
    governed.converge("application2", sample_spec()?).await?;
    let form = "application/openmetrics-text;version=1.0.0";
    let answer = governed.operator.fetch_as("/metrics", form).await?;
    let content_type = answer.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type.context("no content type")?.to_str()?;
    ensure!(
        content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "{content_type}"
    );
    let text = answer.into_body();
    ensure!(text.ends_with("\n# EOF\n"), "{text}");
    let mut families = BTreeSet::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some("EOF") => {}
            Some(comment) => {
                let mut words = comment.splitn(3, ' ');
                let keyword = words.next().unwrap_or_default();
                ensure!(["HELP", "TYPE", "UNIT"].contains(&keyword), "{line}");
                let name = words.next().context("a comment without a name")?;
                ensure!(name.starts_with("landingzone_"), "{line}");
                families.insert(name.to_owned());
            }
            None => sample(line, &families).with_context(|| line.to_owned())?,
        }
    }
    for family in [
        "landingzone_landing_zones",
        "landingzone_landing_zones_not_ready",
        "landingzone_writes",
        "landingzone_drift_repairs",
        "landingzone_reconciles",
        "landingzone_reconcile_seconds",
        "landingzone_contested",
        "landingzone_watch_synced",
    ] {
        ensure!(
            families.contains(family),
            "{family} is missing in {families:?}"
        );
    }
    ensure!(
        text.contains("\nlandingzone_watch_synced{kind=\"Namespace\"} 1"),
        "{text}"
    );
    Ok(())
}

/// A sample is a name of a known family, labels, and a number.
fn sample(line: &str, families: &BTreeSet<String>) -> Result<()> {
    let (series, value) = line.rsplit_once(' ').context("no value")?;
    value.parse::<f64>().context("no number")?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    ensure!(labels.ends_with('}'));
    let endings = ["", "_total", "_bucket", "_sum", "_count"];
    let known = endings.iter().any(|ending| {
        name.strip_suffix(ending)
            .is_some_and(|family| families.contains(family))
    });
    ensure!(known, "of no family");
    Ok(())
}

pub async fn health_is_served(fixture: &Fixture) -> Result<()> {
    for path in ["/healthz", "/readyz"] {
        let (status, text) = fixture.governed.operator.get(path).await?;
        ensure!(
            status == http::StatusCode::OK && text == "ok\n",
            "{path}: {status} {text}"
        );
    }
    let (status, _) = fixture.governed.operator.get("/secrets").await?;
    ensure!(status == http::StatusCode::NOT_FOUND);
    Ok(())
}

pub async fn logs_are_json_or_text(fixture: &Fixture) -> Result<()> {
    for line in fixture.governed.operator.logs()?.lines() {
        let entry: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        for field in ["timestamp", "level", "target"] {
            ensure!(entry[field].is_string(), "{line}");
        }
    }
    // Everything by variables of the environment, nothing by flags.
    let cluster = &fixture.governed.cluster;
    let kubeconfig = operator_kubeconfig(cluster).await?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let operator = Program::new(
        operator_binary().await?,
        cluster.directory().join("text.log"),
    )
    .variable("KUBECONFIG", kubeconfig.path())
    .variable("LANDING_ZONE_OPERATOR_LISTEN", &address)
    .variable("LANDING_ZONE_OPERATOR_LOG", "info")
    .variable("LANDING_ZONE_OPERATOR_LOG_FORMAT", "text")
    .start()?;
    let what = "the operator to say where it listens";
    let log = eventually(CONVERGED, what, async || {
        operator.ensure_running()?;
        let log = operator.log()?;
        Ok(log.contains(&address).then_some(log))
    })
    .await?;
    ensure!(log.contains(" INFO "), "{log}");
    ensure!(!log.starts_with('{') && !log.contains('\u{1b}'), "{log}");
    operator.stop(Duration::from_secs(8)).await?;
    Ok(())
}

pub async fn no_log_tells_a_token(fixture: &Fixture) -> Result<()> {
    let governed = &fixture.governed;
    governed.operator.wait_until_ready(CONVERGED).await?;
    let kubeconfig = operator_kubeconfig(&governed.cluster).await?;
    let text = std::fs::read_to_string(kubeconfig.path())?;
    let (_, rest) = text.split_once("token: ").context("no token")?;
    let token = rest.split('}').next().context("no end")?;
    // Tokens differ in their claims; all begin with the same header.
    let header = token.split('.').next().context("no header")?;
    ensure!(header.len() > 20);
    let log = governed.operator.logs()?;
    let told = log.lines().find(|line| line.contains(header));
    ensure!(told.is_none(), "{told:?}");
    ensure!(log.contains(r#""level":"TRACE""#), "not all was said");
    Ok(())
}

pub async fn help_names_a_variable_for_each_flag(_: &Fixture) -> Result<()> {
    let output = tokio::process::Command::new(operator_binary().await?)
        .arg("--help")
        .output()
        .await?;
    ensure!(output.status.success());
    let help = String::from_utf8(output.stdout)?;
    println!("{help}");
    let lines = help.lines().map(str::trim_start);
    let flags = lines.filter(|line| line.starts_with("--")).count();
    let variables = help.matches("[env: LANDING_ZONE_OPERATOR_").count();
    ensure!(
        flags >= 6 && flags == variables,
        "{flags} flags, {variables} variables"
    );
    // Nobody should have to scroll sideways.
    let widest = help.lines().map(|line| line.chars().count()).max();
    ensure!(widest <= Some(120), "{widest:?}");
    Ok(())
}
