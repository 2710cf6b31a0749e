//! A node on which Calico's Felix enforces policies on real packets between real network namespaces.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use tokio::task::JoinHandle;

use super::network_namespace::NetworkNamespace;
use super::place::{OUTSIDE, Place};
use super::probe::{Calls, Conversation, Listeners, PATIENCE, Protocol, Verdict, call, probe};
use crate::LocalCluster;
use crate::binaries::felix;
use crate::install::apply;
use crate::ports::free_port;
use crate::process::{Process, Program};
use crate::progress::Progress;
use crate::wait::eventually;

/// The addresses of pods.
pub const POD_CIDR: &str = "10.244.0.0/16";
/// The node's own address.
pub const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The address of the DNS cache on the node.
pub const DNS_CACHE: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);

const NODE: &str = "node-1";
/// The next hop of every pod, as Calico has it; the node answers for it.
const NEXT_HOP: &str = "169.254.1.1";
const READY: Duration = Duration::from_secs(30);
const STOPPED: Duration = Duration::from_secs(5);

/// A node with Felix. Dropped, all of it is gone: processes, interfaces, rules.
pub struct FelixNode {
    namespace: NetworkNamespace,
    felix: Process,
    relay: JoinHandle<()>,
    client: Client,
    folder: PathBuf,
    next_address: AtomicU8,
    _listeners: [Listeners; 2],
    places: Vec<(Place, NetworkNamespace, Listeners)>,
}

/// A pod: an object of the cluster, and a network namespace with the address that it tells.
pub struct WiredPod {
    /// Its namespace in the cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    network: NetworkNamespace,
    _listeners: Listeners,
}

/// One end of a connection.
#[derive(Clone, Copy)]
pub enum End<'a> {
    /// A pod.
    Pod(&'a WiredPod),
    /// The node itself, as kubelet and pods on the host's network are.
    Node,
    /// A DNS cache on the node's own network.
    DnsCache,
    /// Something outside of the cluster.
    Outside(Place),
}

impl End<'_> {
    /// Its address.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        match self {
            Self::Pod(pod) => pod.address,
            Self::Node => NODE_ADDRESS,
            Self::DnsCache => DNS_CACHE,
            Self::Outside(place) => place.address(),
        }
    }
}

/// A kind of call: who makes it, how, to which address and port.
pub type Call<'a> = (End<'a>, Protocol, Ipv4Addr, u16);

/// The ports on which every end listens. The last two are Istio's and Dapr's.
pub const PORTS: [u16; 9] = [53, 443, 5432, 5440, 5441, 8080, 9090, 15012, 50001];

impl FelixNode {
    /// Builds Felix where that has to be, starts it on a node of its own, and waits until it has seen
    /// the cluster. Calico's kinds have to be there already.
    pub async fn start(cluster: &LocalCluster) -> Result<Self> {
        let binary = tokio::task::spawn_blocking(|| felix(&Progress::new()))
            .await
            .context("the build of Felix was cut off")??;
        let folder = cluster.directory().join("node");
        std::fs::create_dir_all(&folder).context("failed to make a folder of logs")?;
        let client = cluster.client();
        cluster.create_node(NODE, &[], &[]).await?;
        apply(&client, ip_pool()?).await?;

        let namespace = NetworkNamespace::create("node", &folder).await?;
        namespace.set("ipv4/ip_forward", "1").await?;
        namespace
            .ip(&format!(
                "addr add {NODE_ADDRESS}/32 dev lo\naddr add {DNS_CACHE}/32 dev lo\n"
            ))
            .await?;
        let mut places = Vec::new();
        for place in Place::ALL {
            let network = place.beside(&namespace, NODE_ADDRESS, &folder).await?;
            let address = place.address();
            let listeners = Listeners::open(&network, place.name(), address, &PORTS).await?;
            places.push((place, network, listeners));
        }
        // Also what lets the node answer for the next hop of its pods.
        namespace
            .ip(&format!("route add default via {OUTSIDE}\n"))
            .await?;
        let relay = relay(&namespace, cluster).await?;
        let listeners = [
            Listeners::open(&namespace, "the node", NODE_ADDRESS, &PORTS).await?,
            Listeners::open(&namespace, "the DNS cache", DNS_CACHE, &PORTS).await?,
        ];
        let port = free_port()?;
        let program = namespace.program(&binary, &folder.join("felix.log"));
        let felix = configured(program, cluster, port).start()?;
        let node = Self {
            namespace,
            felix,
            relay,
            client,
            folder,
            next_address: AtomicU8::new(2),
            _listeners: listeners,
            places,
        };
        node.wait_until_ready(port).await?;
        Ok(node)
    }

