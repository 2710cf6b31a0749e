//! Azure Monitor: the logs of the control plane, and alerts on changes of the network.

use super::azure::{is_same, is_within, last_name};
use super::check::{Answer, Seen};
use super::field::Field;
use super::{Asked, InputFile};

/// Logs of the control plane that the article names, each with the categories that hold it. The groups hold all, or all of the
/// audit.
const LOGS: [(&str, &[&str]); 3] = [
    ("kube-apiserver", &["kube-apiserver", "allLogs"]),
    (
        "kube-audit or kube-audit-admin",
        &["kube-audit", "kube-audit-admin", "allLogs", "audit"],
    ),
    (
        "kube-controller-manager",
        &["kube-controller-manager", "allLogs"],
    ),
];

/// Where logs may go.
const DESTINATIONS: [&str; 4] = [
    "workspaceId",
    "storageAccountId",
    "eventHubAuthorizationRuleId",
    "marketplacePartnerId",
];

/// Whether logs of the control plane are kept.
pub(super) fn logs(asked: &Asked<'_>) -> Answer {
    let Some(settings) = asked.azure.given(InputFile::DiagnosticSettings) else {
        return asked.without(InputFile::DiagnosticSettings);
    };
    let mut kept: Vec<&str> = Vec::new();
    for setting in settings {
        let goes_somewhere = DESTINATIONS
            .iter()
            .any(|it| setting.get(it).text().is_some());
        let logs = setting.get("logs").items();
        let enabled = logs
            .iter()
            .filter(|it| goes_somewhere && it.get("enabled").flag() == Some(true));
        let categories = enabled.filter_map(|it| {
            let category = it.get("category").text();
            category.or_else(|| it.get("categoryGroup").text())
        });
        kept.extend(categories);
    }
    let missing = LOGS.iter().filter(|(_, categories)| {
        let mut all = categories.iter();
        !all.any(|wanted| kept.iter().any(|it| is_same(it, wanted)))
    });
    let missing = missing.map(|(name, _)| Seen::of(*name, "is not kept"));
    Answer::fail_each(
        missing.collect(),
        "kube-apiserver, the audit log and kube-controller-manager are kept",
    )
    .mend("# kube-audit-admin leaves out who only read, and costs much less than kube-audit")
    .mend(format!(
        "az monitor diagnostic-settings create --name to-workspace --resource {} --workspace <id> --export-to-resource-specific true \
         --logs '[{{\"category\":\"kube-apiserver\",\"enabled\":true}},{{\"category\":\"kube-audit-admin\",\"enabled\":true}},\
         {{\"category\":\"kube-controller-manager\",\"enabled\":true}}]'",
        asked.azure.names().cluster_id
    ))
}

/// Changes of which somebody has to be told: the type of resource, and the operation on it. Rules and routes are resources of their
/// own, which change without the group or the table.
const OPERATIONS: [(&str, &str); 8] = [
    ("Microsoft.Network/networkSecurityGroups", "write"),
    ("Microsoft.Network/networkSecurityGroups", "delete"),
    (
        "Microsoft.Network/networkSecurityGroups/securityRules",
        "write",
    ),
    (
        "Microsoft.Network/networkSecurityGroups/securityRules",
        "delete",
    ),
    ("Microsoft.Network/routeTables", "write"),
    ("Microsoft.Network/routeTables", "delete"),
    ("Microsoft.Network/routeTables/routes", "write"),
    ("Microsoft.Network/routeTables/routes", "delete"),
];

