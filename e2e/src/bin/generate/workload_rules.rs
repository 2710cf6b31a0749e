//! The policies of the stage Observe in `config/workload-rules`, made of those of the stage Enforce: a policy cannot know from its
//! binding whether it denies or warns, so each stage has its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Generated;

const FOLDER: &str = "config/workload-rules";
const OBSERVED: &str = "observe-";
/// What a line says in stage Enforce, and in stage Observe.
const DIFFERENCES: [(&str, &str); 4] = [
    ("== 'Enforce'", "== 'Observe'"),
    ("  name: landing-zone-", "  name: landing-zone-observe-"),
    (
        "  policyName: landing-zone-",
        "  policyName: landing-zone-observe-",
    ),
    ("[Deny]", "[Warn, Audit]"),
];

/// A file for each rule.
pub(super) fn observed(root: &Path) -> Result<Vec<Generated>> {
    let folder = root.join(FOLDER);
    let entries =
        fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == "kustomization.yaml" || name.starts_with(OBSERVED) {
            continue;
        }
        let text = fs::read_to_string(folder.join(&name))
            .with_context(|| format!("failed to read {FOLDER}/{name}"))?;
        files.push(Generated {
            path: format!("{FOLDER}/{OBSERVED}{name}"),
            content: of_enforced(&name, &text)?,
        });
    }
    Ok(files)
}

fn of_enforced(name: &str, text: &str) -> Result<String> {
    let mut content = format!("# Generated from {name} by `cargo generate`: do not edit.\n");
    for line in text.lines().skip_while(|line| line.starts_with('#')) {
        let mut line = line.to_owned();
        for (enforced, observed) in DIFFERENCES {
            line = line.replace(enforced, observed);
        }
        content += &line;
        content.push('\n');
    }
    for (_, observed) in DIFFERENCES {
        ensure!(
            content.contains(observed),
            "{FOLDER}/{name} has nothing that becomes {observed:?}"
        );
    }
    Ok(content)
}
