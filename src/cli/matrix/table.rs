//! The matrix for people: what passes, a line each.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::entry::{Change, Changed, Entry, VerdictWord};

/// Whatever passes and is to be shown, and how much does not pass.
pub(super) fn entries(entries: &[Entry], is_shown: impl Fn(&Entry) -> bool) -> String {
    let open: Vec<_> = entries
        .iter()
        .filter(|it| it.verdict != VerdictWord::Denied)
        .collect();
    // What policies let through and something behind them does not is worth a line.
    let told = entries
        .iter()
        .filter(|it| it.verdict != VerdictWord::Denied || it.security_group.is_some());
    let clusters: BTreeSet<&str> = entries.iter().map(|it| it.cluster.as_str()).collect();
    let names_cluster = clusters.len() > 1;
    let shown = told.filter(|it| is_shown(it));
    let mut text = rows(
        names_cluster,
        shown.map(|entry| {
            let cluster = names_cluster.then(|| entry.cluster.clone());
            cluster.into_iter().chain(row("", entry)).collect()
        }),
    );
    let pairs = |entries: &mut dyn Iterator<Item = &Entry>| {
        let pairs: BTreeSet<_> = entries.map(|it| (&it.cluster, &it.from, &it.to)).collect();
        pairs.len()
    };
    let all = pairs(&mut entries.iter());
    let closed = all - pairs(&mut open.iter().copied());
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{closed} of {all} pairs are closed. * crosses the boundary of a landing zone"
    );
    text
}

/// What a change opens and closes.
pub(super) fn changes(changes: &[Changed]) -> String {
    if changes.is_empty() {
        return "nothing opens and nothing closes\n".to_owned();
    }
    let rows_of_changes = changes.iter().map(|changed| {
        let mark = match changed.change {
            Change::Opened => "+ ",
            Change::Closed => "- ",
            Change::Altered => "~ ",
        };
        row(mark, &changed.entry).into()
    });
    let mut text = rows(false, rows_of_changes);
    if changes.iter().any(|it| it.change == Change::Altered) {
        text += "~ passes partly as before, by rules that say another thing now\n";
    }
    text
}

/// Cells of a line.
type Row = Vec<String>;

fn row(mark: &str, entry: &Entry) -> [String; 5] {
    let boundary = if entry.is_crossing() { "*" } else { "" };
    [
        format!("{mark}{}", entry.from),
        format!("{}{boundary}", entry.to),
        entry.verdict.text().to_owned(),
        entry.ports.join(", "),
        match &entry.security_group {
            Some(rule) => format!("policies allow, network security group {rule} denies"),
            None => decided(&entry.decided_by),
        },
    ]
}

/// What decides, as far as a line has room for it: policies of the whole cluster by their names alone, and how many more there
/// are. All of it stands in JSON and in HTML.
fn decided(text: &str) -> String {
    if text.chars().count() <= DECIDED {
        return text.to_owned();
    }
    let text = text.replace("GlobalNetworkPolicy ", "");
    let deciders = text.split("; ").flat_map(|way| way.split(" or "));
    let deciders: Vec<&str> = deciders.collect();
    let mut told = String::new();
    let mut count = 0;
    for decider in &deciders {
        let joint = match (count, decider.contains(": ")) {
            (0, _) => "",
            (_, true) => "; ",
            (_, false) => " or ",
        };
        let next = format!("{told}{joint}{decider}");
        if count > 0 && next.chars().count() > DECIDED {
            break;
        }
        told = next;
        count += 1;
    }
    if told.chars().count() > DECIDED {
        told = told.chars().take(DECIDED - 1).collect();
        told.push('…');
    }
    // The last one may be a number of others.
    let others = deciders.iter().skip(count);
    let more: usize = others
        .map(|it| {
            it.strip_suffix(" more")
                .and_then(|it| it.parse().ok())
                .unwrap_or(1)
        })
        .sum();
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = write!(told, " and {more} more");
    }
    told
}

/// Characters of what decides that stand in a line.
const DECIDED: usize = 60;

/// Ports and what decides are as long as they are; the rest stands in columns.
fn rows(names_cluster: bool, rows: impl Iterator<Item = Row>) -> String {
    let head = ["FROM", "TO", "VERDICT", "PORTS", "DECIDED BY"].map(str::to_owned);
    let cluster = names_cluster.then(|| "CLUSTER".to_owned());
    let head: Row = cluster.into_iter().chain(head).collect();
    let columns = head.len() - 1;
    let rows: Vec<Row> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).min(WIDEST))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if let Some(width) = widths.get(at) {
                let missing = width.saturating_sub(cell.chars().count());
                line.extend(std::iter::repeat_n(' ', missing + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A column is not made wider for a single cell.
const WIDEST: usize = 40;