/// Whether changes of the network raise an alert.
pub(super) fn alerts(asked: &Asked<'_>) -> Answer {
    let Some(alerts) = asked.azure.given(InputFile::ActivityLogAlerts) else {
        return asked.without(InputFile::ActivityLogAlerts);
    };
    let Some(scope) = asked.azure.network_scope() else {
        let seen = "it is not known which resource group holds the cluster's network";
        return Answer::unknown(seen, asked.azure.tells_vnet());
    };
    let (mut missing, mut perhaps) = (Vec::new(), Vec::new());
    let subscription = scope.split('/').nth(2).unwrap_or("<subscription>");
    let mut mend = Vec::new();
    for (kind, verb) in OPERATIONS {
        let change = Change {
            kind,
            operation: format!("{kind}/{verb}"),
            scope: &scope,
        };
        let operation = &change.operation;
        let matching = alerts.iter().filter(|it| covers(it, &scope));
        let matching = matching.filter_map(|it| change.fires(it).map(|fits| (it, fits)));
        let matching: Vec<_> = matching.collect();
        let name = |it: &Field<'_>| it.get("name").text().unwrap_or_default().to_owned();
        let told = |it: &Field<'_>| !it.get("actions").get("actionGroups").items().is_empty();
        let telling = matching.iter().filter(|(it, _)| told(it));
        let mut telling: Vec<_> = telling.collect();
        telling.sort_by_key(|(_, fits)| matches!(fits, Fits::Narrowed(_)));
        match telling.first() {
            Some((_, Fits::Whole)) => {}
            Some((alert, Fits::Narrowed(field))) => perhaps.push((
                name(alert),
                format!(
                    "whether {} fires for {operation} depends on its condition on {field}",
                    name(alert)
                ),
            )),
            None => {
                let what = match matching.first() {
                    Some((alert, _)) => format!(
                        "raises {}, which tells nobody: it has no action group",
                        name(alert)
                    ),
                    None => "raises no alert".to_owned(),
                };
                missing.push(Seen::of(operation.clone(), what));
                mend.push(format!(
                    "az monitor activity-log alert create -n {}-{verb} -g <resource group> --scope /subscriptions/{subscription} \
                     --condition category=Administrative and operationName={operation} -a <action group>",
                    kind.rsplit('/').next().unwrap_or_default()
                ));
            }
        }
    }
    let well =
        "changes of network security groups and route tables, and of what is in them, raise alerts";
    let answer = match perhaps.first() {
        Some((alert, seen)) if missing.is_empty() => {
            let tells = format!(
                "the alert {alert} without that condition, or a look at what it has fired for"
            );
            return Answer::untold(seen.as_str(), tells);
        }
        _ => Answer::fail_each(missing, well),
    };
    let perhaps = perhaps.into_iter().map(|(_, seen)| seen);
    let answer = perhaps.fold(answer, Answer::note);
    mend.into_iter().fold(answer, Answer::mend)
}

fn covers(alert: &Field<'_>, scope: &str) -> bool {
    let is_enabled = alert.get("enabled").flag() == Some(true);
    let scopes = alert.get("scopes").texts();
    is_enabled && scopes.iter().any(|it| is_within(scope, it))
}

/// A change in the network.
struct Change<'a> {
    kind: &'static str,
    operation: String,
    /// The resource group that holds the cluster's network.
    scope: &'a str,
}

/// How an alert fits an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fits {
    Whole,
    /// It has a condition on this field besides, of which it is not known whether it is met.
    Narrowed(String),
}

/// What one condition says of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    No,
    Yes,
    /// It is about something of which nothing is known here.
    Else,
}

