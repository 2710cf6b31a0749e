//! Policies, and what policies depend on, as somebody wrote them: any of the kinds, in any of the groups.

use k8s_openapi::api::core::v1::{Endpoints, Namespace};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fatal::{Fatal, fatal, readable};
use crate::api::names::{MANAGER, OWNER};
use crate::domain::{FieldPath, Segment};
use crate::policy::{
    Action, AdminPolicy, Effect, GlobalNetworkPolicy, HostEndpoint, NetworkPolicy, NetworkSet,
    Objection, PolicyKind, Tier, Unreadable, Why, Written,
};

/// What becomes of the policy of its name once a staged one is enforced (`spec.stagedAction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StagedAction {
    /// It says what the staged one does.
    Set,
    /// It is taken away.
    Delete,
}

impl StagedAction {
    fn of(object: &Value) -> Self {
        match object.pointer("/spec/stagedAction").and_then(Value::as_str) {
            Some("Delete") => Self::Delete,
            _ => Self::Set,
        }
    }
}

/// Something that is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it says.
    pub body: Body,
    /// Where it was written to: where nothing says which directions it has, they differ.
    pub written: Written,
    /// What is staged with it: it is recorded, and not in force; None: it is in force.
    pub staged: Option<StagedAction>,
    /// Actions that are not spelled as Calico's API has them, and requests of HTTP where none can be meant.
    pub spelled: Vec<Objection>,
    /// Rules that mean some requests of HTTP only, where Calico's API takes it.
    pub http: Vec<FieldPath>,
    /// Fields that its kind does not have.
    pub unknown: Vec<FieldPath>,
    /// What nobody here understands, and what may narrow a rule where something else does: those fields, and what needs
    /// application layer policy.
    pub unread: Vec<(FieldPath, Value)>,
    /// What in it ends Calico's Felix. An action that is none is read as one that denies.
    pub fatal: Vec<Fatal>,
    /// What its author wrote about findings: the annotation `landingzones.dev/waive`.
    pub waivers: Option<String>,
    /// Whether it is one of the operator's own: cluster-wide, which no team can write, and labelled so; a namespace
    /// that it made or took over.
    pub is_operators: bool,
    /// Whether it stands in a file, and no controller wrote it.
    pub is_by_hand: bool,
}

/// What an [`Object`] says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A policy of Kubernetes.
    Kubernetes(Box<networking::NetworkPolicy>),
    /// A policy of a namespace, in Calico's words.
    Calico(Box<NetworkPolicy>),
    /// A policy of the whole cluster.
    Global(Box<GlobalNetworkPolicy>),
    /// An administrator's policy of the whole cluster, and which of its kinds it is of.
    Admin(PolicyKind, Box<AdminPolicy>),
    /// Addresses with labels; in no namespace: a global one.
    NetworkSet(Box<NetworkSet>),
    /// A tier.
    Tier(Box<Tier>),
    /// A namespace: its labels say whose it is.
    Namespace(Box<Namespace>),
    /// An interface of a node, and the addresses behind it.
    HostEndpoint(Box<HostEndpoint>),
    /// Something else that Calico takes into account.
    Deciding(Box<Deciding>),
    /// Addresses behind a service.
    EndpointSlice(Box<EndpointSlice>),
    /// The same in the older form, which Kubernetes mirrors into slices.
    Endpoints(Box<Endpoints>),
}

/// An object of Calico's that decides who reaches whom otherwise than a policy does: addresses, labels that go with
/// them, how Felix enforces.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Deciding {
    /// Its kind.
    #[serde(default)]
    pub kind: String,
    /// Its name.
    pub metadata: ObjectMeta,
}

/// Why an object cannot be read.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[error("{path}: {why}")]
pub struct Unread {
    /// Where.
    pub path: FieldPath,
    /// What is wrong, in words.
    pub why: String,
}

impl Object {
    /// Whether objects of this kind are judged.
    #[must_use]
    pub fn is_judged(api_version: &str, kind: &str) -> bool {
        shape(api_version, kind).is_some()
    }

