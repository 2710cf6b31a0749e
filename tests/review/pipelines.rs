//! The steps of the pipelines in `config/ci/`, run as they are in a repository with an origin: what they compare with. The
//! forges' answers are made by programs that filter a list of runs as the queries ask for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::base::{TO_PARTNER, zones};
use super::command::*;

/// Whose pipeline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forge {
    GitHub,
    AzureDevOps,
}
use Forge::{AzureDevOps, GitHub};

/// The steps that are run: what was there before, and the review itself.
const STEPS: [&str; 2] = ["Check out what was applied last", "Review"];

const GH: &str = r#"#!/usr/bin/env bash
set -euo pipefail
[[ $GH_TOKEN == secret && $1 == api && $3 == --jq ]]
case $2 in
  repos/acme/network/actions/runs/7) answer='{"workflow_id": 42}' ;;
  repos/acme/network/actions/workflows/42/runs\?*)
    answer=$(jq --arg query "&${2#*\?}" '
      def asks($name; $value): ($query | contains("&\($name)=") | not) or ($query + "&" | contains("&\($name)=\($value)&"));
      {workflow_runs: map(select(asks("branch"; .head_branch) and asks("event"; .event) and asks("status"; .conclusion)))}
    ' "$RUNS") ;;
  *) exit 1 ;;
esac
jq --raw-output "$4" <<<"$answer"
"#;

