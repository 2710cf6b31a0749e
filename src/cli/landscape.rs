//! All that decides who reaches whom: what landing zones render to, what others wrote, and the places between which
//! it is asked.

#[cfg(test)]
pub(super) mod fixture;
pub(super) mod live;
mod objects;
mod place;
mod rendered;
mod security_groups;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::Args;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::Outcome;
use super::client::{ClientError, runtime};
use super::crossings;
use super::declaration::{self, Declarations};
use super::document;
use super::finding::{self, Finding};
use super::flavour::FlavourArgs;
use super::platform::PlatformArgs;
use super::reader::Hints;
use super::schema::SchemaError;
use super::source::{self, MAX_FILE_BYTES};
use crate::api::names;
use crate::domain::{FieldPath, Flavour, LandingZone, Platform};
use crate::policy::{AddressSet, Endpoint, LabelMap, Member, TransportProtocol, World, labels};

pub(super) use objects::Objects;
pub(super) use place::{Place, PlaceKind, PlaceName};
pub(super) use security_groups::{Behind, SecurityGroups};
pub(super) use workload::{WorkloadKind, WorkloadName};

/// A cluster, as far as it decides who reaches whom.
#[derive(Debug)]
pub(super) struct Landscape {
    /// What it is called.
    pub cluster: String,
    /// Its landing zones, by name.
    pub zones: Vec<LandingZone>,
    /// What holds for all of it.
    pub platform: Platform,
    /// Policies and what they act on.
    pub world: World,
    /// What is asked about, by position.
    pub members: Vec<Member>,
    /// Landing zones' zones, then the rest.
    pub places: Vec<Place>,
    /// Where nobody declares landing zones: the namespaces of each application and zone, by the labels of namespaces.
    applications: BTreeMap<(String, String), Vec<String>>,
    /// The labels of each namespace that is known.
    pub namespaces: BTreeMap<String, LabelMap>,
    /// What the pods of workloads look like; None where they are on their nodes' network, where no policy of pods applies.
    pub workloads: BTreeMap<WorkloadName, Option<Endpoint>>,
    /// Pods that have no address here, as manifests have none, by namespace and name; None where they are on their node's
    /// network.
    pub pods_without_address: BTreeMap<(String, String), Option<Endpoint>>,
    /// Whether there are landing zones that could not be read.
    pub is_partial: bool,
    /// What stands behind the policies; None: nothing that is known of.
    pub security_groups: Option<SecurityGroups>,
}

/// What could not be done, other than that the input is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum LandscapeError {
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
}

/// Where a cluster is read from: files, or the cluster itself.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct SourceArgs {
    /// File or folder (with all *.yaml, *.yml and *.json below it, hidden ones as well, as kubectl reads them), or - for
    /// standard input; repeatable. Landing zones, the platform, policies of Kubernetes and of Calico, tiers, network sets,
    /// namespaces, service accounts, pods, workloads and endpoint slices count, in any mixture; documents of other kinds are
    /// passed over.
    /// What landing zones render to is added
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "PATH",
        required_unless_present_any = ["live", "contexts", "clusters"],
        conflicts_with_all = ["live", "contexts"]
    )]
    pub paths: Vec<PathBuf>,

    /// Name of a cluster, and a file or folder that holds what is in it; repeatable, for several clusters that are told side by
    /// side, and for one that has several. What -f names is in each of them
    #[arg(
        long = "cluster",
        value_name = "NAME=PATH",
        value_parser = cluster_files,
        conflicts_with_all = ["live", "contexts"]
    )]
    pub clusters: Vec<ClusterFiles>,

    /// The cluster as it is, instead of files
    #[arg(long)]
    pub live: bool,

    /// Context of the kubeconfig whose cluster is read as it is; repeatable where several are told side by side
    #[arg(long = "context", value_name = "NAME")]
    pub contexts: Vec<String>,

    /// A landing zone that you may read, where your rights do not let you list all of them; repeatable. Without it, that
    /// of your context's namespace is read
    #[arg(long = "landing-zone", value_name = "NAME", conflicts_with = "paths")]
    landing_zones: Vec<String>,

    #[command(flatten)]
    flavour: FlavourArgs,

    #[command(flatten)]
    platform: PlatformArgs,
}

/// Files of a cluster.
#[derive(Clone, Debug)]
pub(super) struct ClusterFiles {
    name: String,
    path: PathBuf,
}

/// Standard input would have to be read for each cluster.
#[derive(Debug, thiserror::Error)]
#[error("-f -: standard input is read once, and there are {count} clusters: name a file or folder")]
pub(super) struct InputOfSeveral {
    count: usize,
}

