//! The way in: web application firewalls and API Management.

use super::azure::{is_same, is_within, last_name};
use super::check::{Answer, Seen};
use super::field::Field;
use super::{Asked, InputFile};

/// Whether a web application firewall stands in front.
pub(super) fn firewall(asked: &Asked<'_>) -> Answer {
    let past = past_the_gateway(asked);
    if !past.is_empty() {
        let annotation = "service.beta.kubernetes.io/azure-load-balancer-internal=true";
        let answer = Answer::fail_each(past, "");
        return classes(answer, asked)
            .mend("# let a gateway with a firewall call it, and take it off the internet")
            .mend(format!(
                "kubectl annotate service <name> -n <namespace> {annotation}"
            ));
    }
    let addon = addon(asked);
    let Some(gateways) = asked.azure.given(InputFile::ApplicationGateways) else {
        return match addon {
            Some(id) => Answer::unknown(
                format!(
                    "ingress comes through the application gateway {}, whose tier was not seen",
                    last_name(id)
                ),
                InputFile::ApplicationGateways,
            ),
            None => asked.without(InputFile::ApplicationGateways),
        };
    };
    let of_addon: Vec<&Field<'_>> = gateways
        .iter()
        .filter(|it| {
            let id = it.get("id").text();
            id.zip(addon).is_some_and(|(id, own)| is_same(id, own))
        })
        .collect();
    let candidates = match (addon, of_addon.as_slice()) {
        (Some(id), []) => {
            let seen = format!(
                "the application gateway {}, through which ingress comes, is not among those given",
                last_name(id)
            );
            return Answer::unknown(seen, InputFile::ApplicationGateways);
        }
        (Some(_), _) => of_addon,
        (None, _) => match near(asked, gateways) {
            Ok(near) => near,
            Err(answer) => return answer,
        },
    };
    let with_firewall: Vec<&str> = candidates
        .iter()
        .filter(|it| has_firewall(it))
        .filter_map(|it| it.get("name").text())
        .collect();
    if let Some(first) = with_firewall.first() {
        let answer = Answer::pass(Seen::of(*first, "has a web application firewall"));
        return classes(answer, asked)
            .note("whether it prevents or only detects, and whether all ingress comes through it, was not seen");
    }
    mended(without_firewall(&candidates), asked)
}

/// The id of the gateway that AKS's add-on configures.
fn addon<'a>(asked: &Asked<'a>) -> Option<&'a str> {
    let addons = asked.azure.cluster()?.get("addonProfiles");
    let addon = addons.get("ingressApplicationGateway");
    if addon.get("enabled").flag() != Some(true) {
        return None;
    }
    let config = addon.get("config");
    let effective = config.get("effectiveApplicationGatewayId").text();
    effective.or_else(|| config.get("applicationGatewayId").text())
}

/// Services of the cluster that take HTTP from the internet by themselves.
fn past_the_gateway(asked: &Asked<'_>) -> Vec<Seen> {
    let known = asked.live.and_then(|it| it.load_balancers.as_ref().ok());
    let open = known.into_iter().flatten().filter(|it| it.is_way_in());
    open.map(|it| {
        let what = "is a load balancer that takes HTTP or HTTPS, and that no annotation keeps inside the VNet";
        Seen::of(format!("{}/{}", it.namespace, it.name), what)
    })
    .collect()
}

/// The gateways in the cluster's VNet, or in one that is peered with it.
pub(super) fn near<'t, 'a>(
    asked: &Asked<'a>,
    gateways: &'t [Field<'a>],
) -> Result<Vec<&'t Field<'a>>, Answer> {
    let vnets = asked.azure.near_vnets();
    if vnets.is_empty() && !gateways.is_empty() {
        let seen = "it is not known which VNet is the cluster's";
        return Err(Answer::unknown(seen, asked.azure.tells_vnet()));
    }
    let is_near = |gateway: &&Field<'_>| {
        let configurations = gateway.get("gatewayIPConfigurations").items();
        let mut subnets = configurations
            .iter()
            .filter_map(|it| it.get("subnet").get("id").text());
        subnets.any(|subnet| vnets.iter().any(|it| is_within(subnet, it)))
    };
    let found: Vec<_> = gateways.iter().filter(is_near).collect();
    if found.is_empty() && !gateways.is_empty() && asked.azure.vnet().is_none() {
        let seen = "no application gateway stands in the cluster's VNet, and which VNets are peered with it was not seen";
        return Err(Answer::unknown(seen, InputFile::Vnet));
    }
    Ok(found)
}

