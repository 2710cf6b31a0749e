//! Children that die with their parent, even when that is killed with SIGKILL.
//!
//! The kernel sends the death signal when the *thread* that forked ends, not the
//! process. So every child is forked by one thread that lives as long as the
//! process: a thread of tokio's blocking pool ends when it is idle.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually;

/// How long a child may take to go away once it was killed.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// What to start, and where its output goes.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
}

impl Program {
    /// A program that writes its output to the file `log`. Of our environment it
    /// sees `PATH` and `HOME` only: a proxy or a `KUBECONFIG` of the caller's
    /// must not lead it elsewhere.
    pub fn new(path: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        let environment = ["PATH", "HOME"]
            .into_iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
            .collect();
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment,
            log: log.into(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it. The log is appended to, so that it outlives a restart.
    pub fn start(&self) -> Result<Process> {
        let name = self.path.file_name().map_or_else(
            || "child".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("failed to open the log {}", self.log.display()))?;
        let mut command = command_that_dies_with_us(&self.path);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("failed to share the log")?)
            .stderr(log);
        let child = spawn(command).with_context(|| format!("failed to start {name}"))?;
        Ok(Process {
            id: child.id(),
            name,
            program: self.path.clone(),
            log: self.log.clone(),
            child: Mutex::new(child),
        })
    }
}

/// A running child. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    id: u32,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Process {
    /// The name of its program.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of its program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The file that holds its output.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has written so far.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(&self.log).context("failed to read the log of a child")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        self.child()
            .try_wait()
            .with_context(|| format!("failed to look after {}", self.name))
    }

    /// Fails with the end of its log if it has ended.
    pub fn ensure_running(&self) -> Result<()> {
        let Some(status) = self.exit_status()? else {
            return Ok(());
        };
        bail!(
            "{} ended with {status}:\n{}",
            self.name,
            last_lines(&self.log()?, 15)
        )
    }

    /// Waits until it ends by itself.
    pub async fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        eventually(deadline, &format!("{} to end", self.name), async || {
            self.exit_status()
        })
        .await
    }

    /// Asks it to end (SIGTERM), and kills it after `grace`.
    pub async fn stop(&self, grace: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        // A paused process would see the signal only when it is woken.
        self.signal(Signal::CONT)?;
        match self.wait(grace).await {
            Ok(status) => Ok(status),
            Err(_) => self.kill().await,
        }
    }

    /// Interrupts it (SIGINT), as somebody at a terminal does.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub async fn kill(&self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait(KILL_DEADLINE).await
    }

    /// Stops it in its tracks (SIGSTOP), as a long pause of its machine would.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Process::pause`].
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends a signal; one that comes too late is not an error.
    fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        // While we hold the child and have not seen its end, its id is not given
        // to anybody else.
        if child
            .try_wait()
            .context("failed to look after a child")?
            .is_some()
        {
            return Ok(());
        }
        let pid = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process id out of range")?;
        kill_process(pid, signal)
            .with_context(|| format!("failed to send {signal:?} to {}", self.name))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It may have ended already, and nobody is left to tell.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The last lines of a text, for messages.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// A command for `program` that is killed when this process ends. It must be
/// started with [`spawn`].
#[must_use]
pub fn command_that_dies_with_us(program: impl AsRef<OsStr>) -> Command {
    // setpriv asks for the death signal and then becomes the shell, which becomes
    // the program. If we die before setpriv asked, nobody would send the signal:
    // so the shell looks whether its parent is still ours.
    const BECOME: &str = r#"[ "$PPID" = "$0" ] || exit 1; exec "$@""#;
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "sh", "-c", BECOME])
        .arg(std::process::id().to_string())
        .arg(program);
    command
}

/// Starts a command from the thread that lives as long as this process.
pub fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Option<mpsc::Sender<Request>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Request>();
        let serve = move || {
            for (mut command, answer) in receiver {
                // Whoever asked may have given up.
                let _ = answer.send(command.spawn());
            }
        };
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(serve)
            .ok()?;
        Some(sender)
    });
    let gone = || io::Error::other("the thread that starts children is gone");
    let (answer, result) = mpsc::channel();
    spawner
        .as_ref()
        .ok_or_else(gone)?
        .send((command, answer))
        .map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

type Request = (Command, mpsc::Sender<io::Result<Child>>);

/// Whether a status says that the process was killed by SIGKILL.
#[must_use]
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

#[cfg(test)]
mod tests;
