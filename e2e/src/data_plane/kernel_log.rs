//! The kernel's log, which the packets that a policy logs are told in.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context, Result};

/// Whether packets of network namespaces other than the first are logged at all.
const SETTING: &str = "/proc/sys/net/netfilter/nf_log_all_netns";
const LOG: &str = "/dev/kmsg";

/// Reads what the kernel logs from now on. Dropped, the kernel's setting is as it was.
pub struct KernelLog {
    log: File,
    before: String,
}

impl KernelLog {
    /// Opens the log; or says why it cannot be read here.
    pub fn open() -> Result<std::result::Result<Self, String>> {
        let before = match fs::read_to_string(SETTING) {
            Ok(before) => before,
            Err(error) => return Ok(Err(format!("{SETTING} cannot be read: {error}"))),
        };
        if let Err(error) = fs::write(SETTING, "1") {
            return Ok(Err(format!("{SETTING} cannot be set: {error}")));
        }
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(LOG);
        let mut log = match opened {
            Ok(log) => log,
            Err(error) => return Ok(Err(format!("{LOG} cannot be read: {error}"))),
        };
        log.seek(SeekFrom::End(0))
            .context("failed to go to the end of the kernel's log")?;
        Ok(Ok(Self { log, before }))
    }

    /// The lines since the log was opened or read last.
    pub fn read(&mut self) -> Result<Vec<String>> {
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

impl Drop for KernelLog {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        let _ = fs::write(SETTING, self.before.trim());
    }
}
