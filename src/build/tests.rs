use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;

use super::fixture::{
    CALICO, CRD_NO_TIERS, V3_NO_TIERS, V3_TIERS, access, any_landing_zone, any_openings,
    any_platform, end, flow, landing_zone as empty, namespace, platform, released, sample,
};
use super::*;
use crate::api::{
    CrossingDirection, IntraZone, NodeOperator, PodSecurity, SubjectKind, TolerationEffect,
    TolerationOperator, WhenUnsatisfiable, names,
};
use crate::domain::{
    CrossingEnd, Limits, NodeRequirement, Opening, Placement, Reach, Selected, Toleration,
};
use crate::policy::{Action, MAX_SELECTOR_LENGTH, Selector};

mod large;
mod properties;

fn render(zone: &LandingZone, flavour: Flavour) -> Desired {
    landing_zone(
        zone,
        &[],
        &platform(),
        &Openings::default(),
        &TeamPolicies::default(),
        flavour,
    )
}

fn names_of(policies: &[GlobalNetworkPolicy]) -> Vec<&str> {
    policies
        .iter()
        .map(|policy| policy.metadata.name.as_deref().unwrap())
        .collect()
}

fn policy<'a>(desired: &'a Desired, name: &str) -> &'a GlobalNetworkPolicy {
    desired
        .global_network_policies
        .iter()
        .find(|policy| policy.metadata.name.as_deref() == Some(name))
        .unwrap()
}

#[test]
fn the_sample_with_tiers() {
    insta::assert_yaml_snapshot!(render(&sample(), V3_TIERS).global_network_policies);
}

#[test]
fn the_sample_without_tiers() {
    insta::assert_yaml_snapshot!(render(&sample(), V3_NO_TIERS).global_network_policies);
}

#[test]
fn the_sample_in_calico_s_storage() {
    insta::assert_yaml_snapshot!(render(&sample(), CRD_NO_TIERS).global_network_policies);
}

#[test]
fn the_sample_with_kubernetes_policies() {
    let desired = render(&sample(), Flavour::KUBERNETES);
    assert!(desired.global_network_policies.is_empty());
    insta::assert_yaml_snapshot!(desired.network_policies);
}

/// Whoever bears the label of a landing zone without belonging to it is closed by name: first of all but DNS where a
/// policy can deny, and nowhere allowed where it cannot.
#[test]
fn pretenders_are_closed_by_name() {
    let mut openings = openings();
    let names = ["false-orders", "false-shop"];
    openings.pretenders = names.iter().map(|name| name.parse().unwrap()).collect();
    let rendered = |flavour| {
        let nothing = TeamPolicies::default();
        landing_zone(&sample(), &[], &platform(), &openings, &nothing, flavour)
    };
    let policies = rendered(V3_NO_TIERS).global_network_policies;
    let orders: Vec<_> = policies.iter().map(|it| it.spec.order.unwrap()).collect();
    assert_eq!(orders[..3], [10.0, 15.0, 20.0]);
    let denies = &policies[1];
    let peer = "projectcalico.org/name in {'false-orders','false-shop'}";
    for (rules, other) in [
        (&denies.spec.ingress, &denies.spec.ingress[0].source),
        (&denies.spec.egress, &denies.spec.egress[0].destination),
    ] {
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].action, Action::Deny);
        assert_eq!(other.namespace_selector.as_deref(), Some(peer));
    }
    let text = serde_json::to_value(&rendered(Flavour::KUBERNETES).network_policies).unwrap();
    let text = text.to_string();
    let by_label = text.matches("\"landingzones.dev/landing-zone\":").count();
    let excepted = text
        .matches("\"values\":[\"false-orders\",\"false-shop\"]")
        .count();
    // Each policy bears the label, too.
    let policies = rendered(Flavour::KUBERNETES).network_policies.len();
    assert_eq!(excepted, by_label - policies);
    assert!(excepted > policies);
}

