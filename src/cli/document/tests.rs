use std::fmt::Write as _;

use serde_json::json;

use super::*;

fn one(text: &str) -> Document {
    let mut stream = parse(text);
    assert_eq!(stream.syntax, [], "{text:?}");
    assert_eq!(stream.documents.len(), 1, "{text:?}");
    stream.documents.remove(0)
}

fn flaws(text: &str) -> Vec<String> {
    one(text)
        .flaws
        .iter()
        .map(|flaw| format!("{}: {}", flaw.at, flaw.message()))
        .collect()
}

fn at(text: &str, path: &FieldPath) -> String {
    one(text).root.locate(path).to_string()
}

fn path(keys: &[&str]) -> FieldPath {
    keys.iter().fold(FieldPath::default(), |path, key| {
        key.parse()
            .map_or_else(|_| path.key(*key), |i| path.index(i))
    })
}

#[test]
fn words_are_pointed_at_and_everything_else_at_its_key() {
    let text =
        "spec:\n  # comment\n  code:   x1\n  namespaces:\n  - name: a\n    quota: {pods: 5}\n";
    assert_eq!(at(text, &path(&["spec"])), "1:1");
    assert_eq!(at(text, &path(&["spec", "code"])), "3:11");
    assert_eq!(at(text, &path(&["spec", "namespaces"])), "4:3");
    assert_eq!(at(text, &path(&["spec", "namespaces", "0"])), "5:5");
    assert_eq!(
        at(text, &path(&["spec", "namespaces", "0", "quota", "pods"])),
        "6:19"
    );
}

#[test]
fn a_missing_field_is_pointed_at_by_its_nearest_ancestor() {
    let text = "metadata: {}\nspec:\n  namespaces:\n  - name: a\n";
    assert_eq!(at(text, &path(&["spec", "namespaces", "0", "zone"])), "4:5");
    assert_eq!(at(text, &path(&["spec", "namespaces", "7", "zone"])), "3:3");
    assert_eq!(at(text, &path(&["spec", "network", "flows"])), "2:1");
    assert_eq!(at(text, &path(&["status"])), "1:1");
}

#[test]
fn an_empty_value_is_pointed_at_by_its_key() {
    let text = "spec:\n  quota:\n\n\n  labels: {}\n";
    assert_eq!(at(text, &path(&["spec", "quota"])), "2:3");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_move_nothing() {
    let text = "\u{feff}a: 1\r\nb:\r\n  c: x\r\n";
    assert_eq!(one(text).root.to_json(), json!({"a": 1, "b": {"c": "x"}}));
    assert_eq!(at(text, &path(&["b", "c"])), "3:6");
    assert_eq!(at(text, &path(&["a"])), "1:4");
}

#[test]
fn columns_count_characters() {
    assert_eq!(at("{ä: ö, b: 1}", &path(&["b"])), "1:11");
}

#[test]
fn json_is_read_with_tabs_and_escapes() {
    let text = "{\n\t\"a\": [1, \"x\\u00e9\\/\"],\n\t\"b\": null\n}\n";
    assert_eq!(
        one(text).root.to_json(),
        json!({"a": [1, "xé/"], "b": null})
    );
}

#[test]
fn words_are_what_kubernetes_reads() {
    let text = "[~, null, true, False, 8, -3, 0, +1, 1.5, 1e3, 0.5, 500m, 8Gi, 1.2.3, 2020-01-01, \
                10.0.0.0/16, 'yes', \"012\", .5, -a, 1:30, !!str 5, 4711abc]";
    assert_eq!(
        one(text).root.to_json(),
        json!([
            null,
            null,
            true,
            false,
            8,
            -3,
            0,
            1,
            1.5,
            1000.0,
            0.5,
            "500m",
            "8Gi",
            "1.2.3",
            "2020-01-01",
            "10.0.0.0/16",
            "yes",
            "012",
            0.5,
            "-a",
            "1:30",
            "5",
            "4711abc"
        ])
    );
    assert_eq!(flaws(text), Vec::<String>::new());
}

#[test]
fn words_that_readers_disagree_about_are_flaws() {
    for word in [
        "yes", "No", "on", "OFF", "y", "012", "0o14", "0x1F", "0b11", "1_000", ".inf", "-.INF",
        ".nan",
    ] {
        let flaws = flaws(&format!("a:\n- {word}"));
        assert_eq!(flaws.len(), 1, "{word}: {flaws:?}");
        assert!(
            flaws[0].starts_with(&format!("2:3: a[0]: \"{word}\": ")),
            "{flaws:?}"
        );
    }
    assert_eq!(flaws("labels: {on: x}").len(), 1);
}

#[test]
fn a_key_that_is_written_twice_is_a_flaw_and_the_first_counts() {
    let text = "a: 1\nb:\n  c: 1\n  \"c\": 2\n";
    assert_eq!(
        flaws(text),
        ["4:3: b.c: this key is written twice, first in line 3: keep one of them"]
    );
    assert_eq!(one(text).root.to_json(), json!({"a": 1, "b": {"c": 1}}));
}

#[test]
fn keys_that_are_no_text_are_flaws() {
    assert_eq!(flaws("? [a]\n: 1"), ["1:3: a key must be text"]);
    assert_eq!(flaws("~: 1"), ["1:1: a key must be text"]);
}

#[test]
fn aliases_and_merges_are_written_out() {
    let text = "base: &b {x: 1, v: 2}\nall: *b\nown:\n  <<: *b\n  v: 3\nboth: {<<: [{z: 1}, *b]}\n";
    assert_eq!(
        one(text).root.to_json(),
        json!({
            "base": {"x": 1, "v": 2}, "all": {"x": 1, "v": 2}, "own": {"x": 1, "v": 3},
            "both": {"x": 1, "v": 2, "z": 1}
        })
    );
    assert_eq!(flaws(text), Vec::<String>::new());
    assert_eq!(at(text, &path(&["all", "v"])), "1:20");
}

#[test]
fn a_million_laughs_end_as_a_flaw() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        writeln!(text, "a{level}: &a{level} [{below}]").unwrap();
    }
    let flaws = flaws(&text);
    assert!(
        flaws[0].contains("stand for more than 100000 values"),
        "{flaws:?}"
    );
}

