use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::*;
use crate::domain::is_label_value;

fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

/// What is found, as text; `-` where nothing is.
fn found(texts: &[&str]) -> String {
    let selectors: Vec<_> = texts.iter().map(|text| selector(text)).collect();
    match example(&selectors).unwrap() {
        None => "-".to_owned(),
        Some(labels) => {
            let labels = labels
                .iter()
                .map(|(label, value)| format!("{label}={value}"));
            labels.collect::<Vec<_>>().join(",")
        }
    }
}

#[rstest]
#[case::nothing_is_asked(&[], "")]
#[case(&["all()"], "")]
#[case(&["!all()"], "-")]
#[case(&["has(a)"], "a=")]
#[case::missing_is_enough(&["a != 'x'", "b not in {'y'}", "!has(c)", "!(d starts with 'z')"], "")]
#[case(&["a == 'x'", "a != 'x'"], "-")]
#[case(&["a in {'x','y'}", "a != 'x'"], "a=y")]
#[case(&["a in {'x','y'}", "a not in {'x','y'}"], "-")]
#[case(&["a in {}"], "-")]
#[case(&["a == 'x'", "!has(a)"], "-")]
#[case(&["has(a)", "!has(a)"], "-")]
#[case(&["a != 'x'", "has(a)"], "a=")]
#[case(&["a == 'x' || b == 'y'", "a != 'x'"], "b=y")]
#[case(&["a == 'x' || b == 'y'", "a != 'x'", "b != 'y'"], "-")]
#[case(&["!(a == 'x' || b == 'y') && has(a)"], "a=")]
#[case(&["!(a == 'x' && b == 'y')", "a == 'x'"], "a=x")]
#[case::several_parts(&["a starts with 'ab'", "a ends with 'bc'", "a != 'abc'"], "a=abbc")]
#[case(&["a starts with 'ab'", "a starts with 'ac'"], "-")]
#[case(&["a starts with 'ab'", "a starts with 'abc'", "!(a contains 'd')"], "a=abc")]
#[case(&["a contains 'x'", "!(a contains 'x')"], "-")]
#[case::they_overlap(&["a contains 'aba'", "a contains 'bab'"], "a=abab")]
#[case::a_value_does_not_end_in_a_dot(&["a ends with '.'"], "-")]
#[case(&["a contains '.'"], "a=a.a")]
#[case::nor_is_it_that_long(&["a contains 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", "a contains 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'"], "-")]
#[case(&["a == 'ü'"], "-")]
#[case(&["a == ' x'"], "-")]
#[case(&["a contains 'ü'"], "-")]
#[case(&["!(a contains 'ü')", "has(a)"], "a=")]
#[case(&["a not in {'ü'}", "has(a)"], "a=")]
#[case::no_such_label(&["has(-a)"], "-")]
#[case(&["a/b/c == 'x'"], "-")]
#[case(&["a/b/c != 'x'", "!has(-a)"], "")]
#[case::labels_of_namespaces(&["pcns.example.com/a == 'x'", "pcsa.b == 'y'"], "pcns.example.com/a=x,pcsa.b=y")]
#[case(&["pcns./a == 'x'"], "-")]
#[case::every_value_is_forbidden(&["has(a)", "a contains ''", "!(a starts with '')"], "-")]
#[case(&["has(a)", "!(a contains '')"], "-")]
#[case::global_is_everything(&["global()", "!has(a)"], "")]
fn labels_are_found_where_there_are_any(#[case] texts: &[&str], #[case] expected: &str) {
    assert_eq!(found(texts), expected);
}

/// A boundary as seed 002 draws it: the application's code must be named, and everything else lets others in.
#[rstest]
#[case("applicationcode == 'shop'", "-")]
#[case("applicationcode == 'shop' && zone == 'web'", "-")]
#[case("applicationcode == 'shop' || zone == 'web'", "zone=web")]
#[case("applicationcode in {'shop','orders'}", "applicationcode=orders")]
#[case("applicationcode starts with 'shop'", "applicationcode=shopa")]
#[case("!(applicationcode != 'shop')", "-")]
#[case("zone == 'web'", "zone=web")]
#[case("has(applicationcode)", "applicationcode=")]
fn who_is_outside_and_gets_in(#[case] peers: &str, #[case] expected: &str) {
    assert_eq!(found(&[peers, "applicationcode != 'shop'"]), expected);
}