    /// Reads an object; None where it is of a kind that is not judged.
    ///
    /// # Errors
    /// The first field that is of another form than its kind has.
    #[must_use]
    pub fn read(object: &Value) -> Option<Result<Self, Unread>> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        let (shape, written, staged) = shape(text("apiVersion")?, text("kind")?)?;
        Some(Self::of(object, shape, written, staged))
    }

    fn of(object: &Value, shape: Shape, written: Written, staged: bool) -> Result<Self, Unread> {
        let fatal = fatal(object, shape);
        let object = &*readable(object, shape);
        let (body, known) = match shape {
            Shape::Kubernetes => read(object).map(|(it, known)| (Body::Kubernetes(it), known)),
            Shape::Calico => read(object).map(|(it, known)| (Body::Calico(it), known)),
            Shape::Global => read(object).map(|(it, known)| (Body::Global(it), known)),
            Shape::Admin(kind) => read(object).map(|(it, known)| (Body::Admin(kind, it), known)),
            Shape::NetworkSet => read(object).map(|(it, known)| (Body::NetworkSet(it), known)),
            Shape::Tier => read(object).map(|(it, known)| (Body::Tier(it), known)),
            Shape::Namespace => read(object).map(|(it, known)| (Body::Namespace(it), known)),
            Shape::HostEndpoint => read(object).map(|(it, known)| (Body::HostEndpoint(it), known)),
            Shape::EndpointSlice => {
                read(object).map(|(it, known)| (Body::EndpointSlice(it), known))
            }
            Shape::Endpoints => read(object).map(|(it, known)| (Body::Endpoints(it), known)),
            Shape::Deciding => read(object).map(|(mut it, _): (Box<Deciding>, _)| {
                let kind = object.get("kind").and_then(Value::as_str);
                kind.unwrap_or_default().clone_into(&mut it.kind);
                // Nothing is known of its fields.
                let known = object.clone();
                (Body::Deciding(it), known)
            }),
        }?;
        let mut unknown = Vec::new();
        let spec = FieldPath::default().key("spec");
        let known = with_ends(known, shape);
        if let (Some(spec_written), known) = (object.get("spec"), known.get("spec")) {
            lost(
                spec_written,
                known.unwrap_or(&Value::Null),
                &spec,
                &mut unknown,
            );
        }
        let unread = unread(object, &unknown);
        let metadata = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        // Whoever may label a namespace as the operator's own may not label it as a landing zone's: rules on admission
        // see to that.
        let is_protected = match &body {
            Body::Namespace(it) => it
                .metadata
                .labels
                .as_ref()
                .is_some_and(|it| it.contains_key(OWNER)),
            _ => true,
        };
        Ok(Self {
            body,
            written,
            staged: staged.then(|| StagedAction::of(object)),
            spelled: [spelled(object, shape), http(object, shape, false)].concat(),
            http: http(object, shape, true)
                .into_iter()
                .map(|it| it.problem.path)
                .collect(),
            unknown,
            unread,
            fatal,
            waivers: metadata("/metadata/annotations/landingzones.dev~1waive").map(str::to_owned),
            is_operators: is_protected
                && metadata("/metadata/namespace").is_none()
                && metadata("/metadata/labels/app.kubernetes.io~1managed-by") == Some(MANAGER),
            is_by_hand: false,
        })
    }

    /// As it stands in a file, where anybody can write what the operator and controllers write in a cluster; there it
    /// takes rights that no team has.
    #[must_use]
    pub fn in_file(self) -> Self {
        Self {
            is_operators: false,
            is_by_hand: true,
            ..self
        }
    }

    /// Its namespace; None: it lies in none.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.metadata().namespace.as_deref()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    pub(super) fn metadata(&self) -> &ObjectMeta {
        match &self.body {
            Body::Kubernetes(it) => &it.metadata,
            Body::Calico(it) => &it.metadata,
            Body::Global(it) => &it.metadata,
            Body::Admin(_, it) => &it.metadata,
            Body::NetworkSet(it) => &it.metadata,
            Body::Tier(it) => &it.metadata,
            Body::Namespace(it) => &it.metadata,
            Body::HostEndpoint(it) => &it.metadata,
            Body::Deciding(it) => &it.metadata,
            Body::EndpointSlice(it) => &it.metadata,
            Body::Endpoints(it) => &it.metadata,
        }
    }
}

