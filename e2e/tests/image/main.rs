//! The image that a release ships: what is in it, that it is the same each time, and that it runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::governed::CONVERGED;
use e2e::image::{Confined, Image, Pod, Source};
use e2e::install::{install_calico_crds, install_operator_manifests};
use e2e::ports::free_port;
use e2e::scenario::{self, Shared, skip};
use e2e::{ClusterOptions, LocalCluster, OperatorProcess, eventually, scenarios, workspace};
use kube::Api;
use kube::api::PostParams;
use landing_zone_operator::api::LandingZone;
use serde_json::{Value, json};

/// A release is compiled for minutes where nothing is there yet.
const COMPILING: Duration = Duration::from_mins(25);
/// Issue of every registry and node: a small image starts sooner.
const MOST_BYTES: u64 = 30 << 20;
/// Whom the image runs as.
const NOBODY: u32 = 65532;

struct Built(Image);

impl Shared for Built {
    async fn start() -> Result<Self> {
        let build = || Image::build(&Source::here()?, &folder("first"));
        Ok(Self(tokio::task::spawn_blocking(build).await??))
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

fn folder(name: &str) -> PathBuf {
    workspace::state().join("image").join(name)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

async fn it_is_small_and_runs_as_nobody(Built(image): &Built) -> Result<()> {
    let size = fs::metadata(&image.archive.file)?.len();
    ensure!(size < MOST_BYTES, "{size} bytes");
    let config = image.archive.config()?;
    let (os, architecture) = (&config["os"], &config["architecture"]);
    ensure!(
        *os == json!("linux") && *architecture == json!(image.program.architecture),
        "{config:#}"
    );
    let run = &config["config"];
    ensure!(run["User"] == json!("65532:65532"), "{run:#}");
    ensure!(
        run["Entrypoint"] == json!(["/landing-zone-operator"]),
        "{run:#}"
    );
    let labels = &run["Labels"];
    ensure!(
        labels["org.opencontainers.image.version"] == json!(env!("CARGO_PKG_VERSION")),
        "{labels:#}"
    );
    ensure!(
        labels["org.opencontainers.image.revision"] == json!(Source::here()?.commit),
        "{labels:#}"
    );
    // The program itself tells what it was built from.
    let told = Command::new(&image.program.file)
        .arg("--version")
        .output()
        .context("failed to start the program of the image")?;
    let told = String::from_utf8(told.stdout)?;
    let expected = format!(
        "landing-zone-operator {} ({})\n",
        env!("CARGO_PKG_VERSION"),
        Source::here()?.commit
    );
    ensure!(told == expected, "{told}");
    Ok(())
}

async fn nothing_but_the_program_is_in_it(Built(image): &Built) -> Result<()> {
    if !is_root() {
        return skip("looking into an image needs root");
    }
    let tree = tempfile::tempdir()?;
    image.archive.unpack(tree.path())?;
    let inside: Vec<_> = fs::read_dir(tree.path())?.collect::<Result<_, _>>()?;
    let names: Vec<_> = inside.iter().map(fs::DirEntry::file_name).collect();
    ensure!(names == ["landing-zone-operator"], "{names:?}");
    let file = inside[0].metadata()?;
    // Nobody may change it, whoever it runs as.
    ensure!(file.mode() & 0o7777 == 0o555 && file.uid() == 0, "{file:?}");
    let shipped = fs::read(inside[0].path())?;
    ensure!(
        shipped == fs::read(&image.program.file)?,
        "it is another program"
    );
    let here = workspace::root();
    let here = here.to_str().context("a path that is no text")?.as_bytes();
    ensure!(
        !shipped.windows(here.len()).any(|window| window == here),
        "it tells where it was built"
    );
    Ok(())
}

/// Whoever builds the commit anew can check what we ship.
async fn two_builds_have_one_digest(Built(image): &Built) -> Result<()> {
    let elsewhere = tempfile::tempdir()?;
    let here = Source::here()?;
    let mut other = Source {
        root: elsewhere.path().join("elsewhere"),
        ..here.clone()
    };
    copy_tracked(&here.root, &other.root)?;
    // Two builds have nothing in common but the commit and the compiler. Whoever tries it often may share what is compiled of
    // others; then only what is ours is compiled a second time.
    if std::env::var_os("IMAGE_SHARES_DEPENDENCIES").is_none() {
        other.target = elsewhere.path().join("target");
    }
    let second = folder("second");
    let again = tokio::task::spawn_blocking(move || Image::build(&other, &second)).await??;
    ensure!(
        again.archive.digest == image.archive.digest,
        "{} and {}",
        again.archive.digest,
        image.archive.digest
    );
    ensure!(
        fs::read(&again.materials)? == fs::read(&image.materials)?,
        "the bills of materials differ"
    );
    Ok(())
}

/// Copies what git follows, as it is now.
fn copy_tracked(from: &Path, to: &Path) -> Result<()> {
    let listed = Command::new("git")
        .current_dir(from)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("failed to start git")?;
    let listed = String::from_utf8(listed.stdout)?;
    for name in listed.split_terminator('\0') {
        let file = from.join(name);
        // What was removed and is not committed yet.
        if !file.exists() {
            continue;
        }
        let copy = to.join(name);
        fs::create_dir_all(copy.parent().context("no folder")?)?;
        fs::copy(&file, &copy).with_context(|| format!("failed to copy {name}"))?;
    }
    Ok(())
}

async fn the_bill_of_materials_names_all_that_is_linked(Built(image): &Built) -> Result<()> {
    let materials: Value = serde_json::from_slice(&fs::read(&image.materials)?)?;
    ensure!(
        materials["bomFormat"] == json!("CycloneDX") && materials["specVersion"] == json!("1.5"),
        "{materials:#}"
    );
    let components = materials["components"]
        .as_array()
        .context("no components")?;
    let mut told = BTreeSet::new();
    // What no package of Cargo's is, and is linked all the same.
    let mut beside = BTreeSet::new();
    for component in components {
        let text = |field: &str| component[field].as_str().map(str::to_owned);
        let (name, version) = (
            text("name").context("no name")?,
            text("version").context("no version")?,
        );
        let purl = text("purl").with_context(|| format!("{name} has no purl"))?;
        if !purl.starts_with("pkg:cargo/") {
            ensure!(component["licenses"].is_array(), "{name} has no licence");
            ensure!(
                purl.contains(&version.replace('+', "%2B")) || purl.contains(&version),
                "{component:#}"
            );
            beside.insert(name);
            continue;
        }
        ensure!(component["licenses"].is_array(), "{name} has no licence");
        ensure!(
            component["hashes"][0]["alg"] == json!("SHA-256"),
            "{name} has no checksum"
        );
        told.insert(format!("{name} v{version}"));
    }
    ensure!(
        beside == ["glibc", "rust-std"].map(str::to_owned).into(),
        "{beside:?}"
    );
    ensure!(
        !materials
            .to_string()
            .contains(&workspace::root().display().to_string()),
        "it tells where it was built"
    );

    // Cargo itself, asked another way.
    let tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace::root())
        .args([
            "tree",
            "--locked",
            "--package",
            "landing-zone-operator",
            "--edges",
            "normal,no-proc-macro",
        ])
        .args([
            "--target",
            image.program.triple,
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .output()
        .context("failed to start cargo")?;
    ensure!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8(tree.stdout)?;
    let linked: BTreeSet<String> = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .filter(|package| !package.is_empty() && !package.starts_with("landing-zone-operator "))
        .collect();
    let missing: Vec<_> = linked.difference(&told).collect();
    ensure!(missing.is_empty(), "missing: {missing:?}");
    let more: Vec<_> = told.difference(&linked).collect();
    ensure!(more.is_empty(), "not linked: {more:?}");
    Ok(())
}

/// What is shipped is what ran: nothing but the image's own files, read-only, as nobody, with what a kubelet mounts.
async fn it_runs_from_its_own_files(Built(image): &Built) -> Result<()> {
    if !is_root() {
        return skip("changing the root of a process needs root");
    }
    let cluster = LocalCluster::start(ClusterOptions::default()).await?;
    let client = cluster.client();
    install_calico_crds(&client).await?;
    install_operator_manifests(&client).await?;
    let tree = cluster.directory().join("root");
    fs::create_dir(&tree)?;
    image.archive.unpack(&tree)?;
    let namespace = "landing-zone-system";
    let token = cluster
        .service_account_token(namespace, "landing-zone-operator")
        .await?;
    Pod {
        token: &token,
        authority: cluster.kubeconfig().authority(),
        namespace,
        // The name that AKS gives pods of the API server has to be looked up; a static program does that by itself.
        hosts: "127.0.0.1 localhost kubernetes.default.svc\n",
        resolver: "nameserver 127.0.0.1\n",
    }
    .mount(&tree)?;

    let (_, port) = cluster
        .kubeconfig()
        .server()
        .rsplit_once(':')
        .context("no port")?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let log = cluster.directory().join("landing-zone-operator.log");
    let program = Confined::program(&tree, NOBODY, "/landing-zone-operator", &log)?
        .arguments(["--listen", &address, "--log-format", "json"])
        .arguments(["--webhook-listen", &format!("127.0.0.1:{}", free_port()?)])
        .variable("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        .variable("KUBERNETES_SERVICE_PORT", port);
    let operator = OperatorProcess::run(&program, &address)?;
    operator.wait_until_ready(CONVERGED).await?;
    confined(operator.process().id(), &tree)?;

    let zones: Api<LandingZone> = Api::all(client);
    let spec = serde_json::from_value(json!({
        "applicationCode": "shop", "namespaces": [{"name": "shop-web", "zone": "frontend"}],
    }))?;
    zones
        .create(&PostParams::default(), &LandingZone::new("shop", spec))
        .await?;
    eventually(CONVERGED, "the landing zone to be ready", async || {
        let status = zones.get("shop").await?.status.context("no status")?;
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
        let ready = ready.context("no condition")?;
        ensure!(ready.status == "True", "{}", ready.message);
        Ok(Some(()))
    })
    .await?;
    let ended = operator.terminate().await?;
    ensure!(ended.success(), "{ended}");
    cluster.stop().await
}

/// The kernel's own word that a process is where, and what, we say.
fn confined(process: u32, tree: &Path) -> Result<()> {
    let process = Path::new("/proc").join(process.to_string());
    let root = fs::read_link(process.join("root"))?;
    ensure!(root == tree, "its root is {}", root.display());
    let status = fs::read_to_string(process.join("status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    for (name, value) in [
        ("Uid:", "65532 65532 65532 65532"),
        ("Gid:", "65532 65532 65532 65532"),
        ("Groups:", ""),
        ("CapEff:", "0000000000000000"),
        ("CapBnd:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
    ] {
        ensure!(
            field(name).as_deref() == Some(value),
            "{name} {:?}",
            field(name)
        );
    }
    let mounts = fs::read_to_string(process.join("mountinfo"))?;
    let is_read_only = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        fields.next() == Some("/")
            && fields
                .next()
                .is_some_and(|it| it.split(',').any(|it| it == "ro"))
    };
    ensure!(mounts.lines().any(is_read_only), "it may write: {mounts}");
    Ok(())
}

fn main() -> ExitCode {
    if let Err(error) = Confined::take_over() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    scenario::run::<Built>(scenarios![
        it_is_small_and_runs_as_nobody within COMPILING,
        nothing_but_the_program_is_in_it within COMPILING,
        the_bill_of_materials_names_all_that_is_linked within COMPILING,
        two_builds_have_one_digest within COMPILING,
        it_runs_from_its_own_files within COMPILING,
    ])
}
