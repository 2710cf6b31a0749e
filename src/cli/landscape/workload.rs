//! Workloads: what their pods look like, whether or not there are any.

use std::fmt;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use super::objects::{Flawed, parsed};
use crate::domain::FieldPath;

/// A kind whose objects make pods by a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Job,
    CronJob,
}

impl WorkloadKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::Job,
        Self::CronJob,
    ];

    /// Its name, group, plural and short name.
    const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Deployment => ("Deployment", "apps", "deployments", "deploy"),
            Self::StatefulSet => ("StatefulSet", "apps", "statefulsets", "sts"),
            Self::DaemonSet => ("DaemonSet", "apps", "daemonsets", "ds"),
            Self::ReplicaSet => ("ReplicaSet", "apps", "replicasets", "rs"),
            Self::Job => ("Job", "batch", "jobs", "job"),
            Self::CronJob => ("CronJob", "batch", "cronjobs", "cj"),
        }
    }

    /// The name of the kind.
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// Its API group.
    pub const fn group(self) -> &'static str {
        self.names().1
    }

    /// Its plural.
    pub const fn plural(self) -> &'static str {
        self.names().2
    }

    /// As kubectl takes it: `deployment`, `deployments`, `deploy`.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| {
            let (name, _, plural, short) = kind.names();
            text == plural || text == short || text == name.to_ascii_lowercase()
        })
    }

    /// The kind of an object, by its group and the name of its kind.
    pub fn of(group: &str, name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.group() == group && kind.name() == name)
    }

    /// How its pods are made; None where that is not written, as in a patch.
    pub fn template(self, object: &Value) -> Result<Option<PodTemplateSpec>, Flawed> {
        let keys = match self {
            Self::CronJob => &["spec", "jobTemplate", "spec", "template"][..],
            _ => &["spec", "template"],
        };
        let template = keys.iter().try_fold(object, |value, key| value.get(key));
        let Some(template) = template else {
            return Ok(None);
        };
        parsed(template).map(Some).map_err(|flawed: Flawed| {
            let above = keys
                .iter()
                .fold(FieldPath::default(), |path, key| path.key(*key));
            let path = FieldPath([above.0, flawed.path.0].concat());
            Flawed { path, ..flawed }
        })
    }
}

/// What a workload is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) struct WorkloadName {
    pub namespace: String,
    pub kind: WorkloadKind,
    pub name: String,
}

impl WorkloadName {
    /// Reads `namespace/kind/name`, where it is that.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (namespace, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || namespace.is_empty() || name.is_empty() {
            return None;
        }
        Some(Self {
            namespace: namespace.to_owned(),
            kind: WorkloadKind::read(kind)?,
            name: name.to_owned(),
        })
    }
}

/// `namespace/deployment/name`
impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name().to_ascii_lowercase();
        write!(f, "{}/{kind}/{}", self.namespace, self.name)
    }
}
