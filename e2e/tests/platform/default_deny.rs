//! The default deny of the whole cluster: when it is in force, when it is refused, and what it writes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::audit::Mark;
use e2e::shop::{MALLORY, Object, PATIENCE, Shop};
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use landing_zone_operator::api::names::{OWNER, PLATFORM};
use landing_zone_operator::api::{DefaultDenyStage, LandingZonePlatformStatus};
use landing_zone_operator::controller::{Kind, ObjectKey};
use serde_json::{Value, json};

use super::{declare, edit, platforms, restart_writes_nothing};

const DNS: &str = "default.landing-zones-dns";
const DENY: &str = "default.landing-zones-default-deny";
const INGRESS: &str = "default.landing-zones-observe-ingress";
const EGRESS: &str = "default.landing-zones-observe-egress";

fn enforce() -> Value {
    json!({"defaultDeny": {"stage": "Enforce"}})
}

fn policy(governed: &Governed, name: &str) -> Object {
    let key = ObjectKey {
        kind: Kind::GlobalNetworkPolicy,
        namespace: None,
        name: name.into(),
    };
    Object::new(governed.client(), key)
}

/// Names of all policies that bear the platform's label.
async fn labelled(governed: &Governed, group: &str, version: &str) -> Result<BTreeSet<String>> {
    let kind = GroupVersionKind::gvk(group, version, "GlobalNetworkPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "globalnetworkpolicies");
    let api = Api::<DynamicObject>::all_with(governed.client(), &resource);
    let ours = ListParams::default().labels(&format!("{PLATFORM}=cluster"));
    let found = api.list(&ours).await?;
    let names = found.items.into_iter().filter_map(|it| it.metadata.name);
    Ok(names.collect())
}

async fn are(governed: &Governed, expected: &[&str]) -> Result<()> {
    let what = format!("the platform's policies to be {expected:?}");
    eventually(PATIENCE, &what, async || {
        let found = labelled(governed, "crd.projectcalico.org", "v1").await?;
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        ensure!(found == expected, "{found:?}");
        Ok(Some(()))
    })
    .await
}

/// Waits until the condition of the default deny is in a state for a reason, and says all of that about
/// the present generation.
async fn says(
    governed: &Governed,
    state: &str,
    reason: &str,
    texts: &[&str],
) -> Result<LandingZonePlatformStatus> {
    let what = format!("DefaultDenyReady={state} ({reason}), saying {texts:?}");
    eventually(PATIENCE, &what, async || {
        let platform = platforms(governed).get("cluster").await?;
        let status = platform.status.context("no status")?;
        ensure!(status.observed_generation == platform.metadata.generation);
        let is_it = |condition: &&Condition| condition.type_ == "DefaultDenyReady";
        let found = status
            .conditions
            .iter()
            .find(is_it)
            .context("no condition")?;
        ensure!(found.status == state && found.reason == reason, "{found:?}");
        for text in texts {
            ensure!(found.message.contains(text), "{found:?}");
        }
        // The whole stands as its part does.
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
        let ready = ready.context("no condition Ready")?;
        ensure!(ready.status == state, "{ready:?}");
        Ok(Some(status))
    })
    .await
}

/// What events of a reason say of the platform.
async fn events(governed: &Governed, reason: &str) -> Result<Vec<String>> {
    let events: Api<Event> = Api::namespaced(governed.client(), "default");
    let of_reason = ListParams::default().fields(&format!("reason={reason}"));
    let all = events.list(&of_reason).await?.items.into_iter();
    let about_it = |event: &Event| {
        let about = event.regarding.as_ref();
        about.is_some_and(|about| about.kind.as_deref() == Some("LandingZonePlatform"))
    };
    Ok(all
        .filter(about_it)
        .filter_map(|event| event.note)
        .collect())
}

async fn told(governed: &Governed, reason: &str, text: &str) -> Result<()> {
    let what = format!("an event {reason} that says {text:?}");
    eventually(PATIENCE, &what, async || {
        let notes = events(governed, reason).await?;
        ensure!(notes.iter().any(|note| note.contains(text)), "{notes:?}");
        Ok(Some(()))
    })
    .await
}

/// What the operator wrote since then, but for status and events.
fn written(governed: &Governed, mark: Mark) -> Result<Vec<(String, String)>> {
    let log = governed.cluster.audit_log();
    let writes = log.writes_by(governed.operator_user(), mark)?;
    Ok(writes
        .into_iter()
        .filter(|write| write.subresource != "status" && write.resource != "events")
        .map(|write| (write.verb, write.name))
        .collect())
}

pub async fn the_default_deny_comes_and_goes((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let shop = Shop::open(&governed, "one").await?;
    let mark = governed.cluster.audit_log().mark()?;
    let exempt = json!({"namespaces": ["mine"], "selector": {"matchLabels": {"tier": "platform"}}});
    declare(
        &governed,
        "cluster",
        json!({"defaultDeny": {"stage": "Off"}, "exempt": exempt}),
    )
    .await?;
    let status = says(&governed, "True", "Off", &["nothing is denied"]).await?;
    ensure!(status.inventory.is_empty(), "{:?}", status.inventory);
    are(&governed, &[]).await?;

    edit(&governed, enforce()).await?;
    let status = says(&governed, "True", "Enforcing", &["DNS is allowed"]).await?;
    are(&governed, &[DENY, DNS]).await?;
    let values = status.effective.context("no values")?;
    ensure!(values.default_deny == Some(DefaultDenyStage::Enforce));
    for name in ["mine", "kube-system"] {
        ensure!(values.exempt_namespaces.iter().any(|it| it == name));
    }
    ensure!(values.exempt_labels["tier"] == "platform");
    ensure!(values.exempt_markers == ["control-plane", "kubernetes.azure.com/managedby"]);
    let inventory = [DENY, DNS].map(|name| format!("GlobalNetworkPolicy/{name}"));
    ensure!(status.inventory == inventory, "{:?}", status.inventory);
    let selector = policy(&governed, DENY)
        .at("/spec/namespaceSelector")
        .await?;
    let selector = selector.as_str().context("no selector")?;
    for part in [
        "'mine'",
        "tier != 'platform'",
        "!has(landingzones.dev/landing-zone)",
    ] {
        ensure!(selector.contains(part), "{selector}");
    }
    told(&governed, "DefaultDenyEnforced", "DNS is allowed").await?;
    // DNS before anything is denied, each once.
    let expected = [DNS, DENY].map(|name| ("create".to_owned(), name.to_owned()));
    let writes = written(&governed, mark)?;
    ensure!(writes == expected, "{writes:?}");

    drop(shop);
    restart_writes_nothing(&mut governed).await?;
    drift_is_put_back(&governed).await?;

    let mark = governed.cluster.audit_log().mark()?;
    edit(&governed, json!({"defaultDeny": {"stage": "Off"}})).await?;
    let status = says(&governed, "True", "Off", &[]).await?;
    ensure!(status.inventory.is_empty(), "{:?}", status.inventory);
    are(&governed, &[]).await?;
    // What denies goes first, and nothing else does.
    let expected = [DENY, DNS].map(|name| ("delete".to_owned(), name.to_owned()));
    let writes = written(&governed, mark)?;
    ensure!(writes == expected, "{writes:?}");
    told(&governed, "DefaultDenyOff", "nothing is denied").await?;
    governed.stop().await
}

async fn drift_is_put_back(governed: &Governed) -> Result<()> {
    let deny = policy(governed, DENY);
    let before = deny.content().await?;
    let is_back = async |what: &str| {
        eventually(PATIENCE, what, async || {
            let found = deny.content().await?;
            ensure!(found == before, "{found}");
            Ok(Some(()))
        })
        .await
    };
    policy(governed, DNS).delete().await?;
    policy(governed, DNS).appears().await?;
    deny.delete().await?;
    is_back("the deny to be put back").await?;
    deny.merge(json!({"spec": {"order": 10_000, "selector": "app == 'none'"}}))
        .await?;
    is_back("its spec to be put back").await?;
    told(
        governed,
        "DriftRepaired",
        &format!("changed by {MALLORY}, put back"),
    )
    .await?;
    deny.strip_label(PLATFORM).await?;
    is_back("its label to be put back").await?;
    // It is nobody else's, whatever a label says.
    deny.label(OWNER, "one").await?;
    is_back("the label of a landing zone to be taken off").await?;
    deny.strip_all_labels().await?;
    is_back("all labels to be put back").await?;
    says(governed, "True", "Enforcing", &[]).await?;
    Ok(())
}

pub async fn with_its_platform_the_default_deny_goes((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let shop = Shop::open(&governed, "one").await?;
    let others: Vec<Object> = shop.policies().await?;
    let names: Vec<Object> = others.clone();
    drop(shop);
    let platforms = platforms(&governed);

    declare(&governed, "cluster", enforce()).await?;
    are(&governed, &[DENY, DNS]).await?;
    platforms
        .delete("cluster", &DeleteParams::default())
        .await?;
    are(&governed, &[]).await?;

    // Nobody looks while it is deleted.
    declare(&governed, "cluster", enforce()).await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    // Somebody else's, under the label alone.
    let foreign = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "default.theirs", "labels": {PLATFORM: "cluster"}},
        "spec": {"order": 5, "namespaceSelector": "has(nobody)", "types": ["Egress"]},
    });
    Object::create(governed.client(), foreign).await?;
    governed.operator.terminate().await?;
    platforms
        .delete("cluster", &DeleteParams::default())
        .await?;
    governed.operator =
        OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    are(&governed, &["default.theirs"]).await?;
    for policy in names {
        policy.read().await?;
    }
    governed.stop().await
}

