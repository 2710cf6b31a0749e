use serde_json::{Value, json};

use super::*;
use crate::controller::cache::Observed;
use crate::controller::kind::Kind;
use crate::domain::CalicoNaming;

const CALICO: Flavour = Flavour {
    api: PolicyApi::CalicoCrdV1,
    tiers: false,
    staged: false,
    naming: CalicoNaming::TierPrefixed,
};
const STAGED: Flavour = Flavour {
    tiers: true,
    staged: true,
    ..CALICO
};

fn platform(stage: DefaultDenyStage, exempt: &[&str]) -> Platform {
    let mut platform = Platform::default();
    platform.default_deny.stage = stage;
    platform.default_deny.exempt = Exempt::named(exempt.iter().map(|&name| name.to_owned()));
    platform
}

/// A cluster, and what is known of it.
struct Known {
    flavour: Flavour,
    hosted: Result<Hosted, String>,
    decided: Option<Decided>,
    objects: Objects,
}

impl Known {
    fn with(namespaces: &[(&str, Value)]) -> Self {
        let mut known = Self {
            flavour: CALICO,
            hosted: Ok(Hosted::new()),
            decided: Some(Decided::default()),
            objects: Objects::default(),
        };
        for (name, labels) in namespaces {
            known.put(ObjectKey::namespace(*name), labels);
        }
        known
    }

    fn put(&mut self, key: ObjectKey, labels: &Value) {
        let object = json!({"metadata": {
            "name": &*key.name, "uid": "1", "resourceVersion": "1", "labels": labels,
        }});
        let observed = Observed::of(key.kind, object).unwrap();
        self.objects.observe(key, observed).unwrap();
    }

    fn hosting(mut self, namespaces: &[&str]) -> Self {
        let what = || {
            ["APIService v1.metrics", "x", "y"]
                .map(str::to_owned)
                .into()
        };
        let hosts = namespaces.iter().map(|&name| (name.to_owned(), what()));
        self.hosted = Ok(hosts.collect());
        self
    }

    fn decide(&self, platform: &Platform) -> Decision {
        let cluster = Cluster {
            flavour: self.flavour,
            hosted: &|| self.hosted.clone(),
            decided: self.decided.clone(),
            objects: &self.objects,
        };
        decide(platform, &cluster).unwrap()
    }
}

/// Names of the policies, and how the default deny stands; None where all stays as it is.
fn outcome(decision: &Decision) -> (Option<Vec<String>>, &str, &str) {
    let targets = decision.targets.as_ref();
    let names = targets.map(|targets| targets.iter().map(|it| it.key.name.to_string()).collect());
    let (Progress::Done(why) | Progress::Working(why) | Progress::Stuck(why)) =
        decision.verdict.progress;
    (names, decision.verdict.ready, why)
}

fn named(names: &[&str]) -> Vec<String> {
    let name = |name: &&str| format!("default.landing-zones-{name}");
    names.iter().map(name).collect()
}

fn says(decision: &Decision, texts: &[&str]) {
    let message = &decision.verdict.message;
    for text in texts {
        assert!(message.contains(text), "{text:?} is missing in {message}");
    }
}

#[test]
fn off_needs_to_know_nothing() {
    let cluster = Cluster {
        flavour: CALICO,
        hosted: &|| panic!("asked"),
        decided: None,
        objects: &Objects::default(),
    };
    let decision = decide(&Platform::default(), &cluster).unwrap();
    assert_eq!(outcome(&decision), (Some(named(&[])), "True", "Off"));
}

#[test]
fn what_the_cluster_depends_on_is_not_cut_off() {
    let known = Known::with(&[
        ("hooks", json!({})),
        ("metrics", json!({"tier": "platform"})),
        ("shop", json!({"landingzones.dev/landing-zone": "shop"})),
        ("kube-system", json!({})),
    ]);
    let known = known.hosting(&["hooks", "metrics", "shop", "kube-system", "gone"]);
    let refused = known.decide(&platform(DefaultDenyStage::Enforce, &[]));
    assert_eq!(
        outcome(&refused),
        (Some(named(&[])), "False", "WouldCutOff")
    );
    let list = "on: hooks (APIService v1.metrics, x, and 1 more); metrics (";
    says(
        &refused,
        &[list, "(spec.exempt)", "comes into force by itself"],
    );
    for text in ["shop (", "kube-system", "gone"] {
        assert!(!refused.verdict.message.contains(text));
    }

    let mut exempting = platform(DefaultDenyStage::Enforce, &["hooks"]);
    exempting.default_deny.exempt.labels = [("tier".to_owned(), "platform".to_owned())].into();
    let allowed = known.decide(&exempting);
    assert_eq!(
        outcome(&allowed),
        (Some(named(&["dns", "default-deny"])), "True", "Enforcing")
    );

    // Observe cuts nobody off.
    let observed = known.decide(&platform(DefaultDenyStage::Observe, &[]));
    let policies = named(&["observe-ingress", "observe-egress"]);
    assert_eq!(outcome(&observed), (Some(policies), "True", "Observed"));
    says(&observed, &["Enforce would be refused", list]);
    exempting.default_deny.stage = DefaultDenyStage::Observe;
    let observed = known.decide(&exempting);
    assert!(!observed.verdict.message.contains("refused") && !observed.finds_out);
}

