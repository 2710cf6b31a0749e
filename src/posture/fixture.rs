//! Clusters and what is around them, for tests.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::{
    Agent, Check, ClusterState, Engine, GivenFile, InputFile, InputProblem, Inputs, Missing,
    Policies, Question, ask,
};
use crate::domain::Exempt;
use crate::policy::{LabelMap, World};

pub(super) const CLUSTER: &str =
    "/subscriptions/0/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/aks";
pub(super) const VNET: &str =
    "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet";
pub(super) const POOL_SUBNET: &str = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet/subnets/nodes";

/// What is given in a test.
pub(super) struct Given(Inputs);

impl Default for Given {
    fn default() -> Self {
        Self(Inputs {
            files: Vec::new(),
            unread: BTreeSet::new(),
            live: None,
            today: date(2026, 11, 28),
        })
    }
}

impl Given {
    pub fn file(mut self, input: InputFile, content: Value) -> Self {
        let name = format!("{}.json", input.flag());
        self.0.files.push(GivenFile {
            input,
            name,
            content,
        });
        self
    }

    /// A file that was given as something and could not be read.
    pub fn unread(mut self, input: InputFile) -> Self {
        self.0.unread.insert(input);
        self
    }

    pub fn live(mut self, state: ClusterState) -> Self {
        self.0.live = Some(state);
        self
    }

    pub fn on(mut self, today: Date) -> Self {
        self.0.today = today;
        self
    }

    pub fn ask(&self, question: Question) -> Check {
        let (checks, _) = ask(&self.0);
        checks
            .into_iter()
            .find(|it| it.question == question)
            .unwrap()
    }

    pub fn problems(&self) -> Vec<InputProblem> {
        ask(&self.0).1
    }
}

/// A cluster with a pool in a VNet of its own, and some fields otherwise.
pub(super) fn cluster(fields: Value) -> Value {
    let cluster = json!({
        "id": CLUSTER, "name": "aks", "resourceGroup": "rg", "location": "westeurope",
        "type": "Microsoft.ContainerService/ManagedClusters",
        "agentPoolProfiles": [{"name": "nodes", "mode": "System", "vnetSubnetId": POOL_SUBNET}],
    });
    with(cluster, fields)
}

/// The VNet of its pool, and some fields otherwise.
pub(super) fn vnet(fields: Value) -> Value {
    let vnet = json!({"id": VNET, "name": "vnet", "location": "westeurope", "type": "Microsoft.Network/virtualNetworks"});
    with(vnet, fields)
}

fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        panic!("no object: {fields}");
    };
    object.as_object_mut().unwrap().extend(fields);
    object
}

/// A cluster in which there is nothing.
pub(super) fn state() -> ClusterState {
    ClusterState {
        namespaces: Ok(BTreeMap::new()),
        exempt: Ok(Exempt::default()),
        codes: Ok(None),
        policies: Ok(Policies {
            world: World::new(&[], Vec::new()),
            of_cilium: 0,
            dns: Vec::new(),
            pod_cidrs: Vec::new(),
        }),
        nodes: Ok(BTreeMap::new()),
        agents: Ok(Vec::new()),
        load_balancers: Ok(Vec::new()),
        ingress_classes: Ok(Vec::new()),
        with_quota: Ok(BTreeSet::new()),
        in_default: Ok(BTreeSet::new()),
        definitions: Ok(BTreeSet::new()),
    }
}

/// Namespaces with labels.
pub(super) fn namespaces(all: &[(&str, &[(&str, &str)])]) -> BTreeMap<String, LabelMap> {
    let all = all.iter().map(|(name, labels)| {
        let labels = labels.iter();
        let labels = labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ((*name).to_owned(), labels.collect())
    });
    all.collect()
}

/// An agent that is ready on three nodes.
pub(super) fn agent(name: &str) -> Agent {
    let (engine, is_for_windows) = Engine::of_agent(name).unwrap();
    Agent {
        engine,
        is_for_windows,
        namespace: "calico-system".to_owned(),
        name: name.to_owned(),
        desired: 3,
        ready: 3,
    }
}

/// What the API server refuses.
pub(super) fn refused(what: &str) -> Missing {
    Missing::Refused {
        what: what.to_owned(),
        why: "forbidden".to_owned(),
    }
}
