//! Address ranges as rules take them: canonical, without overlaps, one family at a time.

use ipnet::IpNet;

/// Where a rule takes fewer ranges than there are, they are widened: one that says what pods are *not*
/// cannot be split.
pub(super) use crate::domain::at_most;

/// The ranges of each family that has any, IPv4 first, each canonical, sorted and without overlaps.
pub(super) fn families(nets: &[IpNet]) -> Vec<Vec<IpNet>> {
    let (v4, v6): (Vec<IpNet>, Vec<IpNet>) = nets
        .iter()
        .map(IpNet::trunc)
        .partition(|net| matches!(net, IpNet::V4(_)));
    [v4, v6]
        .iter()
        .map(IpNet::aggregate)
        .filter(|family| !family.is_empty())
        .collect()
}
