//! Network sets: their labels make addresses part of what selectors mean.

use super::Judge;
use crate::domain::FieldPath;
use crate::policy::NetworkSet;
use crate::review::Rule;
use crate::review::landscape::{is_stored_oddly, labels_in_storage};

/// So many of its ranges are named.
const SHOWN: usize = 3;

/// What only Calico writes before or in labels.
pub const CALICOS_PREFIXES: [&str; 3] = ["pcns.", "pcsa.", "projectcalico.org/"];

impl Judge<'_> {
    /// Calico may read labels that nobody else sees.
    pub(super) fn stored_oddly(&mut self, path: FieldPath) {
        self.find(
            Rule::ForgedLabels,
            path,
            "it is not as Calico's API server writes it, and Calico may read labels in it that nobody else sees: with them \
             these addresses can pass for pods of somebody else",
            "remove the annotation, and write the labels in metadata.labels",
        );
    }

    /// Finds a label that is Calico's to give.
    pub(super) fn forged(&mut self, key: &str, path: FieldPath) {
        if !CALICOS_PREFIXES.iter().any(|it| key.starts_with(it)) {
            return;
        }
        self.find(
            Rule::ForgedLabels,
            path,
            format!(
                "{key} is a label that Calico gives to pods and their namespaces: with it these addresses pass for pods of \
                 somebody else"
            ),
            "remove the label",
        );
    }

    pub(super) fn set(&mut self, set: &NetworkSet) {
        let metadata = FieldPath::default().key("metadata");
        let own = set.metadata.labels.clone().unwrap_or_default();
        let stored = labels_in_storage(&set.metadata);
        let at_labels = |key: &String| metadata.key("labels").key(key);
        let at_annotation = |_: &String| {
            metadata
                .key("annotations")
                .key("projectcalico.org/metadata")
        };
        if is_stored_oddly(&set.metadata) {
            self.stored_oddly(at_annotation(&String::new()));
        }
        let all = own.keys().map(|key| (key, at_labels(key)));
        let all = all.chain(stored.keys().map(|key| (key, at_annotation(key))));
        for (key, path) in all {
            self.forged(key, path);
        }
        self.witness_of_forged(set);
        for objection in set.objections() {
            self.object_to(&objection);
        }
        let inside = set.metadata.namespace.as_deref();
        let boundary = inside.and_then(|name| self.landscape.of_namespace(name));
        let Some((boundary, _)) = boundary else {
            return;
        };
        if set.spec.nets.is_empty() {
            return;
        }
        self.find_who(
            Rule::NetworkSetInside,
            FieldPath::default().key("spec").key("nets"),
            format!(
                "its addresses inherit the labels of the namespace, so that policies take them for {boundary}"
            ),
            "remove the set; declare a crossing to the ranges, or name them in nets of the rules that mean them",
            format!("whoever has one of the addresses counts as a pod of {boundary}"),
        );
    }

    /// Whoever has one of its addresses passes for somebody else.
    fn witness_of_forged(&mut self, set: &NetworkSet) {
        let nets = &set.spec.nets;
        let shown: Vec<_> = nets.iter().take(SHOWN).map(String::as_str).collect();
        if shown.is_empty() {
            return;
        }
        let more = if nets.len() > SHOWN { " and more" } else { "" };
        let forged = self.findings.iter_mut();
        for finding in forged.filter(|it| it.rule == Rule::ForgedLabels) {
            finding.witness = Some(format!(
                "whoever has an address of {}{more} passes for a pod wherever a policy asks for such labels",
                shown.join(", ")
            ));
        }
    }
}
