//! Which landing zones have to do with each other across their boundaries. Pure.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::api::{EgressCrossing, IngressCrossing, LandingZone, Stage};
use crate::build::{Neighbours, OwnSubnet};

/// Who names whom, and who opens which addresses.
#[derive(Debug, Default)]
pub struct Neighbourhood {
    declared: BTreeMap<String, Declared>,
    named_by: BTreeMap<String, BTreeSet<String>>,
    opened_by: BTreeMap<IpNet, BTreeSet<String>>,
    observing: BTreeSet<String>,
    entering: BTreeSet<String>,
    /// What each owns in Azure.
    azure: Arc<Neighbours>,
}

/// The part of a landing zone that its neighbours depend on.
#[derive(Debug, PartialEq)]
struct Declared {
    uid: Option<String>,
    is_leaving: bool,
    suspend: bool,
    stage: Stage,
    /// Namespaces with their zones: whoever has its label without being one of them is none of its own.
    namespaces: BTreeSet<(String, String)>,
    egress: Vec<EgressCrossing>,
    ingress: Vec<IngressCrossing>,
    subnet: Option<OwnSubnet>,
}

impl Declared {
    fn of(zone: &LandingZone) -> Self {
        let spec = &zone.spec;
        let network = spec.network.as_ref();
        Self {
            uid: zone.metadata.uid.clone(),
            is_leaving: zone.metadata.deletion_timestamp.is_some(),
            suspend: spec.suspend.unwrap_or_default(),
            stage: spec.stage.unwrap_or_default(),
            namespaces: spec
                .namespaces
                .iter()
                .map(|it| (it.name.clone(), it.zone.clone()))
                .collect(),
            egress: network.map(|it| it.egress.clone()).unwrap_or_default(),
            ingress: network.map(|it| it.ingress.clone()).unwrap_or_default(),
            subnet: spec.azure.as_ref().and_then(OwnSubnet::as_written),
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let egress = self
            .egress
            .iter()
            .filter_map(|it| it.to.landing_zone.as_ref());
        egress.chain(self.ingress.iter().map(|it| &it.from.landing_zone))
    }

    /// Ranges, however they are written: `2001:DB8::/32` is `2001:db8::/32`. What is none is refused elsewhere.
    fn opens(&self) -> impl Iterator<Item = IpNet> {
        let all = self.egress.iter().flat_map(|it| &it.to.cidrs);
        all.filter_map(|it| it.parse().ok())
    }
}

impl Neighbourhood {
    /// Records what a landing zone declares now. Returns the others that this concerns.
    pub fn update(&mut self, zone: &LandingZone) -> BTreeSet<String> {
        let name = zone.metadata.name.clone().unwrap_or_default();
        let declared = Declared::of(zone);
        if self.declared.get(&name) == Some(&declared) {
            return BTreeSet::new();
        }
        let before = self.declared.get(&name).and_then(|it| it.subnet.clone());
        let mut concerned = self.forget(&name);
        concerned.extend(self.owns(&name, before.as_ref(), declared.subnet.as_ref()));
        for named in declared.names() {
            let naming = self.named_by.entry(named.clone()).or_default();
            naming.insert(name.clone());
        }
        for range in declared.opens() {
            let opening = self.opened_by.entry(range).or_default();
            opening.insert(name.clone());
        }
        if declared.stage == Stage::Observe {
            self.observing.insert(name.clone());
        }
        self.declared.insert(name.clone(), declared);
        concerned.extend(self.concerned_by(&name));
        concerned
    }

    /// Forgets a landing zone. Returns the others that this concerns.
    pub fn remove(&mut self, name: &str) -> BTreeSet<String> {
        let before = self.declared.get(name).and_then(|it| it.subnet.clone());
        let mut concerned = self.forget(name);
        concerned.extend(self.owns(name, before.as_ref(), None));
        concerned
    }

    /// Records the subnet of a landing zone. Returns the others that this concerns: whose own group has rules about it.
    fn owns(
        &mut self,
        name: &str,
        before: Option<&OwnSubnet>,
        now: Option<&OwnSubnet>,
    ) -> BTreeSet<String> {
        let Ok(own) = name.parse() else {
            return BTreeSet::new();
        };
        if before == now {
            return BTreeSet::new();
        }
        let subnets = &mut Arc::make_mut(&mut self.azure).subnets;
        match now {
            Some(now) => subnets.insert(own, now.clone()),
            None => subnets.remove(&own),
        };
        let others = subnets.iter().filter(|(_, it)| it.has_security_group);
        let others = others.map(|(other, _)| other.to_string());
        others.filter(|other| other != name).collect()
    }

    /// What each landing zone owns in Azure.
    #[must_use]
    pub fn azure(&self) -> Arc<Neighbours> {
        self.azure.clone()
    }

    fn forget(&mut self, name: &str) -> BTreeSet<String> {
        let concerned = self.concerned_by(name);
        self.observing.remove(name);
        self.entering.remove(name);
        if let Some(declared) = self.declared.remove(name) {
            for named in declared.names() {
                withdraw(&mut self.named_by, named, name);
            }
            for range in declared.opens() {
                withdraw(&mut self.opened_by, &range, name);
            }
        }
        concerned
    }

    /// Records whether a landing zone is observed for a moment on its way to stage Enforce. Returns
    /// whether that is news.
    pub fn enters(&mut self, name: &str, is_entering: bool) -> bool {
        if is_entering {
            self.entering.insert(name.to_owned())
        } else {
            self.entering.remove(name)
        }
    }

