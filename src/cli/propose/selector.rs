//! Labels by which a flow can tell pods of one zone from each other.

use super::dump::Labels;

/// What the pods of one workload have in common and those of others have not, best first. All of
/// the first line that a pod has any of are taken.
const IDENTIFYING: [&[&str]; 4] = [
    &["app.kubernetes.io/name", "app.kubernetes.io/component"],
    &["app"],
    &["k8s-app"],
    &["name"],
];

/// The labels that identify a pod's workload; none where it has none of the usual ones.
#[must_use]
pub fn identifying(labels: &Labels) -> Labels {
    let usable = |key: &&str| {
        let value = labels.get(*key)?;
        is_value(value).then(|| ((*key).to_owned(), value.clone()))
    };
    IDENTIFYING
        .iter()
        .map(|keys| keys.iter().filter_map(usable).collect())
        .find(|labels: &Labels| !labels.is_empty())
        .unwrap_or_default()
}

/// Whether a flow takes it: the API server lets nothing else in, but a file may hold anything.
fn is_value(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: char| c.is_ascii_alphanumeric();
    value.len() <= 63
        && value.chars().all(inner)
        && value.starts_with(outer)
        && value.ends_with(outer)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("app=api,pod-template-hash=x", "app=api")]
    #[case("app=api,app.kubernetes.io/name=shop", "app.kubernetes.io/name=shop")]
    #[case(
        "app.kubernetes.io/component=db,app.kubernetes.io/name=shop,name=x",
        "app.kubernetes.io/component=db,app.kubernetes.io/name=shop"
    )]
    #[case("k8s-app=a,name=b", "k8s-app=a")]
    #[case("pod-template-hash=x", "")]
    #[case("app=two words,name=b", "name=b")]
    #[case("app=,name=", "")]
    fn pods_are_told_apart_by_their_usual_labels(#[case] all: &str, #[case] expected: &str) {
        let labels = |text: &str| -> Labels {
            text.split_terminator(',')
                .filter_map(|label| label.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        assert_eq!(identifying(&labels(all)), labels(expected));
    }
}
