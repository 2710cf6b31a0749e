//! What declarations open and close, compared by meaning with what they said before.

use serde::Serialize;

use super::super::crossings::today;
use super::input::{Input, ObjectName};
use super::report::in_cluster;
use crate::api::names::GROUP;
use crate::domain::{Flavour, PLATFORM_NAME};
use crate::review::{Change, Declared, Side, changes};

/// A change of a declaration, and where it is written.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Located {
    /// What changed.
    #[serde(flatten)]
    pub change: Change,
    /// In which cluster, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// In which file; of what is gone, in the one before.
    pub file: Option<String>,
    /// At which line.
    pub line: Option<usize>,
    /// At which column.
    pub column: Option<usize>,
}

/// What changed in landing zones and the platform, those first that need approval.
pub(super) fn compared(before: &Input, after: &Input, flavour: Flavour) -> Vec<Located> {
    let all = changes(declared(before), declared(after), flavour, today());
    let located = all.into_iter().map(|change| {
        let side = match change.side {
            Side::Before => before,
            Side::After => after,
        };
        let written = side.others.iter().find(|it| is_about(&it.name, &change));
        let place = written.and_then(|it| it.locate(&change.path));
        Located {
            cluster: None,
            file: place.map(|(file, _)| file.to_owned()),
            line: place.map(|(_, at)| at.line),
            column: place.map(|(_, at)| at.column),
            change,
        }
    });
    located.collect()
}

fn declared(input: &Input) -> Declared<'_> {
    Declared {
        zones: &input.zones,
        platform: &input.platform,
    }
}

/// Whether an object is the declaration that changed.
pub(super) fn is_about(object: &ObjectName, change: &Change) -> bool {
    let (kind, name) = match &change.landing_zone {
        Some(name) => ("LandingZone", name.as_str()),
        None => ("LandingZonePlatform", PLATFORM_NAME),
    };
    object.group == GROUP && object.kind == kind && object.name == name
}

impl Located {
    /// `file:line:column`, or the field where it stands in no file.
    pub fn place(&self) -> String {
        let in_file = self.file.as_ref().zip(self.line).zip(self.column);
        let place = in_file.map_or_else(
            || {
                let zone = self.change.landing_zone.as_deref();
                format!("{}: {}", zone.unwrap_or("the platform"), self.change.path)
            },
            |((file, line), column)| format!("{file}:{line}:{column}"),
        );
        in_cluster(self.cluster.as_deref(), place)
    }
}
