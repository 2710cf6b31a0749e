//! A landing zone whose every part is known to be right.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ApplicationCode, Crossing, LandingZoneAzure, LandingZoneName, NamespaceName, PortRange,
    Quantity, Zone,
};
use crate::api::{
    AdoptionPolicy, DeletePolicy, IntraZone, NodeOperator, PodSecurity, Stage, SubjectKind,
    TolerationEffect, TolerationOperator, WhenUnsatisfiable,
};

/// A landing zone whose every part is known to be right, with all defaults filled in, those of the
/// platform included.
#[derive(Clone, Debug, PartialEq)]
pub struct LandingZone {
    /// Its name.
    pub name: LandingZoneName,
    /// The application's code.
    pub code: ApplicationCode,
    /// Who to ask.
    pub contact: Option<String>,
    /// How far it is put into force.
    pub stage: Stage,
    /// Whether nothing is reconciled.
    pub suspend: bool,
    /// What to do about what exists already.
    pub adoption_policy: AdoptionPolicy,
    /// What becomes of the namespaces when it is deleted.
    pub delete_policy: DeletePolicy,
    /// The most that the quotas of all namespaces may add up to, by resource name.
    pub quota_total: BTreeMap<String, Quantity>,
    /// Its namespaces in declared order; names are unique.
    pub namespaces: Vec<Namespace>,
    /// Who may do what.
    pub access: Vec<Access>,
    /// Which nodes the pods run on; None: any.
    pub placement: Option<Placement>,
    /// Who may talk to whom.
    pub network: Network,
    /// What it owns in Azure.
    pub azure: LandingZoneAzure,
}

impl LandingZone {
    /// Whether anything is written of it: it is neither suspended nor only planned.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        !self.suspend && self.stage != Stage::Plan
    }
}

/// One namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: NamespaceName,
    /// Its layer.
    pub zone: Zone,
    /// Labels from the landing zone and its own, which win.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Pod Security standard.
    pub pod_security: PodSecurity,
    /// Hard limits by resource name; empty: no quota.
    pub quota: BTreeMap<String, Quantity>,
    /// Defaults and bounds for each container.
    pub limits: Option<Limits>,
}

/// Defaults and bounds for each container, by resource name, as declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limits of a container that sets none.
    pub default: BTreeMap<String, Quantity>,
    /// Requests of a container that sets none.
    pub default_request: BTreeMap<String, Quantity>,
    /// The most.
    pub max: BTreeMap<String, Quantity>,
    /// The least.
    pub min: BTreeMap<String, Quantity>,
}

/// Who may do what where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// Kind of the subject.
    pub kind: SubjectKind,
    /// Namespace of a service account.
    pub namespace: Option<String>,
    /// Name of the subject.
    pub name: String,
    /// The cluster role.
    pub role: String,
    /// Zones that it holds for; never empty: all zones are written out.
    pub zones: BTreeSet<Zone>,
}

/// Which nodes the pods run on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Placement {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    pub tolerations: Vec<Toleration>,
    /// What a node's labels must say besides, all of it.
    pub node_affinity: Vec<NodeRequirement>,
    /// How pods of one workload spread over availability zones.
    pub spread: Option<WhenUnsatisfiable>,
    /// In how many availability zones its nodes should be, at least.
    pub min_availability_zones: Option<u8>,
    /// Whether pods that run elsewhere are evicted.
    pub evict_misplaced: bool,
}

impl Placement {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let asks = Self {
            evict_misplaced: false,
            ..self.clone()
        };
        asks == Self::default()
    }

    /// Whether nothing is added to pods.
    #[must_use]
    pub fn adds_nothing(&self) -> bool {
        self.for_pods().is_empty()
    }

    /// What is added to pods.
    #[must_use]
    pub fn for_pods(&self) -> Self {
        Self {
            min_availability_zones: None,
            evict_misplaced: false,
            ..self.clone()
        }
    }
}

/// What a label of a node must say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeRequirement {
    /// Key of the label.
    pub key: String,
    /// How it compares.
    pub operator: NodeOperator,
    /// With what: nothing with Exists, something otherwise.
    pub values: BTreeSet<String>,
}

/// A taint that pods tolerate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// Key of the taint; never empty.
    pub key: String,
    /// How values compare.
    pub operator: TolerationOperator,
    /// Value; None with Exists.
    pub value: Option<String>,
    /// Effect; None: every effect.
    pub effect: Option<TolerationEffect>,
}

/// Who may talk to whom inside the landing zone, and across its boundary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Whether pods of one zone may talk freely once flows are declared.
    pub intra_zone: IntraZone,
    /// Declared flows in declared order; none: all is free inside.
    pub flows: Vec<Flow>,
    /// Shared services that it asks for, by name.
    pub shared_services: BTreeSet<String>,
    /// What crosses its boundary: egress, then ingress, each in declared order.
    pub crossings: Vec<Crossing>,
}

/// Traffic from one zone to another, or inside a zone between selected pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Its name.
    pub name: String,
    /// Who opens the connection.
    pub from: FlowEnd,
    /// Who is connected to.
    pub to: FlowEnd,
    /// Destination ports; empty: all ports of all protocols.
    pub ports: Vec<PortRange>,
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// A zone of the landing zone.
    pub zone: Zone,
    /// Labels that a pod must have; empty: all pods of the zone.
    pub pod_labels: BTreeMap<String, String>,
}
