//! What a change opens between applications where no landing zone is read: there policies alone hold a boundary.

use super::command::*;

const NAMESPACES: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop-api, labels: {applicationcode: shop1, zone: backend}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop-web, labels: {applicationcode: shop1, zone: frontend}}
---
apiVersion: v1
kind: Namespace
metadata: {name: orders-db, labels: {applicationcode: ord1, zone: data}}
";
const DENY: &str = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: deny, namespace: shop-api}
spec:
  selector: all()
  types: [Ingress, Egress]
";
const API: &str = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: api, namespace: shop-api}
spec:
  selector: app == 'api'
  types: [Ingress, Egress]
  ingress:
  - action: Allow
    protocol: TCP
    source: {namespaceSelector: applicationcode == 'shop1' && zone == 'frontend'}
    destination: {ports: [8080]}
  egress:
  - action: Allow
    destination: {namespaceSelector: applicationcode == 'shop1' && zone == 'data'}
";

/// Whether approval is needed, with the rules, files and lines of what is found.
fn told(ran: &Ran) -> (bool, Vec<String>) {
    let json = ran.json();
    let findings = json["findings"].as_array().unwrap().iter();
    let findings = findings.map(|it| {
        let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}:{}", text("rule"), text("file"), it["line"])
    });
    (json["approvalRequired"] == true, findings.collect())
}

fn nothing() -> (bool, Vec<String>) {
    (false, Vec::new())
}

#[test]
fn a_policy_without_which_something_opens_needs_approval() {
    let both = [
        ("ns.yaml", NAMESPACES),
        ("api.yaml", API),
        ("deny.yaml", DENY),
    ];
    let gone = compared(&both, &both[..2]);
    let expected = (true, vec!["decides-unread main/a/deny.yaml:1".to_owned()]);
    assert_eq!(told(&gone), expected, "{}", gone.err);
    assert!(
        gone.out
            .contains("namespace shop-api to namespace orders-db"),
        "{}",
        gone.out
    );
    let of_some = DENY.replace("all()", "app == 'x'");
    let narrowed = compared(&both, &[both[0], both[1], ("deny.yaml", &of_some)]);
    let expected = (true, vec!["decides-unread a/deny.yaml:1".to_owned()]);
    assert_eq!(told(&narrowed), expected, "{}", narrowed.err);
    // From part of the pods to another part.
    let of = |app: &str| DENY.replace("all()", &format!("app == '{app}'"));
    let (x, y) = (of("x"), of("y"));
    let part = compared(&[both[0], ("deny.yaml", &x)], &[both[0], ("deny.yaml", &y)]);
    assert!(told(&part).0, "{}", part.out);
    // What another one denies as well may go, and so may what only allows.
    let other = DENY.replace("name: deny", "name: other");
    let three = [both[0], both[1], both[2], ("other.yaml", &other)];
    let twice = compared(&three, &both);
    assert_eq!(told(&twice), nothing(), "{}", twice.out);
    assert!(
        twice
            .err
            .contains("note: main/a/other.yaml:1:1: NetworkPolicy/shop-api/other is taken away"),
        "{}",
        twice.err
    );
    let allowing = compared(&both, &[both[0], both[2]]);
    assert_eq!(told(&allowing), nothing(), "{}", allowing.out);
    let less = API.replace("ports: [8080]", "ports: [8080], notPorts: [8080]");
    let allowing = compared(&both, &[both[0], ("api.yaml", &less), both[2]]);
    assert_eq!(told(&allowing), nothing(), "{}", allowing.out);
    assert_eq!(told(&compared(&both, &both)), nothing());
}

/// Who takes a file away has not taken away what runs.
#[test]
fn a_namespace_that_is_not_written_is_there_all_the_same() {
    let (of_api, others) = NAMESPACES.split_once("---\n").unwrap();
    let before = [
        ("api.yaml", of_api),
        ("ns.yaml", others),
        ("deny.yaml", DENY),
    ];
    let expected = (true, vec!["decides-unread main/a/deny.yaml:1".to_owned()]);
    assert_eq!(told(&compared(&before, &before[1..2])), expected);
    assert_eq!(told(&compared(&before[1..], &before[1..2])), expected);
    // Without its policies, only that it is gone is a change.
    assert_eq!(told(&compared(&before[..2], &before[1..2])), nothing());
}

