//! The kinds of object that landing zones are made of, and which of their fields are ours.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use crate::api::names;
use crate::domain::{AzureKind, Flavour, PolicyApi};

/// A kind of object that the operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Calico tier, shared by all landing zones.
    Tier,
    /// Calico policy.
    GlobalNetworkPolicy,
    /// Calico policy that only says what it would do.
    StagedGlobalNetworkPolicy,
    /// Namespace; only our own labels and annotations of it are ours.
    Namespace,
    /// Kubernetes policy.
    NetworkPolicy,
    /// Quota of a namespace.
    ResourceQuota,
    /// Container defaults of a namespace.
    LimitRange,
    /// Access to a namespace.
    RoleBinding,
    /// The right to read one landing zone.
    ClusterRole,
    /// Its binding.
    ClusterRoleBinding,
    /// What it owns in Azure, through Azure Service Operator or Karpenter.
    Azure(AzureKind),
}

/// What of a value is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnedFields {
    /// All of it.
    Whole,
    /// These fields of a map, and as much of each.
    Only(&'static [(&'static str, Self)]),
}

const NODE_POOL: OwnedFields = OwnedFields::Only(&[
    ("limits", OwnedFields::Whole),
    (
        "template",
        OwnedFields::Only(&[
            (
                "metadata",
                OwnedFields::Only(&[("labels", OwnedFields::Whole)]),
            ),
            (
                "spec",
                OwnedFields::Only(&[
                    ("nodeClassRef", OwnedFields::Whole),
                    ("requirements", OwnedFields::Whole),
                    ("taints", OwnedFields::Whole),
                ]),
            ),
        ]),
    ),
]);

const AKS_NODE_CLASS: OwnedFields = OwnedFields::Only(&[
    ("imageFamily", OwnedFields::Whole),
    ("maxPods", OwnedFields::Whole),
    ("vnetSubnetID", OwnedFields::Whole),
]);

impl OwnedFields {
    /// As much of a field of a map as is ours; None: nothing of it is.
    #[must_use]
    pub fn of_field(self, name: &str) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::Whole),
            Self::Only(fields) => {
                let mut fields = fields.iter();
                fields.find(|(known, _)| *known == name).map(|(_, of)| *of)
            }
        }
    }

    /// What is there, with what is declared in place of what is ours; None where neither is there.
    #[must_use]
    pub fn laid_over(self, declared: Option<&Value>, found: Option<&Value>) -> Option<Value> {
        let Self::Only(fields) = self else {
            return declared.cloned();
        };
        let mut all = found
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        for (name, of) in fields {
            let declared = declared.and_then(|it| it.get(name));
            match of.laid_over(declared, all.get(*name)) {
                Some(value) => drop(all.insert((*name).to_owned(), value)),
                None => drop(all.remove(*name)),
            }
        }
        (!all.is_empty() || found.is_some()).then_some(Value::Object(all))
    }
}

impl Kind {
    /// Every kind, in the order in which objects are applied.
    pub const ALL: [Self; 17] = [
        Self::Tier,
        Self::GlobalNetworkPolicy,
        Self::StagedGlobalNetworkPolicy,
        Self::Namespace,
        Self::NetworkPolicy,
        Self::ResourceQuota,
        Self::LimitRange,
        Self::RoleBinding,
        Self::ClusterRole,
        Self::ClusterRoleBinding,
        Self::Azure(AzureKind::NetworkSecurityGroup),
        Self::Azure(AzureKind::NetworkSecurityGroupsSecurityRule),
        Self::Azure(AzureKind::VirtualNetworksSubnet),
        Self::Azure(AzureKind::ManagedClustersAgentPool),
        Self::Azure(AzureKind::AksNodeClass),
        Self::Azure(AzureKind::NodePool),
        Self::Azure(AzureKind::FirewallPoliciesRuleCollectionGroup),
    ];

