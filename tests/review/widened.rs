//! What widens a finding that is known, and what only looks so.

use rstest::rstest;

use super::base::{TO_PARTNER, zones};
use super::command::*;

/// The rules of what a change from some text to another one adds, with the declarations before and after.
fn added_with(zones: [&str; 2], before: &str, after: &str) -> Vec<String> {
    added_where(zones, (before, after), &[])
}

fn added_where(zones: [&str; 2], (before, after): (&str, &str), more: &[&str]) -> Vec<String> {
    let files = [
        ("main/a/z.yaml", zones[0]),
        ("main/a/p.yaml", before),
        ("a/z.yaml", zones[1]),
        ("a/p.yaml", after),
    ];
    let arguments = [&["-f", "a", "--base", "main", "-o", "json"], more].concat();
    let ran = review(&files, &arguments);
    assert_eq!(ran.err, "", "{before}\n{after}");
    ran.rules()
}

pub fn added(before: &str, after: &str) -> Vec<String> {
    added_with([ZONES, ZONES], before, after)
}

/// Whether each text is found at all, and nothing of it is new beside itself.
pub fn is_known(text: &str) {
    let found = review(
        &[("z.yaml", ZONES), ("p.yaml", text)],
        &["-f", ".", "-o", "json"],
    );
    assert_ne!(found.rules(), Vec::<String>::new(), "{text}");
    assert_eq!(added(text, text), Vec::<String>::new(), "{text}");
}

/// A policy of the backend with these rules for what goes out.
pub fn egress(rules: &str) -> String {
    format!(
        "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {{name: out, namespace: application2-ns2}}
spec:
  selector: app == 'a'
  types: [Egress]
  egress: [{rules}]
"
    )
}

/// A policy of the whole cluster with a rule for what comes in.
fn global(selector: &str, rule: &str) -> String {
    format!(
        "\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {{name: platform}}
spec:
  namespaceSelector: \"{selector}\"
  types: [Ingress]
  ingress: [{{action: Allow, {rule}}}]
"
    )
}

pub fn set(labels: &str, nets: &str) -> String {
    format!(
        "\
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata: {{name: partners, labels: {{{labels}}}}}
spec: {{nets: [{nets}]}}
"
    )
}

pub const PARTNERS: &str =
    "{action: Allow, destination: {namespaceSelector: 'global()', selector: partner == 'yes'}}";

#[test]
fn ranges_that_a_known_rule_comes_to_mean_are_new() {
    let policy = egress(PARTNERS);
    let before = format!("{policy}{}", set("partner: 'yes'", "203.0.113.7/32"));
    is_known(&before);
    let wider = format!(
        "{policy}{}",
        set("partner: 'yes'", "203.0.113.7/32, 198.51.100.0/24")
    );
    assert_eq!(added(&before, &wider), ["network-set"]);
    assert_eq!(added(&wider, &before), Vec::<String>::new());
    let other = format!(
        "{before}{}",
        set("partner: 'yes'", "198.51.100.9/32").replace("partners", "more")
    );
    assert_eq!(added(&before, &other), ["network-set"]);
    // A set that is cut in two says the same.
    let two = "203.0.113.0/25, 203.0.113.128/25";
    let [one, two] =
        ["203.0.113.0/24", two].map(|it| format!("{policy}{}", set("partner: 'yes'", it)));
    assert_eq!(added(&one, &two), Vec::<String>::new());
    assert_eq!(added(&two, &one), Vec::<String>::new());
}

#[test]
fn a_set_that_joins_a_rule_about_pods_is_new() {
    // Pods outside are found first, and were known.
    let policy = egress("{action: Allow, destination: {namespaceSelector: team == 'red'}}");
    let inside = "\
---
apiVersion: v1
kind: Namespace
metadata: {name: red, labels: {team: red}}
---
apiVersion: projectcalico.org/v3
kind: NetworkSet
metadata: {name: partners, namespace: red}
spec: {nets: [NETS]}
";
    let with = |nets: &str| format!("{policy}{}", inside.replace("NETS", nets));
    is_known(&with(""));
    assert_eq!(
        added(&with(""), &with("203.0.113.0/24")),
        ["namespace-labels"]
    );
    assert_eq!(
        added(&with("203.0.113.0/24"), &with("")),
        Vec::<String>::new()
    );
}