#[test]
fn a_deny_of_addresses_counts_as_well() {
    let open = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: x, namespace: shop-api}
spec:
  order: 300
  selector: all()
  types: [Egress]
  egress: [{action: Allow, destination: {nets: [198.51.100.0/24]}}]
";
    let deny = open
        .replace("name: x", "name: d")
        .replace("300", "200")
        .replace("Allow", "Deny")
        .replace("/24", "/25");
    let both = [("ns.yaml", NAMESPACES), ("x.yaml", open), ("d.yaml", &deny)];
    let gone = compared(&both, &both[..2]);
    assert_eq!(
        told(&gone),
        (true, vec!["decides-unread main/a/d.yaml:1".to_owned()])
    );
    assert!(
        gone.out.contains("namespace shop-api to addresses"),
        "{}",
        gone.out
    );
    let later = deny.replace("200", "400");
    assert!(told(&compared(&both, &[both[0], both[1], ("d.yaml", &later)])).0);
}

#[test]
fn a_namespace_that_becomes_another_applications_needs_approval() {
    let files = [
        ("ns.yaml", NAMESPACES),
        ("api.yaml", API),
        ("deny.yaml", DENY),
    ];
    let moved = NAMESPACES.replace("ord1", "shop1");
    let after = [("ns.yaml", moved.as_str()), files[1], files[2]];
    let ran = compared(&files, &after);
    assert_eq!(
        told(&ran),
        (true, vec!["namespace-joins a/ns.yaml:11".to_owned()]),
        "{}",
        ran.err
    );
    let json = ran.json();
    let message = json["findings"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("was of application ord1, and is of application shop1 now")
            && message.contains("namespace shop-api to namespace orders-db"),
        "{message}"
    );
    let arguments = ["-f", "a", "--base", "main", "--exit-on", "approval"];
    let files = [
        ("main/a/ns.yaml", NAMESPACES),
        ("a/ns.yaml", moved.as_str()),
        ("main/a/api.yaml", API),
        ("a/api.yaml", API),
    ];
    let table = review(&files, &arguments);
    assert_eq!(table.code, 1);
    assert!(
        table
            .out
            .ends_with("approval needed: 1 of 1 change crosses a boundary\n"),
        "{}",
        table.out
    );
    // Another label, and another namespace, is none of that.
    let other = NAMESPACES.replace("zone: data", "zone: data, contact: somebody");
    let added = format!(
        "{NAMESPACES}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: more, labels: {{applicationcode: m}}}}\n"
    );
    for after in [&other, &added] {
        let ran = compared(&[("ns.yaml", NAMESPACES)], &[("ns.yaml", after)]);
        assert_eq!(told(&ran), nothing(), "{after}");
    }
}

/// What it loses says no more whose it is, so that what names its application does not mean it.
#[test]
fn a_namespace_that_loses_what_says_whose_it_is_needs_approval() {
    let owned = NAMESPACES.replace(
        "applicationcode: ord1",
        "applicationcode: ord1, landingzones.dev/landing-zone: orders",
    );
    let without = NAMESPACES.replace("applicationcode: ord1, ", "");
    let zones = [("z.yaml", ZONES)];
    for (before, after, message) in [
        (
            NAMESPACES,
            without.as_str(),
            "was of application ord1, and is of no application now: policies that name it do not mean its pods any more",
        ),
        (
            owned.as_str(),
            NAMESPACES,
            "was of landing zone orders, and is of no landing zone now",
        ),
    ] {
        // Beside landing zones as without any.
        for others in [&zones[..], &[]] {
            let files =
                |namespaces| [others, &[("ns.yaml", namespaces), ("deny.yaml", DENY)]].concat();
            let ran = compared(&files(before), &files(after));
            let (asks, found) = told(&ran);
            assert!(
                asks && found == ["namespace-joins a/ns.yaml:11"],
                "{}{}",
                ran.out,
                ran.err
            );
            assert!(ran.out.contains(message), "{}", ran.out);
        }
    }
}

