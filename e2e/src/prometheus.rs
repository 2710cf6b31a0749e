//! A real Prometheus, and its tool for rules and metrics.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cluster::LocalCluster;
use crate::http::HttpClient;
use crate::ports::free_port;
use crate::prerequisites::prometheus_package;
use crate::process::{Process, Program, command_that_dies_with_us, spawn};
use crate::wait::eventually;
use crate::workspace;

const READY: Duration = Duration::from_secs(30);

/// The programs.
#[derive(Clone, Debug)]
pub struct PrometheusBinaries {
    /// `prometheus`.
    pub server: PathBuf,
    /// `promtool`.
    pub tool: PathBuf,
}

impl PrometheusBinaries {
    /// Finds them, or takes them out of Debian's package without installing it, since that would start a server.
    ///
    /// # Errors
    /// Where they are missing and there is no such package.
    pub fn ensure() -> Result<Self> {
        let folder = workspace::state().join("bin");
        fs::create_dir_all(&folder)?;
        let unpacked = folder.join("prometheus");
        let lock = File::create(folder.join(".prometheus.lock"))?;
        // Another test binary may be at it already.
        lock.lock().context("failed to wait for another one")?;
        let installed =
            |name: &str| Some(PathBuf::from("/usr/bin").join(name)).filter(|it| it.is_file());
        if let (Some(server), Some(tool)) = (installed("prometheus"), installed("promtool")) {
            return Ok(Self { server, tool });
        }
        if !unpacked.is_dir() {
            let unfinished = folder.join(".prometheus");
            if unfinished.is_dir() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::create_dir_all(&unfinished)?;
            prometheus_package(&unfinished)?;
            fs::rename(&unfinished, &unpacked)?;
        }
        let program = |name: &str| unpacked.join("usr/bin").join(name);
        Ok(Self {
            server: program("prometheus"),
            tool: program("promtool"),
        })
    }

    /// Runs promtool in a folder, and returns what it writes; fails as it does.
    pub fn tool(&self, folder: &Path, arguments: &[&str], input: Option<&str>) -> Result<String> {
        let mut command: Command = command_that_dies_with_us(&self.tool);
        command
            .current_dir(folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(command).context("failed to start promtool")?;
        let mut stdin = child.stdin.take().context("promtool has no input")?;
        std::io::Write::write_all(&mut stdin, input.unwrap_or_default().as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "promtool {arguments:?}: {said}");
        Ok(said.into_owned())
    }
}

/// A server that scrapes every second. Dropped, it is killed.
pub struct PrometheusServer {
    process: Process,
    http: HttpClient,
}

impl PrometheusServer {
    /// Scrapes an address, by rules in a file.
    pub async fn start(
        binaries: &PrometheusBinaries,
        cluster: &LocalCluster,
        target: &str,
        rules: &Path,
    ) -> Result<Self> {
        let folder = cluster.directory().join("prometheus");
        fs::create_dir_all(&folder)?;
        let configuration = folder.join("prometheus.yaml");
        let text = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [{"job_name": "operator", "static_configs": [{"targets": [target]}]}],
        });
        fs::write(&configuration, text.to_string())?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let program = Program::new(&binaries.server, cluster.directory().join("prometheus.log"))
            .argument(format!("--config.file={}", configuration.display()))
            .argument(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .argument(format!("--web.listen-address={address}"));
        let server = Self {
            process: program.start()?,
            http: HttpClient::new(&address),
        };
        eventually(READY, "Prometheus to scrape", async || {
            server.process.ensure_running()?;
            let up = server.query("up").await?;
            ensure!(up.len() == 1 && up[0]["value"][1] == "1", "{up:?}");
            Ok(Some(()))
        })
        .await?;
        Ok(server)
    }

    /// What a query finds now.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>> {
        let answer = self
            .ask(&format!("/api/v1/query?query={}", escaped(query)))
            .await?;
        let result = answer["data"]["result"].as_array().cloned();
        result.with_context(|| format!("{query}: {answer}"))
    }

    /// Its answer in JSON.
    pub async fn ask(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(path, &[]).await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.body());
        serde_json::from_str(answer.body()).context("Prometheus answers what is no JSON")
    }
}

/// Every byte that could mean something in a query string, in its escaped form.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
