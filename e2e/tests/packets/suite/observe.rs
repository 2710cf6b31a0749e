//! Stage Observe: nothing is denied, and what would be is recorded. And the way from one stage to
//! another.

use anyhow::{Context, Error, Result, ensure};
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::data_plane::{Call, Calls, End, KernelLog, Protocol};
use e2e::eventually;
use e2e::governed::{CONVERGED, condition};
use e2e::install::apply_objects;
use e2e::scenario::Skipped;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::crossings;
use super::landscape::{Landscape, Wired};
use super::moments::told;
use super::residents::Pod;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::{holds, holds_alone, holds_as_written};
use super::team::create;
use crate::API;

/// Beside a policy of somebody else's for the whole cluster nothing is recorded anywhere: those that observe take turns
/// with those that write one.
pub static OBSERVED: RwLock<()> = RwLock::const_new(());

pub const PODS: [Pod; 10] = [
    ("watched-web", "a", &[]),
    ("watched-api", "a", &[]),
    ("watched-data", "a", &[]),
    ("moving-web", "a", &[]),
    ("moving-api", "a", &[]),
    ("moving-web", "b", &[("app", "b")]),
    ("moving-api", "b", &[("app", "b")]),
    ("guarded-web", "a", &[]),
    ("guarded-api", "a", &[]),
    ("guarded-api", "b", &[("app", "b")]),
];

pub fn landing_zones() -> Vec<(&'static str, Value)> {
    let layers = ["web", "api", "data"];
    vec![
        ("watched", observed("watched", &layers)),
        ("moving", observed("moving", &["web", "api"])),
        ("guarded", observed("guarded", &["web", "api"])),
    ]
}

fn observed(name: &str, zones: &[&str]) -> Value {
    let network = json!({
        "intraZone": "FlowsOnly",
        "flows": [{"name": "web-to-api", "from": {"zone": "web"}, "to": {"zone": "api"},
                   "ports": [{"protocol": "TCP", "port": 8080}, {"protocol": "UDP", "port": 8080}]}],
        "egress": [{"name": "partner", "from": {"zone": "web"}, "to": {"cidrs": ["203.0.113.10/32"]},
                    "ports": [{"protocol": "UDP", "port": 9090}]}],
    });
    let mut spec = crossings::landing_zone(name, zones, &network);
    spec["stage"] = json!("Observe");
    // A quota would refuse pods.
    spec["namespaces"][0]["quota"] = json!({"pods": "0"});
    spec
}

pub async fn nothing_is_denied_in_stage_observe(landscape: &Landscape) -> Result<()> {
    let rows = [
        ("watched-web", Both(8080), "watched-api", Allowed),
        // Past the flows, against them, and across the boundary.
        ("watched-web", Both(9090), "watched-api", Allowed),
        (
            "watched-api",
            Both(8080),
            "watched-web watched-data",
            Allowed,
        ),
        (
            "watched-web",
            Both(8080),
            "outside metadata endpoint node",
            Allowed,
        ),
        ("watched-web", Both(8080), "stranger kube-system", Allowed),
        ("watched-web", Both(53), "kube-system/coredns", Allowed),
        (
            "outside stranger kube-system node",
            Both(8080),
            "watched-data",
            Allowed,
        ),
        // Others are behind their own boundaries all the same.
        ("watched-web", Both(8080), "loner-web", Denied),
    ];
    holds(landscape.wired()?, &rows).await
}

/// Both want the kernel to tell the packets of all network namespaces.
pub async fn one_reader_that_ends_does_not_end_the_log_of_another(_: &Landscape) -> Result<()> {
    let first = kernel_log()?;
    let mut second = kernel_log()?;
    drop(first);
    second.read().map(drop)
}

fn kernel_log() -> Result<KernelLog> {
    KernelLog::open()?.map_err(|why| Error::new(Skipped::because(why)))
}

