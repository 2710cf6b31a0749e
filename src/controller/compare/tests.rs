use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::controller::kind::{Kind, OwnedFields};
use crate::domain::AzureKind;

fn quota(hard: &Value) -> Value {
    json!({"metadata": {"labels": {"landingzones.dev/landing-zone": "shop"}}, "spec": {"hard": hard}})
}

fn policy(spec: &Value) -> Value {
    json!({"metadata": {}, "spec": spec})
}

fn same(kind: Kind, one: &Value, other: &Value) -> bool {
    let equal = Content::digest_of(kind, one) == Content::digest_of(kind, other);
    assert_eq!(
        equal,
        differences(kind, one, other).is_empty(),
        "digest and differences disagree"
    );
    equal
}

#[rstest]
#[case(json!({"cpu": "1000m"}), json!({"cpu": "1"}), true)]
#[case(json!({"memory": "1Gi"}), json!({"memory": "1073741824"}), true)]
#[case(json!({"cpu": "1"}), json!({"cpu": 1}), true)]
#[case(json!({"cpu": "1"}), json!({"cpu": "1001m"}), false)]
#[case(json!({"cpu": "1"}), json!({"cpu": "1", "pods": "5"}), false)]
fn quantities_are_equal_by_value(#[case] one: Value, #[case] other: Value, #[case] equal: bool) {
    assert_eq!(
        same(Kind::ResourceQuota, &quota(&one), &quota(&other)),
        equal
    );
}

#[rstest]
#[case::v3_fills_in(json!({"order": 10, "ingress": [{"action": "Deny"}]}), json!({"order": 10.0, "tier": "default", "ingress": [{"action": "Deny", "source": {}, "destination": {}}]}), true)]
#[case::absent_is_empty(json!({"order": 10}), json!({"order": 10, "egress": [], "selector": ""}), true)]
#[case::null_is_absent(json!({"order": 10}), json!({"order": 10, "selector": null}), true)]
#[case::types_matter(json!({"types": ["Ingress"]}), json!({}), false)]
#[case::foreign_fields_matter(json!({"order": 10}), json!({"order": 10, "serviceAccountSelector": "x == 'y'"}), false)]
#[case::other_tiers_matter(json!({"order": 10}), json!({"order": 10, "tier": "security"}), false)]
fn calico_policies_are_equal_by_meaning(
    #[case] one: Value,
    #[case] other: Value,
    #[case] equal: bool,
) {
    assert_eq!(
        same(Kind::GlobalNetworkPolicy, &policy(&one), &policy(&other)),
        equal
    );
}

#[rstest]
// An empty selector means every namespace, an absent one this namespace.
#[case::selector_added(json!({"ingress": [{"from": [{"podSelector": {}}]}]}), json!({"ingress": [{"from": [{"podSelector": {}, "namespaceSelector": {}}]}]}), false)]
#[case::empty_rules(json!({"ingress": []}), json!({}), true)]
#[case::rule_that_allows_all(json!({"ingress": []}), json!({"ingress": [{}]}), false)]
fn kubernetes_policies_keep_empty_selectors(
    #[case] one: Value,
    #[case] other: Value,
    #[case] equal: bool,
) {
    assert_eq!(
        same(Kind::NetworkPolicy, &policy(&one), &policy(&other)),
        equal
    );
}

#[test]
fn foreign_labels_and_annotations_are_not_ours() {
    let one = quota(&json!({"pods": "5"}));
    let mut other = one.clone();
    other["metadata"]["labels"]["team"] = json!("x");
    other["metadata"]["annotations"] = json!({"note": "y"});
    assert!(same(Kind::ResourceQuota, &one, &other));
    other["metadata"]["labels"]["landingzones.dev/landing-zone"] = json!("another");
    assert!(!same(Kind::ResourceQuota, &one, &other));
}

#[test]
fn differences_are_told_as_people_wrote_them() {
    let declared = quota(&json!({"pods": "50", "cpu": "4"}));
    let found = quota(&json!({"pods": "500", "memory": "1Gi"}));
    let told: Vec<_> = differences(Kind::ResourceQuota, &declared, &found)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "spec.hard.cpu: removed, declared 4",
            "spec.hard.pods: 500, declared 50",
            "spec.hard.memory: added, 1Gi",
        ]
    );
}

#[test]
fn a_subject_too_many_is_told_by_number() {
    let binding = |subjects: Value| json!({"roleRef": {"name": "edit"}, "subjects": subjects});
    let (alice, mallory) = (json!({"name": "alice"}), json!({"name": "mallory"}));
    let declared = binding(json!([alice]));
    let found = binding(json!([alice, mallory]));
    let told = differences(Kind::RoleBinding, &declared, &found);
    assert_eq!(told[0].to_string(), "subjects: 2 entries, declared 1");
}

fn managed(entries: &Value) -> Value {
    json!({"metadata": {"managedFields": entries}})
}

fn path(steps: &[&str]) -> Vec<String> {
    steps.iter().map(|&step| step.to_owned()).collect()
}

