use std::fs;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    why: WhyArgs,
}

const ZONES: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  contact: team-shop@example.com
  namespaces:
  - {name: shop-web, zone: frontend}
  - {name: shop-data, zone: data}
  network:
    flows:
    - {name: sql, from: {zone: frontend}, to: {zone: data}, ports: [{protocol: TCP, port: 5432}]}
    egress:
    - {name: orders, from: {zone: frontend}, to: {landingZone: orders, zone: api}, ports: [{protocol: TCP, port: 8443}]}
    - {name: over, from: {zone: data}, to: {landingZone: orders, zone: api}, ports: [{protocol: TCP, port: 9443}], validUntil: 2020-02-29}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces:
  - {name: orders-api, zone: api}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {podCidrs: [10.244.0.0/16], nodeCidrs: [10.1.0.0/24]}
  expiredCrossings: Close
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop-web, labels: {app: web}}
spec: {nodeName: node-1, containers: [{name: web, image: web}]}
status: {podIP: 10.244.1.7}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: orders-api}
spec: {podSelector: {}, policyTypes: [Ingress]}
";

/// Workloads of the shop; the pods of one are on their nodes' network.
const WORKLOADS: &str = "\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop-web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop-data}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: shop-web}
spec:
  schedule: '0 0 * * *'
  jobTemplate: {spec: {template: {metadata: {labels: {app: report}}, spec: {restartPolicy: Never, containers: [{name: r, image: r}]}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: shop-web}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostNetwork: true, containers: [{name: a, image: a}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop-data}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]
";

fn ask(from: &str, to: &str) -> (Outcome, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    fs::write(&path, format!("{ZONES}{WORKLOADS}")).unwrap();
    let command = Command::try_parse_from(["why", from, to, "-f", path.to_str().unwrap()]).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = command.why.why(&mut io::empty(), &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (outcome.unwrap(), text(out), text(err))
}

fn told(from: &str, to: &str) -> String {
    let (outcome, out, err) = ask(from, to);
    assert_eq!(outcome, Outcome::Done, "{err}");
    out
}

#[test]
fn what_is_declared_passes_and_the_rule_is_named() {
    let out = told("shop/frontend", "shop/data:5432");
    assert!(
        out.starts_with("shop/frontend → shop/data, TCP 5432: allowed\n"),
        "{out}"
    );
    assert!(out.contains("egress of shop/frontend\n"), "{out}");
    assert!(
        out.contains("passes on: the end of tier landingzones-platform"),
        "{out}"
    );
    assert!(out.contains("frontend-flows, rule "), "{out}");
    assert!(out.contains("shop: team-shop@example.com"), "{out}");
    assert!(!out.contains("declares"), "{out}");
}

#[test]
fn what_is_not_declared_inside_needs_a_flow() {
    let out = told("shop/data", "shop/frontend:80");
    assert!(out.contains("TCP 80: denied"), "{out}");
    let fragment = "to let it pass, landing zone shop declares
  spec:
    network:
      flows:
      - name: data-to-frontend
        from: {zone: data}
        to: {zone: frontend}
        ports: [{protocol: TCP, port: 80}]
";
    assert!(out.ends_with(fragment), "{out}");
}

/// One side declares it already; the other one has to, and its team closed it as well.
#[test]
fn a_crossing_needs_both_sides_and_the_team() {
    let out = told("shop/frontend", "orders/api:8443");
    assert!(
        out.contains("landing zone shop declares it already: egress orders\n"),
        "{out}"
    );
    assert!(out.contains("landing zone orders declares\n"), "{out}");
    assert!(
        out.contains("from: {landingZone: shop, zone: frontend}"),
        "{out}"
    );
    assert!(out.contains("orders: no contact is declared"), "{out}");
    let other = told("shop/data", "orders/api:8443/UDP");
    assert!(other.contains("landing zone shop declares\n"), "{other}");
    assert!(
        other.contains("ports: [{protocol: UDP, port: 8443}]"),
        "{other}"
    );
    let inside = told("orders/api", "orders/api");
    assert!(
        inside.contains("NetworkPolicy (Kubernetes) orders-api/closed is of a team"),
        "{inside}"
    );
}

#[test]
fn addresses_and_pods_are_ends_too() {
    let out = told("shop-web/web-0", "203.0.113.9:443");
    assert!(
        out.starts_with("shop-web/web-0 → 203.0.113.9, TCP 443: denied"),
        "{out}"
    );
    assert!(out.contains("to: {cidrs: [203.0.113.9/32]}"), "{out}");
    assert!(out.contains("from: {zone: frontend}"), "{out}");
    let same = told("10.244.1.7", "shop/data:5432");
    assert!(
        same.starts_with("10.244.1.7 (shop-web/web-0) → shop/data"),
        "{same}"
    );
    assert!(same.contains("allowed"), "{same}");
    let server = told("shop/frontend", "API server");
    assert!(server.contains("to: {apiServer: true}"), "{server}");
    let v6 = told("shop/frontend", "[2001:db8::1]:443");
    assert!(v6.contains("2001:db8::1, TCP 443: denied"), "{v6}");
    let unknown = told("shop-data/db-0", "DNS:53/UDP");
    assert!(unknown.contains("allowed"), "{unknown}");
    assert!(
        unknown.contains("nothing is known of a pod db-0"),
        "{unknown}"
    );
}

/// The team's policy tells its workloads apart by their templates.
#[test]
fn workloads_are_ends_by_their_templates() {
    let out = told("shop-web/deployment/web", "shop-data/statefulset/db:5432");
    let head = "shop-web/deployment/web → shop-data/statefulset/db, TCP 5432: allowed\n";
    assert!(out.starts_with(head), "{out}");
    let other = told("shop-web/cronjobs/report", "shop-data/sts/db:5432");
    assert!(other.contains("TCP 5432: denied"), "{other}");
    assert!(other.contains("shop-data/db is of a team"), "{other}");
    assert!(other.contains("shop: team-shop@example.com"), "{other}");

    let (outcome, _, err) = ask("shop-web/deployment/wbe", "shop/data");
    assert_eq!(outcome, Outcome::BadInput);
    assert!(
        err.contains("did you mean shop-web/deployment/web?"),
        "{err}"
    );
    let (_, _, err) = ask("shop-web/service/web", "shop/data");
    let kinds = "there are deployment, statefulset, daemonset, replicaset, job, cronjob";
    assert!(
        err.contains("\"service\" is no kind of workloads") && err.contains(kinds),
        "{err}"
    );
    let (_, _, err) = ask("shop/frontend", "shop-web/ds/agent:80");
    assert!(err.contains("on the network of their nodes"), "{err}");
    let (_, _, err) = ask("nowhere", "shop/data");
    assert!(err.contains("namespace/kind/name"), "{err}");
}

#[test]
fn without_a_port_all_that_passes_is_told() {
    let out = told("shop/frontend", "shop/data");
    assert!(
        out.starts_with("shop/frontend → shop/data, TCP 5432: allowed\n"),
        "{out}"
    );
    // All that is not allowed is denied, and by whom; nobody is told to open it.
    let rest = "\n\nshop/frontend → shop/data, every other port: denied\n";
    let (_, rest) = out.split_once(rest).unwrap();
    assert!(
        rest.contains("denies:    GlobalNetworkPolicy") || rest.contains("denies:    the end"),
        "{rest}"
    );
    assert!(!rest.contains("declares"), "{rest}");
    let all = told("orders/api", "orders/api:80");
    assert!(!all.contains("every other port"), "{all}");
    let closed = told("internet", "shop/data");
    assert!(
        closed.starts_with("internet → shop/data, any port: denied\n"),
        "{closed}"
    );
    assert!(closed.contains("ask again with one of them"), "{closed}");
}

#[test]
fn wrong_questions_are_refused_with_a_way_out() {
    let (outcome, _, err) = ask("shop/frontnd", "shop/data");
    assert_eq!(outcome, Outcome::BadInput);
    assert!(err.contains("did you mean shop/frontend?"), "{err}");
    let (_, _, err) = ask("shop/frontend", "shop/data:http");
    assert!(err.contains("\"http\" is not a port"), "{err}");
    let (_, _, err) = ask("shop/frontend", "shop/data:0");
    assert!(err.contains("\"0\" is not a port"), "{err}");
}

#[test]
fn a_crossing_whose_last_day_is_over_is_not_what_opens() {
    let out = told("shop/data", "orders/api:9443");
    let ended = "landing zone shop declares it until 2020-02-29, which is over: egress over; give it a later validUntil";
    assert!(out.contains(ended), "{out}");
}

#[test]
fn what_is_kept_apart_says_what_has_to_be_acknowledged() {
    for (address, acknowledge, why) in [
        (
            "169.254.169.254:80",
            "MetadataService",
            "what gives out identity tokens",
        ),
        ("10.244.77.7:80", "PodRange", "an address of pods"),
        ("10.1.0.4:10250", "NodeRange", "an address of nodes"),
    ] {
        let out = told("shop/frontend", address);
        let (_, fragment) = out.split_once("landing zone shop declares\n").unwrap();
        assert!(
            fragment.contains(&format!("acknowledge: {acknowledge}\n")),
            "{out}"
        );
        assert!(fragment.contains(why), "{out}");
    }
    let outside = told("shop/frontend", "203.0.113.9:443");
    assert!(!outside.contains("acknowledge"), "{outside}");
}
