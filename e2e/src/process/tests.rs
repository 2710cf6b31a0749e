use super::*;

fn sleeper(directory: &Path) -> Process {
    let log = directory.join("log");
    Program::new("sleep", log).argument("600").start().unwrap()
}

/// A folder under the workspace's target folder.
fn directory(name: &str) -> PathBuf {
    let directory = crate::workspace::state().join("unit-tests").join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn state_of(process: &Process) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[tokio::test]
async fn stops_when_asked() {
    let process = sleeper(&directory("stop"));
    let status = process.stop(Duration::from_secs(5)).await.unwrap();
    assert!(!was_killed(status), "{status}");
    assert!(process.ensure_running().is_err());
}

#[tokio::test]
async fn is_killed_when_it_does_not_listen() {
    let log = directory("deaf").join("log");
    let _ = fs::remove_file(&log);
    let process = Program::new("sh", log)
        .arguments([
            "-c",
            "trap '' TERM; echo deaf; while :; do sleep 0.05; done",
        ])
        .start()
        .unwrap();
    eventually(Duration::from_secs(5), "the trap", async || {
        Ok(process.log()?.contains("deaf").then_some(()))
    })
    .await
    .unwrap();
    let status = process.stop(Duration::from_millis(200)).await.unwrap();
    assert!(was_killed(status), "{status}");
}

#[tokio::test]
async fn pauses_and_goes_on() {
    let process = sleeper(&directory("pause"));
    process.pause().unwrap();
    eventually(Duration::from_secs(5), "the pause", async || {
        Ok((state_of(&process) == Some('T')).then_some(()))
    })
    .await
    .unwrap();
    process.resume().unwrap();
    eventually(Duration::from_secs(5), "the end of the pause", async || {
        Ok((state_of(&process) == Some('S')).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn dropping_kills() {
    let process = sleeper(&directory("drop"));
    let entry = PathBuf::from(format!("/proc/{}", process.id()));
    drop(process);
    assert!(!entry.exists());
}

#[test]
fn the_last_lines_are_the_last() {
    assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
    assert_eq!(last_lines("a", 2), "a");
}
