use rstest::rstest;
use serde_json::json;

use super::*;
use crate::api::LandingZone;
use crate::controller::packed::Packed;
use crate::controller::rendered::{Rendered, Source};
use crate::domain::{self, CalicoNaming, Flavour, Platform, PolicyApi};

const CALICO: Flavour = Flavour {
    api: PolicyApi::CalicoCrdV1,
    tiers: false,
    staged: false,
    naming: CalicoNaming::TierPrefixed,
};

fn shop(flavour: Flavour) -> Rendered {
    let spec = json!({
        "applicationCode": "shop",
        "labels": {"costCenter": "4711"},
        "namespaces": [
            {"name": "shop-web", "zone": "web", "quota": {"pods": "50"}},
            {"name": "shop-data", "zone": "data", "limits": {"max": {"cpu": "2"}}},
        ],
        "access": [{"kind": "Group", "name": "developers", "role": "edit"}],
    });
    let declared = LandingZone::new("shop", serde_json::from_value(spec).unwrap());
    let zone = domain::LandingZone::validate(&declared, &Platform::default()).unwrap();
    let source = Source {
        platform: Arc::default(),
        declaration: (None, Some(1)),
        flavour,
        withheld: BTreeSet::new(),
        released: Vec::new(),
        openings: crate::domain::Openings::default(),
        teams: crate::domain::TeamPolicies::default(),
        is_entering: false,
        azure: None,
    };
    Rendered::of(zone, source).unwrap()
}

/// A cluster in which everything is as rendered.
fn converged(rendered: &Rendered) -> Objects {
    let mut objects = Objects::default();
    for target in &rendered.targets {
        put(&mut objects, &target.key, target.object.unpack());
    }
    objects
}

fn put(objects: &mut Objects, key: &ObjectKey, mut object: Value) {
    object["metadata"]["uid"] = json!(format!("uid of {key}"));
    object["metadata"]["resourceVersion"] = json!("7");
    let observed = Observed::of(key.kind, object).unwrap();
    objects.observe(key.clone(), observed).unwrap();
}

fn object(objects: &Objects, key: &ObjectKey) -> Value {
    objects.get(key).unwrap().object.as_ref().unwrap().unpack()
}

