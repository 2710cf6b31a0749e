//! The resources as objects of Azure Service Operator.
//!
//! Source of the fields: the CRDs of Azure Service Operator 2.15, containerservice.azure.com/v1api20240901 and
//! network.azure.com/v1api20240301. Which versions a cluster serves differs from release to release.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::priorities::DECLARED;
use super::resource_id::ResourceIds;
use super::security_group::COME_AND_GO;
use super::{AzureResources, NodePool, RuleCollectionGroup, Subnet, properties};
use crate::api::{DeletePolicy, names};
use crate::domain::{
    AzureKind, AzureVersions, LandingZone, PLATFORM_NAME, PlatformAzure, ServiceOperator,
};
use crate::policy::security_group::{SecurityGroup, SecurityRule};

/// Whose objects they are, and what becomes of the resources when they go.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Labels that say whose they are.
    pub(super) labels: BTreeMap<String, String>,
    /// What becomes of the resources.
    delete_policy: DeletePolicy,
}

impl Owner {
    /// A landing zone.
    #[must_use]
    pub fn landing_zone(zone: &LandingZone) -> Self {
        Self {
            labels: labels(names::OWNER, zone.name.as_str()),
            delete_policy: zone.azure.delete_policy,
        }
    }

    /// The platform, whose resources stay.
    #[must_use]
    pub fn platform() -> Self {
        Self {
            labels: labels(names::PLATFORM, PLATFORM_NAME),
            delete_policy: DeletePolicy::Keep,
        }
    }
}

fn labels(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key, value), (names::MANAGED_BY, names::MANAGER)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The annotation that says what becomes of a resource when its object goes. Whatever is misspelt counts as manage, which
/// deletes in Azure what is deleted here.
#[must_use]
pub const fn reconcile_policy(delete_policy: DeletePolicy) -> &'static str {
    match delete_policy {
        DeletePolicy::Keep => "detach-on-delete",
        DeletePolicy::Delete => "manage",
    }
}

/// Whether a rule of that priority goes in Azure with its object, whatever becomes of the rest: what opens something that is
/// declared no more must not stay open. What every group has stays with the group: without it nodes would be cut off.
#[must_use]
pub fn comes_and_goes(priority: u16) -> bool {
    DECLARED.contains(&priority) || COME_AND_GO.contains(&priority)
}

/// The objects, in the order in which they are applied: what others refer to comes first.
pub(super) fn azure_service_operator(
    resources: &AzureResources,
    azure: &PlatformAzure,
    operator: &ServiceOperator,
    versions: &AzureVersions,
    owner: &Owner,
) -> Vec<Value> {
    let AzureResources {
        security_groups,
        subnets,
        node_pools,
        // Objects of the cluster, and none of Azure Service Operator's.
        karpenter_pools: _,
        rule_collection_groups,
    } = resources;
    let writer = Writer {
        azure,
        operator,
        ids: ResourceIds(azure),
        versions,
        owner,
    };
    let mut objects = Vec::new();
    for group in security_groups {
        objects.push(writer.security_group(group));
        let rules = group.rules.iter();
        objects.extend(rules.map(|rule| writer.security_rule(group, rule)));
    }
    objects.extend(subnets.iter().map(|it| writer.subnet(it)));
    objects.extend(node_pools.iter().map(|it| writer.agent_pool(it)));
    let groups = rule_collection_groups.iter();
    objects.extend(groups.map(|it| writer.rule_collection_group(it)));
    objects
}

struct Writer<'a> {
    azure: &'a PlatformAzure,
    operator: &'a ServiceOperator,
    ids: ResourceIds<'a>,
    versions: &'a AzureVersions,
    owner: &'a Owner,
}

