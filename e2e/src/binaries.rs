//! Builds the programs that a cluster consists of, and the operator.
//!
//! The control plane is built from the Go modules that `e2e/go/control-plane`
//! pins, and Calico's API server from `e2e/go/calico`, once per version:
//! `target/e2e/bin/<version>` appears whole or not at all.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    install::CALICO_VERSION,
    prerequisites::Prerequisites,
    process::{command_that_dies_with_us, last_lines, spawn},
    progress::{Progress, Step},
    workspace,
};

/// Programs that are built together from the Go module that a folder of `e2e/go` pins.
struct GoPrograms {
    /// The folder.
    folder: &'static str,
    /// The module whose version tells the programs apart.
    module: &'static str,
    /// What they are, for those who wait.
    what: &'static str,
    /// Go packages to build, what `go build` calls the program, and what it is called here.
    programs: &'static [(&'static str, &'static str, &'static str)],
    /// What the linker is told, by version.
    linker_flags: fn(&str) -> Result<String>,
}

const CONTROL_PLANE: GoPrograms = GoPrograms {
    folder: "control-plane",
    module: "k8s.io/kubernetes",
    what: "the control plane",
    programs: &[
        ("go.etcd.io/etcd/server/v3", "server", "etcd"),
        (
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "kube-apiserver",
            "kube-apiserver",
        ),
        (
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "kube-controller-manager",
            "kube-controller-manager",
        ),
        (
            "k8s.io/kubernetes/cmd/kube-scheduler",
            "kube-scheduler",
            "kube-scheduler",
        ),
        ("k8s.io/kubernetes/cmd/kubectl", "kubectl", "kubectl"),
    ],
    linker_flags,
};

/// The oldest Kubernetes of the support matrix, with etcd of [`CONTROL_PLANE`].
const OLDEST_CONTROL_PLANE: GoPrograms = GoPrograms {
    folder: "control-plane-1.33",
    module: "k8s.io/kubernetes",
    what: "the oldest control plane",
    programs: CONTROL_PLANE.programs.split_at(1).1,
    linker_flags,
};

/// Chooses the Kubernetes that clusters run, such as `1.33`; without it they run the newest.
const KUBERNETES_VERSION: &str = "KUBERNETES_VERSION";

