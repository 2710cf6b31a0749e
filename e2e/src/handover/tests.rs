use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::audit::Stage;

/// Objects by plural, name, uid and a word of content.
fn holdings(objects: &[(&str, &str, &str, &str)]) -> Holdings {
    let objects = objects.iter().map(|(plural, name, uid, word)| {
        let object = json!({"metadata": {"name": name, "uid": uid}, "spec": word});
        (Place::new(plural, "", name), object)
    });
    Holdings(objects.collect())
}

/// A write that came in this second, and was done at once.
fn write(second: i64, verb: &str, resource: &str, name: &str) -> Event {
    let at = Timestamp::from_second(second).unwrap();
    Event {
        user: "operator".into(),
        verb: verb.into(),
        resource: resource.into(),
        subresource: String::new(),
        api_group: String::new(),
        namespace: if resource == NAMESPACES {
            name.into()
        } else {
            String::new()
        },
        name: name.into(),
        request_uri: String::new(),
        stage: Stage::ResponseComplete,
        code: 200,
        received: at,
        completed: at,
        user_agent: String::new(),
    }
}

const POLICY: &str = "globalnetworkpolicies";

#[test]
fn what_stays_and_what_changes_is_no_fault() {
    let before = holdings(&[(NAMESPACES, "shop", "1", "a"), (POLICY, "old", "2", "a")]);
    assert_eq!(faults(&before, &before, &[]), Vec::<String>::new());

    let after = holdings(&[(NAMESPACES, "shop", "1", "b"), (POLICY, "new", "3", "a")]);
    let mut status = write(1, "patch", NAMESPACES, "shop");
    status.subresource = "status".into();
    let mut refused = write(1, "delete", NAMESPACES, "shop");
    refused.code = 403;
    let writes = [
        status,
        refused,
        write(1, "patch", NAMESPACES, "shop"),
        write(2, "create", POLICY, "new"),
        write(3, "delete", POLICY, "old"),
    ];
    assert_eq!(faults(&before, &after, &writes), Vec::<String>::new());
}

#[test]
fn what_is_gone_or_made_anew_is_told() {
    let before = holdings(&[
        (NAMESPACES, "shop", "1", "a"),
        ("resourcequotas", "quota", "2", "a"),
        (POLICY, "boundary", "3", "a"),
    ]);
    let after = holdings(&[
        (NAMESPACES, "shop", "9", "a"),
        (POLICY, "boundary", "8", "a"),
    ]);
    let writes = [write(1, "delete", NAMESPACES, "shop")];
    assert_eq!(
        faults(&before, &after, &writes),
        [
            "globalnetworkpolicies /boundary is another one of the same name",
            "namespaces /shop is another one of the same name",
            "resourcequotas /quota is gone",
            "namespaces /shop was deleted",
        ]
    );
}

#[test]
fn a_policy_that_goes_too_early_is_told() {
    let before = holdings(&[(POLICY, "old", "1", "a")]);
    let after = holdings(&[(POLICY, "one", "2", "a"), (POLICY, "two", "3", "a")]);
    let writes = [
        write(1, "create", POLICY, "one"),
        write(2, "delete", POLICY, "old"),
        write(3, "create", POLICY, "two"),
    ];
    let expected = ["globalnetworkpolicies /old went before globalnetworkpolicies /two was there"];
    assert_eq!(faults(&before, &after, &writes), expected);
}

#[test]
fn what_is_written_though_it_is_the_same_is_told() {
    let before = holdings(&[(POLICY, "old", "1", "a"), (POLICY, "other", "2", "a")]);
    let after = holdings(&[(POLICY, "old", "1", "a"), (POLICY, "other", "2", "b")]);
    let writes = [
        write(1, "patch", POLICY, "old"),
        write(1, "patch", POLICY, "other"),
    ];
    let expected = ["patch of globalnetworkpolicies /old, which is as it was"];
    assert_eq!(faults(&before, &after, &writes), expected);
}

#[test]
fn what_changes_by_itself_does_not_count() {
    let object = json!({
        "metadata": {"name": "a", "uid": "1", "resourceVersion": "7", "generation": 2, "managedFields": [{}]},
        "spec": {"b": 1}, "status": {"used": 1},
    });
    let expected = json!({"metadata": {"name": "a", "uid": "1"}, "spec": {"b": 1}});
    assert_eq!(lasting(object), expected);
}
