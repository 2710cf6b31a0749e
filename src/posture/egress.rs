//! The way out: the cluster's outbound type, and the routes behind it.

use ipnet::IpNet;

use super::azure::{Subnet, is_same, last_name};
use super::check::{Answer, Seen};
use super::field::Field;
use super::{Asked, InputFile};
use crate::policy::without;

const EVERYWHERE: &str = "0.0.0.0/0";
/// What is longer than this is a part of the internet that somebody may have meant; what is shorter is most of it.
const MOST: u8 = 8;

/// Whether egress leaves through a firewall.
pub(super) fn firewall(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return asked.without(InputFile::Cluster);
    };
    let outbound = cluster.get("networkProfile").get("outboundType").text();
    let Some(outbound) = outbound else {
        let seen = "the file says nothing of networkProfile.outboundType";
        return Answer::unknown(seen, InputFile::Cluster);
    };
    match outbound.to_ascii_lowercase().as_str() {
        "userdefinedrouting" => mended(routed(asked), asked),
        "block" => Answer::pass("outboundType is block: nothing leaves"),
        "none" => isolated(asked),
        "loadbalancer" | "managednatgateway" | "userassignednatgateway" => {
            let seen = format!("outboundType is {outbound}: pods reach any address");
            mended(Answer::fail(seen), asked)
        }
        _ => {
            let seen = format!("outboundType is {outbound}, of which nothing is known here");
            Answer::unknown(seen, InputFile::Cluster)
        }
    }
}

fn mended(answer: Answer, asked: &Asked<'_>) -> Answer {
    let names = asked.azure.names();
    let (group, vnet, cluster) = (&names.network_group, &names.vnet, &names.cluster);
    if asked.azure.is_managed_vnet() {
        return answer
            .mend("# by Microsoft's table of outbound types a VNet that AKS manages takes no firewall: a new cluster in a VNet of your own does")
            .mend("az aks create … --vnet-subnet-id <id of a subnet> --outbound-type userDefinedRouting");
    }
    answer
        .mend("# changes the address that egress has, and cuts connections: let the firewall's address into what filters by it first")
        .mend("# let the firewall's FQDN tag AzureKubernetesService through first")
        .mend(format!(
            "az network route-table route create -g {group} --route-table-name <route table> -n default --address-prefix {EVERYWHERE} \
             --next-hop-type VirtualAppliance --next-hop-ip-address <firewall>"
        ))
        .mend(format!("az network vnet subnet update -g {group} --vnet-name {vnet} -n <subnet of a pool> --route-table <route table>"))
        .mend(format!("az aks update {cluster} --outbound-type userDefinedRouting"))
}

/// What was seen of several subnets.
#[derive(Default)]
struct Subnets {
    failing: Vec<Seen>,
    /// What was not seen of one of them, and what would tell.
    unseen: Option<(String, InputFile)>,
    notes: Vec<String>,
}

impl Subnets {
    /// The answer, where all is well that nothing is said of.
    fn answer(self, well: &str) -> Answer {
        let answer = match self.unseen {
            Some((seen, file)) if self.failing.is_empty() => Answer::unknown(seen, file),
            _ => Answer::fail_each(self.failing, well),
        };
        self.notes.into_iter().fold(answer, Answer::note)
    }

    fn not_seen(&mut self, seen: String, file: InputFile) {
        self.unseen.get_or_insert((seen, file));
    }
}

/// With routes of one's own: where what leaves each pool's subnet goes.
fn routed(asked: &Asked<'_>) -> Answer {
    const SEEN: &str = "outboundType is userDefinedRouting";
    let azure = &asked.azure;
    let ids = azure.pool_subnets();
    if ids.is_empty() {
        let seen =
            format!("{SEEN}, and the file names no subnet of a pool, whose routes these are");
        return Answer::unknown(seen, InputFile::Cluster);
    }
    let mut subnets = Subnets::default();
    for id in ids {
        let name = last_name(id);
        match of_subnet(asked, id) {
            Table::Found(table) => {
                let way = Way::of(table);
                subnets.notes.extend(way.notes(name));
                if let Some(what) = way.past_the_firewall() {
                    subnets.failing.push(Seen::of(name, what));
                }
            }
            Table::None => subnets.failing.push(Seen::of(name, "has no route table")),
            Table::NotSeen(seen, file) => subnets.not_seen(format!("{SEEN}, and {seen}"), file),
        }
    }
    subnets.answer(&format!(
        "{SEEN}, and the default route of each pool's subnet goes to an appliance"
    ))
}

