//! What Calico takes into account besides policies: host endpoints, and objects that nobody but people can judge.

use super::Judge;
use crate::domain::FieldPath;
use crate::policy::{GlobalNetworkPolicy, HostEndpoint};
use crate::review::Rule;
use crate::review::landscape::{is_stored_oddly, labels_in_storage};

/// Calico's profile of a namespace, whose labels come with it.
const OF_NAMESPACE: &str = "kns.";
/// Calico's profile of a service account: `ksa.<namespace>.<name>`.
const OF_SERVICE_ACCOUNT: &str = "ksa.";
/// The label that Calico gives to the host endpoints that it makes itself.
const CREATED_BY: &str = "projectcalico.org/created-by";
/// What to do about it.
const READ_IT: &str =
    "have somebody read it who knows Calico, and waive it with the reason once that is done";
/// So many addresses are named.
const SHOWN: usize = 3;

impl Judge<'_> {
    pub(super) fn host_endpoint(&mut self, host: &HostEndpoint) {
        let metadata = FieldPath::default().key("metadata");
        let stored = metadata
            .key("annotations")
            .key("projectcalico.org/metadata");
        if is_stored_oddly(&host.metadata) {
            self.stored_oddly(stored.clone());
        }
        let own = host.metadata.labels.iter().flatten();
        let own = own.map(|(key, _)| (key.clone(), metadata.key("labels").key(key)));
        let hidden = labels_in_storage(&host.metadata).into_keys();
        let hidden = hidden.map(|key| (key, stored.clone()));
        for (key, path) in own.chain(hidden) {
            if key != CREATED_BY {
                self.forged(&key, path);
            }
        }
        for (index, profile) in host.spec.profiles.iter().enumerate() {
            self.profile(host, index, profile);
        }
        self.deciding("HostEndpoint");
    }

    /// A policy that is about hosts only, and asked before all others.
    pub(super) fn of_hosts(&mut self, policy: &GlobalNetworkPolicy) {
        let (field, when) = if policy.spec.do_not_track == Some(true) {
            ("doNotTrack", "before connections are tracked")
        } else {
            ("preDNAT", "before addresses of services are translated")
        };
        self.find(
            Rule::DecidesUnread,
            FieldPath::default().key("spec").key(field),
            format!(
                "with {field} it decides what host endpoints take {when} and before all other policies, and nobody but people can \
                 tell whether a boundary holds with it"
            ),
            READ_IT,
        );
    }

    /// The labels of a namespace or service account come with its profile.
    fn profile(&mut self, host: &HostEndpoint, index: usize, profile: &str) {
        let addresses = &host.spec.expected_ips;
        let namespace = profile.strip_prefix(OF_NAMESPACE).or_else(|| {
            let account = profile.strip_prefix(OF_SERVICE_ACCOUNT)?;
            account.split_once('.').map(|(namespace, _)| namespace)
        });
        let Some((boundary, _)) = namespace.and_then(|it| self.landscape.of_namespace(it)) else {
            return;
        };
        if addresses.is_empty() {
            return;
        }
        let shown: Vec<_> = addresses.iter().take(SHOWN).map(String::as_str).collect();
        let more = if addresses.len() > SHOWN {
            " and more"
        } else {
            ""
        };
        let shown = shown.join(", ");
        let what = if profile.starts_with(OF_NAMESPACE) {
            "the namespace"
        } else {
            "the service account"
        };
        self.find_who(
            Rule::HostEndpointInside,
            FieldPath::default()
                .key("spec")
                .key("profiles")
                .index(index),
            format!(
                "with profile {profile} its addresses get the labels of {what}, so that policies take them for {boundary}"
            ),
            "remove the profile; declare a crossing to the addresses where they are meant",
            format!("whoever has an address of {shown}{more} counts as a pod of {boundary}"),
        );
    }

    /// Nobody but people can tell what it opens.
    pub(super) fn deciding(&mut self, kind: &str) {
        let what = match kind {
            "HostEndpoint" => {
                "whose traffic through a node is policed, and which labels the addresses behind it have"
            }
            "Profile" => {
                "which labels and rules go with whatever has it, pods of namespaces included"
            }
            "IPPool" | "IPReservation" | "IPAMConfig" | "IPAMConfiguration" | "IPAMBlock"
            | "BlockAffinity" => "which addresses pods get, and under which they leave the cluster",
            "FelixConfiguration" => {
                "how Felix enforces policies on nodes, and what it lets through without asking any"
            }
            "BGPConfiguration" | "BGPPeer" | "BGPFilter" => "which addresses are routed to whom",
            "KubeControllersConfiguration" => {
                "which host endpoints there are and what Calico clears away"
            }
            "Installation" => "how Calico is installed, and which addresses pods get",
            _ => "something about addresses or policies",
        };
        self.find(
            Rule::DecidesUnread,
            FieldPath::default(),
            format!("a {kind} decides {what}, and nobody but people can tell whether a boundary holds with it"),
            READ_IT,
        );
    }
}
