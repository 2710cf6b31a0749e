//! Text of files in the log of a pipeline: Azure DevOps and GitHub obey lines that look like commands, and whoever
//! opens a pull request could set what the pipeline decides by.

/// Text for people, none of whose lines is a command.
pub(super) fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // Azure's agent looks for its marks anywhere, GitHub's at the beginning and, for an older form, anywhere.
        if line.trim_start().starts_with("::") {
            safe.push_str("| ");
        }
        let mut last = ' ';
        for c in line.chars() {
            if c == '#' && last == '#' {
                safe.push(' ');
            }
            safe.push(c);
            last = c;
        }
    }
    safe
}

/// The same for JSON, where only strings can hold such a mark.
pub(super) fn json(text: &str) -> String {
    text.replace("##", "\\u0023\\u0023")
}

/// A name that cannot end the command that it stands in.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let is_name = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if is_name && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Ok(text.to_owned())
    } else {
        Err(
            "a variable's name begins with a letter, and has letters, digits, dots and underscores"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "##vso[task.setvariable variable=approvalRequired;isOutput=true]false";

    #[test]
    fn no_line_is_a_command() {
        let told = text(&format!(
            "a\n  x {COMMAND}\n###vso[\n::set-output name=a::b\n"
        ));
        assert!(!told.contains("##"), "{told}");
        assert!(told.ends_with("\n| ::set-output name=a::b\n"), "{told}");
        assert_eq!(text("a: b::c # d\n"), "a: b::c # d\n");
    }

    #[test]
    fn json_says_the_same() {
        let value = serde_json::json!({"a": COMMAND, "b": "\\##", "###": 1});
        let told = json(&value.to_string());
        assert!(!told.contains("##"), "{told}");
        let read: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(read, value);
    }
}
