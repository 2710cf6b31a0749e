//! The largest landing zone that can be declared.

use anyhow::{Context, Result, ensure};
use e2e::Calico;
use e2e::owned::owned_by;
use serde_json::{Value, json};

use super::Clusters;

const NAMESPACES: usize = 50;
/// Calico takes no longer ones from 3.33 on.
const LONGEST_SELECTOR: usize = 1_024;
/// Far below what the API server stores (1.5 MiB with declaration and managed fields), and above
/// what is needed: it grows by some 700 bytes with each namespace.
const LARGEST_STATUS: usize = 64 * 1_024;

pub async fn fifty_namespaces_with_the_longest_names_are_governed(
    clusters: &Clusters,
) -> Result<()> {
    clusters
        .with(Calico::Storage, async |governed| {
            let name = "l".repeat(40);
            let zone = governed.converge(&name, spec()).await?;
            let status = zone.status.as_ref().context("no status")?;
            ensure!(status.namespaces_ready.as_deref() == Some("50/50"));
            let size = serde_json::to_vec(status)?.len();
            println!(
                "the status of {NAMESPACES} namespaces has {size} bytes, its inventory {} entries",
                status.inventory.len()
            );
            ensure!(size < LARGEST_STATUS, "the status has {size} bytes");

            let objects = owned_by(&governed.client(), &name).await?;
            ensure!(objects.len() == status.inventory.len(), "{}", objects.len());
            let mut longest = 0;
            for (key, object) in objects {
                each_selector(&object, &mut |selector| {
                    longest = longest.max(selector.len());
                });
                ensure!(longest <= LONGEST_SELECTOR, "{key}: {longest}");
            }
            println!("the longest selector has {longest} characters");
            // They were split because they had to be.
            ensure!(longest > LONGEST_SELECTOR / 2);
            Ok(())
        })
        .await
}

/// 50 namespaces with quota, limits and access, of zones that are linked by flows.
fn spec() -> Value {
    let namespaces: Vec<Value> = (0..NAMESPACES)
        .map(|number| {
            json!({
                "name": format!("n{number:02}-{}", "x".repeat(59)),
                "zone": zone(number / 5),
                "quota": {"requests.cpu": "1", "pods": "10"},
                "limits": {"default": {"cpu": "500m"}},
                "labels": {"team": "one"},
            })
        })
        .collect();
    let flows: Vec<Value> = (0..9)
        .map(|number| {
            json!({
                "name": format!("flow-{number}"),
                "from": {"zone": zone(number)},
                "to": {"zone": zone(number + 1)},
                "ports": [{"protocol": "TCP", "port": 8080}],
            })
        })
        .collect();
    json!({
        "applicationCode": "large",
        "namespaces": namespaces,
        "access": [
            {"kind": "Group", "name": "developers", "role": "edit"},
            {"kind": "Group", "name": "operators", "role": "view"},
        ],
        "network": {"flows": flows},
    })
}

fn zone(number: usize) -> String {
    format!("z{number}-{}", "y".repeat(37))
}

fn each_selector(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match value.as_str() {
                    Some(text) if field.to_lowercase().ends_with("selector") => look(text),
                    _ => each_selector(value, look),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_selector(item, look)),
        _ => {}
    }
}
