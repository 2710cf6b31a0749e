//! What the files tell of Azure: the cluster with its pools, its VNet, and lists of what is around them.

use std::collections::BTreeMap;

use super::field::{Field, Problems};
use super::{GivenFile, InputFile};

/// All that the files tell.
#[derive(Debug)]
pub(super) struct Azure<'a> {
    /// By what they were given as; what cannot be used is not there.
    resources: BTreeMap<InputFile, Vec<Field<'a>>>,
}

/// A pool of nodes.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    pub name: &'a str,
    /// `System`, `User` or `Gateway`.
    pub mode: &'a str,
    /// The id of its subnet; None in a VNet that AKS manages.
    pub subnet: Option<&'a str>,
    pub zones: Vec<&'a str>,
    pub taints: Vec<&'a str>,
    pub is_windows: bool,
    pub is_spot: bool,
}

/// A subnet of the VNet.
#[derive(Debug)]
pub(super) struct Subnet<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub network_security_group: Option<&'a str>,
    pub route_table: Option<&'a str>,
    /// Whether what runs there reaches the internet without anything else; None: not told.
    pub default_outbound: Option<bool>,
}

/// What commands call the cluster and its VNet: their names where they are known, else variables of a shell.
#[derive(Debug)]
pub(super) struct Names {
    /// `-g GROUP -n NAME` of the cluster.
    pub cluster: String,
    /// `-g GROUP --cluster-name NAME` of the cluster's pools.
    pub of_pools: String,
    pub cluster_id: String,
    pub location: String,
    pub network_group: String,
    pub vnet: String,
}

