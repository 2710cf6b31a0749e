//! Where things are: the workspace, and the folder under `target/` that holds
//! everything this crate leaves on the disk.

use std::path::{Path, PathBuf};

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().unwrap_or(member).to_path_buf()
}

/// The folder of the Go modules that pin what is built from Go.
#[must_use]
pub fn go_modules() -> PathBuf {
    root().join("e2e").join("go")
}

/// `target/e2e`: built programs, and the state of clusters that run.
#[must_use]
pub fn state() -> PathBuf {
    target().join("e2e")
}

/// Where Cargo puts what it builds.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root().join("target"),
        // Cargo reads a relative one from where it was started, which for
        // `cargo test` and `cargo run` need not be where we are now.
        |target| root().join(target),
    )
}
