use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::*;

/// What a text means, told by the shortest text that means the same.
#[rstest]
#[case::nothing_is_everything("", "all()")]
#[case::blanks_are_nothing(" \t ", "all()")]
#[case("all()", "all()")]
#[case("all( )", "all()")]
#[case("global()", "global()")]
#[case(" has(\tzone ) ", "has(zone)")]
#[case("zone=='web'", "zone == 'web'")]
#[case("zone == \"web\"", "zone == 'web'")]
#[case::a_quote_in_the_other_quotes("zone == \"o'hara\"", "zone == \"o'hara\"")]
#[case("zone != 'web'", "zone != 'web'")]
#[case("zone contains 'e'", "zone contains 'e'")]
#[case("zone containse", "")]
#[case("zone starts with 'w'", "zone starts with 'w'")]
#[case::words_may_touch("zone startswith'w'", "zone starts with 'w'")]
#[case("zone ends \t with 'b'", "zone ends with 'b'")]
#[case("zone in {}", "zone in {}")]
#[case("zone in{'b','a','b'}", "zone in {'a','b'}")]
#[case::a_comma_too_many("zone in {'a',}", "zone in {'a'}")]
#[case("zone not in {'a'}", "zone not in {'a'}")]
#[case("zone notin {'a'}", "zone not in {'a'}")]
#[case::and_binds_tighter("has(a)||has(b)&&has(c)", "has(a) || has(b) && has(c)")]
#[case("(has(a) || has(b)) && has(c)", "(has(a) || has(b)) && has(c)")]
#[case("((has(a)) && (has(b) && has(c)))", "has(a) && has(b) && has(c)")]
#[case::not_binds_to_one_operation("!a == 'b' && has(c)", "!a == 'b' && has(c)")]
#[case("!(a == 'b' && has(c))", "!(a == 'b' && has(c))")]
#[case("!!has(a)", "has(a)")]
#[case("! ! !has(a)", "!has(a)")]
#[case("!(!has(a))", "has(a)")]
#[case::labels_may_be_words("has == 'all'", "has == 'all'")]
#[case("in in {'in'}", "in in {'in'}")]
#[case("not not in {'not'}", "not not in {'not'}")]
#[case("all == 'a' && global != 'b'", "all == 'a' && global != 'b'")]
#[case("-._/9 == ''", "-._/9 == ''")]
#[case::anything_between_quotes("a == 'ü && {\n'", "a == 'ü && {\n'")]
fn a_selector_means(#[case] text: &str, #[case] meaning: &str) {
    match text.parse::<Selector>() {
        Ok(selector) => assert_eq!(selector.to_string(), meaning),
        Err(error) => assert_eq!(meaning, "", "{error}"),
    }
}

