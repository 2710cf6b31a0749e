//! From text to [`Selector`]: one pass over the bytes, without a list of tokens in between.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::{Comparison, Selector};

/// Longest label that Calico reads, in bytes.
const LONGEST_LABEL: usize = 512;
const LABEL_THAT_FITS: &str = "a label of at most 512 characters";
/// Deepest nesting of parentheses: a bound on the stack, far above what 1,024 characters that mean
/// anything need.
const DEEPEST: usize = 200;

/// Why a text is no selector.
#[derive(thiserror::Error, Clone, Debug, PartialEq, Eq)]
#[error("at byte {position}: expected {expected}")]
pub struct SelectorError {
    /// Offset in bytes from the start of the text.
    pub position: usize,
    /// What would have made sense there.
    pub expected: &'static str,
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser {
            text,
            position: 0,
            depth: 0,
        };
        parser.skip_blanks();
        if parser.at_end() {
            return Ok(Self::All);
        }
        let selector = parser.or()?;
        if parser.at_end() {
            Ok(selector)
        } else {
            parser.fail("'&&', '||' or the end")
        }
    }
}

/// Every method that reads something leaves the position behind the blanks that follow it.
struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Selector, SelectorError> {
        let mut operands = vec![self.and()?];
        while self.take("||") {
            operands.push(self.and()?);
        }
        Ok(Selector::or(operands))
    }

    fn and(&mut self) -> Result<Selector, SelectorError> {
        let mut operands = vec![self.operation()?];
        while self.take("&&") {
            operands.push(self.operation()?);
        }
        Ok(Selector::and(operands))
    }

    fn operation(&mut self) -> Result<Selector, SelectorError> {
        let mut negated = false;
        // "!=" is one operator, so its "!" never stands for a negation.
        while !self.rest().starts_with("!=") && self.take("!") {
            negated = !negated;
        }
        let primary = self.primary()?;
        Ok(if negated { primary.negate() } else { primary })
    }

    fn primary(&mut self) -> Result<Selector, SelectorError> {
        if self.take("(") {
            return self.parenthesized();
        }
        // Between the word and its parenthesis no blank may stand: "has" is also a good label.
        if self.take("has(") {
            self.skip_space();
            return self.has();
        }
        for (word, meaning) in [("all(", Selector::All), ("global(", Selector::Global)] {
            if self.take(word) {
                self.skip_space();
                return if self.take(")") {
                    Ok(meaning)
                } else {
                    self.fail("')'")
                };
            }
        }
        let start = self.position;
        let label = self.label("a label, 'has(…)', 'all()', 'global()', '!' or '('")?;
        let is_cut = self.position == start + LONGEST_LABEL && self.rest().starts_with(is_label);
        let comparison = self.comparison().or_else(|error| {
            if !is_cut {
                return Err(error);
            }
            self.position = start;
            self.fail(LABEL_THAT_FITS)
        })?;
        Ok(Selector::Compare(label, comparison))
    }

    fn parenthesized(&mut self) -> Result<Selector, SelectorError> {
        if self.depth == DEEPEST {
            return self.fail("fewer nested parentheses");
        }
        self.depth += 1;
        let inner = self.or()?;
        self.depth -= 1;
        if self.take(")") {
            Ok(inner)
        } else {
            self.fail("'&&', '||' or ')'")
        }
    }

    fn has(&mut self) -> Result<Selector, SelectorError> {
        let start = self.position;
        let label = self.label("a label")?;
        let is_cut = self.position == start + LONGEST_LABEL && self.rest().starts_with(is_label);
        self.skip_space();
        if self.take(")") {
            Ok(Selector::Has(label))
        } else if is_cut {
            self.position = start;
            self.fail(LABEL_THAT_FITS)
        } else {
            self.fail("')'")
        }
    }

    /// As much of a label as Calico reads: an operator may follow at once where it is cut.
    fn label(&mut self, expected: &'static str) -> Result<String, SelectorError> {
        let rest = self.rest();
        let length = rest
            .find(|character: char| !is_label(character))
            .unwrap_or(rest.len())
            .min(LONGEST_LABEL);
        if length == 0 {
            return self.fail(expected);
        }
        let label = rest[..length].to_owned();
        self.advance(length);
        Ok(label)
    }

    fn comparison(&mut self) -> Result<Comparison, SelectorError> {
        if self.take("==") {
            return self.string().map(Comparison::Equal);
        }
        if self.take("!=") {
            return self.string().map(Comparison::NotEqual);
        }
        if self.take("contains") {
            return self.string().map(Comparison::Contains);
        }
        if self.take_words("starts", "with") {
            return self.string().map(Comparison::StartsWith);
        }
        if self.take_words("ends", "with") {
            return self.string().map(Comparison::EndsWith);
        }
        // What follows both is a brace, so neither needs a look at where the word ends.
        if self.take_words("not", "in") {
            return self.set().map(Comparison::NotIn);
        }
        if self.take("in") {
            return self.set().map(Comparison::In);
        }
        self.fail("'==', '!=', 'contains', 'starts with', 'ends with', 'in' or 'not in'")
    }

    fn set(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        if !self.take("{") {
            return self.fail("'{'");
        }
        let mut values = BTreeSet::new();
        loop {
            if self.take("}") {
                return Ok(values);
            }
            if !self.rest().starts_with(['\'', '"']) {
                return self.fail("a string in quotes or '}'");
            }
            values.insert(self.string()?);
            if !self.take(",") {
                break;
            }
        }
        if self.take("}") {
            Ok(values)
        } else {
            self.fail("',' or '}'")
        }
    }

    fn string(&mut self) -> Result<String, SelectorError> {
        let rest = self.rest();
        let Some(quote @ ('\'' | '"')) = rest.chars().next() else {
            return self.fail("a string in quotes");
        };
        let Some(length) = rest[1..].find(quote) else {
            self.position = self.text.len();
            return self.fail("the closing quote");
        };
        let value = rest[1..=length].to_owned();
        self.advance(length + 2);
        Ok(value)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.advance(token.len());
        }
        found
    }

    /// Two words of one operator, with or without blanks between them.
    fn take_words(&mut self, first: &str, second: &str) -> bool {
        let start = self.position;
        let found = self.take(first) && {
            self.skip_space();
            self.take(second)
        };
        if !found {
            self.position = start;
        }
        found
    }

    fn advance(&mut self, bytes: usize) {
        self.position += bytes;
        self.skip_blanks();
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    /// Within a word of its own Calico takes every white space that Go's `\s` does.
    fn skip_space(&mut self) {
        let rest = self.rest();
        let blanks = [' ', '\t', '\n', '\r', '\u{c}'];
        self.position += rest.len() - rest.trim_start_matches(blanks).len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn at_end(&self) -> bool {
        self.position == self.text.len()
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, SelectorError> {
        Err(SelectorError {
            position: self.position,
            expected,
        })
    }
}

fn is_label(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '/' | '-')
}
