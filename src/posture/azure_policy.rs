//! Azure Policy: its add-on, and the built-in definitions that the article names.

use super::azure::{is_same, is_within, last_name};
use super::check::{Answer, LIVE, Seen};
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
    /// Whether it is about objects in the cluster, which the add-on brings it to.
    is_of_kubernetes: bool,
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
    is_of_kubernetes: true,
};
/// Services have allowed ports.
pub(super) const SERVICE_PORTS: Definition = Definition {
    id: "233a2a17-77ca-4fb1-9b6b-69223d272a44",
    name: "Kubernetes cluster services should listen only on allowed ports",
    default: "Deny",
    strongest: "Deny",
    initiatives: &[MCSB],
    parameters: r#","allowedServicePortsList":{"value":["80","443"]}"#,
    is_of_kubernetes: true,
};
/// Services have allowed external IPs.
pub(super) const EXTERNAL_IPS: Definition = Definition {
    id: "d46c275d-1680-448d-b2ec-e495a3b6cc89",
    name: "Kubernetes cluster services should only use allowed external IPs",
    default: "Audit",
    strongest: "Deny",
    initiatives: &[],
    parameters: "",
    is_of_kubernetes: true,
};
/// Pods have approved host network and ports.
pub(super) const HOST_NETWORK: Definition = Definition {
    id: "82985f06-dc18-4a48-bc1c-b9f4f0098cfe",
    name: "Kubernetes cluster pods should only use approved host network and port list",
    default: "Audit",
    strongest: "Deny",
    initiatives: &[MCSB, POD_SECURITY[0], POD_SECURITY[1]],
    parameters: "",
    is_of_kubernetes: true,
};
/// Clusters have authorized ranges.
pub(super) const AUTHORIZED_IP_RANGES: Definition = Definition {
    id: "0e246bcf-5f6f-4f87-bc6f-775d4712c7ea",
    name: "Authorized IP ranges should be defined on Kubernetes Services",
    default: "Audit",
    strongest: "Audit",
    initiatives: &[MCSB],
    parameters: "",
    is_of_kubernetes: false,
};

/// Whether the Azure Policy add-on is on.
pub(super) fn addon(asked: &Asked<'_>) -> Answer {
    if let Some(is_on) = is_addon_on(asked) {
        return if is_on {
            Answer::pass("the add-on azurepolicy is enabled")
        } else {
            enabled(Answer::fail("the add-on azurepolicy is not enabled"), asked)
        };
    }
    let Some(live) = asked.live else {
        return asked.without(InputFile::Cluster).or_tells(&LIVE);
    };
    match &live.namespaces {
        // The add-on brings Gatekeeper with it, which others bring as well.
        Ok(namespaces) if namespaces.contains_key(GATEKEEPER) => {
            let seen = "the cluster runs Gatekeeper, and whose it is was not seen";
            Answer::unknown(seen, InputFile::Cluster)
        }
        Ok(_) => enabled(
            Answer::fail(format!(
                "there is no namespace {GATEKEEPER}, which the add-on brings"
            )),
            asked,
        ),
        Err(missing) => Answer::missing(missing).or_tells(&InputFile::Cluster),
    }
}

const GATEKEEPER: &str = "gatekeeper-system";

/// Whether the cluster's file says that the add-on is on; None where there is no such file.
fn is_addon_on(asked: &Asked<'_>) -> Option<bool> {
    let addons = asked.azure.cluster()?.get("addonProfiles");
    Some(addons.get("azurepolicy").get("enabled").flag() == Some(true))
}

fn enabled(answer: Answer, asked: &Asked<'_>) -> Answer {
    let cluster = asked.azure.names().cluster;
    answer.mend(format!("az aks enable-addons {cluster} -a azure-policy"))
}

/// How far a definition is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Force {
    /// It is assigned, and does nothing, or not to all that it is about.
    Off,
    /// What was given does not say what it does; this would.
    NotTold(Tells),
    /// It records.
    Audit,
    /// It refuses.
    Deny,
}

/// What would say how far a definition is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tells {
    Assignments,
    States,
    /// States, as they are later.
    Evaluation,
    /// Resources besides an assignment, which no file has.
    Enrollments,
}

impl Force {
    fn of_effect(effect: &str) -> Self {
        match effect.to_ascii_lowercase().as_str() {
            "deny" => Self::Deny,
            "audit" => Self::Audit,
            "disabled" => Self::Off,
            _ => Self::NotTold(Tells::States),
        }
    }
}

