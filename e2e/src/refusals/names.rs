//! Names, codes and what stands beside them.

use serde_json::json;

use super::{Refusal, refusal, set};

pub(super) fn refusals() -> Vec<Refusal> {
    let zones = |zone: &str| json!([{"name": "shop-web", "zone": "frontend"}, {"name": "shop-db", "zone": "data"}, {"name": "shop-x", "zone": zone}]);
    let bounded_by_nothing = |mut refusal: Refusal| {
        set(&mut refusal.declaration, "/spec/quotaTotal", json!({}));
        refusal
    };
    vec![
        refusal(
            "its name is longer than 40",
            "/metadata/name",
            "s".repeat(41).into(),
            "metadata.name",
            "at most 40 characters",
        ),
        refusal(
            "its name has a dot",
            "/metadata/name",
            "shop.old".into(),
            "metadata.name",
            "without dots",
        ),
        refusal(
            "its code has a space",
            "/spec/applicationCode",
            "shop 1".into(),
            "spec.applicationCode",
            "replace what else is in it",
        ),
        refusal(
            "its code ends in a dash",
            "/spec/applicationCode",
            "shop-".into(),
            "spec.applicationCode",
            "begin and end with a letter or digit",
        ),
        refusal(
            "its contact has two lines",
            "/spec/contact",
            "a\nb".into(),
            "spec.contact",
            "one line of readable text",
        ),
        refusal(
            "its contact is blank",
            "/spec/contact",
            " ".into(),
            "spec.contact",
            "one line of readable text",
        ),
        refusal(
            "it claims kube-system",
            "/spec/namespaces/0/name",
            "kube-system".into(),
            "spec.namespaces[0].name",
            "reserved for the cluster itself",
        ),
        refusal(
            "it claims a namespace like those of Kubernetes",
            "/spec/namespaces/0/name",
            "kube-shop".into(),
            "spec.namespaces[0].name",
            "reserved for the cluster itself",
        ),
        refusal(
            "it claims a namespace of Calico",
            "/spec/namespaces/0/name",
            "calico-system".into(),
            "spec.namespaces[0].name",
            "reserved for the cluster itself",
        ),
        refusal(
            "a namespace has capitals",
            "/spec/namespaces/0/name",
            "Shop".into(),
            "spec.namespaces[0].name",
            "without dots, capitals",
        ),
        refusal(
            "a namespace is named twice",
            "/spec/namespaces/1/name",
            "shop-web".into(),
            "spec.namespaces[1].name",
            "stands twice",
        )
        .admission("Duplicate value"),
        bounded_by_nothing(refusal(
            "a zone has a dot",
            "/spec/namespaces",
            zones("x.y"),
            "spec.namespaces[2].zone",
            "without dots",
        )),
        bounded_by_nothing(refusal(
            "a zone is longer than 40",
            "/spec/namespaces",
            zones(&"z".repeat(41)),
            "spec.namespaces[2].zone",
            "at most 40 characters",
        )),
        refusal(
            "a namespace is privileged without acknowledgement",
            "/spec/namespaces/0/podSecurity",
            "privileged".into(),
            "spec.namespaces[0].podSecurity",
            "HostNetworkEscapesPolicies",
        ),
        refusal(
            "an acknowledgement stands alone",
            "/spec/namespaces/0/acknowledge",
            "HostNetworkEscapesPolicies".into(),
            "spec.namespaces[0].acknowledge",
            "remove it",
        ),
    ]
}
