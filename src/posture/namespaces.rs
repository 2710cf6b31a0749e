//! The namespaces of a cluster: their labels and quotas, and the one that is nobody's.

use super::check::{Answer, Seen};
use super::{Asked, ClusterState};
use crate::api::names;

/// Whether each namespace names its application.
pub(super) fn labelled(asked: &Asked<'_>) -> Answer {
    let Some(live) = asked.live else {
        return Answer::without_cluster();
    };
    let namespaces = match live.of_applications() {
        Ok(namespaces) => namespaces,
        Err(missing) => return Answer::missing(missing),
    };
    let codes = live.codes.as_ref().ok().and_then(Option::as_ref);
    let failing = namespaces.iter().filter_map(|(name, labels)| {
        let missing: Vec<&str> = [names::APPLICATION_CODE, names::ZONE]
            .into_iter()
            .filter(|it| labels.get(*it).is_none_or(String::is_empty))
            .collect();
        if !missing.is_empty() {
            let what = format!("has no label {}", missing.join(", nor "));
            return Some(Seen::of(*name, what));
        }
        let code = labels.get(names::APPLICATION_CODE)?;
        let is_strange = codes.is_some_and(|it| !it.contains(code));
        is_strange.then(|| {
            let what = format!("names {code}, which is the application code of no landing zone");
            Seen::of(*name, what)
        })
    });
    let well = format!(
        "each of {} namespaces has the labels {} and {}",
        namespaces.len(),
        names::APPLICATION_CODE,
        names::ZONE
    );
    let answer = Answer::fail_each(failing.collect(), well);
    let answer = match &live.codes {
        Err(missing) => answer.note(format!(
            "whether the codes are those of landing zones was not seen: {}",
            missing.tells()
        )),
        Ok(_) => answer,
    };
    answer
        .mend("# a LandingZone that lists the namespace labels it; without one:")
        .mend(format!(
            "kubectl label namespace <namespace> {}=<code> {}=<zone>",
            names::APPLICATION_CODE,
            names::ZONE
        ))
}

/// Whether each landing zone has quotas.
pub(super) fn quotas(asked: &Asked<'_>) -> Answer {
    let Some(live) = asked.live else {
        return Answer::without_cluster();
    };
    let (namespaces, with_quota) = match (&live.namespaces, &live.with_quota) {
        (Ok(namespaces), Ok(with_quota)) => (namespaces, with_quota),
        (Err(missing), _) | (_, Err(missing)) => return Answer::missing(missing),
    };
    let own = namespaces
        .iter()
        .filter(|(_, labels)| labels.contains_key(names::OWNER));
    let own: Vec<&String> = own.map(|(name, _)| name).collect();
    if own.is_empty() {
        return Answer::pass(
            "there is no namespace of a landing zone, so the question does not arise",
        );
    }
    let without = own.iter().filter(|it| !with_quota.contains(**it));
    let without = without.map(|it| Seen::of(it.as_str(), "has no ResourceQuota"));
    Answer::fail_each(
        without.collect(),
        format!("each of {} namespaces of landing zones has a quota", own.len()),
    )
    .mend("# quota of the namespace in its LandingZone, or spec.defaults.quota of the LandingZonePlatform for all of them")
}

/// Whether nothing runs in the namespace default.
pub(super) fn default_unused(asked: &Asked<'_>) -> Answer {
    let Some(ClusterState { in_default, .. }) = asked.live else {
        return Answer::without_cluster();
    };
    let running = match in_default {
        Ok(running) => running,
        Err(missing) => return Answer::missing(missing),
    };
    let running = running
        .iter()
        .map(|it| Seen::of(it, "runs in the namespace default"));
    Answer::fail_each(running.collect(), "no pod runs in the namespace default")
        .mend("# deploy it into a namespace of its application, then")
        .mend("kubectl -n default delete <kind> <name>")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Given, namespaces, refused, state};
    use super::super::{Check, Outcome, Question};
    use super::*;

    fn ask(state: ClusterState, question: Question) -> Check {
        Given::default().live(state).ask(question)
    }

    #[test]
    fn namespaces_name_their_application_and_their_zone() {
        let with = |labels: &[(&str, &str)], codes: Option<&str>| {
            let codes = codes.map(|it| [it.to_owned()].into());
            ask(
                ClusterState {
                    namespaces: Ok(namespaces(&[("shop-web", labels), ("kube-system", &[])])),
                    codes: Ok(codes),
                    ..state()
                },
                Question::NamespacesLabelled,
            )
        };
        let both = [("applicationcode", "shop"), ("zone", "web")];
        assert_eq!(with(&both, Some("shop")).outcome, Outcome::Pass);
        assert_eq!(with(&both, None).outcome, Outcome::Pass);
        let foreign = with(&both, Some("orders"));
        assert!(
            foreign.seen[0].what.contains("of no landing zone"),
            "{foreign:?}"
        );
        let partly = with(&[("applicationcode", "shop")], None);
        assert_eq!(partly.seen, [Seen::of("shop-web", "has no label zone")]);
        let nothing = with(&[], None);
        assert_eq!(
            nothing.seen,
            [Seen::of(
                "shop-web",
                "has no label applicationcode, nor zone"
            )]
        );
    }

    #[test]
    fn namespaces_of_landing_zones_have_quotas() {
        let with = |quotas: &[&str]| {
            let own = [("landingzones.dev/landing-zone", "shop")];
            ask(
                ClusterState {
                    namespaces: Ok(namespaces(&[("shop-web", &own), ("other", &[])])),
                    with_quota: Ok(quotas.iter().map(|it| (*it).to_owned()).collect()),
                    ..state()
                },
                Question::NamespaceQuotas,
            )
        };
        assert_eq!(with(&["shop-web"]).outcome, Outcome::Pass);
        assert_eq!(
            with(&["other"]).seen,
            [Seen::of("shop-web", "has no ResourceQuota")]
        );
        assert_eq!(
            ask(state(), Question::NamespaceQuotas).outcome,
            Outcome::Pass
        );
    }

    #[test]
    fn nothing_runs_in_default() {
        let with = |pods: &[&str]| {
            let in_default = Ok(pods.iter().map(|it| (*it).to_owned()).collect());
            ask(
                ClusterState {
                    in_default,
                    ..state()
                },
                Question::DefaultNamespaceUnused,
            )
        };
        assert_eq!(with(&[]).outcome, Outcome::Pass);
        assert_eq!(
            with(&["deployment/web"]).seen,
            [Seen::of("deployment/web", "runs in the namespace default")]
        );
    }

    #[test]
    fn what_may_not_be_read_names_the_right() {
        let refused = || ClusterState {
            namespaces: Err(refused("namespaces")),
            with_quota: Err(refused("resourcequotas")),
            in_default: Err(refused("pods")),
            ..state()
        };
        for (question, what) in [
            (Question::NamespacesLabelled, "namespaces"),
            (Question::NamespaceQuotas, "namespaces"),
            (Question::DefaultNamespaceUnused, "pods"),
        ] {
            let check = ask(refused(), question);
            assert_eq!(check.outcome, Outcome::Unknown);
            assert_eq!(check.tells, [format!("the right to list {what} (--live)")]);
            assert_eq!(Given::default().ask(question).outcome, Outcome::Unknown);
        }
    }
}
