//! What crosses boundaries: declared on both sides, by the platform, or only on one side.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::governed::{CONVERGED, condition};
use e2e::scenario::{self, Shared};
use e2e::{Calico, Governed, OperatorOptions, OperatorProcess, eventually, holds_for, scenarios};
use jiff::{Timestamp, ToSpan as _, Zoned, tz::TimeZone};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use landing_zone_operator::api::{
    CrossingState, CrossingStatus, LandingZone, LandingZonePlatform, LandingZoneStatus,
};
use serde_json::{Value, json};

/// Those that restart the operator.
const LONG: Duration = Duration::from_mins(2);

struct Cluster(Governed);

impl Shared for Cluster {
    async fn start() -> Result<Self> {
        let governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
        // Nothing of another test's depends on it: they ask for other names.
        let spec = json!({
            "expiredCrossings": "Close",
            "network": {"podCidrs": ["10.244.0.0/16"], "nodeCidrs": ["10.1.0.0/22"]},
        });
        let platform = LandingZonePlatform::new("cluster", serde_json::from_value(spec)?);
        Api::all(governed.client())
            .create(&PostParams::default(), &platform)
            .await?;
        Ok(Self(governed))
    }

    async fn stop(self) -> Result<()> {
        self.0.stop().await
    }

    fn logs(&self) -> String {
        self.0.operator.logs().unwrap_or_default()
    }
}

fn spec(name: &str, network: &Value) -> Value {
    json!({
        "applicationCode": name,
        "contact": format!("{name}@example.com"),
        "namespaces": [
            {"name": format!("{name}-web"), "zone": "web"},
            {"name": format!("{name}-data"), "zone": "data"},
        ],
        "network": network,
    })
}

fn towards(other: &str) -> Value {
    json!({"egress": [{
        "name": "out", "from": {"zone": "web"}, "to": {"landingZone": other, "zone": "data"},
        "ports": [{"protocol": "TCP", "port": 5000, "endPort": 5999}],
    }]})
}

fn from(other: &str) -> Value {
    json!({"ingress": [{
        "name": "in", "from": {"landingZone": other}, "to": {"zone": "data"},
        "ports": [{"protocol": "TCP", "port": 5432}],
    }]})
}

async fn edit(governed: &Governed, name: &str, patch: Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "spec": patch }));
    let zones = governed.zones();
    zones.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

fn crossing<'a>(status: &'a LandingZoneStatus, name: &str) -> Option<&'a CrossingStatus> {
    status.crossings.iter().find(|it| it.name == name)
}

/// Waits until a crossing is told to stand so, in these words.
async fn stands(
    governed: &Governed,
    zone: &str,
    name: &str,
    state: CrossingState,
    words: &str,
) -> Result<LandingZone> {
    let what = format!("to tell of the crossing {name} that it is {state:?}: {words:?}");
    governed
        .zone_when(zone, &what, |_, status| {
            crossing(status, name).is_some_and(|it| {
                it.state == state && it.message.as_deref().unwrap_or_default().contains(words)
            })
        })
        .await
}

/// The rules of a policy of a landing zone; none where there is none.
async fn rules(governed: &Governed, policy: &str) -> Result<Option<Value>> {
    let resource = kube::api::ApiResource {
        group: "crd.projectcalico.org".into(),
        version: "v1".into(),
        api_version: "crd.projectcalico.org/v1".into(),
        kind: "GlobalNetworkPolicy".into(),
        plural: "globalnetworkpolicies".into(),
    };
    let policies = Api::<kube::api::DynamicObject>::all_with(governed.client(), &resource);
    let found = policies
        .get_opt(&format!("default.landing-zone-{policy}"))
        .await?;
    Ok(found.map(|found| found.data["spec"].clone()))
}

async fn is_open(governed: &Governed, policy: &str, words: &[&str]) -> Result<()> {
    eventually(CONVERGED, &format!("{policy} to be open"), async || {
        let rules = rules(governed, policy).await?.context("no policy")?;
        let text = rules.to_string();
        for word in words {
            ensure!(text.contains(word), "{word} is missing in {text}");
        }
        Ok(Some(()))
    })
    .await
}

async fn is_closed(governed: &Governed, policy: &str) -> Result<()> {
    eventually(CONVERGED, &format!("{policy} to be gone"), async || {
        Ok(rules(governed, policy).await?.is_none().then_some(()))
    })
    .await
}

