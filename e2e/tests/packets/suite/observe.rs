//! Stage Observe: nothing is denied, and what would be is recorded. And the way from one stage to
//! another.

use anyhow::{Context, Error, Result, ensure};
use e2e::data_plane::Verdict::{Allowed, Denied};
use e2e::data_plane::{End, KernelLog, Protocol};
use e2e::eventually;
use e2e::governed::{CONVERGED, condition};
use e2e::install::apply_objects;
use e2e::scenario::Skipped;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::crossings;
use super::landscape::{Landscape, Wired};
use super::residents::Pod;
use super::table::Sent::{Both, Tcp, Udp};
use super::table::{holds, holds_without_tiers};
use super::team::create;
use crate::API;

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
    let mut log = kernel_log()?;
    let rows = [
        ("watched-web", Tcp(8080), "watched-api", Allowed),
        ("watched-web", Udp(9090), "outside", Allowed),
        ("watched-web", Both(53), "kube-system/coredns", Allowed),
        ("watched-api", Tcp(5432), "watched-data", Allowed),
        ("stranger", Udp(8080), "watched-data", Allowed),
        ("watched-web", Tcp(8080), "endpoint", Allowed),
    ];
    holds(wired, &rows).await?;
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

/// From stage to stage nothing is cut that is declared, whichever way; and what was closed stays so
/// until it is opened.
pub async fn nothing_declared_is_cut_between_stages(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
    holds(wired, &[("moving-web", Both(8080), "moving-api", Allowed)]).await?;
    for stage in [
        "Enforce", "Observe", "Enforce", "Plan", "Enforce", "Observe",
    ] {
        nothing_is_cut_on_the_way_to(stage, wired).await?;
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
    for stage in ["Enforce", "Observe"] {
        nothing_is_cut_on_the_way_to(stage, wired).await?;
        holds(wired, &closed).await?;
    }
    Ok(())
}

/// What is declared is called while the landing zone changes its stage; and then what is not.
async fn nothing_is_cut_on_the_way_to(stage: &str, wired: &Wired) -> Result<()> {
    let (web, dns) = (wired.end("moving-web")?, wired.end("kube-system/coredns")?);
    let api = wired.address("moving-api")?;
    let End::Pod(dns) = dns else {
        anyhow::bail!("DNS is no pod");
    };
    let moved = async {
        let inside = wired.node.leak(web, dns.address, 53, move_to(wired, stage));
        inside.await
    };
    let (((), names), calls) = Box::pin(wired.node.leak(web, api, 8080, moved)).await?;
    println!(
        "to stage {stage}: {} of {} calls along a flow and {} of {} to DNS were answered",
        calls.answered, calls.sent, names.answered, names.sent
    );
    ensure!(calls.sent > 100 && names.sent > 100);
    ensure!(
        calls.answered == calls.sent && names.answered == names.sent,
        "to {stage}: {calls:?} {names:?}"
    );
    let undeclared = if stage == "Observe" { Allowed } else { Denied };
    let rows = [
        ("moving-web", Both(9090), "moving-api", undeclared),
        ("stranger", Both(8080), "moving-web", undeclared),
        ("moving-api", Both(8080), "outside", undeclared),
    ];
    match stage {
        // What was in force stays so, and is not what would be rendered.
        "Plan" => holds_without_tiers(wired, &rows).await,
        _ => holds(wired, &rows).await,
    }
}

/// Layers of an application that ran before it had a landing zone, each in a namespace of its own.
const ARRIVING: [&str; 4] = ["web", "api", "queue", "data"];

/// What is declared is not cut while a running application gets its boundary all at once.
pub async fn a_running_application_gets_its_boundary_unharmed(landscape: &Landscape) -> Result<()> {
    let wired = landscape.wired()?;
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
    let address = |end: End<'_>| match end {
        End::Pod(pod) => Ok(pod.address),
        _ => anyhow::bail!("no pod"),
    };
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
    let inner = node.leak(api, address(queue)?, 8080, arrived);
    let inner = node.leak(data, address(api)?, 8080, inner);
    let outer = node.leak(web, address(data)?, 8080, inner);
    let ((((), third), second), first) = Box::pin(outer).await?;
    println!(
        "while a running application got its boundary, {} of {}, {} of {} and {} of {} calls along flows \
         were answered",
        first.answered, first.sent, second.answered, second.sent, third.answered, third.sent
    );
    for calls in [&first, &second, &third] {
        ensure!(
            calls.sent > 100 && calls.answered == calls.sent,
            "{calls:?}"
        );
    }
    for pod in pods {
        node.unwire(pod).await?;
    }
    Ok(())
}