#[test]
fn a_finding_about_pods_names_the_sets_that_are_meant_as_well() {
    let policy = egress(
        "{action: Allow, destination: {namespaceSelector: 'all()', selector: partner == 'yes'}}",
    );
    let text = format!(
        "{policy}{}",
        set(
            "partner: 'yes', projectcalico.org/namespace: x",
            "203.0.113.7/32"
        )
    );
    let ran = review(
        &[("z.yaml", ZONES), ("p.yaml", &text)],
        &["-f", ".", "-o", "json"],
    );
    let json = ran.json();
    let findings = json["findings"].as_array().unwrap();
    let pods = findings.iter().find(|it| it["rule"] == "all-namespaces");
    let witness = pods.unwrap()["witness"].as_str().unwrap();
    assert!(
        witness.ends_with(
            ", or whoever has an address of 203.0.113.7/32, by the network set partners"
        ),
        "{witness}"
    );
}

#[test]
fn another_landing_zone_whose_pods_join_a_known_policy_is_new() {
    let rule = "source: {namespaceSelector: \"applicationcode == 'billing'\"}";
    let policy = global("has(applicationcode)", rule);
    let more = format!(
        "{ZONES}---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZone
metadata: {{name: shop}}
spec:
  applicationCode: shop
  namespaces:
  - {{name: shop-ns1, zone: web}}
"
    );
    is_known(&policy);
    let added_by = |before: &str, after: &str| added_with([before, after], &policy, &policy);
    assert_eq!(added_by(ZONES, &more), ["code-wrong"]);
    assert_eq!(added_by(&more, ZONES), Vec::<String>::new());
    // A landing zone that all of it is inside of joins nothing.
    let billing = more.replace("applicationCode: shop", "applicationCode: billing");
    assert_eq!(added_by(ZONES, &billing), Vec::<String>::new());
    // Nor does one that the policy is not for.
    let narrow = global("applicationcode in {'orders','application2'}", rule);
    assert_eq!(
        added_with([ZONES, &more], &narrow, &narrow),
        Vec::<String>::new()
    );
    let narrower = global("applicationcode == 'orders'", rule);
    assert_eq!(added(&narrow, &narrower), Vec::<String>::new());
    assert_eq!(added(&narrower, &narrow), ["code-wrong"]);
}

#[test]
fn another_landing_zone_that_joins_what_comes_before_the_boundary_is_new() {
    let more = ZONES.replace("orders", "shop") + "---\n" + ZONES;
    let more = more
        .split("---\n")
        .skip(1)
        .collect::<Vec<_>>()
        .join("---\n");
    let early = |selector: &str| {
        let rule = "source: {namespaceSelector: \"applicationcode == 'billing'\"}";
        let inside = "source: {namespaceSelector: \"applicationcode == 'shop'\"}";
        global(
            selector,
            if selector == "zone == 'data'" {
                rule
            } else {
                inside
            },
        )
        .replace("  types", "  order: 5\n  types")
    };
    for selector in ["zone == 'data'", "applicationcode == 'shop'"] {
        let policy = early(selector);
        let added = |zones| added_where(zones, (&policy, &policy), &["--tiers=false"]);
        let new = added([ZONES, &more]);
        assert!(
            new.contains(&"order-before-platform".to_owned()),
            "{selector}: {new:?}"
        );
        assert_eq!(added([&more, &more]), Vec::<String>::new());
    }
}

/// A policy to the partner, on these ports.
fn to_partner(ports: &str) -> String {
    egress(&format!(
        "{{action: Allow, protocol: TCP, destination: {{nets: [203.0.113.0/24], ports: [{ports}]}}}}"
    ))
}

