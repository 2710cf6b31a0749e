//! Whether an operator works at all: it renews its Lease every few seconds. Without one, the last word of a status stands
//! for ever.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::verdict::{Standing, Verdict, Whom};
use crate::controller::LEASE;

/// How long ago a Lease may have been renewed, by the clock of whoever asks, which may be a minute wrong: it is renewed
/// every two seconds, and runs out after ten.
const LONGEST: SignedDuration = SignedDuration::from_mins(2);

/// That no operator works, in words; None where one does.
///
/// # Errors
/// Where Leases cannot be read: whoever asks may have no right to, and then nobody knows.
pub(super) async fn absence(client: &Client) -> kube::Result<Option<String>> {
    let leases: Api<Lease> = Api::all(client.clone());
    let named = ListParams::default().fields(&format!("metadata.name={LEASE}"));
    let found = leases.list(&named).await?;
    Ok(told(&found.items, Timestamp::now()))
}

/// The same, from the Leases of all namespaces.
fn told(leases: &[Lease], now: Timestamp) -> Option<String> {
    let renewed = |lease: &Lease| Some(lease.spec.as_ref()?.renew_time.as_ref()?.0);
    let is_held = |lease: &&Lease| {
        let holder = lease
            .spec
            .as_ref()
            .and_then(|it| it.holder_identity.as_ref());
        let is_recent = renewed(lease).is_some_and(|it| now.duration_since(it) <= LONGEST);
        holder.is_some_and(|it| !it.is_empty()) && is_recent
    };
    if leases.iter().any(|it| is_held(&it)) {
        return None;
    }
    let Some(last) = leases.iter().max_by_key(|it| renewed(it)) else {
        return Some(format!(
            "there is no Lease {LEASE}: no operator has run here"
        ));
    };
    let namespace = last.namespace().unwrap_or_default();
    let since = renewed(last).map_or(String::new(), |it| {
        format!(
            "; it was renewed last at {}",
            it.round(jiff::Unit::Second).unwrap_or(it)
        )
    });
    Some(format!(
        "no operator holds the Lease {namespace}/{LEASE}{since}"
    ))
}

impl Verdict {
    /// The verdict of a status that nobody keeps up to date.
    pub(super) fn without_operator(self, absence: Option<&str>) -> Self {
        let Some(absence) = absence else {
            return self;
        };
        let before = self.to_string();
        let message = format!("{absence}. What follows may be old: {before}");
        match self.standing {
            Standing::ActNow => Self {
                message: format!("{}; {absence}", self.message),
                ..self
            },
            Standing::Waiting | Standing::Healthy => Self {
                standing: Standing::Waiting,
                waiting_for: vec![Whom::Operator],
                message,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-05-01T12:00:00Z";

    fn lease(holder: &str, renewed: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"name": LEASE, "namespace": "landing-zone-system"},
            "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 10},
        }))
        .unwrap()
    }

    fn said(leases: &[Lease]) -> Option<String> {
        told(leases, NOW.parse().unwrap())
    }

    #[test]
    fn a_lease_that_is_renewed_says_nothing() {
        assert_eq!(said(&[lease("a", "2026-05-01T11:59:45.000000Z")]), None);
        // A clock that is wrong by a little says nothing either.
        assert_eq!(said(&[lease("a", "2026-05-01T11:58:50.000000Z")]), None);
        assert_eq!(said(&[lease("a", "2026-05-01T12:01:00.000000Z")]), None);
        // Another one in the same cluster, as during a move.
        let both = [
            lease("", "2026-05-01T11:00:00.000000Z"),
            lease("a", "2026-05-01T11:59:59.000000Z"),
        ];
        assert_eq!(said(&both), None);
    }

    #[test]
    fn a_lease_that_nobody_renews_is_told() {
        let told = "no operator holds the Lease landing-zone-system/landing-zone-operator; it was renewed last at ";
        for (holder, renewed) in [
            ("a", "2026-05-01T11:50:00.123456Z"),
            // Given up, a moment ago.
            ("", "2026-05-01T11:59:59.000000Z"),
        ] {
            let said = said(&[lease(holder, renewed)]).unwrap();
            assert_eq!(said, format!("{told}{}Z", &renewed[..19]));
        }
        assert_eq!(
            said(&[]).unwrap(),
            "there is no Lease landing-zone-operator: no operator has run here"
        );
    }

    #[test]
    fn what_was_healthy_waits_for_an_operator() {
        let healthy = Verdict {
            standing: Standing::Healthy,
            waiting_for: Vec::new(),
            message: String::new(),
        };
        assert_eq!(healthy.clone().without_operator(None), healthy);
        let told = healthy.without_operator(Some("nobody works"));
        assert_eq!(
            told.to_string(),
            "waiting for the operator: nobody works. What follows may be old: healthy"
        );
        let act = Verdict::unreadable("no").without_operator(Some("nobody works"));
        assert_eq!(act.standing, Standing::ActNow);
        assert!(act.message.ends_with("; nobody works"), "{}", act.message);
    }
}