    /// The kind's name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tier => "Tier",
            Self::GlobalNetworkPolicy => "GlobalNetworkPolicy",
            Self::StagedGlobalNetworkPolicy => "StagedGlobalNetworkPolicy",
            Self::Namespace => "Namespace",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::RoleBinding => "RoleBinding",
            Self::ClusterRole => "ClusterRole",
            Self::ClusterRoleBinding => "ClusterRoleBinding",
            Self::Azure(kind) => kind.name(),
        }
    }

    /// The fields that are wholly ours, at the root of the object. None for namespaces, where only
    /// single labels and annotations are.
    #[must_use]
    pub const fn whole_fields(self) -> &'static [&'static str] {
        match self {
            Self::Namespace => &[],
            Self::RoleBinding | Self::ClusterRoleBinding => &["roleRef", "subjects"],
            Self::ClusterRole => &["aggregationRule", "rules"],
            Self::Tier
            | Self::GlobalNetworkPolicy
            | Self::StagedGlobalNetworkPolicy
            | Self::NetworkPolicy
            | Self::ResourceQuota
            | Self::LimitRange
            | Self::Azure(_) => &["spec"],
        }
    }

    /// The labels that say whose an object of this kind is; ours alone.
    #[must_use]
    pub const fn ownership_labels(self) -> &'static [&'static str] {
        match self {
            Self::GlobalNetworkPolicy | Self::StagedGlobalNetworkPolicy | Self::Azure(_) => {
                &[names::OWNER, names::PLATFORM, names::MANAGED_BY]
            }
            _ => &[names::OWNER, names::MANAGED_BY],
        }
    }

    /// The annotations that are ours alone.
    #[must_use]
    pub const fn own_annotations(self) -> &'static [&'static str] {
        match self {
            Self::Azure(kind) if !kind.is_karpenter() => {
                &[names::RECONCILE_POLICY, names::CREDENTIAL_FROM]
            }
            _ => &[],
        }
    }

    /// The field of a whole field that counts at creation only; whoever scales the nodes sets it afterwards.
    #[must_use]
    pub const fn left_after_creation(self) -> Option<&'static str> {
        match self {
            Self::Azure(AzureKind::ManagedClustersAgentPool) => Some("count"),
            _ => None,
        }
    }

    /// What of its whole fields is ours where that is not all of them: the rest of what Karpenter takes, above all how it moves pods
    /// from node to node, is the platform team's to say, and has defaults that differ from release to release.
    #[must_use]
    pub const fn owned_fields(self) -> OwnedFields {
        match self {
            Self::Azure(AzureKind::NodePool) => NODE_POOL,
            Self::Azure(AzureKind::AksNodeClass) => AKS_NODE_CLASS,
            _ => OwnedFields::Whole,
        }
    }

    /// Which of Azure Service Operator's or Karpenter's it is; None: one of the cluster's own.
    #[must_use]
    pub const fn as_azure(self) -> Option<AzureKind> {
        match self {
            Self::Azure(kind) => Some(kind),
            _ => None,
        }
    }

    /// Whether it is one of Azure Service Operator's, whose objects lie in a namespace of the platform's, or of Karpenter's.
    #[must_use]
    pub const fn is_azure(self) -> bool {
        matches!(self, Self::Azure(_))
    }

    /// Whether it is one of Karpenter's.
    #[must_use]
    pub const fn is_karpenter(self) -> bool {
        matches!(self, Self::Azure(kind) if kind.is_karpenter())
    }

    /// Whether repairs of this kind never wait: a team must not buy open minutes by changing it
    /// often.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        match self {
            Self::Tier
            | Self::GlobalNetworkPolicy
            | Self::Namespace
            | Self::NetworkPolicy
            | Self::RoleBinding => true,
            Self::StagedGlobalNetworkPolicy
            | Self::ResourceQuota
            | Self::LimitRange
            | Self::ClusterRole
            | Self::ClusterRoleBinding
            | Self::Azure(_) => false,
        }
    }

    /// Whether objects of this kind hold traffic back.
    #[must_use]
    pub const fn is_policy(self) -> bool {
        matches!(
            self,
            Self::Tier | Self::GlobalNetworkPolicy | Self::NetworkPolicy
        )
    }

    /// Whether it is one of Calico's policies, which are watched whole, and which Calico's API server
    /// names and labels otherwise than its storage.
    #[must_use]
    pub const fn is_calico_policy(self) -> bool {
        matches!(
            self,
            Self::GlobalNetworkPolicy | Self::StagedGlobalNetworkPolicy
        )
    }

    /// Where the API server serves this kind; None where this flavour has no such kind. Those of Azure Service Operator are in no
    /// flavour: where they are served [`super::cache::Objects::resource`] knows.
    #[must_use]
    pub fn api_resource(self, flavour: Flavour) -> Option<ApiResource> {
        let (group, version) = match self {
            Self::Tier | Self::GlobalNetworkPolicy | Self::StagedGlobalNetworkPolicy => {
                match flavour.api {
                    PolicyApi::CalicoV3 => ("projectcalico.org", "v3"),
                    PolicyApi::CalicoCrdV1 => ("crd.projectcalico.org", "v1"),
                    PolicyApi::Kubernetes => return None,
                }
            }
            Self::Namespace | Self::ResourceQuota | Self::LimitRange => ("", "v1"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1"),
            Self::RoleBinding | Self::ClusterRole | Self::ClusterRoleBinding => {
                ("rbac.authorization.k8s.io", "v1")
            }
            Self::Azure(_) => return None,
        };
        let is_missing = match self {
            Self::Tier => !flavour.tiers,
            Self::StagedGlobalNetworkPolicy => !flavour.staged,
            _ => false,
        };
        if is_missing {
            return None;
        }
        let kind = GroupVersionKind::gvk(group, version, self.name());
        Some(ApiResource::from_gvk_with_plural(&kind, self.plural()))
    }

    /// The kind of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    const fn plural(self) -> &'static str {
        match self {
            Self::Tier => "tiers",
            Self::GlobalNetworkPolicy => "globalnetworkpolicies",
            Self::StagedGlobalNetworkPolicy => "stagedglobalnetworkpolicies",
            Self::Namespace => "namespaces",
            Self::NetworkPolicy => "networkpolicies",
            Self::ResourceQuota => "resourcequotas",
            Self::LimitRange => "limitranges",
            Self::RoleBinding => "rolebindings",
            Self::ClusterRole => "clusterroles",
            Self::ClusterRoleBinding => "clusterrolebindings",
            Self::Azure(kind) => kind.plural(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One object of the cluster. As text `Kind/name` or `Kind/namespace/name`, as in the inventory.
///
/// The API group is left out on purpose, and a Calico policy has the name that Calico stores it
/// under: it is the same object through `crd.projectcalico.org/v1` and through the aggregated
/// `projectcalico.org/v3`, which calls it otherwise, and must neither be pruned nor be taken for
/// somebody else's when the flavour changes from one to the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, for kinds that live in one.
    pub namespace: Option<Arc<str>>,
    /// Its name. Shared by all copies of a key, since there are many.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of an object that the API of a flavour calls `served`.
    #[must_use]
    pub fn of_served(kind: Kind, namespace: Option<&str>, served: &str, flavour: Flavour) -> Self {
        let name = if kind.is_calico_policy() {
            flavour.name_in_storage(served).into()
        } else {
            served.into()
        };
        Self {
            kind,
            namespace: namespace.map(Arc::from),
            name,
        }
    }

    /// What the API of a flavour calls the object.
    #[must_use]
    pub fn name_served(&self, flavour: Flavour) -> &str {
        if self.kind.is_calico_policy() {
            flavour.name_served(&self.name)
        } else {
            &self.name
        }
    }

    /// What comes before all keys of a kind.
    #[must_use]
    pub fn first_of(kind: Kind) -> Self {
        Self {
            kind,
            namespace: None,
            name: Arc::default(),
        }
    }

    /// The key of a namespace.
    #[must_use]
    pub fn namespace(name: impl AsRef<str>) -> Self {
        Self {
            kind: Kind::Namespace,
            namespace: None,
            name: name.as_ref().into(),
        }
    }

    /// The namespace of the landing zone that the object is or lives in; None for cluster-wide objects, and for those of Azure
    /// Service Operator.
    #[must_use]
    pub fn in_namespace(&self) -> Option<&str> {
        match self.kind {
            Kind::Namespace => Some(&self.name),
            Kind::Azure(_) => None,
            _ => self.namespace.as_deref(),
        }
    }

    /// Whether it lies in a namespace of the landing zone's, where people with rights in that namespace alone may write.
    #[must_use]
    pub fn is_in_reach_of_teams(&self) -> bool {
        self.namespace.is_some() && !self.kind.is_azure()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// An inventory entry that this version of the operator cannot read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no object of a known kind: {0}")]
pub struct UnknownObject(String);

impl FromStr for ObjectKey {
    type Err = UnknownObject;

    fn from_str(text: &str) -> Result<Self, UnknownObject> {
        let unknown = || UnknownObject(text.to_owned());
        let mut parts = text.split('/');
        let kind = parts.next().ok_or_else(unknown)?;
        let kind = Kind::of_name(kind).ok_or_else(unknown)?;
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), None, None) => Ok(Self {
                kind,
                namespace: None,
                name: name.into(),
            }),
            (Some(namespace), Some(name), None) => Ok(Self {
                kind,
                namespace: Some(namespace.into()),
                name: name.into(),
            }),
            _ => Err(unknown()),
        }
    }
}