/// A cluster in which four things are called by the API server, each in a namespace of its own.
async fn calls_into(governed: &Governed, namespaces: [&str; 4]) -> Result<Vec<Object>> {
    let client = governed.client();
    for name in namespaces {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        Object::create(client.clone(), namespace).await?;
    }
    let [validating, mutating, converting, aggregated] = namespaces;
    let webhooks = |kind: &str, namespace: &str| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": namespace},
            "webhooks": [{
                "name": "nothing.example.com", "failurePolicy": "Ignore",
                "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"name": "hook", "namespace": namespace}},
                "rules": [{
                    "apiGroups": ["nothing.example.com"], "apiVersions": ["v1"],
                    "operations": ["CREATE"], "resources": ["nothings"],
                }],
            }],
        })
    };
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "nothings.converted.example.com"},
        "spec": {
            "group": "converted.example.com", "scope": "Cluster",
            "names": {"kind": "Nothing", "plural": "nothings"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
            "conversion": {"strategy": "Webhook", "webhook": {
                "conversionReviewVersions": ["v1"],
                "clientConfig": {"service": {"name": "hook", "namespace": converting}},
            }},
        },
    });
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.aggregated.example.com"},
        "spec": {
            "group": "aggregated.example.com", "version": "v1", "insecureSkipTLSVerify": true,
            "groupPriorityMinimum": 10, "versionPriority": 10,
            "service": {"name": "hook", "namespace": aggregated},
        },
    });
    let mut objects = Vec::new();
    for manifest in [
        webhooks("ValidatingWebhookConfiguration", validating),
        webhooks("MutatingWebhookConfiguration", mutating),
        definition,
        service,
    ] {
        objects.push(Object::create(client.clone(), manifest).await?);
    }
    Ok(objects)
}