#[test]
fn depth_is_bounded_through_aliases_too() {
    let mut text = String::from("a0: &a0 [x]\n");
    for level in 1..50 {
        let open = "[".repeat(100);
        let close = "]".repeat(100);
        writeln!(text, "a{level}: &a{level} {open}*a{}{close}", level - 1).unwrap();
    }
    let flaws = flaws(&text);
    assert!(flaws[0].contains("512 levels"), "{flaws:?}");
    let text = "[".repeat(100_000);
    assert_eq!(parse(&text).syntax.len(), 1);
    let text = "- ".repeat(100_000);
    assert_eq!(parse(&text).syntax.len(), 1);
}

#[test]
fn an_alias_inside_of_what_it_stands_for_is_a_flaw() {
    let flaws = flaws("a: &a\n  b: *a\n");
    assert_eq!(
        flaws,
        ["2:6: a.b: an alias cannot stand inside of what it stands for"]
    );
}

#[test]
fn tags_of_other_tools_are_flaws() {
    let flaws = flaws("a: !Ref x\nb: !!map {}\nc: !vault [1]\n");
    assert_eq!(flaws.len(), 2, "{flaws:?}");
    assert!(
        flaws[0].starts_with("1:9: a: \"!Ref\": tags other"),
        "{flaws:?}"
    );
}

#[test]
fn empty_documents_are_left_out() {
    let stream = parse("---\n# nothing\n---\n~\n---\na: 1\n---\n...\n");
    assert_eq!(stream.syntax, []);
    assert_eq!(stream.documents.len(), 1);
    assert_eq!(parse("").documents, []);
}

#[test]
fn after_a_syntax_error_the_next_documents_are_read_with_their_lines() {
    let stream = parse("a: 1\n---\nb: c: d\n---\ne: [1\n---\nf: yes\n");
    let lines: Vec<usize> = stream.syntax.iter().map(|flaw| flaw.at.line).collect();
    assert_eq!(lines.len(), 2, "{:?}", stream.syntax);
    assert_eq!(stream.syntax[0].at.to_string(), "3:5");
    assert_eq!(stream.documents.len(), 2);
    assert_eq!(stream.documents[1].flaws[0].at.to_string(), "7:4");
}

#[test]
fn a_long_header_of_comments_is_read() {
    let text = "# licence\n".repeat(500) + "a: 1\n";
    assert_eq!(one(&text).root.to_json(), json!({"a": 1}));
}

#[test]
fn an_unknown_alias_is_a_syntax_error_with_its_place() {
    let stream = parse("a:\n  b: *missing\n");
    assert_eq!(stream.syntax[0].at.to_string(), "2:6");
}
