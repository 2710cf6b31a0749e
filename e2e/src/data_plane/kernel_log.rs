//! The kernel's log, which the packets that a policy logs are told in.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::prerequisites::without_packets;

/// Whether packets of network namespaces other than the first are logged at all.
const SETTING: &str = "/proc/sys/net/netfilter/nf_log_all_netns";
const LOG: &str = "/dev/kmsg";

/// Reads what the kernel logs from now on. When the last of a process is dropped, the
/// kernel's setting is as it was.
pub struct KernelLog {
    log: File,
    _setting: AllNamespaces,
}

/// Has packets of every network namespace logged, for as long as one of these lives.
struct AllNamespaces;

/// How many want it, and what the setting was before the first.
static WANTED: Mutex<(usize, String)> = Mutex::new((0, String::new()));

impl AllNamespaces {
    fn want() -> std::io::Result<Self> {
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.0 == 0 {
            wanted.1 = fs::read_to_string(SETTING)?;
            fs::write(SETTING, "1")?;
        }
        wanted.0 += 1;
        Ok(Self)
    }
}

impl Drop for AllNamespaces {
    fn drop(&mut self) {
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.0 -= 1;
        if wanted.0 == 0 {
            // Nobody is left to hear of a failure.
            let _ = fs::write(SETTING, wanted.1.trim());
        }
    }
}

impl KernelLog {
    /// Opens the log; or says why it cannot be read here.
    ///
    /// # Errors
    /// Where tests must not be skipped for that.
    pub fn open() -> Result<std::result::Result<Self, String>> {
        let setting = match AllNamespaces::want() {
            Ok(setting) => setting,
            Err(error) => {
                return without_packets(format!("{SETTING} cannot be set: {error}")).map(Err);
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
        Ok(Ok(Self {
            log,
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
        let mut lines = Vec::new();
        let mut record = vec![0; 8192];
        loop {
            match self.log.read(&mut record) {
                Ok(0) => return Ok(lines),
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    lines.extend(text.lines().map(str::to_owned));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lines),
                // Records that were overwritten before they were read.
                Err(error) if error.raw_os_error() == Some(EPIPE) => {}
                Err(error) => return Err(error).context("failed to read the kernel's log"),
            }
        }
    }
}

const EPIPE: i32 = 32;
