//! What changes for the whole cluster.

use rstest::rstest;

use super::fixture::{between, only, told};
use super::{BASE, egress};
use crate::review::changes::{Change, ChangeKind, Part};

const FIELDS: &str = "  destinations:\n";

/// The platform with more fields, beside landing zones that use what it has.
fn with(uses: bool, fields: &str) -> String {
    let base = if uses {
        let wide = "{name: wide, to: {cidrs: [10.0.0.0/8]}, ports: [{protocol: TCP, port: 22}]}";
        let text = egress(&format!(
            "{{name: x, to: {{destination: bank}}}}, {wide}, {{name: api, to: {{apiServer: true}}}}"
        ));
        text.replacen(
            "network: {egress",
            "network: {sharedServices: [monitoring, istio], egress",
            1,
        )
    } else {
        BASE.to_owned()
    };
    base.replacen(FIELDS, &format!("{fields}{FIELDS}"), 1)
}

fn replaced(uses: bool, piece: &str, other: &str) -> Vec<Change> {
    let before = with(uses, "");
    assert!(before.contains(piece), "{piece}");
    between(&before, &before.replacen(piece, other, 1))
}

#[rstest]
#[case::exempt(
    "  defaultDeny: {stage: Enforce}\n", "  defaultDeny: {stage: Enforce}\n  exempt: {namespaces: [mine]}\n",
    (Part::Exempt, ChangeKind::Widened, true), "mine are added"
)]
#[case::exempt_by_fewer_labels(
    "  defaultDeny: {stage: Enforce}\n  exempt: {selector: {matchLabels: {a: b, c: d}}}\n",
    "  defaultDeny: {stage: Enforce}\n  exempt: {selector: {matchLabels: {a: b}}}\n",
    (Part::Exempt, ChangeKind::Widened, true), "by labels a=b, was a=b, c=d"
)]
#[case::exempt_by_more_labels(
    "  defaultDeny: {stage: Enforce}\n  exempt: {selector: {matchLabels: {a: b}}}\n",
    "  defaultDeny: {stage: Enforce}\n  exempt: {selector: {matchLabels: {a: b, c: d}}}\n",
    (Part::Exempt, ChangeKind::Narrowed, false), "by labels a=b, c=d"
)]
#[case::exempt_from_nothing("", "  exempt: {namespaces: [mine]}\n", (Part::Exempt, ChangeKind::Changed, false), "without effect")]
#[case::deny("", "  defaultDeny: {stage: Enforce}\n", (Part::DefaultDeny, ChangeKind::Raised, false), "it opens nothing")]
#[case::deny_no_more("  defaultDeny: {stage: Enforce}\n", "  defaultDeny: {stage: Observe}\n", (Part::DefaultDeny, ChangeKind::Lowered, true), "nothing is denied any more")]
#[case::expired_stay_open("  expiredCrossings: Close\n", "", (Part::ExpiredCrossings, ChangeKind::Lowered, true), "stay open")]
#[case::expired_close("", "  expiredCrossings: Close\n", (Part::ExpiredCrossings, ChangeKind::Raised, false), "are closed")]
#[case::dns("", "  dns: {extraAddresses: [169.254.10.10]}\n", (Part::Dns, ChangeKind::Widened, true), "from not known to 169.254.10.10/32")]
#[case::dns_gone("  dns: {extraAddresses: [169.254.10.10]}\n", "", (Part::Dns, ChangeKind::Narrowed, false), "to not known")]
#[case::roles("", "  access: {clusterRoles: [view, deployer]}\n", (Part::Roles, ChangeKind::Changed, false), "to deployer, view")]
#[case::https("", "  workloadRules: {httpsIngress: Enforce}\n", (Part::WorkloadRules, ChangeKind::Raised, false), "it opens nothing")]
#[case::https_no_more("  workloadRules: {httpsIngress: Enforce}\n", "  workloadRules: {httpsIngress: Observe}\n", (Part::WorkloadRules, ChangeKind::Lowered, true), "plain HTTP are refused no more")]
#[case::https_off("  workloadRules: {httpsIngress: Observe}\n", "", (Part::WorkloadRules, ChangeKind::Lowered, false), "nothing was refused before")]
#[case::more_ports(
    "  workloadRules: {servicePorts: {stage: Enforce, allowed: [443]}}\n",
    "  workloadRules: {servicePorts: {stage: Enforce, allowed: [443, 80]}}\n",
    (Part::WorkloadRules, ChangeKind::Widened, true), "from 443 to 80, 443"
)]
#[case::more_ports_while_observed(
    "  workloadRules: {servicePorts: {stage: Observe, allowed: [443]}}\n",
    "  workloadRules: {servicePorts: {stage: Observe, allowed: [443, 80]}}\n",
    (Part::WorkloadRules, ChangeKind::Changed, false), "nothing else was refused before"
)]
#[case::fewer_addresses(
    "  workloadRules: {externalIPs: {stage: Enforce, allowed: [192.0.2.0/24]}}\n",
    "  workloadRules: {externalIPs: {stage: Enforce, allowed: [192.0.2.4]}}\n",
    (Part::WorkloadRules, ChangeKind::Narrowed, false), "from 192.0.2.0/24 to 192.0.2.4/32"
)]
#[case::host_network(
    "  workloadRules: {hostNetwork: {stage: Enforce}}\n",
    "  workloadRules: {hostNetwork: {stage: Enforce, allowHostNetwork: true}}\n",
    (Part::WorkloadRules, ChangeKind::Widened, true), "from false to true"
)]
#[case::defaults("", "  defaults: {quota: {pods: '5'}}\n", (Part::Defaults, ChangeKind::Changed, false), "where they say nothing")]
fn the_platform_changes(
    #[case] before: &str,
    #[case] after: &str,
    #[case] expected: (Part, ChangeKind, bool),
    #[case] says: &str,
) {
    for uses in [false, true] {
        let found = between(&with(uses, before), &with(uses, after));
        let change = only(&found);
        let (part, kind, crosses) = expected;
        assert_eq!(
            (change.part, change.kind, change.crosses_boundary),
            (part, kind, crosses),
            "{change}"
        );
        assert!(change.message.contains(says), "{change}");
        assert_eq!(change.landing_zone, None);
    }
}

