//! What landing zones get where they say nothing: by the rules that hold for what they say.

use super::{Findings, placement, quotas};
use crate::api::{self, PodSecurity, rule};
use crate::domain::{Defaults, FieldPath};

pub(in crate::domain) fn defaults(
    declared: &api::PlatformDefaults,
    path: &FieldPath,
    findings: &mut Findings,
) -> Defaults {
    let quota = quotas::hard(&declared.quota, &path.key("quota"), findings);
    let limits = declared.limits.as_ref();
    let limits = limits.map(|limits| quotas::limits(limits, &path.key("limits"), findings));
    if declared.pod_security == Some(PodSecurity::Privileged) {
        let path = path.key("podSecurity");
        findings.report(&path, "privileged", rule::PRIVILEGED_BY_DEFAULT);
    }
    let placement = declared.placement.as_ref();
    let placement =
        placement.map(|declared| placement::validate(declared, &path.key("placement"), findings));
    Defaults {
        quota,
        limits,
        pod_security: declared.pod_security,
        placement,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::{self, PodSecurity};
    use crate::domain::{LandingZone, Platform, Problem};

    fn platform(spec: Value) -> Result<Platform, Vec<Problem>> {
        let spec = serde_json::from_value(spec).unwrap();
        Platform::default().declared(&api::LandingZonePlatform::new("cluster", spec))
    }

    /// A landing zone with one namespace that says nothing and one that says everything.
    fn landing_zone(spec: &Value, platform: &Platform) -> Result<LandingZone, Vec<String>> {
        let mut all = json!({
            "applicationCode": "shop",
            "labels": {"costCenter": "4711"},
            "namespaces": [
                {"name": "shop-web", "zone": "web"},
                {"name": "shop-db", "zone": "data", "podSecurity": "restricted",
                 "quota": {"requests.cpu": "1"}, "limits": {"max": {"cpu": "1"}}},
            ],
        });
        for (field, value) in spec.as_object().unwrap() {
            all[field] = value.clone();
        }
        let zone = api::LandingZone::new("shop", serde_json::from_value(all).unwrap());
        LandingZone::validate(&zone, platform)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    fn with_defaults() -> Platform {
        platform(json!({"defaults": {
            "quota": {"requests.cpu": "4", "pods": "50"},
            "limits": {"default": {"cpu": "500m"}},
            "podSecurity": "baseline",
            "placement": {"nodeSelector": {"pool": "shared"}},
        }}))
        .unwrap()
    }

    #[test]
    fn what_is_left_out_is_filled_in_and_what_is_said_stays() {
        let zone = landing_zone(&json!({}), &with_defaults()).unwrap();
        let [web, data] = zone.namespaces.as_slice() else {
            panic!("{:?}", zone.namespaces);
        };
        assert_eq!(web.quota["pods"], "50".parse().unwrap());
        assert_eq!(web.limits.as_ref().unwrap().default["cpu"].as_str(), "500m");
        assert_eq!(web.pod_security, PodSecurity::Baseline);
        assert_eq!(zone.placement.unwrap().node_selector["pool"], "shared");

        // Not a single resource of the default joins a quota that somebody wrote.
        assert_eq!(data.quota.keys().collect::<Vec<_>>(), ["requests.cpu"]);
        assert!(data.limits.as_ref().unwrap().default.is_empty());
        assert_eq!(data.pod_security, PodSecurity::Restricted);
    }

    #[test]
    fn whoever_wants_no_limits_and_no_placement_says_so() {
        let namespaces = json!([{"name": "shop-web", "zone": "web", "limits": {}}]);
        let spec = json!({"placement": {}, "namespaces": namespaces});
        let zone = landing_zone(&spec, &with_defaults()).unwrap();
        assert!(zone.placement.unwrap().node_selector.is_empty());
        assert_eq!(
            zone.namespaces[0].limits,
            Some(crate::domain::Limits::default())
        );
    }

    #[test]
    fn a_total_counts_default_quotas_and_says_whose_they_are() {
        let within = json!({"quotaTotal": {"requests.cpu": "5"}});
        landing_zone(&within, &with_defaults()).unwrap();
        let spec = json!({"quotaTotal": {"requests.cpu": "4500m"}});
        let problems = landing_zone(&spec, &with_defaults()).unwrap_err();
        let [over] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert!(
            over.starts_with("spec.quotaTotal[requests.cpu]: \"4500m\":"),
            "{over}"
        );
        let words = "they are 5, with 4 for each of 1 that have no quota of their own, from the \
                     platform's defaults";
        assert!(over.contains(words), "{over}");
    }

    #[test]
    fn a_default_quota_that_does_not_bound_enough_is_told_as_such() {
        let namespaces = json!([{"name": "shop-web", "zone": "web"}]);
        let spec = json!({"quotaTotal": {"requests.memory": "1Gi"}, "namespaces": namespaces});
        let problems = landing_zone(&spec, &with_defaults()).unwrap_err();
        assert!(
            problems[0].contains("the platform's default quota"),
            "{problems:?}"
        );
        let problems = landing_zone(&spec, &Platform::default()).unwrap_err();
        assert!(!problems[0].contains("the platform"), "{problems:?}");
    }

    #[test]
    fn all_labels_that_are_missing_are_told_at_once() {
        let platform =
            platform(json!({"requiredLabels": ["owner", "costCenter", "tier"]})).unwrap();
        let labels = json!({"labels": {"costCenter": "4711", "tier": ""}});
        let problems = landing_zone(&labels, &platform).unwrap_err();
        let [missing] = problems.as_slice() else {
            panic!("{problems:?}");
        };
        assert!(
            missing.starts_with("spec.labels: must have a value for owner, tier: "),
            "{missing}"
        );
        assert!(
            missing.contains("spec.requiredLabels of the LandingZonePlatform"),
            "{missing}"
        );
        let labels = json!({"labels": {"costCenter": "4711", "tier": "gold", "owner": "shop"}});
        landing_zone(&labels, &platform).unwrap();
    }

    #[test]
    fn defaults_keep_the_rules_of_landing_zones() {
        let problems = platform(json!({
            "defaults": {
                "quota": {"pods": "500m", "request.cpu": "1"},
                "limits": {"min": {"cpu": "2"}, "max": {"cpu": "1"}},
                "podSecurity": "privileged",
                "placement": {"tolerations": [{"key": "CriticalAddonsOnly"}]},
            },
            "requiredLabels": ["cost center", "zone", "team", "team"],
        }));
        let problems = problems.unwrap_err();
        let paths: Vec<_> = problems.iter().map(|it| it.path.to_string()).collect();
        assert_eq!(
            paths,
            [
                "spec.defaults.quota.pods",
                "spec.defaults.quota[request.cpu]",
                "spec.defaults.limits.min.cpu",
                "spec.defaults.podSecurity",
                "spec.defaults.placement.tolerations[0].key",
                "spec.requiredLabels[0]",
                "spec.requiredLabels[1]",
                "spec.requiredLabels[3]",
            ]
        );
    }
}
