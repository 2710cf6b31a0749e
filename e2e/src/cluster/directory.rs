//! The folder of one cluster, and the removal of folders that were left behind.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

use crate::workspace;

/// Held for as long as the cluster is there; the kernel lets go of it when the
/// process dies, however it dies.
const LOCK: &str = "lock";

/// The folder of one cluster.
#[derive(Debug)]
pub(super) struct ClusterDirectory {
    path: PathBuf,
    _lock: File,
}

impl ClusterDirectory {
    /// Makes a new folder, and removes those whose owner is gone.
    pub(super) fn create() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let all = workspace::state().join("clusters");
        fs::create_dir_all(&all).context("failed to make the folder of clusters")?;
        // A folder that is being made holds no lock yet, so one sweeps or makes at
        // a time.
        let turn = File::create(all.join(".lock")).context("failed to open a lock file")?;
        turn.lock()
            .context("failed to lock the folder of clusters")?;
        remove_abandoned(&all)?;

        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = all.join(format!("{}-{count}", std::process::id()));
        fs::create_dir_all(&path).context("failed to make the folder of a cluster")?;
        let lock = File::create(path.join(LOCK)).context("failed to open a lock file")?;
        lock.try_lock()
            .context("the folder of a new cluster is locked")?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The logs in the folder, readable also when the cluster is gone.
    pub(super) fn logs(&self) -> Logs {
        Logs {
            folder: self.path.clone(),
        }
    }

    pub(super) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.path).context("failed to remove the folder of a cluster")
    }
}

fn remove_abandoned(all: &Path) -> Result<()> {
    for entry in fs::read_dir(all).context("failed to list the clusters")? {
        let folder = entry?.path();
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => fs::remove_dir_all(&folder).context("failed to remove an old cluster")?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).context("failed to look whether a cluster is in use");
            }
        }
    }
    Ok(())
}

/// The logs of a cluster.
pub(super) struct Logs {
    folder: PathBuf,
}

impl Logs {
    /// Whether any of them holds these words.
    pub(super) fn say(&self, words: &str) -> bool {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return false;
        };
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(words)))
    }
}
