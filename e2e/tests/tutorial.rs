//! The tutorial, as a reader follows it: every command of docs/tutorial.md is run, and prints what stands there.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::binaries::{OperatorBinaries, Profile};
use e2e::process::{command_that_dies_with_us, spawn};
use e2e::scenario::{self, Shared};
use e2e::{scenarios, workspace};

/// What stands for anything: a line of its own for any lines, or a part of one.
const ANYTHING: &str = "…";
const LONG: Duration = Duration::from_mins(8);
/// What the demo prints for another terminal.
const EXPORTS: usize = 2;

struct Fixture {
    operator: PathBuf,
}

impl Shared for Fixture {
    async fn start() -> Result<Self> {
        let build = tokio::task::spawn_blocking(|| OperatorBinaries::ensure(Profile::Test));
        let operator = build.await??.operator;
        Ok(Self { operator })
    }

    async fn stop(self) -> Result<()> {
        Ok(())
    }
}

fn main() -> ExitCode {
    scenario::run::<Fixture>(scenarios![
        every_command_of_the_tutorial_does_what_it_says within LONG,
        what_differs_from_the_tutorial_is_seen,
    ])
}

async fn every_command_of_the_tutorial_does_what_it_says(fixture: &Fixture) -> Result<()> {
    let operator = fixture.operator.clone();
    tokio::task::spawn_blocking(move || follow(operator)).await?
}

fn follow(operator: PathBuf) -> Result<()> {
    let text = fs::read_to_string(workspace::root().join("docs/tutorial.md"))?;
    let mut steps = steps(&text)?.into_iter();
    let first = steps.next().context("no commands")?;
    let arguments = first
        .command
        .strip_prefix("cargo demo")
        .with_context(|| format!("it begins with {}", first.command))?;
    let mut demo = Demo::start(operator, arguments)?;
    let exports = demo.exports()?;

    let left = workspace::root().join("target/tutorial");
    if left.exists() {
        fs::remove_dir_all(&left)?;
    }
    let mut shell = Shell::start()?;
    for export in exports {
        ensure!(shell.run(&export)?.1 == 0, "{export}");
    }
    let (mut transcript, mut wrong) = (String::new(), String::new());
    let mut count = 0;
    for step in steps {
        let (printed, code) = shell.run(&step.command)?;
        writeln!(
            transcript,
            "$ {}\n{}[exit code {code}]\n",
            step.command, printed
        )?;
        let lines: Vec<_> = printed.lines().collect();
        if code != step.code || !matches(&step.expected, &lines) {
            writeln!(
                wrong,
                "$ {}\nends with {code} and prints:\n{printed}",
                step.command
            )?;
        }
        count += 1;
    }
    let told = workspace::state().join("tutorial.txt");
    fs::write(&told, transcript)?;
    demo.stop()?;
    ensure!(count > 20, "only {count} commands");
    ensure!(
        wrong.is_empty(),
        "{wrong}\nAll that was printed stands in {}",
        told.display()
    );
    Ok(())
}

/// A command, and what it should print and end with.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    expected: Vec<String>,
    code: i32,
}

/// The commands of all blocks of a console.
fn steps(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != "```console" {
            continue;
        }
        for line in lines.by_ref().take_while(|line| *line != "```") {
            let goes_on = steps.last().is_some_and(|step| is_open(&step.command));
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (_, Some(step)) if goes_on => {
                    step.command.push('\n');
                    step.command.push_str(line);
                }
                (Some(command), _) => steps.push(Step {
                    command: command.to_owned(),
                    expected: Vec::new(),
                    code: 0,
                }),
                (None, Some(step)) => match ended(line) {
                    Some(code) => step.code = code,
                    None => step.expected.push(line.to_owned()),
                },
                (None, None) => bail!("a block begins with {line}"),
            }
        }
    }
    Ok(steps)
}

/// Whether a text for a command goes on.
fn is_open(command: &str) -> bool {
    command.contains("<<'END'") && !command.ends_with("\nEND")
}

fn ended(line: &str) -> Option<i32> {
    let code = line.strip_prefix("[exit code ")?.strip_suffix(']')?;
    code.parse().ok()
}

/// Whether lines are as expected.
fn matches(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == ANYTHING => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, printed)| fits(first, line.trim_end()) && matches(rest, printed)),
    }
}

