//! From files to landing zones, or to everything that is wrong with them.

use std::collections::BTreeMap;
use std::rc::Rc;

use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{self, Content, Document, Flaw, Node, Position, Stream};
use super::finding::Finding;
use super::schema::{KindSchema, SchemaError};
use super::source::{Origin, SourceFile, mentions_landing_zones};
use super::spelling;
use crate::api;
use crate::domain::{FieldPath, LandingZone, Platform, Problem, Segment};

/// The group of our kinds.
const GROUP: &str = "landingzones.dev";
/// The only version that there is.
const API_VERSION: &str = "landingzones.dev/v1alpha1";
/// The kinds that are read.
const KIND: &str = "LandingZone";
const PLATFORM: &str = "LandingZonePlatform";

/// What files declare.
#[derive(Debug, Default)]
pub struct Declarations {
    /// The landing zones, by name; complete only without findings.
    pub zones: Vec<LandingZone>,
    /// The same as they are written, in the order of the files.
    pub written: Vec<api::LandingZone>,
    /// Everything that is wrong, in the order of the files and their lines.
    pub findings: Vec<Finding>,
    /// What holds for the whole cluster: what the flags say, with what a platform declares.
    pub platform: Platform,
    /// Where the platform was declared, `file:line:column`; None without one.
    pub platform_place: Option<String>,
    /// Documents of other kinds, by kind.
    pub skipped: BTreeMap<String, usize>,
    /// Files in folders that are not YAML and cannot hold a landing zone, for instance templates.
    pub skipped_files: usize,
}

/// Reads the landing zones of all files, and the platform if there is one; `told` is what the flags
/// say about the cluster.
pub fn read(files: &[SourceFile], told: &Platform) -> Result<Declarations, SchemaError> {
    let mut reader = Reader {
        schema: KindSchema::of::<api::LandingZone>()?,
        platform_schema: KindSchema::of::<api::LandingZonePlatform>()?,
        told,
        declarations: Declarations {
            platform: told.clone(),
            ..Declarations::default()
        },
        claims: BTreeMap::new(),
        subnets: Vec::new(),
        documents: 0,
    };
    let streams: Vec<_> = files
        .iter()
        .map(|file| document::parse(&file.text))
        .collect();
    // Whatever file the platform stands in, it holds for all landing zones.
    let mut flaws = Vec::new();
    for (file, stream) in files.iter().zip(&streams) {
        let mut of_file = Vec::new();
        for document in &stream.documents {
            reader.each_object(file, document, &mut of_file, Reader::platform);
        }
        flaws.push(of_file);
    }
    for ((file, stream), flaws) in files.iter().zip(streams).zip(flaws) {
        reader.file(file, stream, flaws);
    }
    let mut declarations = reader.declarations;
    declarations.zones.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(declarations)
}

/// The objects of a document, those of a list one by one, each with what is wrong with how it is written.
pub(super) fn objects(document: &Document) -> Vec<(&Node, Vec<Flaw>)> {
    let root = &document.root;
    let is_list = kind(root).is_some_and(|kind| kind.ends_with("List"));
    match root.get("items").map(|items| &items.content) {
        Some(Content::List(items)) if is_list => {
            let list = FieldPath::default().key("items");
            let own = |index| {
                let path = list.index(index);
                let flaws = document.flaws.iter();
                flaws.filter_map(|flaw| below(flaw, &path)).collect()
            };
            let items = items.iter().enumerate();
            items
                .map(|(index, root)| (root.as_ref(), own(index)))
                .collect()
        }
        _ => vec![(root, document.flaws.clone())],
    }
}

/// What only one landing zone may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Name,
    ApplicationCode,
    Namespace,
}

/// Where something was claimed first.
struct Claimed {
    document: usize,
    place: String,
}

struct Reader<'a> {
    schema: KindSchema,
    platform_schema: KindSchema,
    told: &'a Platform,
    declarations: Declarations,
    claims: BTreeMap<(Claim, String), Claimed>,
    /// Subnets that landing zones claim.
    subnets: Vec<(IpNet, Claimed)>,
    documents: usize,
}

