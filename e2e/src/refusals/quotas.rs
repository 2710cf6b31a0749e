//! Quotas and limits.

use super::{Refusal, refusal};

pub(super) fn refusals() -> Vec<Refusal> {
    const QUOTA: &str = "/spec/namespaces/0/quota";
    let quota = |resource: &str| format!("{QUOTA}/{resource}");
    let limit = |limit: &str| format!("/spec/namespaces/0/limits/{limit}");
    vec![
        refusal(
            "a quota does not parse",
            &quota("pods"),
            "ten".into(),
            "spec.namespaces[0].quota.pods",
            "is not a quantity",
        ),
        refusal(
            "a quota has a unit that does not exist",
            &quota("limits.memory"),
            "1GB".into(),
            "spec.namespaces[0].quota[limits.memory]",
            "like 4, 500m or 8Gi",
        ),
        refusal(
            "a quota is negative",
            &quota("limits.memory"),
            "-1Gi".into(),
            "spec.namespaces[0].quota[limits.memory]",
            "is negative",
        ),
        refusal(
            "a quota counts half a pod",
            &quota("pods"),
            "500m".into(),
            "spec.namespaces[0].quota.pods",
            "write a whole number",
        ),
        refusal(
            "a quota is on something unknown",
            &quota("request.cpu"),
            "1".into(),
            "spec.namespaces[0].quota[request.cpu]",
            "use one like requests.cpu",
        ),
        refusal(
            "a quota is more than can be counted",
            &quota("limits.memory"),
            "9Ei".into(),
            "spec.namespaces[0].quota[limits.memory]",
            "more than Kubernetes can count",
        )
        .not_in_schema(),
        refusal(
            "a total does not parse",
            "/spec/quotaTotal/requests.cpu",
            "much".into(),
            "spec.quotaTotal[requests.cpu]",
            "is not a quantity",
        ),
        refusal(
            "the quotas are more than the total",
            &quota("requests.cpu"),
            "4001m".into(),
            "spec.quotaTotal[requests.cpu]",
            "raise quotaTotal",
        ),
        refusal(
            "the quotas are more than the total, in bytes",
            &quota("requests.memory"),
            "1025Mi".into(),
            "spec.quotaTotal[requests.memory]",
            "raise quotaTotal",
        ),
        refusal(
            "the quotas are a billionth more than the total",
            &quota("requests.cpu"),
            "4000000001n".into(),
            "spec.quotaTotal[requests.cpu]",
            "raise quotaTotal",
        )
        .not_in_schema(),
        refusal(
            "a namespace is not bounded",
            "/spec/quotaTotal/pods",
            "99".into(),
            "spec.namespaces[1].quota",
            "remove it from quotaTotal",
        ),
        refusal(
            "a limit does not parse",
            &limit("max/cpu"),
            "x".into(),
            "spec.namespaces[0].limits.max.cpu",
            "is not a quantity",
        ),
        refusal(
            "a limit is on something that no container has",
            &limit("max/pods"),
            "1".into(),
            "spec.namespaces[0].limits.max.pods",
            "is no resource of a container",
        ),
        refusal(
            "the default is more than the most",
            &limit("default/cpu"),
            "2".into(),
            "spec.namespaces[0].limits.default.cpu",
            "is more than max",
        ),
        refusal(
            "the default request is more than the default",
            &limit("defaultRequest/cpu"),
            "600m".into(),
            "spec.namespaces[0].limits.defaultRequest.cpu",
            "is more than default",
        ),
        refusal(
            "the least is more than the default request",
            &limit("min/cpu"),
            "200m".into(),
            "spec.namespaces[0].limits.min.cpu",
            "is more than defaultRequest",
        ),
        refusal(
            "a device is overcommitted",
            &limit("defaultRequest/nvidia.com~1gpu"),
            "0".into(),
            "spec.namespaces[0].limits.defaultRequest[nvidia.com/gpu]",
            "cannot be overcommitted",
        ),
    ]
}
