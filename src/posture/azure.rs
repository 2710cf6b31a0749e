//! What the files tell of Azure: the cluster with its pools, its VNet, and lists of what is around them.

use std::collections::{BTreeMap, BTreeSet};

use super::field::{Field, Problems};
use super::{GivenFile, InputFile};

/// All that the files tell.
#[derive(Debug)]
pub(super) struct Azure<'a> {
    /// By what they were given as; what cannot be used is not there.
    resources: BTreeMap<InputFile, Vec<Field<'a>>>,
    /// What was given, and is not there since it cannot be used, all of it or a part.
    unusable: BTreeSet<InputFile>,
}

/// A pool of nodes.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    pub name: &'a str,
    /// `System`, `User` or `Gateway`.
    pub mode: &'a str,
    /// The id of its subnet; None in a VNet that AKS manages.
    pub subnet: Option<&'a str>,
    /// The id of the subnet of its pods, where they have one of their own.
    pub pod_subnet: Option<&'a str>,
    /// Whether each of its nodes has a public address.
    pub has_public_addresses: bool,
    pub zones: Vec<&'a str>,
    pub taints: Vec<&'a str>,
    pub labels: Vec<(&'a str, &'a str)>,
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
    pub nat_gateway: Option<&'a str>,
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

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./:=,@%+".contains(it);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// What an id calls the last thing that it names.
pub(super) fn last_name(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

impl<'a> Azure<'a> {
    /// Sorts files by what they were given as. What is no such resource is told, and left out with all others that were given as the
    /// same: what is left would look as if it were all there is. So is what was given and could not be read.
    pub fn of(
        files: &'a [GivenFile],
        unread: &BTreeSet<InputFile>,
        problems: &'a Problems,
    ) -> Self {
        let mut azure = Self {
            resources: BTreeMap::new(),
            unusable: unread.clone(),
        };
        for file in files {
            let Some(found) = resources(file, problems) else {
                azure.unusable.insert(file.input);
                continue;
            };
            let known = azure.resources.entry(file.input).or_default();
            if file.input.is_single() && !known.is_empty() {
                let root = Field::root(file, problems);
                root.complain("is another one besides that of another file, and there is one");
                azure.unusable.insert(file.input);
            }
            known.extend(found);
        }
        for input in &azure.unusable {
            azure.resources.remove(input);
        }
        azure.refuse_strangers();
        azure
    }

    /// Whether something was given as this and cannot be used.
    pub fn is_unusable(&self, input: InputFile) -> bool {
        self.unusable.contains(&input)
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

    /// The ids of the subnets that pools have, for their nodes or for pods, each once; those of nodes first.
    pub fn pool_subnets(&self) -> Vec<&'a str> {
        let mut ids: Vec<&str> = Vec::new();
        let pools = self.pools();
        let of_nodes = pools.iter().filter_map(|it| it.subnet);
        for id in of_nodes.chain(pools.iter().filter_map(|it| it.pod_subnet)) {
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

    /// The subnets of the VNet; none where it was not given.
    fn subnets(&self) -> Vec<Subnet<'a>> {
        let subnets = self.vnet().map(|it| it.get("subnets").items());
        let subnets = subnets.into_iter().flatten();
        subnets.filter_map(|it| Subnet::of(&it)).collect()
    }

    /// The subnet of the VNet that has an id; None where the VNet was not given, or does not list it.
    pub fn subnet(&self, id: &str) -> Option<Subnet<'a>> {
        self.subnets().into_iter().find(|it| is_same(id, it.id))
    }

    /// The subnets of the VNet that pools run in: theirs; all of them where AKS manages the VNet. Besides, the ids of those that the VNet
    /// does not list.
    pub fn node_subnets(&self) -> (Vec<Subnet<'a>>, Vec<&'a str>) {
        let wanted = self.pool_subnets();
        if wanted.is_empty() {
            return (self.subnets(), Vec::new());
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in wanted {
            match self.subnet(id) {
                Some(subnet) => found.push(subnet),
                None => missing.push(id),
            }
        }
        (found, missing)
    }

    /// What commands call the cluster and its VNet.
    pub fn names(&self) -> Names {
        let text = |key: &str| self.cluster().and_then(|it| it.get(key).text());
        let group = text("resourceGroup").or_else(|| part(text("id")?, "resourceGroups"));
        let word =
            |key: &str, variable: &str| text(key).map_or_else(|| variable.to_owned(), quoted);
        let group = group.map_or_else(|| "$RG".to_owned(), quoted);
        let name = word("name", "$AKS");
        let vnet = self.vnet_id();
        let network_group = vnet.and_then(|it| part(it, "resourceGroups"));
        Names {
            cluster: format!("-g {group} -n {name}"),
            of_pools: format!("-g {group} --cluster-name {name}"),
            cluster_id: word("id", "$AKS_ID"),
            location: word("location", "$LOCATION"),
            network_group: network_group.map_or_else(|| "$NETWORK_RG".to_owned(), quoted),
            vnet: vnet.map_or_else(|| "$VNET".to_owned(), |it| quoted(last_name(it))),
        }
    }

    fn refuse(&mut self, input: InputFile) {
        self.resources.remove(&input);
        self.unusable.insert(input);
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
                self.refuse(InputFile::Vnet);
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
                self.refuse(input);
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
            pod_subnet: text("podSubnetId"),
            has_public_addresses: pool.get("enableNodePublicIp").flag() == Some(true),
            zones: pool.get("availabilityZones").texts(),
            taints: pool.get("nodeTaints").texts(),
            labels: labels(&pool.get("nodeLabels")),
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

fn labels<'a>(labels: &Field<'a>) -> Vec<(&'a str, &'a str)> {
    let keys = labels.keys().into_iter();
    keys.map(|key| (key, labels.get(key).text().unwrap_or_default()))
        .collect()
}

impl<'a> Subnet<'a> {
    fn of(subnet: &Field<'a>) -> Option<Self> {
        let id = subnet.get("id").text()?;
        Some(Self {
            id,
            name: last_name(id),
            network_security_group: subnet.get("networkSecurityGroup").get("id").text(),
            route_table: subnet.get("routeTable").get("id").text(),
            nat_gateway: subnet.get("natGateway").get("id").text(),
            default_outbound: subnet.get("defaultOutboundAccess").flag(),
        })
    }
}

/// Where Azure Resource Manager says that a list goes on.
const NEXT_PAGE: [&str; 2] = ["nextLink", "@odata.nextLink"];

/// The resources of a file; None where one of them cannot be used.
fn resources<'a>(file: &'a GivenFile, problems: &'a Problems) -> Option<Vec<Field<'a>>> {
    let root = Field::root(file, problems);
    let list = root.get_list();
    for key in NEXT_PAGE.iter().filter(|_| root.is_object()) {
        let next = root.get(key);
        if next.text().is_some() {
            return next.refuse("there is more than this page");
        }
    }
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
