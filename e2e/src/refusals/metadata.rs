//! Labels and annotations.

use super::{Refusal, refusal};

pub(super) fn refusals() -> Vec<Refusal> {
    let reserved = [
        (
            "a label sets the code",
            "applicationcode",
            "set spec.applicationCode",
        ),
        ("a label sets the zone", "zone", "set the namespace's zone"),
        (
            "a label says who manages it",
            "app.kubernetes.io~1managed-by",
            "remove it",
        ),
        (
            "a label claims ownership",
            "landingzones.dev~1landing-zone",
            "remove it",
        ),
        (
            "a label sets Pod Security",
            "pod-security.kubernetes.io~1enforce",
            "podSecurity instead",
        ),
        (
            "a label is Calico's",
            "projectcalico.org~1name",
            "remove it",
        ),
        (
            "a label is AKS's",
            "kubernetes.azure.com~1managedByArm",
            "remove it",
        ),
        (
            "a label is Kubernetes' own",
            "kubernetes.io~1metadata.name",
            "remove it",
        ),
        (
            "a label is Argo's",
            "argocd.argoproj.io~1instance",
            "GitOps tool",
        ),
        (
            "a label is Argo's old one",
            "app.kubernetes.io~1instance",
            "GitOps tool",
        ),
        (
            "a label is Flux's",
            "kustomize.toolkit.fluxcd.io~1name",
            "GitOps tool",
        ),
        (
            "a label is that of Flux's Helm controller",
            "helm.toolkit.fluxcd.io~1name",
            "GitOps tool",
        ),
        (
            "a label is Helm's",
            "meta.helm.sh~1release-name",
            "GitOps tool",
        ),
    ];
    let mut refusals: Vec<Refusal> = reserved
        .into_iter()
        .map(|(name, key, words)| {
            let path = format!("spec.labels{}", shown(key));
            refusal(
                name,
                &format!("/spec/labels/{key}"),
                "x".into(),
                path,
                words,
            )
        })
        .collect();
    refusals.extend([
        refusal(
            "a namespace's label sets the zone",
            "/spec/namespaces/0/labels/zone",
            "x".into(),
            "spec.namespaces[0].labels.zone",
            "is a reserved key",
        ),
        refusal(
            "an annotation sets placement",
            "/spec/namespaces/0/annotations/scheduler.alpha.kubernetes.io~1node-selector",
            "a=b".into(),
            "spec.namespaces[0].annotations[scheduler.alpha.kubernetes.io/node-selector]",
            "use spec.placement instead",
        ),
        refusal(
            "an annotation is Argo's",
            "/spec/namespaces/0/annotations/argocd.argoproj.io~1tracking-id",
            "x".into(),
            "spec.namespaces[0].annotations[argocd.argoproj.io/tracking-id]",
            "GitOps tool",
        ),
        refusal(
            "an annotation's key has a space",
            "/spec/namespaces/0/annotations/a b",
            "x".into(),
            "spec.namespaces[0].annotations.a b",
            "like costCenter",
        ),
        refusal(
            "a label's key has a space",
            "/spec/labels/a b",
            "x".into(),
            "spec.labels.a b",
            "like costCenter",
        ),
        refusal(
            "a label's value has a space",
            "/spec/labels/team",
            "a b".into(),
            "spec.labels.team",
            "replace what else is in it",
        ),
    ]);
    refusals
}

/// A key as paths show it.
fn shown(key: &str) -> String {
    let key = key.replace("~1", "/");
    if key.contains(['.', '/']) {
        format!("[{key}]")
    } else {
        format!(".{key}")
    }
}
