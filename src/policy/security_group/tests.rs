use proptest::prelude::*;

use super::*;

fn prefix(text: &str) -> AddressPrefix {
    match text {
        "*" => AddressPrefix::Any,
        _ => text.parse().map_or_else(
            |_| AddressPrefix::Tag(text.to_owned()),
            AddressPrefix::Range,
        ),
    }
}

fn rule(
    name: &str,
    priority: u16,
    access: Access,
    (source, destination): (&str, &str),
    ports: &[RangeInclusive<u16>],
) -> SecurityRule {
    SecurityRule {
        name: name.to_owned(),
        priority,
        direction: Direction::Inbound,
        access,
        protocol: if ports.is_empty() {
            Protocol::Any
        } else {
            Protocol::Tcp
        },
        sources: vec![prefix(source)],
        source_ports: vec![],
        destinations: vec![prefix(destination)],
        destination_ports: ports.to_vec(),
    }
}

fn flow(source: &str, destination: &str, port: u16) -> Flow {
    Flow {
        source: source.parse().unwrap(),
        source_port: 40000,
        destination: destination.parse().unwrap(),
        destination_port: port,
        protocol: Protocol::Tcp,
    }
}

fn tags() -> ServiceTags {
    ServiceTags {
        virtual_network: vec!["10.0.0.0/8".parse().unwrap()],
        others: BTreeMap::from([(
            "AzureCloud.westeurope".to_owned(),
            vec!["20.50.0.0/16".parse().unwrap()],
        )]),
    }
}

/// As the article on security groups beside Calico has it: one group for the subnet of one tenant.
fn tenant() -> SecurityGroup {
    let subnet = "10.240.1.0/24";
    SecurityGroup {
        name: "tenant1".to_owned(),
        rules: vec![
            rule("deny-all", 4096, Access::Deny, ("*", "*"), &[]),
            rule("system", 100, Access::Allow, ("10.240.0.0/24", subnet), &[]),
            rule("inside", 200, Access::Allow, (subnet, subnet), &[]),
            rule(
                "load-balancer",
                300,
                Access::Allow,
                ("AzureLoadBalancer", "*"),
                &[],
            ),
            rule(
                "kubelet",
                400,
                Access::Allow,
                ("VirtualNetwork", subnet),
                &[10250..=10250],
            ),
        ],
    }
}

fn inbound(group: &SecurityGroup, source: &str, destination: &str, port: u16) -> String {
    let decided = group.decide(
        Direction::Inbound,
        &flow(source, destination, port),
        &tags(),
    );
    decided.map_or_else(|it| it.to_string(), |it| format!("{:?} {it}", it.access))
}

#[test]
fn a_tenants_subnet_takes_in_what_the_article_lists_and_nothing_else() {
    let group = tenant();
    assert_eq!(group.validate(), []);
    let to = "10.240.1.4";
    for (source, port, expected) in [
        ("10.240.0.9", 8080, "Allow system (100)"),
        ("10.240.1.7", 8080, "Allow inside (200)"),
        ("168.63.129.16", 8080, "Allow load-balancer (300)"),
        ("10.240.2.7", 10250, "Allow kubelet (400)"),
        ("10.240.2.7", 8080, "Deny deny-all (4096)"),
        ("20.50.1.1", 8080, "Deny deny-all (4096)"),
    ] {
        assert_eq!(
            inbound(&group, source, to, port),
            expected,
            "{source}:{port}"
        );
    }
}

#[test]
fn without_rules_of_its_own_the_virtual_network_is_open() {
    let group = SecurityGroup::default();
    for (source, expected) in [
        ("10.240.2.7", "Allow AllowVnetInBound (65000)"),
        ("168.63.129.16", "Allow AllowVnetInBound (65000)"),
        ("20.50.1.1", "Deny DenyAllInBound (65500)"),
    ] {
        assert_eq!(
            inbound(&group, source, "10.240.1.4", 80),
            expected,
            "{source}"
        );
    }
    // A load balancer's address outside the virtual network, as with a public one.
    let probed = inbound(&group, "168.63.129.16", "20.1.1.1", 80);
    assert_eq!(probed, "Allow AllowAzureLoadBalancerInBound (65001)");
    let out = |destination: &str| {
        let flow = flow("10.240.1.4", destination, 443);
        let tags = tags();
        let decided = group.decide(Direction::Outbound, &flow, &tags).unwrap();
        decided.to_string()
    };
    assert_eq!(out("10.240.2.7"), "AllowVnetOutBound (65000)");
    assert_eq!(out("20.50.1.1"), "AllowInternetOutBound (65001)");
}