pub async fn what_would_be_denied_is_in_the_kernel_log(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.read().await;
    let mut log = kernel_log()?;
    let rows = [
        ("watched-web", Tcp(8080), "watched-api", Allowed),
        ("watched-web", Udp(9090), "outside", Allowed),
        ("watched-web", Both(53), "kube-system/coredns", Allowed),
        ("watched-api", Tcp(5432), "watched-data", Allowed),
        ("stranger", Udp(8080), "watched-data", Allowed),
        ("watched-web", Tcp(8080), "endpoint", Allowed),
    ];
    holds_alone(wired, &rows).await?;
    let lines = log.read()?;
    let address = |name: &str| wired.address(name).map(|address| address.to_string());
    let tells = |from: &str, to: &str, protocol: &str, port: u16| {
        let parts = [
            format!("SRC={from} "),
            format!("DST={to} "),
            format!("PROTO={protocol} "),
            format!("DPT={port} "),
        ];
        lines
            .iter()
            .any(|line| line.contains("calico-packet") && parts.iter().all(|it| line.contains(it)))
    };
    let (web, api, data) = (
        address("watched-web")?,
        address("watched-api")?,
        address("watched-data")?,
    );
    let stranger = address("stranger")?;
    let all = lines.join("\n");
    ensure!(tells(&api, &data, "TCP", 5432), "{all}");
    ensure!(tells(&stranger, &data, "UDP", 8080), "{all}");
    ensure!(tells(&web, "10.244.255.10", "TCP", 8080), "{all}");
    // What is declared is not.
    ensure!(!tells(&web, &api, "TCP", 8080), "{all}");
    ensure!(!tells(&web, "203.0.113.10", "UDP", 9090), "{all}");
    ensure!(!all.contains("DPT=53 "), "{all}");
    Ok(())
}

/// In one tier an Allow of ours would open what a team's policy closes.
pub async fn what_a_team_closes_stays_closed_in_stage_observe(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.read().await;
    let open = [("stranger guarded-web", Both(8080), "guarded-api", Allowed)];
    holds(wired, &open).await?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "only-from-web", "namespace": "guarded-api"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "b"}}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"zone": "web"}}}]}],
        },
    });
    let resource =
        kube::api::ApiResource::erase::<k8s_openapi::api::networking::v1::NetworkPolicy>(&());
    let policies =
        Api::<DynamicObject>::namespaced_with(wired.governed.client(), "guarded-api", &resource);
    policies
        .create(&PostParams::default(), &serde_json::from_value(policy)?)
        .await?;
    let guarded = [
        (
            "guarded-web",
            Both(8080),
            "guarded-api/b guarded-api",
            Allowed,
        ),
        ("stranger", Both(8080), "guarded-api/b", Denied),
        // What the policy does not select is as before, and so is the other direction.
        ("stranger", Both(8080), "guarded-api guarded-web", Allowed),
        ("guarded-api/b", Both(8080), "stranger outside", Allowed),
    ];
    holds(wired, &guarded).await?;
    let seen = "guarded-api, pods with app == 'b', what comes in: NetworkPolicy only-from-web decides there";
    let what = "to say what it does not observe";
    wired
        .governed
        .zone_when("guarded", what, |_, status| {
            let told = condition(status, "NetworkEnforced");
            status.unobserved == [seen]
                && told.is_some_and(|it| it.1 == "Observed" && it.2.contains(seen))
        })
        .await?;
    policies
        .delete("only-from-web", &DeleteParams::default())
        .await?;
    holds(wired, &open).await?;
    let what = "to observe all again";
    wired
        .governed
        .zone_when("guarded", what, |_, status| status.unobserved.is_empty())
        .await
        .map(drop)
}

async fn move_to(wired: &Wired, stage: &str) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"stage": stage}}));
    let zones = wired.governed.zones();
    zones
        .patch("moving", &PatchParams::default(), &patch)
        .await?;
    wired.governed.ready("moving").await?;
    // Policies take effect a little after they are written.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    Ok(())
}

/// Each step from one stage to another. Plan leaves in force what was; what that is, is told beside it.
const STEPS: [(&str, &str); 10] = [
    ("Enforce", "Enforce"),
    ("Plan", "Enforce"),
    ("Enforce", "Enforce"),
    ("Observe", "Observe"),
    ("Plan", "Observe"),
    ("Observe", "Observe"),
    ("Plan", "Observe"),
    ("Enforce", "Enforce"),
    ("Plan", "Enforce"),
    ("Observe", "Observe"),
];

