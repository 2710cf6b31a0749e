//! Azure Policy: its add-on, and the built-in definitions that the article names.

use super::azure::{is_same, is_within, last_name};
use super::check::{Answer, LIVE};
use super::field::Field;
use super::{Asked, InputFile};

/// A built-in definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// Its id, which no version changes.
    id: &'static str,
    /// What it is called.
    name: &'static str,
    /// The effect that it has where nobody says otherwise.
    default: &'static str,
    /// The most that it can do.
    strongest: &'static str,
    /// Initiatives of Microsoft's that hold it.
    initiatives: &'static [&'static str],
    /// What an assignment has to say besides its effect.
    parameters: &'static str,
}

/// Microsoft cloud security benchmark.
const MCSB: &str = "1f3afdf9-d0c9-4c3d-847f-89da613e70a8";
/// Pod security of the baseline, and restricted, for Linux.
const POD_SECURITY: [&str; 2] = [
    "a8640138-9b0a-4a28-b8cb-1666c838647d",
    "42b8ef37-b724-4e24-bbc8-7a7708edfe00",
];

/// Ingresses have TLS.
pub(super) const HTTPS_INGRESS: Definition = Definition {
    id: "1a5b4dca-0b6f-4cf5-907c-56316bc1bf3d",
    name: "Kubernetes clusters should be accessible only over HTTPS",
    default: "Deny",
    strongest: "Deny",
    initiatives: &[MCSB],
    parameters: "",
};
/// Services have allowed ports.
pub(super) const SERVICE_PORTS: Definition = Definition {
    id: "233a2a17-77ca-4fb1-9b6b-69223d272a44",
    name: "Kubernetes cluster services should listen only on allowed ports",
    default: "Deny",
    strongest: "Deny",
    initiatives: &[MCSB],
    parameters: r#","allowedServicePortsList":{"value":["80","443"]}"#,
};
/// Services have allowed external IPs.
pub(super) const EXTERNAL_IPS: Definition = Definition {
    id: "d46c275d-1680-448d-b2ec-e495a3b6cc89",
    name: "Kubernetes cluster services should only use allowed external IPs",
    default: "Audit",
    strongest: "Deny",
    initiatives: &[],
    parameters: "",
};
/// Pods have approved host network and ports.
pub(super) const HOST_NETWORK: Definition = Definition {
    id: "82985f06-dc18-4a48-bc1c-b9f4f0098cfe",
    name: "Kubernetes cluster pods should only use approved host network and port list",
    default: "Audit",
    strongest: "Deny",
    initiatives: &[MCSB, POD_SECURITY[0], POD_SECURITY[1]],
    parameters: "",
};
/// Clusters have authorized ranges.
pub(super) const AUTHORIZED_IP_RANGES: Definition = Definition {
    id: "0e246bcf-5f6f-4f87-bc6f-775d4712c7ea",
    name: "Authorized IP ranges should be defined on Kubernetes Services",
    default: "Audit",
    strongest: "Audit",
    initiatives: &[MCSB],
    parameters: "",
};

/// Whether the Azure Policy add-on is on.
pub(super) fn addon(asked: &Asked<'_>) -> Answer {
    let mend = |answer: Answer| {
        let cluster = asked.azure.names().cluster;
        answer.mend(format!("az aks enable-addons {cluster} -a azure-policy"))
    };
    if let Some(cluster) = asked.azure.cluster() {
        let addon = cluster.get("addonProfiles").get("azurepolicy");
        return if addon.get("enabled").flag() == Some(true) {
            Answer::pass("the add-on azurepolicy is enabled")
        } else {
            mend(Answer::fail("the add-on azurepolicy is not enabled"))
        };
    }
    let Some(live) = asked.live else {
        return Answer::without(InputFile::Cluster).or_tells(&LIVE);
    };
    match &live.namespaces {
        // The add-on brings Gatekeeper with it, which others bring as well.
        Ok(namespaces) if namespaces.contains_key("gatekeeper-system") => {
            let seen = "the cluster runs Gatekeeper, and whose it is was not seen";
            Answer::unknown(seen, InputFile::Cluster)
        }
        Ok(_) => mend(Answer::fail(
            "there is no namespace gatekeeper-system, which the add-on brings",
        )),
        Err(missing) => Answer::missing(missing).or_tells(&InputFile::Cluster),
    }
}

/// How far a definition is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Force {
    /// It is assigned, and does nothing.
    Off,
    /// Nobody says what it does.
    NotTold,
    /// It records.
    Audit,
    /// It refuses.
    Deny,
}

impl Force {
    fn of_effect(effect: &str) -> Self {
        match effect.to_ascii_lowercase().as_str() {
            "deny" => Self::Deny,
            "audit" => Self::Audit,
            "disabled" => Self::Off,
            _ => Self::NotTold,
        }
    }
}

