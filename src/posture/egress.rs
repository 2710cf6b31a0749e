//! The way out: the cluster's outbound type, and the routes behind it.

use super::azure::{Subnet, is_same, last_name};
use super::check::{Answer, Seen};
use super::field::Field;
use super::{Asked, InputFile};

const EVERYWHERE: &str = "0.0.0.0/0";

/// Whether egress leaves through a firewall.
pub(super) fn firewall(asked: &Asked<'_>) -> Answer {
    let Some(cluster) = asked.azure.cluster() else {
        return Answer::without(InputFile::Cluster);
    };
    let outbound = cluster.get("networkProfile").get("outboundType").text();
    let Some(outbound) = outbound else {
        let seen = "the file says nothing of networkProfile.outboundType";
        return Answer::unknown(seen, InputFile::Cluster);
    };
    let answer = match outbound.to_ascii_lowercase().as_str() {
        "userdefinedrouting" => routed(asked),
        "block" => Answer::pass("outboundType is block: nothing leaves"),
        "none" => isolated(asked),
        "loadbalancer" | "managednatgateway" | "userassignednatgateway" => Answer::fail(format!(
            "outboundType is {outbound}: pods reach any address"
        )),
        _ => {
            let seen = format!("outboundType is {outbound}, of which nothing is known here");
            return Answer::unknown(seen, InputFile::Cluster);
        }
    };
    mended(answer, asked)
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

/// With routes of one's own: where the default route of each pool's subnet goes.
fn routed(asked: &Asked<'_>) -> Answer {
    const SEEN: &str = "outboundType is userDefinedRouting";
    let azure = &asked.azure;
    let Some(tables) = azure.given(InputFile::RouteTables) else {
        return Answer::pass(SEEN).note(format!(
            "the default route was not seen: {} tells it",
            InputFile::RouteTables
        ));
    };
    let (mut failing, mut notes) = (Vec::new(), Vec::new());
    let subnets = azure.node_subnets();
    for id in azure.pool_subnets() {
        let subnet = subnets.iter().find(|it| is_same(it.id, id));
        let table = match of_subnet(tables, id, subnet) {
            Table::Found(table) => table,
            Table::None => {
                failing.push(Seen::of(last_name(id), "has no route table"));
                continue;
            }
            Table::NotGiven(name) => {
                let seen = format!(
                    "the subnet {} has the route table {name}, which is not among those given",
                    last_name(id)
                );
                return Answer::unknown(seen, InputFile::RouteTables);
            }
            Table::NotTold => {
                let seen = format!("no route table names the subnet {}", last_name(id));
                return Answer::unknown(seen, InputFile::Vnet);
            }
        };
        let routes = table.get("routes").items();
        let mut hops = routes
            .iter()
            .filter(|it| it.get("addressPrefix").text() == Some(EVERYWHERE))
            .filter_map(|it| it.get("nextHopType").text());
        let table = table.get("name").text().unwrap_or_default();
        match hops.next().map(str::to_ascii_lowercase).as_deref() {
            Some("virtualappliance" | "virtualapplianceecmp") => {}
            Some("virtualnetworkgateway") => notes.push(format!(
                "the default route of {} goes to a gateway: the firewall has to stand behind it",
                last_name(id)
            )),
            Some(hop) => failing.push(Seen::of(
                last_name(id),
                format!("its default route, in {table}, goes to {hop}"),
            )),
            None => failing.push(Seen::of(
                last_name(id),
                format!("its route table {table} has no route for {EVERYWHERE}"),
            )),
        }
    }
    let well = format!("{SEEN}, and the default route of each pool's subnet goes to an appliance");
    let answer = Answer::fail_each(failing, well.as_str());
    notes.into_iter().fold(answer, Answer::note)
}

/// The route table of a subnet.
enum Table<'t, 'a> {
    Found(&'t Field<'a>),
    None,
    /// It has one that nobody gave.
    NotGiven(&'a str),
    /// Nobody says whether it has one.
    NotTold,
}

fn of_subnet<'t, 'a>(
    tables: &'t [Field<'a>],
    id: &str,
    subnet: Option<&Subnet<'a>>,
) -> Table<'t, 'a> {
    if let Some(subnet) = subnet {
        let Some(wanted) = subnet.route_table else {
            return Table::None;
        };
        let is_it = |it: &&Field<'_>| it.get("id").text().is_some_and(|it| is_same(it, wanted));
        let found = tables.iter().find(is_it);
        return found.map_or(Table::NotGiven(last_name(wanted)), Table::Found);
    }
    let names = |it: &&Field<'_>| {
        let subnets = it.get("subnets").items();
        let mut ids = subnets.iter().filter_map(|it| it.get("id").text());
        ids.any(|it| is_same(it, id))
    };
    tables
        .iter()
        .find(names)
        .map_or(Table::NotTold, Table::Found)
}

/// Without any outbound type of AKS: whether the subnets have Azure's own way out.
fn isolated(asked: &Asked<'_>) -> Answer {
    if asked.azure.vnet().is_none() {
        let seen = "outboundType is none, which leaves the way out to the subnets";
        return Answer::unknown(seen, InputFile::Vnet);
    }
    let open = asked.azure.node_subnets();
    let open = open.iter().filter(|it| it.default_outbound != Some(false));
    let open = open.map(|it| Seen::of(it.name, "has Azure's default outbound access"));
    Answer::fail_each(
        open.collect(),
        "outboundType is none, and no subnet of a pool has default outbound access",
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::fixture::{Given, POOL_SUBNET, cluster, vnet};
    use super::super::{Outcome, Question};
    use super::*;

    const ASKED: Question = Question::EgressFirewall;

    fn outbound(kind: &Value) -> Value {
        cluster(json!({"networkProfile": {"outboundType": kind}}))
    }

    fn table(hop: &str) -> Value {
        json!([{"id": "/rt", "name": "rt", "type": "Microsoft.Network/routeTables",
            "subnets": [{"id": POOL_SUBNET}], "routes": [{"addressPrefix": EVERYWHERE, "nextHopType": hop}]}])
    }

    #[rstest]
    #[case(json!("loadBalancer"), Outcome::Fail)]
    #[case(json!("managedNATGateway"), Outcome::Fail)]
    #[case(json!("userAssignedNATGateway"), Outcome::Fail)]
    #[case(json!("userDefinedRouting"), Outcome::Pass)]
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
    #[case(json!(false), Outcome::Pass)]
    #[case(json!(true), Outcome::Fail)]
    #[case(json!(null), Outcome::Fail)]
    fn without_a_way_of_aks_the_subnets_decide(#[case] access: Value, #[case] expected: Outcome) {
        let subnet = json!({"id": POOL_SUBNET, "defaultOutboundAccess": access});
        let given = Given::default()
            .file(InputFile::Cluster, outbound(&json!("none")))
            .file(InputFile::Vnet, vnet(json!({"subnets": [subnet]})));
        assert_eq!(given.ask(ASKED).outcome, expected);
    }

    #[test]
    fn without_a_file_it_is_unknown_which_one_would_tell() {
        let check = Given::default().ask(ASKED);
        assert_eq!(check.outcome, Outcome::Unknown);
        assert_eq!(check.tells, [InputFile::Cluster.to_string()]);
    }
}
