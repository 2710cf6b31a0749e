//! Selectors: which endpoints a policy or a rule means, by labels.
//!
//! The grammar is Calico's, as `libcalico-go` reads it (tried against 3.28 in `e2e/tests/selectors/`):
//!
//! ```text
//! selector := (nothing: all()) | or
//! or       := and ('||' and)*
//! and      := operation ('&&' operation)*
//! operation:= '!'* primary
//! primary  := 'has(' label ')' | 'all()' | 'global()' | '(' or ')' | label comparison
//! comparison := ('==' | '!=' | 'contains' | 'starts with' | 'ends with') string
//!             | ('in' | 'not in') '{' [string (',' string)* [',']] '}'
//! label    := [a-zA-Z0-9_./-]{1,512}
//! string   := '…' | "…", without escapes
//! ```
//!
//! White space is space and tab; inside `has( )`, `all( )` and `global( )`, and between two words of an
//! operator, line breaks and form feeds as well. Parentheses nested deeper than 200 are an error here, and
//! none there.

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;
mod transform;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use evaluate::Labels;
pub use parse::SelectorError;

/// A selector, parsed. Conjunctions and disjunctions are flat: none directly holds its own kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// `all()`, and the empty text: everything.
    All,
    /// `global()`: what lies in no namespace.
    Global,
    /// `has(label)`.
    Has(String),
    /// A comparison of a label's value. The label is given first.
    Compare(String, Comparison),
    /// `!operation`.
    Not(Box<Selector>),
    /// `a && b`: at least two.
    And(Vec<Selector>),
    /// `a || b`: at least two.
    Or(Vec<Selector>),
}

/// How a label's value is compared. A missing label makes the negative ones true and the others
/// false.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// `== 'value'`.
    Equal(String),
    /// `!= 'value'`: also without the label.
    NotEqual(String),
    /// `contains 'text'`.
    Contains(String),
    /// `starts with 'text'`.
    StartsWith(String),
    /// `ends with 'text'`.
    EndsWith(String),
    /// `in {'a','b'}`.
    In(BTreeSet<String>),
    /// `not in {'a','b'}`: also without the label.
    NotIn(BTreeSet<String>),
}

impl Selector {
    /// Checks a text without keeping what it says.
    ///
    /// # Errors
    /// Where the text stops being a selector, and what was expected there.
    pub fn validate(text: &str) -> Result<(), SelectorError> {
        text.parse::<Self>().map(drop)
    }

    /// Whether the label is there.
    ///
    /// ```
    /// use landing_zone_operator::policy::Selector;
    /// assert_eq!(Selector::has("zone").to_string(), "has(zone)");
    /// ```
    #[must_use]
    pub fn has(label: impl Into<String>) -> Self {
        Self::Has(label.into())
    }

    /// Whether the label has this value.
    #[must_use]
    pub fn equal(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Compare(label.into(), Comparison::Equal(value.into()))
    }

    /// Whether the label has another value or is missing.
    #[must_use]
    pub fn not_equal(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Compare(label.into(), Comparison::NotEqual(value.into()))
    }

    /// Whether the label has one of these values.
    #[must_use]
    pub fn one_of<V: Into<String>>(
        label: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self::Compare(label.into(), Comparison::In(values))
    }

    /// Whether the label has none of these values, or is missing.
    ///
    /// ```
    /// use landing_zone_operator::policy::Selector;
    /// assert_eq!(Selector::none_of("zone", ["a", "b"]).to_string(), "zone not in {'a','b'}");
    /// ```
    #[must_use]
    pub fn none_of<V: Into<String>>(
        label: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self::Compare(label.into(), Comparison::NotIn(values))
    }

    /// All of these together; `all()` for none.
    ///
    /// ```
    /// use landing_zone_operator::policy::Selector;
    /// let both = Selector::and([Selector::has("a"), Selector::equal("b", "c")]);
    /// assert_eq!(both.to_string(), "has(a) && b == 'c'");
    /// ```
    #[must_use]
    pub fn and(operands: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand {
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Self::All,
            1 => flat.remove(0),
            _ => Self::And(flat),
        }
    }

