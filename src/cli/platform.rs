//! What the operator and the command line are told about the cluster, by flag or environment.

use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;

use crate::domain::Platform;

/// What holds for the whole cluster. The operator and the command line take the same flags, so that
/// both render the same.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Platform")]
pub struct PlatformArgs {
    /// Range that pods get their addresses from; repeatable, or separated by commas
    #[arg(
        long = "pod-cidr",
        value_name = "CIDR",
        env = "LANDING_ZONE_OPERATOR_POD_CIDRS",
        value_delimiter = ',',
        value_parser = range
    )]
    pod_cidrs: Vec<Option<IpNet>>,

    /// Address or range of DNS caches on the nodes, besides the Service kube-system/kube-dns;
    /// repeatable, or separated by commas
    #[arg(
        long = "dns-address",
        value_name = "ADDRESS",
        env = "LANDING_ZONE_OPERATOR_DNS_ADDRESSES",
        value_delimiter = ',',
        value_parser = address_or_range
    )]
    dns_addresses: Vec<Option<IpNet>>,

    /// Cluster role that landing zones may hand out besides view, edit and admin; repeatable, or
    /// separated by commas
    #[arg(
        long = "allowed-role",
        value_name = "NAME",
        env = "LANDING_ZONE_OPERATOR_ALLOWED_ROLES",
        value_delimiter = ','
    )]
    allowed_roles: Vec<String>,
}

impl PlatformArgs {
    /// The built-in values with what was told.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let mut platform = Platform::default();
        platform.pod_cidrs.extend(self.pod_cidrs.iter().flatten());
        platform
            .dns_addresses
            .extend(self.dns_addresses.iter().flatten());
        let roles = self.allowed_roles.iter().map(|role| role.trim());
        platform
            .roles
            .extend(roles.filter(|role| !role.is_empty()).map(str::to_owned));
        platform
    }
}

/// A range of addresses; nothing where nothing stands, as in an empty environment variable.
fn range(text: &str) -> Result<Option<IpNet>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let range: IpNet = text
        .parse()
        .map_err(|_| "not a range of addresses like 10.244.0.0/16 or fd00::/48".to_owned())?;
    if range != range.trunc() {
        return Err(format!(
            "bits are set beyond the prefix: did you mean {}?",
            range.trunc()
        ));
    }
    Ok(Some(range))
}

fn address_or_range(text: &str) -> Result<Option<IpNet>, String> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(Some(address.into())),
        Err(_) => range(text).map_err(|_| {
            "not an address like 169.254.10.10, nor a range like 169.254.10.0/24".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        platform: PlatformArgs,
    }

    fn told(flags: &[&str]) -> Result<Platform, String> {
        Command::try_parse_from([&["command"], flags].concat())
            .map(|command| command.platform.platform())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_told_is_the_built_in_platform() {
        assert_eq!(told(&[]).unwrap(), Platform::default());
    }

    #[test]
    fn empty_values_are_nothing_told() {
        let flags = ["--pod-cidr=", "--dns-address=", "--allowed-role="];
        assert_eq!(told(&flags).unwrap(), Platform::default());
    }

    #[test]
    fn values_are_separated_by_commas_or_repeated() {
        let platform = told(&[
            "--pod-cidr=10.244.0.0/16,fd00::/48",
            "--dns-address=169.254.10.10",
            "--dns-address=169.254.20.0/24",
            "--allowed-role=deployer, operator",
        ])
        .unwrap();
        assert_eq!(
            platform.pod_cidrs,
            ["10.244.0.0/16", "fd00::/48"].map(|range| range.parse().unwrap())
        );
        assert_eq!(
            platform.dns_addresses,
            ["169.254.10.10/32", "169.254.20.0/24"].map(|range| range.parse().unwrap())
        );
        let roles: Vec<&str> = platform.roles.iter().map(String::as_str).collect();
        assert_eq!(roles, ["admin", "deployer", "edit", "operator", "view"]);
    }

    #[test]
    fn a_range_with_bits_beyond_its_prefix_is_refused() {
        let error = told(&["--pod-cidr=10.244.1.0/16"]).unwrap_err();
        assert!(error.contains("did you mean 10.244.0.0/16?"), "{error}");
    }
}
