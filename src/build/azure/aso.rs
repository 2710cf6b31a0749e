//! The resources as objects of Azure Service Operator.
//!
//! Source: the CRDs of Azure Service Operator 2.15, containerservice.azure.com/v1api20240901 and
//! network.azure.com/v1api20240301.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::priorities::DECLARED;
use super::resource_id::ResourceIds;
use super::security_group::COME_AND_GO;
use super::{AzureResources, NodePool, Subnet, properties};
use crate::api::{DeletePolicy, names};
use crate::domain::{PlatformAzure, ServiceOperator};
use crate::policy::security_group::{SecurityGroup, SecurityRule};

const CONTAINER_SERVICE: &str = "containerservice.azure.com/v1api20240901";
const NETWORK: &str = "network.azure.com/v1api20240301";
const NETWORK_GROUP: &str = "network.azure.com";

/// Whose objects they are, and what becomes of the resources when they go.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Labels that say whose they are.
    pub labels: &'a BTreeMap<String, String>,
    /// What becomes of the resources.
    pub delete_policy: DeletePolicy,
}

/// The objects, in the order in which they are applied: what others refer to comes first.
#[must_use]
pub fn azure_service_operator(
    resources: &AzureResources,
    azure: &PlatformAzure,
    operator: &ServiceOperator,
    owner: Owner<'_>,
) -> Vec<Value> {
    let AzureResources {
        security_groups,
        subnets,
        node_pools,
    } = resources;
    let writer = Writer {
        azure,
        operator,
        ids: ResourceIds(azure),
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
    objects
}

struct Writer<'a> {
    azure: &'a PlatformAzure,
    operator: &'a ServiceOperator,
    ids: ResourceIds<'a>,
    owner: Owner<'a>,
}

impl Writer<'_> {
    fn object(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        spec: &Map<String, Value>,
    ) -> Value {
        self.object_with(self.owner.delete_policy, api_version, kind, name, spec)
    }

    fn object_with(
        &self,
        delete_policy: DeletePolicy,
        api_version: &str,
        kind: &str,
        name: &str,
        spec: &Map<String, Value>,
    ) -> Value {
        // Whatever is misspelt counts as manage, which deletes in Azure what is deleted here.
        let policy = match delete_policy {
            DeletePolicy::Keep => "detach-on-delete",
            DeletePolicy::Delete => "manage",
        };
        let mut annotations = json!({names::RECONCILE_POLICY: policy});
        if let Some(secret) = &self.operator.credential_from {
            annotations[names::CREDENTIAL_FROM] = json!(secret);
        }
        json!({
            "apiVersion": api_version,
            "kind": kind,
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
        self.object(
            NETWORK,
            "NetworkSecurityGroup",
            &object_name(&group.name),
            &spec,
        )
    }

    fn security_rule(&self, group: &SecurityGroup, rule: &SecurityRule) -> Value {
        let mut spec = named(&rule.name, &json!({"name": object_name(&group.name)}));
        spec.extend(properties::security_rule(rule));
        // A dot, which no other name holds.
        let name = format!("{}.{}", object_name(&group.name), object_name(&rule.name));
        // What opens something that is declared no more must not stay open. What every group has stays with the group:
        // without it nodes would be cut off.
        let delete_policy =
            if DECLARED.contains(&rule.priority) || COME_AND_GO.contains(&rule.priority) {
                DeletePolicy::Delete
            } else {
                self.owner.delete_policy
            };
        let kind = "NetworkSecurityGroupsSecurityRule";
        self.object_with(delete_policy, NETWORK, kind, &name, &spec)
    }

    fn subnet(&self, subnet: &Subnet) -> Value {
        let mut spec = named(&subnet.name, &json!({"armId": self.ids.virtual_network()}));
        spec.insert("addressPrefix".to_owned(), json!(subnet.cidr.to_string()));
        if let Some(group) = &subnet.security_group {
            let reference = reference(NETWORK_GROUP, "NetworkSecurityGroup", group);
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
        self.object(
            NETWORK,
            "VirtualNetworksSubnet",
            &object_name(&subnet.name),
            &spec,
        )
    }

    fn agent_pool(&self, pool: &NodePool) -> Value {
        let mut spec = named(&pool.name, &json!({"armId": self.ids.cluster()}));
        spec.extend(properties::agent_pool(pool));
        for (field, subnet) in [
            ("vnetSubnetReference", &pool.subnet),
            ("podSubnetReference", &pool.pod_subnet),
        ] {
            if let Some(name) = subnet {
                let of_subnet = reference(NETWORK_GROUP, "VirtualNetworksSubnet", name);
                spec.insert(field.to_owned(), of_subnet["reference"].clone());
            }
        }
        self.object(
            CONTAINER_SERVICE,
            "ManagedClustersAgentPool",
            &pool.name,
            &spec,
        )
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

fn reference(group: &str, kind: &str, name: &str) -> Value {
    json!({"reference": {"group": group, "kind": kind, "name": object_name(name)}})
}

/// Names of objects are DNS names: what else the names of clusters hold becomes a hyphen.
fn object_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let name = lower.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    name.trim_matches('-').to_owned()
}