async fn it_opens_when_both_declare_it(cluster: &Cluster) -> Result<()> {
    use CrossingState::{DeclaredHere, DeclaredThere, NoSuchPeer, Open};
    let governed = &cluster.0;
    governed
        .converge("buyer", spec("buyer", &towards("orders")))
        .await?;
    let waits = "there is no landing zone orders";
    let zone = stands(governed, "buyer", "out", NoSuchPeer, waits).await?;
    let status = zone.status.context("no status")?;
    let told = condition(&status, "CrossingsOpen").context("no condition")?;
    ensure!(told.0 == "False" && told.2.contains(waits), "{told:?}");
    // A crossing that is closed is no reason not to be ready.
    ensure!(condition(&status, "Ready").is_some_and(|it| it.0 == "True"));

    governed
        .converge("orders", spec("orders", &json!({})))
        .await?;
    let entry = "- {name: from-buyer, from: {landingZone: buyer, zone: web}, to: {zone: data}";
    stands(governed, "buyer", "out", DeclaredHere, entry).await?;
    stands(governed, "orders", "out", DeclaredThere, entry).await?;
    is_closed(governed, "buyer-web-crossings").await?;

    edit(governed, "orders", json!({ "network": from("buyer") })).await?;
    stands(governed, "buyer", "out", Open, "").await?;
    stands(governed, "orders", "in", Open, "").await?;
    let outward = ["landingzones.dev/landing-zone == 'orders'", "5432"];
    is_open(governed, "buyer-web-crossings", &outward).await?;
    let inward = ["landingzones.dev/landing-zone == 'buyer'", "zone == 'web'"];
    is_open(governed, "orders-data-crossings", &inward).await?;
    governed
        .condition("buyer", "CrossingsOpen", "True", "AsDeclared")
        .await?;

    // Stage Plan changes nothing, on neither side, and what stays open is told.
    edit(governed, "orders", json!({"stage": "Plan"})).await?;
    governed
        .zone_when("orders", "to tell what stays open", |_, status| {
            let is_planned = condition(status, "Ready").is_some_and(|it| it.1 == "PlanOnly");
            let told = status.crossings.iter().find(|it| it.name == "in");
            is_planned && told.is_some_and(|it| !it.open.is_empty())
        })
        .await?;
    let only_there = json!({"stage": "Plan", "network": Value::Null});
    edit(governed, "orders", only_there).await?;
    stands(governed, "buyer", "out", Open, "is in stage Plan").await?;
    is_open(governed, "buyer-web-crossings", &outward).await?;
    is_open(governed, "orders-data-crossings", &inward).await?;
    let back = json!({"stage": Value::Null, "network": from("buyer")});
    edit(governed, "orders", back).await?;
    stands(governed, "buyer", "out", Open, "").await?;

    governed.withdraw("orders").await?;
    stands(governed, "buyer", "out", NoSuchPeer, waits).await?;
    is_closed(governed, "buyer-web-crossings").await
}

/// To selectors a namespace with the label of the other side is the other side's.
async fn who_passes_for_the_other_side_is_closed(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    governed
        .converge("visitor", spec("visitor", &towards("host")))
        .await?;
    governed
        .converge("host", spec("host", &from("visitor")))
        .await?;
    is_open(governed, "host-data-crossings", &["5432"]).await?;
    is_closed(governed, "host-pretenders").await?;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(governed.client());
    let labels = json!({"landingzones.dev/landing-zone": "visitor", "zone": "web"});
    let passes = json!({"metadata": {"name": "passes-for-visitor", "labels": labels}});
    namespaces
        .create(&PostParams::default(), &serde_json::from_value(passes)?)
        .await?;
    for zone in ["host-pretenders", "visitor-pretenders"] {
        is_open(governed, zone, &["Deny", "passes-for-visitor"]).await?;
    }
    // Once it is declared, it belongs.
    let namespaces = json!([
        {"name": "visitor-web", "zone": "web"}, {"name": "visitor-data", "zone": "data"},
        {"name": "passes-for-visitor", "zone": "web"},
    ]);
    edit(governed, "visitor", json!({ "namespaces": namespaces })).await?;
    is_closed(governed, "visitor-pretenders").await?;
    is_closed(governed, "host-pretenders").await
}

