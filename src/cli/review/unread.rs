//! What of a change only people can judge, besides what is found in the objects that are there.

use std::collections::BTreeSet;
use std::io::{self, Write};

use k8s_openapi::api::core::v1::Namespace;

use super::input::{Input, Written};
use super::kustomization;
use super::meaning::Meaning;
use super::report::{NotJudged, Reported};
use crate::api::names::APPLICATION_CODE;
use crate::domain::FieldPath;
use crate::review::{Body, Finding, Rule};

/// Objects that decide who reaches whom, and that a change takes away: found in the files of before.
pub(super) fn gone<'a>(before: &'a Input, after: &'a Input) -> impl Iterator<Item = Reported> {
    let there: BTreeSet<_> = after.written.iter().map(|it| &it.name).collect();
    let decides = |it: &&Written| {
        let body = it.read.as_ref().map(|object| &object.body);
        match body {
            Ok(Body::Deciding(_) | Body::HostEndpoint(_)) => true,
            // About hosts only.
            Ok(Body::Global(policy)) => {
                let spec = &policy.spec;
                spec.do_not_track == Some(true) || spec.pre_dnat == Some(true)
            }
            _ => false,
        }
    };
    let gone = before.written.iter().filter(decides);
    let gone = gone.filter(move |it| !there.contains(&it.name));
    gone.map(|written| {
        let kind = &written.name.kind;
        let finding = Finding::new(Rule::DecidesUnread, FieldPath::default(), format!(
                "the {kind} is taken away, and nobody but people can tell whether a boundary holds without it"
            ), "have somebody read it who knows Calico");
        Reported::of(written, usize::MAX, finding, &mut Meaning::of(written))
    })
}

/// Policies of the whole cluster, where nothing says whose boundary there is that they could cross.
pub(super) fn without_boundary(input: &Input) -> Option<NotJudged> {
    let has_code = |it: &Namespace| {
        let labels = it.metadata.labels.as_ref();
        labels.is_some_and(|it| it.contains_key(APPLICATION_CODE))
    };
    if !input.zones.is_empty() || input.namespaces.iter().any(has_code) {
        return None;
    }
    let is_of_cluster = |it: &&Written| {
        let body = it.read.as_ref().map(|object| &object.body);
        matches!(body, Ok(Body::Global(_) | Body::Admin(..)))
    };
    let count = input.written.iter().filter(is_of_cluster).count();
    (count > 0).then(|| NotJudged {
        what: "policies of the whole cluster".to_owned(),
        count: Some(count),
        why: format!(
            "no LandingZone was read, and no Namespace with the label {APPLICATION_CODE}, so nobody can say whose boundary they \
             cross: give those as well"
        ),
        decides: true,
        cluster: None,
    })
}

/// Says of policies of kinds that are not judged, and of what kustomizations make of others, that somebody has to read them.
pub(super) fn note(stderr: &mut dyn Write, input: &Input) -> io::Result<()> {
    let policies = |kind: &&String| kind.contains("NetworkPolicy");
    for kind in input.skipped.keys().filter(policies) {
        writeln!(
            stderr,
            "note: nothing is said of objects of kind {kind}: this command does not judge them"
        )?;
    }
    for not_judged in without_boundary(input)
        .into_iter()
        .chain(kustomization::not_judged(input))
    {
        writeln!(stderr, "note: {not_judged}")?;
    }
    Ok(())
}