/// What the sample may reach and be reached from.
fn openings() -> Openings {
    use CrossingDirection::{Egress, Ingress};
    let ports = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let opening = |direction, own: CrossingEnd, reach, texts: &[&str]| Opening {
        direction,
        own,
        reach,
        ports: ports(texts),
    };
    let in_zone = |zone: &str, labels: &[(&str, &str)]| CrossingEnd {
        zone: Some(zone.parse().unwrap()),
        pod_labels: end("a", labels).pod_labels,
    };
    let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let orders = Reach::LandingZone {
        name: "orders".parse().unwrap(),
        end: in_zone("data", &[("app", "db")]),
    };
    let partners = Reach::Addresses {
        nets: nets(&["203.0.113.0/24", "2001:db8::/32"]),
        except: nets(&["203.0.113.7/32"]),
        without_pods: true,
    };
    let ingress = Reach::Namespaces {
        namespace_labels: BTreeMap::from([("tier".into(), "ingress".into())]),
        pod_labels: BTreeMap::from([("app".into(), "nginx".into())]),
    };
    let api_server = Reach::ApiServer(nets(&["10.9.9.9/32"]));
    let all = CrossingEnd::default;
    Openings {
        services: vec![opening(Ingress, all(), ingress, &["TCP 8080"])],
        crossings: vec![
            opening(
                Egress,
                in_zone("backend", &[("job", "sync")]),
                orders,
                &["TCP 5432"],
            ),
            opening(
                Egress,
                in_zone("backend", &[]),
                partners,
                &["TCP 443", "UDP 4000-4010"],
            ),
            opening(Egress, all(), api_server, &[]),
        ],
        pretenders: BTreeSet::new(),
    }
}

#[test]
fn crossings_without_tiers() {
    let desired = landing_zone(
        &sample(),
        &[],
        &platform(),
        &openings(),
        &TeamPolicies::default(),
        V3_NO_TIERS,
    );
    let crossings = desired.global_network_policies.into_iter();
    let crossings: Vec<_> = crossings.filter(|it| it.spec.order == Some(20.0)).collect();
    insta::assert_yaml_snapshot!(crossings);
}

#[test]
fn crossings_with_kubernetes_policies() {
    let desired = landing_zone(
        &sample(),
        &[],
        &platform(),
        &openings(),
        &TeamPolicies::default(),
        Flavour::KUBERNETES,
    );
    insta::assert_yaml_snapshot!(desired.network_policies);
}

fn observed(flavour: Flavour, teams: &TeamPolicies) -> Desired {
    let mut zone = sample();
    zone.stage = Stage::Observe;
    zone.namespaces[0].quota = BTreeMap::from([("pods".into(), "4".parse().unwrap())]);
    zone.namespaces[0].limits = Some(Limits::default());
    landing_zone(&zone, &[], &platform(), &openings(), teams, flavour)
}

#[test]
fn observed_without_staged_policies() {
    let mut all = Selected::default();
    all.ingress.add(None);
    let mut some = Selected::default();
    for pods in ["app == 'a'", "app == 'b'"] {
        some.egress.add(Some(&pods.parse().unwrap()));
    }
    let teams = BTreeMap::from([
        ("application2-ns2".parse().unwrap(), all),
        ("application2-ns3".parse().unwrap(), some),
    ]);
    let desired = observed(CRD_NO_TIERS, &TeamPolicies(teams));
    insta::assert_yaml_snapshot!(desired.global_network_policies);
    assert!(desired.resource_quotas.is_empty() && desired.limit_ranges.is_empty());
    let labels = desired.namespaces[0].metadata.labels.as_ref().unwrap();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "privileged");
    assert_eq!(labels["pod-security.kubernetes.io/warn"], "restricted");
}

/// Tiers without staged policies (Calico 3.29): what comes after us decides on.
#[test]
fn observed_with_tiers_nothing_is_allowed_over_others() {
    let desired = observed(V3_TIERS, &TeamPolicies::default());
    let rules = desired.global_network_policies.iter();
    let mut rules = rules.flat_map(|it| it.spec.ingress.iter().chain(&it.spec.egress));
    assert!(rules.clone().any(|rule| rule.action == Action::Log));
    assert!(rules.all(|rule| [Action::Log, Action::Pass].contains(&rule.action)));
}

/// What is staged is what would be enforced.
#[test]
fn observed_with_staged_policies() {
    let flavour = Flavour {
        staged: true,
        ..V3_TIERS
    };
    let desired = observed(flavour, &TeamPolicies::default());
    assert!(desired.global_network_policies.is_empty());
    let mut enforced = landing_zone(
        &sample(),
        &[],
        &platform(),
        &openings(),
        &TeamPolicies::default(),
        flavour,
    );
    for policy in &mut enforced.global_network_policies {
        policy.spec.staged_action = Some("Set".into());
    }
    assert_eq!(
        desired.staged_global_network_policies,
        enforced.global_network_policies
    );
}

