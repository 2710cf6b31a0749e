//! What people may do, by the roles that they get.

use anyhow::{Context, Result, ensure};
use e2e::{eventually, governed::CONVERGED};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::Fixture;

const STORAGE: &str = "crd.projectcalico.org";

/// A request that somebody may want to make.
struct Request<'a> {
    group: &'a str,
    verb: &'a str,
    resource: &'a str,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn policy(verb: &'a str, namespace: &'a str) -> Self {
        Self {
            group: STORAGE,
            verb,
            resource: "networkpolicies",
            namespace: Some(namespace),
            name: None,
        }
    }

    fn global(verb: &'a str, resource: &'a str) -> Self {
        Self {
            group: STORAGE,
            verb,
            resource,
            namespace: None,
            name: None,
        }
    }

    fn landing_zone(verb: &'a str, name: Option<&'a str>) -> Self {
        Self {
            group: "landingzones.dev",
            verb,
            resource: "landingzones",
            namespace: None,
            name,
        }
    }
}

/// Whether members of a group may make a request.
async fn may(fixture: &Fixture, group: &str, request: &Request<'_>) -> Result<bool> {
    let reviews: Api<SubjectAccessReview> = Api::all(fixture.0.client());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some("somebody".to_owned()),
            groups: Some(vec![group.to_owned(), "system:authenticated".to_owned()]),
            resource_attributes: Some(ResourceAttributes {
                group: Some(request.group.to_owned()),
                verb: Some(request.verb.to_owned()),
                resource: Some(request.resource.to_owned()),
                namespace: request.namespace.map(str::to_owned),
                name: request.name.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.context("no answer")?.allowed)
}

/// Waits until the API server knows what was granted, then fails unless all is as expected.
async fn ensure_rights(
    fixture: &Fixture,
    group: &str,
    expected: &[(Request<'_>, bool)],
) -> Result<()> {
    let what = format!("the rights of {group}");
    eventually(CONVERGED, &what, async || {
        for (request, allowed) in expected {
            ensure!(
                may(fixture, group, request).await? == *allowed,
                "{} {} in {:?} {:?} must be {allowed}",
                request.verb,
                request.resource,
                request.namespace,
                request.name
            );
        }
        Ok(Some(()))
    })
    .await
}

fn spec(name: &str) -> Value {
    json!({
        "applicationCode": name,
        "namespaces": [
            {"name": format!("{name}-web"), "zone": "frontend"},
            {"name": format!("{name}-data"), "zone": "data"},
        ],
        "access": [
            {"kind": "Group", "name": format!("{name}-editors"), "role": "edit", "zones": ["frontend"]},
            {"kind": "Group", "name": format!("{name}-viewers"), "role": "view"},
        ],
    })
}

pub async fn teams_write_their_own_policies_and_no_others(fixture: &Fixture) -> Result<()> {
    fixture.0.converge("team", spec("team")).await?;
    let neither = |expected: &mut Vec<(Request<'static>, bool)>| {
        for verb in ["create", "update", "patch", "delete"] {
            for resource in ["globalnetworkpolicies", "tiers"] {
                expected.push((Request::global(verb, resource), false));
            }
            expected.push((Request::policy(verb, "default"), false));
            expected.push((Request::policy(verb, "team-data"), false));
        }
    };
    let mut editors = Vec::new();
    let mut viewers = Vec::new();
    for verb in ["create", "update", "patch", "delete"] {
        editors.push((Request::policy(verb, "team-web"), true));
        viewers.push((Request::policy(verb, "team-web"), false));
    }
    for verb in ["get", "list", "watch"] {
        editors.push((Request::policy(verb, "team-web"), true));
        viewers.push((Request::policy(verb, "team-web"), true));
        viewers.push((Request::policy(verb, "team-data"), true));
    }
    neither(&mut editors);
    neither(&mut viewers);
    ensure_rights(fixture, "team-editors", &editors).await?;
    ensure_rights(fixture, "team-viewers", &viewers).await
}

pub async fn subjects_see_their_own_landing_zone(fixture: &Fixture) -> Result<()> {
    fixture.0.converge("mine", spec("mine")).await?;
    fixture.0.converge("theirs", spec("theirs")).await?;
    let expected = [
        (Request::landing_zone("get", Some("mine")), true),
        (Request::landing_zone("get", Some("theirs")), false),
        // By its name alone.
        (Request::landing_zone("watch", Some("mine")), true),
        (Request::landing_zone("watch", Some("theirs")), false),
        (Request::landing_zone("list", None), false),
        (Request::landing_zone("watch", None), false),
        (Request::landing_zone("update", Some("mine")), false),
        (Request::landing_zone("patch", Some("mine")), false),
        (Request::landing_zone("delete", Some("mine")), false),
    ];
    ensure_rights(fixture, "mine-viewers", &expected).await?;
    ensure_rights(fixture, "mine-editors", &expected).await?;

    // And by the request itself.
    let cluster = &fixture.0.cluster;
    let member = cluster
        .client_as_user("somebody", &["mine-editors"])
        .await?;
    let zones: Api<landing_zone_operator::api::LandingZone> = Api::all(member);
    ensure!(zones.get("mine").await?.spec.application_code == "mine");
    let refused = zones.get("theirs").await;
    ensure!(
        matches!(&refused, Err(kube::Error::Api(status)) if status.is_forbidden()),
        "{refused:?}"
    );
    Ok(())
}
