//! Edits that open nothing more, and those that only look so.

use rstest::rstest;

use super::widened::{PARTNERS, WIDE, added, egress, is_known, set};

/// Rules of the backend's policy to ranges.
fn to(rules: &[&str]) -> String {
    let rules = rules.iter().map(|it| format!("{{action: Allow, {it}}}"));
    egress(&rules.collect::<Vec<_>>().join(", "))
}

#[rstest]
#[case::ranges(
    &["destination: {nets: [198.51.100.0/25]}", "destination: {nets: [198.51.100.128/25]}"],
    "destination: {nets: [198.51.100.0/24]}", "destination: {nets: [198.51.100.0/23]}"
)]
#[case::ports(
    &["protocol: TCP, destination: {nets: [198.51.100.0/25], ports: [80]}",
      "protocol: TCP, destination: {nets: [198.51.100.0/25], ports: [443]}"],
    "protocol: TCP, destination: {nets: [198.51.100.0/25], ports: [80, 443]}",
    "protocol: TCP, destination: {nets: [198.51.100.0/25], ports: [80, 443, 22]}"
)]
#[case::ranges_and_ports(
    &["protocol: TCP, destination: {nets: [198.51.100.0/25], ports: [80]}",
      "protocol: TCP, destination: {nets: [198.51.100.128/25], ports: [80, 443]}"],
    "protocol: TCP, destination: {nets: [198.51.100.0/24], ports: [80]}",
    "protocol: TCP, destination: {nets: [198.51.100.0/24], ports: [80, 443]}"
)]
#[case::labels(
    &["destination: {namespaceSelector: \"team == 'red'\"}", "destination: {namespaceSelector: \"team == 'blue'\"}"],
    "destination: {namespaceSelector: \"team in {'red','blue'}\"}",
    "destination: {namespaceSelector: \"team in {'red','blue','green'}\"}"
)]
fn rules_that_become_one_that_says_the_same_are_known(
    #[case] rules: &[&str],
    #[case] one: &str,
    #[case] more: &str,
) {
    let before = to(rules);
    is_known(&before);
    assert_eq!(added(&before, &to(&[one])), Vec::<String>::new(), "{one}");
    assert_eq!(added(&before, &to(&[more])).len(), 1, "{more}");
    // What only one of them opens is not open twice.
    assert_eq!(added(&to(&rules[..1]), &to(&[one])).len(), 1, "{one}");
}

#[test]
fn a_policy_that_is_only_called_otherwise_is_known_where_it_does_not_come_before_others() {
    let called =
        |name: &str, rules: &str| egress(rules).replace("name: out", &format!("name: {name}"));
    let deny = format!("{{action: Deny, destination: {{nets: [10.0.0.0/8]}}}}, {WIDE}");
    assert_eq!(
        added(&called("x", WIDE), &called("xx", WIDE)),
        Vec::<String>::new()
    );
    // Of the same order the first by name decides.
    assert_eq!(
        added(&called("xx", WIDE), &called("x", WIDE)),
        ["all-namespaces"]
    );
    assert_eq!(
        added(&called("x", &deny), &called("xx", &deny)),
        ["all-namespaces"]
    );
    let wider = WIDE.replace("[80, 443]", "[80, 443, 22]");
    assert_eq!(
        added(&called("x", WIDE), &called("xx", &wider)),
        ["all-namespaces"]
    );
    // A copy beside it is another policy, and so is one for other pods.
    let both = format!("{}---\n{}", called("x", WIDE), called("xx", WIDE));
    assert_eq!(added(&called("x", WIDE), &both), ["all-namespaces"]);
    let elsewhere = called("xx", WIDE).replace("application2-ns2", "application2-ns1");
    assert_eq!(added(&called("x", WIDE), &elsewhere), ["all-namespaces"]);
    // Nobody knows what one that is invalid opens.
    let invalid =
        |name: &str| called(name, WIDE).replace("selector: app == 'a'", "selector: app == ");
    assert_eq!(added(&invalid("x"), &invalid("xx")), ["invalid"]);
}

