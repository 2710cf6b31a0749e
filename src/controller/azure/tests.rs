//! What is told of the half in Azure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::told::{Going, faulty, not_written, refused, stands};
use super::*;
use crate::api;
use crate::api::condition::{self, reason};
use crate::cluster::{AzureDefinition, ClusterFacts};
use crate::controller::apply::WriteError;
use crate::controller::compare::digest_of;
use crate::controller::packed::Packed;
use crate::controller::rendered::{Target, Targets};
use crate::controller::status::{Conditions, Progress};
use crate::domain::Platform;

const POOL: &str = "ManagedClustersAgentPool/azure/shop1";

fn platform(plugin: &str, operator: bool) -> Platform {
    let mut azure = json!({
        "subscription": "00000000-0000-0000-0000-000000000001",
        "resourceGroup": "rg-aks", "location": "westeurope", "cluster": "aks-shared",
        "virtualNetwork": {"name": "vnet-spoke", "cidrs": ["10.1.0.0/16"]},
        "systemSubnet": {"name": "snet-system", "cidr": "10.1.0.0/24"},
    });
    if operator {
        azure["serviceOperator"] = json!({"namespace": "azure"});
    }
    let spec = json!({
        "network": {"plugin": plugin, "podCidrs": ["10.244.0.0/16"]}, "azure": azure,
    });
    let spec = serde_json::from_value(spec).unwrap();
    let declared = api::LandingZonePlatform::new("cluster", spec);
    Platform::default().declared(&declared).unwrap()
}

fn pool(spec: &Value) -> Arc<AzureState> {
    Arc::new(AzureState::of(&json!({ "spec": spec })))
}

fn ready(progress: ReadyProgress, message: &str) -> Arc<AzureState> {
    let ready = Ready {
        progress,
        reason: "Why".to_owned(),
        message: message.to_owned(),
    };
    Arc::new(AzureState {
        ready: Some(ready),
        ..AzureState::default()
    })
}

fn said(states: &[Option<Arc<AzureState>>], applied: &Applied, waits: &[&str]) -> AzureTold {
    let states = states.iter().enumerate().map(|(index, state)| {
        let key = format!("VirtualNetworksSubnet/azure/s{index}");
        (key.parse().unwrap(), state.clone())
    });
    let states: Vec<_> = states.collect();
    let going = Going {
        waits: waits.iter().map(|it| (*it).to_owned()).collect(),
        ..Going::default()
    };
    stands(
        &states,
        applied,
        &Plan::default(),
        going,
        &platform("AzureCNI", true),
    )
}

#[test]
fn what_holds_it_up_most_is_told() {
    let done = || Some(ready(ReadyProgress::Done, ""));
    let working = || Some(ready(ReadyProgress::Working, "creating"));
    let given_up = || Some(ready(ReadyProgress::GivenUp, "no such size"));
    let nothing = Applied::default();
    let failed = Applied {
        failed: vec![Failure {
            key: POOL.parse().unwrap(),
            error: WriteError::Timeout,
        }],
        ..Applied::default()
    };
    let cases = [
        (vec![done(), done()], &nothing, &[][..], "all 2 resources"),
        (vec![], &nothing, &[], "nothing is declared"),
        (vec![done()], &nothing, &["a pool stays"], "a pool stays"),
        (
            vec![done(), working()],
            &nothing,
            &["a pool stays"],
            "creating",
        ),
        (vec![done(), None], &nothing, &[], "has not looked yet"),
        (vec![working(), given_up()], &nothing, &[], "no such size"),
        (vec![given_up()], &failed, &[], "did not answer"),
    ];
    for (states, applied, waits, words) in cases {
        let told = said(&states, applied, waits);
        assert!(told.message().contains(words), "{told:?}");
    }
    let stuck = said(&[given_up()], &nothing, &[]);
    assert_eq!(
        stuck.progress(),
        Some(Progress::Stuck(reason::REFUSED_BY_AZURE))
    );
    assert_eq!(said(&[done()], &nothing, &[]).progress(), None);
}

#[test]
fn with_kubenet_calico_alone_governs_pods() {
    let of = |plugin: &str| {
        let done = Some(ready(ReadyProgress::Done, ""));
        let states = [(POOL.parse().unwrap(), done)];
        let (applied, plan) = (Applied::default(), Plan::default());
        stands(
            &states,
            &applied,
            &plan,
            Going::default(),
            &platform(plugin, true),
        )
    };
    let said = of("Kubenet");
    assert!(
        said.message().contains("Calico alone governs pods"),
        "{said:?}"
    );
    assert!(!of("AzureCNI").message().contains("Calico"));
}

