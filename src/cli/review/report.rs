//! What a review says, whatever the form of output.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::base::Compared;
use super::super::document::Position;
use super::super::reader::Unread;
use super::super::source::SourceFile;
use super::declared::Located;
use super::input::{Input, ObjectName, Written};
use super::meaning::Meaning;
use super::{kustomization, placeholders, unread};
use crate::domain::FieldPath;
use crate::review::{Finding, Landscape, Rule, judge, waive};

/// Everything that a review says.
#[derive(Debug)]
pub(super) struct Report {
    /// What is found, by file and line.
    pub findings: Vec<Reported>,
    /// What declarations open and close, those first that need approval.
    pub changes: Vec<Located>,
    /// What the count is out of.
    pub counted: Counted,
    /// How many cross a boundary, declared or waived.
    pub settled: usize,
    /// What nothing is said of, so that silence is not taken for consent.
    pub not_judged: Vec<NotJudged>,
    /// Whether all could be read that should be.
    pub is_whole: bool,
    /// What was compared with what; nothing without a base.
    pub compared: Vec<Compared>,
    /// What is told beside it, of how it came about.
    pub notes: Vec<String>,
}

/// A text about something, with the cluster before it where there are several.
pub(super) fn in_cluster(cluster: Option<&str>, text: String) -> String {
    match cluster {
        Some(cluster) => format!("{cluster}: {text}"),
        None => text,
    }
}

/// Something that was given, and that nothing is said of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct NotJudged {
    /// In which cluster, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// A kind, files, or what is in a cluster.
    pub what: String,
    /// How many of it; None where nobody knows.
    pub count: Option<usize>,
    /// Why.
    pub why: String,
    /// Whether it can decide who reaches whom, so that somebody has to look at it.
    #[serde(skip)]
    pub decides: bool,
}

/// Kinds of Flux and of Argo CD that have objects applied which stand elsewhere, policies among them.
const BRINGING: [&str; 4] = [
    "Kustomization.kustomize.toolkit.fluxcd.io",
    "HelmRelease.helm.toolkit.fluxcd.io",
    "Application.argoproj.io",
    "ApplicationSet.argoproj.io",
];

impl NotJudged {
    /// What of the files was passed over.
    pub fn of(input: &Input) -> Vec<Self> {
        let kinds = input.skipped.iter().map(|(kind, count)| {
            let is_policy = kind.contains("NetworkPolicy");
            let brings = BRINGING.contains(&kind.as_str());
            let decides = is_policy || brings;
            let why = if is_policy {
                "this command does not judge policies of that kind: somebody has to read them"
            } else if brings {
                "what it brings is not read here: have it rendered, and reviewed as well"
            } else {
                "it is neither a policy nor a declaration"
            };
            Self {
                what: kind.chars().take(KIND).collect(),
                count: Some(*count),
                why: why.to_owned(),
                decides,
                cluster: None,
            }
        });
        let files = (input.skipped_files > 0).then(|| Self {
            what: "files without YAML".to_owned(),
            count: Some(input.skipped_files),
            why: "they cannot be read, and hold nothing that looks like a policy or a declaration"
                .to_owned(),
            decides: false,
            cluster: None,
        });
        let altered = kustomization::not_judged(input);
        let of_cluster = unread::without_boundary(input);
        kinds
            .chain(of_cluster)
            .chain(altered)
            .chain(files)
            .collect()
    }
}

/// What of a cluster could not be read.
impl From<Unread> for NotJudged {
    fn from(unread: Unread) -> Self {
        Self {
            what: unread.what,
            count: None,
            why: unread.why,
            decides: true,
            cluster: None,
        }
    }
}

/// `3 × ConfigMap: why`, in one line.
impl std::fmt::Display for NotJudged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(cluster) = &self.cluster {
            write!(f, "{cluster}: ")?;
        }
        if let Some(count) = self.count {
            write!(f, "{count} × ")?;
        }
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// How much of what was reviewed crosses a boundary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// What was counted.
    pub of: CountedOf,
    /// Those that cross.
    pub crossing: usize,
    /// Those that end Felix.
    pub breaking: usize,
    /// All.
    pub all: usize,
}

