//! What is suggested for several findings can be put in together.

use std::collections::BTreeMap;

use super::command::*;

/// A policy that lets pods of a namespace reach a range on these ports.
fn to_partner(name: &str, namespace: &str, ports: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  selector: all()\n  types: [Egress]\n  egress:\n  - action: Allow\n    protocol: TCP\n    \
         destination: {{nets: [198.51.100.0/24], ports: [{ports}]}}\n"
    )
}

/// The crossings that are suggested for landing zone application2: contents by name.
fn suggested(ran: &Ran) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in ran.json()["findings"].as_array().unwrap() {
        let text = finding["suggestion"].as_str().unwrap();
        let (_, entry) = text.split_once("network: {egress: [{name: ").unwrap();
        let (name, content) = entry.split_once(", ").unwrap();
        let contents = all.entry(name.to_owned()).or_default();
        contents.push(content.to_owned());
    }
    all
}

#[test]
fn a_name_stands_for_one_crossing() {
    let policies = [
        to_partner("a", "application2-ns1", "443"),
        to_partner("b", "application2-ns2", "22"),
        // The same as the first.
        to_partner("c", "application2-ns1", "443"),
    ];
    let text = policies.join("---\n");
    let files = [("z.yaml", ZONES), ("p.yaml", text.as_str())];
    let ran = review(&files, &["-f", ".", "-o", "json"]);
    let all = suggested(&ran);
    let counts: Vec<usize> = all.values().map(Vec::len).collect();
    assert_eq!(counts, [2, 1], "{all:#?}");
    for (name, contents) in &all {
        assert!(contents.iter().all(|it| *it == contents[0]), "{all:#?}");
        assert!(name.starts_with("to-198-51-100-0-24"), "{name}");
    }
    // The first is called as it is when it is alone.
    let alone = [("z.yaml", ZONES), ("p.yaml", policies[1].as_str())];
    let alone = suggested(&review(&alone, &["-f", ".", "-o", "json"]));
    assert!(alone.contains_key("to-198-51-100-0-24"), "{alone:#?}");
}
