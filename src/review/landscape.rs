//! What is known where policies are judged: whose namespaces there are, and what is declared to cross their boundaries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::api::DefaultDenyStage;
use crate::api::names::{APPLICATION_CODE, GROUP, METADATA_NAME, OWNER, POD_SECURITY_PREFIX, ZONE};
use crate::build;
use crate::domain::{Crossing, LandingZone, NamespaceName, Openings, Platform, Resolved};
use crate::policy::{AddressSet, Endpoint, LabelMap, NetworkSet, Tier};
use crate::review::declare::Given;

/// The namespaces of one application, and what crosses their boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct Boundary {
    /// The name of the landing zone; None where namespaces carry the code and nobody declares a landing zone.
    pub landing_zone: Option<String>,
    /// The application's code.
    pub code: String,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Its namespaces.
    pub namespaces: BTreeSet<String>,
    /// What is open.
    pub openings: Openings,
    /// The names of crossings and shared services that are declared, with their direction and peer in words: all of
    /// them, open or not.
    pub declared: Vec<crate::api::CrossingStatus>,
    /// The crossings that its landing zone declares, open or not.
    pub crossings: Vec<Crossing>,
}

impl Boundary {
    /// What it is called: by its landing zone, or else by its code.
    #[must_use]
    pub fn name(&self) -> &str {
        self.landing_zone.as_deref().unwrap_or(&self.code)
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.landing_zone {
            Some(name) => write!(f, "landing zone {name}"),
            None => write!(f, "application {}", self.code),
        }
    }
}

/// A namespace that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownNamespace {
    /// Its labels.
    pub labels: Arc<LabelMap>,
    /// Inside of which boundary it lies.
    pub(super) boundary: Option<usize>,
    /// Whether a landing zone declares it, and not only labels say so.
    pub(super) is_declared: bool,
    /// Whether it may have labels besides, which nobody has shown.
    is_open: bool,
}

/// Records that a namespace has a label.
fn record_label(
    by_label: &mut BTreeMap<String, BTreeMap<String, Vec<Arc<str>>>>,
    name: &Arc<str>,
    key: &str,
    value: &str,
) {
    if !by_label.contains_key(key) {
        by_label.insert(key.to_owned(), BTreeMap::new());
    }
    if let Some(by_value) = by_label.get_mut(key) {
        by_value
            .entry(value.to_owned())
            .or_default()
            .push(name.clone());
    }
}

/// What the operator writes on every namespace of a landing zone, besides what begins with its own group.
fn is_operators(label: &str) -> bool {
    const MODES: [&str; 3] = ["enforce", "audit", "warn"];
    let mode = label.strip_prefix(POD_SECURITY_PREFIX);
    label == ZONE || mode.is_some_and(|it| MODES.contains(&it))
}

impl KnownNamespace {
    /// Whether a label is as `labels` has it, there or not; otherwise others may have put one there.
    pub(super) fn is_certain(&self, key: &str) -> bool {
        self.labels.contains_key(key)
            || !self.is_open
            // These say whose it is; that nobody else writes them is seen to elsewhere.
            || key == APPLICATION_CODE
            || key.strip_prefix(GROUP).is_some_and(|it| it.starts_with('/'))
            || (self.is_declared && is_operators(key))
    }

    /// Its zone.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.labels.get(ZONE).map(String::as_str)
    }
}

/// What is known besides the policy that is judged.
#[derive(Clone, Debug, Default)]
pub struct Landscape {
    /// All boundaries, those of landing zones that are declared first.
    boundaries: Vec<Boundary>,
    /// How many are declared.
    declared: usize,
    /// Namespaces by name.
    namespaces: BTreeMap<Arc<str>, KnownNamespace>,
    /// Namespaces by each of their labels: key, then value.
    by_label: BTreeMap<String, BTreeMap<String, Vec<Arc<str>>>>,
    /// Services without a selector, by namespace and name: whoever may write endpoints decides what is behind them.
    pub services_by_hand: BTreeSet<(String, String)>,
    /// Pods that are known: what their containers call ports, a crossing has to number.
    pub pods: Vec<Endpoint>,
    /// Network sets, with the labels that they have in the end.
    pub sets: Vec<Arc<AddressSet>>,
    /// Tiers, as far as they are known besides those that Calico and the operator bring; None: this cluster has none.
    pub tiers: Option<Vec<Tier>>,
    /// What holds for the whole cluster.
    pub platform: Platform,
    /// The names that suggestions gave; None: each suggestion is made alone, and says the same whatever else is found.
    pub given: Option<Given>,
}