/// The names of clusters, in their order, each with all of its paths: its own, and those that are in each of them.
pub(super) fn by_cluster<'a>(
    clusters: &'a [ClusterFiles],
    paths: &[PathBuf],
) -> Result<Vec<(&'a str, Vec<PathBuf>)>, InputOfSeveral> {
    let mut all: Vec<(&str, Vec<PathBuf>)> = Vec::new();
    for cluster in clusters {
        match all.iter_mut().find(|(name, _)| *name == cluster.name) {
            Some((_, own)) => own.push(cluster.path.clone()),
            None => all.push((&cluster.name, vec![cluster.path.clone()])),
        }
    }
    let is_standard_input = |it: &PathBuf| it.as_os_str() == "-";
    if all.len() > 1 && paths.iter().any(is_standard_input) {
        return Err(InputOfSeveral { count: all.len() });
    }
    for (_, own) in &mut all {
        own.extend(paths.iter().cloned());
    }
    Ok(all)
}

pub(super) fn cluster_files(text: &str) -> Result<ClusterFiles, String> {
    match text.split_once('=') {
        // It is read once, and might be of any of them.
        Some((_, "-")) => Err("standard input is no cluster's: name a file or folder".to_owned()),
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok(ClusterFiles {
            name: name.to_owned(),
            path: path.into(),
        }),
        _ => Err("it has a name and a path, as in west=clusters/west".to_owned()),
    }
}

/// What somebody asks about.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    /// Names of landing zones or namespaces.
    pub owners: Vec<&'a str>,
    /// Workloads.
    pub workloads: Vec<WorkloadName>,
}

