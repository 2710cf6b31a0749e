//! What somebody has decided to live with, for a reason and for a time.

use jiff::civil::Date;

use super::{Check, Outcome, Question};

/// An exception, as somebody declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Of which question.
    pub question: Question,
    /// Of which resource, by the name that the report has for it; None: of all.
    pub resource: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: Date,
    /// Where it is declared, `file:line:column`.
    pub place: String,
}

/// What an exception says about something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excepted {
    /// Why.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: Date,
}

/// Marks what is excepted on a day. What has to be known of the exceptions comes back, each with the place where it is declared:
/// those that are over, and those of which nothing is left to except.
pub fn except(
    checks: &mut [Check],
    exceptions: &[Exception],
    today: Date,
) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for exception in exceptions {
        let Exception {
            question, expires, ..
        } = exception;
        let of = match &exception.resource {
            Some(resource) => format!("{question}, {resource}"),
            None => question.to_string(),
        };
        if *expires < today {
            let message = format!(
                "the exception of {of} was over on {expires} and no longer counts: mend it, or decide anew"
            );
            told.push((exception.place.clone(), message));
            continue;
        }
        let failing = checks
            .iter_mut()
            .filter(|it| it.question == *question && it.outcome == Outcome::Fail);
        let meant = failing.flat_map(|it| &mut it.seen).filter(|seen| {
            let wanted = exception.resource.as_ref();
            wanted.is_none_or(|wanted| seen.resource.as_ref() == Some(wanted))
        });
        let mut is_needed = false;
        for seen in meant {
            is_needed = true;
            // The first one that is declared says why.
            seen.excepted.get_or_insert_with(|| Excepted {
                reason: exception.reason.clone(),
                expires: *expires,
            });
        }
        let is_known = checks
            .iter()
            .any(|it| it.question == *question && it.outcome != Outcome::Unknown);
        if !is_needed && is_known {
            let message = format!("the exception of {of} excepts nothing: nothing of it fails");
            told.push((exception.place.clone(), message));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::super::check::{Answer, Seen};
    use super::*;

    const TODAY: Date = date(2026, 11, 28);

    fn checks() -> Vec<Check> {
        let seen = vec![Seen::of("a", "is open"), Seen::of("b", "is open")];
        vec![
            Answer::fail_each(seen, "").to(Question::SubnetNsg),
            Answer::pass("well").to(Question::PrivateCluster),
            Answer::without_cluster().to(Question::DefaultDeny),
        ]
    }

    fn exception(question: Question, resource: Option<&str>, expires: Date) -> Exception {
        Exception {
            question,
            resource: resource.map(str::to_owned),
            reason: "known".to_owned(),
            expires,
            place: "a.yaml:1:1".to_owned(),
        }
    }

    #[test]
    fn a_check_counts_until_all_of_it_is_excepted() {
        let mut checks = checks();
        let one = exception(Question::SubnetNsg, Some("a"), TODAY);
        assert_eq!(except(&mut checks, &[one], TODAY), []);
        assert!(checks[0].counts() && !checks[0].is_excepted());
        let all = exception(Question::SubnetNsg, None, date(2027, 1, 1));
        assert_eq!(except(&mut checks, &[all], TODAY), []);
        assert!(!checks[0].counts() && checks[0].is_excepted());
        let days: Vec<_> = checks[0]
            .seen
            .iter()
            .map(|it| it.excepted.as_ref().unwrap().expires)
            .collect();
        assert_eq!(days, [TODAY, date(2027, 1, 1)], "the first one says why");
    }

    #[test]
    fn what_is_over_no_longer_counts_and_is_told() {
        let mut checks = checks();
        let over = exception(Question::SubnetNsg, None, date(2026, 11, 27));
        let told = except(&mut checks, &[over], TODAY);
        assert!(checks[0].counts());
        assert_eq!(told.len(), 1);
        assert!(told[0].1.contains("was over on 2026-11-27"), "{told:?}");
    }

    #[test]
    fn what_excepts_nothing_is_told_where_that_is_known() {
        let mut checks = checks();
        let useless = [
            exception(Question::PrivateCluster, None, TODAY),
            exception(Question::SubnetNsg, Some("c"), TODAY),
            exception(Question::DefaultDeny, None, TODAY),
        ];
        let told = except(&mut checks, &useless, TODAY);
        let told: Vec<_> = told.iter().map(|it| it.1.as_str()).collect();
        assert_eq!(
            told,
            [
                "the exception of private-cluster excepts nothing: nothing of it fails",
                "the exception of subnet-nsg, c excepts nothing: nothing of it fails",
            ]
        );
    }
}
