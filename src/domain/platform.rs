//! What holds for the whole cluster: built-in values, and what the operator was told.

use std::collections::BTreeSet;

use ipnet::IpNet;

pub use crate::api::rule::BUILT_IN_EXEMPT_NAMESPACES;

/// What holds for the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The ranges that pods get their addresses from. Known, they close a gap: no address outside
    /// of them can pass for a pod, whatever labels a network set claims.
    pub pod_cidrs: Vec<IpNet>,
    /// Addresses of DNS caches on the node, besides the Service `kube-system/kube-dns`.
    pub dns_addresses: Vec<IpNet>,
    /// Cluster roles that a landing zone may hand out.
    pub roles: BTreeSet<String>,
}

impl Default for Platform {
    /// Safe values: no pod ranges known, the cluster's DNS service only, view, edit and admin.
    fn default() -> Self {
        Self {
            pod_cidrs: Vec::new(),
            dns_addresses: Vec::new(),
            roles: ["view", "edit", "admin"].map(str::to_owned).into(),
        }
    }
}
