//! What the schema and [`crate::domain`] both refuse, in the same words: the rule, a colon, and the
//! way out. Admission and the command line must not tell an author different things.

/// A name that is a DNS label.
pub const DNS_LABEL: &str = "must be lower-case letters, digits and hyphens, and begin and end \
    with a letter or digit: write it without dots, capitals and underscores, like application2-ns1";
/// Longest name of a landing zone, a zone or a flow: names derived from it fit into 63 characters.
pub const LONGEST_NAME: usize = 40;
/// A name that is longer than [`LONGEST_NAME`].
pub const TOO_LONG: &str = "must be at most 40 characters long: choose a shorter name";
/// A label value, or a code that becomes one.
pub const LABEL_VALUE: &str = "must be at most 63 letters, digits, '-', '_' and '.', and begin and \
    end with a letter or digit: replace what else is in it, for instance spaces by hyphens";
/// Key of a label or an annotation, or name of a resource.
pub const QUALIFIED_NAME: &str = "must be a name of at most 63 letters, digits, '-', '_' and '.', \
    alone or after a DNS name and a slash: write it like costCenter or example.com/cost-center";
/// Text that people read.
pub const ONE_LINE: &str = "must be one line of readable text: remove line breaks and other \
    control characters, or leave the field out";
/// The application's code cannot change.
pub const IMMUTABLE_CODE: &str = "cannot be changed: declare a new landing zone for another \
    application, or delete this one first (its namespaces stay, with deletePolicy Keep)";

/// The namespace of Azure Service Operator's objects, written anew.
pub const SERVICE_OPERATOR_MOVES: &str = "cannot be changed, since the objects would stay in the old namespace: take \
    serviceOperator out, which leaves everything in Azure as it is, delete the objects there, which bear \
    reconcile-policy detach-on-delete, and write the new namespace then";

/// A namespace of a landing zone in which objects of Azure Service Operator lie.
pub const NAMESPACE_OF_AZURE: &str = "is where objects of Azure Service Operator lie (spec.azure.serviceOperator of the \
    LandingZonePlatform), and whoever may write there changes what is in Azure: choose another name";

/// A platform of another name.
pub const ONLY_PLATFORM: &str =
    "must be cluster, since one platform holds for the whole cluster: give it this name";
/// A range of addresses that is none.
pub const RANGE: &str = "is not a range of addresses: write it like 10.244.0.0/16 or fd00::/48, \
    without bits beyond the prefix";
/// An address or range that is neither.
pub const ADDRESS: &str = "is neither an address like 169.254.10.10 nor a range like \
    169.254.10.0/24, without bits beyond the prefix: correct it";
/// A cluster role that cannot exist.
pub const ROLE: &str = "cannot be the name of a ClusterRole: write it without '/' and '%'";

/// A namespace that no landing zone may claim.
pub const EXEMPT_NAMESPACE: &str = "is reserved for the cluster itself and cannot belong to a \
    landing zone: choose another name, for instance one that begins with the application's code";
/// A privileged namespace without acknowledgement.
pub const PRIVILEGED: &str = "lets pods onto the host's network, outside every network policy: \
    add acknowledge: HostNetworkEscapesPolicies, or use baseline";
/// An acknowledgement without a privileged namespace.
pub const NOT_PRIVILEGED: &str = "belongs to podSecurity: privileged only: remove it";

/// What is dangerous for one namespace, for all of them.
pub const PRIVILEGED_BY_DEFAULT: &str = "lets pods onto the host's network, outside every network \
    policy: use baseline, and privileged in the namespaces that need it";
/// A label that is asked for and that nobody can set.
pub const UNSETTABLE_LABEL: &str = "is a key that no landing zone can set, since the operator, \
    Kubernetes or a GitOps tool does: remove it";

/// A quantity that does not parse.
pub const QUANTITY: &str =
    "is not a quantity: write a number with an optional unit, like 4, 500m or 8Gi";
