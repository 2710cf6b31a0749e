//! Selectors and labels that nobody thought of: whole ones, and whole ones with something wrong.

use std::collections::BTreeMap;

use e2e::calico_selectors::Question;
use e2e::seed::{self, Seed};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

/// Labels are few, so that selectors and labels have to do with each other.
const LABELS: &[&str] = &[
    "a",
    "b",
    "in",
    "has",
    "not",
    "c.d/e-f_g",
    "projectcalico.org/name",
];
const VALUES: &[&str] = &["", "a", "b", "ab", "ba", "aba", "b-a", "'", "\"", "ü", " a"];
/// What can stand between two words, most of it nowhere.
const BLANKS: &[&str] = &[
    "", "", "", " ", " ", "  ", "\t", " \t ", "\n", "\r", "\u{c}", "\u{b}", "\u{a0}",
];
/// What can come in between, or in place of something else.
const WORDS: &[&str] = &[
    "has(",
    "has (",
    "all(",
    "global(",
    "has(a)",
    "all()",
    "global()",
    "(",
    ")",
    "()",
    "!",
    "!!",
    "!=",
    "=",
    "==",
    "&",
    "&&",
    "|",
    "||",
    "in",
    "not",
    "notin",
    "not in",
    "contains",
    "starts",
    "starts with",
    "ends",
    "with",
    "{",
    "}",
    "{}",
    "{,}",
    ",",
    "'",
    "\"",
    "'a'",
    "\"b\"",
    "a",
    "has",
    "all",
    "global",
    "%",
    "ü",
    " ",
    "\n",
];

/// So many selectors, each with so many sets of labels.
pub fn questions(count: usize, labels: usize, seed: &Seed) -> Vec<Question> {
    let mut runner = TestRunner::new_with_rng(Config::default(), seed::rng(seed));
    let whole = whole().boxed();
    let selector = prop_oneof![5 => whole.clone(), 3 => damaged(whole), 1 => heap()];
    let values = select(VALUES).prop_map(str::to_owned);
    let set = btree_map(select(LABELS).prop_map(str::to_owned), values, 0..4);
    let question = (selector, vec(set, labels)).prop_map(|(selector, labels)| Question {
        selector,
        labels: labels.into_iter().collect::<Vec<BTreeMap<_, _>>>(),
    });
    let next = |_| {
        let tree = question.new_tree(&mut runner);
        tree.expect("nothing is filtered out").current()
    };
    (0..count).map(next).collect()
}

fn blank() -> impl Strategy<Value = &'static str> {
    // The blanks that are blanks, nine times out of ten.
    prop_oneof![9 => select(&BLANKS[..8]), 1 => select(BLANKS)]
}

fn string() -> impl Strategy<Value = String> {
    (select(VALUES), any::<bool>()).prop_map(|(value, single)| {
        let quote = match value {
            "'" => '"',
            "\"" => '\'',
            _ if single => '\'',
            _ => '"',
        };
        format!("{quote}{value}{quote}")
    })
}

fn primary() -> impl Strategy<Value = String> {
    let operator = select(&[
        "==",
        "!=",
        "contains",
        "starts with",
        "startswith",
        "ends  with",
    ]);
    let comparison = (select(LABELS), operator, string(), blank(), blank()).prop_map(
        |(label, operator, value, before, after)| {
            // A word that touches the label would be part of it.
            let before = if operator.starts_with(['=', '!']) {
                before
            } else {
                " "
            };
            format!("{label}{before}{operator}{after}{value}")
        },
    );
    let values = vec((string(), blank()), 0..4);
    let set = (
        select(LABELS),
        select(&["in", "not in", "notin"]),
        values,
        blank(),
        any::<bool>(),
    )
        .prop_map(|(label, operator, values, blank, one_more)| {
            let values: Vec<_> = values
                .iter()
                .map(|(value, blank)| format!("{value}{blank}"))
                .collect();
            let comma = if one_more && !values.is_empty() {
                ","
            } else {
                ""
            };
            format!("{label} {operator}{blank}{{{}{comma}}}", values.join(","))
        });
    let has = (blank(), select(LABELS), blank())
        .prop_map(|(before, label, after)| format!("has({before}{label}{after})"));
    let word =
        (select(&["all(", "global("]), blank()).prop_map(|(word, blank)| format!("{word}{blank})"));
    prop_oneof![4 => comparison, 3 => set, 3 => has, 1 => word]
}

/// Selectors that are whole, but for blanks that Calico may not take for such.
fn whole() -> impl Strategy<Value = String> {
    let some = primary().prop_recursive(3, 12, 3, |inner| {
        let joined = |operator: &'static str| {
            (vec(inner.clone(), 1..4), blank(), blank()).prop_map(move |(parts, before, after)| {
                parts.join(&format!("{before}{operator}{after}"))
            })
        };
        let negated = (select(&["!", "! ", "!!", "! ! !"]), inner.clone());
        prop_oneof![
            2 => joined("&&"),
            2 => joined("||"),
            1 => negated.prop_map(|(not, inner)| format!("{not}{inner}")),
            1 => (blank(), inner.clone(), blank()).prop_map(|(before, inner, after)| format!("({before}{inner}{after})")),
        ]
    });
    prop_oneof![60 => some, 1 => blank().prop_map(str::to_owned)]
}

/// Something is put in, taken out, cut off or put in place of something else.
fn damaged(whole: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let damage = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..4_u8,
        select(WORDS),
    );
    (whole, vec(damage, 1..3)).prop_map(|(mut text, damages)| {
        for (from, to, how, word) in damages {
            let places: Vec<usize> = text
                .char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .collect();
            let from = from.index(places.len());
            let to = (from + 1 + to.index(4)).min(places.len() - 1);
            let (from, to) = (places[from], places[to]);
            match how {
                0 => text.insert_str(from, word),
                1 => text.replace_range(from..to, ""),
                2 => text.truncate(from),
                _ => text.replace_range(from..to, word),
            }
        }
        text
    })
}

/// Words in any order.
fn heap() -> impl Strategy<Value = String> {
    vec(select(WORDS), 0..8).prop_map(|words| words.concat())
}
