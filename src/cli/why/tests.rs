use std::fs;

use clap::Parser;
use serde_json::Value;

use super::*;

mod behind;
mod questions;

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
    ask_of(&format!("{ZONES}{WORKLOADS}"), from, to)
}

fn ask_of(files: &str, from: &str, to: &str) -> (Outcome, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    fs::write(&path, files).unwrap();
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

/// A manifest says what a pod is labelled with, and neither where it runs nor which address it has.
#[test]
fn a_pod_of_a_manifest_is_judged_by_its_labels() {
    let pod = |name: &str, spec: &str, labels: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop-web, labels: {labels}}}\n\
             spec: {{{spec}containers: [{{name: a, image: a}}]}}\n"
        )
    };
    let files = format!(
        "{ZONES}{WORKLOADS}{}{}{}",
        pod("one", "", "{app: web}"),
        pod("other", "", "{app: report}"),
        pod("agent", "hostNetwork: true, ", "{app: web}"),
    );
    for (name, verdict) in [("one", "allowed"), ("other", "denied")] {
        let from = format!("shop-web/{name}");
        let (outcome, out, err) = ask_of(&files, &from, "shop-data/statefulset/db:5432");
        assert_eq!(outcome, Outcome::Done, "{err}");
        let first = out.lines().next().unwrap();
        assert!(first.ends_with(&format!("TCP 5432: {verdict}")), "{out}");
        let note = format!("note: {from} has no address here: it is judged by its labels only");
        assert!(out.contains(&note), "{out}");
        assert!(!out.contains("nothing is known"), "{out}");
    }
    let (outcome, _, err) = ask_of(&files, "shop-web/agent", "shop/data:5432");
    assert_eq!(outcome, Outcome::BadInput);
    assert!(
        err.contains("pod shop-web/agent is on the network of its node"),
        "{err}"
    );
    // One that runs is known by its address.
    let (_, out, _) = ask_of(&files, "shop-web/web-0", "shop/data:5432");
    assert!(!out.contains("no address"), "{out}");
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

/// A landing zone, and a platform with a shared service and destinations.
const OUTSIDE: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: shop}
spec:
  applicationCode: shop
  namespaces: [{name: shop-web, zone: frontend}, {name: shop-data, zone: data}]
  network: {sharedServices: [gateway]}
---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {podCidrs: [10.244.0.0/16], nodeCidrs: [10.1.0.0/24], serviceCidrs: [10.0.0.0/16]}
  dns: {extraAddresses: [10.0.0.10]}
  sharedServices:
  - {name: gateway, peers: [{cidrs: [10.9.0.0/24]}], direction: ToLandingZones, ports: [{protocol: TCP, port: 8080}]}
  - {name: probes, peers: [{cidrs: [10.8.0.0/24]}], direction: Both, ports: [{protocol: TCP, port: 8080}]}
  destinations:
  - {name: pe, owner: team-orders, cidrs: [10.20.3.4/32], ports: [{protocol: TCP, port: 1433}]}
  - {name: pair, owner: team-orders, cidrs: [10.20.5.4/32, 10.20.5.5/32]}
  - {name: subnet, owner: team-orders, cidrs: [10.30.0.0/16]}
";

fn told_of(files: &str, from: &str, to: &str) -> String {
    let (outcome, out, err) = ask_of(files, from, to);
    assert_eq!(outcome, Outcome::Done, "{err}");
    out
}

/// The files with all that an answer proposes, pasted into whom it names: lists get more entries.
fn applied(files: &str, answer: &str) -> String {
    let documents = files.split("---\n");
    let mut documents: Vec<Value> = documents
        .map(|it| serde_saphyr::from_str(it).unwrap())
        .collect();
    let mut lines = answer.lines().peekable();
    let mut proposals = 0;
    while let Some(line) = lines.next() {
        let Some(who) = line.strip_suffix(" declares") else {
            continue;
        };
        let (kind, name) = match who.rsplit_once("landing zone ") {
            Some((_, name)) => ("LandingZone", name),
            None => ("LandingZonePlatform", "cluster"),
        };
        let mut fragment = String::new();
        while let Some(line) = lines.next_if(|it| it.starts_with("  ") && !it.starts_with("  (")) {
            fragment += line;
            fragment.push('\n');
        }
        let is_meant = |it: &&mut Value| it["kind"] == kind && it["metadata"]["name"] == name;
        let document = documents.iter_mut().find(is_meant).unwrap();
        merge(document, serde_saphyr::from_str(&fragment).unwrap());
        proposals += 1;
    }
    assert_ne!(proposals, 0, "{answer}");
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    texts.join("\n---\n")
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(more)) => into.extend(more),
        (into, more) => *into = more,
    }
}