/// A quantity below zero.
pub const NEGATIVE: &str = "is negative: write zero or more";
/// A fraction of something that is counted.
pub const FRACTION: &str = "is a fraction, but these are counted: write a whole number";
/// A resource that no quota can bound.
pub const QUOTA_RESOURCE: &str = "is no resource that Kubernetes can put a quota on: use one like \
    requests.cpu, limits.memory or pods, or count/<plural>.<group> for any other kind";
/// A resource that no container can ask for.
pub const CONTAINER_RESOURCE: &str = "is no resource of a container: use cpu, memory, \
    ephemeral-storage, hugepages-<size> or a device like nvidia.com/gpu";
/// A request that differs from the limit of something that cannot be shared.
pub const OVERCOMMIT: &str = "must equal the default limit (max, where there is none), since \
    devices and huge pages cannot be overcommitted: write the same value, or remove it";
/// A namespace without a quota for something that quotaTotal bounds.
pub const UNBOUNDED: &str = "must bound every resource that quotaTotal bounds: add it to the \
    namespace's quota, or remove it from quotaTotal";
/// A namespace with the platform's default quota, which has none for something that quotaTotal bounds.
pub const UNBOUNDED_BY_DEFAULT: &str = "is left out, so that the platform's default quota holds, which \
    does not bound every resource that quotaTotal bounds: write a quota, or remove the resource from \
    quotaTotal";
/// Quotas that add up to more than quotaTotal.
pub const OVER_TOTAL: &str = "is less than the quotas of all namespaces, added up: lower them, or \
    raise quotaTotal";

/// A service account that is not written as such.
pub const SERVICE_ACCOUNT: &str =
    "must be <namespace>:<name> of the service account: write it like build:deployer";
/// A subject that Kubernetes reserves.
pub const SYSTEM_SUBJECT: &str = "belongs to Kubernetes itself and may stand for everybody: name \
    a user or group of the company's directory, or use kind ServiceAccount for a service account";

/// A toleration without key.
pub const NO_KEY: &str = "must not be empty, since a toleration without key tolerates every \
    taint: name the key of the taint";
/// Taint of the system node pool of AKS.
pub const SYSTEM_POOL: &str = "CriticalAddonsOnly";
/// A toleration of [`SYSTEM_POOL`].
pub const TOLERATES_SYSTEM_POOL: &str = "is the taint of the system node pool, which is not for \
    applications: tolerate the taint of the application's own node pool";
/// A toleration that has a value and asks for none.
pub const EXISTS_WITH_VALUE: &str =
    "has no meaning with operator Exists: remove it, or use operator Equal";

/// A landing zone in Azure of a platform that is not.
pub const NO_PLATFORM_AZURE: &str = "needs spec.azure of the LandingZonePlatform, which says where in Azure \
    the cluster lies: declare it there";
/// Rules of network security groups that depend on what nobody said.
pub const NO_PLUGIN: &str = "needs network.plugin: what a network security group sees of pods depends \
    on it: name who gives pods their addresses";
/// A subnet without nodes.
pub const SUBNET_OF_NOTHING: &str =
    "belongs to nodePool: declare the nodes that lie in it, or remove it";
/// Nodes without subnet.
pub const POOL_WITHOUT_SUBNET: &str = "needs subnet: nodes without one lie in that of the system pool, which the \
    network security groups of all landing zones let in";
/// Addresses of pods that groups have to let in, and nobody knows.
pub const NO_POD_CIDRS: &str = "needs network.podCidrs with this network.plugin: without them network security \
    groups would deny pods on different nodes to each other";
/// Subnets whose pods would have no routes.
pub const NO_CLUSTER_ROUTES: &str = "needs azure.hub.routeTable of the LandingZonePlatform with network.plugin \
    Kubenet: the cluster's own route table, into which AKS writes the routes of pods";
/// Nodes that nobody asks for, where Karpenter makes them.
pub const NO_FEWEST_NODES: &str = "has to be 0 with azure.nodeProvisioning Auto of the LandingZonePlatform: Karpenter makes \
    nodes when pods ask for them, and none before";
/// A subnet of pods, where Karpenter makes nodes.
pub const NO_POD_SUBNET: &str = "cannot be with azure.nodeProvisioning Auto of the LandingZonePlatform: Karpenter knows no subnet \
    of pods; remove it, and make cidr as large as pods need";
