//! What our evaluator makes of selectors, against what Calico itself makes of them.
//!
//! `SELECTOR_PAIRS` sets how many pairs of a selector and labels are generated, and `SELECTOR_SEED` from which
//! seed: `random`, or 32 bytes in hexadecimal, as a failure tells it.

mod generated;

use std::env;

use anyhow::{Context, Result, bail, ensure};
use e2e::calico_selectors::{Answer, CalicoSelectors, Question};
use e2e::seed::{self, Seed};
use landing_zone_operator::policy::Selector;

/// Without `SELECTOR_SEED`.
const SEED: Seed = *b"who may talk to whom in a zone?!";
/// Without `SELECTOR_PAIRS`.
const PAIRS: usize = 200_000;
/// Pairs of each selector.
const LABELS: usize = 2;
/// So many differences are told.
const TOLD: usize = 10;

/// What we make of a question; only whether there is an error, not its words.
fn ours(question: &Question) -> Answer {
    match question.selector.parse::<Selector>() {
        Ok(selector) => Answer {
            error: String::new(),
            matches: question
                .labels
                .iter()
                .map(|labels| selector.matches(labels))
                .collect(),
        },
        Err(error) => Answer {
            error: error.to_string(),
            matches: Vec::new(),
        },
    }
}

/// How ours differs from theirs, in words.
fn difference(question: &Question, theirs: &Answer) -> Option<String> {
    let ours = ours(question);
    let same = ours.error.is_empty() == theirs.error.is_empty() && ours.matches == theirs.matches;
    (!same).then(|| format!("{question:?}\n  Calico: {theirs:?}\n  we: {ours:?}"))
}

#[test]
fn every_generated_selector_means_what_it_means_to_calico() -> Result<()> {
    let pairs = match env::var("SELECTOR_PAIRS") {
        Ok(pairs) => pairs.parse().context("SELECTOR_PAIRS is no number")?,
        Err(_) => PAIRS,
    };
    let seed = seed::asked_for("SELECTOR_SEED", SEED)?;
    let questions = generated::questions(pairs / LABELS, LABELS, &seed);
    let answers = CalicoSelectors::ensure()?.answers(&questions)?;

    let refused = answers.iter().filter(|it| !it.error.is_empty()).count();
    let all = || answers.iter().flat_map(|answer| &answer.matches);
    let (matched, others) = (
        all().filter(|it| **it).count(),
        all().filter(|it| !**it).count(),
    );
    println!(
        "{} selectors: {refused} refused; {matched} pairs match and {others} do not",
        questions.len()
    );
    // Neither agreeing that all is wrong nor that all matches would say much.
    for part in [refused * LABELS, matched, others] {
        ensure!(part > pairs / 10, "{part} of {pairs} pairs are of one sort");
    }
    let differences = questions.iter().zip(&answers);
    let differences: Vec<_> = differences
        .filter_map(|(question, theirs)| difference(question, theirs))
        .collect();
    if !differences.is_empty() {
        let told = differences.iter().take(TOLD).cloned().collect::<Vec<_>>();
        let seed = seed::in_hexadecimal(&seed);
        bail!(
            "{} differences; SELECTOR_SEED={seed} shows them again:\n{}",
            differences.len(),
            told.join("\n")
        );
    }
    Ok(())
}

/// The tables in Calico's own tests of its parser, read from its module.
#[test]
fn calicos_own_tables_hold() -> Result<()> {
    let rows = CalicoSelectors::ensure()?.tables()?;
    // As many as there are in the release that is pinned.
    ensure!(rows.len() == 101, "the tables have {} rows", rows.len());
    for row in rows {
        if let Some(difference) = difference(&row.question, &row.answer) {
            bail!("{difference}");
        }
        if let Some(same) = row.same_as {
            let parsed = |text: &str| text.parse::<Selector>();
            let (one, other) = (parsed(&row.question.selector)?, parsed(&same)?);
            ensure!(one == other, "{one} and {other} are not the same");
        }
    }
    Ok(())
}