/// What was counted; of two reviews together, the later of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CountedOf {
    /// All policies that were given.
    #[default]
    Policies,
    /// All policies that were given, and namespaces that cross.
    Objects,
    /// What changed.
    Changes,
}

/// Something that is found, and where.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    /// What it is.
    pub finding: Finding,
    /// In which cluster, where there are several.
    pub cluster: Option<String>,
    /// In which object.
    pub object: ObjectName,
    /// In which file; None: in a cluster.
    pub file: Option<String>,
    /// At which line and column.
    pub at: Option<Position>,
    /// The line that is meant.
    pub line: Option<String>,
    /// Tells the same finding wherever it stands: rule, object, field and what is written there.
    pub fingerprint: String,
    /// The position of the object among those that are judged.
    pub written: usize,
    /// Whether nobody has seen its waiver yet, since the change that is reviewed brings it along.
    pub waiver_is_new: bool,
    /// Why it was waived before, where that was for another reason.
    pub waiver_before: Option<String>,
}

impl Report {
    /// Of everything that is found.
    pub fn of(input: &Input, findings: Vec<Reported>) -> Self {
        // Namespaces and endpoints are no policies: what is not told of them is not counted.
        let names: BTreeSet<_> = findings.iter().map(|it| &it.object).collect();
        let is_counted = |it: &&Written| !is_beside(&it.name) || names.contains(&it.name);
        let all = input.written.iter().filter(is_counted).count();
        let crossing = crossing(&findings).len();
        let breaking = breaking(&findings).len();
        let mut rules = findings.iter().map(|it| it.finding.rule);
        let is_other = rules.any(|it| it == Rule::DecidesUnread);
        let of = if is_other || names.iter().any(|name| is_beside(name)) {
            CountedOf::Objects
        } else {
            CountedOf::Policies
        };
        let counted = Counted {
            of,
            crossing,
            breaking,
            all,
        };
        Self::new(findings, counted)
    }