pub async fn what_the_api_server_calls_is_not_cut_off((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let hosts = ["validates", "mutates", "converts", "aggregates"];
    let callers = calls_into(&governed, hosts).await?;
    declare(&governed, "cluster", enforce()).await?;
    let list = [
        "validates (ValidatingWebhookConfiguration validates)",
        "mutates (MutatingWebhookConfiguration mutates)",
        "converts (CustomResourceDefinition nothings.converted.example.com)",
        "aggregates (APIService v1.aggregated.example.com)",
        "spec.exempt",
    ];
    let status = says(&governed, "False", "WouldCutOff", &list).await?;
    let values = status.effective.context("no values")?;
    ensure!(values.default_deny == Some(DefaultDenyStage::Off));
    are(&governed, &[]).await?;
    told(&governed, "DefaultDenyNotReady", list[0]).await?;
    restart_writes_nothing(&mut governed).await?;

    // One after the other ceases to be cut off, and nobody has to ask again.
    let [validating, mutating, converting, aggregated] = callers.as_slice() else {
        anyhow::bail!("not four");
    };
    validating.delete().await?;
    mutating.delete().await?;
    let exempt = json!({"exempt": {"selector": {"matchLabels": {"tier": "platform"}}}});
    edit(&governed, exempt).await?;
    let namespace = |name: &str| Object::new(governed.client(), ObjectKey::namespace(name));
    namespace("converts").label("tier", "platform").await?;
    says(
        &governed,
        "False",
        "WouldCutOff",
        &["on: aggregates (APIService"],
    )
    .await?;
    namespace("aggregates")
        .label("control-plane", "true")
        .await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    are(&governed, &[DENY, DNS]).await?;
    let notes = events(&governed, "DefaultDenyNotReady").await?;
    ensure!(notes.len() == 1, "{notes:?}");

    // The same the other way round.
    namespace("converts").strip_label("tier").await?;
    says(&governed, "False", "WouldCutOff", &["on: converts ("]).await?;
    are(&governed, &[]).await?;
    converting.delete().await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    are(&governed, &[DENY, DNS]).await?;
    aggregated.delete().await?;
    namespace("aggregates").strip_label("control-plane").await?;
    eventually(PATIENCE, "both events to be published", async || {
        let notes = events(&governed, "DefaultDenyEnforced").await?;
        Ok((notes.len() == 2).then_some(()))
    })
    .await?;
    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    holds_for(
        Duration::from_secs(5),
        "the operator is silent",
        async || {
            let mut requests = log.requests_by(governed.operator_user(), mark)?;
            requests.retain(|event| event.verb != "watch");
            ensure!(requests.is_empty(), "{requests:?}");
            Ok(())
        },
    )
    .await?;
    are(&governed, &[DENY, DNS]).await?;
    governed.stop().await
}

/// It could not even take back what cuts it off.
pub async fn the_operator_does_not_cut_itself_off((): &()) -> Result<()> {
    let options = OperatorOptions {
        environment: vec![("LANDING_ZONE_OPERATOR_NAMESPACE".into(), "operators".into())],
        ..OperatorOptions::default()
    };
    // Installed there, its rights to the Lease are there as well.
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "landing-zone-operator-lease", "namespace": "operators"},
        "rules": [{
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "verbs": ["get", "list", "watch", "update", "create"],
        }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "landing-zone-operator-lease", "namespace": "operators"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "landing-zone-operator-lease",
        },
        "subjects": [{
            "kind": "ServiceAccount", "name": "landing-zone-operator", "namespace": "landing-zone-system",
        }],
    });
    let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "operators"}});
    let older = [own, role, binding].map(serde_json::from_value);
    let older = older.into_iter().collect::<Result<_, _>>()?;
    let governed = Governed::start_among(Calico::Storage, options, older).await?;
    let own = Object::new(governed.client(), ObjectKey::namespace("operators"));
    declare(&governed, "cluster", enforce()).await?;
    let words = ["operators (landing-zone-operator itself)"];
    says(&governed, "False", "WouldCutOff", &words).await?;
    are(&governed, &[]).await?;
    own.label("control-plane", "true").await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    governed.stop().await
}