#[test]
fn observed_without_calico_nothing_is_recorded_and_nothing_denied() {
    let desired = observed(Flavour::KUBERNETES, &TeamPolicies::default());
    assert!(desired.network_policies.is_empty());
    assert_eq!(desired.namespaces.len(), 3);
}

/// On its way to its boundary a landing zone lacks nothing but what denies packets: no namespace is
/// weaker for a moment than it is going to be.
#[test]
fn an_entering_landing_zone_is_whole_but_for_what_denies() {
    for flavour in [CRD_NO_TIERS, V3_TIERS] {
        let (zone, platform, openings) = (sample(), platform(), openings());
        let teams = TeamPolicies::default();
        let entering = entering_landing_zone(&zone, &[], &platform, &openings, &teams, flavour);
        let policies = &entering.global_network_policies;
        assert!(!policies.is_empty());
        let names = policies.iter().filter_map(|it| it.metadata.name.as_deref());
        assert!(!names.into_iter().any(denies), "{policies:?}");
        let mut enforced = landing_zone(&zone, &[], &platform, &openings, &teams, flavour);
        enforced.global_network_policies = policies.clone();
        assert_eq!(entering, enforced);
    }
}

#[test]
fn the_tiers() {
    insta::assert_yaml_snapshot!(tiers(V3_TIERS));
    assert_eq!(tiers(V3_NO_TIERS), []);
    assert_eq!(tiers(Flavour::KUBERNETES), []);
}

#[test]
fn a_namespace_with_everything() {
    let mut zone = sample();
    let layer = &mut zone.namespaces[0];
    layer.pod_security = PodSecurity::Baseline;
    layer.labels = BTreeMap::from([
        ("team".into(), "blue".into()),
        // Refused by validation; here it must not win.
        (names::ZONE.into(), "other".into()),
    ]);
    layer.annotations = BTreeMap::from([("note".into(), "ours".into())]);
    layer.quota = BTreeMap::from([("requests.cpu".into(), "4".parse().unwrap())]);
    layer.limits = Some(Limits {
        default: BTreeMap::from([("memory".into(), "1Gi".parse().unwrap())]),
        max: BTreeMap::from([
            ("cpu".into(), "2".parse().unwrap()),
            ("memory".into(), "4Gi".parse().unwrap()),
        ]),
        min: BTreeMap::from([
            ("cpu".into(), "10m".parse().unwrap()),
            ("ephemeral-storage".into(), "1Mi".parse().unwrap()),
        ]),
        ..Limits::default()
    });
    zone.placement = Some(Placement {
        node_selector: BTreeMap::from([
            ("stack".into(), "tenant1".into()),
            ("disk".into(), "ssd".into()),
        ]),
        tolerations: vec![
            toleration("stack", Some("tenant1"), Some(TolerationEffect::NoSchedule)),
            toleration("gpu", None, None),
        ],
        node_affinity: vec![
            requirement("stack", NodeOperator::In, &["tenant2", "tenant1"]),
            requirement("spot", NodeOperator::NotIn, &["true"]),
            requirement("disk", NodeOperator::Exists, &[]),
        ],
        spread: Some(WhenUnsatisfiable::DoNotSchedule),
        min_availability_zones: Some(3),
        evict_misplaced: true,
    });
    zone.access = vec![
        access(SubjectKind::User, "ann", "edit", &["frontend", "data"]),
        access(SubjectKind::Group, "7f3a", "edit", &["frontend"]),
        access(
            SubjectKind::ServiceAccount,
            "ci:deployer",
            "team:deploy",
            &["frontend"],
        ),
    ];
    let desired = render(&zone, Flavour::KUBERNETES);
    let in_it = |metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
        metadata.namespace.as_deref() == Some("application2-ns1")
    };
    insta::assert_yaml_snapshot!((
        &desired.namespaces[0],
        &desired.resource_quotas,
        &desired.limit_ranges,
        desired
            .role_bindings
            .iter()
            .filter(|binding| in_it(&binding.metadata))
            .collect::<Vec<_>>(),
        &desired.cluster_roles,
        &desired.cluster_role_bindings,
    ));
}

fn toleration(key: &str, value: Option<&str>, effect: Option<TolerationEffect>) -> Toleration {
    Toleration {
        key: key.to_owned(),
        operator: match value {
            Some(_) => TolerationOperator::Equal,
            None => TolerationOperator::Exists,
        },
        value: value.map(str::to_owned),
        effect,
    }
}