/// Where a route table sends what is for the internet.
struct Way<'a> {
    table: &'a str,
    /// Where the default route goes, in lower case; None where there is none.
    default: Option<String>,
    /// Ranges for which an appliance or a gateway is next.
    guarded: Vec<IpNet>,
    /// Ranges that go to the internet right away.
    past: Vec<IpNet>,
    /// The same, of which only names are known.
    past_by_name: Vec<&'a str>,
    is_by_gateway: bool,
}

impl<'a> Way<'a> {
    fn of(table: &Field<'a>) -> Self {
        let mut way = Self {
            table: table.get("name").text().unwrap_or_default(),
            default: None,
            guarded: Vec::new(),
            past: Vec::new(),
            past_by_name: Vec::new(),
            is_by_gateway: false,
        };
        for route in table.get("routes").items() {
            let hop = route.get("nextHopType").text().unwrap_or_default();
            let hop = hop.to_ascii_lowercase();
            let prefix = route.get("addressPrefix").text().unwrap_or_default();
            let range = prefix.parse::<IpNet>().ok().map(|it| it.trunc());
            if prefix == EVERYWHERE && way.default.is_none() {
                way.default = Some(hop.clone());
            }
            match (hop.as_str(), range) {
                ("virtualappliance" | "virtualapplianceecmp", Some(range)) => {
                    way.guarded.push(range);
                }
                ("virtualnetworkgateway", Some(range)) => {
                    way.is_by_gateway |= range.prefix_len() <= MOST;
                    way.guarded.push(range);
                }
                ("internet", Some(range)) => way.past.push(range),
                // Names of services stand for ranges of theirs.
                ("internet", None) => way.past_by_name.push(prefix),
                _ => {}
            }
        }
        way
    }

    /// What goes past the firewall; None where nothing does but what somebody named.
    fn past_the_firewall(&self) -> Option<String> {
        let table = self.table;
        // The longest prefix decides, so what has a shorter one than all that is guarded goes nowhere.
        let past = self.past.iter().filter(|past| {
            let longer = self.guarded.iter().filter(|it| past.contains(*it));
            let longer: Vec<IpNet> = longer.copied().filter(|it| it != *past).collect();
            !without(&[**past], &longer).is_empty()
        });
        let past: Vec<IpNet> = past.copied().collect();
        let past = IpNet::aggregate(&past);
        if let Some(range) = past.iter().find(|it| it.prefix_len() < MOST) {
            return Some(format!(
                "its route table {table} sends {range} to the internet"
            ));
        }
        let everywhere: Vec<IpNet> = EVERYWHERE.parse::<IpNet>().into_iter().collect();
        if without(&everywhere, &self.guarded).is_empty() {
            return None;
        }
        Some(match &self.default {
            Some(hop) => format!("its default route, in {table}, goes to {hop}"),
            None => format!("its route table {table} has no route for {EVERYWHERE}"),
        })
    }

    /// Whether nothing leaves that somebody did not name.
    fn is_closed(&self) -> bool {
        self.default.as_deref() == Some("none") && self.past.is_empty()
    }

    fn notes(&self, subnet: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_by_gateway {
            notes.push(format!(
                "the default route of {subnet} goes to a gateway: the firewall has to stand behind it"
            ));
        }
        let past = self.past.iter().filter(|it| it.prefix_len() >= MOST);
        let past = past.map(ToString::to_string);
        let named = self.past_by_name.iter().map(|it| (*it).to_owned());
        let past: Vec<String> = past.chain(named).collect();
        if !past.is_empty() {
            notes.push(format!(
                "what {subnet} sends to {} goes past the firewall",
                past.join(", ")
            ));
        }
        notes
    }
}

/// The route table of a subnet.
enum Table<'t, 'a> {
    Found(&'t Field<'a>),
    None,
    /// What was not seen, and what would tell.
    NotSeen(String, InputFile),
}

