//! The step of the pipelines in `config/ci/` that tells a pull request, run as it is: it writes one comment, and that anew each
//! time. The forges are programs that keep comments in a file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};

const STEP: &str = "Tell the pull request";
const MARKER: &str = "<!-- kubectl-landingzone-review -->";

const GH: &str = r#"#!/usr/bin/env bash
set -euo pipefail
[[ $GH_TOKEN == secret && $1 == api ]]
keep() { jq "$@" "$STORE" >"$STORE.new"; mv "$STORE.new" "$STORE"; }
if [[ $2 == --paginate ]]; then
  [[ $3 == repos/acme/network/issues/5/comments && $4 == --jq ]]
  jq --raw-output "$5" "$STORE"
  exit
fi
[[ $2 == --method && $5 == --field && $6 == body=@* && $7 == --silent ]]
case "$3 $4" in
  "POST repos/acme/network/issues/5/comments")
    keep --rawfile body "${6#body=@}" '. + [{id: (length + 1), user: {type: "Bot"}, body: $body}]' ;;
  "PATCH repos/acme/network/issues/comments/"*)
    keep --rawfile body "${6#body=@}" --argjson id "${4##*/}" 'map(if .id == $id then .body = $body else . end)' ;;
  *) exit 1 ;;
esac
"#;

const CURL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
for url; do :; done
[[ " $* " == *" Authorization: Bearer secret "* ]]
threads=https://forge/acme/project/_apis/git/repositories/network/pullRequests/5/threads
keep() { jq "$@" "$STORE" >"$STORE.new"; mv "$STORE.new" "$STORE"; }
case " $* " in
  *" --request POST "*)
    [[ ${url%\?*} == "$threads" ]]
    keep --slurpfile new /dev/stdin '.value += [$new[0] + {id: (.value | length + 1), comments: ($new[0].comments | map(. + {id: 1}))}]' ;;
  *" --request PATCH "*)
    at=${url%\?*}
    at=${at#"$threads/"}
    keep --slurpfile new /dev/stdin --argjson thread "${at%%/*}" --argjson comment "${at##*/}" '
      .value |= map(if .id == $thread then .comments |= map(if .id == $comment then . + $new[0] else . end) else . end)' ;;
  *)
    [[ ${url%\?*} == "$threads" ]]
    cat "$STORE" ;;
esac
"#;

/// The step of a pipeline, as it is written.
fn step(file: &str, pointer: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config/ci")
        .join(file);
    let pipeline: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut all = pipeline
        .pointer(pointer)
        .unwrap()
        .as_array()
        .unwrap()
        .iter();
    let step = all.find(|it| it[name] == STEP).unwrap();
    let script = step["run"].as_str().or(step["bash"].as_str());
    script.unwrap().to_owned()
}

/// All that people said, and ours, after several runs.
#[rstest]
#[case::github(
    "github-actions.yaml", "/jobs/review/steps", "name",
    json!([{"id": 1, "user": {"type": "User"}, "body": format!("what is {MARKER}?")}]), "/1/body", "/0/body"
)]
#[case::azure(
    "azure-pipelines.yaml", "/stages/0/jobs/0/steps", "displayName",
    json!({"value": [
        {"id": 1, "comments": [{"id": 1, "content": "hello"}, {"id": 2}]},
        {"id": 2, "isDeleted": true, "comments": [{"id": 1, "content": MARKER}]},
    ]}), "/value/2/comments/0/content", "/value/0/comments/0/content"
)]
fn a_pull_request_has_one_comment_that_is_written_anew(
    #[case] file: &str,
    #[case] pointer: &str,
    #[case] name: &str,
    #[case] before: Value,
    #[case] ours: &str,
    #[case] theirs: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, text) in [("gh", GH), ("curl", CURL)] {
        fs::write(bin.join(name), text).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let store = folder.path().join("store.json");
    fs::write(&store, before.to_string()).unwrap();
    let script = step(file, pointer, name);
    let count = |value: &Value| {
        value["value"]
            .as_array()
            .or(value.as_array())
            .unwrap()
            .len()
    };
    for text in ["first", "second with \"quotes\" and $(date)", "third"] {
        let review = format!("{text}\n\n{MARKER}\n");
        fs::write(folder.path().join("review.md"), &review).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let ran = Command::new("bash")
            .arg("-c")
            .arg(&script)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", path)
            .env("STORE", &store)
            .envs([
                ("GH_TOKEN", "secret"),
                ("COMMENTS", "repos/acme/network/issues/5/comments"),
                ("COMMENT", "repos/acme/network/issues/comments"),
                ("SYSTEM_ACCESSTOKEN", "secret"),
                ("SYSTEM_COLLECTIONURI", "https://forge/acme/"),
                ("SYSTEM_TEAMPROJECTID", "project"),
                ("SYSTEM_TEAMPROJECT", "project"),
                ("BUILD_REPOSITORY_ID", "network"),
                ("SYSTEM_PULLREQUEST_PULLREQUESTID", "5"),
            ])
            .env("RUNNER_TEMP", folder.path())
            .env("AGENT_TEMPDIRECTORY", folder.path())
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        let now: Value = serde_json::from_slice(&fs::read(&store).unwrap()).unwrap();
        assert_eq!(count(&now), count(&before) + 1, "{now}");
        assert_eq!(now.pointer(ours).unwrap(), &json!(review));
        assert_eq!(now.pointer(theirs), before.pointer(theirs));
    }
}
