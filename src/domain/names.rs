//! Names that are safe where they are used: in labels, in selectors and in object names.
//!
//! None of them can hold a quote, so that putting one into a Calico selector is never an injection.

use std::fmt;
use std::str::FromStr;

use super::syntax;
use crate::api::rule::{self, BUILT_IN_EXEMPT_NAMESPACES, LONGEST_NAME};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            /// The rule that the text breaks, and the way out.
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Name of a landing zone: a DNS label of at most 40 characters, without dots.
    LandingZoneName, |text| syntax::dns_label(text, LONGEST_NAME)
}
name! {
    /// Name of a namespace: a DNS label of at most 63 characters that no exempt namespace has.
    NamespaceName, namespace_name
}
name! {
    /// The application's code: a label value of 1 to 63 characters.
    ApplicationCode, syntax::label_value
}
name! {
    /// A layer of a landing zone: a DNS label of at most 40 characters.
    Zone, |text| syntax::dns_label(text, LONGEST_NAME)
}

fn namespace_name(text: &str) -> Result<(), String> {
    syntax::dns_label(text, 63)?;
    if BUILT_IN_EXEMPT_NAMESPACES.contains(&text) || text.starts_with("kube-") {
        return Err(rule::EXEMPT_NAMESPACE.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What no landing zone may claim, the operator itself may not write either: it is kept to that on admission.
    #[test]
    fn the_rule_on_the_operator_s_namespaces_knows_those_of_the_cluster() {
        let rules = include_str!("../../config/admission/operator.yaml");
        for name in BUILT_IN_EXEMPT_NAMESPACES {
            let is_there = name.starts_with("kube-") || rules.contains(&format!("'{name}'"));
            assert!(is_there, "{name}");
        }
    }

    #[rstest]
    #[case("application2", true)]
    #[case("a", true)]
    #[case(&"a".repeat(40), true)]
    #[case(&"a".repeat(41), false)]
    #[case("application.2", false)]
    #[case("Application2", false)]
    #[case("-a", false)]
    #[case("a-", false)]
    #[case("", false)]
    #[case("a' || all()", false)]
    fn landing_zones_are_called(#[case] name: &str, #[case] good: bool) {
        assert_eq!(name.parse::<LandingZoneName>().is_ok(), good);
        assert_eq!(name.parse::<Zone>().is_ok(), good);
    }

    #[rstest]
    #[case("application2-ns1", true)]
    #[case(&"a".repeat(63), true)]
    #[case(&"a".repeat(64), false)]
    #[case("kube-system", false)]
    #[case("kube-anything", false)]
    #[case("calico-system", false)]
    #[case("default", false)]
    #[case("default2", true)]
    fn namespaces_are_called(#[case] name: &str, #[case] good: bool) {
        assert_eq!(name.parse::<NamespaceName>().is_ok(), good);
    }

    #[rstest]
    #[case("APP_2.b-c", true)]
    #[case("4711", true)]
    #[case("_a", false)]
    #[case("a b", false)]
    #[case("a'", false)]
    #[case("", false)]
    fn codes_are(#[case] code: &str, #[case] good: bool) {
        assert_eq!(code.parse::<ApplicationCode>().is_ok(), good);
    }
}
