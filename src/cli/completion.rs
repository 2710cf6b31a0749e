//! `kubectl landingzone completion`: what shells ask while somebody types.

use std::ffi::OsString;
use std::io::Write as _;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::engine::complete;
use clap_complete::{Shell, generate};

use super::{Arguments, Outcome, complain};

/// The program, as it is called in the search path.
const PROGRAM: &str = "kubectl-landingzone";
/// The program in the labels of the script for bash, as `clap_complete` writes it and as it has to be.
const SPLIT: &str = "kubectl__subcmd__landingzone";
const WHOLE: &str = "kubectl__landingzone";

/// What kubectl runs from the search path when somebody completes `kubectl landingzone`. It passes on what was typed so far.
const FOR_KUBECTL: &str = "#!/bin/sh
# Installed as kubectl_complete-landingzone: kubectl asks it. Written by kubectl landingzone completion kubectl.
exec kubectl-landingzone complete -- \"$@\"
";

/// Arguments of `completion`.
#[derive(Args, Debug)]
pub(super) struct CompletionArgs {
    /// Who asks
    #[arg(value_enum)]
    asker: Asker,
}

/// Who completes what somebody types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Asker {
    /// Bash, for kubectl-landingzone
    Bash,
    /// Elvish, for kubectl-landingzone
    Elvish,
    /// fish, for kubectl-landingzone
    Fish,
    /// PowerShell, for kubectl-landingzone
    #[value(name = "powershell")]
    PowerShell,
    /// zsh, for kubectl-landingzone
    Zsh,
    /// kubectl itself, for kubectl landingzone in every shell: a program to be installed in the search path as
    /// kubectl_complete-landingzone
    Kubectl,
}

/// Arguments of `complete`, which kubectl calls.
#[derive(Args, Debug)]
pub(super) struct CompleteArgs {
    /// What was typed so far; the last one is not finished
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    typed: Vec<OsString>,
}

impl CompletionArgs {
    pub(super) fn run(&self) -> Outcome {
        written(&self.script())
    }

    fn script(&self) -> Vec<u8> {
        let shell = match self.asker {
            Asker::Bash => Shell::Bash,
            Asker::Elvish => Shell::Elvish,
            Asker::Fish => Shell::Fish,
            Asker::PowerShell => Shell::PowerShell,
            Asker::Zsh => Shell::Zsh,
            Asker::Kubectl => return FOR_KUBECTL.into(),
        };
        let mut script = Vec::new();
        generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
        if shell == Shell::Bash {
            // clap_complete 4.6 writes the hyphen of the program in another way into the labels than into what is compared
            // with them, so that nothing behind a command would be completed.
            let text = String::from_utf8_lossy(&script);
            return text.replace(SPLIT, WHOLE).into_bytes();
        }
        script
    }
}

impl CompleteArgs {
    pub(super) fn run(self) -> Outcome {
        match candidates(self.typed) {
            Ok(text) => written(text.as_bytes()),
            Err(error) => {
                complain(&error);
                Outcome::Failed
            }
        }
    }
}

/// What may follow, as kubectl reads it: a candidate a line, with a tab before its description; then what to do with them.
fn candidates(typed: Vec<OsString>) -> std::io::Result<String> {
    /// No space after it: a folder of which more is to be typed.
    const NO_SPACE: u8 = 2;
    /// Files are among the candidates already, where they are meant.
    const NO_FILES: u8 = 4;
    let last = typed.len().max(1);
    let mut words = vec![OsString::from(PROGRAM)];
    words.extend(typed);
    if words.len() == 1 {
        words.push(OsString::new());
    }
    let here = std::env::current_dir().ok();
    let found = complete(&mut Arguments::command(), words, last, here.as_deref())?;
    let mut text = String::new();
    let mut directive = NO_FILES;
    for candidate in found.iter().filter(|it| !it.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        if value.ends_with('/') {
            directive |= NO_SPACE;
        }
        text.push_str(&value);
        let help = candidate.get_help().map(ToString::to_string);
        if let Some(first) = help.as_deref().and_then(|it| it.lines().next()) {
            text.push('\t');
            text.push_str(first);
        }
        text.push('\n');
    }
    Ok(format!("{text}:{directive}\n"))
}

fn written(text: &[u8]) -> Outcome {
    match std::io::stdout().write_all(text) {
        Ok(()) => Outcome::Done,
        Err(error) => {
            complain(&error);
            Outcome::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(typed: &[&str]) -> String {
        candidates(typed.iter().map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn commands_and_values_are_completed() {
        let commands = after(&["re"]);
        let names: Vec<_> = commands
            .lines()
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert_eq!(names, ["render", "review", ":4"]);
        assert!(commands.contains("review\tFind what leaves the boundary"));

        let forms = after(&["review", "--output", "s"]);
        assert!(forms.starts_with("sarif"), "{forms}");
        assert!(after(&["review", "--ba"]).starts_with("--base"));
        // Nobody types it.
        assert!(!after(&[""]).contains("complete\t"));
        assert!(after(&[]).contains("matrix"));
    }

    #[test]
    fn scripts_know_commands_by_the_name_of_the_program() {
        let asker = Asker::Bash;
        let script = String::from_utf8(CompletionArgs { asker }.script()).unwrap();
        assert!(script.contains("kubectl__landingzone__subcmd__matrix)"));
        assert!(!script.contains(SPLIT));
    }

    #[test]
    fn files_are_completed_where_they_are_meant() {
        let folders = after(&["review", "-f", "sr"]);
        assert_eq!(folders, "src/\n:6\n");
    }
}
