//! The ranges that pods get their addresses from, found in a cluster as the operator finds them.

use kube::Client;

use super::reader::{Kind, Reader};
use crate::cluster::{list_nodes, range_of_pool};
use crate::domain::FoundRanges;

/// Calico's pools in the first of the groups that has any, else what the Nodes say. What whoever asks may not read is
/// missing.
pub(super) async fn found(
    client: &Client,
    groups: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> FoundRanges {
    let mut found = FoundRanges::default();
    for group in groups {
        // What is missing is told as such, and not by its kind.
        let mut reader = Reader::new(client.clone(), None);
        let pools = reader
            .objects(Kind::global(group, "IPPool", "ippools"))
            .await;
        let pools = pools.into_iter().flat_map(|it| it.objects);
        let pools = pools.filter_map(|it| serde_json::from_value(it).ok());
        let ranges: Vec<_> = pools.flat_map(|it| range_of_pool(&it)).collect();
        found.add_pools(&ranges);
        if found.source().is_some() {
            return found;
        }
    }
    if let Ok(nodes) = list_nodes(client).await {
        let ranges = nodes.values().flat_map(|it| it.ranges.iter().copied());
        found.add_nodes(&ranges.collect::<Vec<_>>());
    }
    found
}
