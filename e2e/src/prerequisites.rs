//! The programs that are not built here: found, or installed where this process
//! can (root on Debian), or else listed in one message.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// The release of Go that builds the control plane; its modules ask for 1.26.
const GO_MODULES_NEED: Version = Version {
    major: 1,
    minor: 26,
};
const GO_RELEASE: &str = "1.26.0";

/// Where Go is installed when it is not in the search path.
const USUAL_PLACES_OF_GO: [&str; 3] = [
    "/usr/local/go/bin/go",
    "/usr/lib/go/bin/go",
    "/usr/lib/go-1.26/bin/go",
];

/// The programs that the rest of this crate starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prerequisites {
    /// Go, recent enough.
    pub go: PathBuf,
}

impl Prerequisites {
    /// Finds everything, and installs what is missing where it can.
    pub fn ensure() -> Result<Self> {
        // Two threads must not run apt-get at once.
        static ONCE: Mutex<Option<Prerequisites>> = Mutex::new(None);
        let mut found = ONCE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = &*found {
            return Ok(found.clone());
        }
        let missing: Vec<&Need> = NEEDS.iter().filter(|need| !need.is_met()).collect();
        if !missing.is_empty() {
            install(&missing)?;
            let still: Vec<&Need> = missing.into_iter().filter(|need| !need.is_met()).collect();
            ensure!(still.is_empty(), explain(&still));
        }
        let prerequisites = Self { go: recent_go()? };
        *found = Some(prerequisites.clone());
        Ok(prerequisites)
    }
}

/// Whether real packets can be filtered here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketFilter {
    /// They can.
    Ready,
    /// This process may not, or this is no Linux; why.
    OutOfReach(String),
}

/// Set where tests with real packets must run, as in CI: then none of them is skipped.
const REQUIRE_PACKETS: &str = "REQUIRE_PACKETS";

/// What tests that need packets are skipped for.
///
/// # Errors
/// Where they must not be skipped, as `REQUIRE_PACKETS` in the environment says.
pub fn without_packets(why: String) -> Result<String> {
    ensure!(
        std::env::var_os(REQUIRE_PACKETS).is_none(),
        "{REQUIRE_PACKETS} is set, and packets are out of reach: {why}"
    );
    Ok(why)
}

impl PacketFilter {
    /// Finds what Felix and network namespaces need, and installs what is missing where it can.
    ///
    /// # Errors
    /// Where it could be there and is not: then tests must not be skipped.
    pub fn ensure() -> Result<Self> {
        // Two threads must not run apt-get at once.
        static ONCE: Mutex<()> = Mutex::new(());
        let _one = ONCE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !cfg!(target_os = "linux") {
            let why = without_packets("real packets need Linux".to_owned())?;
            return Ok(Self::OutOfReach(why));
        }
        if !rustix::process::geteuid().is_root() {
            let why = "real packets need root, for network namespaces and packet filters";
            return Ok(Self::OutOfReach(without_packets(why.to_owned())?));
        }
        let missing = || PACKET_NEEDS.iter().filter(|need| !need.is_met()).collect();
        let first: Vec<&Need> = missing();
        if !first.is_empty() {
            install(&first)?;
            let still: Vec<&Need> = missing();
            ensure!(still.is_empty(), explain(&still));
        }
        Ok(Self::Ready)
    }
}

/// A browser without a window: for tests of the page that `matrix` makes.
///
/// # Errors
/// Where it is missing and cannot be installed.
pub fn browser() -> Result<PathBuf> {
    found(&BROWSER)
}

/// What makes images of containers without an engine.
///
/// # Errors
/// Where it is missing and cannot be installed.
pub fn image_builder() -> Result<PathBuf> {
    found(&IMAGE_BUILDER)
}

/// The shells whose completion is tried, besides the one that everybody has.
///
/// # Errors
/// Where one is missing and cannot be installed.
pub fn shells() -> Result<[PathBuf; 2]> {
    let [zsh, fish] = &SHELLS;
    Ok([found(zsh)?, found(fish)?])
}

fn found(need: &Need) -> Result<PathBuf> {
    static ONCE: Mutex<()> = Mutex::new(());
    let _one = ONCE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if !need.is_met() {
        install(&[need])?;
    }
    in_search_path(need.program).with_context(|| explain(&[need]))
}