fn of_subnet<'t, 'a>(asked: &'t Asked<'a>, id: &str) -> Table<'t, 'a> {
    let azure = &asked.azure;
    let tables = azure.given(InputFile::RouteTables);
    let name = last_name(id);
    if let Some(subnet) = azure.subnet(id) {
        let Some(wanted) = subnet.route_table else {
            return Table::None;
        };
        let is_it = |it: &&Field<'_>| it.get("id").text().is_some_and(|it| is_same(it, wanted));
        let found = tables.unwrap_or_default().iter().find(is_it);
        return found.map_or_else(
            || {
                let table = last_name(wanted);
                let seen = format!(
                    "the subnet {name} has the route table {table}, which is not among those given"
                );
                Table::NotSeen(seen, InputFile::RouteTables)
            },
            Table::Found,
        );
    }
    let Some(tables) = tables else {
        let seen = format!("the routes of the subnet {name} were not seen");
        return Table::NotSeen(seen, InputFile::RouteTables);
    };
    let names = |it: &&Field<'_>| {
        let subnets = it.get("subnets").items();
        let mut ids = subnets.iter().filter_map(|it| it.get("id").text());
        ids.any(|it| is_same(it, id))
    };
    tables.iter().find(names).map_or_else(
        || {
            let seen = format!("no route table names the subnet {name}");
            Table::NotSeen(seen, InputFile::Vnet)
        },
        Table::Found,
    )
}

/// Without any outbound type of AKS: whether the subnets have a way out of their own that no firewall guards.
fn isolated(asked: &Asked<'_>) -> Answer {
    const SEEN: &str = "outboundType is none";
    if asked.azure.vnet().is_none() {
        let seen = "outboundType is none, which leaves the way out to the subnets";
        return Answer::unknown(seen, InputFile::Vnet);
    }
    let mut subnets = Subnets::default();
    let (found, missing) = asked.azure.node_subnets();
    if found.is_empty() {
        let seen = format!("{SEEN}, and no subnet of a pool was seen");
        subnets.not_seen(seen, InputFile::Vnet);
    }
    for id in missing {
        let seen = format!(
            "{SEEN}, and the VNet's file does not list the subnet {}",
            last_name(id)
        );
        subnets.not_seen(seen, InputFile::Vnet);
    }
    for subnet in &found {
        by_itself(asked, subnet, &mut subnets);
    }
    let pools = asked.azure.pools();
    let public = pools.iter().filter(|it| it.has_public_addresses);
    let public = public.map(|it| Seen::of(it.name, "has nodes with public addresses"));
    subnets.failing.extend(public);
    let names = asked.azure.names();
    let (group, vnet) = (&names.network_group, &names.vnet);
    subnets
        .answer("outboundType is none, and no subnet of a pool has a way out that no firewall guards")
        .mend("# the cluster has to get by without the internet then: see Microsoft's page on network isolated clusters")
        .mend(format!(
            "az network vnet subnet update -g {group} --vnet-name {vnet} -n <subnet of a pool> --default-outbound-access false"
        ))
        .mend(format!(
            "az network vnet subnet update -g {group} --vnet-name {vnet} -n <subnet of a pool> --remove natGateway"
        ))
        .mend("# nodes with public addresses: a new pool without --enable-node-public-ip takes their place")
}

