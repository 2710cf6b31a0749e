//! Rules for what application teams put into landing zones, after Azure Policy's definitions for Kubernetes.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rule, schema};

/// Rules for what application teams put into landing zones, each with a stage of its own. They are those of Azure
/// Policy's definitions, and the API server keeps them by the policies in config/workload-rules.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRules {
    /// Whether Ingresses serve HTTPS only: an entry of spec.tls covers each of their hosts, the annotation
    /// kubernetes.io/ingress.allow-http is "false", and none turns nginx's redirect off. "Off", in quotes since YAML
    /// takes it for a boolean, which is meant when this is left out; Observe, which warns and writes into the audit
    /// log; or Enforce, which refuses. Azure Policy: Kubernetes clusters should be accessible only over HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::described_by_field::<WorkloadRuleStage>")]
    pub https_ingress: Option<WorkloadRuleStage>,
    /// Services listen on these ports only. Azure Policy: Kubernetes cluster services should listen only on
    /// allowed ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ports: Option<ServicePorts>,
    /// Services have these external IPs only. Azure Policy: Kubernetes cluster services should only use allowed
    /// external IPs.
    #[serde(
        default,
        rename = "externalIPs",
        skip_serializing_if = "Option::is_none"
    )]
    pub external_ips: Option<ExternalIps>,
    /// Pods use the host's network and ports as far as this says. Azure Policy: Kubernetes cluster pods should
    /// only use approved host network and port list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_network: Option<HostNetwork>,
}

/// What is done about whoever breaks a rule: "Off", in quotes since YAML takes it for a boolean; Observe, which
/// warns and writes into the audit log; or Enforce, which refuses, in landing zones that are in stage Enforce
/// themselves.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum WorkloadRuleStage {
    /// Nothing.
    #[default]
    Off,
    /// Whoever breaks it is warned, and the audit log tells.
    Observe,
    /// It is refused; in a landing zone in stage Observe as above.
    Enforce,
}

/// Which ports Services listen on.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "(has(self.allowed) && self.allowed.size() > 0) || !has(self.stage) || self.stage == 'Off'"
    )
    .message(schema::about("allowed", rule::NO_SERVICE_PORTS))
    .field_path(".allowed")
)]
pub struct ServicePorts {
    /// What is done about other ports: "Off", in quotes since YAML takes it for a boolean, which is meant when this is
    /// left out; Observe, which warns and writes into the audit log; or Enforce, which refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::described_by_field::<WorkloadRuleStage>")]
    pub stage: Option<WorkloadRuleStage>,
    /// The ports, 1 to 65535 each, of whatever protocol; for instance 80 and 443. Which ports the pods behind a
    /// Service listen on is not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_port())]
    pub allowed: Vec<i32>,
}

/// Which external IPs Services have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalIps {
    /// What is done about other addresses: "Off", in quotes since YAML takes it for a boolean, which is meant when this
    /// is left out; Observe, which warns and writes into the audit log; or Enforce, which refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::described_by_field::<WorkloadRuleStage>")]
    pub stage: Option<WorkloadRuleStage>,
    /// The addresses, or ranges of them; none when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_address())]
    pub allowed: Vec<String>,
}

/// How far pods use the network of their node.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HostNetwork {
    /// What is done about pods that go further: "Off", in quotes since YAML takes it for a boolean, which is meant when
    /// this is left out; Observe, which warns and writes into the audit log; or Enforce, which refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::described_by_field::<WorkloadRuleStage>")]
    pub stage: Option<WorkloadRuleStage>,
    /// Whether pods may have hostNetwork; false when left out. Pod Security refuses it besides, where a namespace
    /// has not podSecurity: privileged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_host_network: Option<bool>,
    /// Ports of the node that containers may have as hostPort, 1 to 65535 each; none when left out. With
    /// hostNetwork each port of a container is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = schema::each_port())]
    pub allowed_ports: Vec<i32>,
}