#[test]
fn rules_of_the_other_direction_say_nothing() {
    let mut group = tenant();
    for rule in &mut group.rules {
        rule.direction = Direction::Outbound;
    }
    let decided = inbound(&group, "10.240.2.7", "10.240.1.4", 80);
    assert_eq!(decided, "Allow AllowVnetInBound (65000)");
}

#[test]
fn protocols_and_ports_are_both_looked_at() {
    let mut group = tenant();
    group.rules.retain(|it| it.name != "deny-all");
    group.rules.push(rule(
        "no-web",
        150,
        Access::Deny,
        ("*", "*"),
        &[80..=90, 443..=443],
    ));
    let decide = |protocol: Protocol, port: u16| {
        let flow = Flow {
            protocol,
            ..flow("10.240.2.7", "10.240.1.4", port)
        };
        let tags = tags();
        let decided = group.decide(Direction::Inbound, &flow, &tags).unwrap();
        decided.rule.to_owned()
    };
    for (protocol, port, expected) in [
        (Protocol::Tcp, 79, "AllowVnetInBound"),
        (Protocol::Tcp, 80, "no-web"),
        (Protocol::Tcp, 90, "no-web"),
        (Protocol::Tcp, 91, "AllowVnetInBound"),
        (Protocol::Tcp, 443, "no-web"),
        (Protocol::Udp, 443, "AllowVnetInBound"),
        (Protocol::Any, 443, "AllowVnetInBound"),
    ] {
        assert_eq!(decide(protocol, port), expected, "{protocol:?} {port}");
    }
}

#[test]
fn a_tag_that_nobody_knows_is_told_where_it_may_decide() {
    let mut group = tenant();
    group
        .rules
        .push(rule("storage", 350, Access::Allow, ("Storage", "*"), &[]));
    let unknown = "the addresses of service tag Storage are not known";
    assert_eq!(inbound(&group, "20.60.1.1", "10.240.1.4", 80), unknown);
    // What comes before it decides without it.
    assert_eq!(
        inbound(&group, "10.240.1.7", "10.240.1.4", 80),
        "Allow inside (200)"
    );
    // So does another end of the same rule.
    let storage = group.rules.last_mut().unwrap();
    storage.sources.push(prefix("20.60.0.0/16"));
    assert_eq!(
        inbound(&group, "20.60.1.1", "10.240.1.4", 80),
        "Allow storage (350)"
    );
    storage_goes_elsewhere(&mut group);
    assert_eq!(
        inbound(&group, "20.60.1.1", "10.240.1.4", 80),
        "Deny deny-all (4096)"
    );
}

fn storage_goes_elsewhere(group: &mut SecurityGroup) {
    let storage = group.rules.last_mut().unwrap();
    storage.destinations = vec![prefix("10.99.0.0/16")];
}

#[test]
fn tags_are_read_without_case() {
    let tags = tags();
    let address = "20.50.1.1".parse().unwrap();
    assert_eq!(tags.contain("azurecloud.WestEurope", address), Ok(true));
    assert_eq!(tags.contain("internet", address), Ok(true));
    assert_eq!(tags.contain("VIRTUALNETWORK", address), Ok(false));
}