impl Landscape {
    /// From landing zones, each with what crosses its boundary, and from namespaces as they are written or live. What
    /// a landing zone declares of a namespace wins.
    #[must_use]
    pub fn new(
        zones: &[(&LandingZone, &Resolved)],
        namespaces: &[Namespace],
        platform: Platform,
    ) -> Self {
        let mut landscape = Self {
            platform,
            ..Self::default()
        };
        let mut of_zones = BTreeMap::new();
        for (zone, resolved) in zones {
            let names = zone.namespaces.iter().map(|it| it.name.to_string());
            landscape.boundaries.push(Boundary {
                landing_zone: Some(zone.name.to_string()),
                code: zone.code.to_string(),
                contact: zone.contact.clone(),
                namespaces: names.collect(),
                openings: resolved.openings.clone(),
                declared: resolved.crossings.clone(),
                crossings: zone.network.crossings.clone(),
            });
            let index = landscape.boundaries.len() - 1;
            of_zones.insert(zone.name.to_string(), index);
            for declared in build::namespaces(zone) {
                landscape.add(&declared, Some(index), true);
            }
        }
        landscape.declared = landscape.boundaries.len();
        let pretenders = zones.iter().flat_map(|it| &it.1.openings.pretenders);
        let pretenders: BTreeSet<&str> = pretenders.map(NamespaceName::as_str).collect();
        for written in namespaces {
            let name = written.metadata.name.as_deref().unwrap_or_default();
            if let Some(declared) = landscape.namespaces.get_mut(name) {
                let name: Arc<str> = name.into();
                // What is declared wins; what others labelled it with stays.
                for (key, value) in written.metadata.labels.iter().flatten() {
                    if !declared.labels.contains_key(key) {
                        Arc::make_mut(&mut declared.labels).insert(key.clone(), value.clone());
                        record_label(&mut landscape.by_label, &name, key, value);
                    }
                }
                continue;
            }
            // What is closed by name is nobody's, whatever its labels say.
            let is_pretender = pretenders.contains(name);
            let boundary = if is_pretender {
                None
            } else {
                landscape.boundary_by_labels(written, &of_zones)
            };
            if let Some(boundary) = boundary {
                let inside = &mut landscape.boundaries[boundary].namespaces;
                inside.insert(name.to_owned());
            }
            landscape.add(written, boundary, false);
        }
        landscape
    }

    /// Namespaces whose labels nobody has read from a cluster may have others: a mesh, a cost centre and whoever applies a
    /// part of an object put theirs there, and files do not show them.
    #[must_use]
    pub fn with_labels_of_others(mut self, is_read: impl Fn(&str) -> bool) -> Self {
        for (name, namespace) in &mut self.namespaces {
            namespace.is_open = !is_read(name);
        }
        self
    }

    /// Whether every policy is judged by both in the same way.
    #[must_use]
    pub fn judges_like(&self, other: &Self) -> bool {
        let Self {
            boundaries,
            declared,
            namespaces,
            // Says the same as the namespaces.
            by_label: _,
            services_by_hand,
            pods,
            sets,
            tiers,
            platform,
            // Says what was suggested, not what is found.
            given: _,
        } = self;
        *boundaries == other.boundaries
            && *declared == other.declared
            && *namespaces == other.namespaces
            && *services_by_hand == other.services_by_hand
            && *pods == other.pods
            && *sets == other.sets
            && *tiers == other.tiers
            && *platform == other.platform
    }