/// Whether a built-in definition is assigned, and refuses what breaks it.
pub(super) fn definition(asked: &Asked<'_>, wanted: &Definition) -> Answer {
    let states = asked.azure.given(InputFile::PolicyStates);
    let assignments = asked.azure.given(InputFile::PolicyAssignments);
    let templates = asked.live.map(|it| it.definitions.as_ref());
    let of_states = states.and_then(|it| of_states(it, wanted));
    let of_assignments = assignments.map(|it| of_assignments(it, asked, wanted));
    let assigned = of_assignments.as_ref().and_then(|it| it.force.clone());
    let is_in_cluster = matches!(templates, Some(Ok(found)) if found.contains(wanted.id));
    let in_cluster = is_in_cluster.then(|| {
        (
            Force::NotTold,
            "its constraint template is in the cluster".to_owned(),
        )
    });
    let found = [of_states, assigned, in_cluster].into_iter().flatten();
    if let Some((force, seen)) = found.max_by_key(|(force, _)| *force) {
        return judged(force, &seen, asked, wanted);
    }
    if let Some(initiative) = of_assignments
        .and_then(|it| it.initiative)
        .filter(|_| states.is_none())
    {
        let seen = format!(
            "it is not assigned by itself, and what the initiative {initiative} holds is not known here"
        );
        return Answer::unknown(seen, InputFile::PolicyStates);
    }
    if states.is_none() && assignments.is_none() {
        let answer = match templates {
            Some(Err(missing)) => Answer::missing(missing).or_tells(&InputFile::PolicyAssignments),
            _ => Answer::without(InputFile::PolicyAssignments),
        };
        return answer.or_tells(&InputFile::PolicyStates);
    }
    mended(
        Answer::fail(format!("the definition “{}” is not assigned", wanted.name)),
        asked,
        wanted,
    )
}

fn judged(force: Force, seen: &str, asked: &Asked<'_>, wanted: &Definition) -> Answer {
    match force {
        Force::Deny => Answer::pass(seen),
        Force::Audit if is_same(wanted.strongest, "Audit") => Answer::pass(seen),
        Force::Audit => {
            Answer::pass(seen).note("what breaks it is only recorded: Deny would refuse it")
        }
        Force::NotTold => Answer::pass(seen).note(format!(
            "whether it refuses, or only records, was not seen: {} tells",
            InputFile::PolicyStates
        )),
        Force::Off => mended(Answer::fail(seen), asked, wanted),
    }
}

fn mended(answer: Answer, asked: &Asked<'_>, wanted: &Definition) -> Answer {
    let scope = asked.azure.names().cluster_id;
    answer
        .mend(format!(
            "az policy assignment create --name {} --scope {scope} --policy {} -p '{{\"effect\":{{\"value\":\"Audit\"}}{}}}'",
            wanted.id, wanted.id, wanted.parameters
        ))
        .mend("# it takes up to 20 minutes to reach the cluster; Deny once nothing is recorded any more")
}

/// What the states of the cluster say: they see through initiatives.
fn of_states(states: &[Field<'_>], wanted: &Definition) -> Option<(Force, String)> {
    let own = states.iter().filter(|it| {
        let id = it.get("policyDefinitionId").text().unwrap_or_default();
        is_same(last_name(id), wanted.id)
    });
    let forces = own.map(|it| {
        let action = it.get("policyDefinitionAction").text().unwrap_or_default();
        let state = it.get("complianceState").text().unwrap_or("not told");
        let seen = format!("its state is {state}, with the effect {action}");
        (Force::of_effect(action), seen)
    });
    forces.max_by_key(|(force, _)| *force)
}

/// What assignments say.
struct Assigned {
    force: Option<(Force, String)>,
    /// An initiative of which it is not known whether it holds the definition.
    initiative: Option<String>,
}

fn of_assignments(assignments: &[Field<'_>], asked: &Asked<'_>, wanted: &Definition) -> Assigned {
    let mut all = Assigned {
        force: None,
        initiative: None,
    };
    for assignment in assignments {
        let text = |key: &str| assignment.get(key).text().unwrap_or_default();
        if !is_about(assignment, asked) {
            continue;
        }
        let id = text("policyDefinitionId");
        let name = text("name");
        let is_initiative = id.to_ascii_lowercase().contains("/policysetdefinitions/");
        let (force, seen) = if is_same(last_name(id), wanted.id) && !is_initiative {
            let effect = assignment.get("parameters").get("effect");
            let effect = effect.get("value").text().unwrap_or(wanted.default);
            let seen = format!("the assignment {name} has the effect {effect}");
            (Force::of_effect(effect), seen)
        } else if is_initiative
            && wanted
                .initiatives
                .iter()
                .any(|it| is_same(it, last_name(id)))
        {
            // It has parameters of its own for the effect of each.
            let seen = format!("the assignment {name} is of an initiative that holds it");
            (Force::NotTold, seen)
        } else {
            if is_initiative {
                all.initiative.get_or_insert_with(|| name.to_owned());
            }
            continue;
        };
        let (force, seen) = if is_same(text("enforcementMode"), "DoNotEnforce") {
            (Force::Off, format!("the assignment {name} is not enforced"))
        } else {
            (force, seen)
        };
        let found = (force, seen);
        if all.force.as_ref().is_none_or(|(known, _)| *known < found.0) {
            all.force = Some(found);
        }
    }
    all
}

/// Whether an assignment is about the cluster.
fn is_about(assignment: &Field<'_>, asked: &Asked<'_>) -> bool {
    let Some(cluster) = asked.azure.cluster_id() else {
        return true;
    };
    let scope = assignment.get("scope").text().unwrap_or_default();
    // Which management groups the cluster is in, nobody says; what is listed for its group applies to it.
    let is_above = scope.to_ascii_lowercase().contains("/managementgroups/");
    let left_out = assignment.get("notScopes").texts();
    (is_above || is_within(cluster, scope)) && !left_out.iter().any(|it| is_within(cluster, it))
}

#[cfg(test)]
mod tests;
