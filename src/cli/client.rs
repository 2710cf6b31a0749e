//! A cluster, with the rights of whoever asks.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::cluster::failure;

/// Why there is no way to ask the cluster.
#[derive(thiserror::Error, Debug)]
pub(super) enum ClientError {
    #[error("no runtime")]
    Runtime(#[from] std::io::Error),
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("there is no context {name:?} in the kubeconfig: {known}")]
    NoContext { name: String, known: String },
    #[error("{what} cannot be read: {}", failure(.error))]
    Unreachable {
        what: &'static str,
        error: kube::Error,
    },
}

/// A client for a context of the kubeconfig; without one for the current context, or for the cluster that this
/// runs in.
pub(super) async fn client(context: Option<&str>) -> Result<Client, ClientError> {
    let unreachable = |what| move |error| ClientError::Unreachable { what, error };
    let mut config = match context {
        None => Config::infer()
            .await
            .map_err(kube::Error::InferConfig)
            .map_err(unreachable("the cluster's address"))?,
        Some(context) => {
            let options = KubeConfigOptions {
                context: Some(context.to_owned()),
                ..KubeConfigOptions::default()
            };
            let kubeconfig = Kubeconfig::read()?;
            let contexts = kubeconfig.contexts.iter().map(|it| it.name.as_str());
            let contexts: Vec<&str> = contexts.collect();
            if !contexts.contains(&context) {
                return Err(ClientError::NoContext {
                    name: context.to_owned(),
                    known: if contexts.is_empty() {
                        "it has none".to_owned()
                    } else {
                        format!("there are {}", contexts.join(", "))
                    },
                });
            }
            Config::from_custom_kubeconfig(kubeconfig, &options).await?
        }
    };
    // Whoever waits at a terminal is told at once what does not work.
    config.default_retry = false;
    Client::try_from(config).map_err(unreachable("the cluster"))
}

/// What the requests of one command run on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, ClientError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}