#[test]
fn what_nobody_writes_is_given_up_in_time() {
    // Each is either of three values, and no two may be the same: there are too many of them.
    let pigeons = 12;
    let mut parts = Vec::new();
    for one in 0..pigeons {
        parts.push(format!("(p{one} == 'x' || q{one} == 'x' || r{one} == 'x')"));
        for other in 0..one {
            for hole in ["p", "q", "r"] {
                parts.push(format!("!({hole}{one} == 'x' && {hole}{other} == 'x')"));
            }
        }
    }
    let hostile = selector(&parts.join(" && "));
    assert!(matches!(example(&[hostile]), Ok(None) | Err(TooComplex)));

    let texts: Vec<_> = (0..200)
        .map(|number| format!("a contains 'x{number}y'"))
        .collect();
    let hostile = selector(&texts.join(" && "));
    assert!(matches!(example(&[hostile]), Ok(None) | Err(TooComplex)));
    // These have one value, which is long to find.
    let texts: Vec<_> = (0..12)
        .map(|number| format!("a contains '{number}z{number}'"))
        .collect();
    let hostile = selector(&texts.join(" && "));
    match example(std::slice::from_ref(&hostile)) {
        Ok(Some(labels)) => assert!(hostile.matches(&labels)),
        found => assert_eq!(found, Err(TooComplex)),
    }
}

fn any_selector() -> impl Strategy<Value = Selector> {
    let label = || select(&["a", "b"]).prop_map(str::to_owned);
    let value = || select(&["", "x", "y", "xy", "yx", "x.y", ".", "xx"]).prop_map(str::to_owned);
    let set = || proptest::collection::btree_set(value(), 0..3);
    let comparison = prop_oneof![
        value().prop_map(Comparison::Equal),
        value().prop_map(Comparison::NotEqual),
        value().prop_map(Comparison::Contains),
        value().prop_map(Comparison::StartsWith),
        value().prop_map(Comparison::EndsWith),
        set().prop_map(Comparison::In),
        set().prop_map(Comparison::NotIn),
    ];
    let leaf = prop_oneof![
        1 => label().prop_map(Selector::Has),
        6 => (label(), comparison).prop_map(|(label, comparison)| Selector::Compare(label, comparison)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let several = || proptest::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            2 => several().prop_map(Selector::and),
            1 => several().prop_map(Selector::Or),
            1 => inner.clone().prop_map(Selector::negate),
        ]
    })
}

/// Every value of up to three of the characters in question, and that there is none.
fn universe() -> Vec<Option<String>> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..3 {
        last = last
            .iter()
            .flat_map(|text| ["x", "y", ".", "z"].map(|more| format!("{text}{more}")))
            .collect();
        all.extend(last.clone());
    }
    let all = all.into_iter().filter(|value| is_label_value(value));
    std::iter::once(None).chain(all.map(Some)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is found is selected; and where nothing is found, nothing of a small world is.
    #[test]
    fn found_or_not_there_at_all(selectors in proptest::collection::vec(any_selector(), 1..4)) {
        match example(&selectors) {
            Ok(Some(labels)) => {
                for selector in &selectors {
                    prop_assert!(selector.matches(&labels), "{selector} does not select {labels:?}");
                }
                for value in labels.values() {
                    prop_assert!(is_label_value(value), "{value:?}");
                }
            }
            Ok(None) => {
                let universe = universe();
                for a in &universe {
                    for b in &universe {
                        let labels: BTreeMap<String, String> = [("a", a), ("b", b)]
                            .into_iter()
                            .filter_map(|(label, value)| Some((label.to_owned(), value.clone()?)))
                            .collect();
                        let all = selectors.iter().all(|selector| selector.matches(&labels));
                        prop_assert!(!all, "all select {labels:?}");
                    }
                }
            }
            Err(TooComplex) => prop_assert!(false, "too complex"),
        }
    }
}