/// Takes Debian's package of Prometheus apart into a folder. It is not installed: that would start a server.
///
/// # Errors
/// Where there is no such package, with what to do.
pub fn prometheus_package(folder: &Path) -> Result<()> {
    const MISSING: &str = "prometheus and promtool are missing; please install Prometheus 2.42 or later (Debian: apt-get \
                           install prometheus)";
    ensure!(
        in_search_path("apt-get").is_some() && in_search_path("dpkg-deb").is_some(),
        MISSING
    );
    let download = || {
        let mut command = Command::new("apt-get");
        command
            .args(["download", "--quiet", "prometheus"])
            .current_dir(folder);
        command.output().context("failed to start apt-get")
    };
    let mut fetched = download()?;
    if !fetched.status.success() && rustix::process::geteuid().is_root() {
        // A fresh machine has no lists of packages.
        let updated = Command::new("apt-get").args(["update", "--quiet"]).output();
        updated.context("failed to start apt-get")?;
        fetched = download()?;
    }
    let said = String::from_utf8_lossy(&fetched.stderr);
    ensure!(fetched.status.success(), "{MISSING}: {said}");
    let mut packages = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let package = packages
        .find(|path| path.extension().is_some_and(|it| it == "deb"))
        .context("apt-get downloaded nothing")?;
    let unpacked = Command::new("dpkg-deb")
        .arg("-x")
        .arg(&package)
        .arg(folder)
        .status();
    ensure!(
        unpacked.context("failed to start dpkg-deb")?.success(),
        "dpkg-deb failed"
    );
    fs::remove_file(package).context("failed to remove the package")
}

const BROWSER: Need = Need {
    program: "chromium",
    purpose: "shows the page that matrix makes",
    debian_package: "chromium",
    elsewhere: "Chromium, in the search path as chromium",
};

const IMAGE_BUILDER: Need = Need {
    program: "buildah",
    purpose: "makes the image",
    debian_package: "buildah",
    elsewhere: "buildah 1.28 or later",
};

/// A program, and how to get it.
struct Need {
    program: &'static str,
    purpose: &'static str,
    debian_package: &'static str,
    elsewhere: &'static str,
}

const NEEDS: [Need; 3] = [
    Need {
        program: "go",
        purpose: "builds the control plane",
        debian_package: "golang-go",
        elsewhere: "Go 1.26 or later, from your system's packages or from go.dev",
    },
    Need {
        program: "cc",
        purpose: "links the operator",
        debian_package: "gcc libc6-dev",
        elsewhere: "gcc or clang",
    },
    Need {
        program: "setpriv",
        purpose: "ends children together with their parent",
        debian_package: "util-linux",
        elsewhere: "util-linux 2.33 or later",
    },
];

/// What completion is tried in.
const SHELLS: [Need; 2] = [
    Need {
        program: "zsh",
        purpose: "completes what somebody types",
        debian_package: "zsh",
        elsewhere: "zsh 5.9 or later",
    },
    Need {
        program: "fish",
        purpose: "completes what somebody types",
        debian_package: "fish",
        elsewhere: "fish 3.6 or later",
    },
];

/// What real packets need besides.
const PACKET_NEEDS: [Need; 5] = [
    Need {
        program: "ip",
        purpose: "makes interfaces, addresses and routes of pods",
        debian_package: "iproute2",
        elsewhere: "iproute2",
    },
    Need {
        program: "nsenter",
        purpose: "starts Felix in a network namespace",
        debian_package: "util-linux",
        elsewhere: "util-linux",
    },
    Need {
        program: "iptables-nft",
        purpose: "is what Felix writes rules with",
        debian_package: "iptables",
        elsewhere: "iptables 1.8 or later, with its nft variant",
    },
    Need {
        program: "ipset",
        purpose: "is what Felix keeps addresses in",
        debian_package: "ipset",
        elsewhere: "ipset",
    },
    Need {
        program: "conntrack",
        purpose: "is what Felix ends connections with",
        debian_package: "conntrack",
        elsewhere: "conntrack-tools",
    },
];

impl Need {
    fn is_met(&self) -> bool {
        match self.program {
            "go" => !installed_go().is_empty(),
            program => in_search_path(program).is_some(),
        }
    }
}

/// Installs with apt-get, or says everything that is missing at once.
fn install(missing: &[&Need]) -> Result<()> {
    let can_install = rustix::process::geteuid().is_root()
        && Path::new("/etc/debian_version").exists()
        && in_search_path("apt-get").is_some();
    ensure!(can_install, explain(missing));

    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.debian_package.split(' '))
        .collect();
    eprintln!("installing {} ...", packages.join(", "));
    apt_get(&["update"])
        .and_then(|()| {
            let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
            arguments.extend(&packages);
            apt_get(&arguments)
        })
        .with_context(|| explain(missing))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .arg("--quiet")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .context("failed to start apt-get")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "apt-get {} failed: {log}",
        arguments.join(" ")
    );
    Ok(())
}

