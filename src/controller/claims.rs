//! Which landing zone may have what two of them claim. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::cache::Objects;
use super::kind::ObjectKey;
use super::status;
use crate::api::{LandingZone, LandingZoneStatus};

/// What one landing zone claims, as far as conflicts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its name.
    pub name: String,
    /// When it was created, in seconds since 1970; the older wins.
    pub created: i64,
    /// Whether it is being deleted: whoever waits for it is not stalled.
    pub deleting: bool,
    /// Whether it holds what is contested already: its ownership label is on it, and its inventory
    /// names it.
    pub incumbent: bool,
}

/// The claimant that a landing zone has to give way to; None when it is first itself.
///
/// The incumbent comes first, then the older, then the one whose name comes first.
#[must_use]
pub fn winner_over<'a>(this: &Claimant, others: &'a [Claimant]) -> Option<&'a Claimant> {
    let rank = |claimant: &Claimant| (!claimant.incumbent, claimant.created, claimant.name.clone());
    others
        .iter()
        .min_by_key(|other| rank(other))
        .filter(|first| rank(first) < rank(this))
}

/// What a landing zone has already, whatever it declares now.
#[derive(Debug)]
pub struct Holding<'a> {
    zone: &'a str,
    inventory: BTreeSet<ObjectKey>,
    uids: BTreeMap<&'a str, &'a str>,
}

impl<'a> Holding<'a> {
    /// Of a landing zone of that name, with its status as it was last written.
    #[must_use]
    pub fn of(zone: &'a str, status: Option<&'a LandingZoneStatus>) -> Self {
        let recorded = status.into_iter().flat_map(|status| &status.namespaces);
        let uids = recorded.filter_map(|it| Some((it.name.as_str(), it.uid.as_deref()?)));
        Self {
            zone,
            inventory: status::inventory(status),
            uids: uids.collect(),
        }
    }

    /// Whether it has a namespace.
    #[must_use]
    pub fn has(&self, namespace: &str, objects: &Objects) -> bool {
        let key = ObjectKey::namespace(namespace);
        let Some(found) = objects.get(&key) else {
            return false;
        };
        let labelled = found.owner.as_deref() == Some(self.zone);
        // A label that somebody else changed takes nothing away.
        let is_same = self.uids.get(namespace) == Some(&found.uid.as_str());
        let recorded = self.inventory.contains(&key) && (labelled || is_same);
        // Declared anew, a landing zone has no inventory; the label of our own writing says whose the namespace was
        // all the time.
        recorded || (labelled && found.labelled_by_us)
    }
}

/// Who claims which namespace and which application code.
#[derive(Debug, Default)]
pub struct Claims {
    namespaces: BTreeMap<String, BTreeSet<String>>,
    codes: BTreeMap<String, BTreeSet<String>>,
    /// What each landing zone claims: its code and its namespaces.
    claimed: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl Claims {
    /// Records what a landing zone claims now. Returns the others that this concerns, because they
    /// share a claim with what it claimed before or claims now.
    pub fn update(&mut self, zone: &LandingZone) -> BTreeSet<String> {
        let name = zone.metadata.name.clone().unwrap_or_default();
        let namespaces: BTreeSet<_> = zone
            .spec
            .namespaces
            .iter()
            .map(|namespace| namespace.name.clone())
            .collect();
        let claim = (zone.spec.application_code.clone(), namespaces);
        if self.claimed.get(&name) == Some(&claim) {
            return BTreeSet::new();
        }
        let mut concerned = self.remove(&name);
        self.codes
            .entry(claim.0.clone())
            .or_default()
            .insert(name.clone());
        for namespace in &claim.1 {
            let claimants = self.namespaces.entry(namespace.clone()).or_default();
            claimants.insert(name.clone());
        }
        self.claimed.insert(name.clone(), claim);
        concerned.extend(self.sharing(&name));
        concerned.remove(&name);
        concerned
    }

    /// Forgets a landing zone. Returns the others that shared a claim with it.
    pub fn remove(&mut self, name: &str) -> BTreeSet<String> {
        let mut concerned = self.sharing(name);
        concerned.remove(name);
        if let Some((code, namespaces)) = self.claimed.remove(name) {
            withdraw(&mut self.codes, &code, name);
            for namespace in &namespaces {
                withdraw(&mut self.namespaces, namespace, name);
            }
        }
        concerned
    }

    /// All that share a claim with a landing zone, itself included where it claims anything.
    #[must_use]
    pub fn sharing(&self, name: &str) -> BTreeSet<String> {
        let Some((code, namespaces)) = self.claimed.get(name) else {
            return BTreeSet::new();
        };
        let by_code = self.codes.get(code).into_iter().flatten();
        let by_namespace = namespaces
            .iter()
            .filter_map(|namespace| self.namespaces.get(namespace))
            .flatten();
        by_code.chain(by_namespace).cloned().collect()
    }

    /// The landing zones that claim a namespace.
    pub fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &str> {
        let claimants = self.namespaces.get(namespace).into_iter().flatten();
        claimants.map(String::as_str)
    }

    /// The landing zones that claim an application code.
    pub fn of_code(&self, code: &str) -> impl Iterator<Item = &str> {
        self.codes
            .get(code)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

fn withdraw(claims: &mut BTreeMap<String, BTreeSet<String>>, claim: &str, name: &str) {
    if let Some(claimants) = claims.get_mut(claim) {
        claimants.remove(name);
        if claimants.is_empty() {
            claims.remove(claim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(name: &str, created: i64, incumbent: bool) -> Claimant {
        Claimant {
            name: name.into(),
            created,
            deleting: false,
            incumbent,
        }
    }

    #[test]
    fn the_incumbent_wins_then_the_older_then_the_name() {
        let old = claimant("b", 10, false);
        let young = claimant("a", 20, false);
        let incumbent = claimant("c", 30, true);
        assert_eq!(winner_over(&young, std::slice::from_ref(&old)), Some(&old));
        assert_eq!(winner_over(&old, std::slice::from_ref(&young)), None);
        let others = [young.clone(), incumbent.clone()];
        assert_eq!(winner_over(&old, &others), Some(&incumbent));
        assert_eq!(winner_over(&incumbent, &[old, young]), None);
        let (first, second) = (claimant("a", 10, false), claimant("b", 10, false));
        assert_eq!(
            winner_over(&second, std::slice::from_ref(&first)),
            Some(&first)
        );
        assert_eq!(winner_over(&first, &[second]), None);
    }

    fn zone(name: &str, code: &str, namespaces: &[&str]) -> LandingZone {
        let namespaces: Vec<_> = namespaces
            .iter()
            .map(|name| serde_json::json!({"name": name, "zone": "web"}))
            .collect();
        let spec = serde_json::json!({"applicationCode": code, "namespaces": namespaces});
        LandingZone::new(name, serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_change_concerns_those_that_shared_and_those_that_share() {
        let mut claims = Claims::default();
        assert!(claims.update(&zone("a", "a", &["one", "two"])).is_empty());
        let concerned = claims.update(&zone("b", "b", &["two", "three"]));
        assert_eq!(concerned, ["a".to_owned()].into());
        assert!(claims.update(&zone("c", "c", &["three"])).contains("b"));
        // b lets go of `two` and takes `four`: a is free now, c still shares.
        let concerned = claims.update(&zone("b", "b", &["three", "four"]));
        assert_eq!(concerned, ["a".to_owned(), "c".to_owned()].into());
        assert_eq!(claims.remove("b"), ["c".to_owned()].into());
        assert_eq!(claims.of_namespace("three").collect::<Vec<_>>(), ["c"]);
    }
}