/// Whether ids of Azure are the same: their case differs from one output to the next.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether an id is that of a scope, or of something in it.
pub(super) fn is_within(id: &str, scope: &str) -> bool {
    let scope = scope.trim_end_matches('/');
    let rest = id
        .get(..scope.len())
        .filter(|start| is_same(start, scope))
        .and_then(|_| id.get(scope.len()..));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What an id calls the last thing that it names.
pub(super) fn last_name(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

impl<'a> Azure<'a> {
    /// Sorts files by what they were given as. What is no such resource is told, and left out.
    pub fn of(files: &'a [GivenFile], problems: &'a Problems) -> Self {
        let mut azure = Self {
            resources: BTreeMap::new(),
        };
        for file in files {
            if let Some(found) = resources(file, problems) {
                azure.resources.entry(file.input).or_default().extend(found);
            }
        }
        azure.refuse_strangers();
        azure
    }

    /// The resources of a file; None where it was not given, or cannot be used.
    pub fn given(&self, input: InputFile) -> Option<&[Field<'a>]> {
        self.resources.get(&input).map(Vec::as_slice)
    }

    /// The cluster.
    pub fn cluster(&self) -> Option<&Field<'a>> {
        self.given(InputFile::Cluster)?.first()
    }

    /// The VNet.
    pub fn vnet(&self) -> Option<&Field<'a>> {
        self.given(InputFile::Vnet)?.first()
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Option<&'a str> {
        self.cluster()?.get("id").text()
    }

    /// The cluster's pools.
    pub fn pools(&self) -> Vec<Pool<'a>> {
        let Some(cluster) = self.cluster() else {
            return Vec::new();
        };
        let pools = cluster.get("agentPoolProfiles").items();
        pools.iter().map(Pool::of).collect()
    }

    /// The ids of the subnets that pools have, each once.
    pub fn pool_subnets(&self) -> Vec<&'a str> {
        let mut ids: Vec<&str> = Vec::new();
        for id in self.pools().iter().filter_map(|it| it.subnet) {
            if !ids.iter().any(|it| is_same(it, id)) {
                ids.push(id);
            }
        }
        ids
    }

    /// The id of the VNet: as its file tells it, else as the pools' subnets do.
    pub fn vnet_id(&self) -> Option<&'a str> {
        let told = self.vnet().and_then(|it| it.get("id").text());
        told.or_else(|| {
            let subnet = *self.pool_subnets().first()?;
            let at = subnet.to_ascii_lowercase().find("/subnets/")?;
            subnet.get(..at)
        })
    }

    /// The ids of VNets whose addresses the cluster reaches without leaving them: its own, and those that are peered.
    pub fn near_vnets(&self) -> Vec<&'a str> {
        let peerings = self
            .vnet()
            .map(|it| it.get("virtualNetworkPeerings").items());
        let peered = peerings.into_iter().flatten();
        let peered = peered.filter_map(|it| it.get("remoteVirtualNetwork").get("id").text());
        self.vnet_id().into_iter().chain(peered).collect()
    }

    /// The file that would tell which VNet is the cluster's, where that is not known.
    pub fn tells_vnet(&self) -> InputFile {
        // Of a VNet that AKS manages, the cluster does not say the id.
        if self.cluster().is_some() {
            InputFile::Vnet
        } else {
            InputFile::Cluster
        }
    }

    /// The resource group that holds the cluster's network; None where it is not known.
    pub fn network_scope(&self) -> Option<String> {
        let id = self.vnet_id().or(self.cluster_id())?;
        let at = id.to_ascii_lowercase().find("/resourcegroups/")?;
        let node_group = self
            .cluster()
            .and_then(|it| it.get("nodeResourceGroup").text())
            .filter(|_| self.vnet_id().is_none());
        let group = node_group.or_else(|| part(id, "resourceGroups"))?;
        Some(format!("{}/resourceGroups/{group}", id.get(..at)?))
    }

    /// Whether AKS manages the VNet, and with it its security groups and routes.
    pub fn is_managed_vnet(&self) -> bool {
        self.cluster().is_some() && self.pool_subnets().is_empty()
    }

    /// The subnets of the VNet that nodes run in: those of pools; all of them where AKS manages the VNet.
    pub fn node_subnets(&self) -> Vec<Subnet<'a>> {
        let wanted = self.pool_subnets();
        let subnets = self.vnet().map(|it| it.get("subnets").items());
        let subnets = subnets.into_iter().flatten();
        let subnets = subnets.filter_map(|it| Subnet::of(&it));
        subnets
            .filter(|it| wanted.is_empty() || wanted.iter().any(|id| is_same(id, it.id)))
            .collect()
    }

    /// What commands call the cluster and its VNet.
    pub fn names(&self) -> Names {
        let text = |key: &str| self.cluster().and_then(|it| it.get(key).text());
        let group = text("resourceGroup").or_else(|| part(text("id")?, "resourceGroups"));
        let (group, name) = (group.unwrap_or("$RG"), text("name").unwrap_or("$AKS"));
        let vnet = self.vnet_id();
        let network_group = vnet.and_then(|it| part(it, "resourceGroups"));
        Names {
            cluster: format!("-g {group} -n {name}"),
            of_pools: format!("-g {group} --cluster-name {name}"),
            cluster_id: text("id").unwrap_or("$AKS_ID").to_owned(),
            location: text("location").unwrap_or("$LOCATION").to_owned(),
            network_group: network_group.unwrap_or("$NETWORK_RG").to_owned(),
            vnet: vnet.map_or("$VNET", last_name).to_owned(),
        }
    }

    /// A VNet and settings of another cluster would tell of what nobody asked about.
    fn refuse_strangers(&mut self) {
        let subnets = self.pool_subnets();
        let node_group = self
            .cluster()
            .and_then(|it| it.get("nodeResourceGroup").text());
        if let Some(id) = self.vnet().map(|it| it.get("id")) {
            let is_own = |text: &str| {
                if subnets.is_empty() {
                    let group = part(text, "resourceGroups");
                    return node_group.is_none_or(|own| group.is_some_and(|it| is_same(it, own)));
                }
                subnets.iter().any(|subnet| is_within(subnet, text))
            };
            if id.text().is_some_and(|text| !is_own(text)) {
                let own = subnets.first().map_or_else(
                    || {
                        format!(
                            "AKS manages its VNet, in {}",
                            node_group.unwrap_or_default()
                        )
                    },
                    |subnet| format!("its nodes run in {subnet}"),
                );
                id.complain(&format!("is not the VNet of the cluster: {own}"));
                self.resources.remove(&InputFile::Vnet);
            }
        }
        let Some(cluster) = self.cluster_id() else {
            return;
        };
        for input in [InputFile::DiagnosticSettings, InputFile::PolicyStates] {
            let key = match input {
                InputFile::PolicyStates => "resourceId",
                _ => "id",
            };
            let found = self.given(input).unwrap_or_default();
            let stranger = found.iter().map(|it| it.get(key)).find(|it| {
                let id = it.text();
                id.is_some_and(|id| !is_within(id, cluster))
            });
            if let Some(id) = stranger {
                id.complain("is about something else than the cluster");
                self.resources.remove(&input);
            }
        }
    }
}

