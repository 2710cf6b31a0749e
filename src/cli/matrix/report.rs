//! The matrix as one page that loads nothing: what passes, with all that is needed to look at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::entry::{Change, Changed, Entry, VerdictWord};
use crate::cli::html::escaped;
use crate::cli::landscape::PlaceName;

/// The page without what it shows.
const PAGE: &str = include_str!("report.html");

/// What the page's script reads: places, and by their positions what passes between them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    clusters: Vec<&'a str>,
    places: Vec<&'a PlaceName>,
    passing: Vec<Passing<'a>>,
    /// Whether it is about a change.
    is_change: bool,
}

/// What passes between two places.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Passing<'a> {
    cluster: usize,
    from: usize,
    to: usize,
    verdict: VerdictWord,
    ports: &'a [String],
    decided_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
}

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// What passes.
    Whole,
    /// What a change opens and closes, among what passes.
    Change,
}

/// Something that passes, or passed.
type Row<'a> = (&'a Entry, Option<Change>);

/// Writes the page. Where no script runs, it is a list of all that passes.
///
/// # Errors
/// The entries cannot be written as JSON.
pub(super) fn page(entries: &[Entry]) -> Result<String, serde_json::Error> {
    let rows: Vec<Row<'_>> = entries.iter().map(|it| (it, None)).collect();
    written(&rows, About::Whole)
}

/// Writes the page about a change: what passes now, with what it opens marked, and what passed before.
///
/// # Errors
/// The entries cannot be written as JSON.
pub(super) fn page_of_change(
    entries: &[Entry],
    changes: &[Changed],
) -> Result<String, serde_json::Error> {
    let is_told = |entry: &Entry| {
        let mut now = changes.iter().filter(|it| it.change != Change::Closed);
        now.any(|it| it.entry == *entry)
    };
    let mut rows: Vec<Row<'_>> = changes
        .iter()
        .map(|it| (&it.entry, Some(it.change)))
        .collect();
    let others = entries.iter().filter(|it| !is_told(it));
    rows.extend(others.map(|it| (it, None)));
    written(&rows, About::Change)
}

fn written(all: &[Row<'_>], about: About) -> Result<String, serde_json::Error> {
    let clusters: BTreeSet<&str> = all.iter().map(|(it, _)| it.cluster.as_str()).collect();
    let clusters: Vec<&str> = clusters.into_iter().collect();
    let ends = all.iter().flat_map(|(it, _)| [&it.from, &it.to]);
    let places: BTreeSet<&PlaceName> = ends.collect();
    let mut places: Vec<&PlaceName> = places.into_iter().collect();
    // Landing zones first.
    places.sort_by_key(|it| (it.landing_zone.is_none(), *it));
    let open: Vec<Row<'_>> = all
        .iter()
        .filter(|(it, _)| it.verdict != VerdictWord::Denied)
        .copied()
        .collect();
    let positions: BTreeMap<&PlaceName, usize> = places
        .iter()
        .enumerate()
        .map(|(at, it)| (*it, at))
        .collect();
    let at = |place: &PlaceName| positions.get(place).copied();
    let passing = open.iter().filter_map(|(entry, change)| {
        Some(Passing {
            cluster: clusters.iter().position(|it| *it == entry.cluster)?,
            from: at(&entry.from)?,
            to: at(&entry.to)?,
            verdict: entry.verdict,
            ports: &entry.ports,
            decided_by: &entry.decided_by,
            change: *change,
        })
    });
    let passing = passing.collect();
    let shown = Shown {
        clusters,
        places: places.clone(),
        passing,
        is_change: about == About::Change,
    };
    // In a script nothing may look like the end of it.
    let data = serde_json::to_string(&shown)?.replace('<', "\\u003c");
    // What is put in holds no mark of ours: the list is escaped, and comes first.
    let (title, key) = match about {
        About::Whole => ("Who may reach whom", ""),
        About::Change => (
            "What a change opens and closes",
            " <span style=\"background:var(--opened)\">+</span> opened by the change; <span \
             style=\"background:var(--closed)\">−</span> closed by it; ± some of both; <span \
             style=\"background:var(--altered)\">~</span> passes partly as before, by rules that say another thing.",
        ),
    };
    let page = PAGE
        .replace("<!--title-->", title)
        .replace("<!--key-->", key);
    let page = page.replace("<!--rows-->", &rows(&open));
    Ok(page.replace("/*data*/", &data))
}

fn rows(open: &[Row<'_>]) -> String {
    let mut rows = String::new();
    for (entry, change) in open {
        let crossing = entry.is_crossing().then_some("crossing");
        let change = change.map(|it| match it {
            Change::Opened => "opened",
            Change::Closed => "closed",
            Change::Altered => "altered",
        });
        let classes: Vec<_> = crossing.into_iter().chain(change).collect();
        let class = if classes.is_empty() {
            String::new()
        } else {
            format!(" class=\"{}\"", classes.join(" "))
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr{class}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&entry.cluster),
            escaped(&entry.from.to_string()),
            escaped(&entry.to.to_string()),
            entry.verdict.text(),
            escaped(&entry.ports.join(", ")),
            escaped(&entry.decided_by)
        );
    }
    rows
}