impl Change<'_> {
    /// Whether an alert fires for it.
    fn fires(&self, alert: &Field<'_>) -> Option<Fits> {
        let conditions = alert.get("condition").get("allOf").items();
        let mut fits = Fits::Whole;
        let mut is_administrative = false;
        for condition in &conditions {
            let alternatives = condition.get("anyOf").items();
            let leaves = match alternatives.as_slice() {
                [] => vec![condition.clone()],
                _ => alternatives,
            };
            let field = |it: &Field<'_>| it.get("field").text().unwrap_or_default().to_owned();
            let said: Vec<Says> = leaves.iter().map(|it| self.says(it)).collect();
            if said.contains(&Says::Yes) {
                is_administrative |= leaves.iter().any(|it| is_same(&field(it), "category"));
            } else if let Some(at) = said.iter().position(|it| *it == Says::Else) {
                fits = Fits::Narrowed(leaves.get(at).map(field).unwrap_or_default());
            } else {
                return None;
            }
        }
        // Without a category the command takes that of service health, which no change ever has.
        is_administrative.then_some(fits)
    }

    fn says(&self, leaf: &Field<'_>) -> Says {
        let field = leaf.get("field").text().unwrap_or_default();
        let one = leaf.get("equals").text();
        let any = leaf.get("containsAny").texts();
        let mut values = one.into_iter().chain(any);
        let wanted = match field.to_ascii_lowercase().as_str() {
            "category" => "Administrative",
            "operationname" => self.operation.as_str(),
            "resourceprovider" => "Microsoft.Network",
            "resourcetype" => self.kind,
            "resourcegroup" => last_name(self.scope),
            // What is done, and does what it should, ends so.
            "status" => "Succeeded",
            "level" => "Informational",
            // Whoever else makes a change makes it unseen.
            "caller" => return Says::No,
            // One resource is not all of them.
            "resourceid" => {
                let is_near = values.any(|it| is_within(it, self.scope));
                return if is_near { Says::Else } else { Says::No };
            }
            _ => return Says::Else,
        };
        if values.any(|it| is_same(it, wanted)) {
            Says::Yes
        } else {
            Says::No
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{CLUSTER, Given, cluster};
    use super::super::{Check, Outcome, Question};
    use super::*;

    fn settings(logs: &Value, workspace: &Value) -> Check {
        let settings = json!([{"type": "Microsoft.Insights/diagnosticSettings", "id": format!("{CLUSTER}/providers/x/y"),
            "logs": logs, "workspaceId": workspace}]);
        Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::DiagnosticSettings, settings)
            .ask(Question::DiagnosticSettings)
    }

    fn enabled(category: &str) -> Value {
        json!({"category": category, "enabled": true})
    }

    #[test]
    fn the_logs_that_the_article_names_go_somewhere() {
        let all = json!([
            enabled("kube-apiserver"),
            enabled("kube-audit-admin"),
            enabled("kube-controller-manager")
        ]);
        assert_eq!(settings(&all, &json!("/law")).outcome, Outcome::Pass);
        assert_eq!(settings(&all, &json!(null)).seen.len(), 3, "nowhere");
        let group = json!([{"categoryGroup": "allLogs", "enabled": true}]);
        assert_eq!(settings(&group, &json!("/law")).outcome, Outcome::Pass);
        let some = json!([enabled("kube-apiserver"), {"category": "kube-audit", "enabled": false}, {"categoryGroup": "audit", "enabled": true}]);
        let check = settings(&some, &json!("/law"));
        assert_eq!(
            check.seen,
            [Seen::of("kube-controller-manager", "is not kept")]
        );
    }

    #[test]
    fn settings_of_another_resource_tell_nothing() {
        let settings = json!([{"type": "Microsoft.Insights/diagnosticSettings", "id": "/other/providers/x/y"}]);
        let given = Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::DiagnosticSettings, settings);
        assert_eq!(
            given.ask(Question::DiagnosticSettings).outcome,
            Outcome::Unknown
        );
        assert_eq!(given.problems().len(), 1);
    }

    fn alert(conditions: &Value, scope: &str, groups: &Value) -> Check {
        let alert = json!([{"type": "Microsoft.Insights/ActivityLogAlerts", "name": "a", "enabled": true, "scopes": [scope],
            "condition": {"allOf": conditions}, "actions": {"actionGroups": groups}}]);
        Given::default()
            .file(InputFile::Cluster, cluster(json!({})))
            .file(InputFile::ActivityLogAlerts, alert)
            .ask(Question::NetworkChangeAlerts)
    }

    const SUBSCRIPTION: &str = "/subscriptions/0";

    #[rstest]
    #[case::all_of_the_provider(json!([{"field": "category", "equals": "Administrative"}, {"field": "resourceProvider", "equals": "microsoft.network"}]), 0)]
    #[case::no_category(json!([{"field": "resourceProvider", "equals": "Microsoft.Network"}]), 8)]
    #[case::another_category(json!([{"field": "category", "equals": "ServiceHealth"}]), 8)]
    #[case::one(json!([{"field": "category", "equals": "Administrative"},
        {"field": "operationName", "equals": "Microsoft.Network/routeTables/write"}]), 7)]
    #[case::alternatives(json!([{"field": "category", "equals": "Administrative"}, {"anyOf": [
        {"field": "operationName", "equals": "Microsoft.Network/routeTables/write"},
        {"field": "resourceType", "equals": "Microsoft.Network/networkSecurityGroups"}]}]), 5)]
    #[case::several(json!([{"field": "category", "equals": "Administrative"},
        {"field": "operationName", "containsAny": ["microsoft.network/networksecuritygroups/write", "microsoft.network/networksecuritygroups/securityrules/delete"]}]), 6)]
    #[case::elsewhere(json!([{"field": "category", "equals": "Administrative"}, {"field": "resourceGroup", "equals": "other"}]), 8)]
    #[case::here(json!([{"field": "category", "equals": "Administrative"}, {"field": "resourceGroup", "equals": "RG"}]), 0)]
    #[case::of_failures(json!([{"field": "category", "equals": "Administrative"}, {"field": "status", "equals": "Failed"}]), 8)]
    #[case::of_successes(json!([{"field": "category", "equals": "Administrative"}, {"field": "status", "equals": "succeeded"}]), 0)]
    #[case::of_errors(json!([{"field": "category", "equals": "Administrative"}, {"field": "level", "equals": "Error"}]), 8)]
    #[case::of_somebody(json!([{"field": "category", "equals": "Administrative"}, {"field": "caller", "equals": "a@b.c"}]), 8)]
    #[case::of_something_else(json!([{"field": "category", "equals": "Administrative"}, {"field": "resourceId", "equals": "/subscriptions/0/resourceGroups/other/x"}]), 8)]
    fn conditions_are_met_by_operations(#[case] conditions: Value, #[case] missing: usize) {
        let check = alert(
            &conditions,
            SUBSCRIPTION,
            &json!([{"actionGroupId": "/ag"}]),
        );
        let counted = check.seen.iter().filter(|it| it.resource.is_some()).count();
        assert_eq!(counted, missing, "{check:?}");
    }

    #[test]
    fn an_alert_tells_somebody_about_this_network() {
        let all = json!([{"field": "category", "equals": "Administrative"}]);
        let group = json!([{"actionGroupId": "/ag"}]);
        assert_eq!(alert(&all, SUBSCRIPTION, &group).outcome, Outcome::Pass);
        assert_eq!(
            alert(&all, "/subscriptions/1", &group).outcome,
            Outcome::Fail
        );
        let nobody = alert(&all, SUBSCRIPTION, &json!([]));
        assert!(nobody.seen[0].what.contains("tells nobody"), "{nobody:?}");
        let narrowed = json!([{"field": "category", "equals": "Administrative"}, {"field": "properties.entity", "equals": "x"}]);
        let narrowed = alert(&narrowed, SUBSCRIPTION, &group);
        assert_eq!(narrowed.outcome, Outcome::Unknown, "{narrowed:?}");
        assert!(
            narrowed.seen[0].what.contains("properties.entity"),
            "{narrowed:?}"
        );
    }

    #[test]
    fn without_files_both_are_unknown() {
        assert_eq!(
            Given::default().ask(Question::NetworkChangeAlerts).tells,
            [InputFile::ActivityLogAlerts.to_string()]
        );
        assert_eq!(
            Given::default().ask(Question::DiagnosticSettings).tells,
            [InputFile::DiagnosticSettings.to_string()]
        );
    }
}
