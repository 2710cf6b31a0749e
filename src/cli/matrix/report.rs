//! The matrix as one page that loads nothing: what passes, with all that is needed to look at it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::entry::{Entry, VerdictWord};
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
}

/// Writes the page. Where no script runs, it is a list of all that passes.
///
/// # Errors
/// The entries cannot be written as JSON.
pub(super) fn page(entries: &[Entry]) -> Result<String, serde_json::Error> {
    let clusters: BTreeSet<&str> = entries.iter().map(|it| it.cluster.as_str()).collect();
    let clusters: Vec<&str> = clusters.into_iter().collect();
    let ends = entries.iter().flat_map(|it| [&it.from, &it.to]);
    let places: BTreeSet<&PlaceName> = ends.collect();
    let mut places: Vec<&PlaceName> = places.into_iter().collect();
    // Landing zones first.
    places.sort_by_key(|it| (it.landing_zone.is_none(), *it));
    let open: Vec<&Entry> = entries
        .iter()
        .filter(|it| it.verdict != VerdictWord::Denied)
        .collect();
    let at = |place: &PlaceName| places.iter().position(|it| *it == place);
    let passing = open.iter().filter_map(|entry| {
        Some(Passing {
            cluster: clusters.iter().position(|it| *it == entry.cluster)?,
            from: at(&entry.from)?,
            to: at(&entry.to)?,
            verdict: entry.verdict,
            ports: &entry.ports,
            decided_by: &entry.decided_by,
        })
    });
    let passing = passing.collect();
    let shown = Shown {
        clusters,
        places: places.clone(),
        passing,
    };
    // In a script nothing may look like the end of it.
    let data = serde_json::to_string(&shown)?.replace('<', "\\u003c");
    // What is put in holds no mark of ours: the list is escaped, and comes first.
    let page = PAGE.replace("<!--rows-->", &rows(&open));
    Ok(page.replace("/*data*/", &data))
}

fn rows(open: &[&Entry]) -> String {
    let mut rows = String::new();
    for entry in open {
        let class = if entry.is_crossing() {
            " class=\"crossing\""
        } else {
            ""
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

/// Text in which nothing is taken for markup, nor for a mark of the page.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '*' => out.push_str("&#42;"),
            other => out.push(other),
        }
    }
    out
}
