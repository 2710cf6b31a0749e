//! How a cluster, and what is around it in Azure, stands to the recommendations of the articles that the project comes from; pure.
//!
//! | file | what it knows |
//! |---|---|
//! | `question` | what is asked: ids, why it matters, who recommends it |
//! | `control` | the controls of benchmarks that questions answer to |
//! | `check` | what comes of a question |
//! | `exception` | what somebody has decided to live with |
//! | `input` | the files that tell, and the commands that make them |
//! | `field`, `azure` | what the files say, in each of Azure's spellings |
//! | `cluster_state` | what a running cluster shows |
//! | `egress` | the way out |
//! | `network_policy` | the network policy engine and the network plugin |
//! | `api_server` | who reaches the API server |
//! | `ingress` | web application firewalls and API Management |
//! | `virtual_network` | DDoS protection and network security groups |
//! | `network_watcher` | Network Watcher and flow logs |
//! | `azure_policy` | the add-on, and built-in definitions |
//! | `monitoring` | logs of the control plane, and alerts |
//! | `node_pools` | taints and availability zones |
//! | `isolation` | what policies come to: default deny, DNS, the system |
//! | `load_balancers` | whose addresses pods see behind a load balancer |
//! | `namespaces` | labels, quotas, the namespace default |
//! | `identity` | workload identity |

mod api_server;
mod azure;
mod azure_policy;
mod check;
mod cluster_state;
mod control;
mod egress;
mod exception;
mod field;
#[cfg(test)]
mod fixture;
mod identity;
mod ingress;
mod input;
mod isolation;
mod load_balancers;
mod monitoring;
mod namespaces;
mod network_policy;
mod network_watcher;
mod node_pools;
mod question;
mod virtual_network;

pub use check::{Check, Outcome, Seen};
pub use cluster_state::{Agent, ClusterState, Engine, Known, LoadBalancer, Missing, Policies};
pub use control::{Benchmark, Control};
pub use exception::{Excepted, Exception, except};
pub use input::{GivenFile, InputFile, InputProblem};
pub use question::{Article, Question, Severity, Source};

use std::collections::BTreeSet;

use jiff::civil::Date;

use azure::Azure;
use check::Answer;
use field::Problems;

/// What is given to answer by.
#[derive(Debug)]
pub struct Inputs {
    /// What tells of Azure.
    pub files: Vec<GivenFile>,
    /// What was given besides and could not be read: the rest of it is not whole.
    pub unread: BTreeSet<InputFile>,
    /// What the cluster shows; None where nobody looked.
    pub live: Option<ClusterState>,
    /// The day, by which what is retired weighs more or less.
    pub today: Date,
}

/// What is asked, and by what it is answered.
struct Asked<'a> {
    azure: Azure<'a>,
    live: Option<&'a ClusterState>,
    today: Date,
}

/// Answers every question, in the order of the catalogue. What is wrong with files comes along; a question that would have needed it
/// is unknown, and all others are answered.
#[must_use]
pub fn ask(inputs: &Inputs) -> (Vec<Check>, Vec<InputProblem>) {
    let problems = Problems::default();
    let asked = Asked {
        azure: Azure::of(&inputs.files, &inputs.unread, &problems),
        live: inputs.live.as_ref(),
        today: inputs.today,
    };
    // What cannot be used at all was left out, and counts as not given.
    problems.take();
    let checks = Question::ALL.iter().map(|question| {
        let answer = asked.answer(*question);
        let met = problems.take();
        usable(answer, &met).to(*question)
    });
    let checks = checks.collect();
    drop(asked);
    (checks, problems.into_all())
}

/// The answer, unless something was met on the way that cannot be used.
fn usable(answer: Answer, met: &[InputProblem]) -> Answer {
    let Some(first) = met.first() else {
        return answer;
    };
    let seen = format!(
        "{} says something that cannot be used: {}",
        first.file, first.problem
    );
    Answer::unknown(seen, first.input)
}

impl Asked<'_> {
    /// No file that would tell was given, or it cannot be used.
    fn without(&self, file: InputFile) -> Answer {
        if self.azure.is_unusable(file) {
            let seen = format!("what was given as --{} cannot be used", file.flag());
            Answer::unknown(seen, file)
        } else {
            Answer::unknown(format!("--{} was not given", file.flag()), file)
        }
    }

    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::EgressFirewall => egress::firewall(self),
            Question::NetworkPolicyEngine => network_policy::engine(self),
            Question::NetworkPolicyEnforcing => network_policy::enforcing(self),
            Question::NetworkPluginSupported => network_policy::plugin(self),
            Question::NetworkPolicyManagerRetiring => network_policy::manager(self),
            Question::PrivateCluster => api_server::private(self),
            Question::AuthorizedIpRanges => api_server::ranges(self),
            Question::WafInFront => ingress::firewall(self),
            Question::ApiManagementInVnet => ingress::api_management(self),
            Question::DdosProtection => virtual_network::ddos(self),
            Question::SubnetNsg => virtual_network::security_groups(self),
            Question::NetworkWatcher => network_watcher::watcher(self),
            Question::VnetFlowLogs => network_watcher::flow_logs(self),
            Question::AzurePolicyAddon => azure_policy::addon(self),
            Question::PolicyHttpsIngress => self.definition(&azure_policy::HTTPS_INGRESS),
            Question::PolicyServicePorts => self.definition(&azure_policy::SERVICE_PORTS),
            Question::PolicyExternalIps => self.definition(&azure_policy::EXTERNAL_IPS),
            Question::PolicyHostNetwork => self.definition(&azure_policy::HOST_NETWORK),
            Question::PolicyAuthorizedIpRanges => {
                self.definition(&azure_policy::AUTHORIZED_IP_RANGES)
            }
            Question::DiagnosticSettings => monitoring::logs(self),
            Question::NetworkChangeAlerts => monitoring::alerts(self),
            Question::SystemPoolTainted => node_pools::tainted(self),
            Question::PoolsAcrossZones => node_pools::across_zones(self),
            Question::DefaultDeny => isolation::default_deny(self),
            Question::DnsAllowed => isolation::dns(self),
            Question::SystemNamespacesExempt => isolation::system(self),
            Question::NamespacesLabelled => namespaces::labelled(self),
            Question::NamespaceQuotas => namespaces::quotas(self),
            Question::DefaultNamespaceUnused => namespaces::default_unused(self),
            Question::LoadBalancerSource => load_balancers::source(self),
            Question::WorkloadIdentity => identity::workload_identity(self),
        }
    }

    fn definition(&self, definition: &azure_policy::Definition) -> Answer {
        azure_policy::definition(self, definition)
    }
}

#[cfg(test)]
mod tests;
