//! The kubectl plugin, as people get it and type it: by krew's manifest, and with completion by kubectl and by shells.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::binaries::{ControlPlaneBinaries, OperatorBinaries, Profile, krew};
use e2e::install::{install_calico_crds, install_operator_manifests};
use e2e::prerequisites::shells;
use e2e::process::command_that_dies_with_us;
use e2e::progress::Progress;
use e2e::scenario::{self, Shared, skip};
use e2e::{ClusterOptions, LocalCluster, scenarios, workspace};
use kube::Api;
use kube::api::PostParams;
use landing_zone_operator::api::LandingZone;
use serde_json::json;
use tempfile::TempDir;

struct Built {
    plugin: PathBuf,
    kubectl: PathBuf,
    krew: PathBuf,
    validate: PathBuf,
}

impl Shared for Built {
    async fn start() -> Result<Self> {
        let progress = Progress::new();
        let building = tokio::task::spawn_blocking(move || {
            let [krew, validate] = krew(&progress)?;
            anyhow::Ok(Self {
                plugin: OperatorBinaries::ensure(Profile::Test)?.plugin,
                kubectl: ControlPlaneBinaries::ensure(&progress)?.kubectl,
                krew,
                validate,
            })
        });
        building.await?
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

/// Runs a command: what it writes, where it succeeds.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().context("failed to start it")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A program that sees the home of nobody, and these folders before all others.
fn alone(program: impl AsRef<Path>, home: &Path, folders: &[&Path]) -> Result<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders.iter().map(|it| it.to_path_buf());
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&path)))?;
    let mut command = command_that_dies_with_us(program.as_ref());
    command
        .current_dir(workspace::root())
        .env("HOME", home)
        .env("PATH", path)
        .env("KREW_ROOT", home.join("krew"))
        .env("KUBECONFIG", "");
    Ok(command)
}

/// What the release pipeline does with the plugin, and then what a user does with the release.
async fn krew_installs_it(built: &Built) -> Result<()> {
    let home = tempfile::tempdir()?;
    let folder = home.path();
    let parts = folder.join("parts");
    fs::create_dir(&parts)?;
    fs::copy(&built.plugin, parts.join("kubectl-landingzone"))?;
    let archive = |platform: &str| folder.join(format!("kubectl-landingzone-{platform}.tar.gz"));
    let ours = match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-amd64",
    };
    for platform in [
        "linux-amd64",
        "linux-arm64",
        "darwin-arm64",
        "windows-amd64",
    ] {
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(archive(platform)).arg("-C").arg(&parts);
        said(tar.arg("."))?;
    }
    let render = workspace::root().join("config/krew/render.sh");
    let home_page = "https://landingzones.example";
    let mut render = Command::new(render);
    render.args(["1.2.3", home_page, "https://landingzones.example/download"]);
    let manifest = said(render.arg(folder))?;
    ensure!(!manifest.contains('@'), "{manifest}");
    let file = folder.join("landingzone.yaml");
    fs::write(&file, &manifest)?;

    let mut validate = alone(&built.validate, folder, &[])?;
    said(validate.arg("-skip-install").arg("-manifest").arg(&file))?;
    let mut install = alone(&built.krew, folder, &[])?;
    install.arg("install").arg("--manifest").arg(&file);
    said(install.arg("--archive").arg(archive(ours)))?;
    let bin = folder.join("krew/bin");
    let mut version = alone(&built.kubectl, folder, &[&bin])?;
    let version = said(version.args(["landingzone", "--version"]))?;
    let expected = format!("kubectl-landingzone {}", env!("CARGO_PKG_VERSION"));
    ensure!(version.starts_with(&expected), "{version}");

    // A release that lacks a system is none.
    fs::remove_file(archive("darwin-arm64"))?;
    let mut render = Command::new(workspace::root().join("config/krew/render.sh"));
    render.args(["1.2.3", home_page, home_page]).arg(folder);
    let failed = render.output()?;
    let why = String::from_utf8_lossy(&failed.stderr);
    ensure!(
        !failed.status.success() && why.contains("darwin-arm64.tar.gz is missing"),
        "{why}"
    );
    Ok(())
}

/// The plugin and what kubectl asks for completion, in a folder of the search path.
fn installed(built: &Built) -> Result<TempDir> {
    let bin = tempfile::tempdir()?;
    fs::copy(&built.plugin, bin.path().join("kubectl-landingzone"))?;
    let mut completion = Command::new(&built.plugin);
    let script = said(completion.args(["completion", "kubectl"]))?;
    let file = bin.path().join("kubectl_complete-landingzone");
    fs::write(&file, script)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(bin)
}

/// Whatever shell somebody has: kubectl's own completion asks us.
async fn kubectl_completes_it(built: &Built) -> Result<()> {
    let bin = installed(built)?;
    let home = tempfile::tempdir()?;
    let complete = |typed: &[&str]| {
        let mut kubectl = alone(&built.kubectl, home.path(), &[bin.path()])?;
        said(kubectl.arg("__complete").arg("landingzone").args(typed))
    };
    let commands = complete(&["re"])?;
    ensure!(
        commands.contains("render\t")
            && commands.contains("review\t")
            && !commands.contains("matrix"),
        "{commands}"
    );
    let forms = complete(&["review", "-o", "sa"])?;
    ensure!(forms.starts_with("sarif"), "{forms}");
    Ok(())
}

