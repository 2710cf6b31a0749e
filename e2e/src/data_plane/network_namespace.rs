//! A network namespace of our own: its interfaces, addresses, routes and packet filters.
//!
//! It has no name anywhere. It lives while the process that holds it does, which dies with us, and
//! the kernel clears it away with all that is in it.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;

use crate::process::{Process, Program};
use crate::wait::eventually;

const STARTED: Duration = Duration::from_secs(10);

const FRESH: std::ops::Range<u16> = 1024..32_768;

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace.
pub struct NetworkNamespace {
    holder: Process,
    /// To the thread that is in it. A socket belongs to the namespace that it was made in, whoever
    /// uses it later, so that thread makes the sockets and everything else goes on as usual.
    jobs: mpsc::Sender<Job>,
    /// Counts the ports that were given out.
    ports: AtomicU16,
}

impl NetworkNamespace {
    /// Makes one; `name` tells its log in `folder`.
    pub async fn create(name: &str, folder: &Path) -> Result<Self> {
        let holder = Program::new("unshare", folder.join(format!("{name}.log")))
            .arguments(["--net", "sleep", "infinity"])
            .start()?;
        let path = format!("/proc/{}/ns/net", holder.id());
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        eventually(STARTED, "a network namespace", async || {
            holder.ensure_running()?;
            Ok((std::fs::read_link(&path)? != ours).then_some(()))
        })
        .await?;
        let file = File::open(&path).context("failed to open a network namespace")?;
        let (jobs, received) = mpsc::channel::<Job>();
        let (entered, entering) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("in {name}"))
            .spawn(move || {
                let result =
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network));
                let is_in = result.is_ok();
                // Whoever asked may have given up.
                let _ = entered.send(result);
                if is_in {
                    for job in received {
                        job();
                    }
                }
            })
            .context("failed to start a thread")?;
        entering
            .await
            .context("the thread of a network namespace is gone")?
            .context("failed to enter a network namespace")?;
        let namespace = Self {
            holder,
            jobs,
            ports: AtomicU16::new(0),
        };
        namespace.ip("link set lo up").await?;
        Ok(namespace)
    }

    /// The process that holds it, by which `ip` and `nsenter` know it.
    #[must_use]
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// A port to send from that was not given out for a long time. The kernel's own choice may be one of a moment ago,
    /// and a datagram from there belongs to what was open then, whatever policies say now.
    #[must_use]
    pub fn fresh_port(&self) -> u16 {
        // Below those that the kernel chooses from.
        FRESH.start + self.ports.fetch_add(1, Ordering::Relaxed) % (FRESH.end - FRESH.start)
    }

    /// Does something on the thread that is in it: makes a socket, writes a setting.
    pub async fn inside<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever asked may have given up.
            let _ = answer.send(job());
        });
        let gone = "the thread of a network namespace is gone";
        self.jobs.send(job).ok().context(gone)?;
        answered.await.context(gone)
    }

    /// Runs commands of `ip`, one a line, the first that fails being the last.
    pub async fn ip(&self, commands: &str) -> Result<()> {
        let commands = commands.to_owned();
        self.inside(move || {
            let mut child = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .context("failed to start ip")?;
            let mut stdin = child.stdin.take().context("ip has no input")?;
            stdin.write_all(commands.as_bytes())?;
            drop(stdin);
            let output = child.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(
                output.status.success(),
                "ip failed: {said}\nof:\n{commands}"
            );
            Ok(())
        })
        .await?
    }

    /// Sets a parameter of the kernel for it, such as `ipv4/ip_forward`.
    pub async fn set(&self, parameter: &str, value: &'static str) -> Result<()> {
        let path = format!("/proc/sys/net/{parameter}");
        self.inside(move || {
            std::fs::write(&path, value).with_context(|| format!("failed to write {path}"))
        })
        .await?
    }

    /// A program that runs in it.
    #[must_use]
    pub fn program(&self, program: &Path, log: &Path) -> Program {
        Program::new("nsenter", log)
            .argument(format!("--net=/proc/{}/ns/net", self.holder()))
            .argument(program)
    }
}