pub async fn exemptions_that_find_no_room_are_told((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let many: Vec<String> = (0..40)
        .map(|number| format!("a-namespace-{number:02}"))
        .collect();
    let mut spec = enforce();
    spec["exempt"] = json!({"namespaces": many});
    declare(&governed, "cluster", spec).await?;
    let words = ["characters too many", "by one label"];
    says(&governed, "False", "ExemptionsTooLong", &words).await?;
    are(&governed, &[]).await?;
    edit(&governed, json!({"exempt": {"namespaces": ["mine"]}})).await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    are(&governed, &[DENY, DNS]).await?;

    // What was in force goes on, and is kept in order.
    edit(&governed, json!({"exempt": {"namespaces": many}})).await?;
    let status = says(&governed, "False", "ExemptionsTooLong", &words).await?;
    let values = status.effective.context("no values")?;
    ensure!(values.default_deny == Some(DefaultDenyStage::Enforce));
    policy(&governed, DENY).delete().await?;
    let selector = policy(&governed, DENY).appears().await?;
    ensure!(selector.to_string().contains("'mine'"), "{selector}");
    restart_writes_nothing(&mut governed).await?;
    are(&governed, &[DENY, DNS]).await?;
    edit(&governed, json!({"exempt": null})).await?;
    says(&governed, "True", "Enforcing", &[]).await?;

    for (wrong, words) in [
        (json!({"defaultDeny": {"stage": "On"}}), "Unsupported value"),
        (
            json!({"exempt": {"namespaces": ["a.b"]}}),
            "a.b must be lower-case",
        ),
        (
            json!({"exempt": {"selector": {"matchLabels": {}}}}),
            "leave selector out",
        ),
    ] {
        let Err(error) = edit(&governed, wrong.clone()).await else {
            anyhow::bail!("accepted: {wrong}");
        };
        let said = format!("{error:#}");
        ensure!(said.contains(words), "{words:?} is missing in: {said}");
    }
    governed.stop().await
}

/// The names are ours, but an object of that name may not be.
pub async fn a_policy_of_somebody_else_is_left_alone((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let foreign = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": DNS},
        "spec": {"order": 5, "namespaceSelector": "has(nobody)", "types": ["Egress"]},
    });
    let foreign = Object::create(governed.client(), foreign).await?;
    let before = foreign.content().await?;
    declare(&governed, "cluster", enforce()).await?;
    let words = [
        "GlobalNetworkPolicy/default.landing-zones-dns",
        "delete or rename it",
    ];
    says(&governed, "False", "NotAdopted", &words).await?;
    ensure!(foreign.content().await? == before);
    // Nothing is denied without DNS.
    are(&governed, &[]).await?;
    foreign.delete().await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    are(&governed, &[DENY, DNS]).await?;
    governed.stop().await
}

