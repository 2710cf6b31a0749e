//! Address ranges as rules take them: canonical, without overlaps, one family at a time.

use ipnet::IpNet;

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

/// At most `most` ranges of one family that cover all of these: where there are more, they are
/// widened, the smallest first, since a rule that says what pods are *not* cannot be split.
pub(super) fn at_most(nets: &[IpNet], most: usize) -> Vec<IpNet> {
    let mut covering = nets.to_vec();
    let mut longest = covering.iter().map(IpNet::prefix_len).max().unwrap_or(0);
    while covering.len() > most && longest > 0 {
        longest -= 1;
        let widened: Vec<IpNet> = covering.iter().map(|net| widen(net, longest)).collect();
        covering = IpNet::aggregate(&widened);
    }
    covering
}

fn widen(net: &IpNet, longest: u8) -> IpNet {
    let prefix = net.prefix_len().min(longest);
    // Within the family's length, since it is at most the range's own.
    IpNet::new(net.addr(), prefix).map_or(*net, |wider| wider.trunc())
}
