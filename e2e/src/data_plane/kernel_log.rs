//! The kernel's log, which the packets that a policy logs are told in.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::prerequisites::without_packets;

/// Whether packets of network namespaces other than the first are logged at all.
const SETTING: &str = "/proc/sys/net/netfilter/nf_log_all_netns";
const LOG: &str = "/dev/kmsg";
const DRAINED_EVERY: Duration = Duration::from_millis(5);

/// Reads what the kernel logs from now on. Once the last of these on the machine is gone, the kernel's setting is as it
/// was before the first.
pub struct KernelLog {
    log: Arc<Mutex<Drained>>,
    /// Whoever drains it ends when nobody waits here any more.
    _wanted: mpsc::Sender<()>,
    _setting: AllNamespaces,
}

/// The log, and what was read of it. The kernel keeps some hundred records only, and other tests send many packets.
struct Drained {
    log: File,
    lines: Vec<String>,
    failed: Option<std::io::Error>,
}

impl Drained {
    /// Reads what there is.
    fn drain(&mut self) {
        let mut record = vec![0; 8192];
        loop {
            match self.log.read(&mut record) {
                Ok(0) => return,
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    self.lines.extend(text.lines().map(str::to_owned));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Records that were overwritten before they were read.
                Err(error) if error.raw_os_error() == Some(EPIPE) => {}
                Err(error) => {
                    self.failed = Some(error);
                    return;
                }
            }
        }
    }
}

/// Drains the log until nobody wants it any more.
fn keep_drained(log: &Mutex<Drained>, wanted: &mpsc::Receiver<()>) {
    while wanted.recv_timeout(DRAINED_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
        log.lock().unwrap_or_else(PoisonError::into_inner).drain();
    }
}

/// Has packets of every network namespace logged, for as long as one of these lives: a process of its own, so that it
/// puts the setting back even where we are killed.
struct AllNamespaces(Child);

/// What it was before the first is kept in a file while anybody wants it. Those who want it share a lock on the setting
/// itself; whoever finds at its end that nobody else has one puts it back. They begin and end one at a time, by a lock on
/// the folder. One that is killed itself leaves the file to the next.
const GUARD: &str = r#"
exec 9<"$1" && exec 8<"${1%/*}" && flock -x 8 || exit
[ -s "$2" ] || cat "$1" >"$2" || exit
echo 1 >"$1" || exit
flock -s 9 && flock -u 8
echo set
read -r _
flock -x 8
flock -u 9
if flock -n -x 9; then
    cat "$2" >"$1"
    rm -f "$2"
fi
"#;

impl AllNamespaces {
    /// `lives` ends when whoever wants it does.
    fn want(setting: &Path, kept: &Path, lives: Stdio) -> Result<Self> {
        // Not of our session: what is meant for all of us does not end it.
        let mut guard = Command::new("setsid")
            .args(["sh", "-c", GUARD, "guard"])
            .args([setting, kept])
            .stdin(lives)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("failed to start setsid")?;
        let said = guard.stdout.take().context("it has no output")?;
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        if line.trim() != "set" {
            let mut why = String::new();
            let errors = guard.stderr.as_mut().context("it has no errors")?;
            errors.read_to_string(&mut why)?;
            guard.wait()?;
            anyhow::bail!("{}", why.trim());
        }
        Ok(Self(guard))
    }
}

impl Drop for AllNamespaces {
    fn drop(&mut self) {
        // It ends with its input. Nobody is left to hear of a failure.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Where the setting is kept; one place for all on the machine.
fn kept() -> PathBuf {
    std::env::temp_dir().join("nf_log_all_netns.before")
}

impl KernelLog {
    /// Opens the log; or says why it cannot be read here.
    ///
    /// # Errors
    /// Where tests must not be skipped for that.
    pub fn open() -> Result<std::result::Result<Self, String>> {
        let setting = match AllNamespaces::want(Path::new(SETTING), &kept(), Stdio::piped()) {
            Ok(setting) => setting,
            Err(error) => {
                return without_packets(format!("{SETTING} cannot be set: {error:#}")).map(Err);
            }
        };
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(LOG);
        let mut log = match opened {
            Ok(log) => log,
            Err(error) => {
                return without_packets(format!("{LOG} cannot be read: {error}")).map(Err);
            }
        };
        log.seek(SeekFrom::End(0))
            .context("failed to go to the end of the kernel's log")?;
        let log = Arc::new(Mutex::new(Drained {
            log,
            lines: Vec::new(),
            failed: None,
        }));
        let (wanted, is_wanted) = mpsc::channel();
        let drained = log.clone();
        thread::spawn(move || keep_drained(&drained, &is_wanted));
        Ok(Ok(Self {
            log,
            _wanted: wanted,
            _setting: setting,
        }))
    }

    /// The lines since the log was opened or read last.
    ///
    /// # Errors
    ///
    /// If the log cannot be read, or somebody else has set the kernel to leave lines out.
    pub fn read(&mut self) -> Result<Vec<String>> {
        let setting = fs::read_to_string(SETTING).context("failed to read a setting")?;
        ensure!(
            setting.trim() == "1",
            "{SETTING} is {} now, so packets may be missing in the log",
            setting.trim()
        );
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.drain();
        match log.failed.take() {
            Some(error) => Err(error).context("failed to read the kernel's log"),
            None => Ok(std::mem::take(&mut log.lines)),
        }
    }
}

const EPIPE: i32 = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::eventually;

    /// Somebody who wants it, to be killed.
    struct Killed {
        lives: Child,
        setting: AllNamespaces,
    }

    impl Killed {
        fn begins(folder: &Path) -> Self {
            let mut lives = Command::new("sleep")
                .arg("infinity")
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = lives.stdout.take().unwrap();
            let (setting, kept) = (folder.join("setting"), folder.join("kept"));
            let setting = AllNamespaces::want(&setting, &kept, output.into()).unwrap();
            Self { lives, setting }
        }

        fn dies(mut self) {
            self.lives.kill().unwrap();
            self.lives.wait().unwrap();
        }
    }

    async fn becomes(folder: &Path, setting: &str, is_kept: bool) {
        eventually(Duration::from_secs(10), "the setting", async || {
            let found = fs::read_to_string(folder.join("setting"))?;
            ensure!(found.trim() == setting, "it is {found}");
            ensure!(folder.join("kept").exists() == is_kept);
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn who_dies_leaves_the_setting_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("setting"), "0\n").unwrap();
        let (first, second) = (Killed::begins(folder), Killed::begins(folder));
        becomes(folder, "1", true).await;
        first.dies();
        becomes(folder, "1", true).await;
        second.dies();
        becomes(folder, "0", false).await;
        // Nor does one lose what it was whose guard is killed, too.
        let mut third = Killed::begins(folder);
        third.setting.0.kill().unwrap();
        third.dies();
        becomes(folder, "1", true).await;
        Killed::begins(folder).dies();
        becomes(folder, "0", false).await;
    }

    #[test]
    fn what_cannot_be_set_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (setting, kept) = (folder.path().join("none"), folder.path().join("kept"));
        let refused = AllNamespaces::want(&setting, &kept, Stdio::piped());
        let told = refused.err().unwrap().to_string();
        assert!(told.contains("none"), "{told}");
    }
}