pub async fn with_tiers_long_lists_pass_before_the_deny((): &()) -> Result<()> {
    let mut governed =
        Governed::start(Calico::StorageWithTiers, OperatorOptions::default()).await?;
    let many: Vec<String> = (0..90)
        .map(|number| format!("a-namespace-{number:02}"))
        .collect();
    let mut spec = enforce();
    spec["exempt"] = json!({"namespaces": many, "selector": {"matchLabels": {"tier": "platform"}}});
    let mark = governed.cluster.audit_log().mark()?;
    declare(&governed, "cluster", spec).await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    let found = labelled(&governed, "crd.projectcalico.org", "v1").await?;
    let deny = "landingzones-baseline.landing-zones-default-deny";
    let dns = "landingzones-platform.landing-zones-dns";
    let passes: Vec<&String> = found
        .iter()
        .filter(|name| name.contains("exempt"))
        .collect();
    ensure!(passes.len() >= 3, "{found:?}");
    ensure!(found.contains(deny) && found.contains(dns), "{found:?}");
    ensure!(found.len() == passes.len() + 2, "{found:?}");
    // No landing zone is there to make the tiers; what passes is there before what denies.
    let writes = written(&governed, mark)?;
    let position = |name: &str| writes.iter().position(|(_, it)| it == name);
    ensure!(
        position("landingzones-baseline") < position(dns),
        "{writes:?}"
    );
    for pass in &passes {
        ensure!(position(pass) < position(deny), "{writes:?}");
    }
    restart_writes_nothing(&mut governed).await?;

    let mark = governed.cluster.audit_log().mark()?;
    edit(&governed, json!({"exempt": {"namespaces": ["mine"]}})).await?;
    let left = [deny.to_owned(), dns.to_owned()].into();
    let only_these = async || {
        let found = labelled(&governed, "crd.projectcalico.org", "v1").await?;
        ensure!(found == left, "{found:?}");
        Ok(Some(()))
    };
    eventually(PATIENCE, "no policy to pass any more", only_these).await?;
    // The deny leaves them alone itself before they no longer pass.
    let writes = written(&governed, mark)?;
    ensure!(
        writes
            .iter()
            .any(|(verb, name)| verb == "patch" && name == deny),
        "{writes:?}"
    );
    let patched = writes.iter().position(|(_, name)| name == deny);
    let pruned = writes.iter().position(|(verb, _)| verb == "delete");
    ensure!(patched < pruned, "{writes:?}");

    edit(&governed, json!({"exempt": {"namespaces": many}})).await?;
    eventually(PATIENCE, "long lists to pass again", async || {
        let found = labelled(&governed, "crd.projectcalico.org", "v1").await?;
        ensure!(
            found.iter().any(|name| name.contains("exempt")),
            "{found:?}"
        );
        Ok(Some(()))
    })
    .await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    let mark = governed.cluster.audit_log().mark()?;
    edit(&governed, json!({"defaultDeny": {"stage": "Off"}})).await?;
    eventually(PATIENCE, "all of it to be gone", async || {
        let found = labelled(&governed, "crd.projectcalico.org", "v1").await?;
        Ok(found.is_empty().then_some(()))
    })
    .await?;
    let writes = written(&governed, mark)?;
    ensure!(
        writes[0] == ("delete".to_owned(), deny.to_owned()),
        "{writes:?}"
    );
    governed.stop().await
}