#[test]
fn what_a_crossing_covers_no_longer_is_new() {
    let ports = "      ports: [{protocol: TCP, port: 443}]\n";
    let two = TO_PARTNER.replace("port: 443}", "port: 443}, {protocol: TCP, port: 8443}");
    let narrow = TO_PARTNER.replace("203.0.113.0/24", "203.0.113.0/25");
    let any = TO_PARTNER.replace(ports, "");
    let policy = to_partner("443, 8443, 22");
    let of = |before: &str, after: &str| {
        let zones = [zones(10, before), zones(10, after)];
        added_with([&zones[0], &zones[1]], &policy, &policy)
    };
    assert_eq!(of(&two, &two), Vec::<String>::new());
    assert_eq!(of(TO_PARTNER, &two), Vec::<String>::new());
    for after in [TO_PARTNER, &narrow, ""] {
        assert_eq!(of(&two, after), ["nets-outside"], "{after}");
    }
    // Declared wholly, and then no longer.
    assert_eq!(of(&any, &two), ["nets-outside"]);
}

#[test]
fn ranges_that_come_to_be_those_of_pods_are_new() {
    let platform = |cidr: &str| {
        format!(
            "{ZONES}---
apiVersion: landingzones.dev/v1alpha1
kind: LandingZonePlatform
metadata: {{name: cluster}}
spec:
  network:
    podCidrs: [{cidr}]
"
        )
    };
    let policy = egress("{action: Allow, destination: {nets: [10.9.0.0/16]}}");
    let [before, after] = [platform("10.8.0.0/16"), platform("10.9.0.0/16")];
    assert_eq!(
        added_with([&before, &after], &policy, &policy),
        ["nets-reach-pods"]
    );
    assert_eq!(
        added_with([&after, &before], &policy, &policy),
        Vec::<String>::new()
    );
}

pub const WIDE: &str =
    "{action: Allow, protocol: TCP, destination: {namespaceSelector: 'all()', ports: [80, 443]}}";

#[rstest]
#[case::numbers_as_text("[80, 443]", "['443', 80]")]
#[case::a_range("[80, 443]", "['80:80', 443]")]
#[case::one_of_them("[80, 443]", "[443]")]
#[case::within_a_range("['80:90']", "[81, '85:90']")]
#[case::ranges_together("['80:90']", "['80:85', '86:90']")]
#[case::ranges_apart("['80:85', '86:90']", "['80:90']")]
#[case::a_note(
    "action: Allow",
    "action: Allow, metadata: {annotations: {why: because}}"
)]
#[case::fewer_namespaces("'all()'", "\"team == 'red'\"")]
#[case::fewer_pods(
    "namespaceSelector: 'all()'",
    "namespaceSelector: 'all()', selector: has(app)"
)]
#[case::other_pods_left_out(
    "namespaceSelector: 'all()'",
    "namespaceSelector: 'all()', notSelector: has(app)"
)]
#[case::pods_that_are_selected("selector: app == 'a'", "selector: app == 'a' && has(b)")]
#[case::a_version_of_ip("action: Allow", "action: Allow, ipVersion: 4")]
#[case::some_ports_left_out("[80, 443]", "[80, 443], notPorts: [443]")]
#[case::another_way_to_write("'all()'", "'has(projectcalico.org/name)'")]
fn what_opens_no_more_is_known(#[case] what: &str, #[case] instead: &str) {
    let before = egress(&WIDE.replace(
        "[80, 443]",
        if what.contains(':') && what.starts_with('[') {
            what
        } else {
            "[80, 443]"
        },
    ));
    assert!(before.contains(what), "{before}");
    let after = before.replacen(what, instead, 1);
    is_known(&before);
    is_known(&after);
    assert_eq!(added(&before, &after), Vec::<String>::new(), "{after}");
}