/// Whether a line is as expected.
fn fits(expected: &str, line: &str) -> bool {
    match expected.split_once(ANYTHING) {
        None => expected == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            let mut ends = line.char_indices().map(|(at, _)| at).chain([line.len()]);
            ends.any(|at| fits(rest, &line[at..]))
        }),
    }
}

async fn what_differs_from_the_tutorial_is_seen(_: &Fixture) -> Result<()> {
    let text = "```console\n$ cat <<'END'\na\n$ b\nEND\n$ false\nsaid\n…\n[exit code 1]\n```\n";
    let steps = steps(text)?;
    ensure!(steps.len() == 2, "{steps:?}");
    ensure!(steps[0].command == "cat <<'END'\na\n$ b\nEND", "{steps:?}");
    ensure!(steps[1].code == 1 && steps[1].expected == ["said", "…"]);
    let expected = |lines: &[&str]| lines.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    ensure!(matches(&expected(&["a", "…", "d"]), &["a", "b", "c", "d"]));
    ensure!(matches(&expected(&["after … s"]), &["after 2.4 s"]));
    ensure!(!matches(&expected(&["after … s"]), &["after 2.4 ms?"]));
    ensure!(!matches(&expected(&["a"]), &["a", "b"]));
    ensure!(!matches(&expected(&["a", "b"]), &["a"]));
    let mut shell = Shell::start()?;
    let failed = shell.run("echo out; echo err >&2; false | cat")?;
    ensure!(failed == ("out\nerr\n".to_owned(), 1), "{failed:?}");
    ensure!(shell.run("printf unfinished")? == ("unfinished\n".to_owned(), 0));
    Ok(())
}

/// The demo that the reader left running.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    fn start(operator: PathBuf, arguments: &str) -> Result<Self> {
        let mut command = command_that_dies_with_us(env!("CARGO_BIN_EXE_demo"));
        command
            .arg("--operator")
            .arg(operator)
            .args(arguments.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = spawn(command).context("failed to start the demo")?;
        let stdout = child.stdout.take().context("the demo has no output")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    /// What it says another terminal needs.
    fn exports(&mut self) -> Result<Vec<String>> {
        let mut exports = Vec::new();
        let mut printed = String::new();
        while exports.len() < EXPORTS {
            let line = self.lines.next();
            let line = line.with_context(|| format!("the demo ended early:\n{printed}"))??;
            let trimmed = line.trim_start();
            if trimmed.starts_with("export ") {
                exports.push(trimmed.to_owned());
            }
            printed.push_str(&line);
            printed.push('\n');
        }
        Ok(exports)
    }

    /// Ctrl-C.
    fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        let id = rustix::process::Pid::from_raw(id).context("no process")?;
        rustix::process::kill_process(id, rustix::process::Signal::INT)?;
        // What it prints meanwhile has to be read.
        for line in self.lines.by_ref() {
            line?;
        }
        let ended = self.child.wait()?;
        ensure!(ended.success(), "the demo ended with {ended}");
        Ok(())
    }
}

/// A terminal in the folder of the repository.
struct Shell {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    const END: &str = "--- that was it, code ";

    fn start() -> Result<Self> {
        let mut command = command_that_dies_with_us("bash");
        command
            .args(["--noprofile", "--norc", "-o", "pipefail"])
            .current_dir(workspace::root())
            .env("KUBECACHEDIR", workspace::state().join("tutorial-cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = spawn(command).context("failed to start bash")?;
        let mut stdin = child.stdin.take().context("no input")?;
        let stdout = child.stdout.take().context("no output")?;
        writeln!(stdin, "exec 2>&1")?;
        Ok(Self {
            _child: child,
            stdin,
            lines: BufReader::new(stdout).lines(),
        })
    }

    /// What a command prints, and its exit code.
    fn run(&mut self, command: &str) -> Result<(String, i32)> {
        // It must not read what follows as its own input.
        writeln!(
            self.stdin,
            "{{ {command}\n}} </dev/null; printf '\\n{}%d\\n' \"$?\"",
            Self::END
        )?;
        let mut printed = String::new();
        loop {
            let line = self.lines.next().context("the shell ended")??;
            if let Some(code) = line.strip_prefix(Self::END) {
                // One line end is the shell's own.
                if printed.ends_with("\n\n") || printed == "\n" {
                    printed.pop();
                }
                return Ok((printed, code.parse()?));
            }
            printed.push_str(&line);
            printed.push('\n');
        }
    }
}
