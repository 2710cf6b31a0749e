//! What does not fit into one policy, one selector or one rule.

use super::*;

/// A landing zone with that many namespaces whose names are as long as they may be.
fn with_long_names(numbers: std::ops::Range<usize>) -> LandingZone {
    let mut zone = empty("big");
    zone.namespaces = numbers
        .map(|number| namespace(&format!("{}{number:02}", "n".repeat(61)), "all"))
        .collect();
    zone
}

/// The boundaries of a landing zone: names and what they select.
fn boundaries(zone: &LandingZone) -> BTreeMap<String, String> {
    let policies = render(zone, V3_NO_TIERS).global_network_policies;
    let boundaries = policies.into_iter().filter_map(|policy| {
        let name = policy.metadata.name?;
        Some((name, policy.spec.namespace_selector?))
    });
    boundaries
        .filter(|(name, _)| name.contains("boundary"))
        .collect()
}

#[test]
fn many_long_names_take_several_policies() {
    assert_eq!(
        boundaries(&with_long_names(0..10))
            .into_keys()
            .collect::<Vec<_>>(),
        ["landing-zone-big-boundary"]
    );
    let many = boundaries(&with_long_names(0..50));
    assert!(many.len() > 2);
    for number in 0..50 {
        let name = format!("{}{number:02}", "n".repeat(61));
        let selecting = many.values().filter(|selector| selector.contains(&name));
        assert_eq!(selecting.count(), 1, "{name}");
    }
}

#[test]
fn a_policy_that_stays_keeps_the_namespaces_that_stay() {
    let before = boundaries(&with_long_names(0..50));
    let after = boundaries(&with_long_names(1..49));
    for (name, selector) in &before {
        let Some(now) = after.get(name) else { continue };
        for number in 1..49 {
            let namespace = format!("{}{number:02}", "n".repeat(61));
            let was = selector.contains(&namespace);
            assert!(!was || now.contains(&namespace), "{name}: {namespace}");
        }
    }
}

#[test]
fn thousands_of_pod_ranges_still_deny_in_one_rule() {
    let scattered = Platform {
        pod_cidrs: (0..3000u32)
            .map(|number| {
                ipnet::Ipv4Net::new((number * 512).into(), 24)
                    .unwrap()
                    .into()
            })
            .collect(),
        ..Platform::default()
    };
    let desired = landing_zone(
        &sample(),
        &[],
        &scattered,
        &Openings::default(),
        &TeamPolicies::default(),
        CRD_NO_TIERS,
    );
    let boundary = policy(&desired, "default.landing-zone-application2-boundary");
    assert_eq!(boundary.validate(CRD_NO_TIERS), []);
    let covered = &boundary.spec.ingress[0].source.not_nets;
    for range in &scattered.pod_cidrs {
        assert!(
            covered
                .iter()
                .any(|net| net.parse::<ipnet::IpNet>().unwrap().contains(range))
        );
    }
}

#[test]
fn too_many_rules_for_one_policy_are_spread() {
    let mut zone = sample();
    zone.network.flows = (0..1100)
        .map(|port| {
            let name = format!("flow-{port}");
            flow(
                &name,
                end("frontend", &[]),
                end("backend", &[]),
                &[(1 + port, 1 + port)],
            )
        })
        .collect();
    let desired = render(&zone, V3_TIERS);
    let allowed: usize = desired
        .global_network_policies
        .iter()
        .inspect(|policy| assert_eq!(policy.validate(V3_TIERS), []))
        .filter(|policy| {
            policy
                .metadata
                .name
                .as_deref()
                .unwrap()
                .contains("-frontend-")
        })
        .map(|policy| policy.spec.egress.len())
        .sum();
    assert_eq!(allowed, 1101);
}