const FELIX: GoPrograms = GoPrograms {
    folder: "calico",
    module: "github.com/projectcalico/calico",
    what: "Calico's Felix",
    programs: &[(
        "github.com/projectcalico/calico/felix/cmd/calico-felix",
        "calico-felix",
        "calico-felix",
    )],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const CALICOCTL: GoPrograms = GoPrograms {
    folder: "calico",
    module: "github.com/projectcalico/calico",
    what: "calicoctl",
    programs: &[(
        "github.com/projectcalico/calico/calicoctl/calicoctl",
        "calicoctl",
        "calicoctl",
    )],
    // It talks to a cluster of its own version only.
    linker_flags: |_| {
        let package = "github.com/projectcalico/calico/calicoctl/calicoctl/commands/common";
        Ok(format!("-s -w -X {package}.VERSION={CALICO_VERSION}"))
    },
};

const CALICO_API_SERVER: GoPrograms = GoPrograms {
    folder: "calico",
    module: "github.com/projectcalico/calico",
    what: "Calico's API server",
    programs: &[(
        "github.com/projectcalico/calico/apiserver/cmd/apiserver",
        "apiserver",
        "calico-apiserver",
    )],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const CALICO_SELECTORS: GoPrograms = GoPrograms {
    folder: "calico",
    module: "github.com/projectcalico/calico",
    what: "a program around Calico's selectors",
    programs: &[("./selectors", "selectors", "calico-selectors")],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const CYCLONUS_CASES: GoPrograms = GoPrograms {
    folder: "cyclonus",
    module: "github.com/mattfenwick/cyclonus",
    what: "a program around the cases of cyclonus",
    programs: &[("./cases", "cases", "cyclonus-cases")],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const HELM: GoPrograms = GoPrograms {
    folder: "helm",
    module: "helm.sh/helm/v4",
    what: "Helm",
    programs: &[("helm.sh/helm/v4/cmd/helm", "helm", "helm")],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const ARGOCD_ANSWERS: GoPrograms = GoPrograms {
    folder: "argocd",
    module: "github.com/argoproj/argo-cd/v3",
    what: "a program around Argo CD's health checks and comparison",
    programs: &[("./answers", "answers", "argocd-answers")],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const KUSTOMIZE_CONTROLLER: GoPrograms = GoPrograms {
    folder: "flux",
    module: "github.com/fluxcd/kustomize-controller",
    what: "Flux's kustomize-controller",
    programs: &[(
        "github.com/fluxcd/kustomize-controller",
        "kustomize-controller",
        "kustomize-controller",
    )],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const CERT_MANAGER: GoPrograms = GoPrograms {
    folder: "cert-manager",
    module: "github.com/cert-manager/cert-manager",
    what: "a program of cert-manager's controllers",
    programs: &[("./controller", "controller", "cert-manager")],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

const KREW: GoPrograms = GoPrograms {
    folder: "krew",
    module: "sigs.k8s.io/krew",
    what: "krew",
    programs: &[
        ("sigs.k8s.io/krew/cmd/krew", "krew", "krew"),
        (
            "sigs.k8s.io/krew/cmd/validate-krew-manifest",
            "validate-krew-manifest",
            "validate-krew-manifest",
        ),
    ],
    linker_flags: |_| Ok("-s -w".to_owned()),
};

/// The programs of a control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlaneBinaries {
    /// The version of Kubernetes, such as `v1.37.0`.
    pub version: String,
    /// `etcd`.
    pub etcd: PathBuf,
    /// `kube-apiserver`.
    pub apiserver: PathBuf,
    /// `kube-controller-manager`.
    pub controller_manager: PathBuf,
    /// `kube-scheduler`.
    pub scheduler: PathBuf,
    /// `kubectl`.
    pub kubectl: PathBuf,
}

impl ControlPlaneBinaries {
    /// Returns the programs, and builds them first where they are not there. `KUBERNETES_VERSION=1.33` in the
    /// environment chooses the oldest Kubernetes of the support matrix; without it, it is the newest.
    ///
    /// Blocks for minutes when it builds: call it from a thread that may.
    ///
    /// # Errors
    /// Where a build fails, or another version is asked for.
    pub fn ensure(progress: &Progress) -> Result<Self> {
        let (newest, newest_folder) = CONTROL_PLANE.ensure(progress)?;
        let etcd = newest_folder.join("etcd");
        let wanted = match std::env::var(KUBERNETES_VERSION) {
            Ok(wanted) => Some(wanted),
            Err(std::env::VarError::NotPresent) => None,
            Err(error) => return Err(error).context(KUBERNETES_VERSION),
        };
        let (version, folder) = match wanted.as_deref() {
            None => (newest, newest_folder),
            Some(wanted) if is_minor(wanted, &newest) => (newest, newest_folder),
            Some(wanted) => {
                let oldest = OLDEST_CONTROL_PLANE.pins()?.version;
                ensure!(
                    is_minor(wanted, &oldest),
                    "{KUBERNETES_VERSION}={wanted}: the control planes that can be built are {oldest} and {newest} \
                     (e2e/go); say 1.33 for the first"
                );
                OLDEST_CONTROL_PLANE.ensure(progress)?
            }
        };
        let program = |name: &str| folder.join(name);
        Ok(Self {
            version,
            etcd,
            apiserver: program("kube-apiserver"),
            controller_manager: program("kube-controller-manager"),
            scheduler: program("kube-scheduler"),
            kubectl: program("kubectl"),
        })
    }
}

/// Whether a version such as `v1.33.13` belongs to `1.33`.
fn is_minor(minor: &str, version: &str) -> bool {
    version
        .strip_prefix('v')
        .and_then(|version| version.strip_prefix(minor))
        .is_some_and(|patch| patch.starts_with('.'))
}

/// Calico's API server, which serves `projectcalico.org/v3`; built first where it is not there.
///
/// Blocks for a minute when it builds: call it from a thread that may.
pub fn calico_api_server(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = CALICO_API_SERVER.ensure(progress)?;
    Ok(folder.join("calico-apiserver"))
}

/// A program that answers what Calico makes of selectors; built first where it is not there.
///
/// Blocks for some seconds when it builds: call it from a thread that may.
pub fn calico_selectors(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = CALICO_SELECTORS.ensure(progress)?;
    Ok(folder.join("calico-selectors"))
}

/// A program that prints the cases of cyclonus, and what it expects of them; built first where it is not there.
///
/// Blocks for a minute when it builds: call it from a thread that may.
pub fn cyclonus_cases(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = CYCLONUS_CASES.ensure(progress)?;
    Ok(folder.join("cyclonus-cases"))
}

/// `helm`; built first where it is not there.
///
/// Blocks for two minutes when it builds: call it from a thread that may.
pub fn helm(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = HELM.ensure(progress)?;
    Ok(folder.join("helm"))
}

/// `krew` and `validate-krew-manifest`; built first where they are not there.
///
/// Blocks for a minute when it builds: call it from a thread that may.
pub fn krew(progress: &Progress) -> Result<[PathBuf; 2]> {
    let (_, folder) = KREW.ensure(progress)?;
    Ok([folder.join("krew"), folder.join("validate-krew-manifest")])
}

/// A program that tells what Argo CD makes of objects; built first where it is not there.
///
/// Blocks for two minutes when it builds: call it from a thread that may.
pub fn argocd_answers(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = ARGOCD_ANSWERS.ensure(progress)?;
    Ok(folder.join("argocd-answers"))
}

/// cert-manager's own controllers for certificates of authorities in the cluster; built first where they are not there.
///
/// Blocks for two minutes when it builds: call it from a thread that may.
pub fn cert_manager(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = CERT_MANAGER.ensure(progress)?;
    Ok(folder.join("cert-manager"))
}

/// Flux's kustomize-controller; built first where it is not there.
///
/// Blocks for minutes when it builds: call it from a thread that may.
pub fn kustomize_controller(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = KUSTOMIZE_CONTROLLER.ensure(progress)?;
    Ok(folder.join("kustomize-controller"))
}

/// Calico's Felix, which programs the kernel; built first where it is not there.
///
/// Blocks for two minutes when it builds: call it from a thread that may.
pub fn felix(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = FELIX.ensure(progress)?;
    Ok(folder.join("calico-felix"))
}

/// Whether Calico's Felix is there without a build.
///
/// # Errors
/// Where what decides that cannot be read.
pub fn has_felix() -> Result<bool> {
    let finished = workspace::state().join("bin").join(FELIX.pins()?.key());
    Ok(finished.is_dir())
}

/// `calicoctl`; built first where it is not there.
///
/// Blocks for some seconds when it builds: call it from a thread that may.
pub fn calicoctl(progress: &Progress) -> Result<PathBuf> {
    let (_, folder) = CALICOCTL.ensure(progress)?;
    Ok(folder.join("calicoctl"))
}

impl GoPrograms {
    /// Returns their version and their folder, and builds them first where they are not there.
    fn ensure(&self, progress: &Progress) -> Result<(String, PathBuf)> {
        // Also for a start without a build: setpriv is needed to start anything.
        let prerequisites = Prerequisites::ensure()?;
        let pins = self.pins()?;
        let folder = workspace::state().join("bin");
        fs::create_dir_all(&folder).context("failed to make the folder of built programs")?;
        let finished = folder.join(pins.key());

        if !finished.is_dir() {
            let lock = File::create(folder.join(".lock")).context("failed to open a lock file")?;
            // Another test binary may be at it already.
            lock.lock().context("failed to wait for another build")?;
            if !finished.is_dir() {
                let unfinished = folder.join(".unfinished");
                remove_if_there(&unfinished)?;
                self.build(&prerequisites.go, &pins, &unfinished, progress)?;
                fs::rename(&unfinished, &finished).context("failed to put programs in place")?;
            }
        }
        Ok((pins.version, finished))
    }

    fn sources(&self) -> PathBuf {
        workspace::go_modules().join(self.folder)
    }

    fn pins(&self) -> Result<Pins> {
        let folder = self.sources();
        let read = |file: &str| {
            fs::read_to_string(folder.join(file)).with_context(|| format!("failed to read {file}"))
        };
        let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
        let version = go_mod
            .lines()
            .filter_map(|line| line.trim().strip_prefix(self.module)?.strip_prefix(' '))
            .find_map(|rest| rest.split_whitespace().next())
            .with_context(|| format!("go.mod requires no {}", self.module))?
            .to_owned();
        let mut hash = Sha256::new();
        hash.update(&go_mod);
        hash.update(&go_sum);
        hash.update((self.linker_flags)(&version)?);
        for (package, ..) in self.programs {
            hash.update(package);
            // A program of our own changes with its source, not with a version.
            if package.starts_with("./") {
                hash.update(read(&format!("{package}/main.go"))?);
            }
        }
        let mut digest = format!("{:x}", hash.finalize());
        digest.truncate(12);
        Ok(Pins { version, digest })
    }

    fn build(&self, go: &Path, pins: &Pins, into: &Path, progress: &Progress) -> Result<()> {
        fs::create_dir_all(into).context("failed to make a folder for programs")?;
        let module = self.sources();
        let flags = format!("-ldflags={}", (self.linker_flags)(&pins.version)?);
        let packages = || self.programs.iter().map(|(package, _, _)| package);
        let named = format!("{} {}", self.what, pins.version);

        let mut step = progress.step(format!("fetching the sources of {named}"));
        let mut list = go_command(go, &module);
        list.args(["list", "-mod=readonly", "-trimpath", "-deps"])
            .args(["-f", "{{if .Stale}}{{.ImportPath}}{{end}}", &flags])
            .args(packages());
        let stale = run_go(list, &mut step)?;
        step.finish();

        let mut step = progress.step(format!("building {named}"));
        step.expect(stale.lines().count());
        let mut command = go_command(go, &module);
        // -v names each package as it is compiled.
        command
            .args(["build", "-v", "-mod=readonly", "-trimpath", &flags, "-o"])
            // With a separator at the end it is a folder, for a single program too.
            .arg(into.join(""));
        command.args(packages());
        run_go(command, &mut step)?;
        for (_, built, name) in self.programs {
            let (from, to) = (into.join(built), into.join(name));
            fs::rename(from, to).with_context(|| format!("go build made no {built}"))?;
        }
        step.finish();
        Ok(())
    }
}

/// What decides which programs come out.
struct Pins {
    version: String,
    digest: String,
}

impl Pins {
    fn key(&self) -> String {
        format!("{}-{}", self.version, self.digest)
    }
}

/// Without a version in it, the API server calls itself v0.0.0 and kubectl fails.
fn linker_flags(version: &str) -> Result<String> {
    const PACKAGE: &str = "k8s.io/component-base/version";
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next(), numbers.next());
    let major = major.context("the version of Kubernetes has no major number")?;
    let minor = minor.context("the version of Kubernetes has no minor number")?;
    Ok([
        ("gitVersion", version),
        ("gitMajor", major),
        ("gitMinor", minor),
        ("gitTreeState", "clean"),
        ("gitCommit", "release"),
    ]
    .iter()
    .fold("-s -w".to_owned(), |flags, (name, value)| {
        format!("{flags} -X {PACKAGE}.{name}={value}")
    }))
}

fn go_command(go: &Path, module: &Path) -> Command {
    let mut command = command_that_dies_with_us(go);
    command
        .current_dir(module)
        // Static programs that need no C compiler. Whatever the user's settings
        // for other projects, these are built from the pinned modules.
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-buildvcs=false")
        .stdin(Stdio::null());
    command
}

/// Runs a command of Go that tells its progress on standard error, and returns
/// what it wrote on standard output.
fn run_go(mut command: Command, step: &mut Step) -> Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command).context("failed to start go")?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("go has no output");
    };
    // Both at once: go would stop while one of the pipes is full.
    let (said, written) = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        let mut said = String::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            step.advance(&line);
            said.push_str(&line);
            said.push('\n');
        }
        (said, reader.join())
    });
    let status = child.wait().context("failed to wait for go")?;
    ensure!(
        status.success(),
        "go failed with {status}:\n{}",
        last_lines(&said, 30)
    );
    match written {
        Ok(text) => text.context("failed to read what go writes"),
        Err(_) => bail!("the thread that reads what go writes is gone"),
    }
}

