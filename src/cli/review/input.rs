//! What is reviewed: policies, and what is known besides them, from files in any mixture.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value;

use super::super::declaration::{self, Declarations, objects};
use super::super::document::{self, Content, Document, Flaw, Node};
use super::super::finding::Finding;
use super::super::schema::SchemaError;
use super::super::source::{Origin, SourceFile, Sources, mentions_landing_zones};
use super::kustomization::{self, Altering, Applied};
use super::pods;
use crate::api::names::GROUP;
use crate::domain::{FieldPath, LandingZone, Platform, Segment};
use crate::review::{Object, Unread};

/// Groups whose kinds have the names of others, too: a Kustomization is Flux's or kustomize's own.
const FLUX: &str = ".toolkit.fluxcd.io";
const ARGO_CD: &str = "argoproj.io";

/// Everything that a review looks at.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    /// Landing zones that are declared, by name.
    pub zones: Vec<LandingZone>,
    /// What holds for the whole cluster.
    pub platform: Platform,
    /// Namespaces as they are written.
    pub namespaces: Vec<Namespace>,
    /// What is judged.
    pub written: Vec<Written>,
    /// Landing zones and platforms as they are written: not judged, but a change of them is one.
    pub others: Vec<Written<()>>,
    /// Services without a selector, by namespace and name.
    pub services_by_hand: BTreeSet<(String, String)>,
    /// Pods and workloads, whose containers give names to ports.
    pub pods: Vec<Value>,
    /// Kustomizations that alter what is read here.
    pub kustomizations: Vec<Written<Altering>>,
    /// Which files kustomizations apply.
    pub applied: Applied,
    /// What could not be read, so that the review is not whole.
    pub unreadable: Vec<Finding>,
    /// Documents of other kinds, by kind.
    pub skipped: BTreeMap<String, usize>,
    /// Files in folders that are none of our business.
    pub skipped_files: usize,
    /// The files that it stands in.
    pub files: Vec<SourceFile>,
    /// What the flags say about the cluster.
    pub told: Platform,
    /// The namespace of policies that name none.
    pub namespace: Option<String>,
}

/// An object as somebody wrote it.
#[derive(Clone, Debug)]
pub(super) struct Written<T = Result<Object, Unread>> {
    /// What it is called: kind and name.
    pub name: ObjectName,
    /// What it says.
    pub json: Value,
    /// Where it stands; None: in a cluster.
    pub place: Option<Place>,
    /// What is understood of it.
    pub read: T,
}

/// Where an object stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The file, as its path was given.
    pub file: String,
    /// The object, with the place of each value.
    pub root: Node,
    /// What is wrong with how it is written.
    pub flaws: Vec<Flaw>,
}

/// What an object is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ObjectName {
    /// API group; empty for Kubernetes' core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for what lies in none, or says none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectName {
    pub fn of(object: &Value) -> Self {
        let text = |pointer: &str| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let version = text("/apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        Self {
            group: group.to_owned(),
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }
}

/// As inventories have it: `Kind/name` or `Kind/namespace/name`.
impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// Words without which no object is of a kind that is read.
const KINDS: [&[u8]; 7] = [
    b"NetworkPolicy",
    b"NetworkSet",
    b"Tier",
    b"Namespace",
    b"Endpoint",
    b"projectcalico.org/",
    b"operator.tigera.io/",
];

/// Ways of writing such a word otherwise: escapes of characters, and text in base64.
const OTHERWISE: [&[u8]; 6] = [b"\\x", b"\\u", b"\\U", b"\\\n", b"\\\r", b"binary"];

/// Whether a text or a broken one may hold something that is reviewed. UTF-16, which kubectl reads, has bytes of 0.
pub(super) fn concerns(bytes: &[u8]) -> bool {
    let has = |word: &&[u8]| bytes.windows(word.len()).any(|window| window == *word);
    mentions_landing_zones(bytes)
        || bytes.contains(&0)
        || KINDS.iter().any(has)
        || OTHERWISE.iter().any(has)
}

/// A character that ends a line to the reader of YAML in kubectl, and not here: what looks like a comment would be more.
fn odd_line_break(file: &SourceFile) -> Option<Finding> {
    const ODD: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];
    let (line, odd) = file.text.lines().enumerate().find_map(|(line, text)| {
        let odd = text.chars().find(|it| ODD.contains(it))?;
        Some((line + 1, odd))
    })?;
    let message = format!(
        "line {line} holds U+{:04X}, which some readers of YAML take for the end of a line: remove it",
        u32::from(odd)
    );
    Some(Finding::of_file(&file.name, message))
}