async fn beside_one_that_is_suspended_nothing_changes(cluster: &Cluster) -> Result<()> {
    use CrossingState::{DeclaredHere, Open};
    let governed = &cluster.0;
    governed
        .converge("one", spec("one", &towards("two")))
        .await?;
    governed.converge("two", spec("two", &from("one"))).await?;
    stands(governed, "one", "out", Open, "").await?;

    let suspended = json!({"suspend": true, "network": {"ingress": Value::Null}});
    edit(governed, "two", suspended).await?;
    let said = "what was open stays open";
    stands(governed, "one", "out", Open, said).await?;
    is_open(governed, "one-web-crossings", &["5432"]).await?;
    is_open(governed, "two-data-crossings", &["5432"]).await?;

    // Its own edits count: it may close.
    edit(governed, "one", json!({"network": {"egress": Value::Null}})).await?;
    is_closed(governed, "one-web-crossings").await?;
    // And what was closed does not open.
    edit(governed, "one", json!({ "network": towards("two") })).await?;
    let closed = CrossingState::PeerNotInForce;
    stands(governed, "one", "out", closed, said).await?;

    edit(governed, "two", json!({"suspend": Value::Null})).await?;
    stands(governed, "one", "out", DeclaredHere, "").await?;
    is_closed(governed, "two-data-crossings").await
}

async fn a_declaration_that_is_not_valid_closes_nothing(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    governed
        .converge("left", spec("left", &towards("right")))
        .await?;
    let mut access = spec("right", &from("left"));
    access["access"] = json!([{"kind": "Group", "name": "all", "role": "admin"}]);
    governed.converge("right", access).await?;
    stands(governed, "left", "out", CrossingState::Open, "").await?;
    // Only the operator can know that the platform hands out no such role.
    let robber = json!([{"kind": "Group", "name": "all", "role": "robber"}]);
    edit(governed, "right", json!({ "access": robber })).await?;
    governed
        .condition("right", "Stalled", "True", "Invalid")
        .await?;
    edit(governed, "left", json!({"contact": "left@example.org"})).await?;
    let said = "is not validly declared";
    stands(governed, "left", "out", CrossingState::Open, said).await?;
    is_open(governed, "left-web-crossings", &["5432"]).await?;
    is_open(governed, "right-data-crossings", &["5432"]).await
}

/// Open as it is declared, whoever observes: the boundary of that one is open, too.
async fn beside_one_that_is_observed_it_is_open(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    governed
        .converge("caller", spec("caller", &towards("called")))
        .await?;
    let mut observed = spec("called", &json!({}));
    observed["stage"] = json!("Observe");
    governed.converge("called", observed).await?;
    // What is not declared there is closed here, whatever gets in there.
    let state = CrossingState::DeclaredHere;
    stands(governed, "caller", "out", state, "from-caller").await?;
    is_closed(governed, "caller-web-crossings").await?;
    edit(governed, "called", json!({ "network": from("caller") })).await?;
    stands(governed, "caller", "out", CrossingState::Open, "").await?;
    stands(governed, "called", "in", CrossingState::Open, "").await?;
    is_open(governed, "caller-web-crossings", &["5432"]).await?;
    edit(governed, "called", json!({"stage": "Enforce"})).await?;
    is_open(governed, "called-data-crossings", &["5432"]).await?;
    stands(governed, "caller", "out", CrossingState::Open, "")
        .await
        .map(drop)
}

/// As soon as it is being deleted, however long that takes.
async fn beside_one_that_is_being_deleted_it_is_closed(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    governed
        .converge("staying", spec("staying", &towards("leaving")))
        .await?;
    governed
        .converge("leaving", spec("leaving", &from("staying")))
        .await?;
    stands(governed, "staying", "out", CrossingState::Open, "").await?;
    is_open(governed, "staying-web-crossings", &["5432"]).await?;
    let zones = governed.zones();
    let params = PatchParams::default();
    let held = json!({"metadata": {"finalizers": ["example.com/backup"]}});
    zones.patch("leaving", &params, &Patch::Merge(held)).await?;
    governed.withdraw("leaving").await?;
    let state = CrossingState::PeerNotInForce;
    stands(governed, "staying", "out", state, "is being deleted").await?;
    is_closed(governed, "staying-web-crossings").await?;
    let leaving = zones.get("leaving").await?.metadata;
    ensure!(leaving.deletion_timestamp.is_some());
    let let_go = json!({"metadata": {"finalizers": null}});
    zones
        .patch("leaving", &params, &Patch::Merge(let_go))
        .await?;
    let gone = CrossingState::NoSuchPeer;
    stands(
        governed,
        "staying",
        "out",
        gone,
        "there is no landing zone leaving",
    )
    .await?;
    is_closed(governed, "staying-web-crossings").await
}