#[rstest]
#[case(
    "zone",
    4,
    "'==', '!=', 'contains', 'starts with', 'ends with', 'in' or 'not in'"
)]
#[case(
    "zone = 'a'",
    5,
    "'==', '!=', 'contains', 'starts with', 'ends with', 'in' or 'not in'"
)]
#[case("zone == web", 8, "a string in quotes")]
#[case("zone == 'web", 12, "the closing quote")]
#[case("zone == 'a' has(b)", 12, "'&&', '||' or the end")]
#[case("zone == 'a' & has(b)", 12, "'&&', '||' or the end")]
#[case(
    "zone == 'a' &&",
    14,
    "a label, 'has(…)', 'all()', 'global()', '!' or '('"
)]
#[case("|| has(a)", 0, "a label, 'has(…)', 'all()', 'global()', '!' or '('")]
#[case("(has(a)", 7, "'&&', '||' or ')'")]
#[case("has(a))", 6, "'&&', '||' or the end")]
#[case("()", 1, "a label, 'has(…)', 'all()', 'global()', '!' or '('")]
#[case("has()", 4, "a label")]
#[case("has(a b)", 6, "')'")]
#[case::the_parenthesis_belongs_to_the_word(
    "has (a)",
    4,
    "'==', '!=', 'contains', 'starts with', 'ends with', 'in' or 'not in'"
)]
#[case("all(a)", 4, "')'")]
#[case("zone in 'a'", 8, "'{'")]
#[case("zone in {a}", 9, "a string in quotes or '}'")]
#[case("zone in {,}", 9, "a string in quotes or '}'")]
#[case("zone in {'a' 'b'}", 13, "',' or '}'")]
#[case("zone in {'a'", 12, "',' or '}'")]
#[case(
    "zone not {'a'}",
    5,
    "'==', '!=', 'contains', 'starts with', 'ends with', 'in' or 'not in'"
)]
#[case::a_newline_is_no_blank("has(a)\n", 6, "'&&', '||' or the end")]
#[case("\nhas(a)", 0, "a label, 'has(…)', 'all()', 'global()', '!' or '('")]
#[case(
    "zöne == 'a'",
    1,
    "'==', '!=', 'contains', 'starts with', 'ends with', 'in' or 'not in'"
)]
#[case("a != != 'b'", 5, "a string in quotes")]
#[case("!= 'b'", 0, "a label, 'has(…)', 'all()', 'global()', '!' or '('")]
fn a_mistake_is_told_with_its_place(
    #[case] text: &str,
    #[case] position: usize,
    #[case] expected: &str,
) {
    let error = Selector::validate(text).unwrap_err();
    assert_eq!((error.position, error.expected), (position, expected));
}

#[test]
fn an_error_reads_like_a_sentence() {
    let error = Selector::validate("has(a").unwrap_err();
    assert_eq!(error.to_string(), "at byte 5: expected ')'");
}

#[test]
fn labels_end_at_512_characters() {
    let label = "a".repeat(512);
    assert!(Selector::validate(&format!("has({label})")).is_ok());
    assert!(Selector::validate(&format!("has({label}a)")).is_err());
    assert!(Selector::validate(&format!("{label}a == 'b'")).is_err());
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    let nested = |depth: usize| format!("{}has(a){}", "(".repeat(depth), ")".repeat(depth));
    assert!(Selector::validate(&nested(200)).is_ok());
    assert!(Selector::validate(&nested(201)).is_err());
    assert!(Selector::validate(&nested(1_000_000)).is_err());
    assert!(Selector::validate(&format!("{}has(a)", "!".repeat(1_000_001))).is_ok());
}

#[test]
fn global_is_found_wherever_it_stands() {
    for (text, found) in [
        ("global()", true),
        ("has(a) && !(has(b) || global())", true),
        ("global == 'a'", false),
        ("a == 'global()'", false),
    ] {
        let selector: Selector = text.parse().unwrap();
        assert_eq!(selector.mentions_global(), found, "{text}");
    }
}

fn any_selector() -> impl Strategy<Value = Selector> {
    let label = || "[a-zA-Z0-9_./-]{1,12}";
    let value = || prop_oneof!["[^'\"]{0,6}", "[^']{0,6}", "[^\"]{0,6}"];
    let set = || proptest::collection::btree_set(value(), 0..4);
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
        Just(Selector::All),
        Just(Selector::Global),
        label().prop_map(Selector::Has),
        (label(), comparison).prop_map(|(label, comparison)| Selector::Compare(label, comparison)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let several = || proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            several().prop_map(Selector::and),
            several().prop_map(Selector::or),
            inner.clone().prop_map(Selector::negate),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(selector in any_selector()) {
        prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,40}") {
        let _ = Selector::validate(&text);
    }

    #[test]
    fn nor_does_any_heap_of_its_own_words(
        words in proptest::collection::vec(select(&[
            "has(", "all(", "global(", ")", "(", "!", "!=", "==", "&&", "||", "in", "not", "{", "}",
            ",", "'a'", "\"", "'", "ü", "starts", "with", " ", "\n", "a",
        ]), 0..14),
    ) {
        if let Ok(selector) = words.concat().parse::<Selector>() {
            prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
        }
    }
}