#[rstest]
#[case::another_port("[80, 443]", "[80, 444]")]
#[case::a_wider_range("[80, 443]", "['80:443']")]
#[case::every_port(", ports: [80, 443]", "")]
#[case::another_protocol("TCP", "UDP")]
#[case::other_pods("selector: app == 'a'", "selector: has(app)")]
#[case::ports_that_were_left_out("notPorts: [22]", "notPorts: [23]")]
#[case::where_it_comes_from("source: {ports: [53]}", "source: {ports: [53, 54]}")]
#[case::from_anywhere("source: {ports: [53]}", "source: {}")]
#[case::both_versions("ipVersion: 4, ", "")]
#[case::before_others("  types: [Egress]", "  order: 200\n  types: [Egress]")]
#[case::another_way("'all()'", "'all() || !has(projectcalico.org/name)'")]
fn what_opens_more_is_new(#[case] what: &str, #[case] instead: &str) {
    let narrow = WIDE
        .replace(
            "action: Allow",
            "action: Allow, ipVersion: 4, source: {ports: [53]}",
        )
        .replace("ports: [80, 443]", "ports: [80, 443], notPorts: [22]");
    let before = egress(&narrow);
    assert!(before.contains(what), "{before}");
    let after = before.replacen(what, instead, 1);
    is_known(&before);
    assert_eq!(added(&before, &after).len(), 1, "{after}");
}

#[test]
fn what_is_taken_away_before_a_rule_counts() {
    let all = "{action: Allow, destination: {namespaceSelector: 'all()'}}";
    let other = "{action: Deny, destination: {namespaceSelector: \"team == 'green'\"}}";
    let deny = "{action: Deny, destination: {namespaceSelector: \"team in {'red','blue'}\"}}";
    let less = "{action: Deny, destination: {namespaceSelector: \"team == 'red'\"}}";
    let range = "{action: Deny, destination: {nets: [10.0.0.0/8]}}";
    let of = |rules: &[&str]| egress(&rules.join(", "));
    let before = of(&[deny, range, all]);
    is_known(&before);
    for same in [&[range, deny, all][..], &[deny, other, range, all]] {
        assert_eq!(added(&before, &of(same)), Vec::<String>::new(), "{same:?}");
    }
    for more in [
        &[deny, all][..],
        &[range, all],
        &[less, range, all],
        &[deny, all, range],
    ] {
        assert_eq!(added(&before, &of(more)), ["all-namespaces"], "{more:?}");
    }
    // What is denied by a set is no longer where it loses its ranges.
    let deny =
        "{action: Deny, destination: {selector: partner == 'yes', namespaceSelector: 'global()'}}";
    let policy = of(&[
        deny,
        "{action: Allow, destination: {nets: [203.0.113.0/24]}}",
    ]);
    let [wide, narrow] = ["203.0.113.0/25", "203.0.113.0/26"]
        .map(|it| format!("{policy}{}", set("partner: 'yes'", it)));
    assert_eq!(added(&wide, &narrow), ["nets-outside"]);
    assert_eq!(added(&narrow, &wide), Vec::<String>::new());
}

#[test]
fn a_policy_may_move_back_where_it_denies_nothing() {
    let at = |order: u16, rules: &str| {
        egress(rules).replace("  types", &format!("  order: {order}\n  types"))
    };
    let deny = format!("{{action: Deny, destination: {{nets: [10.0.0.0/8]}}}}, {WIDE}");
    assert_eq!(added(&at(200, WIDE), &at(300, WIDE)), Vec::<String>::new());
    assert_eq!(added(&at(200, WIDE), &egress(WIDE)), Vec::<String>::new());
    assert_eq!(added(&at(300, WIDE), &at(200, WIDE)), ["all-namespaces"]);
    assert_eq!(added(&at(200, &deny), &at(300, &deny)), ["all-namespaces"]);
}

#[test]
fn the_same_policy_in_another_form_of_the_api_is_known() {
    let api = egress(WIDE);
    let stored = api
        .replace("projectcalico.org/v3", "crd.projectcalico.org/v1")
        .replace("name: out", "name: default.out");
    assert_eq!(added(&stored, &api), Vec::<String>::new());
    assert_eq!(added(&api, &stored), Vec::<String>::new());
    // Without types the storage has both directions, which is told, and opens no more.
    let silent = |text: &str| text.replace("  types: [Egress]\n", "");
    assert_eq!(added(&silent(&stored), &silent(&api)), ["types-missing"]);
    let other = api.replace("name: out", "name: other");
    assert_eq!(added(&stored, &other), ["all-namespaces"]);
}

