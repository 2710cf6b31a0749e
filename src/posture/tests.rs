//! What holds for all questions.

use std::collections::BTreeSet;

use super::fixture::{Given, state};
use super::*;

/// What was not seen never passes, and says what would tell.
#[test]
fn without_anything_every_question_is_unknown() {
    for question in Question::ALL {
        let check = Given::default().ask(*question);
        assert_eq!(check.outcome, Outcome::Unknown, "{check:?}");
        assert!(
            !check.seen.is_empty() && !check.tells.is_empty(),
            "{check:?}"
        );
        assert_eq!(check.mend, [""; 0], "{check:?}");
    }
}

/// Files that could not be read tell no more than none.
#[test]
fn what_could_not_be_read_lets_nothing_pass() {
    let given = InputFile::ALL
        .iter()
        .fold(Given::default(), |given, input| given.unread(*input));
    for question in Question::ALL {
        let check = given.ask(*question);
        assert_eq!(check.outcome, Outcome::Unknown, "{check:?}");
        let is_told = check.seen[0].what.contains("cannot be used");
        assert_eq!(is_told, InputFile::of(*question).is_some(), "{check:?}");
    }
}

/// A cluster alone says nothing of Azure.
#[test]
fn a_cluster_says_nothing_of_azure() {
    let given = Given::default().live(state());
    for question in Question::ALL {
        let check = given.ask(*question);
        let is_of_azure = matches!(
            question,
            Question::EgressFirewall
                | Question::PrivateCluster
                | Question::AuthorizedIpRanges
                | Question::WafInFront
                | Question::ApiManagementInVnet
                | Question::DdosProtection
                | Question::SubnetNsg
                | Question::NetworkWatcher
                | Question::VnetFlowLogs
                | Question::DiagnosticSettings
                | Question::NetworkChangeAlerts
        );
        assert!(
            !is_of_azure || check.outcome == Outcome::Unknown,
            "{check:?}"
        );
        assert_eq!(
            check.tells.is_empty(),
            check.outcome != Outcome::Unknown,
            "{check:?}"
        );
        assert_eq!(
            check.mend.is_empty(),
            check.outcome != Outcome::Fail,
            "{check:?}"
        );
    }
}

#[test]
fn every_question_has_an_id_of_its_own() {
    let ids: BTreeSet<&str> = Question::ALL.iter().map(|it| it.id()).collect();
    assert_eq!(ids.len(), Question::ALL.len());
    for question in Question::ALL {
        assert_eq!(Question::of_id(question.id()), Some(*question));
        assert!(!question.why().ends_with('.') && !question.title().ends_with('.'));
    }
}