/// What it has is behind its boundary and counts; what is withheld from it is not its own.
async fn beside_one_that_is_stalled_by_a_conflict_it_counts(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    governed
        .converge("holder", spec("holder", &json!({})))
        .await?;
    governed
        .converge("partner", spec("partner", &towards("late")))
        .await?;
    let mut late = spec("late", &from("partner"));
    if let Some(namespaces) = late["namespaces"].as_array_mut() {
        namespaces.push(json!({"name": "holder-data", "zone": "data"}));
    }
    governed.declare("late", late).await?;
    // A conflict is a failure after a minute.
    let stalled = async || {
        let status = governed
            .zones()
            .get("late")
            .await?
            .status
            .context("no status")?;
        let found = condition(&status, "Stalled").context("no condition")?;
        ensure!(found.0 == "True" && found.1 == "Conflict", "{found:?}");
        Ok(Some(()))
    };
    eventually(LONG, "the conflict to be told", stalled).await?;
    stands(governed, "partner", "out", CrossingState::Open, "").await?;
    stands(governed, "late", "in", CrossingState::Open, "").await?;
    is_open(governed, "partner-web-crossings", &["5432"]).await?;
    is_open(governed, "late-data-crossings", &["5432", "'late-data'"]).await?;
    let rules = rules(governed, "late-data-crossings")
        .await?
        .context("no policy")?;
    ensure!(!rules.to_string().contains("holder-data"), "{rules}");
    // To selectors it is the holder's: the partner's policies know the late one by its label.
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(governed.client());
    let labels = namespaces.get("holder-data").await?.metadata.labels;
    let owner = labels
        .as_ref()
        .and_then(|all| all.get("landingzones.dev/landing-zone"));
    ensure!(owner.is_some_and(|owner| owner == "holder"), "{labels:?}");
    Ok(())
}

fn in_days(days: i32) -> String {
    let today: Zoned = Timestamp::now().to_zoned(TimeZone::UTC);
    today.date().saturating_add(days.days()).to_string()
}

async fn a_last_day_is_warned_of_and_ends_the_crossing(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    let until = |day: String| json!({"egress": [{"name": "partner", "to": {"cidrs": ["198.51.100.0/24"]}, "validUntil": day}]});
    let far = spec("ending", &until(in_days(300)));
    governed.converge("ending", far).await?;
    stands(governed, "ending", "partner", CrossingState::Open, "").await?;
    is_open(governed, "ending-web-crossings", &["198.51.100.0/24"]).await?;

    edit(governed, "ending", json!({ "network": until(in_days(20)) })).await?;
    let day = in_days(20);
    let said = format!("its last day is {day}, and it is closed afterwards");
    let zone = stands(governed, "ending", "partner", CrossingState::Open, &said).await?;
    let status = zone.status.context("no status")?;
    let told = condition(&status, "CrossingsOpen").context("no condition")?;
    ensure!(told.0 == "True" && told.2.contains(&said), "{told:?}");
    let metrics = governed.operator.metrics().await?;
    let line = "landingzone_crossing_expiry_timestamp_seconds{landing_zone=\"ending\",direction=\"Egress\",crossing=\"partner\"} ";
    ensure!(metrics.contains(line), "{metrics}");
    event(governed, "ending", "CrossingWarning", &said).await?;

    edit(governed, "ending", json!({ "network": until(in_days(-1)) })).await?;
    let over = CrossingState::Expired;
    stands(governed, "ending", "partner", over, "and it is closed").await?;
    is_closed(governed, "ending-web-crossings").await?;
    event(governed, "ending", "CrossingWarning", "and it is closed").await?;
    edit(governed, "ending", json!({"network": Value::Null})).await?;
    eventually(CONVERGED, "the metric to be gone", async || {
        Ok((!governed.operator.metrics().await?.contains(line)).then_some(()))
    })
    .await
}

async fn event(governed: &Governed, zone: &str, reason: &str, words: &str) -> Result<()> {
    let events: Api<Event> = Api::all(governed.client());
    let about = format!("involvedObject.name={zone},reason={reason}");
    eventually(CONVERGED, &format!("an event {reason}"), async || {
        let found = events.list(&ListParams::default().fields(&about)).await?;
        let told = |event: &&Event| event.message.as_ref().is_some_and(|it| it.contains(words));
        let contact = format!("contact: {zone}@example.com");
        let event = found.items.iter().find(told);
        let event = event.and_then(|event| event.message.as_ref());
        ensure!(event.is_none_or(|it| it.contains(&contact)), "{event:?}");
        Ok(event.map(drop))
    })
    .await
}