pub async fn without_calico_it_is_refused((): &()) -> Result<()> {
    let governed = Governed::start(Calico::Absent, OperatorOptions::default()).await?;
    declare(&governed, "cluster", enforce()).await?;
    let status = says(
        &governed,
        "False",
        "NoCalico",
        &["needs Calico's own kinds"],
    )
    .await?;
    ensure!(status.inventory.is_empty(), "{:?}", status.inventory);
    // Once Calico is there, it comes into force by itself.
    e2e::governed::install_calico(&governed.client(), Calico::Storage).await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    are(&governed, &[DENY, DNS]).await?;
    governed.stop().await
}

/// A policy of a team that selects everything in a namespace, in one direction.
async fn team_closes(governed: &Governed, namespace: &str, direction: &str) -> Result<Object> {
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "ours", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": [direction]},
    });
    Object::create(governed.client(), policy).await
}

/// Waits until a policy selects these namespaces among `of`, and no others.
async fn selects(governed: &Governed, name: &str, of: &[&str], expected: &[&str]) -> Result<()> {
    let what = format!("{name} to select {expected:?}");
    eventually(PATIENCE, &what, async || {
        let selector = policy(governed, name).at("/spec/namespaceSelector").await?;
        let selector = selector.as_str().context("no selector")?;
        let is_selected = |name: &&&str| selector.contains(&format!("'{name}'"));
        let found: Vec<&str> = of.iter().filter(is_selected).copied().collect();
        ensure!(found == expected, "{selector}");
        Ok(Some(()))
    })
    .await
}