/// What is staged denies nothing.
#[test]
fn a_policy_that_becomes_a_staged_one_is_gone() {
    let staged = DENY.replace("NetworkPolicy", "StagedNetworkPolicy");
    let kubernetes = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop-api}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";
    let of_kubernetes = kubernetes
        .replace("networking.k8s.io/v1", "projectcalico.org/v3")
        .replace("NetworkPolicy", "StagedKubernetesNetworkPolicy");
    let of_cluster = DENY
        .replace(", namespace: shop-api", "")
        .replace("kind: ", "kind: Global")
        .replace(
            "selector: all()",
            "namespaceSelector: applicationcode == 'shop1'",
        );
    let of_cluster_staged = of_cluster.replace("kind: ", "kind: Staged");
    for (before, after) in [
        (DENY, staged.as_str()),
        (kubernetes, &of_kubernetes),
        (&of_cluster, &of_cluster_staged),
    ] {
        let files = |policy| [("ns.yaml", NAMESPACES), ("deny.yaml", policy)];
        let ran = compared(&files(before), &files(after));
        let expected = (true, vec!["decides-unread main/a/deny.yaml:1".to_owned()]);
        assert_eq!(told(&ran), expected, "{}", ran.out);
    }
}

/// The rule stays as it is, and means more.
#[test]
fn a_network_set_that_a_rule_comes_to_mean_needs_approval() {
    let set = |labels: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {{name: partners, labels: {{{labels}}}}}\n\
             spec: {{nets: [198.51.100.0/24]}}\n"
        )
    };
    let rule = |end: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: out, namespace: shop-api}}\nspec:\n  \
             selector: all()\n  types: [Egress]\n  egress:\n  - action: Allow\n    destination: {{{end}}}\n"
        )
    };
    let of_namespace = |labels: &str| {
        let text = set(labels).replace("kind: Global", "kind: ");
        text.replace("name: partners", "name: partners, namespace: shop-api")
    };
    let of_cluster = |end: &str| {
        let text = rule(end).replace("kind: ", "kind: Global");
        text.replace(", namespace: shop-api", "")
    };
    let partner = "selector: role == 'partner'";
    let global = format!("namespaceSelector: global(), {partner}");
    let labels = ["role: other", "role: partner"];
    let known = &[("ns.yaml", NAMESPACES)][..];
    for (rule, sets, around) in [
        (rule(&global), labels.map(set), &[known, &[]][..]),
        (of_cluster(partner), labels.map(set), &[known]),
        (rule(partner), labels.map(of_namespace), &[known, &[]]),
    ] {
        // With namespaces and, where the policy names one, without any.
        for others in around {
            let files = |set| [*others, &[("out.yaml", rule.as_str()), ("set.yaml", set)]].concat();
            let ran = compared(&files(sets[0].as_str()), &files(&sets[1]));
            let (asks, found) = told(&ran);
            assert!(asks && !found.is_empty(), "{rule}: {}{}", ran.out, ran.err);
            let same = compared(&files(&sets[0]), &files(&sets[0]));
            assert_eq!(told(&same), nothing(), "{rule}");
        }
    }
}

#[test]
fn with_landing_zones_the_boundary_holds_without_such_policies() {
    let deny = DENY.replace("shop-api", "application2-ns1");
    let both = [("z.yaml", ZONES), ("deny.yaml", &deny)];
    assert_eq!(told(&compared(&both, &both[..1])), nothing());
}

/// Like the others, with a stage.
fn staged(stage: &str) -> String {
    ZONES.replacen("spec:\n", &format!("spec:\n  stage: {stage}\n"), 1)
}

