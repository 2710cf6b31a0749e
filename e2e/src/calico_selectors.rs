//! What Calico itself makes of selectors: the reference for the operator's evaluator.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::binaries;
use crate::install::calico_sources;
use crate::process::{command_that_dies_with_us, spawn};
use crate::progress::Progress;

/// A selector, and labels that it may select.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The text of the selector.
    pub selector: String,
    /// Sets of labels.
    #[serde(default, deserialize_with = "or_none")]
    pub labels: Vec<BTreeMap<String, String>>,
}

/// What Calico makes of it.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Why it is no selector; empty where it is one.
    #[serde(default)]
    pub error: String,
    /// Whether it selects each set of labels.
    #[serde(default)]
    pub matches: Vec<bool>,
}

/// A row of the tables in Calico's own tests.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is asked.
    #[serde(flatten)]
    pub question: Question,
    /// What is expected.
    #[serde(flatten)]
    pub answer: Answer,
    /// A selector that means the same.
    #[serde(default, rename = "sameAs")]
    pub same_as: Option<String>,
}

fn or_none<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The program around Calico's selectors.
#[derive(Clone, Debug)]
pub struct CalicoSelectors(PathBuf);

impl CalicoSelectors {
    /// Finds the program, or builds it.
    pub fn ensure() -> Result<Self> {
        binaries::calico_selectors(&Progress::new()).map(Self)
    }

    /// Asks, and returns an answer for each question.
    pub fn answers(&self, questions: &[Question]) -> Result<Vec<Answer>> {
        let mut command = command_that_dies_with_us(&self.0);
        command.stdin(Stdio::piped());
        let said = output(command, |input| {
            for question in questions {
                serde_json::to_writer(&mut *input, question)?;
                input.write_all(b"\n")?;
            }
            Ok(())
        })?;
        let answers: Vec<Answer> = lines(&said)?;
        ensure!(
            answers.len() == questions.len(),
            "{} questions, {} answers",
            questions.len(),
            answers.len()
        );
        Ok(answers)
    }

    /// The tables that Calico tests its own parser with.
    pub fn tables(&self) -> Result<Vec<Row>> {
        let tests = Path::new("libcalico-go/lib/selector/parser/parser_test.go");
        let mut command = command_that_dies_with_us(&self.0);
        command
            .arg(calico_sources()?.join(tests))
            .stdin(Stdio::piped());
        lines(&output(command, |_| Ok(()))?)
    }
}

fn lines<T: for<'de> Deserialize<'de>>(said: &[u8]) -> Result<Vec<T>> {
    let values = serde_json::Deserializer::from_slice(said).into_iter();
    values
        .collect::<serde_json::Result<_>>()
        .context("the program answers in another form")
}

/// Runs a program, and writes to it while it answers.
fn output(
    mut command: Command,
    write: impl FnOnce(&mut BufWriter<std::process::ChildStdin>) -> Result<()> + Send,
) -> Result<Vec<u8>> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let input = child.stdin.take().context("the program has no input")?;
    let (written, output) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut input = BufWriter::new(input);
            write(&mut input)?;
            input.flush().context("failed to write to the program")
        });
        let output = child.wait_with_output();
        (writer.join(), output)
    });
    let output = output?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    match written {
        Ok(written) => written?,
        Err(panic) => std::panic::resume_unwind(panic),
    }
    Ok(output.stdout)
}
