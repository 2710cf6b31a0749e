//! Load balancers: whose addresses pods see behind them.

use super::Asked;
use super::check::{Answer, Seen};
use crate::api::names;

/// Whether load balancers of landing zones keep the client's address.
pub(super) fn source(asked: &Asked<'_>) -> Answer {
    let Some(live) = asked.live else {
        return Answer::without_cluster();
    };
    let (namespaces, services) = match (&live.namespaces, &live.load_balancers) {
        (Ok(namespaces), Ok(services)) => (namespaces, services),
        (Err(missing), _) | (_, Err(missing)) => return Answer::missing(missing),
    };
    let own = services.iter().filter(|it| {
        let labels = namespaces.get(&it.namespace);
        labels.is_some_and(|it| it.contains_key(names::OWNER))
    });
    let own: Vec<_> = own.collect();
    if own.is_empty() {
        return Answer::pass(
            "no landing zone has a Service of type LoadBalancer, so the question does not arise",
        );
    }
    let hiding = own.iter().filter(|it| !it.keeps_source);
    let seen = hiding.clone().map(|it| {
        let what =
            "has an externalTrafficPolicy other than Local: its pods see the address of a node";
        Seen::of(it.title(), what)
    });
    let well = format!(
        "each of {} Services of type LoadBalancer has the externalTrafficPolicy Local",
        own.len()
    );
    let answer = Answer::fail_each(seen.collect(), well)
        .mend("# what comes is then sent to nodes only that have a ready pod of it: have several, on several nodes");
    let mend = hiding.map(|it| {
        let (namespace, name) = (&it.namespace, &it.name);
        format!(
            "kubectl -n {namespace} patch service {name} -p '{{\"spec\":{{\"externalTrafficPolicy\":\"Local\"}}}}'"
        )
    });
    mend.fold(answer, Answer::mend)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Given, namespaces, refused, state};
    use super::super::{ClusterState, LoadBalancer, Outcome, Question};
    use super::*;

    const ASKED: Question = Question::LoadBalancerSource;

    fn service(namespace: &str, keeps_source: bool) -> LoadBalancer {
        LoadBalancer {
            namespace: namespace.to_owned(),
            name: "front".to_owned(),
            is_internal: true,
            keeps_source,
            ports: vec![443],
        }
    }

    fn running(services: Vec<LoadBalancer>) -> ClusterState {
        let own = [(names::OWNER, "shop")];
        ClusterState {
            namespaces: Ok(namespaces(&[("shop-web", &own), ("ingress", &[])])),
            load_balancers: Ok(services),
            ..state()
        }
    }

    #[test]
    fn load_balancers_of_landing_zones_keep_the_clients_address() {
        let ask = |services| Given::default().live(running(services)).ask(ASKED);
        assert_eq!(ask(vec![service("shop-web", true)]).outcome, Outcome::Pass);
        let hiding = ask(vec![service("shop-web", true), service("shop-web", false)]);
        assert_eq!(hiding.outcome, Outcome::Fail);
        assert_eq!(hiding.seen.len(), 1);
        assert_eq!(hiding.seen[0].resource.as_deref(), Some("shop-web/front"));
        assert_eq!(
            hiding.mend[1],
            r#"kubectl -n shop-web patch service front -p '{"spec":{"externalTrafficPolicy":"Local"}}'"#
        );
    }

    #[test]
    fn others_have_their_own_reasons() {
        for services in [vec![], vec![service("ingress", false)]] {
            let check = Given::default().live(running(services)).ask(ASKED);
            assert_eq!(check.outcome, Outcome::Pass);
            assert!(check.seen[0].what.contains("does not arise"), "{check:?}");
        }
    }

    #[test]
    fn what_may_not_be_read_names_the_right() {
        let state = ClusterState {
            load_balancers: Err(refused("services")),
            ..running(vec![])
        };
        let check = Given::default().live(state).ask(ASKED);
        assert_eq!(check.tells, ["the right to list services (--live)"]);
        assert_eq!(Given::default().ask(ASKED).outcome, Outcome::Unknown);
    }
}
