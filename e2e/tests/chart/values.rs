//! Each value of the chart changes what it says, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::install::parse_manifests;
use e2e::workspace;
use serde_json::{Value, json};

use super::effects::{Effect, effects};
use super::{Built, CHART, NAMESPACE, RELEASE, by_name, with_plain_numbers};

/// The pod in a Deployment.
const POD: &str = "/spec/template/spec";

pub async fn every_value_changes_what_it_says_and_nothing_else(built: &Built) -> Result<()> {
    let usual = by_name(built.rendered(&[])?)?;
    let effects = effects();
    let tried: BTreeSet<String> = effects.iter().map(|(it, ..)| (*it).to_owned()).collect();
    ensure!(tried == all_values()?, "{tried:?}\n{:?}", all_values()?);
    for (value, to, effect) in effects {
        let set = format!("{value}={to}");
        let now = by_name(built.rendered(&["--set-json", &set])?)?;
        has_the_effect(built, &usual, &now, effect).with_context(|| set)?;
    }
    Ok(())
}

fn has_the_effect(
    built: &Built,
    usual: &BTreeMap<String, Value>,
    now: &BTreeMap<String, Value>,
    effect: Effect,
) -> Result<()> {
    let names = |objects: &BTreeMap<String, Value>, others: &BTreeMap<String, Value>| {
        let missing = objects
            .iter()
            .filter(|(name, _)| !others.contains_key(*name));
        missing
            .map(|(name, object)| (name.clone(), object.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let (came, went) = (names(now, usual), names(usual, now));
    let changed: Vec<&String> = usual
        .iter()
        .filter(|(name, object)| now.get(*name).is_some_and(|it| it != *object))
        .map(|(name, _)| name)
        .collect();
    let of_folder = |folder: &str| by_name(built.kustomized(folder)?);
    match effect {
        Effect::Says(kind, place, value) => {
            ensure!(came.is_empty() && went.is_empty(), "{came:#?}\n{went:#?}");
            ensure!(
                changed.len() == 1 && changed[0].starts_with(&format!("{kind} ")),
                "{changed:?}"
            );
            let mut expected = usual[changed[0]].clone();
            let object = &now[changed[0]];
            let found = object.pointer(place).cloned().unwrap_or_default();
            ensure!(found == value, "{place}: {found:#}");
            put(&mut expected, place, value)?;
            ensure!(*object == expected, "{object:#}\n{expected:#}");
        }
        Effect::Goes(folder) => {
            ensure!(
                came.is_empty() && changed.is_empty(),
                "{came:#?}\n{changed:?}"
            );
            let expected = of_folder(folder)?;
            ensure!(went == expected, "{went:#?}\n{expected:#?}");
        }
        Effect::Comes(folder) => {
            ensure!(
                went.is_empty() && changed.is_empty(),
                "{went:#?}\n{changed:?}"
            );
            let expected = of_folder(folder)?;
            ensure!(
                !came.is_empty() && came == expected,
                "{came:#?}\n{expected:#?}"
            );
        }
        Effect::KindGoes(kind) => {
            ensure!(
                came.is_empty() && changed.is_empty(),
                "{came:#?}\n{changed:?}"
            );
            let kinds: Vec<&str> = went.keys().filter_map(|it| it.split(' ').next()).collect();
            ensure!(kinds == [kind], "{went:#?}");
        }
        Effect::Elsewhere => {}
    }
    Ok(())
}

/// Sets a field, or takes it away where it is null.
fn put(object: &mut Value, place: &str, value: Value) -> Result<()> {
    let (parent, field) = place.rsplit_once('/').context("no place")?;
    let parent = object.pointer_mut(parent).context("no such place")?;
    match (parent, value) {
        (Value::Object(fields), Value::Null) => {
            fields.remove(field);
        }
        (Value::Object(fields), value) => {
            fields.insert(field.to_owned(), value);
        }
        (other, _) => anyhow::bail!("no object at {place}: {other}"),
    }
    Ok(())
}

/// All values, by the schema, as the table in the chart's README has them.
fn all_values() -> Result<BTreeSet<String>> {
    fn collect(schema: &Value, path: &str, all: &mut BTreeSet<String>) {
        let fields = schema["properties"].as_object();
        let Some(fields) = fields.filter(|_| schema["additionalProperties"] == false) else {
            all.insert(path.to_owned());
            return;
        };
        for (name, schema) in fields {
            let below = [path, name].into_iter().filter(|it| !it.is_empty());
            collect(schema, &below.collect::<Vec<_>>().join("."), all);
        }
    }
    let file = workspace::root().join(CHART).join("values.schema.json");
    let mut all = BTreeSet::new();
    collect(
        &serde_json::from_str(&fs::read_to_string(file)?)?,
        "",
        &mut all,
    );
    Ok(all)
}

/// What landing zones may hand out stands in three places, and one value changes all of them.
pub async fn roles_are_handed_out_by_name(built: &Built) -> Result<()> {
    let roles = by_name(built.rendered(&["--set", "allowedRoles={view,deployer}"])?)?;
    let role = &roles[&format!("ClusterRole /{RELEASE}")];
    let bound: Vec<&Value> = role["rules"]
        .as_array()
        .context("no rules")?
        .iter()
        .filter(|rule| rule["verbs"] == json!(["bind"]))
        .collect();
    ensure!(
        bound.len() == 1 && bound[0]["resourceNames"] == json!(["view", "deployer"]),
        "{bound:#?}"
    );
    let deployment = &roles[&format!("Deployment {NAMESPACE}/{RELEASE}")];
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    ensure!(
        container["args"] == json!(["--log-format=json", "--allowed-role=deployer"]),
        "{container:#}"
    );
    let policy = &roles["ValidatingAdmissionPolicy /landing-zone-operator-bindings"];
    let handed_out = policy["spec"]["variables"].to_string();
    ensure!(
        handed_out.contains("'view,deployer'.split(',')") && !handed_out.contains("admin"),
        "{policy:#}"
    );
    Ok(())
}

/// Without the guard it knows of no Secret; with another namespace nothing names the usual one.
pub async fn values_change_what_they_say(built: &Built) -> Result<()> {
    let namespaced = by_name(parse_manifests(&built.said(
        None,
        &["template", RELEASE, CHART, "--namespace", "platform"],
    )?)?)?;
    for (name, object) in &namespaced {
        let is_definition = name.starts_with("CustomResourceDefinition");
        // There it is one of the namespaces that belong to no landing zone.
        ensure!(
            is_definition || !object.to_string().contains(NAMESPACE),
            "{name}: {object:#}"
        );
    }

    let without = by_name(built.rendered(&["--set", "guard.install=false"])?)?;
    let knows_secrets = |object: &Value| object["rules"].to_string().contains("secrets");
    let secrets: Vec<_> = without
        .iter()
        .filter(|(_, object)| knows_secrets(object))
        .collect();
    ensure!(secrets.is_empty(), "{secrets:#?}");

    for (bad, words) in [
        ("replicas=0", "replicas"),
        ("replica=2", "replica"),
        ("placement.install=Sometimes", "placement"),
        ("allowedRoles={view,a b}", "allowedRoles"),
        ("flowControl.shares=0", "shares"),
    ] {
        let said = built.refusal(&["--set", bad])?;
        ensure!(said.contains(words), "{bad}: {said}");
    }
    Ok(())
}

/// What the pod is, as the chart and kustomize have it.
pub async fn the_pod_may_do_nothing_that_it_need_not(built: &Built) -> Result<()> {
    for objects in [built.rendered(&[])?, built.kustomized("config")?] {
        let objects = by_name(objects)?;
        let deployment = &objects[&format!("Deployment {NAMESPACE}/{RELEASE}")];
        let pod = deployment.pointer(POD).context("no pod")?;
        let containers = pod["containers"].as_array().context("no containers")?;
        ensure!(
            containers.len() == 1 && pod["initContainers"].is_null(),
            "{pod:#}"
        );
        let expected = with_plain_numbers(json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        }));
        ensure!(containers[0]["securityContext"] == expected, "{pod:#}");
        let expected = with_plain_numbers(json!({
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }));
        ensure!(pod["securityContext"] == expected, "{pod:#}");
        for absent in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
            ensure!(pod[absent].is_null(), "{absent}: {pod:#}");
        }
        let resources = &containers[0]["resources"];
        for place in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            ensure!(resources.pointer(place).is_some(), "{place}: {resources:#}");
        }
        ensure!(
            pod["priorityClassName"] == "system-cluster-critical",
            "{pod:#}"
        );
        ensure!(
            pod["tolerations"] == json!([{"key": "CriticalAddonsOnly", "operator": "Exists"}]),
            "{pod:#}"
        );
        let preferred = pod["affinity"]["nodeAffinity"].to_string();
        ensure!(preferred.contains("kubernetes.azure.com/mode"), "{pod:#}");
        let spread = pod["topologySpreadConstraints"]
            .as_array()
            .context("no spread")?;
        let keys: Vec<&Value> = spread.iter().map(|it| &it["topologyKey"]).collect();
        ensure!(
            keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
            "{pod:#}"
        );

        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        let selects = |selector: &Value| selector["matchLabels"] == *labels;
        for constraint in spread {
            ensure!(selects(&constraint["labelSelector"]), "{constraint:#}");
        }
        let budget = &objects[&format!("PodDisruptionBudget {NAMESPACE}/{RELEASE}")]["spec"];
        ensure!(
            selects(&budget["selector"]) && budget["maxUnavailable"] == json!(1.0),
            "{budget:#}"
        );
        let policy = &objects[&format!("NetworkPolicy {NAMESPACE}/{RELEASE}")]["spec"];
        ensure!(
            selects(&policy["podSelector"])
                && policy["policyTypes"] == json!(["Ingress", "Egress"]),
            "{policy:#}"
        );
        let ports = |rule: &Value| {
            let ports = rule["ports"].as_array().into_iter().flatten();
            ports.map(|it| it["port"].as_f64()).collect::<Vec<_>>()
        };
        ensure!(
            ports(&policy["ingress"][0]) == [Some(8080.0), Some(9443.0)]
                && ports(&policy["egress"][0]) == [Some(443.0), Some(6443.0)]
                && ports(&policy["egress"][1]) == [Some(53.0), Some(53.0)],
            "{policy:#}"
        );
        ensure!(
            policy["egress"].as_array().is_some_and(|it| it.len() == 2)
                && policy["ingress"].as_array().is_some_and(|it| it.len() == 1),
            "{policy:#}"
        );
    }
    Ok(())
}
