//! What our evaluator makes of Kubernetes' network policies, against what cyclonus expects of whoever implements them:
//! an independent generator of cases, with an evaluator of its own.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use e2e::binaries;
use e2e::process::command_that_dies_with_us;
use e2e::progress::Progress;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use landing_zone_operator::policy::{
    Endpoint, LabelMap, Packet, Place, Policy, TransportProtocol, World, labels,
};
use serde::Deserialize;

/// A machine that is no pod.
const OUTSIDE: &str = "203.0.113.9";
/// So many differences are told.
const TOLD: usize = 5;
/// Every release has more cases.
const LEAST_CASES: usize = 200;

/// What is there after one step of a case, and what is expected then.
#[derive(Deserialize)]
struct Step {
    case: String,
    namespaces: BTreeMap<String, LabelMap>,
    pods: Vec<Pod>,
    policies: Option<Vec<NetworkPolicy>>,
    expected: Vec<Expectation>,
}

#[derive(Deserialize)]
struct Pod {
    namespace: String,
    name: String,
    ip: String,
    labels: Option<LabelMap>,
}

/// Ends are positions in the list of pods; -1 is the machine outside.
#[derive(Deserialize, Debug)]
struct Expectation {
    from: isize,
    to: isize,
    protocol: String,
    port: u16,
    ingress: bool,
    egress: bool,
}

impl Step {
    fn world(&self) -> Result<World> {
        let policies = self.policies.iter().flatten();
        let policies = policies.map(Policy::of_kubernetes);
        let policies = policies.collect::<Result<_, _>>();
        let mut world = World::new(&[], policies.with_context(|| self.case.clone())?);
        for pod in &self.pods {
            let of_namespace = self.namespaces.get(&pod.namespace);
            let of_namespace = of_namespace.context("a pod in no namespace")?;
            let own = pod.labels.clone().unwrap_or_default();
            let ports = [80, 81].into_iter().flat_map(|port| {
                [
                    ("tcp", TransportProtocol::TCP),
                    ("udp", TransportProtocol::UDP),
                    ("sctp", TransportProtocol::SCTP),
                ]
                .map(|(name, protocol)| (format!("serve-{port}-{name}"), protocol, port))
            });
            world.endpoints.push(Endpoint {
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                labels: labels(&own, (&pod.namespace, of_namespace), None),
                addresses: vec![pod.ip.parse()?],
                ports: ports.collect(),
            });
        }
        Ok(world)
    }
}

fn place(world: &World, index: isize) -> Result<Place<'_>> {
    match usize::try_from(index) {
        Ok(index) => {
            let pod = world.endpoints.get(index).context("no such pod")?;
            Ok(Place::Pod(pod))
        }
        Err(_) => Ok(Place::Address(OUTSIDE.parse()?)),
    }
}

#[test]
fn every_case_of_cyclonus_comes_out_as_it_expects() -> Result<()> {
    let program = binaries::cyclonus_cases(&Progress::new())?;
    let output = command_that_dies_with_us(&program).output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (mut cases, mut asked, mut allowed) = (0, 0, 0);
    let mut differences = Vec::new();
    for step in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Step>() {
        let step = step.context("the cases have another form")?;
        let world = step.world()?;
        cases += 1;
        for expected in &step.expected {
            let packet = Packet {
                protocol: TransportProtocol::read(&expected.protocol).context("no protocol")?,
                source_port: 40_000,
                port: expected.port,
            };
            let (from, to) = (place(&world, expected.from)?, place(&world, expected.to)?);
            let ours = world.verdict(from, to, packet).context("no addresses")?;
            asked += 1;
            allowed += usize::from(ours.is_allowed());
            if (ours.ingress.allowed, ours.egress.allowed) != (expected.ingress, expected.egress) {
                differences.push(format!("{}: {expected:?}\n  we: {ours:?}", step.case));
            }
        }
    }
    println!("{cases} steps of cases: {asked} connections, {allowed} of them allowed");
    if !differences.is_empty() {
        let told: Vec<_> = differences.iter().take(TOLD).cloned().collect();
        bail!("{} differences:\n{}", differences.len(), told.join("\n"));
    }
    ensure!(cases > LEAST_CASES, "{cases} steps only");
    ensure!(
        allowed > asked / 5 && allowed < asked * 19 / 20,
        "{allowed} of {asked}"
    );
    Ok(())
}