/// What is proposed is taken, and opens what was asked for.
fn opens(files: &str, from: &str, to: &str) -> String {
    let before = told_of(files, from, to);
    assert!(
        before.lines().next().unwrap().ends_with(": denied"),
        "{before}"
    );
    let after = told_of(&applied(files, &before), from, to);
    assert!(
        after.lines().next().unwrap().ends_with(": allowed"),
        "{before}\n{after}"
    );
    before
}

#[test]
fn addresses_are_let_in_by_a_shared_service_of_the_platform() {
    let out = opens(OUTSIDE, "8.8.8.8", "shop/data:8080");
    let proposed = "to let it pass, the LandingZonePlatform declares
  spec:
    sharedServices:
    - name: from-8-8-8-8
      peers:
      - cidrs:
        - 8.8.8.8/32
      direction: ToLandingZones
      ports: [{protocol: TCP, port: 8080}]
      landingZones: Declared
and landing zone shop declares
  spec:
    network:
      sharedServices: [from-8-8-8-8]
";
    assert!(out.contains(proposed), "{out}");
    assert!(!out.contains("ingress:"), "{out}");
    // Nodes come and go, and so do their addresses.
    let node = opens(OUTSIDE, "10.1.0.4", "shop/data:9100");
    assert!(node.contains("      - nodes: true\n"), "{node}");
    assert!(!node.contains("10.1.0.4/32"), "{node}");
    opens(OUTSIDE, "2001:db8::1", "shop/data:53/UDP");
    // All ports.
    let all = opens(OUTSIDE, "8.8.4.4", "shop/data");
    assert!(!all.contains("ports:"), "{all}");
}

#[test]
fn shared_services_that_there_are_let_addresses_in() {
    let out = opens(OUTSIDE, "10.8.0.7", "shop/data:8080");
    assert!(out.contains("sharedServices: [probes]"), "{out}");
    assert!(!out.contains("LandingZonePlatform declares"), "{out}");
    // It has another port.
    let other = opens(OUTSIDE, "10.8.0.7", "shop/data:9000");
    assert!(other.contains("- name: from-10-8-0-7\n"), "{other}");
    let pod = told_of(OUTSIDE, "10.244.77.7", "shop/data:8080");
    assert!(
        pod.contains("ask again with its landing zone and zone, or its namespace"),
        "{pod}"
    );
    assert!(!pod.contains("declares\n"), "{pod}");
}

#[test]
fn addresses_of_services_are_no_ends() {
    for (from, to) in [
        ("shop/frontend", "10.0.0.1:443"),
        ("10.0.0.1", "shop/data:80"),
    ] {
        let (outcome, out, err) = ask_of(OUTSIDE, from, to);
        assert_eq!(outcome, Outcome::BadInput, "{out}");
        assert!(out.is_empty(), "{out}");
        assert!(err.contains("10.0.0.1 is an address of a Service"), "{err}");
        assert!(err.contains("a crossing to it opens nothing"), "{err}");
        assert!(
            err.contains("\"API server\" for the Service default/kubernetes"),
            "{err}"
        );
    }
    // The way out leads on.
    opens(OUTSIDE, "shop/frontend", "API server:443");
    // A cache of DNS on the node has the address of its Service, and answers there itself.
    let dns = told_of(OUTSIDE, "shop/frontend", "10.0.0.10:53/UDP");
    assert!(
        dns.starts_with("shop/frontend → 10.0.0.10, UDP 53: allowed"),
        "{dns}"
    );
}

#[test]
fn a_destination_of_the_platform_is_used_rather_than_its_address() {
    let out = opens(OUTSIDE, "shop/frontend", "10.20.3.4:1433");
    assert!(out.contains("to: {destination: pe}\n"), "{out}");
    assert!(!out.contains("cidrs:"), "{out}");
    let other = opens(OUTSIDE, "shop/frontend", "10.20.3.4:443");
    assert!(other.contains("to: {cidrs: [10.20.3.4/32]}"), "{other}");
    assert!(!other.contains("destination"), "{other}");
    // It has other addresses besides, which whoever opens it has to know.
    let pair = opens(OUTSIDE, "shop/frontend", "10.20.5.4:443");
    assert!(pair.contains("to: {destination: pair}\n"), "{pair}");
    assert!(pair.contains("  (and with it 10.20.5.5/32)\n"), "{pair}");
    // What is much wider is not opened for one address.
    let wide = opens(OUTSIDE, "shop/frontend", "10.30.1.1:443");
    assert!(wide.contains("to: {cidrs: [10.30.1.1/32]}"), "{wide}");
    assert!(
        wide.contains("  (or `to: {destination: subnet}`, which is all of 10.30.0.0/16)\n"),
        "{wide}"
    );
}