/// Whether a flaw stands where an object says what it is: whoever reads it otherwise reads another object.
fn is_telling(flaw: &Flaw) -> bool {
    const TELLING: [&str; 4] = ["apiVersion", "kind", "metadata", "items"];
    match flaw.problem.path.0.as_slice() {
        // A key such as `on`, as workflows of GitHub have it, is none of these, whoever reads it.
        [] => !document::is_read_differently(&flaw.problem.value),
        [Segment::Key(key)] => TELLING.contains(&key.as_str()),
        _ => false,
    }
}

/// What kubectl takes for another object than is read here, so that nobody may say what it is.
fn misread(document: &Document) -> Vec<Flaw> {
    let own = document.flaws.iter().filter(|flaw| is_telling(flaw));
    let mut misread: Vec<Flaw> = own.cloned().collect();
    for (object, flaws) in objects(document) {
        // Those of a document that is one object are there already.
        if !std::ptr::eq(object, &raw const document.root) {
            misread.extend(flaws.into_iter().filter(is_telling));
        }
    }
    let root = &document.root;
    let path = FieldPath::default().key("items");
    let Some(Content::List(items)) = root.get("items").map(|it| &it.content) else {
        return misread;
    };
    let kind = root
        .get("kind")
        .and_then(|it| it.text())
        .unwrap_or_default();
    let flaw = |path: &FieldPath, rule: &str| {
        Flaw::new(root.locate(path), path.clone(), "", rule.to_owned())
    };
    if !kind.ends_with("List") {
        misread.push(flaw(
            &path,
            "kubectl takes whatever has items for a list: remove it",
        ));
    }
    for (index, item) in items.iter().enumerate() {
        let is_whole = ["apiVersion", "kind"]
            .iter()
            .all(|key| item.get(key).is_some());
        let is_list = item.get("items").is_some();
        if !is_whole || is_list {
            let rule = "kubectl reads more into it than stands there: write the object as a document of its own, with \
                        apiVersion and kind";
            misread.push(flaw(&path.index(index), rule));
        }
    }
    misread
}

impl Input {
    /// Reads what files hold; `told` is what the flags say about the cluster, `namespace` the one of policies that
    /// name none.
    pub fn of_files(
        sources: Sources,
        told: &Platform,
        namespace: Option<&str>,
    ) -> Result<Self, SchemaError> {
        let Declarations {
            zones,
            platform,
            findings,
            ..
        } = declaration::read(&sources.files, told)?;
        let mut input = Self {
            zones,
            platform,
            unreadable: sources.findings,
            skipped_files: sources.skipped_files,
            told: told.clone(),
            namespace: namespace.map(str::to_owned),
            ..Self::default()
        };
        input.unreadable.extend(findings);
        for file in &sources.files {
            input.file(file);
        }
        input.applied = kustomization::complete(&mut input.kustomizations, &sources.files);
        input.files = sources.files;
        Ok(input)
    }

    fn file(&mut self, file: &SourceFile) {
        let stream = document::parse(&file.text);
        if !stream.syntax.is_empty() {
            let text = file.text.as_bytes();
            let is_found = file.origin == Origin::Found;
            if is_found && !concerns(text) {
                self.skipped_files += 1;
                return;
            }
            // Those of other files are told with the declarations.
            if is_found && !mentions_landing_zones(text) {
                let syntax = stream.syntax.iter();
                self.unreadable
                    .extend(syntax.map(|flaw| Finding::of_flaw(&file.name, flaw)));
            }
        }
        if let Some(finding) = odd_line_break(file) {
            self.unreadable.push(finding);
        }
        for document in &stream.documents {
            let misread = misread(document).into_iter();
            self.unreadable
                .extend(misread.map(|flaw| Finding::of_flaw(&file.name, &flaw)));
            for (root, flaws) in objects(document) {
                let place = Place {
                    file: file.name.clone(),
                    root: root.clone(),
                    flaws,
                };
                let mut json = root.to_json();
                if let Some(namespace) = &self.namespace {
                    put_into(&mut json, namespace);
                }
                self.add(json, Some(place));
            }
        }
    }

