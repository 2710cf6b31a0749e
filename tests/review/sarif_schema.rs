//! What a log in SARIF has to be: valid by the schema, and as code scanning reads it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The official schema, which a package of ours for tests has in its folder.
fn schema() -> Value {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = std::process::Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", &host])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|it| it["name"] == "serde-sarif");
    let manifest = package.unwrap()["manifest_path"].as_str().unwrap();
    let schema = Path::new(manifest).with_file_name("src/schema.json");
    let mut schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    assert!(
        schema["$id"]
            .as_str()
            .unwrap()
            .contains("sarif-schema-2.1.0")
    );
    // A bracket is left over in a pattern of the official schema, about a property that our logs do not have.
    for of in ["run", "toolComponent"] {
        let pattern = format!("/definitions/{of}/properties/language/pattern");
        let pattern = schema.pointer_mut(&pattern).unwrap();
        *pattern = pattern.as_str().unwrap().replace("]?$", "$").into();
    }
    schema
}

/// Says what of a log the schema does not take.
pub fn is_of_the_schema(log: &Value) {
    let options = jsonschema::options().should_validate_formats(true);
    let validator = options.build(&schema()).unwrap();
    let errors = validator.iter_errors(log);
    let errors: Vec<String> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

/// What GitHub's code scanning asks for beyond the schema (GitHub Docs, "SARIF support for code scanning").
pub fn code_scanning_takes(log: &Value) {
    let runs = log["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    // The category is all before the last slash.
    let id = run["automationDetails"]["id"].as_str().unwrap();
    assert!(id.ends_with('/'), "{id}");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.len() <= 25_000);
    for rule in rules {
        for text in ["shortDescription", "fullDescription"] {
            let text = rule[text]["text"].as_str().unwrap();
            assert!((1..=1024).contains(&text.chars().count()), "{text}");
        }
        for text in ["text", "markdown"] {
            assert!(!rule["help"][text].as_str().unwrap().is_empty(), "{rule}");
        }
        assert!(rule["properties"]["tags"].as_array().unwrap().len() <= 20);
        let level = rule["defaultConfiguration"]["level"].as_str().unwrap();
        assert!(["none", "note", "warning", "error"].contains(&level));
        let severity = &rule["properties"]["security-severity"];
        let score = severity.as_str().map(|it| it.parse::<f64>().unwrap());
        assert!(score.is_none_or(|it| (0.0..=10.0).contains(&it)), "{rule}");
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() <= 25_000);
    let mut fingerprints = BTreeSet::new();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let fingerprint = &result["partialFingerprints"]["primaryLocationLineHash"];
        // A hash, and which of those with the same one it is.
        let (_, nth) = fingerprint.as_str().unwrap().rsplit_once(':').unwrap();
        assert!(nth.parse::<u32>().unwrap() >= 1, "{result}");
        assert!(fingerprints.insert(fingerprint.to_string()), "{result}");
        assert_eq!(result["locations"].as_array().unwrap().len(), 1);
        let physical = &result["locations"][0]["physicalLocation"];
        // Below the root of the repository, whatever folder it lies in on the machine.
        let artifact = &physical["artifactLocation"];
        let uri = artifact["uri"].as_str().unwrap();
        assert!(
            !uri.starts_with('/') && !uri.contains(':') && !uri.contains(".."),
            "{uri}"
        );
        assert_eq!(artifact["uriBaseId"], "%SRCROOT%");
        let region = &physical["region"];
        let number = |field: &str| region[field].as_u64().unwrap();
        assert!(number("startLine") >= 1 && number("endLine") >= number("startLine"));
        assert!(number("startColumn") >= 1);
        if region["endColumn"].is_u64() {
            assert!(number("endColumn") > number("startColumn"), "{region}");
        }
    }
}
