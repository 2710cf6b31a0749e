//! What of a change only people can judge, besides what is found in the objects that are there.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::input::{Input, Written};
use super::kustomization;
use super::meaning::Meaning;
use super::report::Reported;
use crate::domain::FieldPath;
use crate::review::{Body, Finding, Rule};

/// Objects that decide who reaches whom, and that a change takes away: found in the files of before.
pub(super) fn gone<'a>(before: &'a Input, after: &'a Input) -> impl Iterator<Item = Reported> {
    let there: BTreeSet<_> = after.written.iter().map(|it| &it.name).collect();
    let decides = |it: &&Written| {
        let body = it.read.as_ref().map(|object| &object.body);
        matches!(body, Ok(Body::Deciding(_) | Body::HostEndpoint(_)))
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

/// Says of policies of kinds that are not judged, and of what kustomizations make of others, that somebody has to read them.
pub(super) fn note(stderr: &mut dyn Write, input: &Input) -> io::Result<()> {
    let policies = |kind: &&String| kind.contains("NetworkPolicy");
    for kind in input.skipped.keys().filter(policies) {
        writeln!(
            stderr,
            "note: nothing is said of objects of kind {kind}: this command does not judge them"
        )?;
    }
    for not_judged in kustomization::not_judged(input) {
        writeln!(stderr, "note: {not_judged}")?;
    }
    Ok(())
}