/// The script for bash, in a real bash: what is offered for a line that somebody has typed.
async fn bash_completes_it(built: &Built) -> Result<()> {
    let bin = installed(built)?;
    let home = tempfile::tempdir()?;
    let script = r#"set -eo pipefail
        source <(kubectl-landingzone completion bash)
        COMP_WORDS=(kubectl-landingzone matrix --con) COMP_CWORD=2 COMPREPLY=()
        completer=$(complete -p kubectl-landingzone | sed 's/.*-F \([^ ]*\).*/\1/')
        $completer kubectl-landingzone --con matrix
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = alone("bash", home.path(), &[bin.path()])?;
    let offered = said(bash.args(["--norc", "-c", script]))?;
    ensure!(offered.lines().any(|line| line == "--context"), "{offered}");
    Ok(())
}

/// The scripts for zsh and fish, in these shells: what is offered for a line that somebody has typed.
async fn zsh_and_fish_complete_it(built: &Built) -> Result<()> {
    let shells = tokio::task::spawn_blocking(shells).await?;
    let [zsh, fish] = match shells {
        Ok(shells) => shells,
        Err(error) => return skip(format!("{error:#}")),
    };
    let bin = installed(built)?;
    let home = tempfile::tempdir()?;
    let script = "kubectl-landingzone completion fish | source
        complete -C 'kubectl-landingzone matrix --con'";
    let mut command = alone(&fish, home.path(), &[bin.path()])?;
    let offered = said(command.args(["--no-config", "-c", script]))?;
    ensure!(
        offered
            .lines()
            .any(|line| line.split('\t').next() == Some("--context")),
        "fish: {offered}"
    );
    let named = said(alone(&fish, home.path(), &[bin.path()])?.args([
        "--no-config",
        "-c",
        "kubectl-landingzone completion fish | source
             complete -C 'kubectl-landingzone re'",
    ]))?;
    ensure!(
        named.contains("render") && named.contains("review") && !named.contains("matrix"),
        "fish: {named}"
    );

    // Zsh completes at a terminal only: one that its own module makes, in which somebody types.
    // What is typed is echoed, so it does not hold the word that is waited for.
    let script = r#"zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -d $HOME/.zcompdump
        source <(kubectl-landingzone completion zsh); print rea""dy'
        zpty -r shell line '*ready*'
        zpty -w -n shell $'kubectl-landingzone re\t\t'
        zpty -r shell line '*review*'
        print -r -- "$line"
        zpty -d shell"#;
    let mut command = alone(zsh, home.path(), &[bin.path()])?;
    let offered = said(command.env("TERM", "xterm").args(["-f", "-c", script]))?;
    ensure!(
        offered.contains("render") && offered.contains("review"),
        "zsh: {offered}"
    );
    Ok(())
}

/// Colours are for people: none where a program reads, none where somebody wants none.
async fn colours_are_on_a_terminal_only(built: &Built) -> Result<()> {
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    install_calico_crds(&cluster.client()).await?;
    install_operator_manifests(&cluster.client()).await?;
    let zones: Api<LandingZone> = Api::all(cluster.client());
    let spec = serde_json::from_value(json!({
        "applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "frontend"}],
    }))?;
    zones
        .create(&PostParams::default(), &LandingZone::new("shop", spec))
        .await?;
    // Nobody has seen it: it waits, which is exit code 3.
    let look = |on_a_terminal: bool, no_color: Option<&str>, options: &str| -> Result<String> {
        let status = format!("{} status shop {options}", built.plugin.display());
        let mut command = if on_a_terminal {
            let mut script = command_that_dies_with_us("script");
            script.args(["--quiet", "--return", "--command", &status, "/dev/null"]);
            script
        } else {
            let mut shell = command_that_dies_with_us("sh");
            shell.args(["-c", &status]);
            shell
        };
        command
            .stdin(Stdio::null())
            .env("KUBECONFIG", cluster.kubeconfig().path())
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE");
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let output = command.output().context("failed to start it")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.code() == Some(3) && text.contains("waiting for"),
            "{}: {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    };
    let is_coloured = |text: &str| text.contains("\u{1b}[");
    for (on_a_terminal, no_color, options, expected) in [
        (true, None, "", true),
        (true, Some("1"), "", false),
        // Set, and nothing: as if it were not there.
        (true, Some(""), "", true),
        (false, None, "", false),
        (false, None, "--color always", true),
        (true, None, "--color never", false),
    ] {
        let text = look(on_a_terminal, no_color, options)?;
        ensure!(
            is_coloured(&text) == expected,
            "terminal: {on_a_terminal}, NO_COLOR: {no_color:?}, {options:?}: {text:?}"
        );
    }
    cluster.stop().await
}

/// Each shell that people have gets a script that names every command.
async fn every_shell_has_a_script(built: &Built) -> Result<()> {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let mut plugin = Command::new(&built.plugin);
        let script = said(plugin.args(["completion", shell]))?;
        for command in [
            "diff", "matrix", "posture", "propose", "render", "review", "status", "why",
        ] {
            ensure!(script.contains(command), "{shell}: no {command}");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    scenario::run::<Built>(scenarios![
        krew_installs_it,
        kubectl_completes_it,
        bash_completes_it,
        zsh_and_fish_complete_it,
        colours_are_on_a_terminal_only,
        every_shell_has_a_script,
    ])
}
