//! Who may do what.

use serde_json::json;

use super::{Refusal, refusal};

pub(super) fn refusals() -> Vec<Refusal> {
    vec![
        refusal(
            "a group is everybody",
            "/spec/access/0/name",
            "system:authenticated".into(),
            "spec.access[0].name",
            "may stand for everybody",
        ),
        refusal(
            "a group is the masters",
            "/spec/access/0/name",
            "system:masters".into(),
            "spec.access[0].name",
            "may stand for everybody",
        ),
        refusal(
            "a subject is blank",
            "/spec/access/0/name",
            " ".into(),
            "spec.access[0].name",
            "one line of readable text",
        ),
        refusal(
            "a service account has no namespace",
            "/spec/access/1/name",
            "deployer".into(),
            "spec.access[1].name",
            "<namespace>:<name>",
        ),
        refusal(
            "a role is not allowed",
            "/spec/access/0/role",
            "cluster-admin".into(),
            "spec.access[0].role",
            "--allowed-role",
        )
        .not_in_schema(),
        refusal(
            "access is to an unknown zone",
            "/spec/access/0/zones/0",
            "backend".into(),
            "spec.access[0].zones[0]",
            "is not the zone of any namespace",
        ),
        refusal(
            "access is granted twice",
            "/spec/access/-",
            json!({"kind": "Group", "name": "developers", "role": "edit"}),
            "spec.access[2]",
            "stands twice",
        )
        .admission("Duplicate value"),
    ]
}
