//! What follows from each value of the chart.

use serde_json::{Value, json};

/// What becomes of the objects when one value is set.
pub enum Effect {
    /// One object has another content at a place: null where nothing is there.
    Says(&'static str, &'static str, Value),
    /// The objects of a folder of `config/` go.
    Goes(&'static str),
    /// The objects of a component in `config/` come.
    Comes(&'static str),
    /// One object goes, by its kind.
    KindGoes(&'static str),
    /// Several objects change together: this test looks at them by themselves.
    Elsewhere,
}

const DEPLOYMENT: &str = "Deployment";

/// Every value, something else than its default, and what follows.
#[expect(
    clippy::too_many_lines,
    reason = "a table, with a line for each value of the chart"
)]
pub fn effects() -> Vec<(&'static str, Value, Effect)> {
    use Effect::{Comes, Elsewhere, Goes, KindGoes, Says};
    let container = |field: &'static str, value: Value| Says(DEPLOYMENT, field, value);
    let digest = format!("sha256:{}", "0".repeat(64));
    vec![
        (
            "image.repository",
            json!("registry.example.com/op"),
            container(
                "/spec/template/spec/containers/0/image",
                json!("registry.example.com/op:0.1.0"),
            ),
        ),
        (
            "image.tag",
            json!("9"),
            container(
                "/spec/template/spec/containers/0/image",
                json!("landing-zone-operator:9"),
            ),
        ),
        (
            "image.digest",
            json!(digest),
            container(
                "/spec/template/spec/containers/0/image",
                json!(format!("landing-zone-operator@{digest}")),
            ),
        ),
        (
            "image.pullPolicy",
            json!("Always"),
            container(
                "/spec/template/spec/containers/0/imagePullPolicy",
                json!("Always"),
            ),
        ),
        (
            "image.pullSecrets",
            json!(["registry", "mirror"]),
            container(
                "/spec/template/spec/imagePullSecrets",
                json!([{"name": "registry"}, {"name": "mirror"}]),
            ),
        ),
        (
            "replicas",
            json!(3),
            Says(DEPLOYMENT, "/spec/replicas", json!(3.0)),
        ),
        (
            "logFormat",
            json!("text"),
            container(
                "/spec/template/spec/containers/0/args",
                json!(["--log-format=text"]),
            ),
        ),
        (
            "log",
            json!("landing_zone_operator=debug"),
            container(
                "/spec/template/spec/containers/0/args",
                json!(["--log-format=json", "--log=landing_zone_operator=debug"]),
            ),
        ),
        (
            "extraArguments",
            json!(["--pod-cidr=10.0.0.0/8"]),
            container(
                "/spec/template/spec/containers/0/args",
                json!(["--log-format=json", "--pod-cidr=10.0.0.0/8"]),
            ),
        ),
        ("crds.install", json!(false), Goes("crds")),
        ("admission.install", json!(false), Goes("config/admission")),
        (
            "placement.install",
            json!("Always"),
            Comes("config/placement"),
        ),
        (
            "workloadRules.install",
            json!(false),
            Goes("config/workload-rules"),
        ),
        ("guard.install", json!(false), Goes("config/guard")),
        // cert_manager_is_a_value_here_and_a_component_there.
        ("guard.certManager.enabled", json!(true), Elsewhere),
        (
            "guard.certManager.issuerRef",
            json!({"name": "platform"}),
            Elsewhere,
        ),
        (
            "azure.namespace",
            json!("azure-resources"),
            Comes("config/azure"),
        ),
        ("azure.karpenter", json!(true), Comes("config/karpenter")),
        ("eviction.allow", json!(true), Comes("config/eviction")),
        (
            "namespaceDeletion.allow",
            json!(true),
            Comes("config/namespace-deletion"),
        ),
        // roles_are_handed_out_by_name.
        ("allowedRoles", json!(["view", "deployer"]), Elsewhere),
        (
            "resources",
            json!({"limits": {"memory": "1Gi"}}),
            container(
                "/spec/template/spec/containers/0/resources/limits",
                json!({"memory": "1Gi"}),
            ),
        ),
        (
            "priorityClassName",
            json!("platform"),
            Says(
                DEPLOYMENT,
                "/spec/template/spec/priorityClassName",
                json!("platform"),
            ),
        ),
        (
            "nodeSelector",
            json!({"pool": "system"}),
            Says(
                DEPLOYMENT,
                "/spec/template/spec/nodeSelector",
                json!({"pool": "system"}),
            ),
        ),
        (
            "tolerations",
            json!([]),
            Says(DEPLOYMENT, "/spec/template/spec/tolerations", Value::Null),
        ),
        (
            "affinity",
            json!({"nodeAffinity": null}),
            Says(DEPLOYMENT, "/spec/template/spec/affinity", Value::Null),
        ),
        (
            "podLabels",
            json!({"team": "platform"}),
            Says(
                DEPLOYMENT,
                "/spec/template/metadata/labels/team",
                json!("platform"),
            ),
        ),
        (
            "podAnnotations",
            json!({"team": "platform"}),
            Says(
                DEPLOYMENT,
                "/spec/template/metadata/annotations/team",
                json!("platform"),
            ),
        ),
        (
            "podDisruptionBudget.create",
            json!(false),
            KindGoes("PodDisruptionBudget"),
        ),
        (
            "networkPolicy.create",
            json!(false),
            KindGoes("NetworkPolicy"),
        ),
        (
            "networkPolicy.apiServerCidrs",
            json!(["192.0.2.1/32"]),
            Says(
                "NetworkPolicy",
                "/spec/egress/0/to",
                json!([{"ipBlock": {"cidr": "192.0.2.1/32"}}]),
            ),
        ),
        (
            "flowControl.create",
            json!(false),
            Goes("config/flow-control"),
        ),
        (
            "flowControl.shares",
            json!(20),
            Says(
                "PriorityLevelConfiguration",
                "/spec/limited/nominalConcurrencyShares",
                json!(20.0),
            ),
        ),
        (
            "prometheus.rules",
            json!(true),
            Comes("config/prometheus/rules"),
        ),
        (
            "prometheus.serviceMonitor",
            json!(true),
            Comes("config/prometheus/service-monitor"),
        ),
        (
            "prometheus.podMonitor",
            json!(true),
            Comes("config/prometheus/pod-monitor"),
        ),
        (
            "prometheus.azurePodMonitor",
            json!(true),
            Comes("config/prometheus/azure-pod-monitor"),
        ),
    ]
}
