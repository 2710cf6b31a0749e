//! The kind through the real kubectl.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use e2e::owned::sample_file;
use e2e::process::{command_that_dies_with_us, spawn};
use e2e::{eventually, governed::CONVERGED, workspace};

use super::Fixture;

pub async fn kubectl_explains_every_field(fixture: &Fixture) -> Result<()> {
    let cluster = &fixture.0.cluster;
    // The API server describes a new kind a few seconds after it serves it.
    eventually(CONVERGED, "the kind to be described", async || {
        Ok(Some(cluster.kubectl(["explain", "lz"]).await?))
    })
    .await?;
    for (path, words) in [
        ("lz", "network boundary around them"),
        ("lz.spec", "The namespaces of the application, 1 to"),
        ("lz.spec.namespaces", "podSecurity"),
        ("lz.spec.namespaces.quota", "DESCRIPTION"),
        ("lz.spec.access", "zones"),
        ("lz.spec.network.flows.from", "podSelector"),
        ("lz.spec.placement.tolerations", "effect"),
        ("lz.status.conditions", "DESCRIPTION"),
    ] {
        let text = cluster.kubectl(["explain", path]).await?;
        ensure!(text.contains(words), "{path}: {text}");
        ensure!(!text.contains("<no description>"), "{path}: {text}");
    }
    Ok(())
}

pub async fn kubectl_applies_without_a_warning_and_shows_columns(fixture: &Fixture) -> Result<()> {
    for (how, path) in [
        ("-k", workspace::root().join("crds")),
        ("-f", sample_file()),
    ] {
        let path = path.to_str().context("a path that is no text")?.to_owned();
        let (said, warned) = run(
            fixture,
            &["apply", "--server-side", "--force-conflicts", how, &path],
        )
        .await?;
        ensure!(said.contains("serverside-applied"), "{said}");
        ensure!(warned.is_empty(), "{warned}");
    }
    fixture.0.ready("application2").await?;
    let (table, _) = run(fixture, &["get", "lz", "application2"]).await?;
    let (head, rows) = table.split_once('\n').context("no table")?;
    let head: Vec<&str> = head.split_whitespace().collect();
    ensure!(
        head == [
            "NAME",
            "CODE",
            "STAGE",
            "NAMESPACES",
            "READY",
            "DRIFT",
            "AGE"
        ],
        "{head:?}"
    );
    // Where nothing drifted yet, that column is empty.
    let row: Vec<&str> = rows.split_whitespace().collect();
    ensure!(
        row.starts_with(&["application2", "application2", "Enforce", "3/3", "True"]),
        "{row:?}"
    );
    let (wide, _) = run(fixture, &["get", "lz", "application2", "-o", "wide"]).await?;
    for words in [
        "FLAVOUR",
        "crd.projectcalico.org/v1",
        "AsDeclared",
        "everything declared",
    ] {
        ensure!(wide.contains(words), "{wide}");
    }
    Ok(())
}

/// What kubectl prints, and what it says beside.
async fn run(fixture: &Fixture, arguments: &[&str]) -> Result<(String, String)> {
    let cluster = &fixture.0.cluster;
    let mut command = command_that_dies_with_us(cluster.kubectl_path());
    command
        .args(arguments)
        .env("KUBECONFIG", cluster.kubeconfig().path())
        .env("KUBECACHEDIR", cluster.directory().join("kubectl-cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = spawn(command)?;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await??;
    let said = String::from_utf8(output.stdout)?;
    let warned = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{arguments:?}: {warned}");
    Ok((said, warned))
}
