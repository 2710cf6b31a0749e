//! What can be said only when all other tests have run; by its name this target is the last one.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use e2e::install::read_manifests;
use e2e::rights::{Call, GRANTING, Right, kept};
use e2e::scenario::{self, skip};
use e2e::{scenarios, workspace};
use kube::ResourceExt;
use kube::api::DynamicObject;

/// What says nothing of today's operator in its tests: where an earlier one runs, too, with the rights of its own chart, and
/// the benchmark, which no test runs.
const OTHERS: [&str; 2] = ["chart", "bench"];
/// The roles for application teams, which are not for the operator.
const OF_TEAMS: &str = "landing-zone-team-policies";
/// Test targets that use rights which no other uses. Without one of them nothing can be said.
const TARGETS: [&str; 12] = [
    "availability",
    "azure",
    "crossings",
    "disruption",
    "flavours",
    "guard",
    "operator",
    "people",
    "placement",
    "platform",
    "process",
    "silence",
];

/// Whether a test gives the operator a right of its own, beside those in `config/`: to the Lease of another namespace.
fn is_given_by_a_test(call: &Call) -> bool {
    call.resource == "leases" && call.namespace != "landing-zone-system"
}

/// Rights that no call of the operator shows, and who asks for them.
fn is_asked_for_elsewhere(right: &Right) -> bool {
    match (right.resource.as_str(), right.verb.as_str()) {
        // The API server itself, when a RoleBinding to the role is written, or a role that lets somebody read a landing
        // zone: nobody hands out what he does not have. And the rules in config/admission, of whoever changes a namespace.
        ("clusterroles", "bind") | ("landingzones", "get" | "update") => true,
        // Calico's API server, of whoever reads or writes a policy in a tier.
        (resource, _) => resource.starts_with("tier."),
    }
}

/// Looking at an object that a write met where none was expected: the same code asks so of every kind, and tests bring it about
/// for those that lie in namespaces.
fn is_asked_of_others(right: &Right) -> bool {
    let is_shared = [
        "tiers",
        "clusterroles",
        "clusterrolebindings",
        "limitranges",
    ];
    right.verb == "get" && is_shared.contains(&right.resource.as_str())
}

/// Nothing more than it needs, nothing that it lacks.
async fn each_right_is_used_and_each_call_is_granted((): &()) -> Result<()> {
    let mut manifests = Vec::new();
    for folder in GRANTING {
        manifests.extend(read_manifests(
            &workspace::root().join("config").join(folder),
        )?);
    }
    let mut rights = Right::of(&manifests)?;
    rights.retain(|right| !right.role.starts_with(OF_TEAMS));
    for right in &rights {
        let all = [&right.group, &right.resource, &right.verb];
        ensure!(
            !all.iter().any(|it| it.contains('*')),
            "a wildcard: {right:?}"
        );
        ensure!(
            right.verb != "escalate" && right.verb != "impersonate",
            "{right:?}"
        );
        ensure!(right.verb != "bind" || right.name.is_some(), "{right:?}");
        let reads_secrets = right.resource == "secrets" && right.verb != "create";
        ensure!(!reads_secrets || right.name.is_some(), "{right:?}");
    }
    // Whoever is bound to a role of somebody else has more than what is looked at here.
    let all_ours: BTreeSet<_> = manifests
        .iter()
        .filter(|it| kind_of(it).ends_with("Role"))
        .map(ResourceExt::name_any)
        .collect();
    for binding in manifests
        .iter()
        .filter(|it| kind_of(it).ends_with("Binding"))
    {
        let role = binding.data["roleRef"]["name"].as_str();
        let is_ours = role.is_some_and(|role| all_ours.contains(role));
        // A binding of admission policies has no role.
        ensure!(
            is_ours || kind_of(binding).starts_with("Validating"),
            "{} gives {role:?}",
            binding.name_any()
        );
    }

    let kept = kept()?;
    let missing: Vec<_> = TARGETS
        .iter()
        .filter(|target| !kept.iter().any(|(name, _)| name == *target))
        .collect();
    if !missing.is_empty() {
        return skip(format!(
            "it needs what all tests have asked for, and {missing:?} have not run: cargo test runs them"
        ));
    }
    let calls: BTreeSet<Call> = kept
        .into_iter()
        .filter(|(name, _)| !OTHERS.contains(&name.as_str()))
        .flat_map(|(_, calls)| calls)
        .collect();
    let denied: Vec<_> = calls
        .iter()
        .filter(|call| !is_given_by_a_test(call))
        .filter(|call| !rights.iter().any(|right| right.grants(call)))
        .collect();
    ensure!(denied.is_empty(), "asked for and not granted: {denied:#?}");
    let is_used = |right: &Right| calls.iter().any(|call| right.grants(call));
    let unused: BTreeSet<_> = rights
        .iter()
        .filter(|right| !is_asked_for_elsewhere(right) && !is_asked_of_others(right))
        .filter(|right| !is_used(right))
        .map(|right| (&*right.group, &*right.resource, &*right.verb))
        .collect();
    ensure!(unused.is_empty(), "granted and never used: {unused:#?}");
    Ok(())
}

fn kind_of(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

fn main() -> ExitCode {
    scenario::run::<()>(scenarios![each_right_is_used_and_each_call_is_granted])
}