/// What a subnet has as a way out where AKS makes none. A route comes before a NAT gateway, and that before Azure's own.
fn by_itself(asked: &Asked<'_>, subnet: &Subnet<'_>, subnets: &mut Subnets) {
    let own = match (subnet.nat_gateway, subnet.default_outbound) {
        (Some(gateway), _) => format!("leaves through the NAT gateway {}", last_name(gateway)),
        (None, Some(false)) => return,
        (None, _) => "has Azure's default outbound access".to_owned(),
    };
    match of_subnet(asked, subnet.id) {
        Table::Found(table) => {
            let way = Way::of(table);
            match way.past_the_firewall().filter(|_| !way.is_closed()) {
                Some(_) => subnets.failing.push(Seen::of(subnet.name, own)),
                None => subnets.notes.extend(way.notes(subnet.name)),
            }
        }
        Table::None => subnets.failing.push(Seen::of(subnet.name, own)),
        Table::NotSeen(seen, file) => subnets.not_seen(seen, file),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, POOL_SUBNET, VNET, cluster, vnet};
    use super::super::{Outcome, Question};
    use super::*;

    const ASKED: Question = Question::EgressFirewall;

    fn outbound(kind: &Value) -> Value {
        cluster(json!({"networkProfile": {"outboundType": kind}}))
    }

    fn table(hop: &str) -> Value {
        routes(&[(EVERYWHERE, hop)])
    }

    fn routes(routes: &[(&str, &str)]) -> Value {
        let routes = routes.iter();
        let routes =
            routes.map(|(prefix, hop)| json!({"addressPrefix": prefix, "nextHopType": hop}));
        let routes: Vec<Value> = routes.collect();
        json!([{"id": "/rt", "name": "rt", "type": "Microsoft.Network/routeTables",
            "subnets": [{"id": POOL_SUBNET}], "routes": routes}])
    }

    #[rstest]
    #[case(json!("loadBalancer"), Outcome::Fail)]
    #[case(json!("managedNATGateway"), Outcome::Fail)]
    #[case(json!("userAssignedNATGateway"), Outcome::Fail)]
    #[case::routes_not_seen(json!("userDefinedRouting"), Outcome::Unknown)]
    #[case(json!("block"), Outcome::Pass)]
    #[case(json!("none"), Outcome::Unknown)]
    #[case(json!("teleport"), Outcome::Unknown)]
    #[case(json!(null), Outcome::Unknown)]
    fn the_outbound_type_decides(#[case] kind: Value, #[case] expected: Outcome) {
        let check = Given::default()
            .file(InputFile::Cluster, outbound(&kind))
            .ask(ASKED);
        assert_eq!(check.outcome, expected, "{check:?}");
    }

    #[rstest]
    #[case("VirtualAppliance", Outcome::Pass)]
    #[case("VirtualNetworkGateway", Outcome::Pass)]
    #[case("Internet", Outcome::Fail)]
    #[case("None", Outcome::Fail)]
    fn the_default_route_decides(#[case] hop: &str, #[case] expected: Outcome) {
        let given = Given::default()
            .file(InputFile::Cluster, outbound(&json!("userDefinedRouting")))
            .file(InputFile::RouteTables, table(hop));
        assert_eq!(given.ask(ASKED).outcome, expected);
    }

    #[rstest]
    #[case::halves_past_it(&[(EVERYWHERE, "VirtualAppliance"), ("0.0.0.0/1", "Internet"), ("128.0.0.0/1", "Internet")], Outcome::Fail, 0)]
    #[case::half_past_it(&[(EVERYWHERE, "VirtualAppliance"), ("128.0.0.0/1", "Internet")], Outcome::Fail, 0)]
    #[case::halves_to_it(&[("0.0.0.0/1", "VirtualAppliance"), ("128.0.0.0/1", "VirtualAppliance")], Outcome::Pass, 0)]
    #[case::of_the_firewall(&[(EVERYWHERE, "VirtualAppliance"), ("203.0.113.7/32", "Internet")], Outcome::Pass, 1)]
    #[case::by_name(&[(EVERYWHERE, "VirtualAppliance"), ("AzureCloud", "Internet")], Outcome::Pass, 1)]
    #[case::outranked(&[("0.0.0.0/1", "VirtualAppliance"), ("128.0.0.0/1", "VirtualAppliance"), (EVERYWHERE, "Internet")], Outcome::Pass, 0)]
    fn longer_prefixes_outrank_the_default_route(
        #[case] given: &[(&str, &str)],
        #[case] expected: Outcome,
        #[case] notes: usize,
    ) {
        let given = Given::default()
            .file(InputFile::Cluster, outbound(&json!("userDefinedRouting")))
            .file(InputFile::RouteTables, routes(given));
        let check = given.ask(ASKED);
        assert_eq!(
            (check.outcome, check.notes.len()),
            (expected, notes),
            "{check:?}"
        );
    }

    /// A VNet says without any route table that a subnet has none.
    #[test]
    fn a_subnet_without_a_route_table_is_seen_in_the_vnet() {
        let given = Given::default()
            .file(InputFile::Cluster, outbound(&json!("userDefinedRouting")))
            .file(
                InputFile::Vnet,
                vnet(json!({"subnets": [{"id": POOL_SUBNET}]})),
            );
        let check = given.ask(ASKED);
        assert_eq!(check.seen, [Seen::of("nodes", "has no route table")]);
        let with = json!({"subnets": [{"id": POOL_SUBNET, "routeTable": {"id": "/rt"}}]});
        let given = Given::default()
            .file(InputFile::Cluster, outbound(&json!("userDefinedRouting")))
            .file(InputFile::Vnet, vnet(with));
        assert_eq!(given.ask(ASKED).tells, [InputFile::RouteTables.to_string()]);
    }

    #[test]
    fn without_subnets_of_pools_nothing_was_seen() {
        let fields = json!({"networkProfile": {"outboundType": "userDefinedRouting"}, "agentPoolProfiles": [{"name": "a"}]});
        let given = Given::default()
            .file(InputFile::Cluster, cluster(fields))
            .file(InputFile::RouteTables, table("VirtualAppliance"));
        assert_eq!(given.ask(ASKED).outcome, Outcome::Unknown);
    }

    #[test]
    fn pods_leave_by_the_subnet_of_pods() {
        let fields = json!({"networkProfile": {"outboundType": "userDefinedRouting"},
            "agentPoolProfiles": [{"name": "a", "vnetSubnetId": POOL_SUBNET, "podSubnetId": format!("{VNET}/subnets/pods")}]});
        let subnets = json!([{"id": POOL_SUBNET, "routeTable": {"id": "/rt"}}, {"id": format!("{VNET}/subnets/pods")}]);
        let given = Given::default()
            .file(InputFile::Cluster, cluster(fields))
            .file(InputFile::RouteTables, table("VirtualAppliance"))
            .file(InputFile::Vnet, vnet(json!({ "subnets": subnets })));
        assert_eq!(
            given.ask(ASKED).seen,
            [Seen::of("pods", "has no route table")]
        );
    }

    #[test]
    fn the_vnet_says_which_table_a_subnet_has() {
        let given = |subnet: Value| {
            Given::default()
                .file(InputFile::Cluster, outbound(&json!("userDefinedRouting")))
                .file(InputFile::RouteTables, table("VirtualAppliance"))
                .file(InputFile::Vnet, vnet(json!({"subnets": [subnet]})))
                .ask(ASKED)
        };
        let with = json!({"id": POOL_SUBNET, "routeTable": {"id": "/RT"}});
        assert_eq!(given(with).outcome, Outcome::Pass);
        let without = given(json!({"id": POOL_SUBNET}));
        assert_eq!(without.outcome, Outcome::Fail);
        assert_eq!(without.seen, [Seen::of("nodes", "has no route table")]);
        let other = given(json!({"id": POOL_SUBNET, "routeTable": {"id": "/other"}}));
        assert_eq!(other.outcome, Outcome::Unknown);
        assert!(
            other.tells[0].starts_with("--route-tables FILE"),
            "{other:?}"
        );
    }

    #[rstest]
    #[case(json!({"defaultOutboundAccess": false}), Outcome::Pass)]
    #[case(json!({"defaultOutboundAccess": true}), Outcome::Fail)]
    #[case(json!({"defaultOutboundAccess": null}), Outcome::Fail)]
    #[case::gateway(json!({"defaultOutboundAccess": false, "natGateway": {"id": "/nat"}}), Outcome::Fail)]
    #[case::routed(json!({"defaultOutboundAccess": true, "routeTable": {"id": "/rt"}}), Outcome::Pass)]
    #[case::routed_before_the_gateway(json!({"natGateway": {"id": "/nat"}, "routeTable": {"id": "/rt"}}), Outcome::Pass)]
    #[case::table_not_given(json!({"defaultOutboundAccess": true, "routeTable": {"id": "/other"}}), Outcome::Unknown)]
    #[case::not_in_the_file(json!({"id": "/another", "defaultOutboundAccess": false}), Outcome::Unknown)]
    fn without_a_way_of_aks_the_subnets_decide(#[case] fields: Value, #[case] expected: Outcome) {
        let mut subnet = json!({"id": POOL_SUBNET});
        subnet
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let given = Given::default()
            .file(InputFile::Cluster, outbound(&json!("none")))
            .file(InputFile::RouteTables, table("VirtualAppliance"))
            .file(InputFile::Vnet, vnet(json!({"subnets": [subnet]})));
        let check = given.ask(ASKED);
        assert_eq!(check.outcome, expected, "{check:?}");
        let mended = check.mend.join("\n");
        assert!(
            !mended.contains("outbound-type userDefinedRouting"),
            "{mended}"
        );
    }

    #[test]
    fn nodes_with_public_addresses_have_a_way_out() {
        let fields = json!({"networkProfile": {"outboundType": "none"},
            "agentPoolProfiles": [{"name": "a", "vnetSubnetId": POOL_SUBNET, "enableNodePublicIp": true}]});
        let subnet = json!({"id": POOL_SUBNET, "defaultOutboundAccess": false});
        let given = Given::default()
            .file(InputFile::Cluster, cluster(fields))
            .file(InputFile::Vnet, vnet(json!({"subnets": [subnet]})));
        assert_eq!(given.ask(ASKED).outcome, Outcome::Fail);
    }

    #[test]
    fn without_a_file_it_is_unknown_which_one_would_tell() {
        let check = Given::default().ask(ASKED);
        assert_eq!(check.outcome, Outcome::Unknown);
        assert_eq!(check.tells, [InputFile::Cluster.to_string()]);
    }
}