pub async fn observe_records_only_where_nobody_decides((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    Shop::open(&governed, "one").await?;
    let all = ["plain", "policed", "mine", "one-web"];
    for name in ["plain", "policed", "mine"] {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        Object::create(governed.client(), namespace).await?;
    }
    team_closes(&governed, "policed", "Ingress").await?;
    let log = governed.cluster.audit_log();
    let mark = log.mark()?;
    let spec = json!({"defaultDeny": {"stage": "Observe"}, "exempt": {"namespaces": ["mine"]}});
    declare(&governed, "cluster", spec).await?;
    let words = [
        "nothing is denied",
        "calico-packet",
        "namespaces: 1 (policed (what comes in))",
    ];
    let status = says(&governed, "True", "Observed", &words).await?;
    let values = status.effective.context("no values")?;
    ensure!(values.default_deny == Some(DefaultDenyStage::Observe));
    are(&governed, &[EGRESS, INGRESS]).await?;
    selects(&governed, INGRESS, &all, &["plain"]).await?;
    selects(&governed, EGRESS, &all, &["plain", "policed"]).await?;
    let writes = written(&governed, mark)?;
    ensure!(writes.len() == 2, "{writes:?}");
    told(&governed, "DefaultDenyObserved", "nothing is denied").await?;
    policy(&governed, INGRESS).delete().await?;
    policy(&governed, INGRESS).appears().await?;
    told(&governed, "DriftRepaired", INGRESS).await?;
    restart_writes_nothing(&mut governed).await?;

    // Others decide, and cease to.
    let closes = team_closes(&governed, "plain", "Egress").await?;
    selects(&governed, EGRESS, &all, &["policed"]).await?;
    says(&governed, "True", "Observed", &["plain (what goes out)"]).await?;
    closes.delete().await?;
    selects(&governed, EGRESS, &all, &["plain", "policed"]).await?;
    let everywhere = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "default.theirs"},
        "spec": {"order": 5, "namespaceSelector": "has(nobody)", "types": ["Egress"]},
    });
    let everywhere = Object::create(governed.client(), everywhere).await?;
    are(&governed, &[INGRESS]).await?;
    let words = ["global policies: 1 (default.theirs (what goes out))"];
    says(&governed, "True", "Observed", &words).await?;
    everywhere.delete().await?;
    are(&governed, &[EGRESS, INGRESS]).await?;
    let late = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}});
    Object::create(governed.client(), late).await?;
    for name in [INGRESS, EGRESS] {
        selects(&governed, name, &["late", "plain"], &["late", "plain"]).await?;
    }

    stages_follow_each_other(&governed).await?;
    governed.stop().await
}

/// Each stage stands before the one before it goes.
async fn stages_follow_each_other(governed: &Governed) -> Result<()> {
    let log = governed.cluster.audit_log();
    let moves = async |stage: &str, reason: &str, there: &[&str]| {
        let mark = log.mark()?;
        edit(governed, json!({"defaultDeny": {"stage": stage}})).await?;
        says(governed, "True", reason, &[]).await?;
        are(governed, there).await?;
        written(governed, mark)
    };
    let write = |verb: &str, name: &str| (verb.to_owned(), name.to_owned());
    let writes = moves("Enforce", "Enforcing", &[DENY, DNS]).await?;
    let first = [write("create", DNS), write("create", DENY)];
    let then = [write("delete", EGRESS), write("delete", INGRESS)];
    ensure!(writes[..2] == first, "{writes:?}");
    ensure!(is_any_order(&writes[2..], &then), "{writes:?}");

    // What denies goes before the DNS that it leaves open, and both after what observes is there.
    let writes = moves("Observe", "Observed", &[EGRESS, INGRESS]).await?;
    let first = [write("create", EGRESS), write("create", INGRESS)];
    let then = [write("delete", DENY), write("delete", DNS)];
    ensure!(is_any_order(&writes[..2], &first), "{writes:?}");
    ensure!(writes[2..] == then, "{writes:?}");
    moves("Off", "Off", &[]).await?;
    Ok(())
}

fn is_any_order(found: &[(String, String)], expected: &[(String, String)]) -> bool {
    found.iter().collect::<BTreeSet<_>>() == expected.iter().collect::<BTreeSet<_>>()
}