fn has_firewall(gateway: &Field<'_>) -> bool {
    let tier = gateway.get("sku").get("tier").text().unwrap_or_default();
    let configuration = gateway.get("webApplicationFirewallConfiguration");
    let has_policy = gateway.get("firewallPolicy").get("id").text().is_some();
    let is_enabled = configuration.get("enabled").flag() == Some(true);
    (is_same(tier, "WAF_v2") || is_same(tier, "WAF")) && (has_policy || is_enabled)
}

fn without_firewall(gateways: &[&Field<'_>]) -> Answer {
    let seen = gateways.iter().map(|it| {
        let tier = it.get("sku").get("tier").text().unwrap_or("not told");
        let what = format!("has no web application firewall that is on: its tier is {tier}");
        Seen::of(it.get("name").text().unwrap_or_default(), what)
    });
    let seen: Vec<Seen> = seen.collect();
    if seen.is_empty() {
        Answer::fail(
            "no application gateway stands in the cluster's VNet or in one that is peered with it",
        )
    } else {
        Answer::fail_each(seen, "")
    }
}

fn mended(answer: Answer, asked: &Asked<'_>) -> Answer {
    let names = asked.azure.names();
    let group = names.network_group;
    classes(answer, asked)
        .mend("# a firewall of somebody else's is not seen here: an exception says so")
        .mend(format!("az network application-gateway waf-policy create -g {group} -n <waf policy>"))
        .mend(format!("az network application-gateway waf-policy policy-setting update -g {group} --policy-name <waf policy> --mode Prevention --state Enabled"))
        .mend(format!("az network application-gateway update -g {group} -n <gateway> --sku WAF_v2 --set firewallPolicy.id=<id of the waf policy>"))
}

/// Which ingress classes there are: who may take requests besides.
fn classes(answer: Answer, asked: &Asked<'_>) -> Answer {
    let known = asked.live.and_then(|it| it.ingress_classes.as_ref().ok());
    match known.filter(|it| !it.is_empty()) {
        Some(names) => answer.note(format!(
            "ingress classes of the cluster: {}",
            names.join(", ")
        )),
        None => answer,
    }
}

/// Whether the API gateway is inside the VNet.
pub(super) fn api_management(asked: &Asked<'_>) -> Answer {
    let Some(instances) = asked.azure.given(InputFile::ApiManagement) else {
        return asked.without(InputFile::ApiManagement);
    };
    if instances.is_empty() {
        return Answer::pass("there is no API Management, so the question does not arise");
    }
    let vnets = asked.azure.near_vnets();
    // Each by itself: which one is listed first makes no difference.
    let (mut inside, mut near, mut elsewhere, mut not_seen) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for instance in instances {
        let name = instance.get("name").text().unwrap_or_default();
        let kind = instance.get("virtualNetworkType").text().unwrap_or("None");
        let subnet = instance
            .get("virtualNetworkConfiguration")
            .get("subnetResourceId")
            .text()
            .unwrap_or_default();
        let is_near = vnets.iter().any(|it| is_within(subnet, it));
        if !is_same(kind, "Internal") {
            let what = format!("its virtualNetworkType is {kind}, not Internal");
            let of_whom = if is_near { &mut near } else { &mut elsewhere };
            of_whom.push(Seen::of(name, what));
        } else if is_near {
            inside.push((name, last_name(subnet)));
        } else if asked.azure.vnet().is_none() {
            not_seen.push(name);
        } else {
            let what =
                format!("is inside a VNet that is not the cluster's nor peered with it: {subnet}");
            elsewhere.push(Seen::of(name, what));
        }
    }
    if near.is_empty() {
        if let Some((name, subnet)) = inside.first() {
            let answer = Answer::pass(Seen::of(
                *name,
                format!("is inside, in the subnet {subnet}"),
            ));
            let others = elsewhere.iter().filter_map(|it| it.resource.as_deref());
            let others: Vec<&str> = others.chain(not_seen).collect();
            return if others.is_empty() {
                answer
            } else {
                answer.note(format!(
                    "whether others serve this cluster was not seen: {}",
                    others.join(", ")
                ))
            };
        }
        if let Some(name) = not_seen.first() {
            let seen = format!(
                "{name} is inside a VNet, and whether that is the cluster's, or peered with it, was not seen"
            );
            return Answer::unknown(seen, InputFile::Vnet);
        }
        near = elsewhere;
    }
    Answer::fail_each(near, "")
        .mend("# it takes a while, and not every tier can do it")
        .mend(
            "az resource update --ids <its id> --set properties.virtualNetworkType=Internal \
             properties.virtualNetworkConfiguration.subnetResourceId=<id of a subnet>",
        )
}

#[cfg(test)]
mod tests;