/// Kubenet, where Karpenter makes nodes.
pub const NO_KUBENET: &str = "cannot be Auto with network.plugin Kubenet, on which AKS has no node auto-provisioning: write Manual";
/// A network security group without subnet.
pub const SECURITY_GROUP_OF_NOTHING: &str =
    "belongs to subnet: declare the subnet that it guards, or remove it";
/// Fewer nodes at most than at least.
pub const MIN_OVER_MAX: &str = "is more than max: lower it, or raise max";
/// A size of virtual machines that is none.
pub const VM_SIZE: &str =
    "is no size of virtual machines: write it like Standard_D4s_v5 (az vm list-sizes knows them)";
/// A region that is none.
pub const LOCATION: &str = "is no region: write it as Azure does, without spaces, like westeurope";
/// A subscription that is none.
pub const SUBSCRIPTION: &str = "is not the id of a subscription: write it like \
    00000000-0000-0000-0000-000000000000 (az account show knows it)";
/// Longest prefix of a subnet: Azure takes none that are smaller.
pub const NARROWEST_SUBNET: u8 = 29;
/// A range that can be no subnet of the nodes.
pub const SUBNET_RANGE: &str = "is not a range of IPv4 addresses, at most /29: write it like 10.1.4.0/24, \
    without bits beyond the prefix";
/// A subnet of pods that get their addresses elsewhere.
pub const POD_SUBNET_OF_NOBODY: &str = "belongs to network.plugin AzureCNI of the LandingZonePlatform: with \
    others pods get no address from a subnet: remove it";
/// A node label of whoever has nodes of his own.
pub const STACK_OF_OTHERS: &str = "is the label of azure.nodePool, whose value is the application's code: \
    remove it here";

/// A name that Azure does not take, of at most so many characters.
pub(crate) fn azure_name(longest: usize) -> String {
    format!(
        "is not a name that Azure takes: write at most {longest} letters, digits, '-', '_' and '.', and \
         begin with a letter or digit and end with one or '_'"
    )
}

/// What is not the resource id of a type.
pub(crate) fn resource_id(kind: &str) -> String {
    format!(
        "is not the id of a resource of {kind}: write it like /subscriptions/<id>/resourceGroups/<name>\
         /providers/{kind}/<name>"
    )
}

/// A requirement that compares with nothing.
pub const NO_VALUES: &str = "must not be empty with operator In or NotIn: name at least one value, or \
    use operator Exists";
/// A requirement that has values and asks for none.
pub const EXISTS_WITH_VALUES: &str =
    "have no meaning with operator Exists: remove them, or use operator In";

/// A zone that no namespace has.
pub const UNKNOWN_ZONE: &str = "is not the zone of any namespace: correct it, or add a namespace \
    with this zone";
/// Most labels that one end of a flow may ask for.
pub const SELECTOR_LABELS: usize = 8;
/// Most characters in the keys and values of those labels, together: Calico takes 1,024 in a
/// selector, with everything around them.
pub const SELECTOR_LENGTH: usize = 800;
/// More labels than [`SELECTOR_LABELS`], or longer ones than [`SELECTOR_LENGTH`].
pub const LONG_SELECTOR: &str = "must be at most 8 labels, whose keys and values together have at \
    most 800 characters, or Calico cannot take the selector: give the pods one label for this flow";
/// A flow that leads from a zone to itself.
pub const SELF_FLOW: &str = "leads from a zone to itself: add a podSelector to from or to, or \
    remove the flow and use intraZone: Allow, which lets a zone's pods talk freely";
/// A peer that is none, or several.
pub const ONE_PEER: &str = "must name exactly one of landingZone, cidrs, fqdns, destination and apiServer: \
    write one entry for each";
/// A name that no firewall matches.
pub const FQDN: &str = "is no name that Azure Firewall can match: write it like api.example.com or *.example.com, in \
    lower case, with at least two labels behind the asterisk";