    /// Labels that somebody else keeps, too, are not kept twice.
    #[must_use]
    pub fn sharing<'a>(
        mut self,
        kept: impl IntoIterator<Item = (&'a str, &'a Arc<LabelMap>)>,
    ) -> Self {
        for (name, labels) in kept {
            if let Some(known) = self.namespaces.get_mut(name)
                && known.labels == *labels
            {
                known.labels = labels.clone();
            }
        }
        self
    }

    /// Network sets with the labels of their namespaces.
    #[must_use]
    pub fn with_sets<'a>(mut self, sets: impl IntoIterator<Item = &'a NetworkSet>) -> Self {
        let nothing = LabelMap::new();
        for set in sets {
            let inside = set.metadata.namespace.as_deref();
            let known = inside.and_then(|name| self.namespaces.get(name));
            let labels = known.map_or(&nothing, |it| &*it.labels);
            let mut set = set.clone();
            let stored = labels_in_storage(&set.metadata);
            set.metadata.labels.get_or_insert_default().extend(stored);
            self.sets.push(Arc::new(AddressSet::of(&set, labels)));
        }
        self
    }

    /// The boundary around a namespace, and the namespace; None where nobody knows whose it is.
    #[must_use]
    pub fn of_namespace(&self, name: &str) -> Option<(&Boundary, &KnownNamespace)> {
        let known = self.namespaces.get(name)?;
        Some((&self.boundaries[known.boundary?], known))
    }

    /// A namespace that is known.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&KnownNamespace> {
        self.namespaces.get(name)
    }

    /// The boundary of the landing zone that declares a namespace.
    pub(super) fn declaring(&self, name: &str) -> Option<&Boundary> {
        let known = self.namespaces.get(name).filter(|it| it.is_declared)?;
        known.boundary.map(|it| &self.boundaries[it])
    }

    /// The boundary of a landing zone, by its name.
    pub(super) fn called(&self, landing_zone: &str) -> Option<&Boundary> {
        let mut all = self.boundaries.iter();
        all.find(|it| it.landing_zone.as_deref() == Some(landing_zone))
    }

    /// Whether somebody declares a boundary: a landing zone, or what holds for the whole cluster.
    pub(super) fn has_declared_boundary(&self) -> bool {
        self.declared > 0 || self.platform.default_deny.stage != DefaultDenyStage::Off
    }

    /// The boundary of a landing zone that is declared, by the code of its application.
    pub(super) fn declared_with_code(&self, code: &str) -> Option<&Boundary> {
        let mut declared = self.boundaries.iter().take(self.declared);
        declared.find(|it| it.code == code)
    }

    /// The name of a namespace, where it is known.
    pub(super) fn known_name(&self, name: &str) -> Option<&str> {
        let known = self.namespaces.get_key_value(name);
        known.map(|(name, _)| &**name)
    }

    /// All boundaries.
    #[must_use]
    pub fn boundaries(&self) -> &[Boundary] {
        &self.boundaries
    }

    /// Namespaces that are known, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &KnownNamespace)> {
        self.namespaces.iter().map(|(name, it)| (&**name, it))
    }

    /// Namespaces with a label.
    pub(super) fn labelled(&self, key: &str, value: &str) -> impl Iterator<Item = &str> {
        let found = self.by_label.get(key).and_then(|it| it.get(value));
        found.into_iter().flatten().map(|name| &**name)
    }

    fn add(&mut self, namespace: &Namespace, boundary: Option<usize>, is_declared: bool) {
        let name: Arc<str> = namespace
            .metadata
            .name
            .as_deref()
            .unwrap_or_default()
            .into();
        let mut labels = namespace.metadata.labels.clone().unwrap_or_default();
        // The API server gives it to every namespace.
        labels.insert(METADATA_NAME.to_owned(), name.to_string());
        for (key, value) in &labels {
            record_label(&mut self.by_label, &name, key, value);
        }
        let known = KnownNamespace {
            labels: Arc::new(labels),
            boundary,
            is_declared,
            is_open: false,
        };
        self.namespaces.insert(name, known);
    }

    /// A namespace that no declaration names belongs where the operator's label says, else, where nobody declares its
    /// code, to those with the same code. With a declared code it is somebody else's that merely carries it.
    fn boundary_by_labels(
        &mut self,
        namespace: &Namespace,
        of_zones: &BTreeMap<String, usize>,
    ) -> Option<usize> {
        let labels = namespace.metadata.labels.as_ref()?;
        if let Some(owner) = labels.get(OWNER)
            && let Some(boundary) = of_zones.get(owner)
        {
            return Some(*boundary);
        }
        let code = labels.get(APPLICATION_CODE)?;
        let owner = labels.get(OWNER);
        let known = self.boundaries.iter().position(|it| it.code == *code);
        if let Some(known) = known {
            let known_as = &self.boundaries[known].landing_zone;
            let is_its = known_as.is_none() || known_as.as_ref() == owner;
            return (known >= self.declared && is_its).then_some(known);
        }
        self.boundaries.push(Boundary {
            landing_zone: owner.cloned(),
            code: code.clone(),
            contact: None,
            namespaces: BTreeSet::new(),
            openings: Openings::default(),
            declared: Vec::new(),
            crossings: Vec::new(),
        });
        Some(self.boundaries.len() - 1)
    }
}

/// The annotation in which Calico's API server puts metadata away when it stores an object.
pub(super) const STORED: &str = "projectcalico.org/metadata";

/// The labels of an object in Calico's storage, where Calico's API server has put them away.
pub(super) fn labels_in_storage(metadata: &ObjectMeta) -> LabelMap {
    let stored = stored_metadata(metadata).and_then(Result::ok);
    stored.unwrap_or_default()
}