    async fn wait_until_ready(&self, port: u16) -> Result<()> {
        let ready = eventually(READY, "Felix to be ready", async || {
            if let Err(ended) = self.felix.ensure_running() {
                return Ok(Some(Err(ended)));
            }
            let answer = self.namespace.inside(move || readiness(port)).await??;
            ensure!(answer.contains(" 20"), "{answer}");
            Ok(Some(Ok(())))
        });
        ready.await?
    }

    /// An address for a pod that nobody else has.
    pub fn free_address(&self) -> Result<Ipv4Addr> {
        let number = self.next_address.fetch_add(1, Ordering::Relaxed);
        ensure!(number < 250, "no address is left");
        Ok(Ipv4Addr::new(10, 244, 0, number))
    }

    /// Makes a pod: the object first, then its network. `labels` are the pod's own.
    pub async fn wire(
        &self,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<WiredPod> {
        self.wire_at(self.free_address()?, namespace, name, labels)
            .await
    }

    /// The same, with an address that was chosen before.
    pub async fn wire_at(
        &self,
        address: Ipv4Addr,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<WiredPod> {
        self.create_pod(namespace, name, labels, address).await?;

        let full_name = format!("{namespace}/{name}");
        let network =
            NetworkNamespace::create(&format!("{namespace}.{name}"), &self.folder).await?;
        let interface = interface(namespace, name);
        self.namespace
            .ip(&format!(
                "link add {interface} type veth peer name eth0 netns {}\n\
                 link set {interface} up\n",
                network.holder()
            ))
            .await?;
        let proxy_arp = format!("ipv4/conf/{interface}/proxy_arp");
        self.namespace.set(&proxy_arp, "1").await?;
        network
            .ip(&format!(
                "addr add {address}/32 dev eth0\n\
                 link set eth0 up\n\
                 route add {NEXT_HOP} dev eth0 scope link\n\
                 route add default via {NEXT_HOP} dev eth0\n"
            ))
            .await?;
        let listeners = Listeners::open(&network, &full_name, address, &PORTS).await?;
        Ok(WiredPod {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            address,
            network,
            _listeners: listeners,
        })
    }

    async fn create_pod(
        &self,
        namespace: &str,
        name: &str,
        labels: &[(&str, &str)],
        address: Ipv4Addr,
    ) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pod = serde_json::from_value(pod(name, labels))?;
        pods.create(&PostParams::default(), &pod)
            .await
            .with_context(|| format!("failed to create the pod {namespace}/{name}"))?;
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        });
        let bound: kube::Result<Value> = pods
            .create_subresource("binding", name, &PostParams::default(), &binding)
            .await;
        bound.with_context(|| format!("failed to bind the pod {namespace}/{name}"))?;
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .with_context(|| format!("failed to give {namespace}/{name} its address"))?;
        Ok(())
    }

    /// The object of a pod as it is created here: one that Pod Security restricted admits.
    #[must_use]
    pub fn pod(name: &str, labels: &[(&str, &str)]) -> Value {
        pod(name, labels)
    }

    /// Takes a pod away: its network first, then the object.
    pub async fn unwire(&self, pod: WiredPod) -> Result<()> {
        let WiredPod {
            namespace,
            name,
            network,
            ..
        } = pod;
        drop(network);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        pods.delete(&name, &DeleteParams::default().grace_period(0))
            .await?;
        Ok(())
    }

    /// What becomes of packets from one end to another.
    ///
    /// # Errors
    /// Where something else came of them than an answer or none.
    pub async fn can(
        &self,
        from: End<'_>,
        to: End<'_>,
        protocol: Protocol,
        port: u16,
    ) -> Result<Verdict> {
        self.can_within(PATIENCE, from, to, protocol, port).await
    }

    /// The same with another patience: who is in a hurry asks again where it matters.
    ///
    /// # Errors
    /// Where something else came of them than an answer or none.
    pub async fn can_within(
        &self,
        patience: Duration,
        from: End<'_>,
        to: End<'_>,
        protocol: Protocol,
        port: u16,
    ) -> Result<Verdict> {
        let (address, name) = listener(to, port);
        probe(self.network(from)?, address, protocol, &name, patience).await
    }

    /// Opens a connection that stays open.
    ///
    /// # Errors
    /// Where it may not be opened, or something else came of it.
    pub async fn open(
        &self,
        from: End<'_>,
        to: End<'_>,
        protocol: Protocol,
        port: u16,
    ) -> Result<Conversation> {
        let (address, name) = listener(to, port);
        Conversation::open(self.network(from)?, address, protocol, &name).await
    }

    /// Makes calls of each kind, one after the other and all kinds beside each other, as long as something goes
    /// on, and counts those that were answered.
    ///
    /// # Errors
    /// That of what goes on, or where a call cannot be made.
    pub async fn meanwhile<T>(
        &self,
        kinds: &[Call<'_>],
        during: impl Future<Output = Result<T>>,
    ) -> Result<(T, Vec<Calls>)> {
        let ended = AtomicBool::new(false);
        let during = async {
            let result = during.await;
            ended.store(true, Ordering::Relaxed);
            result
        };
        let made = kinds.iter().map(async |(from, protocol, to, port)| {
            let to = SocketAddr::from((*to, *port));
            call(self.network(*from)?, to, *protocol, &ended).await
        });
        futures::try_join!(during, try_join_all(made))
    }

    fn network<'a>(&'a self, end: End<'a>) -> Result<&'a NetworkNamespace> {
        Ok(match end {
            End::Pod(pod) => &pod.network,
            End::Node | End::DnsCache => &self.namespace,
            End::Outside(place) => {
                let found = self.places.iter().find(|(known, ..)| *known == place);
                let (_, network, _) = found.with_context(|| format!("{place:?} is not there"))?;
                network
            }
        })
    }

    /// Fails once Felix has ended.
    ///
    /// # Errors
    /// How it ended.
    pub fn ensure_running(&self) -> Result<()> {
        self.felix.ensure_running()
    }

    /// What Felix wrote so far.
    pub fn log(&self) -> Result<String> {
        self.felix.log()
    }

    /// The network namespace of the node.
    #[must_use]
    pub fn namespace(&self) -> &NetworkNamespace {
        &self.namespace
    }

    /// Stops Felix. What it put into the kernel goes with the network namespace.
    pub async fn stop(self) -> Result<()> {
        self.felix.stop(STOPPED).await?;
        Ok(())
    }
}