/// What is done with one object of a file. What is wrong with how it is written comes along.
type Step<'a> = fn(&mut Reader<'a>, &SourceFile, &Node, Vec<Flaw>, &mut Vec<Flaw>);

impl<'a> Reader<'a> {
    fn file(&mut self, file: &SourceFile, stream: Stream, mut flaws: Vec<Flaw>) {
        if !stream.syntax.is_empty()
            && file.origin == Origin::Found
            && !mentions_landing_zones(file.text.as_bytes())
        {
            self.declarations.skipped_files += 1;
            return;
        }
        flaws.extend(stream.syntax);
        for document in &stream.documents {
            self.each_object(file, document, &mut flaws, Self::object);
        }
        flaws.sort_by_key(|flaw| flaw.at);
        self.declarations
            .findings
            .extend(flaws.iter().map(|flaw| Finding::of_flaw(&file.name, flaw)));
    }

    fn each_object(
        &mut self,
        file: &SourceFile,
        document: &Document,
        flaws: &mut Vec<Flaw>,
        step: Step<'a>,
    ) {
        for (root, own) in objects(document) {
            step(self, file, root, own, flaws);
        }
    }

    /// Reads one object. What is wrong with how it is written counts only when it is ours.
    fn object(&mut self, file: &SourceFile, root: &Node, own: Vec<Flaw>, flaws: &mut Vec<Flaw>) {
        let version = root.get("apiVersion").and_then(|version| version.text());
        let in_group = version.is_some_and(|version| {
            version.split_once('/').map_or(version, |(group, _)| group) == GROUP
        });
        match kind(root) {
            Some(KIND) => {
                self.documents += 1;
                flaws.extend(own);
                self.landing_zone(file, root, flaws);
            }
            // It was read before.
            Some(PLATFORM) => {}
            _ if in_group => {
                flaws.extend(own);
                flaws.push(wrong_kind(root));
            }
            other => {
                let kind = other.unwrap_or("without kind").to_owned();
                *self.declarations.skipped.entry(kind).or_default() += 1;
            }
        }
    }

    /// Reads one object, if it is the platform.
    fn platform(&mut self, file: &SourceFile, root: &Node, own: Vec<Flaw>, flaws: &mut Vec<Flaw>) {
        if kind(root) != Some(PLATFORM) {
            return;
        }
        let before = flaws.len();
        flaws.extend(own);
        let place = format!("{}:{}", file.name, root.at);
        if let Some(first) = self.declarations.platform_place.replace(place) {
            let path = FieldPath::default().key("kind");
            let rule = format!("a platform is declared twice, first in {first}");
            flaws.push(Flaw::new(root.locate(&path), path, PLATFORM, rule));
        }
        let (declared, bounds) =
            shaped::<api::LandingZonePlatform>(&self.platform_schema, PLATFORM, root, flaws);
        let told = self.told;
        let found = declared.map(|declared| told.declared(&declared));
        match judged(found, bounds, root, flaws) {
            Some(platform) if flaws.len() == before => self.declarations.platform = platform,
            _ => {}
        }
    }

    fn landing_zone(&mut self, file: &SourceFile, root: &Node, flaws: &mut Vec<Flaw>) {
        let before = flaws.len();
        self.claim_all(file, root, flaws);
        self.claim_subnets(file, root, flaws);
        let (declared, bounds) = shaped::<api::LandingZone>(&self.schema, KIND, root, flaws);
        let platform = &self.declarations.platform;
        let found = declared
            .as_ref()
            .map(|declared| LandingZone::validate(declared, platform));
        match judged(found, bounds, root, flaws) {
            Some(zone) if flaws.len() == before => {
                self.declarations.zones.push(zone);
                self.declarations.written.extend(declared);
            }
            _ => {}
        }
    }

