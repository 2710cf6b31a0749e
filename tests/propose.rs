//! `kubectl landingzone propose` as people call it: the real binary, real files, and logs as nodes
//! write them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

const SHOP: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata:
  name: shop
spec:
  applicationCode: shop
  namespaces:
  - {name: shop-web, zone: frontend}
  - {name: shop-api, zone: backend}
  network:
    flows:
    - {name: web-to-api, from: {zone: frontend}, to: {zone: backend}, ports: [{protocol: TCP, port: 8080}]}
";

const ORDERS: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {name: orders}
spec:
  applicationCode: orders
  namespaces: [{name: orders-db, zone: data}]
";

const PLATFORM: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec: {network: {podCidrs: [10.244.0.0/16]}}
";

/// As `kubectl get pods,namespaces,nodes -A -o yaml` prints it, shortened.
const DUMP: &str = "\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: web-6d5f9-abcde, namespace: shop-web, labels: {app: web}}
  spec: {nodeName: aks-1, containers: [{name: web, image: web}]}
  status: {phase: Running, podIP: 10.244.1.5, podIPs: [{ip: 10.244.1.5}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: web-6d5f9-fghij, namespace: shop-web, labels: {app: web}}
  status: {phase: Running, podIP: 10.244.1.6, podIPs: [{ip: 10.244.1.6}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: api-0, namespace: shop-api, labels: {app: api}}
  status: {phase: Running, podIP: 10.244.2.7, podIPs: [{ip: 10.244.2.7}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: db-0, namespace: orders-db}
  status: {phase: Running, podIP: 10.244.2.9, podIPs: [{ip: 10.244.2.9}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: prometheus-0, namespace: monitoring}
  status: {phase: Running, podIP: 10.244.3.3, podIPs: [{ip: 10.244.3.3}]}
- apiVersion: v1
  kind: Namespace
  metadata: {name: monitoring}
- apiVersion: v1
  kind: Node
  metadata: {name: aks-1}
  status: {addresses: [{address: 10.224.0.4, type: InternalIP}, {address: aks-1, type: Hostname}]}
kind: List
metadata: {resourceVersion: \"\"}
";

/// What journalctl prints of a node's kernel.
const LOG: &str = "\
Nov 21 16:00:00 aks-1 kernel: eth0: renamed from veth12345
Nov 21 16:00:01 aks-1 kernel: calico-packet: IN=cali0ef24b1 OUT=cali1234567 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.1.5 DST=10.244.2.7 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=52866 DF PROTO=TCP SPT=41000 DPT=9090 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:01 aks-1 kernel: calico-packet: IN=cali0ef24b1 OUT=cali1234567 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.1.5 DST=10.244.2.7 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=52866 DF PROTO=TCP SPT=41000 DPT=9090 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:02 aks-1 kernel: calico-packet: IN=cali0ef24b2 OUT=cali1234567 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.1.6 DST=10.244.2.7 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=8122 DF PROTO=TCP SPT=52544 DPT=9090 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:02 aks-1 kernel: calico-packet: IN=cali1234567 OUT=cali0ef24b2 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.2.7 DST=10.244.1.6 LEN=52 TOS=0x00 PREC=0x00 TTL=63 ID=8123 DF PROTO=TCP SPT=9090 DPT=52544 WINDOW=501 RES=0x00 ACK URGP=0 
Nov 21 16:00:03 aks-1 kernel: calico-packet: IN=cali1234567 OUT=eth0 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.2.7 DST=10.244.2.9 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=100 DF PROTO=TCP SPT=41001 DPT=5432 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:04 aks-1 kernel: calico-packet: IN=cali1234567 OUT=eth0 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.2.7 DST=203.0.113.7 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=101 DF PROTO=TCP SPT=41002 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:05 aks-1 kernel: calico-packet: IN=cali1234567 OUT=eth0 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.2.7 DST=203.0.113.8 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=102 DF PROTO=TCP SPT=41003 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:06 aks-1 kernel: calico-packet: IN=cali0ef24b1 OUT=cali1234567 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.1.5 DST=10.244.2.7 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=52867 DF PROTO=TCP SPT=41004 DPT=8080 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:07 aks-1 kernel: calico-packet: IN=eth0 OUT=cali1234567 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.3.3 DST=10.244.2.7 LEN=60 TOS=0x00 PREC=0x00 TTL=62 ID=7 DF PROTO=TCP SPT=41005 DPT=9102 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:08 aks-1 kernel: calico-packet: IN=cali0ef24b1 OUT=cali1234567 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.1.5 DST=10.244.2.7 LEN=84 TOS=0x00 PREC=0x00 TTL=63 ID=52868 DF PROTO=ICMP TYPE=8 CODE=0 ID=7 SEQ=1 
Nov 21 16:00:09 aks-1 kernel: calico-packet: IN=cali0ef24b1 OUT=eth0 MAC=ee:ee:ee:ee:ee:ee:12:34:56:78:9a:bc:08:00 SRC=10.244.1.5 DST=10.244.77.7 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=52869 DF PROTO=TCP SPT=41006 DPT=80 WINDOW=64240 RES=0x00 SYN URGP=0 
Nov 21 16:00:10 aks-1 kernel: calico-packet: IN=cali0ef24b1 OUT=eth0 MAC=ee:ee:ee:ee:ee:ee
";

const PROPOSED: &str = "\
# What was logged and no declaration allows. Each entry opens something: keep what is meant to be.
---
# LandingZone orders
spec:
  network:
    ingress:
    # 1 packet from 1 pod, for instance shop-api/api-0 to orders-db/db-0
    - name: from-shop-backend-to-data-5432
      from: {landingZone: shop, zone: backend}
      to: {zone: data}
      ports: [{protocol: TCP, port: 5432}]
---
# LandingZone shop
# Declared already: 1 packet by flow web-to-api
# No entry for ICMP from zone frontend of shop to zone backend of shop (1 packet from 1 pod, for instance shop-web/web-6d5f9-abcde to shop-api/api-0): it has no ports that an entry could name; an entry without ports takes it, and everything else
spec:
  network:
    flows:
    # 2 packets from 2 pods, for instance shop-web/web-6d5f9-abcde to shop-api/api-0
    - name: frontend-to-backend-9090
      from: {zone: frontend}
      to: {zone: backend}
      ports: [{protocol: TCP, port: 9090}]
    egress:
    # 1 packet from 1 pod, for instance shop-api/api-0 to orders-db/db-0
    - name: backend-to-orders-data-5432
      from: {zone: backend}
      to: {landingZone: orders, zone: data}
      ports: [{protocol: TCP, port: 5432}]
    # 2 packets from 1 pod, for instance shop-api/api-0 to 203.0.113.7
    - name: backend-to-outside-443
      from: {zone: backend}
      to:
        cidrs:
        - 203.0.113.7/32
        - 203.0.113.8/32
      ports: [{protocol: TCP, port: 443}]
# For spec.network, once the platform has these (below):
#   sharedServices:
#   - from-monitoring-9102

# LandingZonePlatform cluster: what only its team can open, for spec.sharedServices.
# Narrow namespaces by a podSelector where you can.
#   sharedServices:
#   # 1 packet from 1 pod, for instance monitoring/prometheus-0 to shop-api/api-0; for shop
#   - name: from-monitoring-9102
#     peers:
#     - namespaceSelector:
#         matchLabels:
#           kubernetes.io/metadata.name: monitoring
#     direction: ToLandingZones
#     ports: [{protocol: TCP, port: 9102}]
#     landingZones: Declared
";

const TOLD: &str = "\
read 2 landing zones, 5 pods, 1 namespace, 1 node
read 13 lines: 12 of the prefix calico-packet, of which 1 cannot be read
matched 7 packets; besides 1 declared already, 1 in reply, 1 logged twice, 1 without a pod
without a pod: 10.244.77.7 (1 packet)
";

/// What a run left: exit code, standard output, standard error.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// A folder with landing zones, a dump and a log.
fn usual() -> TempDir {
    folder(&[
        ("git/shop.yaml", SHOP),
        ("git/orders.yaml", ORDERS),
        ("git/platform.yaml", PLATFORM),
        ("dump.yaml", DUMP),
        ("node.log", LOG),
    ])
}

fn run_in(folder: &Path, command: &str, arguments: &[&str], stdin: &[u8]) -> Ran {
    let output = Command::cargo_bin("kubectl-landingzone")
        .unwrap()
        .current_dir(folder)
        .env_remove("LANDING_ZONE_OPERATOR_POD_CIDRS")
        .env_remove("LANDING_ZONE_OPERATOR_DNS_ADDRESSES")
        .env_remove("LANDING_ZONE_OPERATOR_ALLOWED_ROLES")
        .arg(command)
        .args(arguments)
        .write_stdin(stdin)
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn propose_in(folder: &TempDir, arguments: &[&str], stdin: &[u8]) -> Ran {
    run_in(folder.path(), "propose", arguments, stdin)
}

/// Proposes what the usual folder asks for, with more arguments.
fn propose(arguments: &[&str]) -> Ran {
    let usual_arguments = ["-f", "git", "-f", "dump.yaml", "--from-log", "node.log"];
    propose_in(&usual(), &[&usual_arguments, arguments].concat(), b"")
}

#[test]
fn a_log_becomes_flows_and_crossings() {
    let ran = propose(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, TOLD));
    assert_eq!(ran.out, PROPOSED);
}

#[test]
fn json_says_the_same_with_counts() {
    let ran = propose(&["-o", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, TOLD));
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    let yaml: Vec<Value> = serde_saphyr::from_multiple(PROPOSED).unwrap();
    for (fragment, landing_zone) in yaml.iter().zip(json["landingZones"].as_array().unwrap()) {
        for list in ["flows", "egress", "ingress"] {
            let entries: Vec<Value> = landing_zone[list]
                .as_array()
                .unwrap()
                .iter()
                .map(|proposal| proposal["entry"].clone())
                .collect();
            let written = fragment["spec"]["network"][list].as_array().cloned();
            assert_eq!(entries, written.unwrap_or_default());
        }
    }
    let flow = &json["landingZones"][1]["flows"][0];
    assert_eq!((&flow["packets"], &flow["sources"]), (&2.into(), &2.into()));
    assert_eq!(
        json["sharedServices"][0]["entry"]["name"],
        "from-monitoring-9102"
    );
    let read = &json["read"];
    let counts = ["lines", "recognised", "unreadable", "matched", "withoutPod"];
    assert_eq!(
        counts.map(|count| read[count].as_u64().unwrap()),
        [13, 12, 1, 7, 1]
    );
    assert_eq!(read["unknownAddresses"][0]["address"], "10.244.77.7");
}

/// The lines of [`LOG`] as another program writes them.
fn rewritten(start: &str) -> String {
    LOG.lines()
        .map(|line| match line.split_once("kernel: ") {
            Some((_, message)) => format!("{start}{message}\r\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn logs_of_every_program_say_the_same() {
    for start in [
        "[158271.044316] ",
        "[Fri Nov 21 16:00:01 2026] ",
        "6,1234,5678901,-;",
        "2026-11-21T16:00:01.123456+00:00 aks-1 kernel: [158271.044316] ",
        "<4>Nov 21 16:00:01 aks-1 kernel: ",
    ] {
        let folder = usual();
        fs::write(folder.path().join("node.log"), rewritten(start)).unwrap();
        let arguments = ["-f", "git", "-f", "dump.yaml", "--from-log", "node.log"];
        let ran = propose_in(&folder, &arguments, b"");
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str()),
            (PROPOSED, TOLD),
            "{start}"
        );
    }
}

#[test]
fn files_and_logs_come_in_any_form() {
    let folder = usual();
    let dump: Value = serde_saphyr::from_str(DUMP).unwrap();
    fs::write(folder.path().join("dump.json"), dump.to_string()).unwrap();
    let (first, last) = LOG.split_at(LOG.match_indices("Nov 21 16:00:04").next().unwrap().0);
    fs::write(folder.path().join("1.log"), first).unwrap();
    fs::write(folder.path().join("2.log"), last).unwrap();
    let same = |arguments: &[&str], stdin: &str| {
        let ran = propose_in(&folder, arguments, stdin.as_bytes());
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str()),
            (PROPOSED, TOLD),
            "{arguments:?}"
        );
    };
    same(
        &["-f", "git", "-f", "dump.json", "--from-log", "node.log"],
        "",
    );
    same(&["-f", "git", "-f", "dump.yaml", "--from-log", "-"], LOG);
    same(&["-f", "git", "-f", "-", "--from-log", "node.log"], DUMP);
    let split = [
        "-f",
        "git",
        "-f",
        "dump.json",
        "--from-log",
        "1.log",
        "--from-log",
        "2.log",
    ];
    same(&split, "");
    // A log that is named twice is read once.
    let twice = [
        "-f",
        "git",
        "-f",
        "dump.json",
        "--from-log",
        "node.log",
        "--from-log",
        "./node.log",
    ];
    same(&twice, "");
    let mixture = format!("{SHOP}---\n{DUMP}---\n{ORDERS}---\n{PLATFORM}");
    same(&["-f", "-", "--from-log", "node.log"], &mixture);
}

/// A landing zone with the entries that were proposed for it.
fn merged(declared: &str, fragment: &Value) -> String {
    let mut declared: Value = serde_saphyr::from_str(declared).unwrap();
    for (list, entries) in fragment["spec"]["network"].as_object().unwrap() {
        let known = &mut declared["spec"]["network"][list];
        if known.is_null() {
            *known = Value::Array(Vec::new());
        }
        let entries = entries.as_array().unwrap().iter().cloned();
        known.as_array_mut().unwrap().extend(entries);
    }
    declared.to_string()
}

#[test]
fn what_is_proposed_is_accepted_and_not_proposed_again() {
    let folder = usual();
    let fragments: Vec<Value> = serde_saphyr::from_multiple(PROPOSED).unwrap();
    let [orders, shop] = [merged(ORDERS, &fragments[0]), merged(SHOP, &fragments[1])];
    fs::write(folder.path().join("git/orders.yaml"), orders).unwrap();
    fs::write(folder.path().join("git/shop.yaml"), shop).unwrap();
    let rendered = run_in(folder.path(), "render", &["-f", "git"], b"");
    assert_eq!(rendered.code, 0, "{}", rendered.err);
    assert!(!rendered.err.contains("closed"), "{}", rendered.err);
    let arguments = ["-f", "git", "-f", "dump.yaml", "--from-log", "node.log"];
    let ran = propose_in(&folder, &arguments, b"");
    assert!(
        ran.out.starts_with("# No entry to propose.\n"),
        "{}",
        ran.out
    );
    for (packets, by) in [
        ("2 packets", "flow frontend-to-backend-9090"),
        ("1 packet", "egress backend-to-orders-data-5432"),
        ("2 packets", "egress backend-to-outside-443"),
    ] {
        let covered = format!("# Declared already: {packets} by {by}\n");
        assert!(ran.out.contains(&covered), "{}", ran.out);
    }
}

#[test]
fn nothing_to_propose_is_no_failure() {
    let folder = usual();
    let arguments = ["-f", "git", "-f", "dump.yaml", "--from-log", "-"];
    let ran = propose_in(&folder, &arguments, b"kernel: hello\n");
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "# No entry to propose.\n")
    );
    assert_eq!(
        ran.err,
        "read 2 landing zones, 5 pods, 1 namespace, 1 node\n\
         read 1 line: 0 of the prefix calico-packet\n\
         matched 0 packets\n\
         note: no line has the prefix calico-packet: is it logPrefix of Felix, and are these kernel \
         logs of nodes?\n"
    );
}

#[test]
fn the_prefix_is_felix_s_own() {
    let folder = usual();
    let log = LOG.replace("calico-packet", "denied");
    let arguments = [
        "-f",
        "git",
        "-f",
        "dump.yaml",
        "--from-log",
        "-",
        "--prefix",
        "denied",
    ];
    let ran = propose_in(&folder, &arguments, log.as_bytes());
    assert_eq!(ran.out, PROPOSED);
    let empty = [&arguments[..6], &["--prefix", ""]].concat();
    assert_eq!(propose_in(&folder, &empty, b"").code, 2);
}

#[test]
fn without_pods_every_address_is_a_stranger_s() {
    let folder = usual();
    let ran = propose_in(&folder, &["-f", "git", "--from-log", "node.log"], b"");
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("note: no pod is known"), "{}", ran.err);
    assert!(
        ran.err.contains("without a pod: 10.244.2.7 ("),
        "{}",
        ran.err
    );
}

#[test]
fn hostile_logs_are_read_to_their_end() {
    let folder = usual();
    let mut log = b"\xff\xfe\x00\x01 calico-packet: \xc3\x28\n".to_vec();
    log.extend(
        b"calico-packet: "
            .iter()
            .chain(&vec![b'x'; 10 * 1024 * 1024]),
    );
    log.push(b'\n');
    log.extend(
        LOG.replace("DPT=9090", "DPT=99999999999999999999")
            .as_bytes(),
    );
    log.extend(b"calico-packet: IN= OUT= SRC=fd00::1 DST=fd00::2 PROTO=TCP SPT=1 DPT=2 SYN");
    let arguments = ["-f", "git", "-f", "dump.yaml", "--from-log", "-"];
    let ran = propose_in(&folder, &arguments, &log);
    assert_eq!(ran.code, 0);
    let read = "read 16 lines: 15 of the prefix calico-packet, of which 6 cannot be read\n";
    assert!(ran.err.contains(read), "{}", ran.err);
    assert!(!ran.out.contains("9090"), "{}", ran.out);
}

#[test]
fn what_is_wrong_with_the_files_is_told() {
    let folder = usual();
    fs::write(
        folder.path().join("git/shop.yaml"),
        SHOP.replace("zone:", "zon:"),
    )
    .unwrap();
    let arguments = ["-f", "git", "-f", "dump.yaml", "--from-log", "node.log"];
    let ran = propose_in(&folder, &arguments, b"");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err
            .contains("git/shop.yaml:8:22: spec.namespaces[0].zon"),
        "{}",
        ran.err
    );
    let ran = propose_in(&folder, &["-f", "dump.yaml", "--from-log", "node.log"], b"");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (2, "error: no LandingZone in dump.yaml\n")
    );
    let ran = propose_in(&folder, &["-f", "node.log", "--from-log", "node.log"], b"");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("this is not YAML"), "{}", ran.err);
}

#[test]
fn what_cannot_be_read_is_exit_code_2() {
    let folder = usual();
    for log in ["missing.log", "git"] {
        let ran = propose_in(&folder, &["-f", "git", "--from-log", log], b"");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        let told = format!("error: {log}: failed to read it: ");
        assert!(ran.err.starts_with(&told), "{}", ran.err);
    }
    let ran = propose_in(
        &folder,
        &["-f", "missing.yaml", "--from-log", "node.log"],
        b"",
    );
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
}

#[test]
fn standard_input_is_for_one_of_them() {
    let ran = propose_in(&usual(), &["-f", "-", "--from-log", "-"], LOG.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("both read standard input"), "{}", ran.err);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let first = propose(&["-o", "json"]);
    assert_eq!(first.out, propose(&["-o", "json"]).out);
}
