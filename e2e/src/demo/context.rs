//! A cluster of the user's: looked at before anything is written, asked about, and cleaned up.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use landing_zone_operator::api::{LandingZone, names};
use landing_zone_operator::controller::{Kind, ObjectKey};
use serde_json::json;

use super::Options;
use super::owned::{api, inventory, resource};
use super::page::Page;
use super::stage::operator_binary;
use crate::binaries::ControlPlaneBinaries;
use crate::certificates::write_private;
use crate::ports::free_port;
use crate::process::{Process, Program, last_lines};
use crate::progress::Progress;
use crate::{eventually, install, workspace};

const SYSTEM: &str = "landing-zone-system";
const ACCOUNT: &str = "landing-zone-operator";
/// The API server may give less.
const TOKEN_LIFETIME: Duration = Duration::from_hours(12);
const GRACE: Duration = Duration::from_secs(15);
const KUBECTL_DEADLINE: Duration = Duration::from_secs(30);
/// A namespace goes when all that is in it is gone.
const GONE_DEADLINE: Duration = Duration::from_mins(3);

/// The cluster behind a context of the user's kubeconfig, with our operator at work.
pub(super) struct UserCluster {
    context: String,
    zone: String,
    client: Client,
    operator: Process,
    folder: Folder,
}

impl UserCluster {
    /// Looks whether the demo would disturb anything, asks, installs, and starts the operator.
    pub(super) async fn open(
        context: &str,
        options: &Options,
        sample: &LandingZone,
        page: &mut Page,
    ) -> Result<Self> {
        page.heading(&format!("The cluster of your context {context}"));
        let kubeconfig = Kubeconfig::read().context("failed to read your kubeconfig")?;
        let known = kubeconfig.contexts.iter().map(|it| it.name.as_str());
        let known: Vec<&str> = known.collect();
        ensure!(
            known.contains(&context),
            "your kubeconfig has no context {context:?}; it has: {}",
            known.join(", ")
        );
        let choice = KubeConfigOptions {
            context: Some(context.to_owned()),
            ..KubeConfigOptions::default()
        };
        let mut config = Config::from_custom_kubeconfig(kubeconfig.clone(), &choice)
            .await
            .with_context(|| format!("failed to use the context {context}"))?;
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).context("failed to make a client")?;

        ensure_undisturbed(&client, sample).await?;
        page.say(&format!(
            "In {server} the demo applies the operator's kind and rights (crds/, config/rbac/ and config/admission/), \
             then one LandingZone, whose objects it removes at the end."
        ));
        if !options.yes {
            ask(page)?;
        }
        let folder = Folder::take()?;
        let binary = operator_binary(options).await?;
        install::install_operator_manifests(&client).await?;
        let own = kubeconfig_of_operator(&client, kubeconfig, context).await?;
        write_private(&folder.kubeconfig(), &own)?;
        let operator = Program::new(binary, folder.path.join("landing-zone-operator.log"))
            .arguments(["--log-format", "json", "--listen"])
            .argument(format!("127.0.0.1:{}", free_port()?))
            .variable("KUBECONFIG", folder.kubeconfig())
            .start()?;
        page.say("The operator runs on this machine, with the rights of its ServiceAccount.");
        Ok(Self {
            context: context.to_owned(),
            zone: sample.name_any(),
            client,
            operator,
            folder,
        })
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn context(&self) -> &str {
        &self.context
    }

    pub(super) fn ensure_running(&self) -> Result<()> {
        self.operator.ensure_running()
    }

    /// Runs kubectl with the operator's rights: they are enough to look at landing zones.
    pub(super) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let kubectl = kubectl().await?;
        let output = self.folder.path.join("kubectl.log");
        if output.exists() {
            fs::remove_file(&output).context("failed to remove an old output")?;
        }
        let run = Program::new(kubectl, output)
            .arguments(arguments)
            .variable("KUBECONFIG", self.folder.kubeconfig())
            .variable("KUBECACHEDIR", self.folder.path.join("kubectl-cache"))
            .start()?;
        let status = run.wait(KUBECTL_DEADLINE).await?;
        let text = run.log()?;
        ensure!(
            status.success(),
            "kubectl {} failed: {}",
            arguments.join(" "),
            last_lines(&text, 5)
        );
        Ok(text)
    }

    /// Stops the operator, and removes the landing zone with all that it became.
    pub(super) async fn close(self, page: &mut Page) -> Result<()> {
        page.heading("Cleaning up");
        // First, or it would put back what is removed.
        self.operator.stop(GRACE).await?;
        let zones: Api<LandingZone> = Api::all(self.client());
        if let Some(zone) = zones.get_opt(&self.zone).await? {
            zones
                .delete(&self.zone, &DeleteParams::default())
                .await
                .context("failed to delete the landing zone")?;
            self.remove_objects(&zone).await.with_context(|| {
                format!(
                    "the landing zone {} is gone, but not all of its objects",
                    self.zone
                )
            })?;
            page.say(&format!("{} and its namespaces are removed.", self.zone));
        }
        page.say("The operator's kind and rights stay. To remove them too:");
        page.command(&format!(
            "for it in config/admission config/rbac crds; do kubectl --context {} delete -k $it; done",
            self.context
        ));
        Ok(())
    }

    /// Only what carries the label of ownership, and namespaces only under the UID that the
    /// operator recorded: nothing that somebody else made meanwhile.
    async fn remove_objects(&self, zone: &LandingZone) -> Result<()> {
        let Some(status) = &zone.status else {
            return Ok(());
        };
        let keys = inventory(status)?;
        let cluster_wide = keys.iter().filter(|key| key.namespace.is_none());
        // Policies outlive what they protect.
        let (namespaces, rest): (Vec<&ObjectKey>, Vec<&ObjectKey>) =
            cluster_wide.partition(|key| key.kind == Kind::Namespace);
        for keys in [namespaces, rest] {
            let mut going = Vec::new();
            for key in keys {
                let objects = api(self.client(), key, &resource(status, key)?);
                let Some(object) = objects.get_opt(&key.name).await? else {
                    continue;
                };
                if object.labels().get(names::OWNER) != Some(&self.zone) {
                    continue;
                }
                let recorded = status.namespaces.iter().find(|it| *it.name == *key.name);
                let parameters = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: recorded.and_then(|it| it.uid.clone()).or(object.uid()),
                        resource_version: None,
                    }),
                    ..DeleteParams::default()
                };
                objects.delete(&key.name, &parameters).await?;
                going.push((key, objects));
            }
            for (key, objects) in going {
                eventually(GONE_DEADLINE, &format!("the end of {key}"), async || {
                    Ok(objects.get_opt(&key.name).await?.is_none().then_some(()))
                })
                .await?;
            }
        }
        Ok(())
    }
}

