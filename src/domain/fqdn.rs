//! Names on the internet.

use std::fmt;
use std::str::FromStr;

use super::syntax;
use crate::api::rule;

/// A name that Azure Firewall matches: `api.example.com`, or `*.example.com` for every name below it.
///
/// Source: Azure documentation, "Azure Firewall FQDN filtering": an asterisk stands at the beginning only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqdn(String);

impl Fqdn {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether whoever may reach this may reach the other one.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        let below = self.0.strip_prefix('*');
        self == other || below.is_some_and(|below| other.0.ends_with(below))
    }
}

impl FromStr for Fqdn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.strip_prefix("*.").unwrap_or(text);
        let labels = plain.split('.');
        let good = plain.contains('.')
            && text.len() <= 253
            && labels
                .clone()
                .all(|label| syntax::dns_label(label, 63).is_ok());
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| rule::FQDN.to_owned())
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("api.example.com", true)]
    #[case("*.example.com", true)]
    #[case("a.b", true)]
    #[case("*.com", false)]
    #[case("com", false)]
    #[case("*", false)]
    #[case("api.*.com", false)]
    #[case("*api.example.com", false)]
    #[case("Api.example.com", false)]
    #[case("api.example.com.", false)]
    #[case("-a.example.com", false)]
    #[case("api..com", false)]
    #[case("https://api.example.com", false)]
    fn some_names_can_be_matched(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<Fqdn>().is_ok(), good);
        let long = format!("{}.example.com", "a".repeat(64));
        assert!(long.parse::<Fqdn>().is_err());
    }

    #[test]
    fn an_asterisk_holds_what_is_below() {
        let fqdn = |text: &str| text.parse::<Fqdn>().unwrap();
        let all = fqdn("*.example.com");
        assert!(all.holds(&fqdn("api.example.com")));
        assert!(all.holds(&fqdn("*.api.example.com")));
        assert!(all.holds(&all));
        assert!(!all.holds(&fqdn("example.com")));
        assert!(!all.holds(&fqdn("api.badexample.com")));
        assert!(!fqdn("api.example.com").holds(&all));
    }
}
