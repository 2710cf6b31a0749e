//! `kubectl landingzone render`: the objects that the operator would apply, without a cluster.

mod azure;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use thiserror::Error;

use azure::{AzureArgs, AzureError};

use super::Outcome;
use super::crossings;
use super::declaration::{self, Declarations};
use super::finding;
use super::flavour::FlavourArgs;
use super::output::{self, OutputFormat};
use super::platform::PlatformArgs;
use super::schema::SchemaError;
use super::source::{self, MAX_FILE_BYTES};
use crate::api::{DefaultDenyStage, Stage};
use crate::build::{self, DefaultDenyError, DefaultDenyPolicies, ManifestError, Undecided};
use crate::domain::{Flavour, LandingZone, Platform, Resolved, TeamPolicies};

/// What to render, and for which cluster.
#[derive(Args, Clone, Debug)]
pub struct RenderArgs {
    /// File or folder (with all *.yaml, *.yml and *.json below it, hidden ones as well, as kubectl reads them), or - for
    /// standard input; repeatable. Documents of other kinds are skipped
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    flavour: FlavourArgs,

    /// Form of output
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: OutputFormat,

    #[command(flatten)]
    platform: PlatformArgs,

    #[command(flatten)]
    azure: AzureArgs,
}

/// What could not be done, other than that the input is wrong.
#[derive(Debug, Error)]
enum RenderError {
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
    #[error("failed to write Terraform")]
    Terraform(#[source] hcl::Error),
}

impl From<AzureError> for RenderError {
    fn from(error: AzureError) -> Self {
        match error {
            AzureError::Write(error) => Self::Write(error),
            AzureError::Terraform(error) => Self::Terraform(error),
        }
    }
}

impl RenderArgs {
    /// Renders the files to standard output. What is wrong with them goes to standard error, and
    /// then nothing to standard output.
    pub fn run(&self) -> Outcome {
        match self.render(&mut io::stdin(), &mut io::stdout(), &mut io::stderr()) {
            Ok(outcome) => outcome,
            // Whoever reads has seen enough, as `head` has.
            Err(RenderError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Done
            }
            Err(error) => {
                super::complain(&error);
                Outcome::Failed
            }
        }
    }