async fn the_same_addresses_are_told_to_both(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    let open = |name: &str| {
        spec(
            name,
            &json!({"egress": [{"name": "mail", "to": {"cidrs": ["192.0.2.25/32"]}}]}),
        )
    };
    governed.converge("first", open("first")).await?;
    governed.converge("second", open("second")).await?;
    let open = CrossingState::Open;
    stands(governed, "first", "mail", open, "opened by second, too").await?;
    stands(governed, "second", "mail", open, "opened by first, too").await?;
    governed.withdraw("second").await?;
    governed
        .zone_when("first", "to have the addresses alone", |_, status| {
            crossing(status, "mail").is_some_and(|it| it.message.is_none())
        })
        .await
        .map(drop)
}

async fn what_the_platform_names_opens_when_it_does(cluster: &Cluster) -> Result<()> {
    let governed = &cluster.0;
    let network = json!({
        "sharedServices": ["ingress-nginx"],
        "egress": [{"name": "db", "from": {"zone": "data"}, "to": {"destination": "named-db"}}],
    });
    governed
        .converge("asking", spec("asking", &network))
        .await?;
    let missing = CrossingState::NoSuchPeer;
    let unknown = "the platform has no destination named-db";
    stands(governed, "asking", "db", missing, unknown).await?;
    let unknown = "the platform has no shared service ingress-nginx";
    stands(governed, "asking", "ingress-nginx", missing, unknown).await?;

    let platforms: Api<LandingZonePlatform> = Api::all(governed.client());
    let named = json!({"spec": {
        "destinations": [{"name": "named-db", "owner": "team-db", "cidrs": ["10.20.3.4/32"],
                          "ports": [{"protocol": "TCP", "port": 1433}]}],
        "sharedServices": [{"name": "ingress-nginx", "direction": "ToLandingZones",
                            "peers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}},
                                      {"nodes": true}],
                            "ports": [{"protocol": "TCP", "port": 8080}]}],
    }});
    let params = PatchParams::default();
    platforms
        .patch("cluster", &params, &Patch::Merge(&named))
        .await?;
    stands(governed, "asking", "db", CrossingState::Open, "").await?;
    is_open(governed, "asking-data-crossings", &["10.20.3.4/32", "1433"]).await?;
    let service = ["ingress-nginx", "10.1.0.0/22", "8080"];
    is_open(governed, "asking-services", &service).await?;
    let gone = json!({"spec": {"destinations": Value::Null, "sharedServices": Value::Null}});
    platforms
        .patch("cluster", &params, &Patch::Merge(&gone))
        .await?;
    is_closed(governed, "asking-data-crossings").await?;
    is_closed(governed, "asking-services").await
}

/// What is open is known from the declarations, and beside a suspended one from the status.
async fn a_restart_writes_nothing(_: &Cluster) -> Result<()> {
    let mut governed = Governed::start(Calico::Storage, OperatorOptions::default()).await?;
    governed
        .converge("one", spec("one", &towards("two")))
        .await?;
    governed.converge("two", spec("two", &from("one"))).await?;
    stands(&governed, "one", "out", CrossingState::Open, "").await?;
    let suspended = json!({"suspend": true, "network": {"ingress": Value::Null}});
    edit(&governed, "two", suspended).await?;
    let said = "what was open stays open";
    stands(&governed, "one", "out", CrossingState::Open, said).await?;
    governed
        .condition("two", "Ready", "Unknown", "Suspended")
        .await?;

    governed.operator.terminate().await?;
    let mark = governed.cluster.audit_log().mark()?;
    governed.operator =
        OperatorProcess::start(&governed.cluster, OperatorOptions::default()).await?;
    governed.operator.wait_until_ready(CONVERGED).await?;
    let silent = Duration::from_secs(4);
    holds_for(silent, "the restart writes nothing", async || {
        let log = governed.cluster.audit_log();
        let writes = log.writes_by(governed.operator_user(), mark)?;
        ensure!(writes.is_empty(), "{writes:?}");
        Ok(())
    })
    .await?;
    is_open(&governed, "one-web-crossings", &["5432"]).await?;
    governed.stop().await
}

fn main() -> ExitCode {
    scenario::run::<Cluster>(scenarios![
        it_opens_when_both_declare_it,
        who_passes_for_the_other_side_is_closed,
        beside_one_that_is_suspended_nothing_changes,
        a_declaration_that_is_not_valid_closes_nothing,
        beside_one_that_is_observed_it_is_open,
        beside_one_that_is_being_deleted_it_is_closed,
        beside_one_that_is_stalled_by_a_conflict_it_counts within 2 * LONG,
        a_last_day_is_warned_of_and_ends_the_crossing,
        the_same_addresses_are_told_to_both,
        what_the_platform_names_opens_when_it_does,
        a_restart_writes_nothing within LONG,
    ])
}
