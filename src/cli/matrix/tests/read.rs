//! What is read, and what is told where it cannot be.

use super::*;

/// What kubectl applies is read, whatever it is called; only what Git keeps for itself is not.
#[test]
fn hidden_files_are_read_as_kubectl_reads_them() {
    let closed = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop-data}
spec: {podSelector: {}, policyTypes: [Ingress]}
";
    for (file, expected) in [
        ("all/.closed.yaml", "denied"),
        ("all/.team/closed.yml", "denied"),
        ("all/.git/closed.yaml", "allowed TCP 5432"),
    ] {
        let files = [("all/shop.yaml", SHOP), (file, closed)];
        let entries = json(&files, &["-f", "all", "-o", "json"]);
        assert_eq!(
            told(&entries, "shop/frontend", "shop/data"),
            expected,
            "{file}"
        );
    }
}

/// Of a base that is not there nothing is said but that.
#[test]
fn a_base_that_is_not_there_is_an_error_and_nothing_else() {
    let files = [
        ("new/shop.yaml", SHOP),
        ("new/note.yaml", "kind: LandingZone\n{{"),
    ];
    let (outcome, out, err) = run(&files, &["-f", "new", "--base", "nope"]);
    assert_eq!((outcome, out.as_str()), (Outcome::BadInput, ""));
    assert!(err.starts_with("error: --base "), "{err}");
    assert!(err.contains("nope: failed to read it: "), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