#[test]
fn a_pool_that_would_have_to_be_another_is_refused() {
    let object = json!({"spec": {"azureName": "shop2", "vmSize": "D8", "maxPods": 30}});
    let target = Target {
        key: "ManagedClustersAgentPool/azure/shop2".parse().unwrap(),
        digest: digest_of(&object),
        object: Packed::from(&object),
    };
    let targets = Targets::new(vec![target]);
    let there = |key: &str| {
        let state = pool(&json!({"vmSize": "D4", "vnetSubnetReference": {"name": "a"}}));
        [(key.parse().unwrap(), state)].into()
    };
    let told = refused(&targets, &there(POOL)).unwrap();
    for words in [
        POOL,
        "vmSize is D4, declared D8",
        "maxPods is none, declared 30",
        "vnetSubnetReference is a, declared none",
    ] {
        assert!(told.message().contains(words), "{told:?}");
    }
    assert_eq!(
        refused(&targets, &there("ManagedClustersAgentPool/azure/shop2")),
        None
    );
    // Written back while another one was to take its place.
    let mut both: BTreeMap<ObjectKey, Arc<AzureState>> = there(POOL);
    both.extend(there("ManagedClustersAgentPool/azure/shop2"));
    assert_eq!(refused(&targets, &both), None);
    // One that is declared no more goes.
    assert_eq!(refused(&Targets::default(), &there(POOL)), None);
}

#[test]
fn why_nothing_is_written_is_told() {
    let mut facts = ClusterFacts::default();
    let trouble = || Some("forbidden".to_owned());
    let kinds = |platform: &Platform| platform.azure.as_ref().unwrap().kinds_of_landing_zones();
    let by_others = platform("AzureCNI", false);
    let told = not_written(&by_others, &facts, &kinds(&by_others), trouble());
    assert!(matches!(told, AzureTold::ByOthers(_)), "{told:?}");
    let mut platform = platform("AzureCNI", true);
    let manual = kinds(&platform);
    let why = |told: &AzureTold| match told.progress() {
        Some(Progress::Done(why)) => Some(why),
        _ => None,
    };
    let told = not_written(&platform, &facts, &manual, trouble());
    assert_eq!(why(&told), Some(reason::SERVICE_OPERATOR_MISSING));
    let old = AzureDefinition::Unfit("too old".to_owned());
    facts.azure = AzureKind::ALL.map(|kind| (kind, old.clone())).into();
    let told = not_written(&platform, &facts, &manual, trouble());
    assert_eq!(why(&told), Some(reason::SERVICE_OPERATOR_UNFIT));
    let served = AzureDefinition::Serves("v20250301".to_owned());
    facts.azure = AzureKind::ALL.map(|kind| (kind, served.clone())).into();
    let told = not_written(&platform, &facts, &manual, trouble());
    assert_eq!(why(&told), Some(reason::NOT_WATCHED));
    let told = not_written(&platform, &facts, &manual, None);
    assert!(matches!(told, AzureTold::Unknown(_)), "{told:?}");

    // Karpenter and Azure Service Operator are other people's to install.
    platform.azure.as_mut().unwrap().node_provisioning = NodeProvisioning::Auto;
    let auto = kinds(&platform);
    facts.azure.remove(&AzureKind::NodePool);
    let told = not_written(&platform, &facts, &auto, None);
    assert_eq!(why(&told), Some(reason::KARPENTER_MISSING));
    assert!(
        told.message().contains("nodepools.karpenter.sh"),
        "{told:?}"
    );
    assert_eq!(
        not_written(&platform, &facts, &manual, None),
        AzureTold::Unknown("it is not known yet what is there".to_owned())
    );
    facts.azure.insert(AzureKind::NodePool, old);
    let told = not_written(&platform, &facts, &auto, None);
    assert_eq!(why(&told), Some(reason::KARPENTER_UNFIT));
}

#[test]
fn the_condition_is_there_for_those_who_have_to_do_with_azure() {
    let mut conditions = Conditions::after(Vec::new(), Some(1), jiff::Timestamp::UNIX_EPOCH);
    azure_ready(&mut conditions, Some(&AzureTold::Done("all".to_owned())));
    let condition = conditions.get(condition::AZURE_READY).unwrap();
    assert_eq!(
        (condition.status.as_str(), condition.message.as_str()),
        ("True", "all")
    );
    azure_ready(&mut conditions, None);
    assert!(!conditions.has(condition::AZURE_READY));
}

/// That another pool is being made is no more than one of the steps; that Azure refuses it comes first.
#[test]
fn how_far_a_replacement_is_is_told() {
    let said = |state: Arc<AzureState>| {
        let states = [(
            "ManagedClustersAgentPool/azure/new".parse().unwrap(),
            Some(state),
        )];
        let going = Going {
            replacing: vec!["step 1 of 4".to_owned()],
            ..Going::default()
        };
        let platform = platform("AzureCNI", true);
        stands(
            &states,
            &Applied::default(),
            &Plan::default(),
            going,
            &platform,
        )
    };
    let told = said(ready(ReadyProgress::Working, "creating"));
    let expected = AzureTold::Working(reason::REPLACING, "step 1 of 4".to_owned());
    assert_eq!(told, expected);
    let told = said(ready(ReadyProgress::GivenUp, "no such size"));
    assert!(
        matches!(told, AzureTold::Stuck(reason::REFUSED_BY_AZURE, _)),
        "{told:?}"
    );
}

#[test]
fn what_azure_would_refuse_is_told_before_it_is_asked() {
    assert_eq!(faulty(&[]), None);
    let told = faulty(&["network security group nsg: holds 1001 rules".to_owned()]).unwrap();
    assert!(
        matches!(told, AzureTold::Stuck(reason::REFUSED_BY_AZURE, _)),
        "{told:?}"
    );
    assert!(
        told.message().contains("1001 rules; declare fewer"),
        "{told:?}"
    );
}
