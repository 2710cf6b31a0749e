//! Nodes, as a placement sees them.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{NodeRequirement, Placement, Toleration};
use crate::api::{NodeOperator, TolerationEffect, TolerationOperator};

/// The label of a node's availability zone.
const AVAILABILITY_ZONE: &str = "topology.kubernetes.io/zone";

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Taints that keep pods away, without those that come and go with its state.
    pub taints: Vec<Taint>,
    /// Ranges that it gives to its pods.
    pub ranges: Vec<IpNet>,
    /// Whether it takes no new pods at present: it is cordoned, not ready, or out of something.
    pub is_closed: bool,
}

/// What keeps pods away that do not tolerate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
    /// `NoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Node {
    /// Its availability zone; None where it is in none. Where AKS has no availability zones, the label holds the number of a fault
    /// domain.
    #[must_use]
    pub fn availability_zone(&self) -> Option<&str> {
        let zone = self.labels.get(AVAILABILITY_ZONE).map(String::as_str);
        zone.filter(|zone| !zone.bytes().all(|it| it.is_ascii_digit()))
    }
}

impl Placement {
    /// Whether pods with this placement, and nothing else, may run on a node.
    #[must_use]
    pub fn admits(&self, node: &Node) -> bool {
        let mut selector = self.node_selector.iter();
        let is_tolerated = |taint: &Taint| self.tolerations.iter().any(|it| tolerates(it, taint));
        selector.all(|(key, value)| node.labels.get(key) == Some(value))
            && self.node_affinity.iter().all(|it| is_met(it, node))
            && node.taints.iter().all(is_tolerated)
    }

    /// The availability zones of the nodes that it admits; None where it admits none.
    #[must_use]
    pub fn availability_zones<'a>(
        &self,
        nodes: impl Iterator<Item = &'a Node>,
    ) -> Option<BTreeSet<&'a str>> {
        let mut zones = None;
        for node in nodes.filter(|node| self.admits(node)) {
            let zones = zones.get_or_insert_with(BTreeSet::new);
            zones.extend(node.availability_zone());
        }
        zones
    }
}

fn is_met(requirement: &NodeRequirement, node: &Node) -> bool {
    let value = node.labels.get(&requirement.key);
    let is_one = value.is_some_and(|value| requirement.values.contains(value));
    match requirement.operator {
        NodeOperator::In => is_one,
        NodeOperator::NotIn => !is_one,
        NodeOperator::Exists => value.is_some(),
    }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.map(|effect| match effect {
        TolerationEffect::NoSchedule => "NoSchedule",
        TolerationEffect::PreferNoSchedule => "PreferNoSchedule",
        TolerationEffect::NoExecute => "NoExecute",
    });
    let value = toleration.value.as_deref().unwrap_or_default();
    toleration.key == taint.key
        && effect.is_none_or(|effect| effect == taint.effect)
        && (toleration.operator == TolerationOperator::Exists || value == taint.value)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn node(labels: &[(&str, &str)], taint: Option<&str>) -> Node {
        let labels = labels
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()));
        Node {
            labels: labels.collect(),
            taints: taint
                .map(|value| Taint {
                    key: "stack".to_owned(),
                    value: value.to_owned(),
                    effect: "NoSchedule".to_owned(),
                })
                .into_iter()
                .collect(),
            ..Node::default()
        }
    }

    fn requirement(key: &str, operator: NodeOperator, values: &[&str]) -> NodeRequirement {
        NodeRequirement {
            key: key.to_owned(),
            operator,
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    fn tenant(affinity: Vec<NodeRequirement>) -> Placement {
        Placement {
            node_selector: BTreeMap::from([("stack".to_owned(), "one".to_owned())]),
            tolerations: vec![Toleration {
                key: "stack".to_owned(),
                operator: TolerationOperator::Equal,
                value: Some("one".to_owned()),
                effect: Some(TolerationEffect::NoSchedule),
            }],
            node_affinity: affinity,
            ..Placement::default()
        }
    }

    #[rstest]
    #[case::its_own(&[("stack", "one")], Some("one"), true)]
    #[case::without_taint(&[("stack", "one")], None, true)]
    #[case::of_another(&[("stack", "two")], Some("one"), false)]
    #[case::without_label(&[], None, false)]
    #[case::tainted_otherwise(&[("stack", "one")], Some("two"), false)]
    fn nodes_are_admitted_by_label_and_taint(
        #[case] labels: &[(&str, &str)],
        #[case] taint: Option<&str>,
        #[case] expected: bool,
    ) {
        assert_eq!(tenant(Vec::new()).admits(&node(labels, taint)), expected);
    }

    #[rstest]
    #[case(NodeOperator::In, &["a", "b"], [false, true, false])]
    #[case(NodeOperator::NotIn, &["a", "b"], [true, false, true])]
    #[case(NodeOperator::Exists, &[], [false, true, true])]
    fn requirements_are_met_as_kubernetes_reads_them(
        #[case] operator: NodeOperator,
        #[case] values: &[&str],
        #[case] expected: [bool; 3],
    ) {
        let placement = tenant(vec![requirement("pool", operator, values)]);
        let nodes = [None, Some("a"), Some("c")].map(|pool| {
            let pool = pool.map(|pool| ("pool", pool));
            let labels: Vec<_> = std::iter::once(("stack", "one")).chain(pool).collect();
            node(&labels, None)
        });
        assert_eq!(nodes.map(|node| placement.admits(&node)), expected);
    }

    #[test]
    fn availability_zones_are_counted_where_there_are_any() {
        let zone = |stack, zone| node(&[("stack", stack), (AVAILABILITY_ZONE, zone)], None);
        let nodes = [
            zone("one", "westeurope-1"),
            zone("one", "westeurope-2"),
            zone("one", "westeurope-1"),
            zone("one", "0"),
            node(&[("stack", "one")], None),
            zone("two", "westeurope-3"),
        ];
        let found = tenant(Vec::new()).availability_zones(nodes.iter());
        assert_eq!(
            found.unwrap().into_iter().collect::<Vec<_>>(),
            ["westeurope-1", "westeurope-2"]
        );
        let none = tenant(vec![requirement("pool", NodeOperator::Exists, &[])]);
        assert_eq!(none.availability_zones(nodes.iter()), None);
    }
}
