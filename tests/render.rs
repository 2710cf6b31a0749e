//! `kubectl landingzone render` as people and pipelines call it: the real binary, real files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

const APP1: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata:
  name: app1
spec:
  applicationCode: app1
  namespaces:
  - name: app1-ns1
    zone: frontend
    quota: {pods: \"50\", requests.cpu: \"4\"}
  - name: app1-ns2
    zone: backend
  access:
  - {kind: Group, name: 00000000-0000-0000-0000-000000000001, role: edit}
  network:
    flows:
    - {name: web, from: {zone: frontend}, to: {zone: backend}, ports: [{protocol: TCP, port: 80}]}
";

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nspec: {paused: yes}\n";

fn app2() -> String {
    APP1.replace("app1", "app2")
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

/// What a run left: exit code, standard output, standard error.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn render_in(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Ran {
    let output = Command::cargo_bin("kubectl-landingzone")
        .unwrap()
        .current_dir(folder)
        .env_remove("LANDING_ZONE_OPERATOR_POD_CIDRS")
        .env_remove("LANDING_ZONE_OPERATOR_DNS_ADDRESSES")
        .env_remove("LANDING_ZONE_OPERATOR_ALLOWED_ROLES")
        .arg("render")
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

fn render(files: &[(&str, &str)], arguments: &[&str]) -> Ran {
    render_in(folder(files).path(), arguments, b"")
}

/// Renders what is wrong: exit code 2, nothing on standard output. Returns standard error.
fn refused(files: &[(&str, &str)], arguments: &[&str]) -> String {
    let ran = render(files, arguments);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    ran.err
}

fn documents(yaml: &str) -> Vec<serde_json::Value> {
    serde_saphyr::from_multiple(yaml).unwrap()
}

fn kinds(yaml: &str) -> Vec<String> {
    documents(yaml)
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn objects_are_printed_in_the_order_in_which_they_are_applied() {
    let ran = render(&[("a.yaml", APP1)], &["-f", "a.yaml"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let mut kinds = kinds(&ran.out);
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "Tier",
            "GlobalNetworkPolicy",
            "Namespace",
            "ResourceQuota",
            "RoleBinding",
            "ClusterRole",
            "ClusterRoleBinding"
        ]
    );
}

#[test]
fn tiers_are_printed_once_and_landing_zones_by_name() {
    let app2 = app2();
    let files = [("b.yaml", app2.as_str()), ("z.yaml", APP1)];
    let ran = render(&files, &["-f", "."]);
    let objects = documents(&ran.out);
    let namespaces: Vec<&str> = objects
        .iter()
        .filter(|object| object["kind"] == "Namespace")
        .filter_map(|object| object["metadata"]["name"].as_str())
        .collect();
    assert_eq!(namespaces, ["app1-ns1", "app1-ns2", "app2-ns1", "app2-ns2"]);
    let mut tiers: Vec<String> = objects
        .iter()
        .filter(|object| object["kind"] == "Tier")
        .map(|object| object["metadata"]["name"].to_string())
        .collect();
    let count = tiers.len();
    tiers.dedup();
    assert!(count > 0 && tiers.len() == count, "{tiers:?}");
}

#[test]
fn the_same_input_gives_the_same_bytes_in_any_order() {
    let app2 = app2();
    let folder = folder(&[("a.yaml", APP1), ("b.yaml", &app2)]);
    let run = |arguments: &[&str]| render_in(folder.path(), arguments, b"").out;
    let first = run(&["-f", "a.yaml", "-f", "b.yaml"]);
    assert!(!first.is_empty());
    assert_eq!(first, run(&["-f", "a.yaml", "-f", "b.yaml"]));
    assert_eq!(first, run(&["-f", "b.yaml", "-f", "a.yaml"]));
    assert_eq!(first, run(&["-f", "."]));
    assert_eq!(first, run(&["-f", ".", "-f", "a.yaml"]));
}

#[test]
fn every_document_says_the_same_as_the_json() {
    let folder = folder(&[("a.yaml", APP1)]);
    for flavour in ["v3", "crd", "kubernetes"] {
        let run = |form: &str| {
            let arguments = ["-f", "a.yaml", "--flavour", flavour, "-o", form];
            render_in(folder.path(), &arguments, b"").out
        };
        let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
        let yaml = run("yaml");
        assert_eq!(json["kind"], "List");
        assert_eq!(json["items"], serde_json::Value::from(documents(&yaml)));
        assert_eq!(run("name").lines().count(), documents(&yaml).len());
        assert!(
            !yaml.contains("null") && !yaml.contains("status:"),
            "{yaml}"
        );
        for document in yaml.split("---\n").skip(1) {
            assert!(document.starts_with("apiVersion: "), "{document}");
        }
    }
}

#[test]
fn the_flavour_decides_the_api_of_the_policies() {
    let folder = folder(&[("a.yaml", APP1)]);
    let run =
        |flavour: &str| render_in(folder.path(), &["-f", "a.yaml", "--flavour", flavour], b"").out;
    let has = |yaml: &str, api: &str| yaml.contains(&format!("apiVersion: {api}\n"));
    assert!(has(&run("v3"), "projectcalico.org/v3"));
    assert!(has(&run("crd"), "crd.projectcalico.org/v1"));
    let kubernetes = run("kubernetes");
    assert!(has(&kubernetes, "networking.k8s.io/v1"));
    assert!(!kubernetes.contains("projectcalico.org/v"));
}

#[test]
fn without_tiers_none_is_printed() {
    let folder = folder(&[("a.yaml", APP1)]);
    for arguments in [["--tiers=false"], ["--calico-version=3.28"]] {
        let arguments = [&["-f", "a.yaml"], arguments.as_slice()].concat();
        let out = render_in(folder.path(), &arguments, b"").out;
        assert!(!kinds(&out).contains(&"Tier".to_owned()));
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let files = [("a.yaml", APP1)];
    let err = refused(&files, &["-f", ".", "--tiers=true", "--flavour=kubernetes"]);
    assert!(err.contains("Kubernetes policies know no tiers"), "{err}");
    let err = refused(&files, &["-f", ".", "--tiers", "--calico-version=3.28"]);
    assert!(err.contains("3.29 or later"), "{err}");
    let err = refused(&files, &["-f", ".", "--calico-version=new"]);
    assert!(err.contains("not a version like 3.31"), "{err}");
    refused(&files, &["-f", ".", "--flavour=calico"]);
    refused(&files, &[]);
}

#[test]
fn folders_hold_any_mixture_of_kinds() {
    let files = [
        ("apps/one/app1.yaml", APP1),
        ("apps/one/deployment.yml", DEPLOYMENT),
        ("kustomization.yaml", "resources: [apps]\n"),
        (
            "chart/templates/x.yaml",
            "{{ if .Values.x }}\na: b\n{{ end }}\n",
        ),
        ("README.md", "kind: LandingZone"),
        (".git/x.yaml", "kind: LandingZone"),
        ("empty.yaml", ""),
        ("list.json", "[1, 2]"),
    ];
    let ran = render(&files, &["-f", "."]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.is_empty());
    assert_eq!(
        ran.err,
        "skipped 3 documents of other kinds (Deployment, without kind) and 1 file without YAML\n"
    );
}

const PLATFORM: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {name: cluster}
spec:
  network: {podCidrs: [10.244.0.0/16]}
";

#[test]
fn the_platform_holds_for_all_files_whatever_their_order() {
    let flags = ["-f", "."];
    let told = render(
        &[("a.yaml", APP1)],
        &["-f", ".", "--pod-cidr=10.244.0.0/16"],
    );
    for name in ["0.yaml", "z.yaml"] {
        let ran = render(&[("a.yaml", APP1), (name, PLATFORM)], &flags);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert_eq!(ran.out, told.out);
    }
    assert_ne!(render(&[("a.yaml", APP1)], &flags).out, told.out);
}

#[test]
fn the_platform_fills_in_what_a_landing_zone_leaves_out() {
    let platform = format!(
        "{PLATFORM}  defaults: {{quota: {{pods: \"5\"}}, podSecurity: baseline, \
         placement: {{nodeSelector: {{pool: shared}}}}}}\n"
    );
    let ran = render(&[("a.yaml", APP1), ("p.yaml", &platform)], &["-f", "."]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let quota = |namespace: &str| {
        let objects = documents(&ran.out).into_iter();
        let mut quotas = objects.filter(|it| it["kind"] == "ResourceQuota");
        let found = quotas.find(|it| it["metadata"]["namespace"] == namespace);
        found.unwrap()["spec"]["hard"].clone()
    };
    assert_eq!(quota("app1-ns1")["pods"], "50");
    assert_eq!(quota("app1-ns2"), serde_json::json!({"pods": "5"}));
    assert!(
        ran.out
            .contains("pod-security.kubernetes.io/enforce: baseline")
    );
    assert!(ran.out.contains("pool=shared"), "{}", ran.out);
}

#[test]
fn the_address_that_only_the_cluster_knows_is_asked_for() {
    let platform = format!("{PLATFORM}  dns: {{nodeLocal: true, extraAddresses: [10.0.0.10]}}\n");
    let ran = render(&[("a.yaml", APP1), ("p.yaml", &platform)], &["-f", "."]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.starts_with("note: with dns.nodeLocal"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("list it in dns.extraAddresses"),
        "{}",
        ran.err
    );
    for address in ["169.254.20.10/32", "10.0.0.10/32"] {
        assert!(ran.out.contains(address), "{address} is missing");
    }
}

#[test]
fn a_landing_zone_without_required_labels_is_refused_where_they_belong() {
    let platform = format!("{PLATFORM}  requiredLabels: [costCenter, owner]\n");
    let err = refused(&[("a.yaml", APP1), ("p.yaml", &platform)], &["-f", "."]);
    assert!(
        err.starts_with("./a.yaml:5:1: spec.labels: must have a value for costCenter, owner: add"),
        "{err}"
    );
    let labelled = APP1.replace("spec:\n", "spec:\n  labels: {owner: us}\n");
    let err = refused(
        &[("a.yaml", &labelled), ("p.yaml", &platform)],
        &["-f", "."],
    );
    assert!(
        err.starts_with("./a.yaml:6:3: spec.labels: must have a value for costCenter: add"),
        "{err}"
    );
}

#[test]
fn what_is_wrong_with_the_platform_is_told() {
    let bad = PLATFORM.replace("10.244.0.0/16", "10.244.0.1/16");
    let err = refused(&[("a.yaml", APP1), ("p.yaml", &bad)], &["-f", "."]);
    assert!(
        err.starts_with(
            "./p.yaml:5:24: spec.network.podCidrs[0]: \"10.244.0.1/16\": is not a range"
        ),
        "{err}"
    );
    let bad = PLATFORM.replace("podCidrs", "podCidr");
    let err = refused(&[("p.yaml", &bad)], &["-f", "."]);
    assert!(err.contains("did you mean podCidrs?"), "{err}");
    let err = refused(&[("a.yaml", PLATFORM), ("b.yaml", PLATFORM)], &["-f", "."]);
    assert!(
        err.contains("a platform is declared twice, first in ./a.yaml:1:1"),
        "{err}"
    );
}

/// A platform that denies by default, with so many exempt namespaces.
fn enforcing(exempt: usize) -> String {
    let names: Vec<String> = (0..exempt)
        .map(|number| format!("exempt-{number}"))
        .collect();
    let names = names.join(", ");
    PLATFORM.to_owned()
        + "  defaultDeny: {stage: Enforce}\n"
        + &format!("  exempt: {{namespaces: [{names}]}}\n")
}

#[test]
fn the_default_deny_of_the_platform_is_printed() {
    let platform = enforcing(2);
    let flags = ["-f", ".", "--tiers=false"];
    let alone = render(&[("p.yaml", &platform)], &flags);
    assert_eq!((alone.code, alone.err.as_str()), (0, ""));
    let printed = documents(&alone.out);
    let names: Vec<_> = printed
        .iter()
        .map(|policy| policy["metadata"]["name"].as_str().unwrap())
        .collect();
    let expected = [
        "default.landing-zones-dns",
        "default.landing-zones-default-deny",
    ];
    assert_eq!(names, expected);
    assert!(alone.out.contains("'exempt-1'"), "{}", alone.out);
    // Before the landing zones, whose names come after it in the alphabet or not.
    let both = render(&[("a.yaml", APP1), ("p.yaml", &platform)], &flags);
    assert!(both.out.starts_with(&alone.out), "{}", both.out);

    let off = platform.replace("Enforce", "Off");
    let off = render(&[("a.yaml", APP1), ("p.yaml", &off)], &flags);
    assert!(
        !off.out.contains("landing-zones-default-deny"),
        "{}",
        off.out
    );
}

#[test]
fn a_default_deny_that_is_observed_is_printed_where_it_depends_on_nobody() {
    let platform = enforcing(2).replace("Enforce", "Observe");
    let ran = |version: &str| {
        let version = format!("--calico-version={version}");
        let ran = render(&[("p.yaml", &platform)], &["-f", ".", version.as_str()]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran
    };
    let staged = ran("3.31");
    assert_eq!(staged.err, "");
    let kinds = |kind: &str| staged.out.matches(&format!("kind: {kind}\n")).count();
    assert_eq!(
        (
            kinds("StagedGlobalNetworkPolicy"),
            kinds("GlobalNetworkPolicy")
        ),
        (2, 0)
    );
    let logged = ran("3.29");
    assert_eq!(logged.err, "");
    assert!(
        logged
            .out
            .contains("landingzones-baseline.landing-zones-observe")
    );
    let one_tier = ran("3.28");
    assert!(
        one_tier
            .err
            .starts_with("note: ./p.yaml:1:1: spec.defaultDeny: ")
    );
    assert!(!one_tier.out.contains("landing-zones-"), "{}", one_tier.out);
}

#[test]
fn a_default_deny_that_cannot_be_is_told() {
    let platform = enforcing(100);
    let err = refused(&[("p.yaml", &platform)], &["-f", ".", "--tiers=false"]);
    assert!(err.starts_with("./p.yaml:1:1: spec.exempt: "), "{err}");
    assert!(err.contains("characters too many"), "{err}");
    let tiers = render(&[("p.yaml", &platform)], &["-f", ".", "--tiers=true"]);
    assert_eq!((tiers.code, tiers.err.as_str()), (0, ""));
    assert!(
        tiers
            .out
            .contains("landingzones-baseline.landing-zones-exempt-names")
    );
    let files = [("a.yaml", APP1), ("p.yaml", platform.as_str())];
    let kubernetes = render(&files, &["-f", ".", "--flavour=kubernetes"]);
    assert_eq!(kubernetes.code, 0, "{}", kubernetes.err);
    assert!(
        kubernetes.err.contains("needs Calico's own kinds"),
        "{}",
        kubernetes.err
    );
}

#[test]
fn a_file_that_was_named_must_be_yaml() {
    let err = refused(&[("x.yaml", "a: b: c\n")], &["-f", "x.yaml"]);
    assert!(err.starts_with("x.yaml:1:5: this is not YAML: "), "{err}");
}

#[test]
fn standard_input_is_read() {
    let ran = render_in(folder(&[]).path(), &["-f", "-"], APP1.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.is_empty());
    let bad = APP1.replace("zone: backend\n", "zone: [a]\n");
    let ran = render_in(folder(&[]).path(), &["-f", "-"], bad.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(
        ran.err,
        "<stdin>:12:5: spec.namespaces[1].zone: must be text, not a list\n"
    );
}

#[test]
fn all_problems_of_all_files_are_told() {
    let bad = app2()
        .replace("pods: \"50\"", "pods: abc")
        .replace("  - name: app2-ns2\n", "  - nam: x\n    name: app2-ns2\n");
    let files = [
        ("a.yaml", APP1),
        ("b.yaml", &bad),
        ("c.yaml", "kind: LandingZone\n---\na: [\n"),
    ];
    let err = refused(&files, &["-f", "a.yaml", "-f", "b.yaml", "-f", "c.yaml"]);
    let places: Vec<String> = err
        .lines()
        .map(|line| line.splitn(5, ':').take(4).collect::<Vec<_>>().join(":"))
        .collect();
    assert_eq!(
        places,
        [
            "b.yaml:10:19: spec.namespaces[0].quota.pods",
            "b.yaml:11:5: spec.namespaces[1].nam",
            "c.yaml:1:1: apiVersion",
            "c.yaml:1:1: spec",
            "c.yaml:1:1: metadata",
            "c.yaml:3:4: this is not YAML",
        ],
        "{err}"
    );
}

#[test]
fn windows_files_are_read() {
    let text = format!("\u{feff}{}", APP1.replace('\n', "\r\n"));
    let good = render(&[("a.yaml", APP1)], &["-f", "a.yaml"]);
    let windows = render(&[("a.yaml", &text)], &["-f", "a.yaml"]);
    assert_eq!((windows.code, windows.err.as_str()), (0, ""));
    assert_eq!(good.out, windows.out);
    let err = refused(
        &[("a.yaml", &text.replace("zone: backend", "zonr: backend"))],
        &["-f", "a.yaml"],
    );
    assert!(
        err.contains("a.yaml:12:5: spec.namespaces[1].zonr: unknown field"),
        "{err}"
    );
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let folder = folder(&[]);
    fs::write(folder.path().join("a.yaml"), b"a: 1\nkind: \xff\xfe\n").unwrap();
    let ran = render_in(folder.path(), &["-f", "a.yaml"], b"");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(
        ran.err,
        "a.yaml: not UTF-8 text, from line 2 on: save it as UTF-8\n"
    );
}

#[test]
fn a_missing_file_is_exit_code_2() {
    let ran = render(&[("a.yaml", APP1)], &["-f", "a.yaml", "-f", "missing.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.starts_with("missing.yaml: failed to read it: "),
        "{}",
        ran.err
    );
}

#[test]
fn nothing_to_render_is_an_error() {
    let err = refused(&[("d.yaml", DEPLOYMENT)], &["-f", "."]);
    assert_eq!(
        err,
        "skipped 1 document of other kinds (Deployment)\nerror: no LandingZone in .\n"
    );
    let ran = render_in(folder(&[]).path(), &["-f", "-"], b"");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("no LandingZone in standard input"),
        "{}",
        ran.err
    );
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let folder = folder(&[]);
    let file = fs::File::create(folder.path().join("a.yaml")).unwrap();
    file.set_len(33 * 1024 * 1024).unwrap();
    let ran = render_in(folder.path(), &["-f", "."], b"");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert_eq!(ran.err, "./a.yaml: longer than 32 MiB\n");
}

#[test]
fn what_is_not_in_force_is_said() {
    let plan = APP1.replace("  applicationCode", "  stage: Plan\n  applicationCode");
    let ran = render(&[("a.yaml", &plan)], &["-f", "a.yaml"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err
            .contains("landing zone app1 as long as its stage is Plan"),
        "{}",
        ran.err
    );
}

#[test]
fn help_names_the_exit_codes_and_the_version_is_printed() {
    let ran = render(&[], &["--help"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("Exit codes:"), "{}", ran.out);
    let missing = ["-f", "missing.yaml"];
    let of_log = [&missing[..], &["--from-log", "missing.log"]].concat();
    let why = [&["a/b", "c/d"], &missing[..]].concat();
    // What could not be done is the same code everywhere, and not that of what is found.
    for (command, arguments) in [
        ("render", &missing[..]),
        ("matrix", &missing),
        ("why", &why),
        ("propose", &of_log),
        ("review", &missing),
        ("diff", &missing),
    ] {
        let run = |arguments: &[&str]| {
            let mut run = Command::cargo_bin("kubectl-landingzone").unwrap();
            run.arg(command).args(arguments).output().unwrap()
        };
        let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
        let (_, codes) = help.split_once("Exit codes:").unwrap();
        assert!(codes.contains("\n  2  "), "{command}: {codes}");
        let ran = run(arguments);
        let err = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{command}: {err}");
    }
    Command::cargo_bin("kubectl-landingzone")
        .unwrap()
        .arg("--version")
        .assert()
        .success()
        // In its place a release names its commit.
        .stdout(concat!(
            "kubectl-landingzone ",
            env!("CARGO_PKG_VERSION"),
            " (not a release)\n"
        ));
}

#[cfg(unix)]
#[test]
fn links_in_circles_end() {
    let folder = folder(&[("a/app.yaml", APP1)]);
    std::os::unix::fs::symlink("..", folder.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink("app.yaml", folder.path().join("a/again.yaml")).unwrap();
    let ran = render_in(folder.path(), &["-f", "."], b"");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn the_sample_renders_in_every_flavour() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    for flavour in ["v3", "crd", "kubernetes"] {
        let arguments = ["-f", "application2.yaml", "--flavour", flavour];
        let ran = render_in(&samples, &arguments, b"");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let kinds = kinds(&ran.out);
        let namespaces = kinds.iter().filter(|kind| *kind == "Namespace").count();
        assert_eq!(namespaces, 3, "{kinds:?}");
    }
}

const AZURE: &str = "\
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata:
  name: cluster
spec:
  network: {plugin: AzureCNI}
  azure:
    subscription: 00000000-0000-0000-0000-000000000001
    resourceGroup: rg-aks
    location: westeurope
    cluster: aks-shared
    virtualNetwork: {name: vnet-spoke, cidrs: [10.1.0.0/16]}
    systemSubnet: {name: snet-system, cidr: 10.1.0.0/24, networkSecurityGroup: Managed}
    serviceOperator: {namespace: azure-resources}
";

/// app1 and app2, each with nodes in a subnet of its own.
fn with_nodes(name: &str, cidr: &str) -> String {
    let azure = format!(
        "  azure:\n    nodePool: {{vmSize: Standard_D4s_v5, min: 1, max: 3}}\n    subnet: {{cidr: {cidr}}}\n    \
         networkSecurityGroup: Managed\n"
    );
    APP1.replace("app1", name) + &azure
}

#[test]
fn what_landing_zones_own_in_azure_is_written_for_whoever_makes_it() {
    let (one, other) = (
        with_nodes("app1", "10.1.4.0/24"),
        with_nodes("app2", "10.1.5.0/24"),
    );
    let files = [
        ("cluster.yaml", AZURE),
        ("one.yaml", one.as_str()),
        ("other.yaml", other.as_str()),
    ];
    for (form, all_of_it) in [
        (
            "aso",
            [
                "kind: ManagedClustersAgentPool",
                "kind: VirtualNetworksSubnet",
                "landingzones.dev/landing-zone: app2",
            ],
        ),
        (
            "bicep",
            [
                "targetScope = 'resourceGroup'",
                "agentPools@",
                "'10.1.5.0/24'",
            ],
        ),
        (
            "terraform",
            [
                "azurerm_kubernetes_cluster_node_pool",
                "azurerm_subnet",
                "10.1.5.0/24",
            ],
        ),
    ] {
        let ran = render(&files, &["-f", ".", "--azure", form]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        for part in all_of_it {
            assert!(ran.out.contains(part), "{form}: {part}: {}", ran.out);
        }
        assert!(!ran.out.contains("kind: Namespace"), "{}", ran.out);
        assert!(
            ran.err.contains("az network vnet subnet update"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn pods_are_placed_on_the_nodes_of_their_landing_zone() {
    let one = with_nodes("app1", "10.1.4.0/24");
    let ran = render(&[("cluster.yaml", AZURE), ("one.yaml", &one)], &["-f", "."]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out
            .contains("scheduler.alpha.kubernetes.io/node-selector: stack=app1"),
        "{}",
        ran.out
    );
    assert!(
        ran.out
            .contains("landingzones.dev/tolerations: stack=app1:NoSchedule"),
        "{}",
        ran.out
    );
}

#[test]
fn what_azure_would_refuse_is_refused_where_it_stands() {
    let one = with_nodes("app1", "10.1.4.0/24");
    for (other, told) in [
        (
            with_nodes("app2", "10.1.4.128/25"),
            "overlaps 10.1.4.0/24 in ./one.yaml:",
        ),
        (
            with_nodes("app2", "10.1.0.0/25"),
            "overlaps subnet snet-system",
        ),
        (
            with_nodes("app2", "10.2.4.0/24"),
            "lies outside of virtual network vnet-spoke",
        ),
        (
            with_nodes("app2", "10.1.6.0/28"),
            "has 16 addresses, but 4 nodes",
        ),
        (
            with_nodes("app2", "10.1.6.1/24"),
            "without bits beyond the prefix",
        ),
        (
            with_nodes("app2", "10.1.6.0/24").replace("min: 1", "min: 4"),
            "is more than max",
        ),
        (
            with_nodes("app2", "10.1.6.0/24").replace("Standard_D4s_v5", "two cores"),
            "is no size of virtual machines",
        ),
    ] {
        let files = [
            ("cluster.yaml", AZURE),
            ("one.yaml", one.as_str()),
            ("other.yaml", other.as_str()),
        ];
        let err = refused(&files, &["-f", ".", "--azure", "bicep"]);
        assert!(
            err.contains("other.yaml:") && err.contains(told),
            "{told}: {err}"
        );
    }
    let err = refused(&[("one.yaml", &one)], &["-f", "."]);
    assert!(
        err.contains("needs spec.azure of the LandingZonePlatform"),
        "{err}"
    );
    let without = AZURE.replace("network: {plugin: AzureCNI}", "network: {}");
    let err = refused(
        &[("cluster.yaml", &without), ("one.yaml", &one)],
        &["-f", "."],
    );
    assert!(err.contains("spec.azure: needs network.plugin"), "{err}");
}

#[test]
fn bicep_says_which_resource_group_a_file_is_for() {
    let one = with_nodes("app1", "10.1.4.0/24");
    let apart = AZURE.replace(
        "{name: vnet-spoke,",
        "{name: vnet-spoke, resourceGroup: rg-network,",
    );
    let files = [("cluster.yaml", apart.as_str()), ("one.yaml", one.as_str())];
    let err = refused(&files, &["-f", ".", "--azure", "bicep"]);
    assert!(err.contains("--resource-group rg-network"), "{err}");
    let ran = render(
        &files,
        &["-f", ".", "--azure", "bicep", "--resource-group", "rg-aks"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("agentPools@") && !ran.out.contains("securityRules"),
        "{}",
        ran.out
    );
}