#[test]
fn what_azure_would_refuse_is_found() {
    let mut group = tenant();
    group
        .rules
        .push(rule("System", 100, Access::Allow, ("*", "*"), &[]));
    let mut odd = rule("odd", 99, Access::Allow, ("*", "*"), &[1..=1]);
    odd.protocol = Protocol::Icmp;
    odd.sources.push(prefix("10.0.0.0/8"));
    odd.destinations.clear();
    group.rules.push(odd);
    let told: Vec<_> = group.validate().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "two rules are called System",
            "rules system and System have priority 100 in the same direction",
            "rule odd: priority 99 must be from 100 to 4096",
            "rule odd names * beside other addresses",
            "rule odd names no source or no destination",
            "rule odd names ports, but its protocol has none",
        ]
    );
    let mut mixed = rule("mixed", 200, Access::Allow, ("10.0.0.0/8", "fd00::/8"), &[]);
    mixed.sources.push(prefix("10.64.0.0/10"));
    mixed.sources.push(prefix("10.2.0.0/16"));
    let group = SecurityGroup {
        name: "mixed".to_owned(),
        rules: vec![mixed],
    };
    let told: Vec<_> = group.validate().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "rule mixed names 10.2.0.0/16 beside 10.0.0.0/8, which holds it",
            "rule mixed names addresses of IPv4 and of IPv6",
        ]
    );
    let many = (100..1101).map(|it| rule(&format!("r{it}"), it, Access::Deny, ("*", "*"), &[]));
    let group = SecurityGroup {
        name: "large".to_owned(),
        rules: many.collect(),
    };
    let told = group.validate();
    assert_eq!(told, [SecurityGroupFault::TooManyRules(1001)]);
}

prop_compose! {
    fn any_rule()(
        priority in PRIORITIES,
        allows in any::<bool>(),
        (source, source_length) in (any::<u32>(), 0_u8..=32),
        (destination, destination_length) in (any::<u32>(), 0_u8..=32),
        ports in prop::option::of((any::<u16>(), any::<u16>())),
    ) -> SecurityRule {
        let range = |address: u32, length: u8| {
            let net = ipnet::Ipv4Net::new(address.into(), length).unwrap().trunc();
            vec![AddressPrefix::Range(IpNet::V4(net))]
        };
        SecurityRule {
            name: format!("r{priority}"),
            priority,
            direction: Direction::Inbound,
            access: if allows { Access::Allow } else { Access::Deny },
            protocol: Protocol::Tcp,
            sources: range(source, source_length),
            source_ports: vec![],
            destinations: range(destination, destination_length),
            destination_ports: ports.map(|(one, other)| one.min(other)..=one.max(other)).into_iter().collect(),
        }
    }
}

proptest! {
    /// Azure knows no order but that of the priorities; and the first that matches decides, so that none before it does.
    #[test]
    fn the_first_by_priority_decides_whatever_the_order_of_the_list(
        mut rules in prop::collection::vec(any_rule(), 0..20),
        (source, destination, port) in (any::<u32>(), any::<u32>(), any::<u16>()),
    ) {
        rules.sort_by_key(|it| it.priority);
        rules.dedup_by_key(|it| it.priority);
        let tags = tags();
        let flow = Flow {
            source: IpAddr::V4(source.into()),
            source_port: 1,
            destination: IpAddr::V4(destination.into()),
            destination_port: port,
            protocol: Protocol::Tcp,
        };
        let sorted = SecurityGroup { name: String::new(), rules: rules.clone() };
        let decided = sorted.decide(Direction::Inbound, &flow, &tags).unwrap();
        // By hand: each rule alone, in order.
        let holds = |end: &[AddressPrefix], address: IpAddr| {
            end.iter().any(|it| matches!(it, AddressPrefix::Range(range) if range.contains(&address)))
        };
        let expected = rules.iter().find(|it| {
            holds(&it.sources, flow.source)
                && holds(&it.destinations, flow.destination)
                && (it.destination_ports.is_empty() || it.destination_ports.iter().any(|it| it.contains(&port)))
        });
        match expected {
            Some(rule) => prop_assert_eq!((decided.rule, decided.access), (rule.name.as_str(), rule.access)),
            None => prop_assert!(decided.priority >= 65000),
        }
        rules.reverse();
        let reversed = SecurityGroup { name: String::new(), rules };
        prop_assert_eq!(reversed.decide(Direction::Inbound, &flow, &tags).unwrap(), decided);
    }
}
