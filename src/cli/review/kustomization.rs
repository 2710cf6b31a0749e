//! Kustomizations: what they change in the objects that are read here is not seen here.

mod applied;
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(super) use self::applied::Applied;
use self::named::Named;
use super::input::{Input, ObjectName, Place, Written};
use super::meaning::Meaning;
use super::report::{NotJudged, Report, Reported};
use crate::cli::base::{self, Base};
use crate::cli::declaration;
use crate::cli::digest::digest;
use crate::cli::document;
use crate::cli::source::{self, MAX_FILE_BYTES, SourceFile};
use crate::domain::FieldPath;
use crate::review::{Finding, Rule};

/// What a kustomization changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Altering {
    /// Its fields that alter objects, or bring such along that are not read.
    fields: Vec<String>,
    /// Tells what it says there, and what the files say that it names.
    digest: String,
}

/// Fields that alter no policy, and no label of a namespace.
const HARMLESS: [&str; 13] = [
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "images",
    "replicas",
    "configMapGenerator",
    "secretGenerator",
    "generatorOptions",
    "buildMetadata",
    "sortOptions",
    "openapi",
    "crds",
];
/// Fields by which Flux's kustomizations alter objects.
const OF_FLUX: [&str; 8] = [
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "postBuild",
    "targetNamespace",
    "commonMetadata",
    "namePrefix",
    "components",
];
const RESOURCES: &str = "resources";
const FLUX: &str = "kustomize.toolkit.fluxcd.io";
const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The fields of a kustomization that alter objects; None where it is none, or alters nothing.
pub(super) fn altering(
    name: &ObjectName,
    json: &Value,
    place: &Place,
) -> Option<Written<Altering>> {
    let file = Path::new(&place.file)
        .file_name()
        .and_then(|it| it.to_str());
    let is_by_name = name.kind.is_empty() && file.is_some_and(|it| FILES.contains(&it));
    let is_own = name.group == "kustomize.config.k8s.io" || is_by_name;
    let mut fields: Vec<String> = if name.group == FLUX && name.kind == "Kustomization" {
        let spec = json.get("spec").and_then(Value::as_object);
        let fields = spec.into_iter().flatten().map(|(key, _)| key.as_str());
        let fields = fields.filter(|key| OF_FLUX.contains(key));
        fields.map(|key| format!("spec.{key}")).collect()
    } else if is_own {
        let fields = json.as_object().into_iter().flatten();
        let fields = fields.filter(|(key, _)| !HARMLESS.contains(&key.as_str()));
        fields.map(|(key, _)| key.clone()).collect()
    } else {
        return None;
    };
    if is_own && resources(json).any(is_remote) {
        fields.push(RESOURCES.to_owned());
    }
    // What its resources are is known when everything is read.
    (is_own || !fields.is_empty()).then(|| Written {
        name: ObjectName {
            kind: "Kustomization".to_owned(),
            name: normal(Path::new(&place.file)),
            namespace: String::new(),
            group: name.group.clone(),
        },
        json: json.clone(),
        place: Some(place.clone()),
        read: Altering {
            fields,
            digest: String::new(),
        },
    })
}