    /// Counts those that cross and need nobody's approval.
    pub fn new(findings: Vec<Reported>, counted: Counted) -> Self {
        let settled = settled(&findings);
        Self {
            settled: settled.len(),
            changes: Vec::new(),
            counted,
            findings,
            not_judged: Vec::new(),
            is_whole: true,
            compared: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds the lines that are meant.
    pub fn quote(&mut self, files: &[SourceFile]) {
        let lines = super::lines(files);
        for reported in &mut self.findings {
            let of_file = reported.file.as_deref().and_then(|file| lines.get(file));
            let line = of_file
                .zip(reported.at)
                .and_then(|(lines, at)| lines.get(at.line.checked_sub(1)?));
            reported.line = line.map(|line| line.chars().take(QUOTED).collect());
        }
    }

    /// Whether somebody has to approve it.
    pub fn approval_required(&self) -> bool {
        let mut changes = self.changes.iter();
        self.findings.iter().any(Reported::needs_approval)
            || changes.any(|it| it.change.crosses_boundary)
    }

    /// In one line, for people and for the first line of a comment.
    pub fn headline(&self) -> String {
        let Counted {
            of,
            crossing,
            breaking,
            all,
        } = self.counted;
        let (one, many) = match of {
            CountedOf::Policies => ("policy", "policies"),
            CountedOf::Objects => ("object", "objects"),
            CountedOf::Changes => ("change", "changes"),
        };
        let noun = if all == 1 { one } else { many };
        if self.approval_required() {
            let unread = self.findings.iter().filter(needing(Rule::DecidesUnread));
            let unread: BTreeSet<_> = unread.map(|it| (&it.cluster, &it.object)).collect();
            let unread = unread.len();
            let counts = [
                (crossing, ["crosses a boundary", "cross a boundary"]),
                (breaking, ["ends Felix", "end Felix"]),
                (
                    unread,
                    [
                        "decides what is not judged, and has to be read",
                        "decide what is not judged, and have to be read",
                    ],
                ),
            ];
            let mut said = Vec::new();
            for (count, [one, many]) in counts.into_iter().filter(|(count, _)| *count > 0) {
                let does = if count == 1 { one } else { many };
                said.push(if said.is_empty() {
                    format!("{count} of {all} {noun} {does}")
                } else {
                    format!("{count} {does}")
                });
            }
            format!("approval needed: {}", said.join(", "))
        } else if self.settled == 0 {
            format!("no approval needed: none of {all} {noun} crosses a boundary")
        } else {
            let verb = if self.settled == 1 {
                "crosses"
            } else {
                "cross"
            };
            let settled = self.settled;
            format!(
                "no approval needed: {settled} of {all} {noun} {verb} a boundary, declared or waived"
            )
        }
    }
}

/// No kind has a name as long.
const KIND: usize = 60;

/// Whether something is no policy, nor anything that decides by itself.
fn is_beside(name: &ObjectName) -> bool {
    match name.group.as_str() {
        "" => matches!(name.kind.as_str(), "Namespace" | "Endpoints"),
        "discovery.k8s.io" => name.kind == "EndpointSlice",
        _ => false,
    }
}

/// Characters of a line that are quoted.
const QUOTED: usize = 400;

/// The objects that cross a boundary, and somebody has to approve that.
pub(super) fn crossing(findings: &[Reported]) -> BTreeSet<&ObjectName> {
    let is_crossing = |it: &&Reported| it.needs_approval() && it.finding.leaves_boundary();
    let crossing = findings.iter().filter(is_crossing);
    crossing.map(|it| &it.object).collect()
}

/// The objects that cross a boundary, and nobody has to approve that: it is declared, or waived.
pub(super) fn settled(findings: &[Reported]) -> BTreeSet<&ObjectName> {
    let is_settled = |it: &&Reported| it.finding.leaves_boundary() && !it.needs_approval();
    let settled = findings.iter().filter(is_settled);
    settled.map(|it| &it.object).collect()
}

/// The objects that end Felix, and somebody has to approve that.
pub(super) fn breaking(findings: &[Reported]) -> BTreeSet<&ObjectName> {
    with_rule(findings, Rule::BreaksFelix)
}

/// The objects that somebody has to read, since nobody else can judge them.
pub(super) fn unread(findings: &[Reported]) -> BTreeSet<&ObjectName> {
    with_rule(findings, Rule::DecidesUnread)
}

fn with_rule(findings: &[Reported], rule: Rule) -> BTreeSet<&ObjectName> {
    let found = findings.iter().filter(needing(rule));
    found.map(|it| &it.object).collect()
}

/// Whether it is found by a rule, and somebody has to approve it.
fn needing(rule: Rule) -> impl Fn(&&Reported) -> bool {
    move |it| it.needs_approval() && it.finding.rule == rule
}

/// Judges everything that was read.
pub(super) fn judged(input: &Input, landscape: &Landscape) -> Vec<Reported> {
    let mut all = Vec::new();
    let mut repeated: BTreeMap<String, usize> = BTreeMap::new();
    for (position, written) in input.written.iter().enumerate() {
        let found = findings(written, landscape);
        let mut meaning = Meaning::of(written);
        // How something is written comes first, and knows better where.
        let flaws = written.place.iter().flat_map(|place| &place.flaws);
        let mut flaws = flaws.map(|flaw| flaw.at);
        for finding in found {
            let mut reported = Reported::of(written, position, finding, &mut meaning);
            reported.at = flaws.next().or(reported.at);
            let before = repeated.entry(reported.fingerprint.clone()).or_default();
            *before += 1;
            reported.fingerprint = format!("{}:{before}", reported.fingerprint);
            all.push(reported);
        }
    }
    all.sort_by(|a, b| (&a.file, a.at, &a.object).cmp(&(&b.file, b.at, &b.object)));
    all
}

fn findings(written: &Written, landscape: &Landscape) -> Vec<Finding> {
    let flaws = written.place.iter().flat_map(|place| &place.flaws);
    let mut found: Vec<Finding> = flaws
        .map(|flaw| invalid(flaw.problem.path.clone(), flaw.message()))
        .collect();
    match &written.read {
        Ok(object) => {
            found.extend(judge(object, landscape));
            placeholders::add(written, &mut found);
            waive(object, found)
        }
        Err(unread) => {
            found.push(invalid(unread.path.clone(), unread.to_string()));
            placeholders::add(written, &mut found);
            found
        }
    }
}

fn invalid(path: FieldPath, message: String) -> Finding {
    Finding {
        rule: Rule::Invalid,
        path,
        message,
        witness: None,
        declared: None,
        suggestion: "write the field as its kind has it: kubectl explain tells how".to_owned(),
        waived: None,
        opening: None,
    }
}

/// Characters of a sentence that are told: selectors may be as long as anybody likes.
const TOLD: usize = 2000;

/// Characters of what is suggested: an entry that is cut declares nothing.
const SUGGESTED: usize = 6000;

fn shortened(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
}

impl Reported {
    /// A finding in an object, and where it stands; `position` tells the object among those that are judged.
    pub fn of<T>(
        written: &Written<T>,
        position: usize,
        mut finding: Finding,
        meaning: &mut Meaning<'_>,
    ) -> Self {
        let fingerprint = meaning.fingerprint(&finding);
        shortened(&mut finding.message, TOLD);
        shortened(&mut finding.suggestion, SUGGESTED);
        if let Some(witness) = &mut finding.witness {
            shortened(witness, TOLD);
        }
        let place = written.locate(&finding.path);
        Self {
            cluster: None,
            object: written.name.clone(),
            file: place.map(|(file, _)| file.to_owned()),
            at: place.map(|(_, at)| at),
            line: None,
            fingerprint,
            written: position,
            finding,
            waiver_is_new: false,
            waiver_before: None,
        }
    }

    /// Whether it leaves a boundary, or ends Felix, and somebody has to approve that. A waiver that nobody has approved settles
    /// nothing: a team would approve its own crossing with it.
    pub fn needs_approval(&self) -> bool {
        let finding = &self.finding;
        let is_unseen = self.waiver_is_new && finding.waived.is_some();
        finding.needs_approval()
            || (is_unseen && finding.rule.needs_approval() && finding.declared.is_none())
    }

    /// Why it has to be approved, where its severity does not show that.
    pub fn why_approved(&self) -> Option<&'static str> {
        let is_unseen = self.finding.waived.is_some() && self.needs_approval();
        is_unseen.then_some(match self.waiver_before {
            Some(_) => "needs approval: the waiver has another reason",
            None => "needs approval: what is waived is new",
        })
    }

    /// Why it is waived, and why it was before, where that was for another reason.
    pub fn waived(&self) -> Option<String> {
        let reason = self.finding.waived.as_ref()?;
        Some(match &self.waiver_before {
            Some(before) => format!("{reason} (before: {before})"),
            None => reason.clone(),
        })
    }

    /// `file:line:column`, or the field where it stands in no file; the cluster before it, where there are several.
    pub fn place(&self) -> String {
        let place = match (&self.file, self.at) {
            (Some(file), Some(at)) => format!("{file}:{at}"),
            _ => format!("{}: {}", self.object, self.finding.path),
        };
        in_cluster(self.cluster.as_deref(), place)
    }

    /// Whether somebody has to do something about it.
    pub fn counts(&self) -> bool {
        self.needs_approval() || (self.finding.declared.is_none() && self.finding.waived.is_none())
    }
}
