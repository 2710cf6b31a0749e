//! Selectors made from selectors: over other labels, or with what is known of some labels put in.

use super::Selector;

impl Selector {
    /// The same selector over labels of other names.
    #[must_use]
    pub fn relabelled(self, rename: &impl Fn(String) -> String) -> Self {
        let each = |operands: Vec<Self>| {
            let operands = operands.into_iter();
            operands.map(|it| it.relabelled(rename)).collect()
        };
        match self {
            Self::Has(label) => Self::Has(rename(label)),
            Self::Compare(label, comparison) => Self::Compare(rename(label), comparison),
            Self::Not(inner) => Self::Not(Box::new(inner.relabelled(rename))),
            Self::And(operands) => Self::And(each(operands)),
            Self::Or(operands) => Self::Or(each(operands)),
            other @ (Self::All | Self::Global) => other,
        }
    }

    /// What is left to ask where some labels are known: `known` gives the value of a label, None inside where it is
    /// missing, and None where nobody knows. `all()` where it holds whatever else there is, `!all()` where it cannot
    /// hold.
    ///
    /// ```
    /// use landing_zone_operator::policy::Selector;
    /// let selector: Selector = "team == 'shop' && app == 'web'".parse().unwrap();
    /// let left = selector.assuming(&|label: &str| (label == "team").then_some(Some("shop")));
    /// assert_eq!(left.to_string(), "app == 'web'");
    /// let left = selector.assuming(&|label: &str| (label == "team").then_some(None));
    /// assert_eq!(left.to_string(), "!all()");
    /// ```
    #[must_use]
    pub fn assuming<'a>(&self, known: &impl Fn(&str) -> Option<Option<&'a str>>) -> Self {
        let never = || Self::All.negate();
        let decided = |holds: bool| if holds { Self::All } else { never() };
        match self {
            Self::All | Self::Global => self.clone(),
            Self::Has(label) => {
                known(label).map_or_else(|| self.clone(), |value| decided(value.is_some()))
            }
            Self::Compare(label, comparison) => {
                let value = known(label);
                value.map_or_else(|| self.clone(), |value| decided(comparison.matches(value)))
            }
            Self::Not(inner) => inner.assuming(known).negate(),
            Self::And(operands) => {
                let mut left = Vec::with_capacity(operands.len());
                for operand in operands {
                    match operand.assuming(known) {
                        Self::All => {}
                        it if it == never() => return it,
                        it => left.push(it),
                    }
                }
                Self::and(left)
            }
            Self::Or(operands) => {
                let mut left = Vec::with_capacity(operands.len());
                for operand in operands {
                    match operand.assuming(known) {
                        Self::All => return Self::All,
                        it if it == never() => {}
                        it => left.push(it),
                    }
                }
                if left.is_empty() {
                    never()
                } else {
                    Self::or(left)
                }
            }
        }
    }

    /// At least one of these; nothing for none.
    #[must_use]
    pub fn any_of(operands: impl IntoIterator<Item = Self>) -> Self {
        let operands: Vec<_> = operands.into_iter().collect();
        if operands.is_empty() {
            return Self::All.negate();
        }
        Self::or(operands)
    }

    /// How many operations it is made of.
    #[must_use]
    pub fn parts(&self) -> usize {
        match self {
            Self::All | Self::Global | Self::Has(_) | Self::Compare(..) => 1,
            Self::Not(inner) => 1 + inner.parts(),
            Self::And(operands) | Self::Or(operands) => {
                1 + operands.iter().map(Self::parts).sum::<usize>()
            }
        }
    }
}