/// Refuses a cluster in which the operator would find work of others, or compete with itself.
async fn ensure_undisturbed(client: &Client, sample: &LandingZone) -> Result<()> {
    let zones: Api<LandingZone> = Api::all(client.clone());
    match zones.list(&ListParams::default()).await {
        Ok(found) if found.items.is_empty() => {}
        Ok(found) => bail!(
            "the cluster has {} landing zones, and the demo's operator would take them over: use a \
             cluster without any",
            found.items.len()
        ),
        // The kind is not installed yet.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(error).context("failed to look for landing zones"),
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let running = pods.list(&ListParams::default()).await;
    let running = running
        .context("failed to look for another operator")?
        .items;
    ensure!(
        running.is_empty(),
        "pods run in {SYSTEM}, an operator perhaps: two would compete"
    );
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for declared in &sample.spec.namespaces {
        let name = &declared.name;
        let found = namespaces.get_opt(name).await;
        ensure!(
            found.context("failed to look for namespaces")?.is_none(),
            "the namespace {name} exists: the demo removes its namespaces at the end, and this one \
             may hold something of yours"
        );
    }
    Ok(())
}

fn ask(page: &mut Page) -> Result<()> {
    ensure!(
        std::io::stdin().is_terminal(),
        "nobody can be asked here: --yes says that the demo may do that"
    );
    page.say("Go on? [y/N]");
    std::io::stdout().flush().context("failed to ask")?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("failed to read the answer")?;
    let yes = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    ensure!(yes, "nothing was changed");
    Ok(())
}

/// The user's way to the cluster, with a token of the operator's `ServiceAccount`.
async fn kubeconfig_of_operator(
    client: &Client,
    mut kubeconfig: Kubeconfig,
    context: &str,
) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(i64::try_from(TOKEN_LIFETIME.as_secs())?),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(ACCOUNT, &PostParams::default(), &request)
        .await
        .context("failed to get a token for the operator")?;
    let token = answer
        .status
        .context("a token request was not answered")?
        .token;

    kubeconfig.contexts.retain(|it| it.name == context);
    let chosen = kubeconfig.contexts.first_mut();
    let chosen = chosen.and_then(|it| it.context.as_mut());
    let chosen = chosen.with_context(|| format!("the context {context} is empty"))?;
    chosen.user = Some(ACCOUNT.to_owned());
    kubeconfig.clusters.retain(|it| it.name == chosen.cluster);
    kubeconfig.current_context = Some(context.to_owned());
    let user = json!({"name": ACCOUNT, "user": {"token": token}});
    kubeconfig.auth_infos = vec![serde_json::from_value(user)?];
    // JSON is YAML too.
    serde_json::to_string(&kubeconfig).context("failed to write a kubeconfig")
}

/// The user's kubectl, or else the one that belongs to the local cluster.
async fn kubectl() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
    if let Some(found) = candidates.find(|file| file.is_file()) {
        return Ok(found);
    }
    let build = tokio::task::spawn_blocking(|| ControlPlaneBinaries::ensure(&Progress::new()));
    Ok(build
        .await
        .context("the build of kubectl was cut off")??
        .kubectl)
}

/// The folder of the operator's kubeconfig and log. It holds a token, so it goes at the end; what a
/// killed demo left is removed by the next.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn take() -> Result<Self> {
        let all = workspace::state().join("demo");
        fs::create_dir_all(&all).context("failed to make the folder of the demo")?;
        for entry in fs::read_dir(&all).context("failed to list old folders")? {
            let old = entry.context("failed to list old folders")?;
            // Named after its process, which the kernel does not know any more.
            if !Path::new("/proc").join(old.file_name()).exists() {
                fs::remove_dir_all(old.path()).context("failed to remove an old folder")?;
            }
        }
        let path = all.join(std::process::id().to_string());
        fs::create_dir_all(&path).context("failed to make the folder of the demo")?;
        Ok(Self { path })
    }

    fn kubeconfig(&self) -> PathBuf {
        self.path.join("operator.kubeconfig")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody is left to tell; the next demo tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}