#[test]
fn ranges_that_are_narrower_are_known_under_any_rule() {
    let of = |end: &str| egress(&format!("{{action: Allow, destination: {{{end}}}}}"));
    let wide = of("nets: [0.0.0.0/0]");
    for narrower in [
        "nets: [203.0.113.0/24, 198.51.100.0/24]",
        "nets: [169.254.169.254/32]",
        "nets: [0.0.0.0/0], notNets: [10.0.0.0/8]",
    ] {
        assert_eq!(
            added(&wide, &of(narrower)),
            Vec::<String>::new(),
            "{narrower}"
        );
        assert_eq!(
            added(&of(narrower), &wide),
            ["nets-everything"],
            "{narrower}"
        );
        assert_eq!(
            added(&of(""), &of(narrower)),
            Vec::<String>::new(),
            "{narrower}"
        );
    }
    // Whatever is not one of some pods.
    let others = of("notSelector: app == 'x', namespaceSelector: 'all()'");
    assert_eq!(
        added(&others, &of("namespaceSelector: 'all()'")),
        ["all-namespaces"]
    );
    assert_eq!(
        added(&of("nets: [10.0.0.0/8]"), &of("nets: ['::/0']")).len(),
        1
    );
}

#[test]
fn a_waiver_settles_what_it_was_written_for() {
    let waive = |selector: &str| waived(&policy(selector), "code-missing: because we say so");
    let [narrower, known, wider] =
        ["zone == 'web'", "zone in {'web','frontend'}", "has(zone)"].map(waive);
    assert_eq!(added(&known, &narrower), Vec::<String>::new());
    assert_eq!(added(&known, &wider), ["code-missing"]);
    // One that comes along has to be approved, and what is no longer waived as well.
    let unwaived = policy("zone in {'web','frontend'}");
    assert_eq!(added(&unwaived, &known), ["code-missing"]);
    assert_eq!(added(&known, &unwaived), ["code-missing"]);
}

#[test]
fn peers_and_ports_of_kubernetes_are_compared_one_by_one() {
    let of = |from: &str, ports: &str| {
        format!(
            "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: in, namespace: application2-ns2}}
spec:
  podSelector: {{}}
  policyTypes: [Ingress]
  ingress: [{{from: [{from}], ports: [{ports}]}}]
"
        )
    };
    let red = "{namespaceSelector: {matchLabels: {team: red}}}";
    let blue = "{namespaceSelector: {matchLabels: {team: blue}}}";
    let range = "{ipBlock: {cidr: 203.0.113.0/24}}";
    let less = "{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.7/32]}}";
    let pods =
        "{namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {a: b}}}";
    let [http, https] = ["{protocol: TCP, port: 80}", "{port: 443}"];
    let both = format!("{http}, {https}");
    let before = of(&format!("{red}, {range}"), &both);
    for (from, ports) in [
        (red, &*both),
        (pods, https),
        (less, http),
        (range, "{protocol: TCP, port: 80, endPort: 80}"),
    ] {
        assert_eq!(
            added(&before, &of(from, ports)),
            Vec::<String>::new(),
            "{from} {ports}"
        );
    }
    for (from, ports) in [
        (blue, &*both),
        (red, ""),
        (range, "{protocol: UDP, port: 80}"),
        ("{namespaceSelector: {}}", http),
    ] {
        assert_eq!(added(&before, &of(from, ports)).len(), 1, "{from} {ports}");
    }
    let narrow = of(&format!("{pods}, {less}"), http);
    assert_eq!(added(&narrow, &before).len(), 2);
}

/// Felix by itself does not look at requests, but who asks for fewer of them means less.
#[test]
fn requests_of_http_are_asked_for_where_they_come_in() {
    let ingress = |http: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: in, namespace: application2-ns2}}\n\
             spec:\n  selector: app == 'a'\n  types: [Ingress]\n  ingress: [{{action: Allow, protocol: TCP, {http}\
             source: {{namespaceSelector: all()}}, destination: {{ports: [80]}}}}]\n"
        )
    };
    let (some, all) = (ingress("http: {methods: [GET]}, "), ingress(""));
    assert_eq!(added(&some, &all), ["all-namespaces"]);
    assert_eq!(added(&all, &some), ["unknown-field"]);
}