fn remove_if_there(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// How the operator is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// As `cargo test` compiles it, so that nothing is compiled twice there.
    #[default]
    Test,
    /// As `cargo run` compiles it, for the demo.
    Dev,
    /// As it is released.
    Release,
}

/// The programs of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorBinaries {
    /// `landing-zone-operator`.
    pub operator: PathBuf,
    /// `kubectl-landingzone`, the plugin of kubectl.
    pub plugin: PathBuf,
}

impl OperatorBinaries {
    /// Builds the operator with Cargo, which does nothing when it is up to date.
    ///
    /// Blocks while it builds: call it from a thread that may.
    pub fn ensure(profile: Profile) -> Result<Self> {
        let mut command = cargo();
        command.current_dir(workspace::root()).args([
            "build",
            "--bins",
            "--package",
            "landing-zone-operator",
        ]);
        match profile {
            // Cargo compiles a dependency anew for each set of features. These are
            // the packages and targets of the command that compiled us, so the
            // features are the same, and what it compiled is used.
            Profile::Test => command.args(["--package", "e2e", "--tests"]),
            Profile::Dev => command.args(["--package", "e2e"]),
            Profile::Release => command.arg("--release"),
        };
        let mut programs = Compiled::by(command)?.programs;
        let mut program = |name: &str| {
            programs
                .remove(name)
                .with_context(|| format!("cargo built no {name}"))
        };
        Ok(Self {
            operator: program("landing-zone-operator")?,
            plugin: program("kubectl-landingzone")?,
        })
    }
}