/// How far it is in force, and by what that was seen.
type Found = (Force, String);

/// Whether a built-in definition is assigned, and refuses what breaks it.
pub(super) fn definition(asked: &Asked<'_>, wanted: &Definition) -> Answer {
    let states = asked.azure.given(InputFile::PolicyStates);
    let assignments = asked.azure.given(InputFile::PolicyAssignments);
    if wanted.is_of_kubernetes && is_addon_on(asked) == Some(false) {
        let seen = format!(
            "the add-on azurepolicy is not enabled, without which “{}” reaches no object of the cluster",
            wanted.name
        );
        return enabled(Answer::fail(seen), asked);
    }
    let templates = asked.live.map(|it| it.definitions.as_ref());
    let is_in_cluster = matches!(templates, Some(Ok(found)) if found.contains(wanted.id));
    if asked.azure.cluster().is_none() && (states.is_some() || assignments.is_some()) {
        if is_in_cluster {
            return in_cluster();
        }
        // Assignments are those of a whole subscription, and states those of whatever was asked for.
        return asked.without(InputFile::Cluster);
    }
    let rows: Vec<State<'_>> = states.into_iter().flatten().map(State::of).collect();
    let rows: Vec<State<'_>> = rows.into_iter().filter(|it| it.is_of(wanted)).collect();
    if let Some(row) = rows
        .iter()
        .find(|it| is_same(it.compliance, "NonCompliant"))
    {
        return broken(last_name(row.assignment), wanted);
    }
    let assigned = assignments.map(|it| of_assignments(it, asked, wanted, &rows));
    let of_states = rows.iter().filter_map(|row| {
        let is_known = assigned
            .as_ref()
            .is_some_and(|it| it.states.contains(&row.assignment));
        (!is_known).then(|| row.alone())
    });
    let of_assignments = assigned.iter().flat_map(|it| it.found.iter().cloned());
    let found: Vec<Found> = of_assignments.chain(of_states).collect();
    // The strongest of several assignments decides, and the first of those.
    let best = found
        .into_iter()
        .reduce(|one, other| if other.0 > one.0 { other } else { one });
    match best {
        Some((force, seen)) => judged(force, &seen, asked, wanted, states.is_some()),
        None if is_in_cluster => in_cluster(),
        None => not_assigned(asked, wanted, assigned.and_then(|it| it.initiative)),
    }
}

/// Something breaks it, whether it refuses that from now on or not.
fn broken(assignment: &str, wanted: &Definition) -> Answer {
    let what = format!(
        "its state is NonCompliant: something breaks “{}”",
        wanted.name
    );
    let seen = match assignment {
        "" => what.into(),
        assignment => Seen::of(assignment, format!("is assigned, and {what}")),
    };
    let answer = Answer::fail(seen);
    if wanted.is_of_kubernetes {
        answer
            .mend("# what breaks it, with messages; what was there before the policy is left alone by it")
            .mend("kubectl get constraints -o yaml")
    } else {
        answer.mend("# see authorized-ip-ranges")
    }
}

/// Its constraint template is in the cluster: it records at least.
fn in_cluster() -> Answer {
    Answer::pass("its constraint template is in the cluster").note(format!(
        "whether it refuses, or only records, was not seen: {} tells",
        InputFile::PolicyStates
    ))
}

fn not_assigned(asked: &Asked<'_>, wanted: &Definition, initiative: Option<String>) -> Answer {
    let states = asked.azure.given(InputFile::PolicyStates);
    if let Some(initiative) = initiative.filter(|_| states.is_none()) {
        let seen = format!(
            "it is not assigned by itself, and what the initiative {initiative} holds is not known here"
        );
        return Answer::unknown(seen, InputFile::PolicyStates);
    }
    if states.is_none() && asked.azure.given(InputFile::PolicyAssignments).is_none() {
        let answer = match asked.live.map(|it| it.definitions.as_ref()) {
            Some(Err(missing)) => Answer::missing(missing).or_tells(&InputFile::PolicyAssignments),
            _ => asked.without(InputFile::PolicyAssignments),
        };
        return answer.or_tells(&InputFile::PolicyStates);
    }
    mended(
        Answer::fail(format!("the definition “{}” is not assigned", wanted.name)),
        asked,
        wanted,
    )
}

