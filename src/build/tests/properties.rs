//! What holds whatever is declared.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A network set inherits the labels of its namespace, so labels alone do not make a pod.
    #[test]
    fn what_is_allowed_by_label_is_a_pod(
        (zone, gone) in any_landing_zone(),
        openings in any_openings(),
    ) {
        let teams = TeamPolicies::default();
        let desired = landing_zone(&zone, &gone, &platform(), &openings, &teams, V3_NO_TIERS);
        for policy in &desired.global_network_policies {
            let from = policy.spec.ingress.iter().map(|rule| (rule, &rule.source));
            let to = policy.spec.egress.iter().map(|rule| (rule, &rule.destination));
            for (rule, peer) in from.chain(to) {
                if rule.action != Action::Allow || peer.namespace_selector.is_none() {
                    continue;
                }
                let selector = peer.selector.as_deref().unwrap_or_default();
                prop_assert!(selector.starts_with("has(projectcalico.org/orchestrator)"), "{:?}", rule);
            }
        }
    }

    #[test]
    fn calico_takes_whatever_is_rendered(
        (zone, gone) in any_landing_zone(),
        platform in any_platform(),
        openings in any_openings(),
    ) {
        for flavour in CALICO {
            let desired = landing_zone(&zone, &gone, &platform, &openings, &TeamPolicies::default(), flavour);
            for policy in &desired.global_network_policies {
                prop_assert_eq!(policy.validate(flavour), []);
                prop_assert_eq!(policy.spec.tier.is_some(), flavour.tiers);
            }
            let names = names_of(&desired.global_network_policies);
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
            prop_assert!(desired.network_policies.is_empty());
        }
    }

    #[test]
    fn each_layer_selects_every_namespace_once(
        (zone, gone) in any_landing_zone(),
    ) {
        let desired = landing_zone(&zone, &gone, &platform(), &Openings::default(), &TeamPolicies::default(), V3_NO_TIERS);
        let mut expected: Vec<String> = zone.namespaces.iter().map(|it| it.name.to_string()).collect();
        expected.extend(gone.iter().map(|it| it.name.to_string()));
        expected.sort();
        for order in [10.0, 30.0, 5_000.0] {
            let mut selected = Vec::new();
            for policy in &desired.global_network_policies {
                if policy.spec.order != Some(order) {
                    continue;
                }
                let text = policy.spec.namespace_selector.as_deref().unwrap();
                prop_assert!(text.len() <= MAX_SELECTOR_LENGTH);
                let Selector::Compare(_, crate::policy::Comparison::In(names)) = text.parse().unwrap() else {
                    panic!("{text}");
                };
                selected.extend(names);
            }
            selected.sort();
            prop_assert_eq!(&selected, &expected);
        }
    }

    #[test]
    fn the_order_of_a_declaration_means_nothing(
        (zone, gone) in any_landing_zone(),
        seed in any::<usize>(),
    ) {
        let mut shuffled = zone.clone();
        let mut gone_shuffled = gone.clone();
        turn(&mut shuffled.namespaces, seed);
        turn(&mut shuffled.access, seed);
        turn(&mut shuffled.network.flows, seed);
        for flow in &mut shuffled.network.flows {
            turn(&mut flow.ports, seed);
        }
        if let Some(placement) = &mut shuffled.placement {
            turn(&mut placement.tolerations, seed);
            turn(&mut placement.node_affinity, seed);
        }
        turn(&mut gone_shuffled, seed);
        for flavour in [V3_TIERS, Flavour::KUBERNETES] {
            prop_assert_eq!(
                landing_zone(&zone, &gone, &platform(), &Openings::default(), &TeamPolicies::default(), flavour),
                landing_zone(&shuffled, &gone_shuffled, &platform(), &Openings::default(), &TeamPolicies::default(), flavour)
            );
        }
    }

    #[test]
    fn every_object_says_whose_it_is_and_has_no_owner_reference(
        (zone, gone) in any_landing_zone(),
    ) {
        for flavour in [V3_TIERS, Flavour::KUBERNETES] {
            let Desired {
                global_network_policies,
                staged_global_network_policies: _,
                namespaces,
                network_policies,
                resource_quotas,
                limit_ranges,
                role_bindings,
                cluster_roles,
                cluster_role_bindings,
            } = landing_zone(&zone, &gone, &platform(), &Openings::default(), &TeamPolicies::default(), flavour);
            let all = global_network_policies.iter().map(|it| &it.metadata)
                .chain(namespaces.iter().map(|it| &it.metadata))
                .chain(network_policies.iter().map(|it| &it.metadata))
                .chain(resource_quotas.iter().map(|it| &it.metadata))
                .chain(limit_ranges.iter().map(|it| &it.metadata))
                .chain(role_bindings.iter().map(|it| &it.metadata))
                .chain(cluster_roles.iter().map(|it| &it.metadata))
                .chain(cluster_role_bindings.iter().map(|it| &it.metadata));
            for metadata in all {
                let labels = metadata.labels.as_ref().unwrap();
                prop_assert_eq!(labels.get(names::OWNER).map(String::as_str), Some(zone.name.as_str()));
                prop_assert_eq!(labels.get(names::MANAGED_BY).map(String::as_str), Some(names::MANAGER));
                prop_assert_eq!(&metadata.owner_references, &None);
            }
        }
    }
}

/// Another order: reversed, then turned by some places.
fn turn<T>(list: &mut [T], by: usize) {
    list.reverse();
    if !list.is_empty() {
        list.rotate_left(by % list.len());
    }
}