/// Ports without names.
pub const FQDN_PORTS: &str = "must be single TCP ports up to 64000 with fqdns, since Azure Firewall reads the name from HTTP on \
    80 and from TLS on every other one: correct them, or leave them out for 443";
/// The last port of an application rule (Azure Service Operator, `FirewallPoliciesRuleCollectionGroup`).
pub const LAST_FQDN_PORT: u16 = 64_000;
/// Names without anybody who matches them.
pub const NO_FIREWALL: &str = "names are matched by Azure Firewall, and the LandingZonePlatform declares none, since \
    open-source Calico matches addresses only: declare azure.hub.firewall there, or name cidrs instead of fqdns";
/// A firewall that nothing leads to.
pub const FIREWALL_WITHOUT_ROUTES: &str = "needs routeTable, which leads what the landing zones' subnets send to the \
    internet to this firewall: declare it, too";
/// A peer of a shared service that is none, or several.
pub const ONE_SERVICE_PEER: &str = "must name exactly one of namespaceSelector, cidrs and nodes: \
    write one entry for each";
/// Pods of no namespaces.
pub const PODS_OF_NOBODY: &str = "belongs to namespaceSelector: remove it, or say which namespaces";
/// A shared service that has the name of a preset.
pub const PRESET_NAME: &str = "is the name of a preset that is listed, too: choose another name";
/// A shared service on nodes whose addresses nobody knows.
pub const NODES_UNKNOWN: &str = "means the nodes, whose addresses are not known: list their subnets \
    in network.nodeCidrs";
/// A zone or pods of what has none.
pub const ZONE_OF_NOBODY: &str = "zone and podSelector belong to landingZone: remove them, or name \
    the landing zone";
/// Exceptions from nothing.
pub const EXCEPT_OF_NOTHING: &str = "belongs to cidrs: remove it";
/// Exceptions that lie elsewhere.
pub const EXCEPT_OUTSIDE: &str = "lies outside of cidrs, so that it excepts nothing: remove or \
    correct it";
/// A range of which exceptions leave nothing.
pub const EXCEPTED_AS_A_WHOLE: &str = "is left out as a whole by except, so that it opens nothing: remove \
    it, or name narrower exceptions";
/// Ports of the API server.
pub const API_SERVER_PORTS: &str =
    "must be left out with apiServer, which has its own: remove them";
/// A flag that is only ever true.
pub const ONLY_TRUE: &str = "must be true: remove the entry instead";
/// A landing zone that names itself.
pub const OWN_LANDING_ZONE: &str = "is this landing zone itself: declare a flow instead";
/// A range that reaches most of the internet.
pub const ALL_ADDRESSES: &str = "reaches most of the internet: name narrower ranges (from /8 on, \
    IPv6 from /16 on), or add acknowledge: AllAddresses";
/// A range that is Azure's own.
pub const METADATA_SERVICE: &str = "holds Azure's metadata service (169.254.169.254, 168.63.129.16), \
    which gives out identity tokens: remove it, or add acknowledge: MetadataService";
/// Longest prefix of an IPv4 range that reaches most of the internet: 10.0.0.0/8 is a company's own.
pub const NARROWEST_WIDE_V4: u8 = 7;
/// Longest prefix of an IPv6 range that reaches most of the internet.
pub const NARROWEST_WIDE_V6: u8 = 15;
/// Azure's addresses that give pods more than data: the instance metadata service (identity tokens)
/// and the wire server (Azure documentation, "What is IP address 168.63.129.16?").
pub const METADATA_ADDRESSES: [&str; 2] = ["169.254.169.254", "168.63.129.16"];
/// Shortest prefix of a range that means a metadata address which it holds; wider ranges leave it out.
pub const WIDEST_METADATA_RANGE: u8 = 24;
/// A day that is none.
pub const DATE: &str = "is not a day: write it like 2027-06-30";
/// A selector of exempt namespaces that selects everything.
pub const EMPTY_EXEMPT_SELECTOR: &str = "must name at least one label: leave selector out to exempt \
    namespaces by name only";