/// From stage to stage nothing is cut that is declared, whichever way; and what was closed stays so
/// until it is opened.
pub async fn nothing_declared_is_cut_between_stages(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.read().await;
    holds(wired, &[("moving-web", Both(8080), "moving-api", Allowed)]).await?;
    let mut was_open = true;
    for (stage, in_force) in STEPS {
        let is_open = in_force == "Observe";
        nothing_is_cut_on_the_way_to(stage, wired, (was_open, is_open), &[]).await?;
        was_open = is_open;
    }
    eventually(CONVERGED, "the quota to be gone again", async || {
        let quotas: Api<k8s_openapi::api::core::v1::ResourceQuota> =
            Api::namespaced(wired.governed.client(), "moving-web");
        let quotas = quotas.list(&kube::api::ListParams::default()).await?;
        Ok(quotas.items.is_empty().then_some(()))
    })
    .await
    .context("in stage Observe")?;

    // Beside policies of the team that select some pods of a namespace it is the same for the others.
    let policies = [
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "only-from-web", "namespace": "moving-api"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "b"}}, "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"zone": "web"}}}]}],
            },
        }),
        json!({
            "apiVersion": API, "kind": "NetworkPolicy",
            "metadata": {"name": "nowhere", "namespace": "moving-web"},
            "spec": {
                "order": 500, "selector": "app in {'b', 'c'}", "types": ["Egress"],
                "egress": [{"action": "Deny"}],
            },
        }),
    ];
    for policy in policies {
        create(wired, policy).await?;
    }
    let closed = [
        ("stranger", Both(8080), "moving-api/b", Denied),
        ("moving-web/b", Both(8080), "moving-api outside", Denied),
    ];
    holds(wired, &closed).await?;
    // The operator steps back where somebody else decides: known when it says so.
    let what = "to say what it does not observe";
    wired
        .governed
        .zone_when("moving", what, |_, status| status.unobserved.len() == 2)
        .await?;
    let theirs = [
        ("stranger", "moving-api/b"),
        ("moving-web/b", "moving-api"),
        ("moving-web/b", "outside"),
    ];
    for (stage, way) in [("Enforce", (true, false)), ("Observe", (false, true))] {
        nothing_is_cut_on_the_way_to(stage, wired, way, &theirs).await?;
        holds(wired, &closed).await?;
    }
    Ok(())
}

/// Calls of both protocols from one end to another, by their names.
fn kinds<'a>(wired: &'a Wired, ends: &[(&str, &str)], port: u16) -> Result<Vec<Call<'a>>> {
    let mut kinds = Vec::new();
    for (from, to) in ends {
        let (from, to) = (wired.end(from)?, wired.end(to)?.address());
        kinds.extend(Protocol::ALL.map(|protocol| (from, protocol, to, port)));
    }
    Ok(kinds)
}

/// While the landing zone changes its stage, what is declared is called, what is not, and what its team closes.
async fn nothing_is_cut_on_the_way_to(
    stage: &str,
    wired: &Wired,
    (was_open, is_open): (bool, bool),
    closed_by_the_team: &[(&str, &str)],
) -> Result<()> {
    let declared = [
        kinds(wired, &[("moving-web", "moving-api")], 8080)?,
        kinds(wired, &[("moving-web", "kube-system/coredns")], 53)?,
    ]
    .concat();
    let undeclared = [
        kinds(wired, &[("moving-web", "moving-api")], 9090)?,
        kinds(
            wired,
            &[("stranger", "moving-web"), ("moving-api", "outside")],
            8080,
        )?,
    ]
    .concat();
    let closed = kinds(wired, closed_by_the_team, 8080)?;
    let all = [declared.clone(), undeclared.clone(), closed.clone()].concat();
    let ((), calls) = Box::pin(wired.node.meanwhile(&all, move_to(wired, stage))).await?;
    let what = format!("to stage {stage} were answered: {}", told(&all, &calls));
    println!("{what}");
    let (first, others) = calls.split_at(declared.len());
    let (second, third) = others.split_at(undeclared.len());
    ensure!(first.iter().all(Calls::all_allowed), "{what}");
    // Open or closed, and between the two it changes once and for all.
    let held = match (was_open, is_open) {
        (false, false) => second.iter().all(Calls::all_denied),
        _ => second.iter().all(|it| it.changed_once(was_open, is_open)),
    };
    ensure!(held, "{what}");
    ensure!(third.iter().all(Calls::all_denied), "{what}");
    let undeclared = if is_open { Allowed } else { Denied };
    let rows = [
        ("moving-web", Both(9090), "moving-api", undeclared),
        ("stranger", Both(8080), "moving-web", undeclared),
        ("moving-api", Both(8080), "outside", undeclared),
    ];
    match stage {
        // What was in force stays so, and is not what would be rendered.
        "Plan" => holds_as_written(wired, &rows).await,
        _ => holds(wired, &rows).await,
    }
}

/// Layers of an application that ran before it had a landing zone, each in a namespace of its own.
const ARRIVING: [&str; 4] = ["web", "api", "queue", "data"];

