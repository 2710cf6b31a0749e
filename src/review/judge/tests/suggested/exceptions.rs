//! Rules to everybody but some: their exceptions are wider than what a crossing leaves out by itself.

use super::*;

/// A rule of Kubernetes' to one range.
fn kubernetes_to(cidr: &str, except: &[&str]) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "team", "namespace": "app2-ns2"},
        "spec": {
            "podSelector": {}, "policyTypes": ["Egress"],
            "egress": [{
                "to": [{"ipBlock": {"cidr": cidr, "except": except}}],
                "ports": [{"protocol": "TCP", "port": 443}],
            }],
        },
    })
}

#[test]
fn everybody_but_private_ranges_takes_one_crossing_with_the_same_exceptions() {
    let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
    let metadata = ["168.63.129.16/32", "169.254.0.0/16"];
    let both: Vec<&str> = private.iter().chain(&metadata).copied().collect();
    for policy in [
        kubernetes_to("0.0.0.0/0", &both),
        to(&json!({"nets": ["0.0.0.0/0"], "notNets": both})),
    ] {
        let suggestion = settles(&plain(), &policy);
        let expected = "to: {cidrs: [0.0.0.0/0], except: [10.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]}";
        assert!(suggestion.contains(expected), "{suggestion}");
        assert!(
            suggestion.contains("acknowledge: AllAddresses}]}"),
            "{suggestion}"
        );
        assert_eq!(suggestion.matches("acknowledge").count(), 1, "{suggestion}");
    }
}

/// Exceptions of one of the two are seldom forgotten, those of the other often.
#[test]
fn what_is_left_of_the_metadata_service_is_told_with_both_ways_out() {
    for (except, left) in [
        (&["10.0.0.0/8", "169.254.0.0/16"][..], "168.63.129.16/32"),
        (&["10.0.0.0/8", "168.63.129.16/32"], "169.254.169.254/32"),
        (&["10.0.0.0/8"], "168.63.129.16/32, 169.254.169.254/32"),
    ] {
        let suggestion = settles(&plain(), &kubernetes_to("0.0.0.0/0", except));
        let of_metadata = format!("to: {{cidrs: [{left}]}}");
        let way_out = format!(
            "; rather leave {left} out of the rule, with the crossing that acknowledges MetadataService"
        );
        assert!(
            suggestion.contains(&of_metadata) && suggestion.contains(&way_out),
            "{suggestion}"
        );
        // The other way out.
        let mut all = except.to_vec();
        all.extend(left.split(", "));
        let stand = plain();
        let suggestion = settles(&stand, &kubernetes_to("0.0.0.0/0", &all));
        assert!(!suggestion.contains("MetadataService"), "{suggestion}");
    }
}

/// What is declared beside it would cut the rest into pieces.
#[test]
fn a_crossing_that_is_there_does_not_make_it_long() {
    let partner = json!({"egress": [{
        "name": "partner", "to": {"cidrs": ["203.0.113.0/24"], "except": ["203.0.113.7/32"]},
        "ports": [{"protocol": "TCP", "port": 443}],
    }]});
    let stand = plain().with("application2", partner);
    let except = ["10.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"];
    let suggestion = settles(&stand, &kubernetes_to("0.0.0.0/0", &except));
    assert!(
        suggestion.contains("except: [10.0.0.0/8, 169.254.0.0/16]}"),
        "{suggestion}"
    );
}

/// What the platform lets in has no exceptions, so each range that is left is named.
#[test]
fn everybody_but_private_ranges_comes_in_by_the_ranges_that_are_left() {
    let private = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
    ];
    let found = plain().found(&from(&json!({"nets": ["0.0.0.0/0"], "notNets": private})));
    let suggestion = &found[0].suggestion;
    assert!(
        suggestion.contains("the platform declares it: sharedServices: [{name: from-")
            && suggestion.contains("192.0.0.0/9")
            && suggestion.contains("peers: [{cidrs: ["),
        "{suggestion}"
    );
    for (_, ranges) in suggestion
        .match_indices("cidrs: [")
        .map(|(at, it)| (at, &suggestion[at + it.len()..]))
    {
        let (ranges, _) = ranges.split_once(']').unwrap();
        assert!(ranges.split(", ").count() <= 32, "{ranges}");
    }
}

/// Nothing but what is not meant is written, so pods are meant as well.
#[test]
fn addresses_are_told_to_be_named_where_only_others_are() {
    for not in [
        json!(["198.51.100.0/24"]),
        json!([
            "10.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "168.63.129.16/32"
        ]),
    ] {
        let mut policy = to(&json!({"notNets": not}));
        let found = plain().found(&policy);
        let suggestion = &found[0].suggestion;
        let beside = "; if addresses are meant, write nets: [0.0.0.0/0] beside notNets, and declare in landing zone application2: ";
        let (_, rest) = suggestion.split_once(beside).unwrap();
        let mut stand = plain();
        stand.apply(
            &mut policy,
            &format!("declare in landing zone application2: {rest}"),
        );
        end_of(&mut policy)["nets"] = json!(["0.0.0.0/0"]);
        assert_eq!(stand.found(&policy), [], "{suggestion}");
    }
}