/// A boundary that denies nothing holds nothing either.
#[test]
fn where_a_landing_zone_only_observes_policies_alone_hold_its_boundary() {
    let deny = DENY.replace("shop-api", "application2-ns1");
    let narrow = deny.replace("all()", "app == 'x'");
    for (stage, asks) in [("Plan", true), ("Observe", true), ("Enforce", false)] {
        let zones = staged(stage);
        let both = [("z.yaml", zones.as_str()), ("deny.yaml", deny.as_str())];
        let gone = compared(&both, &both[..1]);
        let expected = if asks {
            (true, vec!["decides-unread main/a/deny.yaml:1".to_owned()])
        } else {
            nothing()
        };
        assert_eq!(told(&gone), expected, "{stage}: {}", gone.err);
        assert_eq!(
            gone.out.contains("namespace application2-ns1 to"),
            asks,
            "{}",
            gone.out
        );
        let narrowed = compared(&both, &[both[0], ("deny.yaml", &narrow)]);
        assert_eq!(told(&narrowed).0, asks, "{stage}: {}", narrowed.out);
        assert_eq!(told(&compared(&both, &both)), nothing());
        // What another one denies as well may go.
        let other = deny.replace("name: deny", "name: other");
        let twice = [both[0], both[1], ("other.yaml", other.as_str())];
        assert_eq!(told(&compared(&twice, &both)), nothing(), "{stage}");
    }
}

/// Namespaces beside the landing zones have nothing but policies.
#[test]
fn beside_landing_zones_policies_alone_hold_a_boundary() {
    let before = [
        ("z.yaml", ZONES),
        ("ns.yaml", NAMESPACES),
        ("deny.yaml", DENY),
    ];
    let gone = compared(&before, &before[..2]);
    let expected = (true, vec!["decides-unread main/a/deny.yaml:1".to_owned()]);
    assert_eq!(told(&gone), expected, "{}", gone.err);
    assert!(
        gone.out
            .contains("namespace shop-api to namespace orders-db"),
        "{}",
        gone.out
    );
    // What a landing zone's boundary denies stays closed.
    assert!(!gone.out.contains("application2-ns1"), "{}", gone.out);
    let moved = NAMESPACES.replace("ord1", "shop1");
    let joined = compared(&before, &[before[0], ("ns.yaml", &moved), before[2]]);
    let expected = (true, vec!["namespace-joins a/ns.yaml:11".to_owned()]);
    assert_eq!(told(&joined), expected, "{}", joined.err);
    // A namespace of a landing zone is labelled by it, whatever else is written.
    let own = |code: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: application2-ns1, labels: {{applicationcode: {code}}}}}\n"
        )
    };
    let (own, other) = (own("application2"), own("other"));
    let claimed = compared(
        &[before[0], ("own.yaml", &own)],
        &[before[0], ("own.yaml", &other)],
    );
    assert!(
        !claimed
            .out
            .contains("was of application application2, and is of"),
        "{}",
        claimed.out
    );
}

const CODE_DENY: &str = "\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny-all}
spec:
  namespaceSelector: has(applicationcode) && !has(exempt)
  types: [Ingress, Egress]
";

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\n")
}

/// It counts as one of an application, or as none that is denied, by its labels alone, as one does whose labels change.
#[test]
fn a_new_namespace_whose_labels_open_something_needs_approval() {
    let waived = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: probes
  namespace: shop-api
  annotations: {landingzones.dev/waive: 'code-missing: probes, approved'}
spec:
  selector: all()
  types: [Ingress]
  ingress: [{action: Allow, source: {namespaceSelector: role == 'probe'}}]
";
    for (labels, policy, opens) in [
        (
            "applicationcode: shop1, zone: frontend",
            API,
            "namespace more to namespace shop-api",
        ),
        (
            "applicationcode: m, exempt: 'true'",
            CODE_DENY,
            "namespace more to addresses",
        ),
        ("team: x", CODE_DENY, "namespace more to addresses"),
        (
            "applicationcode: m, role: probe",
            waived,
            "namespace more to namespace shop-api",
        ),
    ] {
        let known = [
            ("ns.yaml", NAMESPACES),
            ("deny.yaml", DENY),
            ("p.yaml", policy),
        ];
        let more = namespace("more", labels);
        let after = [&known[..], &[("more.yaml", more.as_str())]].concat();
        let ran = compared(&known, &after);
        let (asks, found) = told(&ran);
        let line = if labels.contains("applicationcode") {
            5
        } else {
            3
        };
        let expected = [format!("namespace-joins a/more.yaml:{line}")];
        assert!(
            asks && found == expected,
            "{labels}: {found:?} {}{}",
            ran.out,
            ran.err
        );
        let json = ran.json();
        let message = json["findings"][0]["message"].as_str().unwrap();
        assert!(
            message.starts_with("namespace more is new") && message.contains(opens),
            "{message}"
        );
        // It was there before.
        assert_eq!(told(&compared(&after, &after)), nothing(), "{labels}");
        // Of an application of its own, it is one like any other, and so are its namespaces to each other.
        let own = namespace("more", "applicationcode: m");
        let two = namespace("two", "applicationcode: m, zone: frontend");
        let own = [
            &known[..],
            &[("more.yaml", own.as_str()), ("two.yaml", &two)],
        ]
        .concat();
        let ran = compared(&known, &own);
        assert_eq!(told(&ran), nothing(), "{labels}: {}", ran.out);
    }
}

