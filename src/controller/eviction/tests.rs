use rstest::rstest;

use super::*;
use crate::api::condition::reason;
use crate::domain::{Stays, Workload};

fn placement(stack: &str) -> Placement {
    Placement {
        node_selector: BTreeMap::from([("stack".into(), stack.into())]),
        evict_misplaced: true,
        ..Placement::default()
    }
}

fn scope(stack: &str) -> Scope {
    Scope {
        placement: placement(stack),
        namespaces: BTreeSet::from(["shop-web".to_owned()]),
    }
}

fn nodes(stacks: &[(&str, &str)]) -> BTreeMap<String, Node> {
    let node = |&(name, stack): &(&str, &str)| {
        let labels = BTreeMap::from([("stack".into(), stack.into())]);
        let node = Node {
            labels,
            ..Node::default()
        };
        (name.to_owned(), node)
    };
    stacks.iter().map(node).collect()
}

fn moving(evicted: usize) -> Found {
    Found {
        moving: vec!["shop-web/a on n1".to_owned()],
        evicted,
        has_nodes: true,
        ..Found::default()
    }
}

fn looked(found: Found) -> Looked {
    Looked {
        found: Ok(found),
        admitted: BTreeSet::from(["n1".to_owned(), "n2".to_owned()]),
    }
}

/// Looks once and says when the next look is due.
fn pause(evictions: &Evictions, looked: Looked, now: Instant) -> Duration {
    let (_, zone, scope) = evictions.next().unwrap();
    evictions.settle(&zone, &scope, looked, now);
    evictions.next().unwrap().0 - now
}

fn wanted() -> Evictions {
    let evictions = Evictions::default();
    assert!(evictions.want("shop", scope("one"), false, None).is_none());
    evictions
}

#[rstest]
#[case::progress(moving(1), PROGRESSES)]
#[case::nothing_to_do(Found { has_nodes: true, ..Found::default() }, STANDS)]
#[case::nothing_that_moves(
    Found { staying: vec![("shop-web/a on n1".to_owned(), Stays::OfAJob)], has_nodes: true, ..Found::default() },
    COUNTED_AGAIN
)]
#[case::nowhere_to_go(Found { has_nodes: false, ..moving(0) }, COUNTED_AGAIN)]
#[case::refused(moving(0), WAITS.0)]
fn it_is_looked_at_again_as_there_is_something_to_see(
    #[case] found: Found,
    #[case] expected: Duration,
) {
    assert_eq!(pause(&wanted(), looked(found), Instant::now()), expected);
}

#[test]
fn waits_grow_until_something_moves() {
    let evictions = wanted();
    let now = Instant::now();
    let pauses = [0, 0, 0, 0, 1, 0].map(|evicted| {
        let pause = pause(&evictions, looked(moving(evicted)), now);
        pause.as_secs()
    });
    assert_eq!(pauses, [10, 20, 40, 60, 5, 10]);
}

#[test]
fn being_blocked_is_told_after_a_while() {
    let evictions = wanted();
    let now = Instant::now();
    let why = |found, at| {
        pause(&evictions, looked(found), at);
        evictions
            .want("shop", scope("one"), false, None)
            .unwrap()
            .reason
    };
    assert_eq!(why(moving(1), now), reason::EVICTING);
    assert_eq!(why(moving(0), now + BLOCKED_AFTER / 2), reason::EVICTING);
    assert_eq!(
        why(moving(0), now + BLOCKED_AFTER),
        reason::EVICTION_BLOCKED
    );
    assert_eq!(why(moving(1), now + BLOCKED_AFTER), reason::EVICTING);
    assert_eq!(
        why(Found::default(), now + BLOCKED_AFTER * 3),
        reason::ALL_PLACED
    );
    assert_eq!(why(moving(0), now + BLOCKED_AFTER * 3), reason::EVICTING);
}

/// What is wanted no more is not done, and not told.
#[test]
fn what_is_declared_anew_is_looked_at_anew() {
    let evictions = wanted();
    let now = Instant::now();
    let (_, zone, old) = evictions.next().unwrap();
    evictions.keep("shop", Some(&placement("one")));
    assert!(evictions.is_wanted(&zone, &old));
    assert!(evictions.settle(&zone, &old, looked(moving(1)), now));
    assert!(
        !evictions.settle(&zone, &old, looked(moving(1)), now),
        "nothing new"
    );
    assert!(evictions.want("shop", scope("one"), false, None).is_some());

    assert!(evictions.want("shop", scope("two"), false, None).is_none());
    assert!(!evictions.is_wanted(&zone, &old));
    assert!(!evictions.settle(&zone, &old, looked(Found::default()), now));
    assert!(evictions.want("shop", scope("two"), false, None).is_none());

    evictions.keep("shop", Some(&placement("one")));
    assert!(evictions.next().is_none());
    wanted().keep("shop", None);
}

