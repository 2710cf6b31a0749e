//! What is asked, and of which files: what is wrong with either, and how it is told.

use super::*;

#[test]
fn wrong_questions_are_refused_with_a_way_out() {
    let (outcome, _, err) = ask("shop/frontnd", "shop/data");
    assert_eq!(outcome, Outcome::BadInput);
    assert!(err.contains("did you mean shop/frontend?"), "{err}");
    // What is wrong is the question, and no file.
    assert!(err.starts_with("error: \"shop/frontnd\" is none"), "{err}");
    let (_, _, err) = ask("shop/frontend", "shop/data:http");
    assert!(err.contains("\"http\" is not a port"), "{err}");
    let (_, _, err) = ask("shop/frontend", "shop/data:0");
    assert!(err.contains("\"0\" is not a port"), "{err}");
}

/// An address of IPv6 has colons of its own: what may be meant in two ways is not answered in one of them.
#[test]
fn an_ipv6_address_with_a_port_stands_in_brackets() {
    for (to, address, port) in [
        ("::1:443", "::1", 443),
        ("2001:db8::7:53", "2001:db8::7", 53),
    ] {
        let (outcome, out, err) = ask("shop/frontend", to);
        assert_eq!((outcome, out.as_str()), (Outcome::BadInput, ""));
        let both = format!("write [{address}]:{port} for that, or [{to}] for the address");
        assert!(err.contains(&both), "{err}");
    }
    // Each way out is one, and what is meant in one way only needs none.
    for (to, told) in [
        ("[2001:db8::7]:53", "2001:db8::7, TCP 53: denied"),
        ("[2001:db8::7:53]", "2001:db8::7:53, any port: denied"),
        ("2001:db8::7:53/UDP", "2001:db8::7, UDP 53: denied"),
        ("2001:db8::7", "2001:db8::7, any port: denied"),
        (
            "2001:db8::cafe:f00d",
            "2001:db8::cafe:f00d, any port: denied",
        ),
        (
            "2001:db8:1:2:3:4:5:443",
            "2001:db8:1:2:3:4:5:443, any port: denied",
        ),
    ] {
        let out = self::told("shop/frontend", to);
        let head = format!("shop/frontend → {told}\n");
        assert!(out.starts_with(&head), "{to}: {out}");
    }
    // Whoever opens the connection has no port here.
    let out = told("2001:db8::7:443", "shop/data:80");
    assert!(out.starts_with("2001:db8::7:443 → shop/data"), "{out}");
    let (_, _, err) = ask("shop/frontend", "[2001:db8::7]443");
    assert!(err.contains("\"443\" is not a port"), "{err}");
}

/// What a file holds that cannot be read is told as compilers tell it; what Calico cannot do, with what becomes of it.
#[test]
fn what_counts_as_missing_is_told_with_its_place() {
    let files = |policy: &str| format!("{ZONES}---\n{policy}");
    let line = ZONES.lines().count() + 1;
    let said = |policy: &str| {
        let (outcome, _, err) = ask_of(&files(policy), "shop/data", "shop/data:80");
        assert_eq!(outcome, Outcome::Done, "{err}");
        err
    };
    let broken = "\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: broken, namespace: shop-web}
spec:
  selector: app = 'web'
";
    let err = said(broken);
    let place = format!(
        "all.yaml:{}:13: NetworkPolicy shop-web/broken counts as missing: ",
        line + 5
    );
    assert!(err.starts_with("note: /") && err.contains(&place), "{err}");
    let nodes = "\
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: to-nodes}
spec:
  priority: 10
  subject: {namespaces: {}}
  egress:
  - action: Allow
    to:
    - nodes: {}
";
    let err = said(nodes);
    let place = format!(
        "all.yaml:{}:7: AdminNetworkPolicy to-nodes spec.egress[0].to[0]: nodes are no peers to Calico",
        line + 10
    );
    assert!(err.contains(&place), "{err}");
    assert!(err.ends_with(": the rule is left out\n"), "{err}");
}