/// Cargo, as it was before it started us.
pub(crate) fn cargo() -> Command {
    let mut command =
        command_that_dies_with_us(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo tells the programs that it runs about their package. Build scripts that look at
    // these variables would run anew each time the package is another one.
    for (name, _) in std::env::vars_os() {
        let told = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        if told
            .iter()
            .any(|start| name.to_string_lossy().starts_with(start))
        {
            command.env_remove(name);
        }
    }
    command
}

/// What a `cargo build` made.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Programs by name.
    pub(crate) programs: HashMap<String, PathBuf>,
    /// The files of each package, by Cargo's id of it.
    pub(crate) packages: Vec<(String, Vec<PathBuf>)>,
}

/// What Cargo says of each thing that it made.
#[derive(Deserialize)]
struct Message {
    package_id: String,
    target: Target,
    profile: BuildProfile,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct BuildProfile {
    test: bool,
}

impl Compiled {
    /// Runs a `cargo build` until it ends.
    pub(crate) fn by(mut command: Command) -> Result<Self> {
        command.arg("--message-format=json-render-diagnostics");
        // Standard error stays: Cargo shows its progress there.
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut cargo = spawn(command).context("failed to start cargo")?;
        let Some(stdout) = cargo.stdout.take() else {
            bail!("cargo has no output")
        };
        let mut compiled = Self::default();
        for line in BufReader::new(stdout).lines() {
            let line = line.context("failed to read what cargo says")?;
            // Cargo says other things as well, and build scripts may write lines of their own.
            let Ok(message) = serde_json::from_str::<Message>(&line) else {
                continue;
            };
            // The unit tests of a program are a program of the same name.
            if let (Some(executable), false) = (message.executable, message.profile.test) {
                compiled.programs.insert(message.target.name, executable);
            }
            compiled
                .packages
                .push((message.package_id, message.filenames));
        }
        let status = cargo.wait().context("failed to wait for cargo")?;
        ensure!(status.success(), "cargo build failed with {status}");
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_are_read() {
        let pins = CONTROL_PLANE.pins().unwrap();
        assert_eq!(pins.version, "v1.37.0");
        assert_eq!(pins.key().len(), "v1.37.0-".len() + 12);
        let calico = CALICO_API_SERVER.pins().unwrap();
        assert!(calico.version.starts_with("v1.11.0-cni-plugin."));
    }

    #[test]
    fn a_version_is_chosen_by_its_minor() {
        assert!(is_minor("1.33", "v1.33.13"));
        assert!(!is_minor("1.3", "v1.33.13"));
        assert!(!is_minor("1.33.13", "v1.33.13"));
        assert!(!is_minor("", "v1.33.13"));
    }

    #[test]
    fn the_version_is_linked_in() {
        let flags = linker_flags("v1.37.2").unwrap();
        assert!(flags.contains("version.gitVersion=v1.37.2 "));
        assert!(flags.contains("version.gitMajor=1 "));
        assert!(flags.contains("version.gitMinor=37 "));
        assert!(linker_flags("v1").is_err());
    }
}
