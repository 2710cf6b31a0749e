//! What landing zones own in Azure, for whoever makes it.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use thiserror::Error;

use super::super::Outcome;
use super::super::output::{self, OutputFormat};
use crate::build::{
    self, AzureResources, BicepError, Neighbours, Owner, Priorities, azure_objects, bicep,
    terraform,
};
use crate::domain::{AzureVersions, LandingZone, Platform, PlatformAzure, Resolved};

/// Whether to write what landing zones own in Azure instead, and how.
#[derive(Args, Clone, Debug)]
pub(super) struct AzureArgs {
    /// Write the node pools, subnets, network security groups and firewall rules of landing zones instead of objects of the
    /// cluster
    #[arg(long = "azure", value_enum, value_name = "FORM")]
    form: Option<AzureForm>,

    /// The resource group that a Bicep file is for, where the virtual network, the cluster and the firewall's policy lie in
    /// several
    #[arg(long, requires = "form", value_name = "NAME")]
    resource_group: Option<String>,
}

/// Who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AzureForm {
    /// Azure Service Operator, of which these are objects
    Aso,
    /// Azure Resource Manager, from a Bicep file
    Bicep,
    /// Terraform, with the provider azurerm
    Terraform,
}

/// What could not be done.
#[derive(Debug, Error)]
pub(super) enum AzureError {
    #[error("failed to write the output")]
    Write(#[from] io::Error),
    #[error("failed to write Terraform")]
    Terraform(#[from] hcl::Error),
}

impl AzureArgs {
    pub(super) const fn is_asked_for(&self) -> bool {
        self.form.is_some()
    }

    /// Writes what the landing zones own, and what guards the platform's own subnet.
    pub(super) fn write(
        &self,
        zones: &[LandingZone],
        resolved: &[Resolved],
        platform: &Platform,
        format: OutputFormat,
        (stdout, stderr): (&mut dyn Write, &mut dyn Write),
    ) -> Result<Outcome, AzureError> {
        let (Some(form), Some(azure)) = (self.form, &platform.azure) else {
            writeln!(
                stderr,
                "error: no LandingZonePlatform with spec.azure, which says where in Azure the cluster lies: add its \
                 file with -f"
            )?;
            return Ok(Outcome::BadInput);
        };
        note_system_subnet(stderr, azure)?;
        note_plugin(stderr, platform)?;
        for zone in zones {
            super::note_unapplied(stderr, zone)?;
        }
        let priorities = Priorities::new();
        let neighbours = Neighbours::of(zones);
        // Of those that are planned or suspended nothing is written, as the operator writes nothing.
        let in_force = zones
            .iter()
            .zip(resolved)
            .filter(|(zone, _)| zone.is_in_force());
        let declared: Vec<_> = in_force
            .clone()
            .flat_map(|(zone, it)| {
                build::application_rules(zone, platform, &it.openings, &neighbours)
            })
            .collect();
        let of_platform = build::platform_azure(platform, &neighbours, &declared, &priorities);
        let (in_force, of_zones): (Vec<&LandingZone>, Vec<_>) = in_force
            .map(|(zone, resolved)| {
                let openings = &resolved.openings;
                let resources =
                    build::landing_zone_azure(zone, platform, openings, &neighbours, &priorities);
                (zone, resources)
            })
            .unzip();
        let mut faults = of_platform.faults();
        faults.extend(of_zones.iter().flat_map(AzureResources::faults));
        if !faults.is_empty() {
            for fault in faults {
                writeln!(stderr, "error: Azure would refuse {fault}")?;
            }
            return Ok(Outcome::BadInput);
        }
        if form != AzureForm::Aso {
            note_karpenter(stderr, &of_zones)?;
        }
        let text = match form {
            AzureForm::Aso => {
                if azure.service_operator.is_none() {
                    writeln!(
                        stderr,
                        "error: spec.azure.serviceOperator of the LandingZonePlatform is left out, which says in which \
                         namespace the objects lie: write it"
                    )?;
                    return Ok(Outcome::BadInput);
                }
                let versions = AzureVersions::common();
                let of = |resources: &AzureResources, owner: &Owner| {
                    azure_objects(resources, azure, &versions, owner)
                };
                let mut objects = of(&of_platform, &Owner::platform());
                for (zone, resources) in in_force.iter().zip(&of_zones) {
                    objects.extend(of(resources, &Owner::landing_zone(zone)));
                }
                output::print(&objects, format)
            }
            AzureForm::Bicep => {
                let resources = together(of_platform, of_zones);
                match bicep(&resources, azure, self.resource_group.as_deref()) {
                    Ok(text) => text,
                    Err(
                        error @ (BicepError::SeveralResourceGroups { .. }
                        | BicepError::OtherResourceGroup { .. }),
                    ) => {
                        writeln!(stderr, "error: {error}")?;
                        return Ok(Outcome::BadInput);
                    }
                }
            }
            AzureForm::Terraform => terraform(&together(of_platform, of_zones), azure)?,
        };
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(Outcome::Done)
    }
}

fn together(of_platform: AzureResources, of_zones: Vec<AzureResources>) -> AzureResources {
    let mut all = of_platform;
    for of_zone in of_zones {
        let AzureResources {
            security_groups,
            subnets,
            node_pools,
            karpenter_pools,
            rule_collection_groups,
        } = of_zone;
        all.security_groups.extend(security_groups);
        all.subnets.extend(subnets);
        all.node_pools.extend(node_pools);
        all.karpenter_pools.extend(karpenter_pools);
        all.rule_collection_groups.extend(rule_collection_groups);
    }
    all
}

/// The subnet of the system pool is there already, and whoever wrote it knows what else it says.
fn note_system_subnet(stderr: &mut dyn Write, azure: &PlatformAzure) -> io::Result<()> {
    if !azure.system_subnet.has_security_group {
        return Ok(());
    }
    writeln!(
        stderr,
        "note: nothing here attaches the network security group of the system pool to its subnet, which somebody else \
         keeps: az network vnet subnet update --resource-group {} --vnet-name {} --name {} --network-security-group {}",
        azure.virtual_network.resource_group,
        azure.virtual_network.name,
        azure.system_subnet.name,
        build::system_security_group(azure),
    )
}

/// Files for others than the cluster say nothing of nodes that Karpenter makes.
fn note_karpenter(stderr: &mut dyn Write, of_zones: &[AzureResources]) -> io::Result<()> {
    let pools = of_zones.iter().flat_map(|it| &it.karpenter_pools);
    let zones: Vec<_> = pools.map(|it| it.nodes.zone.as_str()).collect();
    if zones.is_empty() {
        return Ok(());
    }
    writeln!(
        stderr,
        "note: Karpenter makes the nodes of {}: the operator writes a NodePool and an AKSNodeClass for each into the cluster \
         (config/karpenter), and this file holds none",
        zones.join(", ")
    )
}

fn note_plugin(stderr: &mut dyn Write, platform: &Platform) -> io::Result<()> {
    let Some(plugin) = platform
        .plugin
        .filter(|_| !build::security_groups_govern_pods(platform))
    else {
        return Ok(());
    };
    writeln!(
        stderr,
        "note: with network plugin {plugin:?} network security groups hold nodes apart, and Calico alone governs pods"
    )
}