const CURL: &str = r#"#!/usr/bin/env bash
set -euo pipefail
for url; do :; done
[[ " $* " == *" Authorization: Bearer secret "* ]]
[[ $url == https://forge/acme/project/_apis/build/builds\?* ]]
jq --arg query "&${url#*\?}" '
  def asks($name; $value): ($query | contains("&\($name)=") | not) or ($query + "&" | contains("&\($name)=\($value)&"));
  {value: map(select(asks("definitions"; 3) and asks("branchName"; .sourceBranch) and asks("resultFilter"; .result)
    and (. as $build | ["applied", "other"] | all(. as $tag | ($query | contains("&tagFilters=\($tag)&") | not) or ($build.tags | index($tag) != null)))))
    | reverse}
' "$RUNS"
"#;

/// A repository with an origin, and what the forge knows of earlier runs, the oldest first.
struct Repository {
    forge: Forge,
    folder: TempDir,
    runs: Vec<Value>,
}

/// A run of the pipeline.
struct Run {
    commit: String,
    approval_required: bool,
}

impl Repository {
    fn new(forge: Forge) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Self {
            forge,
            folder,
            runs: Vec::new(),
        };
        let bin = repository.path("bin");
        fs::create_dir(&bin).unwrap();
        let plugin = assert_cmd::cargo::cargo_bin("kubectl-landingzone");
        let kubectl = format!(
            "#!/usr/bin/env bash\n[[ $1 == landingzone ]] && exec '{}' \"${{@:2}}\"\n",
            plugin.display()
        );
        for (name, text) in [("kubectl", kubectl.as_str()), ("gh", GH), ("curl", CURL)] {
            fs::write(bin.join(name), text).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        repository.git(
            ".",
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "origin",
            ],
        );
        repository.git(".", &["init", "--quiet", "--initial-branch=main", "desk"]);
        repository.git("desk", &["remote", "add", "origin", "../origin"]);
        repository
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .current_dir(self.path(folder))
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", self.folder.path());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "a");
            command.env(format!("GIT_{who}_EMAIL"), "a@example.com");
        }
        stdout(&command.output().unwrap())
    }

    /// Commits a file on whatever branch is checked out.
    fn commit(&self, name: &str, text: &str) -> String {
        let path = self.path("desk").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self.git("desk", &["add", "--all"]);
        self.git("desk", &["commit", "--quiet", "--message", name]);
        self.git("desk", &["rev-parse", "HEAD"])
    }

    fn push(&self) {
        self.git(
            "desk",
            &["push", "--quiet", "--force", "origin", "HEAD:main"],
        );
    }

    /// Runs the pipeline on what was pushed last.
    fn run(&self) -> Run {
        let commit = self.git("origin", &["rev-parse", "main"]);
        self.steps(&commit, false)
    }

    /// Runs the pipeline of a pull request from the branch that is checked out, as its merge with main.
    fn pull_request(&self) -> Run {
        let head = self.git("desk", &["rev-parse", "HEAD"]);
        self.git("desk", &["checkout", "--quiet", "--detach", "origin/main"]);
        self.git(
            "desk",
            &["merge", "--quiet", "--no-ff", "--message", "merge", &head],
        );
        let merge = self.git("desk", &["rev-parse", "HEAD"]);
        self.git(
            "desk",
            &[
                "push",
                "--quiet",
                "--force",
                "origin",
                "HEAD:refs/pull/1/merge",
            ],
        );
        self.steps(&merge, true)
    }

    fn steps(&self, commit: &str, is_pull_request: bool) -> Run {
        let workspace = tempfile::tempdir_in(self.folder.path()).unwrap();
        let source = workspace.path().join("source");
        let temporary = workspace.path().join("temporary");
        fs::create_dir(&temporary).unwrap();
        let source_name = source.display().to_string();
        // As the forges' own steps do it: all branches, and the commit without a branch.
        self.git(
            ".",
            &["clone", "--quiet", "--no-checkout", "origin", &source_name],
        );
        self.git(
            &source_name,
            &[
                "fetch",
                "--quiet",
                "origin",
                "+refs/pull/*:refs/remotes/pull/*",
            ],
        );
        self.git(&source_name, &["checkout", "--quiet", "--detach", commit]);
        fs::write(self.path("runs.json"), json!(self.runs).to_string()).unwrap();
        let output = temporary.join("output");
        let mut told = String::new();
        for step in steps(self.forge) {
            let mut command = Command::new("bash");
            command
                .arg("-c")
                .arg(step["run"].as_str().or(step["bash"].as_str()).unwrap())
                .current_dir(&source)
                .env_clear()
                .env(
                    "PATH",
                    format!(
                        "{}:{}",
                        self.path("bin").display(),
                        std::env::var("PATH").unwrap()
                    ),
                )
                .env("HOME", self.folder.path())
                .env("RUNS", self.path("runs.json"));
            for (name, value) in step["env"].as_object().into_iter().flatten() {
                let is_token = ["${{ github.token }}", "$(System.AccessToken)"]
                    .contains(&value.as_str().unwrap());
                assert!(is_token, "{name}: {value}");
                command.env(name, "secret");
            }
            match self.forge {
                GitHub => command.envs([
                    (
                        "GITHUB_EVENT_NAME",
                        if is_pull_request {
                            "pull_request_target"
                        } else {
                            "push"
                        },
                    ),
                    ("GITHUB_BASE_REF", if is_pull_request { "main" } else { "" }),
                    ("GITHUB_REF_NAME", "main"),
                    ("GITHUB_REPOSITORY", "acme/network"),
                    ("GITHUB_RUN_ID", "7"),
                ]),
                AzureDevOps => command.envs([
                    (
                        "BUILD_REASON",
                        if is_pull_request {
                            "PullRequest"
                        } else {
                            "BatchedCI"
                        },
                    ),
                    (
                        "BUILD_SOURCEBRANCH",
                        if is_pull_request {
                            "refs/pull/1/merge"
                        } else {
                            "refs/heads/main"
                        },
                    ),
                    (
                        "SYSTEM_PULLREQUEST_TARGETBRANCH",
                        if is_pull_request {
                            "refs/heads/main"
                        } else {
                            ""
                        },
                    ),
                    ("SYSTEM_COLLECTIONURI", "https://forge/acme/"),
                    ("SYSTEM_TEAMPROJECTID", "project"),
                    ("SYSTEM_DEFINITIONID", "3"),
                ]),
            };
            command
                .env("RUNNER_TEMP", &temporary)
                .env("GITHUB_OUTPUT", &output)
                .env("GITHUB_STEP_SUMMARY", temporary.join("summary"))
                .env("AGENT_TEMPDIRECTORY", &temporary)
                .env("BUILD_SOURCESDIRECTORY", &source);
            let ran = command.output().unwrap();
            assert!(
                ran.status.success(),
                "{}",
                String::from_utf8_lossy(&ran.stderr)
            );
            told.push_str(&String::from_utf8_lossy(&ran.stderr));
        }
        told.push_str(&fs::read_to_string(output).unwrap_or_default());
        let says = |value: bool| match self.forge {
            GitHub => format!("approvalRequired={value}\n"),
            AzureDevOps => {
                format!("##vso[task.setvariable variable=approvalRequired;isOutput=true]{value}\n")
            }
        };
        let approval_required = told.contains(&says(true));
        assert_ne!(approval_required, told.contains(&says(false)), "{told}");
        let comment = fs::read_to_string(temporary.join("review.md")).unwrap();
        assert_eq!(
            comment.starts_with("approval needed: "),
            approval_required,
            "{comment}"
        );
        Run {
            commit: commit.to_owned(),
            approval_required,
        }
    }

    /// A run of a push to main has ended: applied, or rejected or failed.
    fn ended(&mut self, run: &Run, is_applied: bool) {
        self.remember(
            &run.commit,
            if is_applied {
                ["success", "succeeded"]
            } else {
                ["failure", "failed"]
            },
            is_applied,
            "batchedCI",
        );
    }

    fn remember(
        &mut self,
        commit: &str,
        [conclusion, result]: [&str; 2],
        is_applied: bool,
        reason: &str,
    ) {
        let nth = self.runs.len();
        self.runs.push(json!({
            "head_branch": "main", "event": "push", "conclusion": conclusion, "head_sha": commit,
            "run_started_at": format!("2026-01-01T00:00:{nth:02}Z"),
            "sourceBranch": "refs/heads/main", "result": result, "reason": reason, "sourceVersion": commit,
            "tags": if is_applied { vec!["applied"] } else { vec![] },
        }));
    }
}