    /// Takes an object, whatever it is.
    pub fn add(&mut self, json: Value, place: Option<Place>) {
        let name = ObjectName::of(&json);
        let altering = place
            .as_ref()
            .and_then(|place| kustomization::altering(&name, &json, place));
        if let Some(altering) = altering {
            self.kustomizations.push(altering);
            return;
        }
        let is_namespace = name.group.is_empty() && name.kind == "Namespace";
        if is_namespace && !self.namespace(&json, place.as_ref()) {
            return;
        }
        if let Some(mut read) = Object::read(&json) {
            if place.is_some() {
                read = read.map(Object::in_file);
            }
            self.written.push(Written {
                name,
                json,
                place,
                read,
            });
            return;
        }
        if (name.group.as_str(), name.kind.as_str()) == ("", "Service") && is_by_hand(&json) {
            let service = (name.namespace.clone(), name.name.clone());
            self.services_by_hand.insert(service);
            return;
        }
        if pods::is_one(&name) {
            self.pods.push(json);
            *self.skipped.entry(name.kind).or_default() += 1;
            return;
        }
        if name.group != GROUP {
            let kind = if name.kind.is_empty() {
                "without kind".to_owned()
            } else if name.group.ends_with(FLUX) || name.group == ARGO_CD {
                format!("{}.{}", name.kind, name.group)
            } else {
                name.kind
            };
            *self.skipped.entry(kind).or_default() += 1;
            return;
        }
        self.others.push(Written {
            name,
            json,
            place,
            read: (),
        });
    }

    /// What is in force of it: read anew without the files that kustomizations leave out, whatever they hold.
    pub fn in_force(&self, applied: &Applied) -> Result<Cow<'_, Self>, SchemaError> {
        let written = self.written.iter().all(|it| it.is_applied(applied));
        if written && self.others.iter().all(|it| it.is_applied(applied)) {
            return Ok(Cow::Borrowed(self));
        }
        let files = self.files.iter();
        let files = files.filter(|it| applied.has(Path::new(&it.name)));
        let sources = Sources {
            files: files.cloned().collect(),
            ..Sources::default()
        };
        let input = Self::of_files(sources, &self.told, self.namespace.as_deref())?;
        Ok(Cow::Owned(input))
    }

    /// The names of namespaces that were read from a cluster, so that all of their labels are known.
    pub fn namespaces_live(&self) -> impl Iterator<Item = &str> {
        let live = self.written.iter().filter(|it| it.place.is_none());
        let live = live.filter(|it| it.name.group.is_empty() && it.name.kind == "Namespace");
        live.map(|it| it.name.name.as_str())
    }

    /// Whether nothing at all was read: neither what is reviewed nor anything else.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
            && self.others.is_empty()
            && self.skipped.is_empty()
            && self.unreadable.is_empty()
    }

    /// Takes a namespace for one that is known; false where it cannot be read, which is told.
    fn namespace(&mut self, json: &Value, place: Option<&Place>) -> bool {
        match serde_path_to_error::deserialize(json.clone()) {
            Ok(namespace) => {
                self.namespaces.push(namespace);
                true
            }
            Err(error) => {
                let why = error.inner().to_string();
                let path = declaration::field_path(error.path());
                let finding = place.map(|place| {
                    let at = place.root.locate(&path);
                    Finding::of_flaw(&place.file, &Flaw::new(at, path, "", why))
                });
                self.unreadable.extend(finding);
                false
            }
        }
    }
}

/// Whether people write what is behind a service: it has no selector, and is no other name for a host.
fn is_by_hand(service: &Value) -> bool {
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    let kind = service.pointer("/spec/type").and_then(Value::as_str);
    selector.is_none_or(serde_json::Map::is_empty) && kind != Some("ExternalName")
}

/// Gives a policy of a namespace that names none the one it is applied to, as `kubectl apply --namespace` does.
fn put_into(object: &mut Value, namespace: &str) {
    let kind = object.get("kind").and_then(Value::as_str);
    let is_namespaced = kind.is_some_and(|kind| {
        let of_service = ["NetworkSet", "Service", "Endpoints", "EndpointSlice"];
        kind.ends_with("NetworkPolicy") && !kind.contains("Global") || of_service.contains(&kind)
    });
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata.filter(|_| is_namespaced) {
        let entry = metadata.entry("namespace");
        entry.or_insert_with(|| Value::from(namespace));
    }
}

impl<T> Written<T> {
    /// Whether the file in which it stands is applied.
    pub fn is_applied(&self, applied: &Applied) -> bool {
        let place = self.place.as_ref();
        place.is_none_or(|it| applied.has(Path::new(&it.file)))
    }

    /// The file and the line and column of a field, or of the nearest of its ancestors that is written.
    pub fn locate(&self, path: &FieldPath) -> Option<(&str, document::Position)> {
        let place = self.place.as_ref()?;
        Some((place.file.as_str(), place.root.locate(path)))
    }
}
