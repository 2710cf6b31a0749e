//! Landing zones that are alike: three namespaces each, with quotas, limits, access and flows.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

use crate::process::{command_that_dies_with_us, spawn};

/// Declarations that are created at once.
const AT_ONCE: usize = 32;
const ZONES: [&str; 3] = ["frontend", "backend", "data"];
/// Policies that each team writes: two in each namespace but the last.
pub const TEAM_POLICIES: usize = 5;

/// So many landing zones.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// How many.
    pub landing_zones: usize,
}

impl Fleet {
    /// Their names.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0..self.landing_zones).map(|number| format!("app-{number:05}"))
    }

    /// Their namespaces.
    pub fn namespaces(self) -> impl Iterator<Item = String> {
        self.names()
            .flat_map(|name| ZONES.map(|zone| format!("{name}-{zone}")))
    }

    fn declarations(self) -> impl Iterator<Item = Value> {
        self.names().map(|name| {
            json!({
                "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
                "metadata": {"name": name}, "spec": spec(&name),
            })
        })
    }

    /// Declares them all.
    pub async fn declare(self, client: &Client) -> Result<()> {
        let api: Api<LandingZone> = Api::all(client.clone());
        let api = &api;
        stream::iter(self.declarations())
            .map(|zone| async move {
                let zone: LandingZone = serde_json::from_value(zone)?;
                api.create(&PostParams::default(), &zone)
                    .await
                    .context("failed to declare a landing zone")
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// What they render to, as the plugin prints it, with the tiers left out that Calico 3.28 has not.
    pub fn rendered(self, plugin: &Path, folder: &Path) -> Result<Vec<Value>> {
        std::fs::create_dir_all(folder).context("failed to make a folder")?;
        for zone in self.declarations() {
            let name = zone["metadata"]["name"].as_str().context("no name")?;
            std::fs::write(folder.join(format!("{name}.yaml")), zone.to_string())
                .context("failed to write a landing zone")?;
        }
        let mut command = command_that_dies_with_us(plugin);
        command
            .args(["render", "-o", "json", "--calico-version=3.28", "-f"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = spawn(command)?.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}");
        let list: Value = serde_json::from_slice(&output.stdout)?;
        let items = list["items"]
            .as_array()
            .context("the plugin printed no list")?;
        Ok(items.clone())
    }

    /// What their teams write: policies that stay inside.
    pub async fn write_team_policies(self, client: &Client) -> Result<()> {
        let resource = ApiResource::erase::<k8s_openapi::api::networking::v1::NetworkPolicy>(&());
        let policies = self.names().flat_map(|name| {
            (0..TEAM_POLICIES).map(move |number| {
                let zone = ZONES[number % ZONES.len()];
                json!({
                    "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                    "metadata": {"name": format!("team-{number}"), "namespace": format!("{name}-{zone}")},
                    "spec": {
                        "podSelector": {"matchLabels": {"app": format!("app-{number}")}},
                        "policyTypes": ["Ingress"],
                        "ingress": [{
                            "from": [{"namespaceSelector": {"matchLabels": {"applicationcode": name}}}],
                            "ports": [{"protocol": "TCP", "port": 8080 + number}],
                        }],
                    },
                })
            })
        });
        let resource = &resource;
        stream::iter(policies)
            .map(|policy| async move {
                let policy: DynamicObject = serde_json::from_value(policy)?;
                let namespace = policy.metadata.namespace.clone().unwrap_or_default();
                let api = Api::namespaced_with(client.clone(), &namespace, resource);
                api.create(&PostParams::default(), &policy)
                    .await
                    .context("failed to write a team's policy")
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_: DynamicObject| std::future::ready(Ok(())))
            .await
    }
}

fn spec(name: &str) -> Value {
    let namespaces = ZONES.map(|zone| {
        json!({
            "name": format!("{name}-{zone}"), "zone": zone,
            "quota": {"requests.cpu": "4", "requests.memory": "8Gi", "pods": "50"},
            "limits": {"default": {"cpu": "500m", "memory": "512Mi"}},
        })
    });
    json!({
        "applicationCode": name,
        "contact": format!("team-{name}@example.com"),
        "namespaces": namespaces,
        "access": [{"kind": "Group", "name": format!("team-{name}"), "role": "view"}],
        "network": {"flows": [
            {"name": "frontend-to-backend", "from": {"zone": "frontend"}, "to": {"zone": "backend"},
             "ports": [{"protocol": "TCP", "port": 8080}]},
            {"name": "backend-to-data", "from": {"zone": "backend"}, "to": {"zone": "data"},
             "ports": [{"protocol": "TCP", "port": 5432}]},
        ]},
    })
}