impl Writer<'_> {
    fn object(&self, kind: AzureKind, name: &str, spec: &Map<String, Value>) -> Value {
        self.object_with(self.owner.delete_policy, kind, name, spec)
    }

    fn object_with(
        &self,
        delete_policy: DeletePolicy,
        kind: AzureKind,
        name: &str,
        spec: &Map<String, Value>,
    ) -> Value {
        let mut annotations = json!({names::RECONCILE_POLICY: reconcile_policy(delete_policy)});
        if let Some(secret) = &self.operator.credential_from {
            annotations[names::CREDENTIAL_FROM] = json!(secret);
        }
        json!({
            "apiVersion": self.versions.api_version(kind),
            "kind": kind.name(),
            "metadata": {
                "name": name,
                "namespace": self.operator.namespace,
                "labels": self.owner.labels,
                "annotations": annotations,
            },
            "spec": spec,
        })
    }

    fn security_group(&self, group: &SecurityGroup) -> Value {
        let mut spec = named(&group.name, &json!({"armId": self.ids.network_group()}));
        spec.insert("location".to_owned(), json!(self.azure.location));
        let kind = AzureKind::NetworkSecurityGroup;
        self.object(kind, &object_name(&group.name), &spec)
    }

    fn security_rule(&self, group: &SecurityGroup, rule: &SecurityRule) -> Value {
        let mut spec = named(&rule.name, &json!({"name": object_name(&group.name)}));
        spec.extend(properties::security_rule(rule));
        // A dot, which no other name holds.
        let name = format!("{}.{}", object_name(&group.name), object_name(&rule.name));
        let delete_policy = if comes_and_goes(rule.priority) {
            DeletePolicy::Delete
        } else {
            self.owner.delete_policy
        };
        let kind = AzureKind::NetworkSecurityGroupsSecurityRule;
        self.object_with(delete_policy, kind, &name, &spec)
    }

    fn subnet(&self, subnet: &Subnet) -> Value {
        let mut spec = named(&subnet.name, &json!({"armId": self.ids.virtual_network()}));
        spec.insert("addressPrefix".to_owned(), json!(subnet.cidr.to_string()));
        if let Some(group) = &subnet.security_group {
            let reference = reference(AzureKind::NetworkSecurityGroup, group);
            spec.insert("networkSecurityGroup".to_owned(), reference);
        }
        if subnet.of_pods {
            let delegation =
                json!([{"name": properties::DELEGATION, "serviceName": properties::DELEGATED_TO}]);
            spec.insert("delegations".to_owned(), delegation);
        }
        if let Some(table) = &subnet.route_table {
            spec.insert(
                "routeTable".to_owned(),
                json!({"reference": {"armId": table}}),
            );
        }
        let kind = AzureKind::VirtualNetworksSubnet;
        self.object(kind, &object_name(&subnet.name), &spec)
    }

    fn rule_collection_group(&self, group: &RuleCollectionGroup) -> Value {
        let mut spec = named(&group.name, &json!({"armId": group.policy}));
        spec.insert("priority".to_owned(), json!(group.priority));
        let collections = group.collections.iter().map(|collection| {
            let rules = collection.rules.iter().map(properties::application_rule);
            let rules = rules.map(|rule| json!({"applicationRule": rule}));
            let mut inside = properties::rule_collection(collection);
            inside.insert("rules".to_owned(), rules.collect());
            json!({"firewallPolicyFilterRuleCollection": inside})
        });
        spec.insert("ruleCollections".to_owned(), collections.collect());
        let kind = AzureKind::FirewallPoliciesRuleCollectionGroup;
        let mut object = self.object(kind, &object_name(&group.name), &spec);
        if let Some(secret) = &group.credential_from {
            object["metadata"]["annotations"][names::CREDENTIAL_FROM] = json!(secret);
        }
        object
    }

    fn agent_pool(&self, pool: &NodePool) -> Value {
        let mut spec = named(&pool.name, &json!({"armId": self.ids.cluster()}));
        spec.extend(properties::agent_pool(pool));
        for (field, subnet) in [
            ("vnetSubnetReference", &pool.subnet),
            ("podSubnetReference", &pool.pod_subnet),
        ] {
            if let Some(name) = subnet {
                let of_subnet = reference(AzureKind::VirtualNetworksSubnet, name);
                spec.insert(field.to_owned(), of_subnet["reference"].clone());
            }
        }
        self.object(AzureKind::ManagedClustersAgentPool, &pool.name, &spec)
    }
}

fn named(name: &str, owner: &Value) -> Map<String, Value> {
    [
        ("azureName".to_owned(), json!(name)),
        ("owner".to_owned(), owner.clone()),
    ]
    .into_iter()
    .collect()
}

fn reference(kind: AzureKind, name: &str) -> Value {
    let (group, kind, name) = (kind.group(), kind.name(), object_name(name));
    json!({"reference": {"group": group, "kind": kind, "name": name}})
}

/// Names of objects are DNS names: what else the names of clusters hold becomes a hyphen.
fn object_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let name = lower.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    name.trim_matches('-').to_owned()
}
