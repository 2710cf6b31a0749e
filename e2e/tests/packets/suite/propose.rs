//! From packets that were logged to declarations that open their way, and nothing else.

use anyhow::{Context, Error, Result, ensure};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::data_plane::KernelLog;
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::process::{command_that_dies_with_us, spawn};
use e2e::scenario::Skipped;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::crossings::landing_zone;
use super::landscape::{Landscape, Wired};
use super::observe::OBSERVED;
use super::residents::Pod;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::{holds, holds_alone};

pub const PODS: [Pod; 3] = [
    ("learning-web", "a", &[]),
    ("learning-api", "a", &[]),
    ("mentor-web", "a", &[]),
];

/// Two that run already, and of whose packets nobody knows.
pub fn landing_zones() -> [(&'static str, Value); 2] {
    let observed = |name: &str, zones: &[&str]| {
        let mut spec = landing_zone(name, zones, &json!({}));
        spec["stage"] = json!("Observe");
        spec
    };
    let mut learning = observed("learning", &["web", "api"]);
    // One flow is known: what else passes inside would be denied.
    learning["network"] = json!({"flows": [
        {"name": "known", "from": {"zone": "web"}, "to": {"zone": "api"},
         "ports": [{"protocol": "TCP", "port": 9090}]},
    ]});
    [
        ("learning", learning),
        ("mentor", observed("mentor", &["web"])),
    ]
}

pub async fn what_was_logged_becomes_declarations_that_open_it(
    landscape: &Landscape,
) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.read().await;
    let mut log = match KernelLog::open()? {
        Ok(log) => log,
        Err(why) => return Err(Error::new(Skipped::because(why))),
    };
    let needed = [
        ("learning-web", Tcp(8080), "learning-api", Allowed),
        ("learning-api", Udp(9090), "mentor-web", Allowed),
        ("learning-api", Tcp(5432), "outside", Allowed),
    ];
    holds_alone(wired, &needed).await?;
    let folder = wired.governed.cluster.directory().join("proposed");
    std::fs::create_dir_all(&folder).context("failed to make a folder")?;
    std::fs::write(folder.join("node.log"), log.read()?.join("\n"))?;
    let kubectl = async |arguments: &'static str| {
        let arguments = arguments.split_whitespace();
        wired.governed.cluster.kubectl(arguments).await
    };
    let dump = kubectl("get pods,namespaces,nodes -A -o json").await?;
    std::fs::write(folder.join("cluster.json"), dump)?;
    let declared = kubectl("get landingzones,landingzoneplatforms -o json").await?;
    std::fs::write(folder.join("declared.json"), declared)?;

    let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
    let mut propose = command_that_dies_with_us(&build.await??.plugin);
    propose
        .current_dir(&folder)
        .args(["propose", "-f", "declared.json", "-f", "cluster.json"])
        .args(["--from-log", "node.log", "-o", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let proposed = spawn(propose)?.wait_with_output()?;
    let said = String::from_utf8_lossy(&proposed.stderr);
    ensure!(proposed.status.success(), "{said}");
    let proposed: Value = serde_json::from_slice(&proposed.stdout)?;

    for (name, spec) in landing_zones() {
        take_up(wired, name, spec, &proposed).await?;
    }
    holds(wired, &needed).await?;
    let others = [
        ("learning-web", Udp(8080), "learning-api", Denied),
        ("learning-api", Both(8080), "learning-web", Denied),
        ("learning-api", Tcp(9090), "mentor-web", Denied),
        ("learning-web", Both(9090), "mentor-web", Denied),
        (
            "mentor-web",
            Both(9090),
            "learning-web learning-api",
            Denied,
        ),
        ("learning-web mentor-web", Both(5432), "outside", Denied),
        ("learning-api", Udp(5432), "outside", Denied),
        ("learning-api", Both(443), "outside", Denied),
        ("outside", Both(5432), "learning-api", Denied),
        (
            "stranger",
            Both(8080),
            "learning-web learning-api mentor-web",
            Denied,
        ),
    ];
    holds(wired, &others).await
}

/// Declares what is proposed to a landing zone, and has it enforced.
async fn take_up(wired: &Wired, name: &str, mut spec: Value, proposed: &Value) -> Result<()> {
    let all = proposed["landingZones"]
        .as_array()
        .context("no proposals")?;
    let own = all.iter().find(|it| it["landingZone"] == name);
    let own = own.with_context(|| format!("nothing is proposed to {name}: {proposed}"))?;
    for list in ["flows", "egress", "ingress"] {
        let entries = own[list].as_array().into_iter().flatten();
        let known = spec["network"][list].as_array().cloned();
        let entries = entries.map(|it| it["entry"].clone());
        spec["network"][list] = known
            .unwrap_or_default()
            .into_iter()
            .chain(entries)
            .collect();
    }
    spec["stage"] = json!("Enforce");
    let patch = Patch::Merge(json!({ "spec": spec }));
    let zones = wired.governed.zones();
    zones.patch(name, &PatchParams::default(), &patch).await?;
    wired.governed.ready(name).await.map(drop)
}