/// A selector of exempt namespaces with more labels than [`SELECTOR_LABELS`], or longer ones than
/// [`SELECTOR_LENGTH`].
pub const LONG_EXEMPT_SELECTOR: &str = "must be at most 8 labels, whose keys and values together have \
    at most 800 characters, or Calico cannot take the selector: give the namespaces one label";
/// A selector that selects everything.
pub const EMPTY_SELECTOR: &str = "must name at least one label: leave podSelector out to mean all \
    pods of the zone";
/// A number that is no port.
pub const PORT: &str = "is not a port: write a number from 1 to 65535";
/// A rule for the ports of Services that allows none.
pub const NO_SERVICE_PORTS: &str = "must name a port while stage is not \"Off\", or hardly any Service is left: \
    name those that are allowed, for instance 80 and 443";
/// A range of ports that runs backwards.
pub const END_PORT: &str = "is below port: swap them, or remove endPort";
/// An entry that repeats an earlier one.
pub const TWICE: &str = "stands twice in the list: remove one";

/// Keys of labels and annotations that a declaration must not set.
#[derive(Clone, Copy, Debug)]
pub struct ReservedKeys {
    /// Keys, written out.
    pub names: &'static [&'static str],
    /// Domains: every key below one of them or its subdomains.
    pub domains: &'static [&'static str],
    /// What to do instead.
    pub rule: &'static str,
}

/// Every reserved key, by what to do instead.
pub const RESERVED_KEYS: &[ReservedKeys] = &[
    ReservedKeys {
        names: &[super::names::APPLICATION_CODE],
        domains: &[],
        rule: "is a reserved key: set spec.applicationCode instead",
    },
    ReservedKeys {
        names: &[super::names::ZONE],
        domains: &[],
        rule: "is a reserved key: set the namespace's zone instead",
    },
    ReservedKeys {
        names: &[],
        domains: &["pod-security.kubernetes.io"],
        rule: "is a reserved key: set the namespace's podSecurity instead",
    },
    ReservedKeys {
        names: &[],
        domains: &["scheduler.alpha.kubernetes.io"],
        rule: "is a reserved key: use spec.placement instead",
    },
    ReservedKeys {
        names: &["app.kubernetes.io/instance"],
        domains: &["argocd.argoproj.io", "toolkit.fluxcd.io", "helm.sh"],
        rule: "is a reserved key: remove it, since a GitOps tool would take the namespace for its \
               own and prune it",
    },
    ReservedKeys {
        names: &[super::names::MANAGED_BY, super::names::METADATA_NAME],
        domains: &[
            super::names::GROUP,
            "kubectl.kubernetes.io",
            "kubernetes.azure.com",
            "projectcalico.org",
        ],
        rule: "is a reserved key: remove it, since the operator, Kubernetes, AKS or Calico sets it",
    },
];

/// Namespaces that no landing zone may claim and no cluster-wide rule may cut off: those of
/// Kubernetes, Calico and AKS (facts from AKS's documentation and Calico's operator).
pub const BUILT_IN_EXEMPT_NAMESPACES: &[&str] = &[
    "aks-command",
    "aks-istio-egress",
    "aks-istio-ingress",
    "aks-istio-system",
    "app-routing-system",
    "azappconfig-system",
    "azure-arc",
    "calico-apiserver",
    "calico-system",
    "cert-manager",
    "dapr-system",
    "dataprotection-microsoft",
    "default",
    "flux-system",
    "gatekeeper-system",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "landing-zone-system",
    "tigera-operator",
];

/// Labels, with whatever value, that AKS puts on the namespaces of its own add-ons: no cluster-wide
/// rule may cut them off (facts from AKS's documentation).
pub const EXEMPT_MARKERS: &[&str] = &["control-plane", "kubernetes.azure.com/managedby"];

/// Resources of a quota that are measured and need no domain in their names.
pub const MEASURED_RESOURCES: &[&str] = &[
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
];
/// Resources of a quota that are counted and need no domain in their names.
pub const COUNTED_RESOURCES: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
/// Resources of a container that need no domain in their names.
pub const CONTAINER_RESOURCES: &[&str] = &["cpu", "ephemeral-storage", "memory"];