impl Drop for FelixNode {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Where an end listens, and the name that it answers with.
fn listener(end: End<'_>, port: u16) -> (SocketAddr, String) {
    let name = match end {
        End::Pod(pod) => format!("{}/{}", pod.namespace, pod.name),
        End::Node => "the node".to_owned(),
        End::DnsCache => "the DNS cache".to_owned(),
        End::Outside(place) => place.name().to_owned(),
    };
    (SocketAddr::from((end.address(), port)), name)
}

/// Carries connections to the API server's address in the node's network namespace on to the API
/// server, which listens in ours.
async fn relay(namespace: &NetworkNamespace, cluster: &LocalCluster) -> Result<JoinHandle<()>> {
    let server: http::Uri = cluster.kubeconfig().server().parse()?;
    let port = server.port_u16().context("an API server without a port")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = namespace
        .inside(move || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            std::io::Result::Ok(listener)
        })
        .await?
        .context("failed to listen in the API server's place")?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(tokio::spawn(async move {
        while let Ok((mut inner, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut outer = tokio::net::TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut inner, &mut outer).await
            });
        }
    }))
}

fn configured(program: Program, cluster: &LocalCluster, health_port: u16) -> Program {
    let kubeconfig = cluster.kubeconfig().path();
    [
        ("DATASTORETYPE", "kubernetes"),
        ("FELIXHOSTNAME", NODE),
        ("IPTABLESBACKEND", "nft"),
        ("BPFENABLED", "false"),
        ("IPV6SUPPORT", "false"),
        ("USAGEREPORTINGENABLED", "false"),
        ("DEFAULTENDPOINTTOHOSTACTION", "ACCEPT"),
        ("LOGFILEPATH", "none"),
        ("HEALTHENABLED", "true"),
    ]
    .into_iter()
    .fold(program, |program, (name, value)| {
        program.variable(format!("FELIX_{name}"), value)
    })
    .variable("FELIX_HEALTHPORT", health_port.to_string())
    .variable("KUBECONFIG", kubeconfig)
}

/// The first line of what Felix answers about its readiness.
fn readiness(port: u16) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /readiness HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// The node's end of a pod's interface, as Felix expects it to be called.
fn interface(namespace: &str, name: &str) -> String {
    let digest = format!("{:x}", Sha1::digest(format!("{namespace}.{name}")));
    format!("cali{}", &digest[..11])
}

fn ip_pool() -> Result<DynamicObject> {
    let pool = json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool",
        "metadata": {"name": "pods"},
        "spec": {"cidr": POD_CIDR, "natOutgoing": false, "ipipMode": "Never", "vxlanMode": "Never"},
    });
    serde_json::from_value(pool).context("a pool of addresses that is none")
}

/// A pod that Pod Security restricted admits. It is bound to the node as a scheduler does it: a pod that names
/// its node is refused in landing zones.
fn pod(name: &str, labels: &[(&str, &str)]) -> Value {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "schedulerName": "data-plane",
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "listener", "image": "listener:1",
                "ports": [{"name": "http", "containerPort": 8080}],
                "resources": {
                    "requests": {"cpu": "10m", "memory": "16Mi"},
                    "limits": {"cpu": "10m", "memory": "16Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "runAsNonRoot": true,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first 11 digits of `printf shop-web.till | sha1sum`.
    #[test]
    fn interfaces_are_named_as_calico_names_them() {
        let name = interface("shop-web", "till");
        assert_eq!((name.len(), &name[..4]), (15, "cali"));
    }
}