    /// The landing zones that are observed.
    pub fn observing(&self) -> impl Iterator<Item = &str> {
        self.observing.union(&self.entering).map(String::as_str)
    }

    /// The landing zones that name this one, and those that it names.
    #[must_use]
    pub fn of(&self, name: &str) -> BTreeSet<String> {
        let naming = self.named_by.get(name).into_iter().flatten();
        let declared = self.declared.get(name);
        let named = declared.into_iter().flat_map(Declared::names);
        let mut neighbours: BTreeSet<String> = naming.chain(named).cloned().collect();
        neighbours.remove(name);
        neighbours
    }

    /// The landing zones that open the same addresses as this one, by range.
    #[must_use]
    pub fn sharing(&self, name: &str) -> BTreeMap<IpNet, BTreeSet<String>> {
        let declared = self.declared.get(name);
        let opened = declared.into_iter().flat_map(Declared::opens);
        opened
            .filter_map(|range| {
                let mut others = self.opened_by.get(&range)?.clone();
                others.remove(name);
                (!others.is_empty()).then_some((range, others))
            })
            .collect()
    }

    fn concerned_by(&self, name: &str) -> BTreeSet<String> {
        let sharing = self.sharing(name).into_values().flatten();
        self.of(name).into_iter().chain(sharing).collect()
    }
}

fn withdraw<K, Q>(index: &mut BTreeMap<K, BTreeSet<String>>, key: &Q, name: &str)
where
    K: Borrow<Q> + Ord,
    Q: Ord + ?Sized,
{
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn zone(name: &str, network: impl Into<Value>) -> LandingZone {
        let network = network.into();
        let spec = json!({
            "applicationCode": name,
            "namespaces": [{"name": name, "zone": "web"}],
            "network": network,
        });
        LandingZone::new(name, serde_json::from_value(spec).unwrap())
    }

    fn towards(other: &str) -> Value {
        json!({"egress": [{"name": "a", "to": {"landingZone": other}}]})
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_change_concerns_those_that_are_named_and_those_that_name() {
        let mut all = Neighbourhood::default();
        assert_eq!(
            all.update(&zone("shop", towards("orders"))),
            set(&["orders"])
        );
        assert_eq!(all.update(&zone("orders", json!({}))), set(&["shop"]));
        assert_eq!(all.of("orders"), set(&["shop"]));
        // What it names no longer is concerned once more.
        let concerned = all.update(&zone("shop", towards("billing")));
        assert_eq!(concerned, set(&["orders", "billing"]));
        assert_eq!(all.remove("shop"), set(&["billing"]));
        assert_eq!(all.of("billing"), set(&[]));
    }

    #[test]
    fn nothing_is_concerned_by_what_says_the_same() {
        let mut all = Neighbourhood::default();
        all.update(&zone("shop", towards("orders")));
        assert_eq!(all.update(&zone("shop", towards("orders"))), set(&[]));
    }

    #[test]
    fn a_subnet_concerns_those_whose_groups_have_rules_about_it() {
        let own = |name: &str, cidr: &str, group: Value| {
            let mut zone = zone(name, json!({}));
            let subnet = json!({"subnet": {"cidr": cidr}, "networkSecurityGroup": group});
            zone.spec.azure = Some(serde_json::from_value(subnet).unwrap());
            zone
        };
        let mut all = Neighbourhood::default();
        all.update(&own("shop", "10.1.4.0/24", json!("Managed")));
        all.update(&own("billing", "10.1.5.0/24", Value::Null));
        assert_eq!(all.update(&zone("orders", json!({}))), set(&[]));
        let orders = own("orders", "10.1.6.0/24", json!("Managed"));
        assert_eq!(all.update(&orders), set(&["shop"]));
        assert_eq!(all.azure().subnets.len(), 3);
        assert_eq!(all.update(&orders), set(&[]));
        assert_eq!(all.remove("orders"), set(&["shop"]));
        assert_eq!(all.azure().subnets.len(), 2);
    }

    #[test]
    fn a_stage_concerns_the_neighbours() {
        let mut all = Neighbourhood::default();
        all.update(&zone("shop", towards("orders")));
        all.update(&zone("orders", json!({})));
        let mut planned = zone("orders", json!({}));
        planned.spec.stage = Some(Stage::Plan);
        assert_eq!(all.update(&planned), set(&["shop"]));
    }

    #[test]
    fn those_that_open_the_same_addresses_know_of_each_other() {
        let opens = |cidr: &str| json!({"egress": [{"name": "a", "to": {"cidrs": [cidr]}}]});
        let mut all = Neighbourhood::default();
        all.update(&zone("shop", opens("203.0.113.0/24")));
        assert_eq!(
            all.update(&zone("orders", opens("203.0.113.0/24"))),
            set(&["shop"])
        );
        let shared = BTreeMap::from([("203.0.113.0/24".parse().unwrap(), set(&["orders"]))]);
        assert_eq!(all.sharing("shop"), shared);
        assert_eq!(
            all.update(&zone("orders", opens("192.0.2.0/24"))),
            set(&["shop"])
        );
        assert!(all.sharing("shop").is_empty());
        all.update(&zone("shop", opens("2001:DB8::/32")));
        assert_eq!(
            all.update(&zone("orders", opens("2001:db8::/32"))),
            set(&["shop"])
        );
    }
}
