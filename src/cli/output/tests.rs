use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cli::document;

#[test]
fn keys_stand_in_the_order_of_kubernetes_at_the_top() {
    let object = json!({
        "aggregationRule": {}, "spec": {"kind": 1, "a": 2}, "metadata": {"name": "x"},
        "kind": "K", "apiVersion": "v1",
    });
    assert_eq!(
        yaml(&[object]),
        "---\napiVersion: v1\nkind: K\nmetadata:\n  name: x\nspec:\n  a: 2\n  kind: 1\n\
         aggregationRule: {}\n"
    );
}

#[test]
fn lists_stand_below_their_key_and_empty_ones_behind_it() {
    let object = json!({"spec": {"empty": [], "rules": [{"a": 1, "b": [true, "x"]}, "z", [1]]}});
    assert_eq!(
        yaml(&[object]),
        "---\nspec:\n  empty: []\n  rules:\n  - a: 1\n    b:\n    - true\n    - x\n  - z\n  - [1]\n"
    );
}

#[test]
fn text_that_some_reader_takes_for_something_else_is_quoted() {
    for text in [
        "",
        "~",
        "null",
        "Yes",
        "on",
        "N",
        "0x1f",
        "012",
        "1_000",
        "1:30",
        "1e3",
        ".inf",
        "=",
        "<<",
        "2020-01-01",
        "a: b",
        "a #b",
        "a:",
        " a",
        "a ",
        "- a",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "a\nb",
        "a\u{85}b",
        "\u{feff}",
        "ä",
        "---",
        "...",
        "{a",
        "[a",
    ] {
        assert!(!is_plain(text), "{text:?}");
    }
    for text in [
        "frontend",
        "crd.projectcalico.org/v1",
        "8Gi",
        "projectcalico.org/name in { 'a', 'b' }",
        "all()",
        "zone == 'a' && b != 'c'",
    ] {
        assert_eq!(is_plain(text), text != "8Gi", "{text:?}");
    }
}

#[test]
fn names_are_printed_as_kubectl_prints_them() {
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}),
        json!({"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "t"}}),
    ];
    assert_eq!(
        print(&objects, OutputFormat::Name),
        "namespace/a\ntier.projectcalico.org/t\n"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[yn~0-9ox.:_ #'\"\\-]{0,5}",
        "(yes|No|on|null)"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same_objects(
        spec in any_json(), text in any::<String>()
    ) {
        let object = json!({"kind": text, "spec": spec});
        let printed = yaml(&[object.clone(), object.clone()]);
        let stream = document::parse(&printed);
        prop_assert_eq!(&stream.syntax, &[]);
        prop_assert_eq!(stream.documents.len(), 2);
        for document in stream.documents {
            prop_assert_eq!(&document.flaws, &[], "{}", &printed);
            prop_assert_eq!(document.root.to_json(), object.clone(), "{}", &printed);
        }
    }
}