#[test]
fn the_holder_of_a_field_is_who_wrote_it_last_and_is_not_us() {
    let object = managed(&json!([
        {"manager": "landing-zone-operator", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:spec": {"f:hard": {"f:pods": {}}}}},
        {"manager": "old", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:hard": {"f:pods": {}}}}},
        {"manager": "kubectl-edit", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {"f:hard": {"f:pods": {}}}}},
    ]));
    let holder = |steps: &[&str]| holder(&object, &path(steps));
    assert_eq!(
        holder(&["f:spec", "f:hard", "f:pods"]).as_deref(),
        Some("kubectl-edit")
    );
    // That somebody holds a neighbour says nothing about a field that is gone.
    assert_eq!(holder(&["f:spec", "f:hard", "f:cpu"]), None);
}

#[test]
fn the_holder_of_an_atomic_value_holds_what_is_in_it() {
    let object = managed(&json!([
        {"manager": "mallory", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:roleRef": {}}},
    ]));
    assert_eq!(
        holder(&object, &path(&["f:roleRef", "f:name"])).as_deref(),
        Some("mallory")
    );
}

#[test]
fn only_keys_that_we_wrote_are_ours() {
    let object = managed(&json!([
        {"manager": "landing-zone-operator", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:zone": {}, "f:costCenter": {}}}}},
        {"manager": "other", "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}}},
    ]));
    let ours: Vec<_> = keys_held(&object, "labels").into_iter().collect();
    assert_eq!(ours, ["costCenter", "zone"]);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_i64..5).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    // A silent disagreement would be either drift that nobody sees or a write at every look.
    #[test]
    fn digest_and_differences_agree(one in json_value(), other in json_value(), kind in 0_usize..Kind::ALL.len()) {
        let kind = Kind::ALL[kind];
        same(kind, &policy(&one), &policy(&other));
    }

    #[test]
    fn everything_equals_itself(one in json_value(), kind in 0_usize..Kind::ALL.len()) {
        let kind = Kind::ALL[kind];
        prop_assert!(same(kind, &policy(&one), &policy(&one)));
    }
}

/// Any JSON that could be a spec, of words that mean something to some kind.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        Just(json!(10.0)),
        prop::sample::select(vec!["", "default", "1000m", "1", "1Gi", "Deny"])
            .prop_map(Value::from),
    ];
    let names = vec![
        "hard", "limits", "default", "max", "tier", "order", "source", "pods", "cpu", "count",
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let name = prop::sample::select(names.clone()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    /// What is digested is what is compared, whatever people wrote.
    #[test]
    fn a_digest_is_of_what_is_compared(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        label in any_value(),
        spec in any_value(),
    ) {
        let object = json!({
            "metadata": {
                "labels": {"landingzones.dev/landing-zone": label, "own": "x"},
                "annotations": {"serviceoperator.azure.com/reconcile-policy": label, "own": "x"},
            },
            "spec": spec, "rules": spec, "subjects": spec,
        });
        let content = Content::of(kind, &object);
        prop_assert_eq!(Content::digest_of(kind, &object), digest_of(&content.0));
        // Once it is normal, nothing is left to do.
        let again = Content::of(kind, &content.0);
        if kind != Kind::ResourceQuota && kind != Kind::LimitRange {
            prop_assert_eq!(&again, &content);
        }
    }
}

const KARPENTER_POOL: Kind = Kind::Azure(AzureKind::NodePool);

fn karpenter_pool(nodes: &str) -> Value {
    policy(&json!({
        "limits": {"nodes": nodes},
        "template": {
            "metadata": {"labels": {"stack": "shop"}},
            "spec": {
                "nodeClassRef": {"group": "karpenter.azure.com", "kind": "AKSNodeClass", "name": "lz-shop"},
                "requirements": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}],
            },
        },
    }))
}

/// What the API server fills in and the platform team tunes is neither a difference nor lost when something is put back.
#[test]
fn of_what_karpenter_takes_only_what_is_declared_is_ours() {
    let declared = karpenter_pool("3");
    let mut found = karpenter_pool("3");
    found["spec"]["disruption"] = json!({"consolidateAfter": "0s", "budgets": [{"nodes": "10%"}]});
    found["spec"]["weight"] = json!(10);
    found["spec"]["template"]["metadata"]["annotations"] = json!({"a": "b"});
    found["spec"]["template"]["spec"]["expireAfter"] = json!("720h");
    found["spec"]["template"]["spec"]["taints"] = json!([]);
    assert!(same(KARPENTER_POOL, &declared, &found));

    let tuned = found.clone();
    found["spec"]["limits"] = json!({"nodes": "100", "cpu": "1"});
    found["spec"]["template"]["spec"]["taints"] = json!([{"key": "a", "effect": "NoSchedule"}]);
    assert!(!same(KARPENTER_POOL, &declared, &found));
    let owned = KARPENTER_POOL.owned_fields();
    let put_back = owned.laid_over(declared.get("spec"), found.get("spec"));
    let mut wanted = tuned["spec"].clone();
    wanted["template"]["spec"]
        .as_object_mut()
        .unwrap()
        .remove("taints");
    assert_eq!(put_back, Some(wanted));
    assert_eq!(
        owned.laid_over(declared.get("spec"), None),
        declared.get("spec").cloned()
    );
    assert_eq!(owned.laid_over(None, None), None);
}

/// What is written and not compared would drift in silence.
#[rstest]
#[case(AzureKind::NodePool)]
#[case(AzureKind::AksNodeClass)]
fn every_field_that_karpenter_gets_is_ours(#[case] kind: AzureKind) {
    let owned = Kind::Azure(kind).owned_fields();
    assert_ne!(owned, OwnedFields::Whole);
    for field in kind.fields() {
        let mut path = field.split('.');
        assert!(
            path.try_fold(owned, OwnedFields::of_field).is_some(),
            "{field}"
        );
    }
}