    fn render(
        &self,
        stdin: &mut dyn Read,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<Outcome, RenderError> {
        let flavour = match self.flavour.flavour() {
            Ok(flavour) => flavour,
            Err(error) => {
                writeln!(stderr, "error: {error}")?;
                return Ok(Outcome::BadInput);
            }
        };
        let platform = self.platform.platform();
        let sources = source::read(&self.paths, stdin, MAX_FILE_BYTES);
        let mut declarations = declaration::read(&sources.files, &platform)?;
        declarations.skipped_files += sources.skipped_files;
        declarations.findings.extend(sources.findings);
        for failure in &sources.failures {
            writeln!(stderr, "{}", super::with_sources(failure))?;
        }
        finding::report(stderr, &declarations.findings, &sources.files)?;
        if !sources.failures.is_empty() {
            return Ok(Outcome::Failed);
        }
        if !declarations.findings.is_empty() {
            return Ok(Outcome::BadInput);
        }
        note_skipped(stderr, &declarations.skipped, declarations.skipped_files)?;
        let place = declarations.platform_place.as_deref().unwrap_or_default();
        let default_deny = match default_deny(&declarations.platform, flavour) {
            Ok(policies) => policies,
            Err(error @ DefaultDenyError::TooLong { .. }) => {
                writeln!(stderr, "{place}: spec.exempt: {error}")?;
                return Ok(Outcome::BadInput);
            }
            // The operator says so, too, and goes on with the landing zones.
            Err(error @ DefaultDenyError::NoCalico) => {
                writeln!(stderr, "note: {place}: spec.defaultDeny: {error}")?;
                DefaultDenyPolicies::default()
            }
        };
        let stage = declarations.platform.default_deny.stage;
        let is_hidden = stage == DefaultDenyStage::Observe && build::depends_on_others(flavour);
        if is_hidden {
            writeln!(
                stderr,
                "note: {place}: spec.defaultDeny: without tiers, stage Observe has policies only where \
                 nobody else decides in the cluster, so they are not shown"
            )?;
        }
        let is_nothing = default_deny == DefaultDenyPolicies::default() && !is_hidden;
        if declarations.zones.is_empty() && is_nothing {
            writeln!(
                stderr,
                "error: no LandingZone in {}",
                source::described(&self.paths)
            )?;
            return Ok(Outcome::BadInput);
        }
        let Declarations {
            zones, platform, ..
        } = &declarations;
        note_unknown(stderr, platform)?;
        let resolved = crossings::resolved(zones, platform, flavour);
        if self.azure.is_asked_for() {
            let streams = (stdout, stderr);
            return Ok(self
                .azure
                .write(zones, &resolved, platform, self.output, streams)?);
        }
        // In the order in which the operator applies them.
        let mut objects = build::tier_manifests(&build::tiers(flavour), flavour)?;
        objects.extend(build::default_deny_manifests(&default_deny, flavour)?);
        objects.extend(objects_of(zones, &resolved, platform, flavour)?);
        for (zone, resolved) in zones.iter().zip(&resolved) {
            note_unapplied(stderr, zone)?;
            crossings::note(stderr, zone, resolved)?;
        }
        stdout.write_all(output::print(&objects, self.output).as_bytes())?;
        stdout.flush()?;
        Ok(Outcome::Done)
    }
}

/// The policies of the default deny that the platform declares; none where it is off.
pub(super) fn default_deny(
    platform: &Platform,
    flavour: Flavour,
) -> Result<DefaultDenyPolicies, DefaultDenyError> {
    match platform.default_deny.stage {
        DefaultDenyStage::Off => Ok(DefaultDenyPolicies::default()),
        DefaultDenyStage::Observe => {
            build::observed_default_deny(platform, &Undecided::default(), flavour)
        }
        DefaultDenyStage::Enforce => build::default_deny(platform, flavour),
    }
}

/// Everything that the operator would apply for landing zones, in its order.
fn objects_of(
    zones: &[LandingZone],
    resolved: &[Resolved],
    platform: &Platform,
    flavour: Flavour,
) -> Result<Vec<Value>, ManifestError> {
    let mut objects = Vec::new();
    for (zone, resolved) in zones.iter().zip(resolved) {
        let desired = build::landing_zone(
            zone,
            &[],
            platform,
            &resolved.openings,
            &TeamPolicies::default(),
            flavour,
        );
        objects.extend(build::manifests(&desired, flavour)?);
    }
    Ok(objects)
}

/// Says in one line how many documents, by kind, and files were none of our business.
pub(super) fn note_skipped(
    stderr: &mut dyn Write,
    skipped: &BTreeMap<String, usize>,
    files: usize,
) -> io::Result<()> {
    let documents: usize = skipped.values().sum();
    let kinds: Vec<&str> = skipped.keys().map(String::as_str).collect();
    let mut parts = Vec::new();
    if documents > 0 {
        let shown = kinds.iter().take(SHOWN_KINDS).copied().collect::<Vec<_>>();
        let more = if kinds.len() > SHOWN_KINDS {
            ", …"
        } else {
            ""
        };
        parts.push(format!(
            "{documents} {} of other kinds ({}{more})",
            plural(documents, "document"),
            shown.join(", ")
        ));
    }
    if files > 0 {
        parts.push(format!("{files} {} without YAML", plural(files, "file")));
    }
    if !parts.is_empty() {
        writeln!(stderr, "skipped {}", parts.join(" and "))?;
    }
    Ok(())
}

const SHOWN_KINDS: usize = 5;

fn plural(count: usize, word: &str) -> String {
    if count == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

/// Says what the operator asks the cluster for, and is not known here.
fn note_unknown(stderr: &mut dyn Write, platform: &Platform) -> io::Result<()> {
    if platform.node_local_dns {
        writeln!(
            stderr,
            "note: with dns.nodeLocal the operator also allows the address of the Service \
             kube-system/kube-dns, which is not known here: list it in dns.extraAddresses to render it"
        )?;
    }
    Ok(())
}

/// Says of a landing zone that is not in force that the operator applies none of what is shown.
fn note_unapplied(stderr: &mut dyn Write, zone: &LandingZone) -> io::Result<()> {
    let why = match (zone.suspend, zone.stage) {
        (true, _) => "it is suspended",
        (false, Stage::Plan) => "its stage is Plan",
        (false, _) => return Ok(()),
    };
    writeln!(
        stderr,
        "note: the operator applies nothing of landing zone {} as long as {why}",
        zone.name
    )
}