    /// Notes what a landing zone claims, as it is written: also a file that is wrong elsewhere
    /// claims its names.
    fn claim_all(&mut self, file: &SourceFile, root: &Node, flaws: &mut Vec<Flaw>) {
        let top = FieldPath::default();
        let spec = top.key("spec");
        self.claim(
            file,
            root,
            Claim::Name,
            top.key("metadata").key("name"),
            flaws,
        );
        let code = spec.key("applicationCode");
        self.claim(file, root, Claim::ApplicationCode, code, flaws);
        let namespaces = root.get("spec").and_then(|spec| spec.get("namespaces"));
        if let Some(Content::List(items)) = namespaces.map(|node| &node.content) {
            for index in 0..items.len() {
                let name = spec.key("namespaces").index(index).key("name");
                self.claim(file, root, Claim::Namespace, name, flaws);
            }
        }
    }

    fn claim_subnets(&mut self, file: &SourceFile, root: &Node, flaws: &mut Vec<Flaw>) {
        let subnet = FieldPath::default().key("spec").key("azure").key("subnet");
        for field in ["cidr", "podCidr"] {
            let path = subnet.key(field);
            let Some(value) = text_at(root, &path) else {
                continue;
            };
            let Ok(range) = value.parse::<IpNet>() else {
                continue;
            };
            let at = root.locate(&path);
            let mut others = self.subnets.iter();
            let other = others.find(|(other, claimed)| {
                let overlaps = other.contains(&range) || range.contains(other);
                overlaps && claimed.document != self.documents
            });
            if let Some((other, first)) = other {
                let rule = format!(
                    "overlaps {other} in {}: name a range that nobody else uses",
                    first.place
                );
                flaws.push(Flaw::new(at, path, value, rule));
            }
            let here = Claimed {
                document: self.documents,
                place: format!("{}:{at}", file.name),
            };
            self.subnets.push((range, here));
        }
    }

    fn claim(
        &mut self,
        file: &SourceFile,
        root: &Node,
        claim: Claim,
        path: FieldPath,
        flaws: &mut Vec<Flaw>,
    ) {
        let Some(value) = text_at(root, &path) else {
            return;
        };
        let at = root.locate(&path);
        let here = Claimed {
            document: self.documents,
            place: format!("{}:{at}", file.name),
        };
        match self.claims.get(&(claim, value.to_owned())) {
            None => {
                self.claims.insert((claim, value.to_owned()), here);
            }
            // A name that is twice in one landing zone is a matter of its own rules.
            Some(first) if first.document == here.document => {}
            Some(first) => {
                let what = match claim {
                    Claim::Name => "a landing zone of this name is declared twice",
                    Claim::ApplicationCode => "two landing zones claim this application code",
                    Claim::Namespace => "two landing zones claim this namespace",
                };
                let rule = format!("{what}, first in {}", first.place);
                flaws.push(Flaw::new(at, path, value, rule));
            }
        }
    }
}

/// Reads an object of a kind, as far as its shape lets that. The second part are bounds that it
/// exceeds: rules may say better what is wrong.
fn shaped<K: DeserializeOwned>(
    schema: &KindSchema,
    kind: &str,
    root: &Node,
    flaws: &mut Vec<Flaw>,
) -> (Option<K>, Vec<Flaw>) {
    let shape = schema.check(root);
    let path = FieldPath::default().key("apiVersion");
    let at = root.locate(&path);
    let version = root.get("apiVersion").and_then(|version| version.text());
    match root.get("apiVersion") {
        None => flaws.push(Flaw::new(
            at,
            path,
            "",
            format!("this field is required and missing: write {API_VERSION}"),
        )),
        Some(_) if version.is_some_and(|version| version != API_VERSION) => {
            let rule = format!("{kind} is supported as {API_VERSION} only");
            flaws.push(Flaw::new(at, path, version.unwrap_or_default(), rule));
        }
        Some(_) => {}
    }
    if !shape.broken.is_empty() {
        flaws.extend(shape.broken.into_iter().chain(shape.unknown));
        return (None, shape.bounds);
    }
    let mut json = root.to_json();
    if let Some(fields) = json.as_object_mut() {
        fields.remove("status");
    }
    // Without the fields that are unknown, the rest can still be judged.
    for flaw in &shape.unknown {
        remove(&mut json, &flaw.problem.path);
    }
    flaws.extend(shape.unknown);
    match serde_path_to_error::deserialize(json) {
        Ok(declared) => (Some(declared), shape.bounds),
        Err(error) => {
            let path = field_path(error.path());
            let at = root.locate(&path);
            flaws.push(Flaw::new(at, path, "", error.inner().to_string()));
            (None, shape.bounds)
        }
    }
}