/// What is written in an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Kubernetes,
    Calico,
    Global,
    Admin(PolicyKind),
    NetworkSet,
    Tier,
    Namespace,
    HostEndpoint,
    Deciding,
    EndpointSlice,
    Endpoints,
}

fn shape(api_version: &str, kind: &str) -> Option<(Shape, Written, bool)> {
    if (api_version, kind) == ("v1", "Namespace") {
        return Some((Shape::Namespace, Written::Api, false));
    }
    if (api_version, kind) == ("v1", "Endpoints") {
        return Some((Shape::Endpoints, Written::Api, false));
    }
    let (group, _) = api_version.split_once('/')?;
    if (group, kind) == ("discovery.k8s.io", "EndpointSlice") {
        return Some((Shape::EndpointSlice, Written::Api, false));
    }
    if (group, kind) == ("operator.tigera.io", "Installation") {
        return Some((Shape::Deciding, Written::Api, false));
    }
    if group == "networking.k8s.io" {
        return (kind == "NetworkPolicy").then_some((Shape::Kubernetes, Written::Api, false));
    }
    if group == "policy.networking.k8s.io" {
        let kind = match kind {
            "AdminNetworkPolicy" => PolicyKind::Admin,
            "BaselineAdminNetworkPolicy" => PolicyKind::BaselineAdmin,
            "ClusterNetworkPolicy" => PolicyKind::ClusterNetworkPolicy,
            _ => return None,
        };
        return Some((Shape::Admin(kind), Written::Api, false));
    }
    let written = match group {
        "projectcalico.org" => Written::Api,
        "crd.projectcalico.org" => Written::Storage,
        _ => return None,
    };
    let (shape, staged) = match kind {
        "NetworkPolicy" => (Shape::Calico, false),
        "GlobalNetworkPolicy" => (Shape::Global, false),
        "StagedNetworkPolicy" => (Shape::Calico, true),
        "StagedGlobalNetworkPolicy" => (Shape::Global, true),
        "StagedKubernetesNetworkPolicy" => (Shape::Kubernetes, true),
        "NetworkSet" | "GlobalNetworkSet" => (Shape::NetworkSet, false),
        "Tier" => (Shape::Tier, false),
        "HostEndpoint" => (Shape::HostEndpoint, false),
        // What Calico tells, and lists, which are taken apart before.
        "CalicoNodeStatus" => return None,
        _ if kind.is_empty() || kind.ends_with("List") => return None,
        _ => (Shape::Deciding, false),
    };
    Some((shape, written, staged))
}

/// An object, and what of it was understood.
fn read<K: DeserializeOwned + Serialize>(object: &Value) -> Result<(Box<K>, Value), Unread> {
    // Without the API's own fields: k8s-openapi refuses a kind that is not its own, as staged ones are.
    let mut plain = object.clone();
    if let Some(fields) = plain.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
        fields.remove("status");
        if let Some(spec) = fields.get_mut("spec").filter(|it| it.is_null()) {
            *spec = Value::Object(serde_json::Map::default());
        }
    }
    let read: Result<K, _> = serde_path_to_error::deserialize(plain);
    match read {
        Ok(read) => {
            let known = serde_json::to_value(&read).unwrap_or_default();
            Ok((Box::new(read), known))
        }
        Err(error) => Err(Unread {
            path: path(error.path()),
            why: error.inner().to_string(),
        }),
    }
}

/// Actions of Calico's that Felix reads, and Calico's API does not.
fn spelled(object: &Value, shape: Shape) -> Vec<Objection> {
    if !matches!(shape, Shape::Calico | Shape::Global) {
        return Vec::new();
    }
    let mut spelled = Vec::new();
    for direction in ["ingress", "egress"] {
        let rules = object.pointer(&format!("/spec/{direction}"));
        for (index, rule) in rules
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let text = rule.get("action").and_then(Value::as_str);
            let Some((text, action)) = text.and_then(|it| Some((it, Action::read(it)?))) else {
                continue;
            };
            if text != action.name() {
                let rules = FieldPath::default().key("spec").key(direction);
                spelled.push(Objection {
                    problem: Unreadable {
                        path: rules.index(index).key("action"),
                        why: Why::Action(text.to_owned()),
                    },
                    effect: Effect::TakenFor(action.name().to_owned()),
                });
            }
        }
    }
    spelled
}