#[test]
fn what_cannot_be_decided_leaves_everything_as_it_is() {
    let mut known = Known::with(&[]);
    known.hosted = Err("APIService: forbidden".to_owned());
    let waits = known.decide(&platform(DefaultDenyStage::Enforce, &[]));
    assert_eq!(outcome(&waits), (None, "Unknown", "Progressing"));
    assert!(waits.finds_out);
    says(&waits, &["APIService: forbidden"]);
    // It is said of Enforce only; Observe does not wait for it.
    let observed = known.decide(&platform(DefaultDenyStage::Observe, &[]));
    assert_eq!(outcome(&observed), (Some(named(&[])), "True", "Observed"));
    assert!(observed.finds_out);
    says(&observed, &["not known yet (APIService: forbidden)"]);

    let known = Known::with(&[]);
    let long: Vec<String> = (0..60)
        .map(|number| format!("a-namespace-{number}"))
        .collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let too_long = known.decide(&platform(DefaultDenyStage::Enforce, &long));
    assert_eq!(outcome(&too_long), (None, "False", "ExemptionsTooLong"));
    says(&too_long, &["characters too many"]);
    let observed = known.decide(&platform(DefaultDenyStage::Observe, &long));
    assert_eq!(outcome(&observed).1, "True");
    says(
        &observed,
        &[
            "Enforce would be refused: the exempt",
            "characters too many",
        ],
    );
}

#[test]
fn kubernetes_policies_cannot_deny_by_default_nor_record_it() {
    let mut known = Known::with(&[]);
    known.flavour = Flavour::KUBERNETES;
    for stage in [DefaultDenyStage::Observe, DefaultDenyStage::Enforce] {
        let decision = known.decide(&platform(stage, &[]));
        assert_eq!(outcome(&decision), (Some(named(&[])), "False", "NoCalico"));
        says(&decision, &["needs Calico's own kinds"]);
    }
}

#[test]
fn only_where_nobody_else_decides_is_anything_recorded() {
    let ordinary = ["a", "b", "c"].map(|name| (name, json!({})));
    let exempt = ("mine", json!({}));
    let mut known = Known::with(&[ordinary.as_slice(), &[exempt]].concat());
    let (ingress, egress) = (
        Directions {
            ingress: true,
            egress: false,
        },
        Directions {
            ingress: false,
            egress: true,
        },
    );
    let within = [("a", ingress), ("b", Directions::BOTH), ("mine", egress)];
    let decided = known.decided.as_mut().unwrap();
    decided.within = within.map(|(name, it)| (name.to_owned(), it)).into();
    let observing = platform(DefaultDenyStage::Observe, &["mine"]);
    let selected = |decision: &Decision| -> Vec<String> {
        let targets = decision.targets.as_ref().unwrap().iter();
        let selector = |object: &Value| object["spec"]["namespaceSelector"].to_string();
        targets
            .map(|target| selector(&target.object.unpack()))
            .collect()
    };
    let decision = known.decide(&observing);
    let names = Some(named(&["observe-ingress", "observe-egress"]));
    assert_eq!(outcome(&decision), (names, "True", "Observed"));
    says(
        &decision,
        &[
            "nothing is denied",
            "decide there: namespaces: 2 (a (what comes in), b (both directions))",
        ],
    );
    let selectors = selected(&decision);
    assert!(selectors[0].contains("in {'c'}"), "{selectors:?}");
    assert!(selectors[1].contains("in {'a','c'}"), "{selectors:?}");

    // A global policy counts everywhere.
    let decided = known.decided.as_mut().unwrap();
    decided.global = [("theirs".to_owned(), egress)].into();
    let decision = known.decide(&observing);
    assert_eq!(outcome(&decision).0, Some(named(&["observe-ingress"])));
    says(
        &decision,
        &["there: in all namespaces, global policies: 1 (theirs (what goes out)); namespaces: 2 ("],
    );

    // Staged policies need to know nothing.
    known.decided = None;
    known.flavour = STAGED;
    let decision = known.decide(&observing);
    let targets = decision.targets.as_ref().unwrap();
    let staged = |target: &rendered::Target| target.key.kind == Kind::StagedGlobalNetworkPolicy;
    assert!(targets.len() == 2 && targets.iter().all(staged));
    assert_eq!(outcome(&decision).1, "True");
    says(&decision, &["flow logs"]);
}

/// An Allow of ours could open what a policy closes that is not known yet.
#[test]
fn nothing_is_recorded_before_it_is_known_where_others_decide() {
    let mut known = Known::with(&[("plain", json!({}))]);
    known.decided = None;
    let waits = known.decide(&platform(DefaultDenyStage::Observe, &[]));
    assert_eq!(outcome(&waits), (None, "Unknown", "Progressing"));
    assert!(waits.finds_out);
    says(&waits, &["everybody's policies", "left as it is"]);
    // Enforce comes after all of them, whatever they say.
    let enforced = known.decide(&platform(DefaultDenyStage::Enforce, &[]));
    assert_eq!(outcome(&enforced).2, "Enforcing");
}

#[test]
fn what_is_not_recorded_is_counted_and_a_few_are_named() {
    let names: Vec<String> = (0..500)
        .map(|number| format!("{number:03}-{}", "x".repeat(59)))
        .collect();
    let namespaces: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), json!({})))
        .collect();
    let mut known = Known::with(&namespaces);
    let all = || {
        names
            .iter()
            .map(|name| (name.clone(), Directions::BOTH))
            .collect()
    };
    known.decided = Some(Decided {
        global: all(),
        within: all(),
    });
    let decision = known.decide(&platform(DefaultDenyStage::Observe, &[]));
    assert_eq!(outcome(&decision), (Some(named(&[])), "True", "Observed"));
    says(
        &decision,
        &[
            "global policies: 500 (000-",
            "namespaces: 500 (000-",
            "and 497 more",
        ],
    );
    assert!(
        decision.verdict.message.len() < 1000,
        "{}",
        decision.verdict.message
    );
}
