//! Selectors of namespaces without what they say of whose they are.

use crate::api::names::{APPLICATION_CODE, METADATA_NAME, OWNER};
use crate::policy::{NAME, Selector};
use crate::review::landscape::{Boundary, Landscape};

/// What is left of a condition.
enum Left {
    /// It always holds.
    Always,
    /// It never holds.
    Never,
    /// It holds where this does.
    By(Selector),
}

/// What a selector asks of namespaces besides whose they are; None: nothing.
pub(super) fn rest(selector: &Selector) -> Option<Selector> {
    match left(selector, true) {
        Left::By(rest) => Some(rest),
        Left::Always | Left::Never => None,
    }
}

/// Whether a namespace of a landing zone is known that has such labels.
pub(super) fn is_known(rest: &Selector, boundary: &Boundary, landscape: &Landscape) -> bool {
    let mut namespaces = boundary.namespaces.iter();
    namespaces.any(|name| {
        let known = landscape.namespace(name);
        known.is_some_and(|it| rest.matches(&*it.labels))
    })
}

/// Whether a label says whose a namespace is, or which one.
fn is_whose(label: &str) -> bool {
    [APPLICATION_CODE, OWNER, NAME, METADATA_NAME].contains(&label)
}

/// `wanted` says whether it has to hold, or must not: what is left out is left out in favour of that.
fn left(selector: &Selector, wanted: bool) -> Left {
    match selector {
        Selector::Has(label) | Selector::Compare(label, _) if is_whose(label) => {
            if wanted {
                Left::Always
            } else {
                Left::Never
            }
        }
        Selector::All => Left::Always,
        Selector::Global | Selector::Has(_) | Selector::Compare(..) => Left::By(selector.clone()),
        Selector::Not(inner) => match left(inner, !wanted) {
            Left::Always => Left::Never,
            Left::Never => Left::Always,
            Left::By(inner) => Left::By(inner.negate()),
        },
        Selector::And(operands) => {
            let mut all = Vec::new();
            for operand in operands {
                match left(operand, wanted) {
                    Left::Always => {}
                    Left::Never => return Left::Never,
                    Left::By(rest) => all.push(rest),
                }
            }
            if all.is_empty() {
                Left::Always
            } else {
                Left::By(Selector::and(all))
            }
        }
        Selector::Or(operands) => {
            let mut any = Vec::new();
            for operand in operands {
                match left(operand, wanted) {
                    Left::Always => return Left::Always,
                    Left::Never => {}
                    Left::By(rest) => any.push(rest),
                }
            }
            if any.is_empty() {
                Left::Never
            } else {
                Left::By(Selector::any_of(any))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_stays_but_whose_it_is() {
        for (selector, expected) in [
            (
                "applicationcode == 'a' && zone == 'web'",
                Some("zone == 'web'"),
            ),
            ("applicationcode != 'a'", None),
            ("!(applicationcode == 'a') && has(x)", Some("has(x)")),
            ("!(applicationcode == 'a' || x == 'y')", Some("!(x == 'y')")),
            ("applicationcode == 'a' || zone == 'web'", None),
            (
                "zone == 'web' || zone == 'data'",
                Some("zone == 'web' || zone == 'data'"),
            ),
            ("projectcalico.org/name == 'a' && all()", None),
        ] {
            let left = rest(&selector.parse().unwrap());
            let expected = expected.map(|it| it.parse::<Selector>().unwrap().to_string());
            assert_eq!(left.map(|it| it.to_string()), expected, "{selector}");
        }
    }
}
