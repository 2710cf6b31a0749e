//! Conditions that are being put together, and the sentences in them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::LandingZoneStatus;
use crate::api::condition;

/// Messages are sentences, not reports: more items than this are counted.
const NAMED_ITEMS: usize = 5;

/// The conditions of a status that is being put together.
#[derive(Debug)]
pub struct Conditions {
    generation: Option<i64>,
    now: Timestamp,
    all: Vec<Condition>,
}

impl Conditions {
    /// Starts from what is there: conditions of others are kept, times change with the state only.
    #[must_use]
    pub fn of(status: Option<&LandingZoneStatus>, generation: Option<i64>, now: Timestamp) -> Self {
        let known = status.map_or_else(Vec::new, |status| status.conditions.clone());
        Self::after(known, generation, now)
    }

    /// Starts from those that are known.
    #[must_use]
    pub fn after(known: Vec<Condition>, generation: Option<i64>, now: Timestamp) -> Self {
        Self {
            generation,
            now,
            all: known,
        }
    }

    /// Sets a condition. `state` is True, False or Unknown.
    pub fn set(&mut self, type_: &str, state: &str, reason: &str, message: impl Into<String>) {
        let known = self.all.iter_mut().find(|known| known.type_ == type_);
        let message = shortened(message.into());
        if let Some(known) = known {
            if known.status != state {
                known.last_transition_time = Time(self.now);
            }
            state.clone_into(&mut known.status);
            reason.clone_into(&mut known.reason);
            known.message = message;
            known.observed_generation = self.generation;
        } else {
            self.all.push(Condition {
                type_: type_.to_owned(),
                status: state.to_owned(),
                reason: reason.to_owned(),
                message,
                last_transition_time: Time(self.now),
                observed_generation: self.generation,
            });
        }
    }

    /// Takes a condition away that has nothing to say any more.
    pub fn remove(&mut self, type_: &str) {
        self.all.retain(|known| known.type_ != type_);
    }

    /// A condition as it stands.
    #[must_use]
    pub fn get(&self, type_: &str) -> Option<&Condition> {
        self.all.iter().find(|known| known.type_ == type_)
    }

    /// Whether a condition was ever set.
    #[must_use]
    pub fn has(&self, type_: &str) -> bool {
        self.all.iter().any(|known| known.type_ == type_)
    }

    /// The conditions.
    #[must_use]
    pub fn finish(self) -> Vec<Condition> {
        self.all
    }
}

/// Ready, Reconciling and Stalled together, as kstatus reads them.
pub fn progress(conditions: &mut Conditions, ready: &str, progress: Progress, message: &str) {
    let (reconciling, stalled, why) = match progress {
        Progress::Done(why) => ("False", "False", why),
        Progress::Working(why) => ("True", "False", why),
        Progress::Stuck(why) => ("False", "True", why),
    };
    conditions.set(condition::READY, ready, why, message);
    conditions.set(condition::RECONCILING, reconciling, why, message);
    conditions.set(condition::STALLED, stalled, why, message);
}

/// Nobody knows any more how namespaces and policies are: what was said of them is taken back.
pub fn nobody_looks(conditions: &mut Conditions, progress: Progress) {
    for type_ in [
        condition::NAMESPACES_READY,
        condition::NETWORK_ENFORCED,
        condition::BOUNDARY_HELD,
        condition::PLACEMENT_ENFORCED,
        condition::PODS_PLACED,
        condition::CROSSINGS_OPEN,
        condition::AZURE_READY,
        condition::CONTESTED,
    ] {
        nobody_looks_after(conditions, type_, progress);
    }
}

/// The same for one condition.
pub fn nobody_looks_after(conditions: &mut Conditions, type_: &str, progress: Progress) {
    let (Progress::Done(why) | Progress::Working(why) | Progress::Stuck(why)) = progress;
    if conditions.has(type_) {
        conditions.set(type_, "Unknown", why, "nobody looks after it: see Ready");
    }
}

/// Whether the operator is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to do.
    Done(&'static str),
    /// It goes on.
    Working(&'static str),
    /// Somebody has to edit something.
    Stuck(&'static str),
}

/// At most as long as the schema lets a message be, in whatever bytes.
#[must_use]
pub fn shortened(text: String) -> String {
    const LONGEST: usize = 1000;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text[..end].to_owned() + "…",
        None => text,
    }
}

/// Up to five items, and how many more there are.
pub fn sentence(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    let mut text = items
        .iter()
        .take(NAMED_ITEMS)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if items.len() > NAMED_ITEMS {
        text = format!("{text}; and {} more", items.len() - NAMED_ITEMS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::reason;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn find<'a>(conditions: &'a [Condition], type_: &str) -> &'a Condition {
        let found = conditions.iter().find(|condition| condition.type_ == type_);
        found.unwrap()
    }

    #[test]
    fn times_change_with_the_state_only_and_conditions_of_others_stay() {
        let mut first = Conditions::of(None, Some(1), at(10));
        progress(
            &mut first,
            "False",
            Progress::Working(reason::PROGRESSING),
            "at work",
        );
        first.set("Foreign", "True", "Theirs", "not ours");
        let status = LandingZoneStatus {
            conditions: first.finish(),
            ..LandingZoneStatus::default()
        };
        let mut second = Conditions::of(Some(&status), Some(2), at(20));
        progress(
            &mut second,
            "False",
            Progress::Working(reason::APPLY_FAILED),
            "still",
        );
        let second = second.finish();
        let ready = find(&second, condition::READY);
        assert_eq!(ready.last_transition_time, Time(at(10)));
        assert_eq!(
            (ready.reason.as_str(), ready.observed_generation),
            ("ApplyFailed", Some(2))
        );
        assert_eq!(find(&second, "Foreign").message, "not ours");
    }

    // kstatus reads Reconciling before Stalled before Ready: never two of them at once.
    #[test]
    fn what_is_stuck_is_not_at_work() {
        for (state, reconciling, stalled) in [
            (Progress::Done("X"), "False", "False"),
            (Progress::Working("X"), "True", "False"),
            (Progress::Stuck("X"), "False", "True"),
        ] {
            let mut conditions = Conditions::of(None, None, at(0));
            progress(&mut conditions, "False", state, "");
            let all = conditions.finish();
            assert_eq!(find(&all, condition::RECONCILING).status, reconciling);
            assert_eq!(find(&all, condition::STALLED).status, stalled);
        }
    }

    #[test]
    fn sentences_name_five_and_count_the_rest() {
        let items = (1..=8).map(|number| format!("item {number}"));
        assert_eq!(
            sentence(items),
            "item 1; item 2; item 3; item 4; item 5; and 3 more"
        );
        assert_eq!(sentence(std::iter::empty()), "");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let long = shortened("ü".repeat(5000));
        assert_eq!(long.chars().count(), 1001);
        assert_eq!(shortened("short".into()), "short");
    }
}
