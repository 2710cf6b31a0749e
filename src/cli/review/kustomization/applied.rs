//! What kustomizations apply: in their folders nothing but what they name, whatever else lies there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Altering, FILES, FLUX};
use crate::cli::base::{self, Base};
use crate::cli::review::input::Written;

/// Fields by which a kustomization names what it applies.
const APPLYING: [&str; 3] = ["resources", "bases", "components"];

/// The files and folders that kustomizations name.
#[derive(Clone, Debug, Default)]
pub(in crate::cli::review) struct Applied {
    /// By the folder of each kustomization.
    named: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// Folders whose kustomizations nothing applies any more.
    left_out: BTreeSet<PathBuf>,
}

impl Applied {
    /// What these kustomizations apply: each of them by itself, as far as nothing is known of who applies it.
    pub(super) fn of(all: &[Written<Altering>]) -> Self {
        let mut named: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        let is_own = |it: &&Written<Altering>| {
            let file = Path::new(&it.name.name).file_name();
            it.name.group != FLUX && file.is_some_and(|it| FILES.iter().any(|name| it == *name))
        };
        for one in all.iter().filter(is_own) {
            let folder = Path::new(&one.name.name).parent().unwrap_or(Path::new(""));
            let fields = APPLYING
                .iter()
                .filter_map(|it| one.json.get(it)?.as_array());
            let texts = fields.flatten().filter_map(Value::as_str);
            let paths = texts.map(|it| base::normal(&folder.join(it)));
            named.entry(folder.to_owned()).or_default().extend(paths);
        }
        Self {
            named,
            left_out: BTreeSet::new(),
        }
    }

    /// The same, where it is known what was applied before: a kustomization that another one named, and none names now, is no
    /// longer applied, nor is what it alone names.
    pub fn after(mut self, before: &Self, base: &Base) -> Self {
        let was_named = before.named.values().flatten();
        let was_named: BTreeSet<PathBuf> = was_named.filter_map(|it| base.reviewed(it)).collect();
        loop {
            let folders = self.named.keys().filter(|folder| {
                let mut by = self
                    .named
                    .iter()
                    .filter(|(_, names)| names.contains(*folder));
                let is_applied = by.clone().any(|(by, _)| !self.left_out.contains(by));
                let is_named = by.next().is_some();
                let is_dropped = !is_named && was_named.contains(*folder);
                is_dropped || (is_named && !is_applied)
            });
            let left_out: BTreeSet<PathBuf> = folders.cloned().collect();
            if left_out == self.left_out {
                return self;
            }
            self.left_out = left_out;
        }
    }

    /// Whether a file is applied: a kustomization names it, or none is there that would have to.
    pub fn has(&self, file: &Path) -> bool {
        let file = base::normal(file);
        let mut folders = file.ancestors().skip(1);
        let Some(own) = folders.find(|it| self.named.contains_key(*it)) else {
            return true;
        };
        let mut live = self.named.iter();
        live.any(|(folder, names)| {
            let mut paths = file.ancestors().take_while(|it| *it != own);
            !self.left_out.contains(folder) && paths.any(|it| names.contains(it))
        })
    }
}