#[test]
fn stage_plan_says_which_namespaces_are_adopted() {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    let namespace = key("Namespace/shop-web");
    let bare = json!({"metadata": {"name": "shop-web", "labels": {"team": "web"}}});
    put(&mut objects, &namespace, bare);
    let plan = Known::default().plan(&rendered, &objects);
    let all = plan.sentences(&BTreeMap::new(), &BTreeSet::new());
    let [adopts] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert!(adopts.starts_with("adopt Namespace/shop-web: "), "{adopts}");
    assert!(
        adopts.contains("metadata.labels.zone: none, declared web"),
        "{adopts}"
    );
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

#[derive(Default)]
struct Known {
    inventory: BTreeSet<ObjectKey>,
    left_alone: BTreeSet<String>,
    recorded_keys: BTreeMap<String, BTreeSet<String>>,
    applied_before: bool,
    memory: Memory,
}

impl Known {
    fn plan(&self, rendered: &Rendered, objects: &Objects) -> Plan {
        let basis = Basis {
            half: Half::Cluster,
            owner: rendered.zone.name.as_str(),
            targets: &rendered.targets,
            inventory: &self.inventory,
            left_alone: &self.left_alone,
            applied_before: self.applied_before,
            recorded_keys: &self.recorded_keys,
            inherited: &BTreeSet::new(),
            lost: &BTreeSet::new(),
            memory: &self.memory,
            now: Instant::now(),
        };
        plan(&basis, objects)
    }

    fn with_all_in_force(rendered: &Rendered) -> Self {
        let mut known = Self {
            inventory: rendered.keys(),
            ..Self::default()
        };
        known.memory.compared = true;
        for target in &rendered.targets {
            known
                .memory
                .in_force
                .insert(target.key.clone(), target.digest);
        }
        known
    }
}

const QUOTA: &str = "ResourceQuota/shop-web/landing-zone";

#[rstest]
#[case::calico(CALICO)]
#[case::kubernetes(Flavour::KUBERNETES)]
fn an_empty_cluster_gets_everything_and_a_converged_one_nothing(#[case] flavour: Flavour) {
    let rendered = shop(flavour);
    let known = Known::default();
    let all = known.plan(&rendered, &Objects::default());
    assert_eq!(all.writes.len(), rendered.targets.len());
    assert!(
        all.writes
            .iter()
            .all(|write| write.cause == Cause::Declared)
    );
    let nothing = known.plan(&rendered, &converged(&rendered));
    assert!(nothing.writes.is_empty(), "{:?}", nothing.writes);
    assert_eq!(nothing.settled.len(), rendered.targets.len());
}

/// Calico's API server and its storage hold the same objects under different names.
#[test]
fn another_api_for_the_same_objects_writes_nothing() {
    let v3 = Flavour {
        api: PolicyApi::CalicoV3,
        ..CALICO
    };
    for (before, after) in [(CALICO, v3), (v3, CALICO)] {
        let (before, after) = (shop(before), shop(after));
        assert_eq!(before.digest, after.digest);
        let known = Known::with_all_in_force(&before);
        let plan = known.plan(&after, &converged(&before));
        assert!(plan.writes.is_empty(), "{:?}", plan.writes);
        assert!(plan.prune.is_empty(), "{:?}", plan.prune);
    }
}

#[test]
fn what_was_in_force_and_differs_is_drift() {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    let mut quota = object(&objects, &key(QUOTA));
    quota["spec"]["hard"]["pods"] = json!("500");
    put(&mut objects, &key(QUOTA), quota);

    let drift = Known::with_all_in_force(&rendered).plan(&rendered, &objects);
    assert_eq!(drift.writes.len(), 1);
    assert_eq!(drift.writes[0].cause, Cause::Drift);
    assert_eq!(
        drift.writes[0].change.describe(),
        "spec.hard.pods: 500, declared 50"
    );

    // The same difference is no drift where this declaration was never in force.
    let declared = Known::default().plan(&rendered, &objects);
    assert_eq!(declared.writes[0].cause, Cause::Declared);

    // After a restart the status tells what was in force.
    let restarted = Known {
        applied_before: true,
        inventory: rendered.keys(),
        ..Known::default()
    };
    assert_eq!(
        restarted.plan(&rendered, &objects).writes[0].cause,
        Cause::Drift
    );
}

#[rstest]
#[case::ours("shop", true, true)]
#[case::not_in_the_inventory("shop", false, false)]
#[case::anothers("other", true, false)]
fn pruning_needs_label_and_inventory(
    #[case] owner: &str,
    #[case] in_inventory: bool,
    #[case] pruned: bool,
) {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    let old = key("RoleBinding/shop-web/landing-zone-admin");
    let binding = json!({"metadata": {"labels": {"landingzones.dev/landing-zone": owner}}});
    put(&mut objects, &old, binding);
    let mut known = Known::with_all_in_force(&rendered);
    if in_inventory {
        known.inventory.insert(old.clone());
    }
    let plan = known.plan(&rendered, &objects);
    assert_eq!(plan.prune.iter().any(|prune| prune.key == old), pruned);
    assert!(plan.writes.is_empty());
}

#[test]
fn nothing_is_pruned_in_a_released_namespace_and_no_namespace_ever() {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    let label = json!({"metadata": {"labels": {"landingzones.dev/landing-zone": "shop"}}});
    let mut known = Known::with_all_in_force(&rendered);
    for left in ["Namespace/shop-old", "ResourceQuota/shop-old/landing-zone"] {
        put(&mut objects, &key(left), label.clone());
        known.inventory.insert(key(left));
    }
    known.left_alone.insert("shop-old".into());
    assert_eq!(known.plan(&rendered, &objects).prune, []);
    // Even were it not known to be released, the namespace itself stays.
    known.left_alone.clear();
    let pruned: Vec<_> = known.plan(&rendered, &objects).prune;
    assert!(pruned.iter().all(|prune| prune.key.kind != Kind::Namespace));
}

#[test]
fn nothing_is_written_into_a_namespace_that_is_being_deleted() {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    let namespace = key("Namespace/shop-web");
    let mut going = object(&objects, &namespace);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    put(&mut objects, &namespace, going);
    objects.forget(&key(QUOTA), None);
    let plan = Known::with_all_in_force(&rendered).plan(&rendered, &objects);
    assert!(plan.writes.is_empty());
    assert!(plan.waiting.contains(&key(QUOTA)) && plan.waiting.contains(&namespace));
}

fn namespace_patch(known: &Known, rendered: &Rendered, objects: &Objects) -> Option<Value> {
    let plan = known.plan(rendered, objects);
    plan.writes
        .into_iter()
        .find_map(|write| match write.change {
            Change::Metadata { patch, .. } => Some(patch),
            _ => None,
        })
}

#[test]
fn of_a_namespace_only_our_own_keys_are_touched() {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    let namespace = key("Namespace/shop-web");
    let mut found = object(&objects, &namespace);
    found["metadata"]["labels"]["team"] = json!("x");
    found["metadata"]["labels"]["former"] = json!("1");
    found["metadata"]["labels"]["injected"] = json!("by a webhook");
    found["metadata"]["managedFields"] = json!([{
        "manager": "landing-zone-operator",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:former": {}, "f:injected": {}, "f:zone": {}}}},
    }]);
    put(&mut objects, &namespace, found);
    let mut known = Known::with_all_in_force(&rendered);
    assert_eq!(namespace_patch(&known, &rendered, &objects), None);

    // A key goes once it is known that the declaration put it there, and while it is ours.
    let recorded = BTreeSet::from(["labels/former".to_owned(), "labels/team".to_owned()]);
    known.recorded_keys.insert("shop-web".into(), recorded);
    let patch = namespace_patch(&known, &rendered, &objects).unwrap();
    assert_eq!(patch["metadata"]["labels"], json!({"former": null}));
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
}

#[test]
fn a_binding_to_another_role_is_replaced_since_it_cannot_be_changed() {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    let binding = key("RoleBinding/shop-web/landing-zone-edit");
    let mut swapped = object(&objects, &binding);
    swapped["roleRef"]["name"] = json!("cluster-admin");
    put(&mut objects, &binding, swapped);
    let plan = Known::with_all_in_force(&rendered).plan(&rendered, &objects);
    assert!(matches!(plan.writes[0].change, Change::Replace { .. }));
}

#[test]
fn stage_plan_says_what_would_be_done() {
    let rendered = shop(CALICO);
    let mut objects = converged(&rendered);
    objects.forget(&key(QUOTA), None);
    let plan = Known::default().plan(&rendered, &objects);
    let withheld = BTreeMap::from([("shop-x".to_owned(), "it is not ours".to_owned())]);
    assert_eq!(
        plan.sentences(&withheld, &BTreeSet::new()),
        [
            "create ResourceQuota/shop-web/landing-zone",
            "leave Namespace/shop-x alone: it is not ours",
        ]
    );
}

/// Objects are kept for as long as the operator runs, some twenty for each landing zone. If this fails because they look
/// otherwise now, `packed/typical.jsonl` has to look so, too.
#[rstest]
#[case(CALICO)]
#[case(Flavour { api: PolicyApi::CalicoV3, tiers: true, staged: true, ..CALICO })]
#[case(Flavour { api: PolicyApi::Kubernetes, ..CALICO })]
fn what_is_rendered_takes_little(#[case] flavour: Flavour) {
    let rendered = shop(flavour);
    let sum = |of: fn(&Packed) -> usize| -> usize {
        rendered.targets.iter().map(|it| of(&it.object)).sum()
    };
    let (takes, text) = (sum(Packed::takes), sum(Packed::size));
    assert!(takes * 3 < text, "{takes} bytes for {text}");
}