/// What it brings along of its own is judged where it stands.
#[test]
fn policies_of_a_new_namespace_are_not_what_its_labels_open() {
    let deny = "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: deny-all}\n\
                spec: {namespaceSelector: has(applicationcode), types: [Ingress, Egress]}\n";
    let dns = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: own, namespace: more}
spec:
  selector: all()
  types: [Ingress, Egress]
  ingress: [{action: Allow, source: {namespaceSelector: applicationcode == 'm'}}]
  egress: [{action: Allow, destination: {selector: k8s-app == 'kube-dns', namespaceSelector: projectcalico.org/name == 'kube-system'}}]
";
    let known = [("ns.yaml", NAMESPACES), ("deny.yaml", deny)];
    let more = namespace("more", "applicationcode: m");
    let after = [
        &known[..],
        &[("more.yaml", more.as_str()), ("own.yaml", dns)],
    ]
    .concat();
    let ran = compared(&known, &after);
    let (_, found) = told(&ran);
    assert!(
        !found.iter().any(|it| it.starts_with("namespace-joins")),
        "{}",
        ran.out
    );
}

/// Whoever is let go of need not be written down anywhere.
#[test]
fn a_deny_that_lets_go_of_a_namespace_that_nobody_wrote_down_needs_approval() {
    let deny = |selector: &str| CODE_DENY.replace("has(applicationcode) && !has(exempt)", selector);
    let kubernetes = "kubernetes.io/metadata.name not in {'kube-system'}";
    let calico = "projectcalico.org/name not in {'kube-system'}";
    for (before, after, opens) in [
        (
            kubernetes,
            "kubernetes.io/metadata.name not in {'kube-system', 'app4'}",
            "namespace app4",
        ),
        (
            calico,
            "projectcalico.org/name not in {'kube-system', 'app4'}",
            "namespace app4",
        ),
        (
            calico,
            "projectcalico.org/name == 'app4'",
            "a namespace that nobody names",
        ),
        (
            calico,
            "projectcalico.org/name not in {'kube-system'} && !has(exempt)",
            "a namespace labelled exempt=",
        ),
        (
            "all()",
            "has(kubernetes.io/metadata.name) && !projectcalico.org/name starts with 'kube-'",
            "a namespace whose name starts with 'kube-'",
        ),
    ] {
        for others in [&[][..], &[("ns.yaml", NAMESPACES)]] {
            let files = |deny| [others, &[("deny.yaml", deny)]].concat();
            let (before, after) = (deny(before), deny(after));
            let ran = compared(&files(before.as_str()), &files(&after));
            let expected = (true, vec!["decides-unread a/deny.yaml:1".to_owned()]);
            assert_eq!(told(&ran), expected, "{after}: {}{}", ran.out, ran.err);
            // What is written or named comes first, and not everything is shown.
            let is_shown = ran.out.contains(opens) || !others.is_empty();
            assert!(is_shown, "{opens}: {}", ran.out);
            // The other way round, nothing is let go of.
            if opens != "a namespace that nobody names" {
                let ran = compared(&files(&after), &files(&before));
                assert_eq!(told(&ran), nothing(), "{after}: {}{}", ran.out, ran.err);
            }
        }
    }
}
