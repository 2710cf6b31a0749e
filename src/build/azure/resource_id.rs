//! Resource ids of what lies in Azure already.

use crate::domain::PlatformAzure;

/// Resource ids in the words of Azure Resource Manager.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResourceIds<'a>(pub(super) &'a PlatformAzure);

impl ResourceIds<'_> {
    fn group(self, name: &str) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{name}",
            self.0.subscription
        )
    }

    /// The managed cluster.
    pub(super) fn cluster(self) -> String {
        let group = self.group(&self.0.resource_group);
        let cluster = &self.0.cluster;
        format!("{group}/providers/Microsoft.ContainerService/managedClusters/{cluster}")
    }

    /// The resource group of the virtual network.
    pub(super) fn network_group(self) -> String {
        self.group(&self.0.virtual_network.resource_group)
    }

    /// The virtual network.
    pub(super) fn virtual_network(self) -> String {
        let network = &self.0.virtual_network.name;
        format!(
            "{}/providers/Microsoft.Network/virtualNetworks/{network}",
            self.network_group()
        )
    }

    /// A subnet of the virtual network.
    pub(super) fn subnet(self, name: &str) -> String {
        format!("{}/subnets/{name}", self.virtual_network())
    }
}
