//! New namespaces: what their labels open that a namespace of an application that nobody knows would not.

use super::super::input::{Input, Written};
use super::held::Held;
use super::{Pair, in_words, label_of};
use crate::api::names::{APPLICATION_CODE, OWNER};
use crate::domain::FieldPath;
use crate::review::{Body, Finding, Rule, identity};

/// Namespaces that were not written before, and that no landing zone labels or holds. One that only policies named may have had
/// any labels.
pub(super) fn arrived<'a>(before: &Input, after: &'a Input, zones: &Held) -> Vec<&'a Written> {
    let is_namespace =
        |it: &Written| matches!(it.read.as_ref().map(|it| &it.body), Ok(Body::Namespace(_)));
    let known = before.written.iter().filter(|it| is_namespace(it));
    let known: std::collections::BTreeSet<_> = known.map(|it| identity(&it.json)).collect();
    let new = after.written.iter().filter(|it| is_namespace(it));
    let new = new.filter(|it| !known.contains(&identity(&it.json)));
    let is_held = |name: &str| zones.denies(name) || zones.labels(name);
    new.filter(|it| !is_held(&it.name.name)).collect()
}

/// What is found where the labels of a new namespace open something; without pairs, nobody looked.
pub(super) fn finding(written: &Written, pairs: Option<&[&Pair]>) -> Option<Finding> {
    if pairs.is_some_and(<[_]>::is_empty) {
        return None;
    }
    let name = &written.name.name;
    let code = label_of(written, APPLICATION_CODE);
    let whose = code.map_or_else(
        || "of no application".to_owned(),
        |code| format!("of application {code}"),
    );
    let mut path = FieldPath::default().key("metadata");
    let label = [APPLICATION_CODE, OWNER]
        .into_iter()
        .find(|it| label_of(written, it).is_some());
    if let Some(label) = label {
        path = path.key("labels").key(label);
    }
    let finding = Finding::new(
        Rule::NamespaceJoins,
        path,
        format!(
            "namespace {name} is new and {whose}, and by its labels policies leave open what they would not for one that \
             they do not know: {}",
            in_words(pairs)
        ),
        format!(
            "leave out the labels that make policies let it through, or give it those by which they deny; where there are \
             LandingZones, declare {name} in spec.namespaces of one"
        ),
    );
    Some(Finding {
        witness: Some(format!("any pod of namespace {name} counts as one {whose}")),
        ..finding
    })
}
