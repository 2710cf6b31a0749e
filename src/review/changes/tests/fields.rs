//! Every field of both kinds: whether a change of it asks for approval. A field that the schema gets and the table does not
//! have fails here.

use std::collections::BTreeSet;

use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use super::fixture::{Stand, TIERS, told};
use crate::api;
use crate::domain::{LandingZone, Platform};
use crate::review::changes::approval_required;

/// What a change of a field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Always,
    Never,
    /// It depends on whether it opens or weakens something.
    Depends,
}

use Asks::{Always, Depends, Never};

/// Where a value is put, below the spec; the value before and the one after (null: none); whether that asks.
type Example = (&'static str, &'static str, &'static str, bool);

/// Fields that go together, what they ask for, and examples of each.
type Row = (&'static [&'static str], Asks, &'static [Example]);

/// Nothing comes of it but what people see in another place, so nothing is told.
const UNTOLD: [&str; 1] = ["access[].displayName"];

const LANDING_ZONE: &[Row] = &[
    (
        &["applicationCode"],
        Never,
        &[("applicationCode", r#""shop""#, r#""store""#, false)],
    ),
    (
        &["contact"],
        Never,
        &[("contact", r#""a""#, r#""b""#, false)],
    ),
    (
        &["stage"],
        Depends,
        &[
            ("stage", r#""Enforce""#, r#""Observe""#, true),
            ("stage", r#""Observe""#, r#""Enforce""#, false),
        ],
    ),
    (
        &["suspend"],
        Depends,
        &[
            ("suspend", "null", "true", true),
            ("suspend", "true", "null", false),
        ],
    ),
    (
        &["adoptionPolicy"],
        Depends,
        &[
            ("adoptionPolicy", r#""Never""#, r#""Always""#, true),
            ("adoptionPolicy", r#""Always""#, r#""Never""#, false),
        ],
    ),
    (
        &["deletePolicy"],
        Never,
        &[("deletePolicy", r#""Keep""#, r#""Delete""#, false)],
    ),
    (
        &["labels"],
        Never,
        &[("labels", r#"{"team": "a"}"#, r#"{"team": "b"}"#, false)],
    ),
    (
        &["quotaTotal"],
        Never,
        &[("quotaTotal", "null", r#"{"pods": "40"}"#, false)],
    ),
    (
        &["namespaces[].name", "namespaces[].zone"],
        Depends,
        &[
            (
                "namespaces/2",
                "null",
                r#"{"name": "shop-web2", "zone": "web"}"#,
                true,
            ),
            (
                "namespaces/2",
                r#"{"name": "shop-batch", "zone": "batch", "quota": {"pods": "1"}}"#,
                "null",
                false,
            ),
            ("namespaces/1/zone", r#""data""#, r#""web""#, true),
        ],
    ),
    (
        &["namespaces[].labels"],
        Never,
        &[("namespaces/0/labels", "null", r#"{"team": "b"}"#, false)],
    ),
    (
        &["namespaces[].annotations"],
        Never,
        &[(
            "namespaces/0/annotations",
            "null",
            r#"{"team": "b"}"#,
            false,
        )],
    ),
    (
        &["namespaces[].podSecurity", "namespaces[].acknowledge"],
        Depends,
        &[
            (
                "namespaces/0",
                r#"{"name": "shop-web", "zone": "web", "quota": {"pods": "10"}}"#,
                r#"{"name": "shop-web", "zone": "web", "quota": {"pods": "10"}, "podSecurity": "privileged", "acknowledge": "HostNetworkEscapesPolicies"}"#,
                true,
            ),
            (
                "namespaces/0/podSecurity",
                r#""baseline""#,
                r#""restricted""#,
                false,
            ),
        ],
    ),
    (
        &["namespaces[].quota"],
        Never,
        &[(
            "namespaces/0/quota",
            r#"{"pods": "10"}"#,
            r#"{"pods": "11"}"#,
            false,
        )],
    ),
    (
        &[
            "namespaces[].limits.default",
            "namespaces[].limits.defaultRequest",
            "namespaces[].limits.max",
            "namespaces[].limits.min",
        ],
        Never,
        &[
            (
                "namespaces/0/limits",
                "null",
                r#"{"default": {"cpu": "1"}}"#,
                false,
            ),
            (
                "namespaces/0/limits",
                "null",
                r#"{"defaultRequest": {"cpu": "1"}}"#,
                false,
            ),
            (
                "namespaces/0/limits",
                "null",
                r#"{"max": {"cpu": "1"}}"#,
                false,
            ),
            (
                "namespaces/0/limits",
                "null",
                r#"{"min": {"cpu": "1"}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "access[].displayName",
            "access[].kind",
            "access[].name",
            "access[].role",
            "access[].zones[]",
        ],
        Never,
        &[
            ("access/0/role", r#""edit""#, r#""admin""#, false),
            ("access/0/name", r#""devs""#, r#""ops""#, false),
            ("access/0/kind", r#""Group""#, r#""User""#, false),
            ("access/0/displayName", "null", r#""Developers""#, false),
            ("access/0/zones", r#"["web"]"#, r#"["web", "data"]"#, false),
        ],
    ),
    (
        &[
            "placement.evictMisplaced",
            "placement.minAvailabilityZones",
            "placement.nodeAffinity[].key",
            "placement.nodeAffinity[].operator",
            "placement.nodeAffinity[].values[]",
            "placement.nodeSelector",
            "placement.spread.whenUnsatisfiable",
            "placement.tolerations[].effect",
            "placement.tolerations[].key",
            "placement.tolerations[].operator",
            "placement.tolerations[].value",
        ],
        Never,
        &[
            (
                "placement",
                "null",
                r#"{"nodeSelector": {"a": "b"}}"#,
                false,
            ),
            (
                "placement",
                r#"{"nodeSelector": {"a": "b"}}"#,
                r#"{"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}]}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.flows[].name",
            "network.flows[].from.zone",
            "network.flows[].from.podSelector.matchLabels",
            "network.flows[].to.zone",
            "network.flows[].to.podSelector.matchLabels",
            "network.flows[].ports[].port",
            "network.flows[].ports[].endPort",
            "network.flows[].ports[].protocol",
        ],
        Never,
        &[
            (
                "network/flows",
                r#"[{"name": "f", "from": {"zone": "web"}, "to": {"zone": "data"}, "ports": [{"protocol": "TCP", "port": 80}]}]"#,
                r#"[{"name": "f", "from": {"zone": "web"}, "to": {"zone": "data"}}]"#,
                false,
            ),
            (
                "network/flows",
                r#"[{"name": "f", "from": {"zone": "web"}, "to": {"zone": "data"}}]"#,
                r#"[{"name": "f", "from": {"zone": "web", "podSelector": {"matchLabels": {"a": "b"}}}, "to": {"zone": "data"}}]"#,
                false,
            ),
        ],
    ),
    (
        &["network.intraZone"],
        Never,
        &[("network/intraZone", r#""Allow""#, r#""FlowsOnly""#, false)],
    ),
    (
        &["network.sharedServices[]"],
        Depends,
        &[
            ("network/sharedServices", "[]", r#"["monitoring"]"#, true),
            ("network/sharedServices", r#"["monitoring"]"#, "[]", false),
        ],
    ),
    (
        &[
            "network.egress[].name",
            "network.egress[].reason",
            "network.egress[].owner",
        ],
        Never,
        &[
            ("network/egress/0/reason", "null", r#""CHG1""#, false),
            ("network/egress/0/owner", "null", r#""me""#, false),
        ],
    ),
    (
        &["network.egress[].validUntil"],
        Depends,
        &[
            (
                "network/egress/0/validUntil",
                r#""2026-08-01""#,
                r#""2027-08-01""#,
                true,
            ),
            (
                "network/egress/0/validUntil",
                r#""2027-08-01""#,
                r#""2026-08-01""#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.egress[].from.zone",
            "network.egress[].from.podSelector.matchLabels",
        ],
        Depends,
        &[
            ("network/egress/0/from", r#"{"zone": "web"}"#, "null", true),
            ("network/egress/0/from", "null", r#"{"zone": "web"}"#, false),
            (
                "network/egress/0/from",
                r#"{"podSelector": {"matchLabels": {"a": "b"}}}"#,
                "null",
                true,
            ),
            (
                "network/egress/0/from",
                "null",
                r#"{"podSelector": {"matchLabels": {"a": "b"}}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.egress[].ports[].port",
            "network.egress[].ports[].endPort",
            "network.egress[].ports[].protocol",
        ],
        Depends,
        &[
            ("network/egress/0/ports/0/port", "5432", "5433", true),
            (
                "network/egress/0/ports/0/protocol",
                r#""TCP""#,
                r#""UDP""#,
                true,
            ),
            ("network/egress/0/ports/0/endPort", "null", "5440", true),
            ("network/egress/0/ports/0/endPort", "5440", "null", false),
        ],
    ),
    (
        &[
            "network.egress[].to.landingZone",
            "network.egress[].to.zone",
            "network.egress[].to.podSelector.matchLabels",
        ],
        Depends,
        &[
            (
                "network/egress/0/to",
                r#"{"landingZone": "orders", "zone": "data"}"#,
                r#"{"landingZone": "orders"}"#,
                true,
            ),
            (
                "network/egress/0/to",
                r#"{"landingZone": "orders"}"#,
                r#"{"landingZone": "orders", "zone": "data", "podSelector": {"matchLabels": {"a": "b"}}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.egress[].to.cidrs[]",
            "network.egress[].to.except[]",
            "network.egress[].acknowledge",
        ],
        Depends,
        &[
            (
                "network/egress/1/to",
                r#"{"cidrs": ["198.51.100.0/25"]}"#,
                r#"{"cidrs": ["198.51.100.0/24"]}"#,
                true,
            ),
            (
                "network/egress/1/to",
                r#"{"cidrs": ["198.51.100.0/24"]}"#,
                r#"{"cidrs": ["198.51.100.0/24"], "except": ["198.51.100.7/32"]}"#,
                false,
            ),
            (
                "network/egress/1",
                r#"{"name": "net", "to": {"cidrs": ["198.51.100.0/25"]}, "ports": [{"protocol": "TCP", "port": 443}]}"#,
                r#"{"name": "net", "to": {"cidrs": ["0.0.0.0/0"]}, "acknowledge": "AllAddresses", "ports": [{"protocol": "TCP", "port": 443}]}"#,
                true,
            ),
        ],
    ),
    (
        &["network.egress[].to.fqdns[]"],
        Depends,
        &[
            (
                "network/egress/4",
                "null",
                r#"{"name": "out", "to": {"fqdns": ["api.example.com"]}}"#,
                true,
            ),
            (
                "network/egress/4",
                r#"{"name": "out", "to": {"fqdns": ["api.example.com"]}}"#,
                r#"{"name": "out", "to": {"fqdns": ["api.example.com", "evil.example.com"]}}"#,
                true,
            ),
            (
                "network/egress/4",
                r#"{"name": "out", "to": {"fqdns": ["api.example.com"]}}"#,
                r#"{"name": "out", "to": {"fqdns": ["*.example.com"]}}"#,
                true,
            ),
            (
                "network/egress/4",
                r#"{"name": "out", "to": {"fqdns": ["*.example.com"]}}"#,
                r#"{"name": "out", "to": {"fqdns": ["api.example.com"]}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.egress[].to.destination",
            "network.egress[].to.apiServer",
        ],
        Depends,
        &[
            (
                "network/egress/2",
                "null",
                r#"{"name": "bank", "to": {"destination": "bank"}}"#,
                true,
            ),
            (
                "network/egress/2",
                r#"{"name": "bank", "to": {"destination": "bank"}}"#,
                "null",
                false,
            ),
            (
                "network/egress/4",
                "null",
                r#"{"name": "api", "to": {"apiServer": true}}"#,
                true,
            ),
        ],
    ),
    (
        &[
            "network.ingress[].name",
            "network.ingress[].reason",
            "network.ingress[].owner",
        ],
        Never,
        &[
            ("network/ingress/0/reason", "null", r#""CHG1""#, false),
            ("network/ingress/0/owner", "null", r#""me""#, false),
        ],
    ),
    (
        &["network.ingress[].validUntil"],
        Depends,
        &[
            (
                "network/ingress/0/validUntil",
                r#""2026-08-01""#,
                r#""2027-08-01""#,
                true,
            ),
            (
                "network/ingress/0/validUntil",
                r#""2027-08-01""#,
                r#""2026-08-01""#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.ingress[].from.landingZone",
            "network.ingress[].from.zone",
            "network.ingress[].from.podSelector.matchLabels",
        ],
        Depends,
        &[
            (
                "network/ingress/0/from",
                r#"{"landingZone": "orders", "zone": "web"}"#,
                r#"{"landingZone": "orders"}"#,
                true,
            ),
            (
                "network/ingress/0/from",
                r#"{"landingZone": "orders"}"#,
                r#"{"landingZone": "orders", "podSelector": {"matchLabels": {"a": "b"}}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.ingress[].to.zone",
            "network.ingress[].to.podSelector.matchLabels",
        ],
        Depends,
        &[
            ("network/ingress/0/to", r#"{"zone": "web"}"#, "null", true),
            (
                "network/ingress/0/to",
                r#"{"zone": "web"}"#,
                r#"{"zone": "web", "podSelector": {"matchLabels": {"a": "b"}}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "network.ingress[].ports[].port",
            "network.ingress[].ports[].endPort",
            "network.ingress[].ports[].protocol",
        ],
        Depends,
        &[
            ("network/ingress/0/ports/0/port", "8080", "8081", true),
            (
                "network/ingress/0/ports/0/protocol",
                r#""TCP""#,
                r#""UDP""#,
                true,
            ),
            ("network/ingress/0/ports/0/endPort", "null", "8090", true),
            ("network/ingress/0/ports/0/endPort", "8090", "null", false),
        ],
    ),
    (
        &[
            "azure.nodePool.vmSize",
            "azure.nodePool.min",
            "azure.nodePool.max",
            "azure.nodePool.availabilityZones[]",
            "azure.nodePool.maxPods",
            "azure.nodePool.osSku",
        ],
        Depends,
        &[
            (
                "azure/nodePool/vmSize",
                r#""Standard_D4s_v5""#,
                r#""Standard_D8s_v5""#,
                false,
            ),
            ("azure/nodePool/min", "1", "2", false),
            ("azure/nodePool/max", "3", "2", false),
            ("azure/nodePool/availabilityZones", "null", "[1, 2]", false),
            ("azure/nodePool/maxPods", "null", "20", false),
            ("azure/nodePool/osSku", "null", r#""AzureLinux""#, false),
            (
                "azure",
                r#"{"nodePool": {"vmSize": "Standard_D4s_v5", "min": 1, "max": 3}, "subnet": {"cidr": "10.1.4.0/24"}}"#,
                "null",
                true,
            ),
        ],
    ),
    (
        &["azure.nodePool.taint"],
        Depends,
        &[
            ("azure/nodePool/taint", "null", "false", true),
            ("azure/nodePool/taint", "false", "true", false),
        ],
    ),
    (
        &["azure.nodePool.replace"],
        Never,
        &[("azure/nodePool/replace", "null", "true", false)],
    ),
    (
        &["azure.subnet.cidr", "azure.subnet.podCidr"],
        Depends,
        &[
            (
                "azure/subnet/cidr",
                r#""10.1.4.0/24""#,
                r#""10.1.5.0/24""#,
                false,
            ),
            ("azure/subnet/podCidr", "null", r#""10.1.8.0/22""#, false),
            (
                "azure",
                r#"{"nodePool": {"vmSize": "Standard_D4s_v5", "min": 1, "max": 3}, "subnet": {"cidr": "10.1.4.0/24"}}"#,
                "null",
                true,
            ),
        ],
    ),
    (
        &["azure.networkSecurityGroup"],
        Depends,
        &[
            ("azure/networkSecurityGroup", r#""Managed""#, "null", true),
            ("azure/networkSecurityGroup", "null", r#""Managed""#, false),
        ],
    ),
    (
        &["azure.deletePolicy"],
        Never,
        &[("azure/deletePolicy", "null", r#""Delete""#, false)],
    ),
];

const PLATFORM: &[Row] = &[
    (
        &["dns.nodeLocal", "dns.extraAddresses[]"],
        Depends,
        &[
            ("dns", "null", r#"{"nodeLocal": true}"#, true),
            ("dns", r#"{"nodeLocal": true}"#, "null", false),
            (
                "dns",
                "null",
                r#"{"extraAddresses": ["169.254.10.10"]}"#,
                true,
            ),
            (
                "dns",
                r#"{"extraAddresses": ["169.254.10.10"]}"#,
                "null",
                false,
            ),
        ],
    ),
    (
        &["access.clusterRoles[]"],
        Never,
        &[(
            "access",
            "null",
            r#"{"clusterRoles": ["view", "edit", "admin", "more"]}"#,
            false,
        )],
    ),
    (
        &["network.podCidrs[]"],
        Always,
        &[
            (
                "network/podCidrs",
                r#"["10.244.0.0/16"]"#,
                r#"["10.244.0.0/15"]"#,
                true,
            ),
            (
                "network/podCidrs",
                r#"["10.244.0.0/15"]"#,
                r#"["10.244.0.0/16"]"#,
                true,
            ),
        ],
    ),
    (
        &["network.plugin"],
        Depends,
        &[
            (
                "network/plugin",
                r#""AzureCNIOverlay""#,
                r#""AzureCNI""#,
                false,
            ),
            (
                "network/plugin",
                r#""AzureCNI""#,
                r#""AzureCNIOverlay""#,
                true,
            ),
        ],
    ),
    (
        &["network.nodeCidrs[]"],
        Depends,
        &[
            ("network/nodeCidrs", r#"["10.240.0.0/24"]"#, "[]", true),
            ("network/nodeCidrs", "[]", r#"["10.240.0.0/24"]"#, false),
        ],
    ),
    (
        &["network.apiServer[]"],
        Depends,
        &[
            ("network/apiServer", "[]", r#"["10.2.0.4"]"#, true),
            ("network/apiServer", r#"["10.2.0.4"]"#, "[]", false),
        ],
    ),
    (
        &["network.serviceCidrs[]"],
        Never,
        &[("network/serviceCidrs", "[]", r#"["10.0.0.0/16"]"#, false)],
    ),
    (
        &[
            "sharedServices[].name",
            "sharedServices[].direction",
            "sharedServices[].landingZones",
        ],
        Depends,
        &[
            ("sharedServices/0/landingZones", "null", r#""All""#, true),
            ("sharedServices/0/landingZones", r#""All""#, "null", false),
            (
                "sharedServices/0/direction",
                r#""ToLandingZones""#,
                r#""Both""#,
                true,
            ),
            (
                "sharedServices/0/direction",
                r#""Both""#,
                r#""ToLandingZones""#,
                false,
            ),
        ],
    ),
    (
        &[
            "sharedServices[].peers[].cidrs[]",
            "sharedServices[].peers[].namespaceSelector.matchLabels",
            "sharedServices[].peers[].podSelector.matchLabels",
            "sharedServices[].peers[].nodes",
        ],
        Depends,
        &[
            (
                "sharedServices/0/peers/1",
                "null",
                r#"{"cidrs": ["198.51.100.0/26"]}"#,
                true,
            ),
            (
                "sharedServices/0/peers/1",
                r#"{"cidrs": ["198.51.100.0/26"]}"#,
                "null",
                false,
            ),
            (
                "sharedServices/0/peers/1",
                "null",
                r#"{"nodes": true}"#,
                true,
            ),
            (
                "sharedServices/0/peers/0/namespaceSelector",
                r#"{"matchLabels": {"tier": "monitoring"}}"#,
                r#"{"matchLabels": {"tier": "other"}}"#,
                true,
            ),
            (
                "sharedServices/0/peers/0/podSelector",
                r#"{"matchLabels": {"app": "a"}}"#,
                "null",
                true,
            ),
            (
                "sharedServices/0/peers/0/podSelector",
                "null",
                r#"{"matchLabels": {"app": "a"}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "sharedServices[].ports[].port",
            "sharedServices[].ports[].endPort",
            "sharedServices[].ports[].protocol",
        ],
        Depends,
        &[
            ("sharedServices/0/ports/0/port", "9090", "9091", true),
            (
                "sharedServices/0/ports/0/protocol",
                r#""TCP""#,
                r#""UDP""#,
                true,
            ),
            ("sharedServices/0/ports/0/endPort", "null", "9099", true),
            ("sharedServices/0/ports/0/endPort", "9099", "null", false),
        ],
    ),
    (
        &["presets[]"],
        Never,
        &[("presets", "[]", r#"["dapr"]"#, false)],
    ),
    (
        &["destinations[].name", "destinations[].owner"],
        Never,
        &[("destinations/0/owner", r#""treasury""#, r#""me""#, false)],
    ),
    (
        &["destinations[].cidrs[]"],
        Depends,
        &[
            (
                "destinations/0/cidrs",
                r#"["192.0.2.0/28"]"#,
                r#"["192.0.2.0/27"]"#,
                true,
            ),
            (
                "destinations/0/cidrs",
                r#"["192.0.2.0/27"]"#,
                r#"["192.0.2.0/28"]"#,
                false,
            ),
        ],
    ),
    (
        &[
            "destinations[].ports[].port",
            "destinations[].ports[].endPort",
            "destinations[].ports[].protocol",
        ],
        Depends,
        &[
            ("destinations/0/ports/0/port", "443", "444", true),
            (
                "destinations/0/ports/0/protocol",
                r#""TCP""#,
                r#""UDP""#,
                true,
            ),
            ("destinations/0/ports/0/endPort", "null", "450", true),
            ("destinations/0/ports/0/endPort", "450", "null", false),
        ],
    ),
    (
        &["expiredCrossings"],
        Depends,
        &[
            ("expiredCrossings", r#""Close""#, r#""Warn""#, true),
            ("expiredCrossings", r#""Warn""#, r#""Close""#, false),
        ],
    ),
    (
        &["defaultDeny.stage"],
        Depends,
        &[
            ("defaultDeny/stage", r#""Enforce""#, r#""Observe""#, true),
            ("defaultDeny/stage", r#""Enforce""#, r#""Off""#, true),
            ("defaultDeny/stage", r#""Observe""#, r#""Enforce""#, false),
            // Nothing is denied before, nor after.
            ("defaultDeny/stage", r#""Observe""#, r#""Off""#, false),
        ],
    ),
    (
        &["exempt.namespaces[]", "exempt.selector.matchLabels"],
        Depends,
        &[
            ("exempt", "null", r#"{"namespaces": ["mine"]}"#, true),
            ("exempt", r#"{"namespaces": ["mine"]}"#, "null", false),
            (
                "exempt",
                "null",
                r#"{"selector": {"matchLabels": {"a": "b"}}}"#,
                true,
            ),
            (
                "exempt",
                r#"{"selector": {"matchLabels": {"a": "b"}}}"#,
                "null",
                false,
            ),
        ],
    ),
    (
        &["guard"],
        Depends,
        &[
            ("guard", r#""Enforce""#, r#""Observe""#, true),
            ("guard", r#""Enforce""#, "null", true),
            ("guard", r#""Observe""#, r#""Off""#, true),
            ("guard", "null", r#""Observe""#, false),
            ("guard", r#""Observe""#, r#""Enforce""#, false),
        ],
    ),
    (
        &["workloadRules.httpsIngress"],
        Depends,
        &[
            (
                "workloadRules",
                r#"{"httpsIngress": "Enforce"}"#,
                r#"{"httpsIngress": "Observe"}"#,
                true,
            ),
            (
                "workloadRules",
                r#"{"httpsIngress": "Enforce"}"#,
                "null",
                true,
            ),
            (
                "workloadRules",
                r#"{"httpsIngress": "Observe"}"#,
                "null",
                false,
            ),
            (
                "workloadRules",
                "null",
                r#"{"httpsIngress": "Enforce"}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "workloadRules.servicePorts.stage",
            "workloadRules.servicePorts.allowed[]",
        ],
        Depends,
        &[
            (
                "workloadRules",
                r#"{"servicePorts": {"stage": "Enforce", "allowed": [443]}}"#,
                r#"{"servicePorts": {"stage": "Off", "allowed": [443]}}"#,
                true,
            ),
            (
                "workloadRules",
                r#"{"servicePorts": {"stage": "Enforce", "allowed": [443]}}"#,
                r#"{"servicePorts": {"stage": "Enforce", "allowed": [80]}}"#,
                true,
            ),
            (
                "workloadRules",
                r#"{"servicePorts": {"stage": "Enforce", "allowed": [80, 443]}}"#,
                r#"{"servicePorts": {"stage": "Enforce", "allowed": [80]}}"#,
                false,
            ),
            (
                "workloadRules",
                r#"{"servicePorts": {"stage": "Observe", "allowed": [443]}}"#,
                r#"{"servicePorts": {"stage": "Enforce", "allowed": [443, 80]}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "workloadRules.externalIPs.stage",
            "workloadRules.externalIPs.allowed[]",
        ],
        Depends,
        &[
            (
                "workloadRules",
                r#"{"externalIPs": {"stage": "Enforce"}}"#,
                r#"{"externalIPs": {"stage": "Observe"}}"#,
                true,
            ),
            (
                "workloadRules",
                r#"{"externalIPs": {"stage": "Enforce"}}"#,
                r#"{"externalIPs": {"stage": "Enforce", "allowed": ["192.0.2.4"]}}"#,
                true,
            ),
            (
                "workloadRules",
                r#"{"externalIPs": {"stage": "Enforce", "allowed": ["192.0.2.4"]}}"#,
                r#"{"externalIPs": {"stage": "Enforce"}}"#,
                false,
            ),
            (
                "workloadRules",
                r#"{"externalIPs": {"allowed": ["192.0.2.4"]}}"#,
                r#"{"externalIPs": {"allowed": ["192.0.2.0/24"]}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "workloadRules.hostNetwork.stage",
            "workloadRules.hostNetwork.allowHostNetwork",
            "workloadRules.hostNetwork.allowedPorts[]",
        ],
        Depends,
        &[
            (
                "workloadRules",
                r#"{"hostNetwork": {"stage": "Enforce"}}"#,
                "null",
                true,
            ),
            (
                "workloadRules",
                r#"{"hostNetwork": {"stage": "Enforce"}}"#,
                r#"{"hostNetwork": {"stage": "Enforce", "allowHostNetwork": true}}"#,
                true,
            ),
            (
                "workloadRules",
                r#"{"hostNetwork": {"stage": "Enforce", "allowHostNetwork": true}}"#,
                r#"{"hostNetwork": {"stage": "Enforce"}}"#,
                false,
            ),
            (
                "workloadRules",
                r#"{"hostNetwork": {"stage": "Enforce"}}"#,
                r#"{"hostNetwork": {"stage": "Enforce", "allowedPorts": [9100]}}"#,
                true,
            ),
            (
                "workloadRules",
                r#"{"hostNetwork": {"stage": "Observe"}}"#,
                r#"{"hostNetwork": {"stage": "Observe", "allowedPorts": [9100]}}"#,
                false,
            ),
        ],
    ),
    (
        &[
            "defaults.limits.default",
            "defaults.limits.defaultRequest",
            "defaults.limits.max",
            "defaults.limits.min",
            "defaults.placement.evictMisplaced",
            "defaults.placement.minAvailabilityZones",
            "defaults.placement.nodeAffinity[].key",
            "defaults.placement.nodeAffinity[].operator",
            "defaults.placement.nodeAffinity[].values[]",
            "defaults.placement.nodeSelector",
            "defaults.placement.spread.whenUnsatisfiable",
            "defaults.placement.tolerations[].effect",
            "defaults.placement.tolerations[].key",
            "defaults.placement.tolerations[].operator",
            "defaults.placement.tolerations[].value",
            // Privileged is no default.
            "defaults.podSecurity",
            "defaults.quota",
        ],
        Never,
        &[
            ("defaults", "null", r#"{"quota": {"pods": "5"}}"#, false),
            (
                "defaults",
                r#"{"podSecurity": "restricted"}"#,
                r#"{"podSecurity": "baseline"}"#,
                false,
            ),
            (
                "defaults",
                "null",
                r#"{"placement": {"nodeSelector": {"a": "b"}}}"#,
                false,
            ),
            (
                "defaults",
                "null",
                r#"{"limits": {"default": {"cpu": "1"}}}"#,
                false,
            ),
        ],
    ),
    (
        &["requiredLabels[]"],
        Never,
        &[("requiredLabels", "[]", r#"["team"]"#, false)],
    ),
    (
        &[
            "azure.subscription",
            "azure.resourceGroup",
            "azure.location",
            "azure.cluster",
            "azure.virtualNetwork.name",
            "azure.virtualNetwork.resourceGroup",
        ],
        Always,
        &[
            (
                "azure/subscription",
                r#""00000000-0000-0000-0000-000000000001""#,
                r#""00000000-0000-0000-0000-000000000002""#,
                true,
            ),
            ("azure/resourceGroup", r#""rg-a""#, r#""rg-b""#, true),
            (
                "azure/location",
                r#""westeurope""#,
                r#""northeurope""#,
                true,
            ),
            ("azure/cluster", r#""aks-a""#, r#""aks-b""#, true),
            (
                "azure/virtualNetwork/name",
                r#""vnet-a""#,
                r#""vnet-b""#,
                true,
            ),
            (
                "azure/virtualNetwork/resourceGroup",
                "null",
                r#""rg-b""#,
                true,
            ),
        ],
    ),
    (
        &["azure.virtualNetwork.cidrs[]"],
        Always,
        &[(
            "azure/virtualNetwork/cidrs",
            r#"["10.1.0.0/16"]"#,
            r#"["10.0.0.0/8"]"#,
            true,
        )],
    ),
    (
        &["azure.apiServerSubnet"],
        Depends,
        &[
            ("azure/apiServerSubnet", "null", r#""10.1.250.0/28""#, true),
            ("azure/apiServerSubnet", r#""10.1.250.0/28""#, "null", false),
        ],
    ),
    (
        &["azure.systemSubnet.name"],
        Never,
        &[("azure/systemSubnet/name", r#""a""#, r#""b""#, false)],
    ),
    (
        &["azure.systemSubnet.cidr", "azure.systemSubnet.podCidr"],
        Always,
        &[
            (
                "azure/systemSubnet/cidr",
                r#""10.1.0.0/24""#,
                r#""10.1.2.0/24""#,
                true,
            ),
            (
                "azure/systemSubnet/podCidr",
                "null",
                r#""10.1.3.0/24""#,
                true,
            ),
        ],
    ),
    (
        &["azure.systemSubnet.networkSecurityGroup"],
        Depends,
        &[
            (
                "azure/systemSubnet/networkSecurityGroup",
                r#""Managed""#,
                "null",
                true,
            ),
            (
                "azure/systemSubnet/networkSecurityGroup",
                "null",
                r#""Managed""#,
                false,
            ),
        ],
    ),
    (
        &["azure.systemSubnet.applicationGateway"],
        Depends,
        &[
            (
                "azure/systemSubnet/applicationGateway",
                "null",
                r#""10.1.250.0/24""#,
                true,
            ),
            (
                "azure/systemSubnet/applicationGateway",
                r#""10.1.250.0/24""#,
                "null",
                false,
            ),
        ],
    ),
    (
        &[
            "azure.sharedSubnets[].name",
            "azure.sharedSubnets[].cidr",
            "azure.sharedSubnets[].podCidr",
        ],
        Depends,
        &[
            ("azure/sharedSubnets/0/name", r#""a""#, r#""b""#, false),
            (
                "azure/sharedSubnets/0/cidr",
                r#""10.1.1.0/24""#,
                r#""10.1.2.0/24""#,
                true,
            ),
            (
                "azure/sharedSubnets/0/podCidr",
                "null",
                r#""10.1.3.0/24""#,
                true,
            ),
        ],
    ),
    (
        &["azure.hub.routeTable"],
        Depends,
        &[
            (
                "azure/hub",
                "null",
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt"}"#,
                false,
            ),
            (
                "azure/hub",
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt"}"#,
                "null",
                true,
            ),
        ],
    ),
    (
        &[
            "azure.hub.firewall.policy",
            "azure.hub.firewall.priority",
            "azure.hub.firewall.credentialFrom",
        ],
        Depends,
        &[
            (
                "azure/hub",
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt"}"#,
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt", "firewall": {"policy": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/firewallPolicies/a"}}"#,
                false,
            ),
            (
                "azure/hub",
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt", "firewall": {"policy": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/firewallPolicies/a"}}"#,
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt"}"#,
                false,
            ),
            (
                "azure/hub",
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt", "firewall": {"policy": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/firewallPolicies/a"}}"#,
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt", "firewall": {"policy": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/firewallPolicies/b"}}"#,
                true,
            ),
            (
                "azure/hub",
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt", "firewall": {"policy": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/firewallPolicies/a"}}"#,
                r#"{"routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt", "firewall": {"policy": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/firewallPolicies/a", "priority": 2000, "credentialFrom": "hub"}}"#,
                false,
            ),
        ],
    ),
    (
        &["azure.nodeProvisioning"],
        Always,
        &[("azure/nodeProvisioning", r#""Manual""#, r#""Auto""#, true)],
    ),
    (
        &[
            "azure.serviceOperator.namespace",
            "azure.serviceOperator.credentialFrom",
        ],
        Never,
        &[
            (
                "azure/serviceOperator",
                "null",
                r#"{"namespace": "azure"}"#,
                false,
            ),
            (
                "azure/serviceOperator",
                r#"{"namespace": "azure"}"#,
                r#"{"namespace": "azure", "credentialFrom": "key"}"#,
                false,
            ),
        ],
    ),
];

/// The landing zone shop, in which examples are put.
fn shop() -> Value {
    let tcp = |port: u16| json!([{"protocol": "TCP", "port": port}]);
    json!({
        "applicationCode": "shop",
        "labels": {"team": "a"},
        "namespaces": [
            {"name": "shop-web", "zone": "web", "quota": {"pods": "10"}},
            {"name": "shop-data", "zone": "data", "quota": {"pods": "10"}},
        ],
        "access": [{"kind": "Group", "name": "devs", "role": "edit", "zones": ["web"]}],
        "azure": {
            "nodePool": {"vmSize": "Standard_D4s_v5", "min": 0, "max": 3}, "subnet": {"cidr": "10.1.4.0/24"},
            "networkSecurityGroup": "Managed",
        },
        "network": {
            "sharedServices": ["monitoring"],
            "egress": [
                {"name": "to-orders", "to": {"landingZone": "orders"}, "ports": tcp(5432)},
                {"name": "net", "to": {"cidrs": ["198.51.100.0/24"]}, "ports": tcp(443)},
                {"name": "bank", "to": {"destination": "bank"}},
                {"name": "wide", "to": {"cidrs": ["10.0.0.0/8"]}, "ports": tcp(22)},
                {"name": "api", "to": {"apiServer": true}},
            ],
            "ingress": [
                {"name": "from-orders", "from": {"landingZone": "orders"}, "to": {"zone": "web"}, "ports": tcp(8080)},
            ],
        },
    })
}

fn orders() -> Value {
    json!({
        "applicationCode": "orders",
        "labels": {"team": "a"},
        "namespaces": [{"name": "orders-web", "zone": "web"}, {"name": "orders-data", "zone": "data"}],
        "network": {
            "egress": [{"name": "to-shop", "to": {"landingZone": "shop"}}],
            "ingress": [{"name": "from-shop", "from": {"landingZone": "shop"}}],
        },
    })
}

/// The platform, in which examples are put.
fn platform() -> Value {
    let tcp = |port: u16| json!([{"protocol": "TCP", "port": port}]);
    json!({
        "network": {
            "plugin": "AzureCNI", "podCidrs": ["10.244.0.0/16"], "nodeCidrs": ["10.240.0.0/24"],
        },
        "azure": {
            "subscription": "00000000-0000-0000-0000-000000000001", "resourceGroup": "rg", "location": "westeurope",
            "cluster": "aks", "virtualNetwork": {"name": "vnet", "cidrs": ["10.1.0.0/16"]},
            "systemSubnet": {"name": "system", "cidr": "10.1.0.0/24"},
            "sharedSubnets": [{"name": "shared", "cidr": "10.1.1.0/24"}],
            "hub": {
                "routeTable": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/routeTables/rt",
                "firewall": {
                    "policy": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Network/firewallPolicies/fw",
                },
            },
        },
        "defaultDeny": {"stage": "Enforce"},
        "destinations": [{"name": "bank", "owner": "treasury", "cidrs": ["192.0.2.0/28"], "ports": tcp(443)}],
        "sharedServices": [{
            "name": "monitoring", "direction": "ToLandingZones", "ports": tcp(9090),
            "peers": [{"namespaceSelector": {"matchLabels": {"tier": "monitoring"}}}],
        }],
    })
}

fn put(into: &mut Value, at: &str, value: Value) {
    let (parent, last) = at.rsplit_once('/').unwrap_or(("", at));
    let pointer = if parent.is_empty() {
        String::new()
    } else {
        format!("/{parent}")
    };
    match into.pointer_mut(&pointer) {
        Some(Value::Array(items)) => {
            let index: usize = last.parse().unwrap();
            match (value, index < items.len()) {
                (Value::Null, true) => {
                    items.remove(index);
                }
                (Value::Null, false) => {}
                (value, true) => items[index] = value,
                (value, false) => items.push(value),
            }
        }
        Some(Value::Object(fields)) if value.is_null() => {
            fields.remove(last);
        }
        Some(Value::Object(fields)) => {
            fields.insert(last.to_owned(), value);
        }
        _ => panic!("nothing to put {at} into"),
    }
}

fn stand(shop: &Value, platform: &Value) -> Result<Stand, String> {
    let platform: api::LandingZonePlatformSpec = serde_json::from_value(platform.clone()).unwrap();
    let declared = api::LandingZonePlatform::new("cluster", platform);
    let platform = Platform::default().declared(&declared);
    let platform = platform.map_err(|problems| format!("{problems:?}"))?;
    let mut zones = Vec::new();
    for (name, spec) in [("shop", shop), ("orders", &orders())] {
        let spec = serde_json::from_value(spec.clone()).unwrap();
        let declared = api::LandingZone::new(name, spec);
        let zone = LandingZone::validate(&declared, &platform);
        zones.push(zone.map_err(|problems| format!("{name}: {problems:?}"))?);
    }
    Ok(Stand { zones, platform })
}

/// A place of an example, as the table names fields.
fn field(at: &str) -> String {
    let mut field = String::new();
    for step in at.split('/') {
        if step.parse::<usize>().is_ok() {
            field += "[]";
        } else {
            if !field.is_empty() {
                field.push('.');
            }
            field += step;
        }
    }
    field
}

/// Examples of one kind, each put into the specs before and after.
fn try_all(rows: &[Row], is_platform: bool) {
    let mut wrong = Vec::new();
    for (fields, asks, examples) in rows {
        let answers: BTreeSet<bool> = examples.iter().map(|it| it.3).collect();
        let expected: BTreeSet<bool> = match asks {
            Always => [true].into(),
            Never => [false].into(),
            Depends => [true, false].into(),
        };
        assert_eq!(answers, expected, "{fields:?}: the examples say otherwise");
        for (at, before, after, asks) in *examples {
            let is_about =
                |name: &&&str| name.starts_with(&field(at)) || field(at).starts_with(**name);
            assert!(
                fields.iter().any(|it| is_about(&it)),
                "{at}: no example of {fields:?}"
            );
            let stand = |value: &str| {
                let (mut shop, mut platform) = (shop(), platform());
                let into = if is_platform {
                    &mut platform
                } else {
                    &mut shop
                };
                put(into, at, serde_json::from_str(value).unwrap());
                stand(&shop, &platform)
            };
            let (before_it, after_it) = match (stand(before), stand(after)) {
                (Ok(before), Ok(after)) => (before, after),
                (Err(why), _) | (_, Err(why)) => {
                    wrong.push(format!("{at} from {before} to {after}: {why}"));
                    continue;
                }
            };
            let found = before_it.changes(&after_it, TIERS);
            let is_told = !found.is_empty() || UNTOLD.contains(&field(at).as_str());
            if approval_required(&found) != *asks || !is_told {
                wrong.push(format!("{at} from {before} to {after}: {:?}", told(&found)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The fields of a spec that have no fields below.
fn leaves(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    let below = |key: &str| {
        if at.is_empty() {
            key.to_owned()
        } else {
            format!("{at}.{key}")
        }
    };
    if let Some(fields) = schema["properties"].as_object() {
        for (key, schema) in fields {
            leaves(schema, &below(key), found);
        }
    } else if schema["type"] == "array" {
        leaves(&schema["items"], &format!("{at}[]"), found);
    } else {
        found.insert(at.to_owned());
    }
}

fn assert_all_fields(crd: &Value, rows: &[Row]) {
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let mut all = BTreeSet::new();
    leaves(crd.pointer(schema).unwrap(), "", &mut all);
    let fields = rows
        .iter()
        .flat_map(|it| it.0.iter().map(|it| (*it).to_owned()));
    assert_eq!(fields.collect::<BTreeSet<_>>(), all);
}

#[test]
fn no_field_is_forgotten() {
    let zone = serde_json::to_value(api::LandingZone::crd()).unwrap();
    assert_all_fields(&zone, LANDING_ZONE);
    let platform = serde_json::to_value(api::LandingZonePlatform::crd()).unwrap();
    assert_all_fields(&platform, PLATFORM);
}

#[test]
fn what_a_field_of_a_landing_zone_asks_for() {
    try_all(LANDING_ZONE, false);
}

#[test]
fn what_a_field_of_the_platform_asks_for() {
    try_all(PLATFORM, true);
}
