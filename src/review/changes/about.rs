//! What a change is about: the part of what is reached that is shown with it.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::extent::Traffic;
use super::reach::Reached;
use super::spans::Spans;
use crate::api::Stage;
use crate::domain::{LandingZone, Zone};

/// Which part of what is reached within its scope a change is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum About {
    /// All of it.
    #[default]
    Whole,
    /// What pods of these zones reach, and who reaches them.
    Zones(BTreeSet<Zone>),
    /// What is newly let through.
    Growth,
    /// What a crossing or a shared service opens, before or after.
    Opening {
        /// On both sides.
        traffic: Vec<Traffic>,
        /// What holds of it before.
        before: Terms,
        /// What holds of it after.
        after: Terms,
    },
}

/// On which terms something is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// Its last day; None: nothing ends it.
    until: Option<Date>,
    /// The stage of its landing zone, where nothing is denied yet, or nothing is written.
    stage: Option<Stage>,
}

impl Terms {
    /// Those of a landing zone.
    pub fn of(zone: &LandingZone, until: Option<Date>) -> Self {
        let stage = (zone.stage != Stage::Enforce).then_some(zone.stage);
        Self { until, stage }
    }

    /// A line with them: `…, until 2026-12-31, stage Observe`.
    pub fn told(self, line: &str) -> String {
        let until = self.until.map(|last| format!(", until {last}"));
        let stage = self.stage.map(|stage| format!(", stage {stage:?}"));
        format!(
            "{line}{}{}",
            until.unwrap_or_default(),
            stage.unwrap_or_default()
        )
    }
}

impl About {
    /// The part of `reached` that is meant. `grown` is what the policies newly let through, and `others` is what other
    /// changes are about: what is grown, and nobody is about, is shown with each change that could have opened it.
    pub fn part(&self, reached: &Reached, grown: &Reached, others: &[&Self]) -> Reached {
        let mut part = Reached::new();
        for (key, ports) in reached {
            let shown = match self {
                Self::Whole => ports.clone(),
                Self::Zones(zones) if zones.contains(&key.0.layer) => ports.clone(),
                Self::Zones(_) => continue,
                Self::Growth => match grown.get(key) {
                    Some(_) => ports.clone(),
                    None => continue,
                },
                Self::Opening { traffic, .. } => {
                    let own = opened(traffic, key);
                    let mut news = grown.get(key).cloned().unwrap_or_default();
                    for other in others {
                        match other {
                            Self::Opening { traffic, .. } => {
                                news = news.without(&opened(traffic, key));
                            }
                            Self::Whole | Self::Zones(_) | Self::Growth => {}
                        }
                    }
                    ports.and(&Spans::of(own.iter().chain(news.iter())))
                }
            };
            if !shown.is_empty() {
                part.insert(key.clone(), shown);
            }
        }
        part
    }

    /// The terms before and after.
    pub fn terms(&self) -> (Terms, Terms) {
        match self {
            Self::Opening { before, after, .. } => (*before, *after),
            Self::Whole | Self::Zones(_) | Self::Growth => Default::default(),
        }
    }
}

/// The ports that traffic opens between two ends.
fn opened(traffic: &[Traffic], (pods, direction, outsider): &super::reach::Between) -> Spans {
    let between = traffic
        .iter()
        .filter_map(|it| it.between(pods, *direction, outsider));
    Spans::of(between.flat_map(Spans::iter))
}
