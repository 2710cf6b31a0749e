//! The part of an object that is ours, in a form in which equal means the same.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::controller::kind::{Kind, OwnedFields};
use crate::domain::Quantity;

/// The part of an object that is ours, normalised: quantities by value, absent and empty the same
/// where they mean the same, what the server fills in left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Content(pub Value);

/// A digest of a [`Content`]. SHA-256, since a team chooses part of what is digested.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Content {
    /// The comparable part of an object of a kind whose whole fields are ours.
    #[must_use]
    pub fn of(kind: Kind, object: &Value) -> Self {
        let content = serde_json::to_value(Ours { kind, object });
        debug_assert!(content.is_ok(), "a part of a value is a value");
        Self(content.unwrap_or_default())
    }

    /// Digest of what [`Self::of`] is, without making it: an object is read ten times as often as it is different.
    #[must_use]
    pub fn digest_of(kind: Kind, object: &Value) -> Digest {
        digest_of(&Ours { kind, object })
    }
}

/// Digest of anything as JSON. Maps of values are sorted by key, so order does not matter; a type has its fields in its own
/// order, and is compared with digests of the same type only.
#[must_use]
pub fn digest_of(value: &impl Serialize) -> Digest {
    let mut text = Sha256::new();
    let written = serde_json::to_writer(&mut text, value);
    debug_assert!(written.is_ok(), "values are JSON, and a digest takes them");
    let full = text.finalize();
    let mut digest = [0; 16];
    digest.copy_from_slice(&full[..16]);
    Digest(digest)
}

/// The comparable part of an object, as it is written.
struct Ours<'a> {
    kind: Kind,
    object: &'a Value,
}

/// A field of it.
enum Part<'a> {
    /// Labels and annotations that are ours alone.
    Metadata(Metadata<'a>),
    /// A field that is wholly ours.
    Whole(Normal<'a>),
}

impl Serialize for Ours<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = BTreeMap::from([("metadata", Part::Metadata(Metadata::of(self)))]);
        for &field in self.kind.whole_fields() {
            let value = self.object.get(field);
            let normal = value.map(|value| Normal {
                value,
                sense: Sense::of(self.kind),
            });
            if let Some(normal) = normal.filter(|it| !it.is_nothing()) {
                parts.insert(field, Part::Whole(normal));
            }
        }
        serializer.collect_map(parts)
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Metadata(metadata) => metadata.serialize(serializer),
            Self::Whole(normal) => normal.serialize(serializer),
        }
    }
}

/// Labels and annotations that are ours alone; no annotations where there are none of them.
struct Metadata<'a> {
    labels: BTreeMap<&'static str, &'a Value>,
    annotations: BTreeMap<&'static str, &'a Value>,
}

impl<'a> Metadata<'a> {
    fn of(ours: &Ours<'a>) -> Self {
        let of_map = |map: &str, keys: &[&'static str]| {
            let found = ours.object.pointer(map);
            let keys = keys.iter();
            keys.filter_map(|&key| Some((key, found?.get(key)?)))
                .collect()
        };
        Self {
            labels: of_map("/metadata/labels", ours.kind.ownership_labels()),
            annotations: of_map("/metadata/annotations", ours.kind.own_annotations()),
        }
    }
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let annotations =
            (!self.annotations.is_empty()).then_some(("annotations", &self.annotations));
        serializer.collect_map(annotations.into_iter().chain([("labels", &self.labels)]))
    }
}

/// A value, normalised while it is written. Fields that are null are left out everywhere.
#[derive(Clone, Copy)]
struct Normal<'a> {
    value: &'a Value,
    sense: Sense,
}

/// What else is the same, by what a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// Nothing else.
    Plain,
    /// The spec of a quota: what is empty says the same as what is absent.
    Quota,
    /// The spec of a `LimitRange`.
    LimitRange,
    /// Its limits.
    Limits,
    /// One of them: what is empty says the same as what is absent.
    Limit,
    /// Quantities by name.
    Quantities,
    /// A quantity, which means its exact value.
    Quantity,
    /// The spec of one of Calico's kinds, for which its v3 API fills in `tier: default`.
    CalicoSpec,
    /// What is in it: an empty string, list or map says the same as none at all, and the v3 API fills in `source: {}` and
    /// `destination: {}`. `10` and `10.0` are the same order.
    Calico,
    /// A policy of Kubernetes, in which an empty selector means everything and an absent one nothing: only lists are the
    /// same empty and absent. So it is in what Azure Service Operator takes.
    Lists,
    /// The same, without a field that counts at creation only.
    AfterCreation(&'static str),
    /// The same, of these fields only; a map of which nothing is left says the same as none.
    Owned(OwnedFields),
}