/// What the rules say of an object, beside the bounds that it exceeds. Nothing, where that is anything
/// bad.
fn judged<T>(
    found: Option<Result<T, Vec<Problem>>>,
    bounds: Vec<Flaw>,
    root: &Node,
    flaws: &mut Vec<Flaw>,
) -> Option<T> {
    let problems = match found {
        Some(Ok(value)) if bounds.is_empty() => return Some(value),
        Some(Err(problems)) => problems,
        _ => Vec::new(),
    };
    // The domain names the way out where the schema only counts.
    flaws.extend(bounds.into_iter().filter(|bound| {
        problems
            .iter()
            .all(|problem| !problem.path.0.starts_with(&bound.problem.path.0))
    }));
    flaws.extend(problems.into_iter().map(|problem| Flaw {
        at: root.locate(&problem.path),
        problem,
    }));
    None
}

fn kind(root: &Node) -> Option<&str> {
    root.get("kind")?.text()
}

/// The finding about a document of our group that is of none of its kinds.
fn wrong_kind(root: &Node) -> Flaw {
    let path = FieldPath::default().key("kind");
    let at: Position = root.locate(&path);
    match kind(root) {
        Some(kind) => {
            let rule = match spelling::closest(kind, [KIND, PLATFORM]) {
                Some(meant) => format!("{GROUP} has no such kind: did you mean {meant}?"),
                None => format!("{GROUP} has no such kind, only {KIND} and {PLATFORM}"),
            };
            Flaw::new(at, path, kind, rule)
        }
        None => Flaw::new(
            at,
            path,
            "",
            format!("this field is required and missing: write {KIND}"),
        ),
    }
}

/// A flaw of a list's document as one of the item at `path`, if it is below it.
fn below(flaw: &Flaw, path: &FieldPath) -> Option<Flaw> {
    let rest = flaw.problem.path.0.strip_prefix(path.0.as_slice())?;
    let mut flaw = flaw.clone();
    flaw.problem.path = FieldPath(rest.to_vec());
    Some(flaw)
}

fn text_at<'a>(root: &'a Node, path: &FieldPath) -> Option<&'a str> {
    let mut node = root;
    for segment in &path.0 {
        node = match (segment, &node.content) {
            (Segment::Key(key), _) => node.get(key).map(Rc::as_ref)?,
            (Segment::Index(index), Content::List(items)) => items.get(*index).map(Rc::as_ref)?,
            (Segment::Index(_), _) => return None,
        };
    }
    node.text()
}

fn remove(json: &mut Value, path: &FieldPath) {
    let Some((Segment::Key(last), ancestors)) = path.0.split_last() else {
        return;
    };
    let parent = ancestors
        .iter()
        .try_fold(json, |value, segment| match segment {
            Segment::Key(key) => value.get_mut(key),
            Segment::Index(index) => value.get_mut(index),
        });
    if let Some(fields) = parent.and_then(Value::as_object_mut) {
        fields.remove(last);
    }
}

pub(super) fn field_path(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment as Step;
    path.iter()
        .fold(FieldPath::default(), |path, step| match step {
            Step::Seq { index } => path.index(*index),
            Step::Map { key } => path.key(key),
            Step::Enum { .. } | Step::Unknown => path,
        })
}

#[cfg(test)]
mod tests;