#[test]
fn a_network_set_inside_may_lose_addresses() {
    let set = |labels: &str, nets: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: NetworkSet\n\
             metadata: {{name: partners, namespace: application2-ns2, labels: {{{labels}}}}}\nspec: {{nets: [{nets}]}}\n"
        )
    };
    let wide = set("app: a", "8.8.8.0/24, 9.9.9.0/24");
    is_known(&wide);
    for narrower in [
        "8.8.8.8/32",
        "8.8.8.0/25, 8.8.8.128/25",
        "9.9.9.0/24, 8.8.8.0/24",
    ] {
        assert_eq!(
            added(&wide, &set("app: a", narrower)),
            Vec::<String>::new(),
            "{narrower}"
        );
    }
    for other in [
        set("app: a", "8.8.0.0/16"),
        set("app: b", "8.8.8.8/32"),
        set("app: a", "8.8.8.8"),
    ] {
        assert_eq!(added(&wide, &other), ["network-set-inside"], "{other}");
    }
    // What a rule denied by it is told where the rule is.
    let policy = egress(
        "{action: Deny, destination: {selector: app == 'a'}}, {action: Allow, destination: {nets: [8.8.0.0/16]}}",
    );
    let [before, after] =
        [wide, set("app: a", "8.8.8.8/32")].map(|it| format!("{policy}---\n{it}"));
    assert_eq!(added(&before, &after), ["nets-outside"]);
}

#[test]
fn of_a_policy_that_is_invalid_only_what_decides_nothing_may_change() {
    let before = egress("{action: Allow, destination: {selector: 'app =='}}");
    is_known(&before);
    let labelled = before.replace("name: out", "name: out, labels: {team: a}");
    let noted = before.replace(
        "action: Allow",
        "action: Allow, metadata: {annotations: {why: because}}",
    );
    for same in [&labelled, &noted] {
        assert_eq!(added(&before, same), Vec::<String>::new(), "{same}");
        assert_eq!(added(same, &before), Vec::<String>::new(), "{same}");
    }
    let odd = before.replace(
        "action: Allow",
        "action: Allow, metadata: {other: {why: because}}",
    );
    let other = before.replace("selector: app == 'a'", "selector: app == 'b'");
    for other in [&odd, &other] {
        assert!(
            added(&before, other).contains(&"invalid".to_owned()),
            "{other}"
        );
    }
}

#[test]
fn what_was_denied_may_go_where_nothing_is_open_behind_it() {
    let of = |rules: &[&str]| egress(&rules.join(", "));
    let deny = "{action: Deny, destination: {nets: [10.0.0.0/8]}}";
    let allow = |rest: &str| format!("{{action: Allow, protocol: TCP, destination: {{{rest}}}}}");
    let before = of(&[deny, &allow("nets: [0.0.0.0/0]")]);
    for narrower in [
        "nets: [0.0.0.0/0], notNets: [10.0.0.0/8]",
        "nets: [198.51.100.0/24]",
    ] {
        assert_eq!(
            added(&before, &of(&[&allow(narrower)])),
            Vec::<String>::new(),
            "{narrower}"
        );
    }
    for wider in [
        "nets: [0.0.0.0/0], notNets: [10.0.0.0/9]",
        "nets: [10.1.0.0/16]",
        "ports: [80]",
    ] {
        assert_ne!(
            added(&before, &of(&[&allow(wider)])),
            Vec::<String>::new(),
            "{wider}"
        );
    }
    let deny = "{action: Deny, protocol: TCP, destination: {ports: ['1:1023']}}";
    let before = of(&[deny, &allow("nets: [198.51.100.0/24]")]);
    let after = |ports: &str| {
        of(&[&allow(&format!(
            "nets: [198.51.100.0/24], ports: [{ports}]"
        ))])
    };
    assert_eq!(added(&before, &after("8080")), Vec::<String>::new());
    assert_eq!(added(&before, &after("8080, 443")), ["nets-outside"]);
    // Pods by their labels; an address may be in two network sets.
    let deny = "{action: Deny, destination: {namespaceSelector: \"team == 'red'\"}}";
    let before = of(&[deny, &allow("namespaceSelector: has(team)")]);
    let after = |selector: &str| of(&[&allow(&format!("namespaceSelector: \"{selector}\""))]);
    assert_eq!(
        added(&before, &after("team == 'blue'")),
        Vec::<String>::new()
    );
    assert_eq!(added(&before, &after("team in {'blue','red'}")).len(), 1);
    let deny =
        "{action: Deny, destination: {namespaceSelector: 'global()', selector: partner == 'no'}}";
    let with = |rules: &[&str]| {
        let more = set("partner: 'yes'", "203.0.113.0/24").replace("partners", "more");
        format!(
            "{}{}{more}",
            of(rules),
            set("partner: 'no'", "203.0.113.7/32")
        )
    };
    let some =
        "{action: Allow, destination: {namespaceSelector: 'global()', selector: has(partner)}}";
    assert_eq!(
        added(&with(&[deny, some]), &with(&[PARTNERS])),
        ["network-set"]
    );
}
