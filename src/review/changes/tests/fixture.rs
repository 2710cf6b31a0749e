//! Declarations as people write them, and what is told of two of them.

use crate::api;
use crate::domain::{CalicoNaming, Flavour, LandingZone, Platform, PolicyApi};
use crate::review::changes::{Change, Declared, changes};

/// Every form of policies that differs in what is rendered.
pub const FLAVOURS: [Flavour; 3] = [
    TIERS,
    Flavour {
        api: PolicyApi::CalicoCrdV1,
        tiers: false,
        staged: false,
        naming: CalicoNaming::TierPrefixed,
    },
    Flavour::KUBERNETES,
];

pub const TIERS: Flavour = Flavour {
    api: PolicyApi::CalicoV3,
    tiers: true,
    staged: true,
    naming: CalicoNaming::Plain,
};

/// One set of declarations.
#[derive(Clone, Debug)]
pub struct Stand {
    pub zones: Vec<LandingZone>,
    pub platform: Platform,
}

impl Stand {
    /// Reads documents without apiVersion.
    pub fn of(text: &str) -> Self {
        let documents: Vec<serde_json::Value> = text
            .split("\n---\n")
            .map(|document| serde_saphyr::from_str(document).unwrap())
            .collect();
        let mut platform = Platform::default();
        for document in documents
            .iter()
            .filter(|it| it["kind"] == "LandingZonePlatform")
        {
            let spec = serde_json::from_value(document["spec"].clone()).unwrap();
            let declared = api::LandingZonePlatform::new("cluster", spec);
            platform = Platform::default().declared(&declared).unwrap();
        }
        let zones = documents.iter().filter(|it| it["kind"] == "LandingZone");
        let zones = zones.map(|document| {
            let spec = serde_json::from_value(document["spec"].clone()).unwrap();
            let name = document["metadata"]["name"].as_str().unwrap();
            let declared = api::LandingZone::new(name, spec);
            LandingZone::validate(&declared, &platform).unwrap()
        });
        Self {
            zones: zones.collect(),
            platform: platform.clone(),
        }
    }

    pub fn declared(&self) -> Declared<'_> {
        Declared {
            zones: &self.zones,
            platform: &self.platform,
        }
    }

    pub fn changes(&self, after: &Self, flavour: Flavour) -> Vec<Change> {
        let today = "2026-05-01".parse().unwrap();
        changes(self.declared(), after.declared(), flavour, today)
    }
}

/// What changed, with Calico's tiers.
pub fn between(before: &str, after: &str) -> Vec<Change> {
    changed(before, after, TIERS)
}

/// What changed.
pub fn changed(before: &str, after: &str, flavour: Flavour) -> Vec<Change> {
    Stand::of(before).changes(&Stand::of(after), flavour)
}

/// What changed, on a day.
pub fn at(today: &str, before: &str, after: &str) -> Vec<Change> {
    let (before, after) = (Stand::of(before), Stand::of(after));
    changes(
        before.declared(),
        after.declared(),
        TIERS,
        today.parse().unwrap(),
    )
}

/// The only change.
pub fn only(changes: &[Change]) -> &Change {
    let [change] = changes else {
        panic!("not one change: {:#?}", told(changes));
    };
    change
}

/// What is said of them.
pub fn told(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|it| it.message.as_str()).collect()
}