/// Whether Calico may read other labels there than anybody else: what it takes for JSON is more than that (jsoniter), and
/// its own API server writes nothing of the kind.
pub(super) fn is_stored_oddly(metadata: &ObjectMeta) -> bool {
    stored_metadata(metadata).is_some_and(|it| it.is_err())
}

/// The labels that an object in Calico's storage has put away; an error where readers may differ about them: a field in other
/// letters or twice, or what is no JSON.
fn stored_metadata(metadata: &ObjectMeta) -> Option<Result<LabelMap, Odd>> {
    let text = metadata.annotations.as_ref()?.get(STORED)?;
    let Ok(Fields(fields)) = serde_json::from_str::<Fields>(text) else {
        return Some(Err(Odd));
    };
    let mut labels = None;
    for (key, value) in fields {
        if key == "labels" && labels.is_none() {
            labels = Some(value);
        } else if folded(&key) == "labels" {
            return Some(Err(Odd));
        }
    }
    let labels = match labels {
        None | Some(Value::Null) => return Some(Ok(LabelMap::new())),
        Some(labels) => serde_json::from_value::<LabelMap>(labels),
    };
    Some(labels.map_err(|_| Odd))
}

/// Readers may differ.
struct Odd;

/// A key as Go compares it without regard to case: the long s and the sign of Kelvin are letters to it.
fn folded(key: &str) -> String {
    key.to_lowercase()
        .replace('\u{17f}', "s")
        .replace('\u{212a}', "k")
}

/// The fields of a JSON object in their order, those that are there twice as well.
struct Fields(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        from.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn namespace(name: &str, labels: &Value) -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
    }

    #[test]
    fn who_is_inside_is_told_by_labels_where_nobody_declares_it() {
        let labels = |owner: &str| json!({APPLICATION_CODE: "shop", OWNER: owner});
        let all = [
            namespace("shop-data", &labels("shop")),
            namespace("shop-web", &labels("shop")),
            namespace("stranger", &json!({APPLICATION_CODE: "shop"})),
            namespace("poser", &labels("orders")),
        ];
        let landscape = Landscape::new(&[], &all, Platform::default());
        let inside = &landscape.called("shop").unwrap().namespaces;
        assert!(inside.iter().eq(["shop-data", "shop-web"]), "{inside:?}");
        for outside in ["stranger", "poser"] {
            assert!(landscape.of_namespace(outside).is_none(), "{outside}");
        }
    }
    #[test]
    fn who_pretends_to_be_inside_is_outside() {
        let labelled = |name: &str| namespace(name, &json!({OWNER: "shop"}));
        let all = [labelled("shop-old"), labelled("poser")];
        let mut resolved = Resolved::default();
        resolved.openings.pretenders = ["poser".parse().unwrap()].into();
        let zone = crate::build::fixture::landing_zone("shop");
        let landscape = Landscape::new(&[(&zone, &resolved)], &all, Platform::default());
        let inside = &landscape.called("shop").unwrap().namespaces;
        assert!(inside.iter().eq(["shop-old"]), "{inside:?}");
        assert!(landscape.of_namespace("poser").is_none());
    }

    /// What is declared of a namespace wins, so nothing is judged anew while somebody else's edit of it stands; what nobody
    /// declares counts.
    #[test]
    fn a_declared_label_that_drifts_changes_no_judgement() {
        let written = json!({
            "apiVersion": "landingzones.dev/v1alpha1", "kind": "LandingZone",
            "metadata": {"name": "shop"},
            "spec": {"applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "web"}]},
        });
        let written = serde_json::from_value(written).unwrap();
        let zone = LandingZone::validate(&written, &Platform::default()).unwrap();
        let resolved = Resolved::default();
        let declared = build::namespaces(&zone).remove(0);
        let with = |labels: &[(&str, &str)]| {
            let mut live = declared.clone();
            for (key, value) in labels {
                let all = live.metadata.labels.get_or_insert_default();
                all.insert((*key).to_owned(), (*value).to_owned());
            }
            Landscape::new(&[(&zone, &resolved)], &[live], Platform::default())
        };
        let as_declared = with(&[]);
        assert!(as_declared.judges_like(&with(&[])));
        assert!(as_declared.judges_like(&with(&[(OWNER, "orders"), (ZONE, "drifted")])));
        assert!(!as_declared.judges_like(&with(&[("team", "shop")])));
        let one_more = namespace("other", &json!({}));
        let zones = [(&zone, &resolved)];
        let other = Landscape::new(&zones, &[declared.clone(), one_more], Platform::default());
        assert!(!as_declared.judges_like(&other));
    }
}