    /// Neither of these: `all()` for none.
    ///
    /// ```
    /// use landing_zone_operator::policy::Selector;
    /// let neither = Selector::none_match([Selector::has("a"), Selector::equal("b", "c")]);
    /// assert_eq!(neither.to_string(), "!(has(a) || b == 'c')");
    /// ```
    #[must_use]
    pub fn none_match(operands: impl IntoIterator<Item = Self>) -> Self {
        let operands: Vec<_> = operands.into_iter().collect();
        if operands.is_empty() {
            return Self::All;
        }
        Self::or(operands).negate()
    }

    /// At least one of these. Not public: an empty disjunction has no text.
    fn or(operands: Vec<Self>) -> Self {
        let mut flat = Vec::new();
        for operand in operands {
            match operand {
                Self::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            1 => flat.remove(0),
            _ => Self::Or(flat),
        }
    }

    /// The opposite; a double negation cancels itself out.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Whether `global()` stands anywhere in it.
    #[must_use]
    pub fn mentions_global(&self) -> bool {
        match self {
            Self::Global => true,
            Self::Not(inner) => inner.mentions_global(),
            Self::And(operands) | Self::Or(operands) => operands.iter().any(Self::mentions_global),
            Self::All | Self::Has(_) | Self::Compare(..) => false,
        }
    }
}

/// The labels that a pod must have, each with its value.
impl From<&BTreeMap<String, String>> for Selector {
    fn from(labels: &BTreeMap<String, String>) -> Self {
        Self::and(
            labels
                .iter()
                .map(|(label, value)| Self::equal(label, value)),
        )
    }
}

/// The canonical text: single quotes, sets sorted, no parentheses that are not needed. It is as
/// short as can be, since Calico limits the length of a selector.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all()"),
            Self::Global => f.write_str("global()"),
            Self::Has(label) => write!(f, "has({label})"),
            Self::Compare(label, comparison) => write!(f, "{label} {comparison}"),
            Self::Not(inner) => {
                f.write_str("!")?;
                in_parentheses(inner, matches!(**inner, Self::And(_) | Self::Or(_)), f)
            }
            Self::And(operands) => joined(operands, " && ", |o| matches!(o, Self::Or(_)), f),
            Self::Or(operands) => joined(operands, " || ", |_| false, f),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(value) => write!(f, "== {}", Quoted(value)),
            Self::NotEqual(value) => write!(f, "!= {}", Quoted(value)),
            Self::Contains(text) => write!(f, "contains {}", Quoted(text)),
            Self::StartsWith(text) => write!(f, "starts with {}", Quoted(text)),
            Self::EndsWith(text) => write!(f, "ends with {}", Quoted(text)),
            Self::In(values) => write!(f, "in {}", Set(values)),
            Self::NotIn(values) => write!(f, "not in {}", Set(values)),
        }
    }
}

fn joined(
    operands: &[Selector],
    operator: &str,
    binds_weaker: fn(&Selector) -> bool,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (position, operand) in operands.iter().enumerate() {
        if position > 0 {
            f.write_str(operator)?;
        }
        in_parentheses(operand, binds_weaker(operand), f)?;
    }
    Ok(())
}

fn in_parentheses(inner: &Selector, needed: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if needed {
        write!(f, "({inner})")
    } else {
        write!(f, "{inner}")
    }
}

/// There are no escapes, so a text that holds both kinds of quotes cannot be written; label values
/// hold neither, and no parsed text holds both.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') { '"' } else { '\'' };
        write!(f, "{quote}{}{quote}", self.0)
    }
}

struct Set<'a>(&'a BTreeSet<String>);

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (position, value) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", Quoted(value))?;
        }
        f.write_str("}")
    }
}
