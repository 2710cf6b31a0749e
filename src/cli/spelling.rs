//! Guesses at what a word was meant to be.

/// The candidate that a word was probably meant to be.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| distance * 3 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A sentence about a word that is not among those known.
pub fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match closest(word, known.clone()) {
        Some(meant) => format!("unknown {what}: did you mean {meant}?"),
        None => format!(
            "unknown {what}: there are {}",
            known.collect::<Vec<_>>().join(", ")
        ),
    }
}

/// A sentence about a value that is not among those allowed.
#[must_use]
pub fn not_one_of(word: &str, allowed: &[&str]) -> String {
    let all = allowed.join(", ");
    match closest(word, allowed.iter().copied()) {
        Some(meant) => format!("must be one of {all}: did you mean {meant}?"),
        None => format!("must be one of {all}"),
    }
}
