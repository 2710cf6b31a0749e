//! A real Kubernetes control plane on one machine, for the demo, the tests and
//! the benchmark.
//!
//! | module | what it does |
//! |---|---|
//! | [`azure_service_operator`] | Azure Service Operator, simulated, with definitions of its kinds |
//! | [`prerequisites`] | finds or installs the programs that are not built here |
//! | [`binaries`] | builds the control plane from its Go modules, and the operator |
//! | [`process`] | children that die with their parent |
//! | [`cluster`] | starts, restarts and stops a cluster; clients and kubeconfigs for it |
//! | [`audit`] | what the API server was asked to do, and by whom |
//! | [`bench`] | what the operator costs, next to a bare client |
//! | [`calico_api_server`] | Calico's own API server, in front of its storage |
//! | [`calico_selectors`] | what Calico itself makes of selectors |
//! | [`cert_manager`] | cert-manager's kinds, and its controllers as a process |
//! | [`data_plane`] | Calico's Felix on a node of its own, pods with real interfaces, packets |
//! | [`fault_proxy`] | what can go wrong between the operator and the API server |
//! | [`flux`] | Flux's kustomize-controller, and a folder that it reads as if it were in Git |
//! | [`http`] | questions to programs that serve on loopback |
//! | [`install`] | applies manifests and waits until they are served |
//! | [`karpenter`] | Karpenter, simulated, with definitions of its kinds |
//! | [`kustomize`] | what kustomize makes of `config/`, with overlays as users write them |
//! | [`operator`] | the operator as a child process, with its own rights |
//! | [`prometheus`] | a real Prometheus, and its tool for rules and metrics |
//! | [`refusals`] | declarations that must be refused, with the words of the refusal |
//! | [`governed`] | a cluster with the operator in it, and what tests do there |
//! | [`demo`] | shows on a cluster what the operator does, and checks what it shows |
//! | [`shop`] | one application's landing zone in it, for tests that read like sentences |
//! | [`earlier`] | chart and operator of an earlier commit |
//! | [`schema`] | definitions of kinds from one release to the next |
//! | [`handover`] | from one operator to another: what must not be lost, and what must not be written |
//! | [`owned`] | what a landing zone is made of, beside what the command line renders |
//! | [`seed`] | seeds of generated tests |
//! | [`wait`] | conditions with deadlines |
//! | [`scenario`] | tests that share one cluster |
//!
//! Architecture invariant: everything listens on loopback only, on free ports, or in
//! network namespaces of our own, and all state is under `target/e2e`.

pub mod audit;
pub mod azure_service_operator;
pub mod bench;
pub mod binaries;
pub mod calico_api_server;
pub mod calico_selectors;
pub mod cert_manager;
pub mod certificates;
pub mod cluster;
pub mod data_plane;
pub mod demo;
pub mod earlier;
pub mod fault_proxy;
pub mod flux;
pub mod governed;
pub mod handover;
pub mod http;
pub mod image;
pub mod install;
pub mod karpenter;
pub mod kustomize;
pub mod operator;
pub mod owned;
pub mod ports;
pub mod prerequisites;
pub mod process;
pub mod progress;
pub mod prometheus;
pub mod refusals;
pub mod rights;
pub mod scenario;
pub mod schema;
pub mod seed;
pub mod shop;
pub mod wait;
pub mod workspace;

pub use azure_service_operator::AzureServiceOperator;
pub use calico_api_server::CalicoApiServer;
pub use cert_manager::CertManager;
pub use cluster::{ClusterOptions, LocalCluster};
pub use governed::{Calico, Governed};
pub use operator::{OperatorOptions, OperatorProcess};
pub use wait::{eventually, holds_for};
