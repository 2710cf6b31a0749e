//! The guard's certificate by cert-manager, as the chart has it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::kustomize::Overlay;
use e2e::workspace;
use serde_json::{Value, json};

use super::{Built, NAMESPACE, are_the_same, by_name};

const NAME: &str = "landing-zone-operator-guard";
/// Another issuer than one for this webhook alone.
pub const BY_OTHERS: [&str; 2] = [
    "guard.certManager.issuerRef.name=platform",
    "guard.certManager.issuerRef.kind=ClusterIssuer",
];

pub async fn cert_manager_is_a_value_here_and_a_component_there(built: &Built) -> Result<()> {
    let without = by_name(built.rendered(&[])?)?;
    let enabled = ["--set", "guard.certManager.enabled=true"];
    let chart = by_name(built.rendered(&enabled)?)?;
    let overlay = Overlay {
        resources: &super::RESOURCES,
        components: &["config/cert-manager"],
        ..Overlay::default()
    };
    let folder = workspace::state().join("kustomize").join("cert-manager");
    are_the_same(&chart, overlay.build(&built.kubectl, &folder)?)?;
    ensure!(
        of_cert_manager(&chart, "Certificate").len() == 2,
        "{chart:#?}"
    );
    ensure!(of_cert_manager(&chart, "Issuer").len() == 2, "{chart:#?}");

    // Nobody but cert-manager writes the Secret: that is all that is taken away.
    let role = format!("Role {NAMESPACE}/{NAME}");
    ensure!(verbs_on_secrets(&without[&role]).contains(&"create".to_owned()));
    ensure!(
        verbs_on_secrets(&chart[&role]) == ["list", "watch"],
        "{:#}",
        chart[&role]
    );
    let deployment = format!("Deployment {NAMESPACE}/landing-zone-operator");
    for (name, object) in &without {
        let differs = chart.get(name) != Some(object);
        ensure!(
            differs == (*name == role || *name == deployment),
            "{name}: {object:#}"
        );
    }

    let mut arguments = enabled.to_vec();
    arguments.extend(BY_OTHERS.iter().flat_map(|value| ["--set", value]));
    let by_others = by_name(built.rendered(&arguments)?)?;
    let certificates = of_cert_manager(&by_others, "Certificate");
    ensure!(
        certificates.len() == 1 && of_cert_manager(&by_others, "Issuer").is_empty(),
        "{certificates:#?}"
    );
    let mut expected = chart[&format!("Certificate {NAMESPACE}/{NAME}")].clone();
    expected["spec"]["issuerRef"] = json!({"kind": "ClusterIssuer", "name": "platform"});
    ensure!(
        *certificates[0] == expected,
        "{:#}\n{expected:#}",
        certificates[0]
    );
    ensure!(by_others[&role] == chart[&role], "{:#}", by_others[&role]);

    // In another namespace it is good for the name there.
    let mut elsewhere = vec!["template", super::RELEASE, super::CHART, "-n", "platform"];
    elsewhere.extend(enabled);
    let elsewhere = by_name(e2e::install::parse_manifests(
        &built.said(None, &elsewhere)?,
    )?)?;
    let certificate = &elsewhere[&format!("Certificate platform/{NAME}")];
    ensure!(
        certificate["spec"]["dnsNames"] == json!([format!("{NAME}.platform.svc")]),
        "{certificate:#}"
    );

    // Without the webhook there is nothing to certify.
    let mut arguments = enabled.to_vec();
    arguments.extend(["--set", "guard.install=false"]);
    let nothing = by_name(built.rendered(&arguments)?)?;
    ensure!(of_cert_manager(&nothing, "Certificate").is_empty());
    let container = &nothing[&deployment]["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().context("no arguments")?;
    ensure!(
        !arguments.contains(&json!("--webhook-certificate=secret")),
        "{container:#}"
    );

    for (bad, words) in [
        ("issuerRef.kind=ClusterIssuer", "name"),
        ("issuerRef.names=platform", "names"),
        ("issuer.name=platform", "issuer"),
    ] {
        let value = format!("guard.certManager.{bad}");
        let said = built.refusal(&["--set", "guard.certManager.enabled=true", "--set", &value])?;
        ensure!(
            said.contains("certManager") && said.contains(words),
            "{bad}: {said}"
        );
    }
    Ok(())
}

fn of_cert_manager<'a>(objects: &'a BTreeMap<String, Value>, kind: &str) -> Vec<&'a Value> {
    objects
        .values()
        .filter(|it| it["apiVersion"] == "cert-manager.io/v1" && it["kind"] == kind)
        .collect()
}

/// What a role allows to do with Secrets.
fn verbs_on_secrets(role: &Value) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(|it| Some(it.as_str()?.to_owned())).collect()
    };
    let rules = role["rules"].as_array().into_iter().flatten();
    rules
        .filter(|rule| texts(&rule["resources"]).contains(&"secrets".to_owned()))
        .flat_map(|rule| texts(&rule["verbs"]))
        .collect()
}