/// Observe cuts nobody off, and says what would keep Enforce from coming into force.
pub async fn observe_says_what_enforce_would_refuse((): &()) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    let hosts = ["validates", "mutates", "converts", "aggregates"];
    let callers = calls_into(&governed, hosts).await?;
    let observe = json!({"defaultDeny": {"stage": "Observe"}});
    declare(&governed, "cluster", observe.clone()).await?;
    let words = [
        "Enforce would be refused",
        "validates (ValidatingWebhookConfiguration validates)",
        "spec.exempt",
    ];
    says(&governed, "True", "Observed", &words).await?;
    are(&governed, &[EGRESS, INGRESS]).await?;
    restart_writes_nothing(&mut governed).await?;
    edit(&governed, enforce()).await?;
    says(&governed, "False", "WouldCutOff", &["validates ("]).await?;
    are(&governed, &[]).await?;
    edit(&governed, observe).await?;
    says(&governed, "True", "Observed", &words).await?;
    for caller in callers {
        caller.delete().await?;
    }
    eventually(PATIENCE, "nothing to refuse Enforce", async || {
        let status = says(&governed, "True", "Observed", &[]).await?;
        let messages: Vec<_> = status.conditions.iter().map(|it| &it.message).collect();
        ensure!(
            !messages.iter().any(|it| it.contains("refused")),
            "{messages:?}"
        );
        Ok(Some(()))
    })
    .await?;
    governed.stop().await
}

/// Names of all staged policies that bear the platform's label.
async fn staged(governed: &Governed) -> Result<BTreeSet<String>> {
    let kind = GroupVersionKind::gvk("crd.projectcalico.org", "v1", "StagedGlobalNetworkPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "stagedglobalnetworkpolicies");
    let api = Api::<DynamicObject>::all_with(governed.client(), &resource);
    let ours = ListParams::default().labels(&format!("{PLATFORM}=cluster"));
    let found = api.list(&ours).await?.items;
    for policy in &found {
        ensure!(policy.data["spec"]["stagedAction"] == "Set", "{policy:?}");
    }
    Ok(found
        .into_iter()
        .filter_map(|it| it.metadata.name)
        .collect())
}

pub async fn observe_is_staged_where_calico_can((): &()) -> Result<()> {
    let mut governed =
        Governed::start(Calico::StorageWithTiers, OperatorOptions::default()).await?;
    let names = [
        "landingzones-baseline.landing-zones-default-deny".to_owned(),
        "landingzones-platform.landing-zones-dns".to_owned(),
    ];
    let is = async |staged_there: bool, enforced_there: bool| {
        let expected = |there: bool| {
            let all: BTreeSet<String> = if there {
                names.clone().into()
            } else {
                BTreeSet::new()
            };
            all
        };
        eventually(PATIENCE, "the policies of the stage", async || {
            let enforced = labelled(&governed, "crd.projectcalico.org", "v1").await?;
            let staged = staged(&governed).await?;
            ensure!(staged == expected(staged_there), "{staged:?}");
            ensure!(enforced == expected(enforced_there), "{enforced:?}");
            Ok(Some(()))
        })
        .await
    };
    declare(
        &governed,
        "cluster",
        json!({"defaultDeny": {"stage": "Observe"}}),
    )
    .await?;
    let status = says(&governed, "True", "Observed", &["flow logs"]).await?;
    let values = status.effective.context("no values")?;
    ensure!(values.default_deny == Some(DefaultDenyStage::Observe));
    ensure!(status.inventory[0].starts_with("StagedGlobalNetworkPolicy/"));
    is(true, false).await?;
    edit(&governed, enforce()).await?;
    says(&governed, "True", "Enforcing", &[]).await?;
    is(false, true).await?;
    edit(&governed, json!({"defaultDeny": {"stage": "Observe"}})).await?;
    says(&governed, "True", "Observed", &[]).await?;
    is(true, false).await?;
    restart_writes_nothing(&mut governed).await?;
    governed.stop().await
}