fn requirement(key: &str, operator: NodeOperator, values: &[&str]) -> NodeRequirement {
    NodeRequirement {
        key: key.to_owned(),
        operator,
        values: values.iter().map(|&value| value.to_owned()).collect(),
    }
}

#[test]
fn what_is_not_declared_is_not_made() {
    let desired = render(&sample(), V3_TIERS);
    assert_eq!(desired.namespaces[0].metadata.annotations, None);
    assert!(desired.resource_quotas.is_empty());
    assert!(desired.limit_ranges.is_empty());
    assert!(desired.role_bindings.is_empty());
    assert!(desired.cluster_roles.is_empty());
    assert!(desired.cluster_role_bindings.is_empty());

    let mut zone = sample();
    zone.placement = Some(Placement::default());
    zone.namespaces[0].limits = Some(Limits::default());
    assert_eq!(render(&zone, V3_TIERS), desired);
}

#[test]
fn pods_are_free_inside_when_no_flows_are_declared() {
    let mut zone = sample();
    zone.network.flows.clear();
    let desired = render(&zone, V3_NO_TIERS);
    assert_eq!(
        names_of(&desired.global_network_policies),
        [
            "landing-zone-application2-dns",
            "landing-zone-application2-boundary",
            "landing-zone-application2-inside",
            "landing-zone-application2-deny",
        ]
    );
    let inside = &policy(&desired, "landing-zone-application2-inside").spec;
    assert_eq!(inside.ingress[0].destination, inside.egress[0].source);
    assert!(inside.egress[0].source.is_empty());
    assert_eq!(
        inside.egress[0].destination.namespace_selector.as_deref(),
        Some("landingzones.dev/landing-zone == 'application2'")
    );
}

#[test]
fn a_zone_without_flows_is_closed_where_only_flows_count() {
    let mut zone = sample();
    zone.network.intra_zone = IntraZone::FlowsOnly;
    zone.namespaces.push(namespace("application2-ns4", "batch"));
    let desired = render(&zone, V3_NO_TIERS);
    let names = names_of(&desired.global_network_policies);
    assert!(!names.contains(&"landing-zone-application2-batch-flows"));
    let frontend = &policy(&desired, "landing-zone-application2-frontend-flows").spec;
    assert_eq!((frontend.ingress.len(), frontend.egress.len()), (0, 1));
}

#[test]
fn a_flow_between_some_pods_names_them_at_both_ends() {
    let mut zone = sample();
    zone.network.flows = vec![flow(
        "web-to-cache",
        end("frontend", &[("app", "web")]),
        end("backend", &[("app", "cache")]),
        &[],
    )];
    let desired = render(&zone, V3_TIERS);
    let name = "landingzones-baseline.landing-zone-application2-backend-flows";
    let rule = &policy(&desired, name).spec.ingress[1];
    assert_eq!(rule.destination.selector.as_deref(), Some("app == 'cache'"));
    assert_eq!(
        rule.source.selector.as_deref(),
        Some("has(projectcalico.org/orchestrator) && app == 'web'")
    );
    assert_eq!(rule.protocol, None);

    let kubernetes = render(&zone, Flavour::KUBERNETES).network_policies;
    let names: Vec<_> = kubernetes
        .iter()
        .map(|policy| policy.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "landing-zone",
            "landing-zone-from-web-to-cache",
            "landing-zone",
            "landing-zone-to-web-to-cache",
            "landing-zone",
        ]
    );
}

#[test]
fn a_released_namespace_keeps_its_policies_and_nothing_else() {
    let mut zone = sample();
    let full = render(&zone, V3_TIERS);
    zone.namespaces.pop();
    let gone = [released("application2-ns3", "data")];
    let desired = landing_zone(
        &zone,
        &gone,
        &platform(),
        &Openings::default(),
        &TeamPolicies::default(),
        V3_TIERS,
    );
    assert_eq!(
        desired.global_network_policies,
        full.global_network_policies
    );
    assert_eq!(desired.namespaces, full.namespaces[..2]);

    let kubernetes = landing_zone(
        &zone,
        &gone,
        &platform(),
        &Openings::default(),
        &TeamPolicies::default(),
        Flavour::KUBERNETES,
    );
    assert_eq!(
        kubernetes.network_policies,
        render(&sample(), Flavour::KUBERNETES).network_policies
    );
}