fn resources(json: &Value) -> impl Iterator<Item = &str> {
    let resources = json.get(RESOURCES).and_then(Value::as_array);
    resources.into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a resource is fetched from elsewhere, as kustomize has it.
fn is_remote(resource: &str) -> bool {
    let hosts = ["github.com", "git@", "gitlab.com", "bitbucket.org"];
    resource.contains("://")
        || resource.contains("?ref=")
        || hosts.iter().any(|it| resource.starts_with(it))
}

/// A path without detours, from the working directory.
fn normal(path: &Path) -> String {
    base::normal(path).display().to_string()
}

/// Takes in what the files say that kustomizations name: patches and whatever else, of any ending, and resources that are not
/// among what is read. Whoever names nothing of the kind alters nothing, and is left out. Tells what they apply.
pub(super) fn complete(all: &mut Vec<Written<Altering>>, files: &[SourceFile]) -> Applied {
    let applied = Applied::of(all);
    let read: BTreeSet<String> = files.iter().map(|it| normal(Path::new(&it.name))).collect();
    for one in &mut *all {
        let folder = Path::new(&one.name.name).parent().unwrap_or(Path::new(""));
        let own = one.place.as_ref().map(|it| Path::new(&it.file));
        let own = own.and_then(Path::parent).unwrap_or(Path::new(""));
        let mut parts = vec![one.json.to_string()];
        parts.extend(Named::of(own, &one.json).parts);
        parts.extend(substituted(&one.json, files));
        let is_read = |resource: &&str| {
            let at = normal(&folder.join(resource));
            let mut below = read.range(format!("{at}/")..);
            read.contains(&at)
                || below
                    .next()
                    .is_some_and(|it| Path::new(it).starts_with(&at))
        };
        let unread = resources(&one.json).filter(|it| !is_remote(it) && !is_read(it));
        let unread: Vec<PathBuf> = unread.map(|it| own.join(it)).collect();
        if !unread.is_empty() && one.name.group != FLUX {
            let unread: Vec<PathBuf> = unread.into_iter().filter(|it| is_taken(it)).collect();
            let there = source::read_for(&unread, &mut io::empty(), MAX_FILE_BYTES, |_| true);
            parts.extend(there.files.into_iter().map(|it| it.text));
            one.read
                .fields
                .push(format!("{RESOURCES} that are not read"));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        one.read.digest = digest(&parts);
    }
    all.retain(|it| !it.read.fields.is_empty());
    applied
}

/// The objects among what is read that hold values which Flux puts in for names.
fn substituted(json: &Value, files: &[SourceFile]) -> Vec<String> {
    let from = json.pointer("/spec/postBuild/substituteFrom");
    let from = from.and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value, pointer: &str| {
        let text = value.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let names = from.filter_map(|it| Some((text(it, "/kind")?, text(it, "/name")?)));
    let mut objects = Vec::new();
    for (kind, name) in names {
        let files = files.iter().filter(|it| it.text.contains(&name));
        for document in files.flat_map(|it| document::parse(&it.text).documents) {
            let all = declaration::objects(&document).into_iter();
            let all = all.map(|(object, _)| object.to_json()).filter(|it| {
                text(it, "/kind").as_ref() == Some(&kind)
                    && text(it, "/metadata/name").as_ref() == Some(&name)
            });
            objects.extend(all.map(|it| it.to_string()));
        }
    }
    objects
}

/// Whether kustomize takes it as a resource: a file, or a folder with a kustomization of its own. Whatever else somebody names,
/// the root of the machine for instance, is not gone through.
fn is_taken(path: &Path) -> bool {
    path.is_file() || FILES.iter().any(|it| path.join(it).is_file())
}

const INSTEAD: &str = "give what comes out: kustomize build DIR | kubectl landingzone review -f - (with --base, build both)";

/// Fields by which a kustomization names charts, and what they call the name of one; the second is that of earlier ones.
const CHARTS: [[&str; 2]; 2] = [
    ["helmCharts", "name"],
    ["helmChartInflationGenerator", "chartName"],
];

/// That they are there, for those who see only what is judged; and the charts that they name, of which nothing is read.
pub(super) fn not_judged(input: &Input) -> impl Iterator<Item = NotJudged> {
    let all = &input.kustomizations;
    let altering = (!all.is_empty()).then(|| NotJudged {
        what: "Kustomization".to_owned(),
        count: Some(all.len()),
        why: format!("objects were read as they are before it alters them: {INSTEAD}"),
        decides: true,
        cluster: None,
    });
    let charts = all.iter().flat_map(|it| {
        CHARTS.into_iter().flat_map(|[field, name]| {
            let charts = it.json.get(field).and_then(Value::as_array);
            let charts = charts.into_iter().flatten();
            charts.filter_map(move |it| it.get(name).and_then(Value::as_str))
        })
    });
    let charts: BTreeSet<&str> = charts.collect();
    let charts = (!charts.is_empty()).then(|| NotJudged {
        what: "Helm chart".to_owned(),
        count: Some(charts.len()),
        why: format!(
            "a kustomization names {}, and nothing that comes out of it was read: {INSTEAD}",
            charts.iter().copied().collect::<Vec<_>>().join(", ")
        ),
        decides: true,
        cluster: None,
    });
    altering.into_iter().chain(charts)
}

/// Adds those that a change adds, changes or takes away, with what they name: nobody sees here what that alters.
pub(super) fn changed(report: &mut Report, (before, base): (&Input, &Base), after: &Input) {
    let below = |name: &str| {
        let path = base.reviewed(Path::new(name));
        path.map_or_else(|| name.to_owned(), |it| it.display().to_string())
    };
    let olds = before.kustomizations.iter();
    let olds: BTreeMap<_, _> = olds.map(|it| (below(&it.name.name), it)).collect();
    let news = after.kustomizations.iter();
    let news: BTreeMap<_, _> = news.map(|it| (it.name.name.clone(), it)).collect();
    let mut found = Vec::new();
    for (path, new) in &news {
        let is_same = olds.get(path).is_some_and(|old| old.read == new.read);
        if !is_same {
            found.push((*new, "is new or other than before"));
        }
    }
    for (path, old) in &olds {
        if !news.contains_key(path) {
            found.push((*old, "is taken away"));
        }
    }
    report.counted.all += found.len();
    for (written, what) in found {
        let finding = Finding::new(
            Rule::DecidesUnread,
            FieldPath::default(),
            format!(
                "the kustomization {what}, and alters objects after they were read here, by {}",
                written.read.fields.join(", ")
            ),
            INSTEAD.to_owned(),
        );
        report.findings.push(Reported::of(
            written,
            usize::MAX,
            finding,
            &mut Meaning::of(written),
        ));
    }
}