fn stdout(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn pipeline(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config/ci")
        .join(file);
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The steps by their names, in order.
fn steps(forge: Forge) -> Vec<Value> {
    let (file, pointer, name) = match forge {
        GitHub => ("github-actions.yaml", "/jobs/review/steps", "name"),
        AzureDevOps => (
            "azure-pipelines.yaml",
            "/stages/0/jobs/0/steps",
            "displayName",
        ),
    };
    let pipeline = pipeline(file);
    let all = pipeline.pointer(pointer).unwrap().as_array().unwrap();
    let is_run = |step: &&Value| STEPS.iter().any(|it| step[name] == *it);
    let steps: Vec<Value> = all.iter().filter(is_run).cloned().collect();
    assert_eq!(steps.len(), STEPS.len());
    steps
}

fn named(name: &str, selector: &str) -> String {
    policy(selector).replace("from-frontend", name)
}

/// A repository whose landing zones are applied.
fn running(forge: Forge) -> Repository {
    let mut repository = Repository::new(forge);
    repository.commit("network/zones.yaml", ZONES);
    repository.commit("network/inside.yaml", &named("inside", INSIDE));
    repository.push();
    let run = repository.run();
    repository.ended(&run, true);
    repository
}

#[rstest]
fn the_first_run_asks_for_whatever_crosses(#[values(GitHub, AzureDevOps)] forge: Forge) {
    let mut repository = Repository::new(forge);
    repository.commit("network/zones.yaml", &zones(10, TO_PARTNER));
    repository.push();
    let run = repository.run();
    assert!(run.approval_required);
    repository.ended(&run, true);
    repository.commit("network/inside.yaml", &named("inside", INSIDE));
    repository.push();
    assert!(!repository.run().approval_required);
}

/// What was rejected is still in main, and would be applied with whatever comes next.
#[rstest]
fn what_was_rejected_is_asked_again(#[values(GitHub, AzureDevOps)] forge: Forge) {
    let mut repository = running(forge);
    repository.commit("network/outside.yaml", &named("outside", OUTSIDE));
    repository.push();
    let rejected = repository.run();
    assert!(rejected.approval_required);
    repository.ended(&rejected, false);
    repository.commit("network/more.yaml", &named("more", INSIDE));
    repository.push();
    let again = repository.run();
    assert!(again.approval_required);
    repository.ended(&again, true);
    repository.commit("network/last.yaml", &named("last", INSIDE));
    repository.push();
    assert!(!repository.run().approval_required);
}

/// A push of several commits makes one run, and of runs that wait for another one all but the last are dropped.
#[rstest]
fn earlier_commits_of_a_push_and_dropped_runs_are_covered(
    #[values(GitHub, AzureDevOps)] forge: Forge,
) {
    let repository = running(forge);
    repository.commit("network/outside.yaml", &named("outside", OUTSIDE));
    repository.commit("network/more.yaml", &named("more", INSIDE));
    repository.push();
    assert!(repository.run().approval_required);
}

/// What was closed since, and is opened again by going back, is opened.
#[rstest]
fn going_back_is_a_change(#[values(GitHub, AzureDevOps)] forge: Forge) {
    let mut repository = running(forge);
    repository.commit("network/outside.yaml", &named("outside", OUTSIDE));
    repository.push();
    let open = repository.run();
    repository.ended(&open, true);
    repository.commit("network/outside.yaml", &named("outside", INSIDE));
    repository.push();
    let closed = repository.run();
    assert!(!closed.approval_required);
    repository.ended(&closed, true);
    // The old run once more, or a commit that reverts.
    assert!(repository.steps(&open.commit, false).approval_required);
    repository.git("desk", &["revert", "--no-edit", "HEAD"]);
    repository.push();
    assert!(repository.run().approval_required);
}

/// Whoever may push a tag, or queue a run by hand, makes runs of commits that main never was.
#[rstest]
fn runs_of_other_commits_are_no_approval(#[values(GitHub, AzureDevOps)] forge: Forge) {
    let mut repository = running(forge);
    repository.git("desk", &["checkout", "--quiet", "-b", "side"]);
    let side = repository.commit("network/outside.yaml", &named("outside", OUTSIDE));
    repository.remember(&side, ["success", "succeeded"], true, "batchedCI");
    repository.git("desk", &["checkout", "--quiet", "main"]);
    repository.git(
        "desk",
        &["merge", "--quiet", "--no-ff", "--message", "merge", "side"],
    );
    repository.push();
    assert!(repository.run().approval_required);
}

/// A stage whose approval nobody gave in time is skipped, and so is one that is deselected by hand: such a run succeeds.
#[test]
fn azures_runs_count_only_where_they_applied() {
    let mut repository = running(AzureDevOps);
    let open = repository.commit("network/outside.yaml", &named("outside", OUTSIDE));
    repository.push();
    repository.remember(&open, ["failure", "succeeded"], false, "batchedCI");
    assert!(repository.run().approval_required);
    repository.remember(&open, ["failure", "succeeded"], true, "manual");
    assert!(repository.run().approval_required);
    let stages: Value = serde_saphyr::from_str(
        &fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("config/ci/azure-pipelines.yaml"),
        )
        .unwrap(),
    )
    .unwrap();
    let apply = &stages["stages"][2]["jobs"][0]["strategy"]["runOnce"]["deploy"]["steps"];
    let last = apply.as_array().unwrap().last().unwrap();
    assert_eq!(last["bash"], "echo \"##vso[build.addbuildtag]applied\"");
}

/// A pull request answers for what it adds, whatever main got meanwhile or has not had approved yet.
#[rstest]
fn a_pull_request_is_compared_with_its_target(#[values(GitHub, AzureDevOps)] forge: Forge) {
    let repository = running(forge);
    repository.git("desk", &["checkout", "--quiet", "-b", "harmless"]);
    repository.commit("network/more.yaml", &named("more", INSIDE));
    repository.git("desk", &["checkout", "--quiet", "-b", "crossing"]);
    repository.commit("network/red.yaml", &named("red", "team == 'red'"));
    repository.git("desk", &["checkout", "--quiet", "main"]);
    repository.commit("network/outside.yaml", &named("outside", OUTSIDE));
    repository.push();
    repository.git("desk", &["fetch", "--quiet", "origin"]);
    repository.git("desk", &["checkout", "--quiet", "harmless"]);
    assert!(!repository.pull_request().approval_required);
    repository.git("desk", &["checkout", "--quiet", "crossing"]);
    assert!(repository.pull_request().approval_required);
}

/// A required check runs for every pull request, whatever of main is not approved.
#[rstest]
fn a_pull_request_about_something_else_asks_nobody(#[values(GitHub, AzureDevOps)] forge: Forge) {
    let repository = running(forge);
    repository.commit("network/outside.yaml", &named("outside", OUTSIDE));
    repository.push();
    repository.git("desk", &["fetch", "--quiet", "origin"]);
    repository.git("desk", &["checkout", "--quiet", "-b", "words"]);
    repository.commit("readme.md", "hello, world");
    assert!(!repository.pull_request().approval_required);
}

/// What GitHub merges only where it succeeds. A job that is skipped would count as one that does.
#[rstest]
#[case::free_of_crossings("success", "false", "skipped", "false", true)]
#[case::approved("success", "true", "success", "false", true)]
#[case::rejected("success", "true", "failure", "false", false)]
#[case::not_asked("success", "true", "skipped", "false", false)]
#[case::asked_before_it_is_applied("success", "true", "skipped", "true", true)]
#[case::rejected_then("success", "true", "failure", "true", false)]
#[case::given_up("success", "true", "cancelled", "true", false)]
#[case::not_reviewed("failure", "", "skipped", "true", false)]
#[case::review_given_up("cancelled", "false", "skipped", "true", false)]
fn only_what_is_approved_or_free_of_crossings_is_merged(
    #[case] review: &str,
    #[case] required: &str,
    #[case] approve: &str,
    #[case] later: &str,
    #[case] passes: bool,
) {
    let pipeline = pipeline("github-actions.yaml");
    let job = &pipeline["jobs"]["approved"];
    assert_eq!(
        (&job["if"], &job["needs"]),
        (&json!("always()"), &json!(["review", "approve"]))
    );
    let step = &job["steps"][0];
    let mut command = Command::new("bash");
    command.arg("-c").arg(step["run"].as_str().unwrap());
    for name in step["env"].as_object().unwrap().keys() {
        let value = match name.as_str() {
            "REVIEW" => review,
            "REQUIRED" => required,
            "APPROVE" => approve,
            "LATER" => later,
            other => panic!("{other}"),
        };
        command.env(name, value);
    }
    assert_eq!(command.status().unwrap().success(), passes);
}

/// A pull request comes with whatever pipeline its author wrote.
#[test]
fn github_reviews_pull_requests_by_the_pipeline_of_the_main_branch() {
    let pipeline = pipeline("github-actions.yaml");
    let on = pipeline["on"].as_object().unwrap();
    let events: Vec<_> = on.keys().collect();
    assert_eq!(events, ["pull_request_target", "push"]);
    // It would be waited for.
    assert!(on["pull_request_target"].get("paths").is_none());
    // What a pull request brings along is read and never run: by nothing but the plugin.
    let review = pipeline["jobs"]["review"]["steps"].as_array().unwrap();
    let actions = review.iter().filter_map(|step| step["uses"].as_str());
    let actions: Vec<_> = actions.map(|it| it.split('@').next().unwrap()).collect();
    assert_eq!(
        actions,
        ["actions/checkout", "github/codeql-action/upload-sarif"]
    );
    assert_eq!(review[0]["with"]["persist-credentials"], json!(false));
}