/// The name behind a word in an id.
fn part<'a>(id: &'a str, word: &str) -> Option<&'a str> {
    let mut parts = id.split('/');
    parts.find(|it| it.eq_ignore_ascii_case(word))?;
    parts.next()
}

impl<'a> Pool<'a> {
    fn of(pool: &Field<'a>) -> Self {
        let text = |key: &str| pool.get(key).text();
        let is = |key: &str, value: &str| text(key).is_some_and(|it| is_same(it, value));
        Self {
            name: text("name").unwrap_or_default(),
            mode: text("mode").unwrap_or_default(),
            subnet: text("vnetSubnetId"),
            zones: pool.get("availabilityZones").texts(),
            taints: pool.get("nodeTaints").texts(),
            is_windows: is("osType", "Windows"),
            is_spot: is("scaleSetPriority", "Spot"),
        }
    }

    pub fn is_system(&self) -> bool {
        is_same(self.mode, "System")
    }

    pub fn is_user(&self) -> bool {
        is_same(self.mode, "User")
    }
}

impl<'a> Subnet<'a> {
    fn of(subnet: &Field<'a>) -> Option<Self> {
        let id = subnet.get("id").text()?;
        Some(Self {
            id,
            name: last_name(id),
            network_security_group: subnet.get("networkSecurityGroup").get("id").text(),
            route_table: subnet.get("routeTable").get("id").text(),
            default_outbound: subnet.get("defaultOutboundAccess").flag(),
        })
    }
}

/// The resources of a file; None where one of them cannot be used.
fn resources<'a>(file: &'a GivenFile, problems: &'a Problems) -> Option<Vec<Field<'a>>> {
    let root = Field::root(file, problems);
    let list = root.get_list();
    let found = match list {
        Some(list) => list.items(),
        None if root.is_object() => vec![root.clone()],
        None => return root.refuse("must be a resource of Azure, or a list of them"),
    };
    if file.input.is_single() && found.len() != 1 {
        let rule = format!("must be one resource, and there are {}", found.len());
        return root.refuse(&rule);
    }
    let are_meant = found.iter().map(|it| is_meant(it, file.input));
    // Each is looked at, so that all that is wrong is told.
    let are_meant: Vec<bool> = are_meant.collect();
    are_meant.iter().all(|it| *it).then_some(found)
}

/// Whether something is what its file was given as; if not, that is told.
fn is_meant(resource: &Field<'_>, input: InputFile) -> bool {
    let Some(wanted) = input.resource_type() else {
        let is_state = resource.get("policyDefinitionId").text().is_some();
        if !is_state {
            resource.complain("is no state of a policy, since it has no policyDefinitionId");
        }
        return is_state;
    };
    let found = resource.get("type");
    let text = found.text();
    if text.is_some_and(|it| is_same(it, wanted)) {
        return true;
    }
    let rule = match text {
        Some(_) => format!(
            "is another resource than {wanted}, which --{} takes",
            input.flag()
        ),
        None => format!("is missing, and would be {wanted}"),
    };
    found.complain(&rule);
    false
}

impl<'a> Field<'a> {
    /// The list that this is, or that it has as its `value`.
    fn get_list(&self) -> Option<Field<'a>> {
        if self.is_list() {
            return Some(self.clone());
        }
        let is_wrapped = self.is_object() && self.keys().contains(&"value");
        is_wrapped.then(|| self.get("value"))
    }
}

#[cfg(test)]
mod tests;
