//! Ways in: clients and kubeconfigs for the administrator, for service accounts,
//! and for people with few rights.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use http::{HeaderName, HeaderValue};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, Config, api::PostParams, config::KubeConfigOptions};

use super::LocalCluster;
use crate::{
    certificates::{CertificateFiles, write_private},
    process::{command_that_dies_with_us, spawn},
};

/// Longer than any test or demo.
const TOKEN_LIFETIME: Duration = Duration::from_hours(12);

/// A kubeconfig in a file.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    file: PathBuf,
    server: String,
    authority: PathBuf,
}

impl Kubeconfig {
    pub(super) fn with_certificate(
        file: PathBuf,
        server: &str,
        authority: &Path,
        client: &CertificateFiles,
    ) -> Result<Self> {
        let CertificateFiles { certificate, key } = client;
        let user = format!(
            "client-certificate: {}, client-key: {}",
            quoted(certificate)?,
            quoted(key)?
        );
        Self::write(file, server, authority, &user)
    }

    /// The same cluster by another way, on which whoever asks need not say who he is.
    pub(crate) fn through(&self, server: &str) -> Result<Self> {
        let file = self.file.with_extension("proxied.kubeconfig");
        Self::write(file, server, &self.authority, "")
    }

    fn write(file: PathBuf, server: &str, authority: &Path, user: &str) -> Result<Self> {
        let text = format!(
            "\
apiVersion: v1
kind: Config
current-context: local
contexts:
- name: local
  context: {{cluster: local, user: local}}
clusters:
- name: local
  cluster: {{server: \"{server}\", certificate-authority: {}}}
users:
- name: local
  user: {{{user}}}
",
            quoted(authority)?
        );
        write_private(&file, &text)?;
        Ok(Self {
            file,
            server: server.to_owned(),
            authority: authority.to_path_buf(),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The address of the API server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The certificate of whoever signs for the API server.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The configuration of a client that does not try again by itself.
    pub async fn config(&self) -> Result<Config> {
        let kubeconfig = kube::config::Kubeconfig::read_from(&self.file)
            .context("failed to read a kubeconfig")?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .context("failed to use a kubeconfig")?;
        config.default_retry = false;
        // Whatever the caller's environment says, loopback needs no proxy.
        config.proxy_url = None;
        Ok(config)
    }

    /// A client that does not try again by itself.
    pub async fn client(&self) -> Result<Client> {
        Client::try_from(self.config().await?).context("failed to make a client")
    }
}

impl LocalCluster {
    /// Writes a kubeconfig with a token of a service account, so that a program
    /// runs with the rights it has in a real cluster.
    pub async fn kubeconfig_for_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Kubeconfig> {
        let token = self.service_account_token(namespace, name).await?;
        let file = self
            .directory()
            .join(format!("{namespace}-{name}.kubeconfig"));
        let user = format!("token: {token}");
        Kubeconfig::write(file, &self.admin.server, &self.admin.authority, &user)
    }

    /// A token of a service account, as a pod of it is given one.
    pub async fn service_account_token(&self, namespace: &str, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(i64::try_from(TOKEN_LIFETIME.as_secs())?),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("failed to get a token for {namespace}/{name}"))?;
        let status = answer.status.context("a token request was not answered")?;
        Ok(status.token)
    }

    /// A client that acts as a user of these groups, with the rights that the
    /// cluster's roles give: an application team, say. Everybody is also in
    /// `system:authenticated`.
    ///
    /// In the audit log such requests stand under this user's name.
    pub async fn client_as_user(&self, name: &str, groups: &[&str]) -> Result<Client> {
        let mut config = self.admin.config().await?;
        let mut claim = |header: &'static str, value: &str| -> Result<()> {
            let value = HeaderValue::from_str(value).context("a name that no header can hold")?;
            config
                .headers
                .push((HeaderName::from_static(header), value));
            Ok(())
        };
        claim("impersonate-user", name)?;
        for group in groups {
            claim("impersonate-group", group)?;
        }
        Client::try_from(config).context("failed to make a client")
    }

    /// Runs the real kubectl as administrator, and returns what it prints.
    pub async fn kubectl<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String> {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let mut command = command_that_dies_with_us(&self.binaries.kubectl);
        command
            .args(&arguments)
            .env("KUBECONFIG", self.admin.path())
            // Its cache of the served kinds is not shared with the user's clusters.
            .env("KUBECACHEDIR", self.directory().join("kubectl-cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = spawn(command).context("failed to start kubectl")?;
        let output = tokio::task::spawn_blocking(move || child.wait_with_output())
            .await
            .context("kubectl was cut off")?
            .context("failed to wait for kubectl")?;
        ensure!(
            output.status.success(),
            "kubectl {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The real kubectl.
    #[must_use]
    pub fn kubectl_path(&self) -> &Path {
        &self.binaries.kubectl
    }
}

/// A path as a string of YAML, which JSON's strings are.
fn quoted(path: &Path) -> Result<String> {
    serde_json::to_string(path).context("a path that is no text")
}