fn judged(
    force: Force,
    seen: &str,
    asked: &Asked<'_>,
    wanted: &Definition,
    are_states_given: bool,
) -> Answer {
    let answer = match force {
        Force::Deny => Answer::pass(seen),
        Force::Audit if is_same(wanted.strongest, "Audit") => Answer::pass(seen),
        Force::Audit => {
            Answer::pass(seen).note("what breaks it is only recorded: Deny would refuse it")
        }
        Force::NotTold(tells) => {
            return match tells {
                Tells::Assignments => Answer::unknown(seen, InputFile::PolicyAssignments),
                Tells::States => Answer::unknown(seen, InputFile::PolicyStates),
                Tells::Evaluation => Answer::untold(
                    seen,
                    format!("{}, once it is evaluated", InputFile::PolicyStates),
                ),
                Tells::Enrollments => Answer::untold(
                    seen,
                    "whether the cluster is enrolled in the assignment (policyEnrollments)",
                ),
            };
        }
        Force::Off => return mended(Answer::fail(seen), asked, wanted),
    };
    if are_states_given {
        answer
    } else {
        answer.note(format!(
            "exemptions, and whether something breaks it, were not seen: {} tells",
            InputFile::PolicyStates
        ))
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

/// What a state of the cluster says of a definition: states see through initiatives.
struct State<'a> {
    definition: &'a str,
    action: &'a str,
    compliance: &'a str,
    /// The id of the assignment that it comes from.
    assignment: &'a str,
}

impl<'a> State<'a> {
    fn of(state: &Field<'a>) -> Self {
        let text = |key: &str| state.get(key).text().unwrap_or_default();
        Self {
            definition: text("policyDefinitionId"),
            action: text("policyDefinitionAction"),
            compliance: text("complianceState"),
            assignment: text("policyAssignmentId"),
        }
    }

    fn is_of(&self, wanted: &Definition) -> bool {
        is_same(last_name(self.definition), wanted.id)
    }

    /// What it comes to, as far as its assignment is in force.
    fn found(&self) -> Found {
        let (action, compliance) = (self.action, self.compliance);
        let force = match compliance.to_ascii_lowercase().as_str() {
            "compliant" => Force::of_effect(action),
            "exempt" => Force::Off,
            _ => Force::NotTold(Tells::Evaluation),
        };
        let compliance = if compliance.is_empty() {
            "not told"
        } else {
            compliance
        };
        let seen = format!("its state is {compliance}, with the effect {action}");
        (force, seen)
    }

    /// The same, where its assignment was not given: it may be one that nobody enforces, or for some namespaces only.
    fn alone(&self) -> Found {
        match self.found() {
            (Force::Audit | Force::Deny, seen) => {
                let seen = format!(
                    "{seen}, and whether its assignment {} is enforced was not seen",
                    last_name(self.assignment)
                );
                (Force::NotTold(Tells::Assignments), seen)
            }
            other => other,
        }
    }
}

/// What assignments say.
struct Assigned<'s> {
    found: Vec<Found>,
    /// The assignments of states that are accounted for.
    states: Vec<&'s str>,
    /// An initiative of which it is not known whether it holds the definition.
    initiative: Option<String>,
}

fn of_assignments<'s>(
    assignments: &[Field<'_>],
    asked: &Asked<'_>,
    wanted: &Definition,
    rows: &[State<'s>],
) -> Assigned<'s> {
    let mut all = Assigned {
        found: Vec::new(),
        states: Vec::new(),
        initiative: None,
    };
    for assignment in assignments {
        let text = |key: &str| assignment.get(key).text().unwrap_or_default();
        let own = rows.iter().filter(|it| is_same(it.assignment, text("id")));
        let own: Vec<&State<'_>> = own.collect();
        if !is_about(assignment, asked) && own.is_empty() {
            continue;
        }
        let name = text("name");
        for row in &own {
            all.states.push(row.assignment);
            let limit = limit(assignment, name, true);
            all.found.push(within(row.found(), limit));
        }
        if !own.is_empty() {
            continue;
        }
        let definition = text("policyDefinitionId");
        let is_initiative = definition
            .to_ascii_lowercase()
            .contains("/policysetdefinitions/");
        let is_holding = wanted
            .initiatives
            .iter()
            .any(|it| is_same(it, last_name(definition)));
        let found = if is_initiative && is_holding {
            of_initiative(assignment, name, definition)
        } else if is_initiative {
            all.initiative.get_or_insert_with(|| name.to_owned());
            continue;
        } else if is_same(last_name(definition), wanted.id) {
            let effect = value_of(assignment, "effect").text();
            let effect = effect.unwrap_or(wanted.default);
            let seen = format!("the assignment {name} has the effect {effect}");
            (Force::of_effect(effect), seen)
        } else {
            continue;
        };
        all.found
            .push(within(found, limit(assignment, name, false)));
    }
    all
}