#[test]
fn a_namespace_that_came_back_has_the_zone_that_it_declares() {
    let gone = [released("application2-ns3", "archive")];
    let desired = landing_zone(
        &sample(),
        &gone,
        &platform(),
        &Openings::default(),
        &TeamPolicies::default(),
        V3_TIERS,
    );
    assert_eq!(desired, render(&sample(), V3_TIERS));
}

#[test]
fn a_landing_zone_without_namespaces_has_no_policies() {
    assert_eq!(render(&empty("empty"), V3_TIERS), Desired::default());
}

#[test]
fn both_address_families_are_told_apart() {
    let both = Platform {
        pod_cidrs: ["fd00::1/64", "10.244.3.0/16", "10.244.0.0/16"]
            .map(|net| net.parse().unwrap())
            .into(),
        ..Platform::default()
    };
    let desired = landing_zone(
        &sample(),
        &[],
        &both,
        &Openings::default(),
        &TeamPolicies::default(),
        V3_NO_TIERS,
    );
    let rules = &policy(&desired, "landing-zone-application2-boundary")
        .spec
        .egress;
    assert_eq!(rules[0].destination.not_nets, ["10.244.0.0/16"]);
    assert_eq!(rules[1].destination.not_nets, ["fd00::/64"]);

    let desired = render(&sample(), V3_NO_TIERS);
    let rules = &policy(&desired, "landing-zone-application2-boundary")
        .spec
        .ingress;
    assert_eq!(rules[0].source.not_nets, ["10.244.0.0/16"]);
    assert_eq!(rules[1].source.nets, ["::/0"]);
}

#[rstest]
#[case(V3_TIERS)]
#[case(CRD_NO_TIERS)]
fn dns_is_decided_before_anything_is_denied(#[case] flavour: Flavour) {
    let desired = render(&sample(), flavour);
    let dns = &desired.global_network_policies[0].spec;
    assert_eq!(dns.types, ["Egress"]);
    let denying = |policy: &&GlobalNetworkPolicy| {
        let mut rules = policy.spec.ingress.iter().chain(&policy.spec.egress);
        rules.any(|rule| rule.action == Action::Deny) && policy.spec.tier == dns.tier
    };
    for policy in desired.global_network_policies.iter().filter(denying) {
        assert!(policy.spec.order > dns.order);
    }
}

/// A policy that selects a pod in a direction closes the rest of it anyway; this closes what comes
/// after us, too, and where somebody changes how our tier ends.
#[rstest]
#[case(V3_TIERS)]
#[case(CRD_NO_TIERS)]
fn what_nothing_allows_is_denied_at_last(#[case] flavour: Flavour) {
    let desired = render(&sample(), flavour);
    let (last, others) = desired.global_network_policies.split_last().unwrap();
    assert_eq!(last.spec.types, ["Ingress", "Egress"]);
    for rules in [&last.spec.ingress, &last.spec.egress] {
        let [rule] = rules.as_slice() else {
            panic!("{rules:?}");
        };
        assert_eq!(rule.action, Action::Deny);
        assert!(rule.protocol.is_none() && rule.source.is_empty() && rule.destination.is_empty());
    }
    for policy in others.iter().filter(|it| it.spec.tier == last.spec.tier) {
        assert!(policy.spec.order < last.spec.order, "{policy:?}");
    }
}

/// Tier `default` is 1,000,000, those of administrators' network policies are 1,000 and 10,000,000.
#[test]
fn no_tier_of_others_comes_before_the_boundary() {
    let tiers = tiers(V3_TIERS);
    let [boundary, baseline] = tiers.as_slice() else {
        panic!("{tiers:?}");
    };
    assert!(boundary.spec.order < Some(1_000.0));
    assert_eq!(boundary.spec.default_action.as_deref(), Some("Pass"));
    let between = Some(1_000_000.0)..Some(10_000_000.0);
    assert!(between.contains(&baseline.spec.order));
    assert_eq!(baseline.spec.default_action.as_deref(), Some("Deny"));
    let desired = render(&sample(), V3_TIERS);
    let denying = desired.global_network_policies.iter().filter(|policy| {
        let mut rules = policy.spec.ingress.iter().chain(&policy.spec.egress);
        rules.any(|rule| rule.action == Action::Deny)
    });
    let names: Vec<_> = denying.map(|policy| &policy.spec.tier).collect();
    assert_eq!(names, [&boundary.metadata.name, &baseline.metadata.name]);
}