/// An operator that starts asks for nothing at once where all stood well.
#[test]
fn what_stood_well_is_looked_at_some_time() {
    let evictions = Evictions::default();
    let now = Instant::now();
    let before = nodes(&[("n1", "one")]);
    for number in 0..100 {
        evictions.want(&format!("zone-{number}"), scope("one"), true, Some(&before));
    }
    let due: BTreeSet<_> = evictions.zones().values().map(|it| it.due).collect();
    assert!(due.len() > 80, "{}", due.len());
    assert!(
        due.iter()
            .all(|due| *due < now + STANDS + Duration::from_mins(1))
    );
    // Unless one of the nodes is another's now.
    evictions.nodes_changed(&nodes(&[("n1", "two")]), now);
    assert!(evictions.zones().values().all(|it| it.due == now));
}

#[test]
fn nodes_that_matter_are_a_reason_to_look() {
    let evictions = wanted();
    let now = Instant::now();
    let all_placed = || Found {
        has_nodes: true,
        ..Found::default()
    };
    let look_after = |found: Found, now_nodes: &[(&str, &str)]| {
        pause(&evictions, looked(found), now);
        evictions.nodes_changed(&nodes(now_nodes), now);
        evictions.next().unwrap().0 == now
    };
    let before = [("n1", "one"), ("n2", "one")];
    assert!(!look_after(all_placed(), &before));
    assert!(
        !look_after(all_placed(), &[("n1", "one"), ("n3", "two")]),
        "one went, one came"
    );
    assert!(
        look_after(all_placed(), &[("n1", "one"), ("n2", "two")]),
        "one is another's now"
    );
    let nowhere = || Found {
        has_nodes: false,
        ..moving(0)
    };
    assert!(!look_after(nowhere(), &[("n9", "two")]));
    assert!(
        look_after(nowhere(), &[("n9", "one")]),
        "there is one to go to"
    );
}

fn pod(name: &str, workload: Option<&str>) -> Pod {
    Pod {
        namespace: "shop-web".to_owned(),
        name: name.to_owned(),
        uid: name.to_owned(),
        node: Some("n1".to_owned()),
        workload: workload.map(|kind| Workload {
            kind: kind.to_owned(),
            uid: "x".to_owned(),
        }),
        is_ready: true,
        is_leaving: false,
    }
}

#[test]
fn what_stays_and_what_goes_is_told() {
    let pods = [
        pod("a", Some("ReplicaSet")),
        pod("b", None),
        pod("c", Some("DaemonSet")),
    ];
    let all: Vec<_> = pods.iter().collect();
    let mut found = Found {
        has_nodes: true,
        refused: Some("shop-web/a: Cannot evict pod".to_owned()),
        ..Found::of(&all, &pods)
    };
    let told = found.told();
    assert_eq!((told.state, told.reason), ("False", reason::EVICTING));
    assert_eq!(
        told.message,
        "3 pods run on nodes that the placement does not admit; evicted one at a time from each workload, \
         while its other pods are ready: shop-web/a on n1; the API server refuses to evict shop-web/a: Cannot \
         evict pod; not evicted: shop-web/b on n1 (nothing would bring it back, delete it when it suits); \
         shop-web/c on n1 (a DaemonSet chooses its nodes by its template: restart it, or write the placement into \
         it)"
    );
    found.has_nodes = false;
    assert_eq!(found.told().reason, reason::NO_NODE);
    let told = Found::of(&all[1..2], &pods).told();
    assert_eq!((told.state, told.reason), ("False", reason::NOT_EVICTED));
    assert!(
        told.message.starts_with("1 pod runs on a node"),
        "{}",
        told.message
    );
    let mut leaving = pod("d", Some("Job"));
    leaving.is_leaving = true;
    assert!(Found::of(&[&leaving], &pods).staying.is_empty());
    let told = Found::of(&[], &pods).told();
    assert_eq!((told.state, told.reason), ("True", reason::ALL_PLACED));
}
