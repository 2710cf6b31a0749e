use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use rstest::rstest;

use super::*;

fn key(kind: Kind) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: Some("shop-web".into()),
        name: "landing-zone".into(),
    }
}

fn repair() -> DriftRepair {
    DriftRepair {
        object: "x".into(),
        change: "y".into(),
        manager: Some("flux".into()),
        time: Time(Timestamp::UNIX_EPOCH),
    }
}

fn after_rounds(kind: Kind, rounds: usize, apart: Duration) -> (Memory, Instant) {
    let mut memory = Memory::default();
    let mut now = Instant::now();
    for _ in 0..rounds {
        now += apart;
        memory.repaired(repair(), &key(kind), now);
    }
    (memory, now)
}

#[rstest]
#[case::four_rounds(Kind::ResourceQuota, 4, 1, None)]
#[case::five_rounds(Kind::ResourceQuota, 5, 1, Some(FIGHT))]
#[case::five_rounds_in_three_minutes(Kind::ResourceQuota, 5, 45, None)]
#[case::five_rounds_slowly(Kind::ResourceQuota, 5, 200, None)]
#[case::urgent(Kind::RoleBinding, 50, 1, Some(URGENT_PAUSE))]
fn a_fight_slows_repairs_down(
    #[case] kind: Kind,
    #[case] rounds: usize,
    #[case] seconds: u64,
    #[case] pause: Option<Duration>,
) {
    let (memory, now) = after_rounds(kind, rounds, Duration::from_secs(seconds));
    let until = memory.repair_waits_until(&key(kind), now);
    assert_eq!(until, pause.map(|pause| now + pause));
}

#[test]
fn urgent_repairs_never_wait_a_second() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_urgent()) {
        let (memory, now) = after_rounds(kind, 100, Duration::from_millis(10));
        let until = memory.repair_waits_until(&key(kind), now);
        assert!(until.is_none_or(|until| until < now + Duration::from_secs(1)));
    }
}

#[test]
fn a_fight_is_named_and_ends_in_peace() {
    let (mut memory, now) = after_rounds(Kind::ResourceQuota, 5, Duration::from_secs(1));
    let fights = memory.fights(now);
    assert_eq!(fights[0].manager.as_deref(), Some("flux"));
    // One repair a minute is still the same fight.
    let later = now + FIGHT;
    memory.repaired(repair(), &key(Kind::ResourceQuota), later);
    assert_eq!(memory.fights(later).len(), 1);
    let peace = memory.peace_at(later).unwrap();
    assert!(memory.fights(peace).is_empty());
    memory.tidy(peace);
    assert!(memory.peace_at(peace).is_none());
}

#[test]
fn the_status_shows_the_last_repairs_and_counts_all() {
    let (memory, _) = after_rounds(Kind::ResourceQuota, 25, Duration::from_secs(1));
    let drift = memory.drift.unwrap();
    assert_eq!((drift.repaired, drift.recent.len()), (25, RECENT_REPAIRS));
}

/// It is kept until the watch has brought it, and what somebody else writes is still told from it.
#[test]
fn a_status_is_not_kept_twice() {
    let drift = |repaired| {
        let drift = DriftStatus {
            repaired,
            ..DriftStatus::default()
        };
        Some(drift)
    };
    let status = |digest: &str, repaired| LandingZoneStatus {
        applied_digest: Some(digest.to_owned()),
        drift: drift(repaired),
        ..LandingZoneStatus::default()
    };
    let mut memory = Memory {
        written: Some(WrittenStatus::new(status("ours", 2), "20".to_owned())),
        drift: drift(2),
        ..Memory::default()
    };
    let ahead = |memory: &Memory, seen: &str| {
        let written = memory.written.as_ref().unwrap();
        written.newer_than(seen).is_some()
    };
    assert!(ahead(&memory, "10"), "the watch is behind");
    let came_back = |memory: &mut Memory, status: &LandingZoneStatus, version| {
        memory.leave_to(Some(status), version);
        memory.is_last(Some(status))
    };
    assert!(!came_back(&mut memory, &status("older", 1), "10"));
    assert!(ahead(&memory, "10"), "an older one says nothing");
    assert_eq!(memory.drift, drift(2));
    assert!(came_back(&mut memory, &status("ours", 2), "20"));
    assert!(!ahead(&memory, "10"), "the landing zone has it");
    assert_eq!(memory.drift, None);
    assert!(!came_back(
        &mut memory,
        &status("of somebody else", 2),
        "30"
    ));

    // What is not told yet is told later.
    memory.drift = drift(3);
    memory.leave_to(Some(&status("ours", 2)), "40");
    assert_eq!(memory.drift, drift(3));
}