/// Where rules are about requests of HTTP: those that Calico's API takes, or the others. Felix itself looks at none.
fn http(object: &Value, shape: Shape, is_taken: bool) -> Vec<Objection> {
    if !matches!(shape, Shape::Calico | Shape::Global) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for direction in ["ingress", "egress"] {
        let rules = object.pointer(&format!("/spec/{direction}"));
        let rules = rules.and_then(Value::as_array).into_iter().flatten();
        for (index, rule) in rules.enumerate() {
            let text = |key: &str| rule.get(key).and_then(Value::as_str);
            let allows = text("action").and_then(Action::read) == Some(Action::Allow);
            let protocol = rule.get("protocol");
            let is_tcp = protocol.is_none_or(|it| {
                it.is_null() || it.as_i64() == Some(6) || text("protocol") == Some("TCP")
            });
            let as_meant = direction == "ingress" && allows && is_tcp;
            if as_meant != is_taken || !rule.get("http").is_some_and(says_something) {
                continue;
            }
            let rules = FieldPath::default().key("spec").key(direction);
            found.push(Objection {
                problem: Unreadable {
                    path: rules.index(index).key("http"),
                    why: Why::Http,
                },
                effect: Effect::LeftOut,
            });
        }
    }
    found
}

/// Fields of Calico's that decide nothing about pods: notes on a rule, what needs application layer policy, and how hosts
/// go about it.
const UNREAD: [&str; 3] = ["metadata", "http", "applyOnForward"];

/// What stands in fields that are not understood, and what rules say of requests.
fn unread(object: &Value, unknown: &[FieldPath]) -> Vec<(FieldPath, Value)> {
    let spec = FieldPath::default().key("spec");
    let rules = ["ingress", "egress"].into_iter().flat_map(|direction| {
        let rules = object.get("spec").and_then(|it| it.get(direction));
        let rules = rules.and_then(Value::as_array).map(Vec::as_slice);
        let at = spec.key(direction);
        let rules = rules.unwrap_or_default().iter().enumerate();
        rules.filter_map(move |(index, rule)| {
            let http = rule.get("http").filter(|it| says_something(it))?;
            Some((at.index(index).key("http"), http.clone()))
        })
    });
    let of_unknown = unknown.iter().filter_map(|path| {
        let mut steps = path.0.iter();
        let value = steps.try_fold(object, |value, step| match step {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })?;
        Some((path.clone(), value.clone()))
    });
    of_unknown.chain(rules).collect()
}

/// What was understood, with both ends of each rule of Calico's: one without criteria is not written, and its field is
/// known all the same.
fn with_ends(mut known: Value, shape: Shape) -> Value {
    if matches!(shape, Shape::Calico | Shape::Global) {
        for direction in ["/spec/ingress", "/spec/egress"] {
            let rules = known.pointer_mut(direction).and_then(Value::as_array_mut);
            for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
                for end in ["source", "destination"] {
                    rule.entry(end)
                        .or_insert_with(|| Value::Object(serde_json::Map::default()));
                }
            }
        }
    }
    known
}

/// Fields that are written, say something, and were not understood.
fn lost(written: &Value, known: &Value, at: &FieldPath, unknown: &mut Vec<FieldPath>) {
    match written {
        Value::Object(fields) => {
            for (key, value) in fields {
                match known.get(key) {
                    Some(known) => lost(value, known, &at.key(key), unknown),
                    None if UNREAD.contains(&key.as_str()) => {}
                    None if says_something(value) && known.is_object() => unknown.push(at.key(key)),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if let Some(known) = known.get(index) {
                    lost(item, known, &at.index(index), unknown);
                }
            }
        }
        _ => {}
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
        _ => true,
    }
}

fn path(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment as Step;
    let steps = path.iter().filter_map(|step| match step {
        Step::Seq { index } => Some(Segment::Index(*index)),
        Step::Map { key } => Some(Segment::Key(key.clone())),
        Step::Enum { .. } | Step::Unknown => None,
    });
    FieldPath(steps.collect())
}
