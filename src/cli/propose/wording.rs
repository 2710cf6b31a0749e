//! Words for numbers, and names of objects on one line.

/// A number and what it counts.
#[must_use]
pub fn count(number: u64, word: &str) -> String {
    match (number, word.ends_with('s')) {
        (1, _) => format!("1 {word}"),
        (_, true) => format!("{number} {word}es"),
        (_, false) => format!("{number} {word}s"),
    }
}

/// Text without what would end a line or what a terminal would obey: names of objects come from
/// files that may say anything.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'),
        " ",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_what_they_count() {
        assert_eq!(count(0, "packet"), "0 packets");
        assert_eq!(count(1, "address"), "1 address");
        assert_eq!(count(2, "address"), "2 addresses");
    }

    #[test]
    fn text_is_one_line_that_no_terminal_obeys() {
        assert_eq!(one_line("a\nb\r\u{85}\u{2028}\u{1b}[2Jc"), "a b    [2Jc");
    }
}