fn explain(missing: &[&Need]) -> String {
    let mut text = "some programs are missing; please install:".to_owned();
    for need in missing {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n  {:8} {} (Debian: apt-get install {}; elsewhere: {})",
            need.program, need.purpose, need.debian_package, need.elsewhere
        );
    }
    text
}

/// A Go that is recent enough: an installed one, or one that any older Go fetches.
///
/// Every release of Go is also a Go module, with a checksum in the public
/// checksum database. So Debian's own Go, however old, can fetch the one we need.
fn recent_go() -> Result<PathBuf> {
    let installed = installed_go();
    let recent = installed
        .iter()
        .find(|(_, version)| *version >= GO_MODULES_NEED);
    if let Some((go, _)) = recent {
        return Ok(go.clone());
    }
    let Some((old, version)) = installed.first() else {
        bail!("go is missing");
    };
    eprintln!("fetching Go {GO_RELEASE}, since {version} is installed ...");
    fetch_go(old).with_context(|| {
        format!(
            "go {GO_MODULES_NEED} or later is needed, {} is {version}, and a newer one could not be fetched",
            old.display()
        )
    })
}

fn fetch_go(old: &Path) -> Result<PathBuf> {
    let module = format!(
        "golang.org/toolchain@v0.0.1-go{GO_RELEASE}.linux-{}",
        go_architecture()?
    );
    let download = download_module(old, &module, Path::new("/"))?;
    // The module cache keeps no executable bits.
    for folder in ["bin", "pkg/tool"] {
        make_executable(&download.join(folder))?;
    }
    Ok(download.join("bin").join("go"))
}

fn go_architecture() -> Result<&'static str> {
    Ok(match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no name is known for the architecture {other} in Go"),
    })
}

fn make_executable(folder: &Path) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            make_executable(&path)?;
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// Downloads a Go module into Go's own cache and returns its folder there.
///
/// `module` is a path, whose version the go.mod in `directory` pins, or
/// `path@version`. Its checksum is verified, against go.sum or the checksum
/// database.
pub fn download_module(go: &Path, module: &str, directory: &Path) -> Result<PathBuf> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Download {
        #[serde(default)]
        dir: PathBuf,
        #[serde(default)]
        error: String,
    }

    let output = Command::new(go)
        .args(["mod", "download", "-json", module])
        .current_dir(directory)
        .env("GOTOOLCHAIN", "local")
        .env("GO111MODULE", "on")
        .output()
        .context("failed to start go")?;
    let download: Download = serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "failed to download {module}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    ensure!(
        download.error.is_empty(),
        "failed to download {module}: {}",
        download.error
    );
    ensure!(download.dir.is_dir(), "{module} was downloaded to nowhere");
    Ok(download.dir)
}

/// All Go programs that are installed, the first in the search path first.
fn installed_go() -> Vec<(PathBuf, Version)> {
    let places = in_search_path("go").into_iter();
    places
        .chain(USUAL_PLACES_OF_GO.iter().map(PathBuf::from))
        .filter_map(|go| {
            let output = Command::new(&go)
                .args(["env", "GOVERSION"])
                .env("GOTOOLCHAIN", "local")
                .output()
                .ok()?;
            let version = Version::parse(&String::from_utf8_lossy(&output.stdout))?;
            Some((go, version))
        })
        .collect()
}

fn in_search_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Reads what `go env GOVERSION` prints: `go1.26.8`, `go1.27rc1`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().strip_prefix("go")?.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?;
        let digits = minor
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(minor.len());
        Some(Self {
            major,
            minor: minor[..digits].parse().ok()?,
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let version = |text| Version::parse(text).map(|v| (v.major, v.minor));
        assert_eq!(version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(version("go1.27rc1"), Some((1, 27)));
        assert_eq!(version("go1.19"), Some((1, 19)));
        assert_eq!(version("devel +abc"), None);
    }

    #[test]
    fn older_versions_are_less() {
        assert!(
            Version { major: 1, minor: 9 }
                < Version {
                    major: 1,
                    minor: 26
                }
        );
    }

    #[test]
    fn one_message_lists_all() {
        let message = explain(&NEEDS.iter().collect::<Vec<_>>());
        for need in NEEDS {
            assert!(message.contains(need.program) && message.contains(need.debian_package));
        }
    }
}