/// What an initiative of Microsoft's makes of what it holds: the security benchmark records, unless a parameter says otherwise. Which
/// parameter is whose is not known here, nor what others do by themselves.
fn of_initiative(assignment: &Field<'_>, name: &str, definition: &str) -> Found {
    if !is_same(last_name(definition), MCSB) {
        let seen = format!(
            "the assignment {name} is of an initiative that holds it, and which effect it has there was not seen"
        );
        return (Force::NotTold(Tells::States), seen);
    }
    let parameters = assignment.get("parameters");
    let mut keys = parameters.keys().into_iter();
    let says_effect = keys.any(|key| {
        let value = parameters.get(key).get("value");
        key.to_ascii_lowercase().contains("effect") || value.is_effect()
    });
    if says_effect {
        let seen = format!(
            "the assignment {name} is of an initiative that holds it, and has parameters for effects, one of which may be its own"
        );
        return (Force::NotTold(Tells::States), seen);
    }
    let seen = format!("the assignment {name} is of an initiative that holds it, and that records");
    (Force::Audit, seen)
}

/// The weaker of what is found and what an assignment leaves of it.
fn within(found: Found, limit: Option<Found>) -> Found {
    match limit {
        Some(limit) if limit.0 < found.0 => limit,
        _ => found,
    }
}

/// What keeps an assignment from being in force for all that it is about; None where nothing does. A state says already that the
/// cluster is one of the resources it is for, and with which effect.
fn limit(assignment: &Field<'_>, name: &str, has_state: bool) -> Option<Found> {
    let mode = assignment.get("enforcementMode").text();
    let namespaces = value_of(assignment, "namespaces").texts();
    if mode.is_some_and(|it| is_same(it, "DoNotEnforce")) {
        return Some((Force::Off, format!("the assignment {name} is not enforced")));
    }
    if !namespaces.is_empty() {
        let seen = format!(
            "the assignment {name} is for some namespaces only: {}",
            namespaces.join(", ")
        );
        return Some((Force::Off, seen));
    }
    if !value_of(assignment, "labelSelector").keys().is_empty() {
        let seen = format!("the assignment {name} is for objects with some labels only");
        return Some((Force::Off, seen));
    }
    if let Some(mode) = mode.filter(|it| !is_same(it, "Default")) {
        let seen = format!("the assignment {name} has the enforcement mode {mode}");
        return Some((Force::NotTold(Tells::Enrollments), seen));
    }
    for key in ["resourceSelectors", "overrides"] {
        if !has_state && !assignment.get(key).items().is_empty() {
            let seen = format!(
                "the assignment {name} has {key}, and what they mean for the cluster was not seen"
            );
            return Some((Force::NotTold(Tells::States), seen));
        }
    }
    None
}

/// The value of a parameter of an assignment.
fn value_of<'a>(assignment: &Field<'a>, parameter: &str) -> Field<'a> {
    assignment.get("parameters").get(parameter).get("value")
}

/// Whether an assignment is about the cluster.
fn is_about(assignment: &Field<'_>, asked: &Asked<'_>) -> bool {
    let Some(cluster) = asked.azure.cluster_id() else {
        return false;
    };
    let scope = assignment.get("scope").text().unwrap_or_default();
    // Which management groups the cluster is in, nobody says; what is listed for its group applies to it.
    let is_above = scope.to_ascii_lowercase().contains("/managementgroups/");
    let left_out = assignment.get("notScopes").texts();
    (is_above || is_within(cluster, scope)) && !left_out.iter().any(|it| is_within(cluster, it))
}

impl Field<'_> {
    /// Whether this is the name of an effect.
    fn is_effect(&self) -> bool {
        const EFFECTS: [&str; 7] = [
            "audit",
            "auditIfNotExists",
            "deny",
            "denyAction",
            "deployIfNotExists",
            "disabled",
            "modify",
        ];
        let is_text = self.is_text();
        is_text
            && self
                .text()
                .is_some_and(|it| EFFECTS.iter().any(|known| is_same(known, it)))
    }
}

#[cfg(test)]
mod tests;