/// What is declared is not cut while a running application gets its boundary all at once.
pub async fn a_running_application_gets_its_boundary_unharmed(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.read().await;
    let (governed, node) = (&wired.governed, &wired.node);
    let named = |layer: &str| format!("arriving-{layer}");
    let namespaces = ARRIVING.map(|layer| {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": named(layer)},
        }))
    });
    let namespaces = namespaces.into_iter().collect::<Result<_, _>>()?;
    apply_objects(&governed.client(), namespaces).await?;
    let mut pods = Vec::new();
    for layer in ARRIVING {
        pods.push(node.wire(&named(layer), "a", &[]).await?);
    }
    let [web, api, queue, data] = pods.as_slice() else {
        anyhow::bail!("not four");
    };
    let (web, api, queue, data) = (
        End::Pod(web),
        End::Pod(api),
        End::Pod(queue),
        End::Pod(data),
    );
    let mut spec = crossings::landing_zone(
        "arriving",
        &ARRIVING,
        &json!({"intraZone": "FlowsOnly", "flows": [
            {"name": "web-to-data", "from": {"zone": "web"}, "to": {"zone": "data"},
             "ports": [{"protocol": "UDP", "port": 8080}]},
            {"name": "data-to-api", "from": {"zone": "data"}, "to": {"zone": "api"},
             "ports": [{"protocol": "UDP", "port": 8080}]},
            {"name": "api-to-queue", "from": {"zone": "api"}, "to": {"zone": "queue"},
             "ports": [{"protocol": "UDP", "port": 8080}]},
        ]}),
    );
    spec["adoptionPolicy"] = json!("Always");
    eventually(
        CONVERGED,
        "packets to pass without a landing zone",
        async || {
            let verdict = node.can(web, data, Protocol::Udp, 9090).await?;
            Ok((verdict == Allowed).then_some(()))
        },
    )
    .await?;

    let arrived = async {
        governed.converge("arriving", spec).await?;
        // The boundary stands once nothing passes that is not declared.
        eventually(CONVERGED, "the boundary to stand", async || {
            let verdict = node.can(web, data, Protocol::Udp, 9090).await?;
            Ok((verdict == Denied).then_some(()))
        })
        .await
    };
    let flows = [(web, data), (data, api), (api, queue)];
    let flows = flows.map(|(from, to)| (from, Protocol::Udp, to.address(), 8080));
    let ((), calls) = Box::pin(node.meanwhile(&flows, arrived)).await?;
    let what = format!(
        "while a running application got its boundary were answered: {}",
        told(&flows, &calls)
    );
    println!("{what}");
    ensure!(calls.iter().all(Calls::all_allowed), "{what}");
    for pod in pods {
        node.unwire(pod).await?;
    }
    Ok(())
}

/// Brought in to be observed: nothing at all is cut, declared or not, from before its namespaces are adopted on.
pub async fn a_running_application_is_observed_unharmed(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    let _turn = OBSERVED.read().await;
    let (governed, node) = (&wired.governed, &wired.node);
    let mut pods = Vec::new();
    for layer in ["web", "api"] {
        let name = format!("coming-{layer}");
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        create_namespace(wired, namespace).await?;
        pods.push(node.wire(&name, "a", &[]).await?);
    }
    let [web, api] = pods.as_slice() else {
        anyhow::bail!("not two");
    };
    let (web, api) = (End::Pod(web), End::Pod(api));
    let (stranger, outside) = (wired.end("stranger")?, wired.end("outside")?);
    let ways = [
        (web, api),
        (api, web),
        (stranger, api),
        (api, outside),
        (outside, web),
    ];
    let all: Vec<Call<'_>> = ways
        .iter()
        .flat_map(|(from, to)| Protocol::ALL.map(|protocol| (*from, protocol, to.address(), 8080)))
        .collect();
    let is_open = async || {
        for (from, to) in ways {
            let verdict = node.can(from, to, Protocol::Udp, 8080).await?;
            ensure!(verdict == Allowed, "{verdict}");
        }
        Ok(Some(()))
    };
    eventually(CONVERGED, "all to be open", is_open).await?;
    let mut spec = observed("coming", &["web", "api"]);
    spec["adoptionPolicy"] = json!("Always");
    let observed = async {
        governed.converge("coming", spec).await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        Ok(())
    };
    let ((), calls) = Box::pin(node.meanwhile(&all, observed)).await?;
    let what = format!(
        "while a running application came to be observed were answered: {}",
        told(&all, &calls)
    );
    println!("{what}");
    ensure!(calls.iter().all(Calls::all_allowed), "{what}");
    for pod in pods {
        node.unwire(pod).await?;
    }
    Ok(())
}

async fn create_namespace(wired: &Wired, namespace: Value) -> Result<()> {
    let namespace = serde_json::from_value(namespace)?;
    apply_objects(&wired.governed.client(), vec![namespace]).await
}