impl SourceArgs {
    /// Reads one cluster from files, or as many as there are names or contexts. What is wrong is told on standard error, and is
    /// an outcome. Of a cluster also what somebody asks about is read.
    pub fn read(
        &self,
        asked: &Asked<'_>,
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Result<Vec<Landscape>, Outcome>, LandscapeError> {
        if !self.clusters.is_empty() {
            return self.read_clusters(stdin, stderr);
        }
        if self.paths.is_empty() {
            return self.read_live(asked, stderr);
        }
        let read = self.read_files(&self.paths, stdin, stderr)?;
        Ok(read.map(|landscape| vec![landscape]))
    }

    fn read_clusters(
        &self,
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Result<Vec<Landscape>, Outcome>, LandscapeError> {
        let clusters = match by_cluster(&self.clusters, &self.paths) {
            Ok(clusters) => clusters,
            Err(error) => {
                writeln!(stderr, "error: {error}")?;
                return Ok(Err(Outcome::BadInput));
            }
        };
        let mut landscapes = Vec::new();
        for (name, paths) in clusters {
            match self.read_files(&paths, stdin, stderr)? {
                Ok(mut landscape) => {
                    name.clone_into(&mut landscape.cluster);
                    landscapes.push(landscape);
                }
                Err(outcome) => return Ok(Err(outcome)),
            }
        }
        Ok(Ok(landscapes))
    }

    /// Reads a cluster from files.
    pub fn read_files(
        &self,
        paths: &[PathBuf],
        stdin: &mut dyn Read,
        stderr: &mut dyn Write,
    ) -> Result<Result<Landscape, Outcome>, LandscapeError> {
        match self.flavour.flavour() {
            Ok(flavour) => read(paths, &self.platform.platform(), flavour, stdin, stderr),
            Err(error) => {
                writeln!(stderr, "error: {error}")?;
                Ok(Err(Outcome::BadInput))
            }
        }
    }

    fn read_live(
        &self,
        asked: &Asked<'_>,
        stderr: &mut dyn Write,
    ) -> Result<Result<Vec<Landscape>, Outcome>, LandscapeError> {
        let hints = Hints {
            landing_zones: self.landing_zones.clone(),
            namespaces: Vec::new(),
            either: asked.owners.iter().map(|it| (*it).to_owned()).collect(),
        };
        let runtime = runtime()?;
        let contexts = self.contexts.iter().map(|it| Some(it.as_str()));
        let current = self.contexts.is_empty().then_some(None);
        let mut landscapes = Vec::new();
        for context in contexts.chain(current) {
            let told = self.platform.platform();
            let (landscape, notes) =
                runtime.block_on(live::read(context, &told, &hints, &asked.workloads))?;
            for note in notes {
                let note = note.replace(char::is_control, " ");
                writeln!(stderr, "note: {}: {note}", landscape.cluster)?;
            }
            // Nothing would look like nothing to tell.
            if landscape.zones.is_empty() && landscape.is_partial {
                writeln!(
                    stderr,
                    "error: {}: no landing zone can be read with your rights: name yours with --landing-zone",
                    landscape.cluster
                )?;
                return Ok(Err(Outcome::Failed));
            }
            landscapes.push(landscape);
        }
        Ok(Ok(landscapes))
    }
}

/// The policies of a cluster and what they act on, as `matrix` and `why` see them: YAML of any mixture of kinds, with what
/// its landing zones render to in a flavour.
///
/// # Errors
/// What is wrong with the YAML, in the words of the command line.
pub fn world(text: &str, told: &Platform, flavour: Flavour) -> Result<World, String> {
    let mut said = Vec::new();
    let stdin = [PathBuf::from("-")];
    let read = read(&stdin, told, flavour, &mut text.as_bytes(), &mut said);
    match read {
        Ok(Ok(landscape)) => Ok(landscape.world),
        Ok(Err(_)) => Err(String::from_utf8_lossy(&said).into_owned()),
        Err(error) => Err(super::with_sources(&error)),
    }
}

/// Reads files of any mixture of kinds. What is wrong with them is told on standard error, and is an outcome.
fn read(
    paths: &[PathBuf],
    told: &Platform,
    flavour: Flavour,
    stdin: &mut dyn Read,
    stderr: &mut dyn Write,
) -> Result<Result<Landscape, Outcome>, LandscapeError> {
    let sources = source::read(paths, stdin, MAX_FILE_BYTES);
    let mut declarations = declaration::read(&sources.files, told)?;
    declarations.findings.extend(sources.findings);
    for failure in &sources.failures {
        writeln!(stderr, "{}", super::with_sources(failure))?;
    }
    finding::report(stderr, &declarations.findings, &sources.files)?;
    if !sources.failures.is_empty() {
        return Ok(Err(Outcome::Failed));
    }
    if !declarations.findings.is_empty() {
        return Ok(Err(Outcome::BadInput));
    }
    let mut objects = Objects::default();
    for file in &sources.files {
        let stream = document::parse(&file.text);
        // In a folder it may be a template, which is none of ours.
        if let Some(flaw) = stream
            .syntax
            .first()
            .filter(|_| mentions_policies(&file.text))
        {
            let flaw = Finding::of_flaw(&file.name, flaw);
            objects.notes.push(format!(
                "{flaw}: whatever cannot be read there counts as missing"
            ));
        }
        for document in &stream.documents {
            for (root, _) in declaration::objects(document) {
                let place = |path: &FieldPath| format!("{}:{}", file.name, root.locate(path));
                objects.add_at(&root.to_json(), &place);
            }
        }
    }
    if declarations.zones.is_empty() {
        let given = source::described(paths);
        let code = names::APPLICATION_CODE;
        if !objects.namespaces.values().any(|it| it.contains_key(code)) {
            writeln!(
                stderr,
                "error: no LandingZone in {given}, and no Namespace with the label {code}: give one or the other, or nobody can say \
                 whose pods there are"
            )?;
            return Ok(Err(Outcome::BadInput));
        }
        writeln!(
            stderr,
            "note: no LandingZone in {given}: applications and zones are those that the labels {code} and {} of namespaces name, \
             and nothing but the policies that are there holds a boundary",
            names::ZONE
        )?;
    }
    let Declarations {
        zones, platform, ..
    } = declarations;
    let resolved = crossings::resolved(&zones, &platform, flavour);
    rendered::add(&mut objects, &zones, &resolved, &platform, flavour);
    for note in &objects.notes {
        writeln!(stderr, "note: {note}")?;
    }
    let cluster = source::described(paths);
    let groups = SecurityGroups::of(&zones, &resolved, &platform);
    let mut landscape = Landscape::of(cluster, zones, platform, objects);
    landscape.security_groups = groups;
    Ok(Ok(landscape))
}

/// Whether a text may hold a policy: the name of each of their kinds ends so.
fn mentions_policies(text: &str) -> bool {
    text.contains("NetworkPolicy")
}

impl Landscape {
    /// Puts together what is known of a cluster.
    pub(super) fn of(
        cluster: String,
        zones: Vec<LandingZone>,
        platform: Platform,
        mut objects: Objects,
    ) -> Self {
        // Kubernetes labels every namespace with its name.
        for (name, labels) in &mut objects.namespaces {
            labels.insert(names::METADATA_NAME.to_owned(), name.clone());
        }
        let nothing = LabelMap::new();
        let of_namespace = |name: &str| objects.namespaces.get(name).unwrap_or(&nothing);
        let mut world = World::new(&objects.tiers, objects.policies);
        let sets = objects.sets.iter();
        world.sets = sets
            .map(|set| {
                let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
                AddressSet::of(set, of_namespace(namespace))
            })
            .collect();
        let pods = objects.pods.iter();
        world.endpoints = pods
            .filter_map(|pod| {
                let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                let spec = pod.spec.as_ref();
                let account = spec.and_then(|spec| spec.service_account_name.clone());
                let account = (namespace.to_owned(), account.unwrap_or_default());
                let account = objects.service_accounts.get(&account).unwrap_or(&nothing);
                Endpoint::of(pod, of_namespace(namespace), account)
            })
            .collect();
        world.services = objects.services;
        // What is known of a pod before it runs somewhere.
        let planned =
            |namespace: &str, name: &str, own: Option<&LabelMap>, spec: Option<&PodSpec>| {
                if spec.is_some_and(|it| it.host_network == Some(true)) {
                    return None;
                }
                let account = spec.and_then(|it| it.service_account_name.as_deref());
                let account = account.unwrap_or("default");
                let of_account = (namespace.to_owned(), account.to_owned());
                let of_account = objects.service_accounts.get(&of_account);
                Some(Endpoint {
                    labels: labels(
                        own.unwrap_or(&nothing),
                        (namespace, of_namespace(namespace)),
                        Some((account, of_account.unwrap_or(&nothing))),
                    ),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    addresses: Vec::new(),
                    ports: spec.map(named_ports).unwrap_or_default(),
                })
            };
        let workloads = objects.workloads.iter();
        let workloads = workloads.map(|(name, template)| {
            let own = template.metadata.as_ref().and_then(|it| it.labels.as_ref());
            let endpoint = planned(&name.namespace, &name.name, own, template.spec.as_ref());
            (name.clone(), endpoint)
        });
        let workloads = workloads.collect();
        let placed = world.endpoints.iter();
        let placed: BTreeSet<_> = placed
            .map(|it| (it.namespace.clone(), it.name.clone()))
            .collect();
        let is_over = |pod: &&Pod| {
            let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let others = objects.pods.iter().filter(|pod| !is_over(pod));
        let others = others.filter_map(|pod| {
            let metadata = &pod.metadata;
            let namespace = metadata.namespace.clone().unwrap_or_default();
            let key = (namespace, metadata.name.clone().unwrap_or_default());
            let endpoint = planned(&key.0, &key.1, metadata.labels.as_ref(), pod.spec.as_ref());
            (!placed.contains(&key)).then_some((key, endpoint))
        });
        let pods_without_address = others.collect();
        let applications = if zones.is_empty() && !objects.is_partial {
            applications(&objects.namespaces)
        } else {
            BTreeMap::new()
        };
        let mut landscape = Self {
            cluster,
            zones,
            applications,
            platform,
            world,
            members: Vec::new(),
            places: Vec::new(),
            namespaces: objects.namespaces,
            workloads,
            pods_without_address,
            is_partial: objects.is_partial,
            security_groups: None,
        };
        landscape.find_places();
        landscape
    }

    /// The place of a namespace, where it is a landing zone's, or an application's where nobody declares any.
    pub(super) fn zone_of(&self, namespace: &str) -> Option<&Place> {
        let declared = self.zones.iter().find_map(|zone| {
            let mut own = zone.namespaces.iter();
            let own = own.find(|it| it.name.as_str() == namespace)?;
            Some((zone.name.as_str(), own.zone.as_str()))
        });
        let mut applications = self.applications.iter();
        let labelled = || {
            let found = applications.find(|(_, own)| own.iter().any(|it| it == namespace));
            found.map(|((code, zone), _)| (code.as_str(), zone.as_str()))
        };
        let owner = declared.or_else(labelled)?;
        self.places.iter().find(|place| {
            (place.name.landing_zone.as_deref(), place.name.zone.as_str())
                == (Some(owner.0), owner.1)
        })
    }

    /// Whom to ask about a landing zone.
    pub(super) fn contact(&self, landing_zone: &str) -> Option<&str> {
        let mut zones = self.zones.iter();
        let zone = zones.find(|zone| zone.name.as_str() == landing_zone)?;
        zone.contact.as_deref()
    }
}

/// The namespaces that bear an application's code, by that and by their zone; one that names no zone is one by itself.
fn applications(
    namespaces: &BTreeMap<String, LabelMap>,
) -> BTreeMap<(String, String), Vec<String>> {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (name, labels) in namespaces {
        if let Some(code) = labels.get(names::APPLICATION_CODE) {
            let zone = labels.get(names::ZONE).unwrap_or(name);
            let place = (code.clone(), zone.clone());
            found.entry(place).or_default().push(name.clone());
        }
    }
    found
}

/// The ports of containers that have a name.
pub(super) fn named_ports(spec: &PodSpec) -> Vec<(String, TransportProtocol, u16)> {
    let containers = spec.containers.iter();
    let ports = containers.flat_map(|it| it.ports.iter().flatten());
    let named = ports.filter_map(|port| {
        let protocol = TransportProtocol::read(port.protocol.as_deref().unwrap_or("TCP"))?;
        let number = u16::try_from(port.container_port).ok()?;
        Some((port.name.clone()?, protocol, number))
    });
    named.collect()
}
/// The label of a namespace that names its landing zone.
const OWNER: &str = names::OWNER;
