//! What the runtime of a node does with an image, as far as one process needs it: its file tree as root, read-only, what a
//! kubelet mounts, a user without rights.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Signal, chroot, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, Gid, Uid, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::process::Program;

/// Where a pod finds what it is by, below its root.
const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";
/// The word by which a program of this crate knows that it is to become what is in an image.
const BECOME: &str = "become-a-container";

/// What a kubelet adds to the file tree of an image.
#[derive(Clone, Copy, Debug)]
pub struct Pod<'a> {
    /// A token of its service account.
    pub token: &'a str,
    /// Who signs for the API server: a file of certificates.
    pub authority: &'a Path,
    /// Its namespace.
    pub namespace: &'a str,
    /// `/etc/hosts`.
    pub hosts: &'a str,
    /// `/etc/resolv.conf`.
    pub resolver: &'a str,
}

impl Pod<'_> {
    /// Writes it into a file tree.
    ///
    /// # Errors
    /// Where the tree cannot be written.
    pub fn mount(&self, tree: &Path) -> Result<()> {
        let account = tree.join(ACCOUNT);
        let etc = tree.join("etc");
        for folder in [&account, &etc] {
            std::fs::create_dir_all(folder)?;
        }
        let authority = std::fs::read_to_string(self.authority)
            .with_context(|| format!("failed to read {}", self.authority.display()))?;
        // Written anew, so that whoever the pod runs as may read it.
        for (file, text) in [
            (account.join("ca.crt"), authority.as_str()),
            (account.join("token"), self.token),
            (account.join("namespace"), self.namespace),
            (etc.join("hosts"), self.hosts),
            (etc.join("resolv.conf"), self.resolver),
        ] {
            std::fs::write(&file, text)
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        Ok(())
    }
}

/// A process that sees nothing but a file tree, may write nowhere, and has no rights.
#[derive(Clone, Debug)]
pub struct Confined {
    tree: PathBuf,
    user: u32,
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Confined {
    /// How to start a program of a tree as a user. Needs root. What is started first is this executable, whose `main` has to
    /// call [`Confined::take_over`].
    ///
    /// # Errors
    /// Where nobody knows where this executable is.
    pub fn program(tree: &Path, user: u32, program: &str, log: &Path) -> Result<Program> {
        // A mount of its own, so that it can be read-only there and goes with the process; and the devices that every
        // container has.
        let script = "set -e; mount --bind \"$1\" \"$1\"; mkdir -p \"$1/dev\"; \
                      for device in null random urandom; do \
                      : >\"$1/dev/$device\"; mount --bind \"/dev/$device\" \"$1/dev/$device\"; done; \
                      mount -o remount,bind,ro \"$1\"; exec \"$0\" \"$@\"";
        let executable = std::env::current_exe().context("this executable has no path")?;
        let arguments = ["--mount", "--propagation", "private", "sh", "-c", script];
        Ok(Program::new("unshare", log)
            .arguments(arguments)
            .argument(executable)
            .argument(tree)
            .argument(BECOME)
            .argument(user.to_string())
            .argument(program))
    }

    /// Where this process was started to become what is in an image, it does, and this does not return. Call it first, while
    /// there is one thread.
    ///
    /// # Errors
    /// Where that fails.
    pub fn take_over() -> Result<()> {
        let mut arguments = std::env::args_os().skip(1);
        let (Some(tree), Some(word)) = (arguments.next(), arguments.next()) else {
            return Ok(());
        };
        if word != BECOME {
            return Ok(());
        }
        let user = arguments.next().context("no user")?;
        let confined = Self {
            tree: tree.into(),
            user: user.to_str().context("no user")?.parse()?,
            program: arguments.next().context("no program")?.into(),
            arguments: arguments.collect(),
        };
        match confined.become_it()? {}
    }

    fn become_it(self) -> Result<Infallible> {
        chroot(&self.tree).context("failed to change the root")?;
        std::env::set_current_dir("/")?;
        set_no_new_privs(true)?;
        clear_ambient_capability_set()?;
        for capability in CapabilitySet::all().iter() {
            remove_capability_from_bounding_set(capability)
                .or_else(|error| {
                    // An older kernel does not know all of them.
                    (error == rustix::io::Errno::INVAL)
                        .then_some(())
                        .ok_or(error)
                })
                .context("failed to drop a capability")?;
        }
        set_thread_groups(&[])?;
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.user));
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
        // The kernel forgets it when the user changes.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let error = Command::new(&self.program).args(&self.arguments).exec();
        Err(error).with_context(|| format!("failed to start {}", self.program.display()))
    }
}