impl Sense {
    /// Of a field that is wholly ours.
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::ResourceQuota => Self::Quota,
            Kind::LimitRange => Self::LimitRange,
            Kind::GlobalNetworkPolicy | Kind::StagedGlobalNetworkPolicy | Kind::Tier => {
                Self::CalicoSpec
            }
            Kind::NetworkPolicy => Self::Lists,
            Kind::Azure(kind) if kind.is_karpenter() => {
                Self::Owned(Kind::Azure(kind).owned_fields())
            }
            Kind::Azure(_) => kind
                .left_after_creation()
                .map_or(Self::Lists, Self::AfterCreation),
            Kind::Namespace | Kind::RoleBinding | Kind::ClusterRole | Kind::ClusterRoleBinding => {
                Self::Plain
            }
        }
    }

    /// Of a field of a map of this.
    fn of_field(self, field: &str) -> Self {
        match self {
            Self::Quota if field == "hard" => Self::Quantities,
            Self::LimitRange if field == "limits" => Self::Limits,
            Self::Limit if ["default", "defaultRequest", "max", "min"].contains(&field) => {
                Self::Quantities
            }
            Self::Quantities => Self::Quantity,
            Self::CalicoSpec | Self::Calico => Self::Calico,
            Self::Lists | Self::AfterCreation(_) => Self::Lists,
            Self::Owned(of) => match of.of_field(field) {
                Some(of @ OwnedFields::Only(_)) => Self::Owned(of),
                _ => Self::Lists,
            },
            Self::Plain
            | Self::Quota
            | Self::LimitRange
            | Self::Limits
            | Self::Limit
            | Self::Quantity => Self::Plain,
        }
    }

    /// Of an item of a list of this.
    fn of_item(self) -> Self {
        match self {
            Self::Limits => Self::Limit,
            Self::CalicoSpec | Self::Calico => Self::Calico,
            Self::Lists => Self::Lists,
            _ => Self::Plain,
        }
    }
}

impl<'a> Normal<'a> {
    fn field(self, name: &str, value: &'a Value) -> Self {
        Self {
            value,
            sense: self.sense.of_field(name),
        }
    }

    /// Whether a field of this map says the same as if it were absent.
    fn leaves_out(self, name: &str, value: &'a Value) -> bool {
        value.is_null()
            || match self.sense {
                Sense::Quota | Sense::Limit | Sense::Calico => self.field(name, value).is_nothing(),
                Sense::CalicoSpec => {
                    self.field(name, value).is_nothing()
                        || (name == "tier" && value.as_str() == Some("default"))
                }
                Sense::Lists => value.as_array().is_some_and(Vec::is_empty),
                Sense::Owned(of) => match of.of_field(name) {
                    None => true,
                    Some(OwnedFields::Only(_)) => self.field(name, value).is_nothing(),
                    Some(OwnedFields::Whole) => value.as_array().is_some_and(Vec::is_empty),
                },
                Sense::AfterCreation(field) => {
                    name == field || value.as_array().is_some_and(Vec::is_empty)
                }
                Sense::Plain
                | Sense::LimitRange
                | Sense::Limits
                | Sense::Quantities
                | Sense::Quantity => false,
            }
    }

    /// Whether nothing of it is left.
    fn is_nothing(self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => {
                let mut fields = fields.iter();
                fields.all(|(name, field)| self.leaves_out(name, field))
            }
            Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// The exact value of a quantity, in billionths; None where it is none.
    fn nano(self) -> Option<String> {
        let quantity: Quantity = match self.value {
            Value::String(text) => text.parse().ok()?,
            Value::Number(number) => number.to_string().parse().ok()?,
            _ => return None,
        };
        Some(quantity.nano().to_string())
    }

    fn write_map<S: Serializer>(
        self,
        fields: &'a Map<String, Value>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, field) in fields {
            if !self.leaves_out(name, field) {
                map.serialize_entry(name, &self.field(name, field))?;
            }
        }
        map.end()
    }
}

impl Serialize for Normal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_calicos = matches!(self.sense, Sense::Calico | Sense::CalicoSpec);
        match self.value {
            Value::Object(fields) => self.write_map(fields, serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(|value| Normal {
                value,
                sense: self.sense.of_item(),
            })),
            Value::Number(number) if is_calicos => match number.as_f64() {
                Some(float) => serializer.serialize_f64(float),
                None => number.serialize(serializer),
            },
            _ if self.sense == Sense::Quantity => match self.nano() {
                Some(nano) => serializer.serialize_str(&nano),
                // What does not parse stays as it is.
                None => self.value.serialize(serializer),
            },
            _ => self.value.serialize(serializer),
        }
    }
}