/// What is told where landing zones use it, and whether it needs approval; where none does, it never does.
#[rstest]
#[case::wider_destination("192.0.2.0/28", "192.0.2.0/27", (Part::Destination, ChangeKind::Widened), true, "for landing zone application2; was 192.0.2.0/28")]
#[case::narrower_destination("192.0.2.0/28", "192.0.2.0/29", (Part::Destination, ChangeKind::Narrowed), false, "was 192.0.2.0/28")]
#[case::destination_of_another("owner: treasury", "owner: me", (Part::Destination, ChangeKind::Reworded), false, "of treasury")]
#[case::more_ports_of_a_service(", ports: [{protocol: TCP, port: 9090}]", "", (Part::SharedService, ChangeKind::Widened), true, "for landing zone application2")]
#[case::other_pods_of_a_service("tier: monitoring", "tier: other", (Part::SharedService, ChangeKind::Widened), true, "tier=other")]
#[case::fewer_pods_of_a_service("tier: monitoring", "tier: monitoring, a: b", (Part::SharedService, ChangeKind::Narrowed), false, "a=b")]
#[case::service_turns("ToLandingZones", "FromLandingZones", (Part::SharedService, ChangeKind::Widened), true, "to namespaces")]
#[case::nodes_are_not_known(", nodeCidrs: [10.240.0.0/24]", "", (Part::Network, ChangeKind::Widened), true, "opens more for landing zone application2")]
#[case::server("podCidrs", "apiServer: [10.2.0.4], podCidrs", (Part::Network, ChangeKind::Widened), true, "opens more for landing zone application2")]
#[case::services("podCidrs", "serviceCidrs: [10.0.0.0/16], podCidrs", (Part::Network, ChangeKind::Changed), false, "from not known to 10.0.0.0/16")]
fn what_is_used(
    #[case] piece: &str,
    #[case] other: &str,
    #[case] expected: (Part, ChangeKind),
    #[case] crosses: bool,
    #[case] says: &str,
) {
    let found = replaced(true, piece, other);
    let change = only(&found);
    assert_eq!(
        (change.part, change.kind, change.crosses_boundary),
        (expected.0, expected.1, crosses),
        "{change}"
    );
    assert!(change.message.contains(says), "{change}");
    if crosses {
        assert_ne!(change.reach.after, [] as [&str; 0], "{change:?}");
    }
    let found = replaced(false, piece, other);
    assert!(!only(&found).crosses_boundary, "{:#?}", told(&found));
}

#[test]
fn ranges_of_pods_are_what_passes_for_a_pod() {
    for uses in [false, true] {
        let found = replaced(
            uses,
            "podCidrs: [10.244.0.0/16]",
            "podCidrs: [10.244.0.0/17]",
        );
        let change = only(&found);
        assert!(change.crosses_boundary, "{change}");
        assert_eq!(change.path.to_string(), "spec.network.podCidrs");
    }
}

#[test]
fn a_service_for_all_needs_approval_once() {
    let all = (
        "direction: ToLandingZones",
        "landingZones: All, direction: ToLandingZones",
    );
    let found = replaced(false, all.0, all.1);
    let change = only(&found);
    assert_eq!(
        (change.kind, change.crosses_boundary),
        (ChangeKind::Widened, true)
    );
    assert!(change.message.contains("for all landing zones"), "{change}");
    assert_eq!(change.path.to_string(), "spec.sharedServices[0]");
    assert_eq!(change.reach.after.len(), 4, "{change:?}");
}

#[test]
fn presets_are_services() {
    let unused = between(&with(false, ""), &with(false, "  presets: [istio]\n"));
    let kinds: Vec<_> = unused
        .iter()
        .map(|it| (it.kind, it.crosses_boundary, it.path.to_string()))
        .collect();
    let added = || (ChangeKind::Added, false, "spec.presets".to_owned());
    assert_eq!(kinds, [added(), added()]);
    let used = between(&with(true, ""), &with(true, "  presets: [istio]\n"));
    let opened: Vec<_> = used.iter().filter(|it| it.crosses_boundary).collect();
    assert_eq!(opened.len(), 1, "{:#?}", told(&used));
    assert_eq!(
        (opened[0].name.as_str(), opened[0].kind),
        ("istio", ChangeKind::Opened)
    );
    let line = "application2/backend → namespaces with kubernetes.io/metadata.name=istio-system TCP 15010, TCP 15012";
    assert!(
        opened[0].reach.after.iter().any(|it| it == line),
        "{:?}",
        opened[0].reach
    );
}

#[test]
fn what_a_wide_crossing_reaches_when_nodes_are_not_known() {
    let found = replaced(true, ", nodeCidrs: [10.240.0.0/24]", "");
    let reach = &only(&found).reach;
    let line = "application2/backend → 10.0.0.0/8 except 10.244.0.0/16 TCP 22";
    assert!(reach.after.iter().any(|it| it == line), "{reach:#?}");
}