/// The files with a rule that an answer says put first into the policy that it names.
fn allowed(files: &str, answer: &str) -> String {
    let (before, rest) = answer.split_once(" is of a team, ").unwrap();
    let id = before.lines().last().unwrap();
    let (namespace, name) = id.rsplit_once(' ').unwrap().1.split_once('/').unwrap();
    let mut lines = rest.lines().skip(1).take_while(|it| it.starts_with("  "));
    let fragment: Vec<&str> = lines.by_ref().collect();
    let said: Value = serde_saphyr::from_str(&fragment.join("\n")).unwrap();
    let (list, rules) = said["spec"].as_object().unwrap().iter().next().unwrap();
    let documents = files.split("---\n").map(|text| {
        let mut document: Value = serde_saphyr::from_str(text).unwrap();
        let metadata = &document["metadata"];
        let is_policy = document["kind"] == "NetworkPolicy";
        if is_policy && metadata["name"] == name && metadata["namespace"] == namespace {
            let known = document["spec"][list].as_array().cloned();
            let mut all = rules.as_array().unwrap().clone();
            all.extend(known.unwrap_or_default());
            document["spec"][list] = Value::Array(all);
        }
        document.to_string()
    });
    documents.collect::<Vec<_>>().join("\n---\n")
}

/// What a team denies inside its boundary, no declaration opens: the rule that would is told, and does.
#[test]
fn a_team_that_denies_it_is_told_the_rule_that_would_let_it_pass() {
    let calico = "\
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: data, namespace: shop-data}
spec:
  selector: all()
  types: [Ingress, Egress]
  ingress:
  - {action: Deny, protocol: TCP, source: {namespaceSelector: zone == 'frontend'}}
";
    let kubernetes = "\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: data, namespace: shop-data}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";
    let open = ZONES.replace(
        "zone: data}\n  network:\n",
        "zone: data}\n  network: {}\nx:\n",
    );
    assert_ne!(open, ZONES);
    let (zones, _) = open.split_once("x:\n").unwrap();
    for (policy, to, says) in [
        (
            calico,
            "shop/data:5432",
            "NetworkPolicy (Calico) shop-data/data is of a team, which decides inside its boundary: rule 1 of its ingress denies it; to let it pass, it says, before that\n",
        ),
        (
            kubernetes,
            "shop/data:5432",
            "no rule of its ingress allows it; to let it pass, it says\n",
        ),
        (
            kubernetes,
            "shop/data",
            "no rule of its ingress allows it; to let it pass, it says\n",
        ),
    ] {
        let files = format!("{zones}{policy}");
        let out = told_of(&files, "shop/frontend", to);
        assert!(out.lines().next().unwrap().ends_with(": denied"), "{out}");
        assert!(out.contains(says), "{out}");
        let after = told_of(&allowed(&files, &out), "shop/frontend", to);
        assert!(
            after.lines().next().unwrap().ends_with(": allowed"),
            "{out}\n{after}"
        );
    }
    for policy in [calico, kubernetes] {
        let files = format!("{zones}{policy}");
        let out = told_of(&files, "shop/data", "shop/frontend:80");
        let after = told_of(&allowed(&files, &out), "shop/data", "shop/frontend:80");
        assert!(
            after.lines().next().unwrap().ends_with(": allowed"),
            "{out}\n{after}"
        );
    }
}

#[test]
fn all_of_the_internet_is_declared_as_that() {
    let out = told_of(OUTSIDE, "shop/data", "internet:443");
    assert!(out.lines().next().unwrap().ends_with(": denied"), "{out}");
    // What is kept apart stays so, and nothing is offered a second time.
    let after = told_of(&applied(OUTSIDE, &out), "shop/data", "internet:443");
    assert!(
        after.lines().next().unwrap().ends_with(": partly"),
        "{after}"
    );
    assert!(
        after.contains("all addresses are declared") && !after.contains(" declares\n"),
        "{after}"
    );
    // The internet has IPv6 as well.
    for to in ["203.0.113.99:443", "[2001:db8::99]:443"] {
        let after = told_of(&applied(OUTSIDE, &out), "shop/data", to);
        assert!(
            after.lines().next().unwrap().ends_with(": allowed"),
            "{after}"
        );
    }
    assert!(out.contains("acknowledge: AllAddresses"), "{out}");
    assert!(
        out.contains("ask again with the one that is meant"),
        "{out}"
    );
}

/// Files hide nothing from anybody's rights: without the landing zone among them, nobody knows its contact.
#[test]
fn without_landing_zones_no_rights_are_blamed() {
    let namespaces = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop-web, labels: {applicationcode: shop, zone: web}}
---
apiVersion: v1
kind: Namespace
metadata: {name: crm-web, labels: {applicationcode: crm, zone: web}}
";
    let out = told_of(namespaces, "shop/web", "crm/web:443");
    assert!(
        out.contains("crm: nothing that was read declares it, so its contact is not known"),
        "{out}"
    );
    assert!(!out.contains("your rights"), "{out}");
}
