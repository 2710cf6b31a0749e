//! From what `az` printed to resources, or to what is wrong with it.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::document::{self, Document, Flaw, Position};
use crate::cli::finding::Finding;
use crate::cli::source::{self, MAX_FILE_BYTES, ReadError, SourceFile};
use crate::domain::FieldPath;
use crate::posture::{GivenFile, InputFile, InputProblem};

/// Files that are read, and what is wrong with them. One that is wrong holds up no other.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// What tells of Azure.
    pub given: Vec<GivenFile>,
    /// What was given besides, and could not be read.
    pub unread: BTreeSet<InputFile>,
    /// All files, as they are written.
    pub sources: Vec<SourceFile>,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
    /// What could not be read.
    pub failures: Vec<ReadError>,
    is_stdin_read: bool,
}

impl Reading {
    /// Whether all could be read.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty() && self.failures.is_empty()
    }

    /// Reads a file that tells of Azure.
    pub fn file(&mut self, input: InputFile, path: &Path, stdin: &mut dyn Read) {
        let before = (self.findings.len(), self.failures.len());
        for file in self.texts(path, stdin) {
            match parsed(&file.text) {
                Ok(content) => self.given.push(GivenFile {
                    input,
                    name: file.name.clone(),
                    content,
                }),
                Err(flaw) => self.findings.push(Finding::of_flaw(&file.name, &flaw)),
            }
            self.sources.push(file);
        }
        if before != (self.findings.len(), self.failures.len()) {
            self.unread.insert(input);
        }
    }

    /// The files at a path: itself, or those of a folder.
    pub fn texts(&mut self, path: &Path, stdin: &mut dyn Read) -> Vec<SourceFile> {
        if path.as_os_str() == "-" && std::mem::replace(&mut self.is_stdin_read, true) {
            let message = "standard input is read once: name a file";
            self.findings.push(Finding::of_file("<stdin>", message));
            return Vec::new();
        }
        let paths = [PathBuf::from(path)];
        let sources = source::read_for(&paths, stdin, MAX_FILE_BYTES, |_| true);
        self.findings.extend(sources.findings);
        self.failures.extend(sources.failures);
        sources.files
    }

    /// Tells what is wrong with a field, where it is written.
    pub fn problem(&mut self, problem: &InputProblem) {
        let InputProblem { file, problem, .. } = problem;
        let source = self.sources.iter().find(|it| it.name == *file);
        let stream = source.map(|it| document::parse(&it.text));
        let document = stream.and_then(|it| it.documents.into_iter().next());
        let start = Position { line: 1, column: 1 };
        let at = document.map_or(start, |it| it.root.locate(&problem.path));
        let problem = problem.clone();
        let flaw = Flaw { at, problem };
        self.findings.push(Finding::of_flaw(file, &flaw));
    }
}

/// What a text holds: JSON or YAML, as `-o json` and `-o yaml` print it.
fn parsed(text: &str) -> Result<Value, Flaw> {
    let text = text.trim_start_matches('\u{feff}');
    let wrong = |line: usize, column: usize, rule: String| {
        let at = Position { line, column };
        Flaw::new(at, FieldPath::default(), "", rule)
    };
    let start = text.trim_start();
    if start.is_empty() {
        let rule = "nothing stands here: the command that should have printed it failed, or printed elsewhere";
        return Err(wrong(1, 1, rule.to_owned()));
    }
    if start.starts_with(['{', '[']) {
        return serde_json::from_str(text).map_err(|error| {
            let rule = format!(
                "this is not JSON: {error}: give what the command prints, and nothing else"
            );
            wrong(error.line().max(1), error.column().max(1), rule)
        });
    }
    let mut stream = document::parse(text);
    if let Some(flaw) = stream.syntax.pop() {
        return Err(flaw);
    }
    match stream.documents.as_slice() {
        [Document { root, .. }] => Ok(root.to_json()),
        several => {
            let rule = format!("one document is expected, and there are {}", several.len());
            Err(wrong(1, 1, rule))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(text: &str) -> String {
        let flaw = parsed(text).unwrap_err();
        format!("{}: {}", flaw.at, flaw.message())
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let expected = json!({"a": [1, null], "b": "c"});
        assert_eq!(
            parsed("\u{feff}{\"a\": [1, null],\n\t\"b\": \"c\"}").unwrap(),
            expected
        );
        assert_eq!(parsed("a:\n- 1\n- null\nb: c\n").unwrap(), expected);
    }

    #[test]
    fn what_is_neither_is_told_with_its_place() {
        let broken = told("{\n  \"a\": 1,\n}");
        assert!(broken.starts_with("3:1: this is not JSON: "), "{broken}");
        assert!(told("a: [").contains("this is not YAML"));
        assert!(told(" \n").starts_with("1:1: nothing stands here"));
        assert!(told("a: 1\n---\nb: 2\n").contains("there are 2"));
    }
}
