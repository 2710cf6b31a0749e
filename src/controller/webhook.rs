//! Keeps the webhook that judges policies: its server, the certificate in a Secret, and what the API server knows of it.
//! It is in force while the platform declares `guard`. Whatever fails here, policies can be written: the webhook's
//! failurePolicy is Ignore, and the background judges them in any case.

mod cluster;
mod handover;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::context::Context;
use super::platform_status::Verdict;
use super::status::Progress;
use crate::admission::certificate::{Certificate, RENEWED_BEFORE};
use crate::admission::{Knowledge, Listening, REVIEW_PATH, probe, serve};
use crate::api::GuardStage;
use crate::api::condition::reason;
use crate::cluster::failure;
use crate::telemetry::GuardLabels;
use cluster::{Found, InCluster};
use handover::Handover;

/// What the objects in `config/guard` are called.
pub(super) const NAME: &str = "landing-zone-operator-guard";
/// How often it is looked whether the server answers. No request to the API server is needed for it.
const PROBED_EVERY: Duration = Duration::from_secs(10);
/// How long the certificate of a moment ago may still be what the cluster shows.
const SETTLES_WITHIN: Duration = Duration::from_secs(1);

/// How the webhook is reached.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the API server finds it; None: by its Service, in the operator's own namespace.
    pub url: Option<http::Uri>,
    /// The namespace of the operator, where that is known.
    pub own_namespace: Option<String>,
    /// Who keeps the certificate.
    pub certificate: CertificateKeeper,
}

/// Who makes the webhook's certificate and replaces it in time. Either way it is in the Secret
/// `landing-zone-operator-guard`, as `ca.crt`, `tls.crt` and `tls.key`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CertificateKeeper {
    /// The operator, with an authority of its own
    #[default]
    Operator,
    /// Somebody else, for instance cert-manager: the Secret is read and never written
    Secret,
}

impl WebhookSettings {
    /// The name, or address, under which the API server asks for it.
    fn server(&self) -> Option<String> {
        if let Some(url) = &self.url {
            let host = url.host()?;
            return Some(host.trim_matches(['[', ']']).to_owned());
        }
        let namespace = self.own_namespace.as_ref()?;
        Some(format!("{NAME}.{namespace}.svc"))
    }

    /// Where the API server asks, if not by the Service.
    fn url(&self) -> Option<String> {
        let url = self.url.as_ref()?;
        let authority = url.authority()?;
        Some(format!("https://{authority}{REVIEW_PATH}"))
    }
}

/// Keeps the webhook as the platform declares it.
pub(super) async fn keep_webhook(context: Arc<Context>, settings: WebhookSettings) {
    let mut keeper = Keeper {
        settings,
        knowledge: watch::Sender::new(None),
        cluster: None,
        serving: None,
        handover: Handover::default(),
    };
    loop {
        let said = keeper.look(&context).await;
        let is_on = said.is_some();
        if let Some(said) = said
            && let Err(error) = context.platform_status.say_guard(&context, said).await
        {
            let error = failure(&error);
            tracing::warn!(error, "failed to write the status of the platform");
        }
        let pause = if is_on { PROBED_EVERY } else { SETTLES_WITHIN };
        tokio::select! {
            () = context.webhook_woken() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What is kept between two looks.
struct Keeper {
    settings: WebhookSettings,
    knowledge: watch::Sender<Option<Knowledge>>,
    /// Present while the webhook is to be there.
    cluster: Option<InCluster>,
    serving: Option<(Listening, Certificate)>,
    /// How far the API server knows the next certificate.
    handover: Handover,
}

/// What is wrong, in one of the reasons of the condition.
struct Wrong(&'static str, String);

impl Keeper {
    /// Looks once. Returns what there is to say; None: nothing is known yet.
    async fn look(&mut self, context: &Arc<Context>) -> Option<Option<Verdict>> {
        let stage = context.platform()?.guard;
        if stage == GuardStage::Off {
            self.knowledge.send_replace(None);
            self.cluster = None;
            self.serving = None;
            context.metrics.guard_ready.clear();
            return Some(None);
        }
        let landscape = context.guard.landscape();
        self.knowledge
            .send_replace(landscape.map(|landscape| Knowledge { stage, landscape }));
        let answers = self.answers(context).await?;
        let labels = GuardLabels {
            stage: format!("{stage:?}"),
        };
        // A series of another stage would go on saying what was.
        if context.metrics.guard_ready.get(&labels).is_none() {
            context.metrics.guard_ready.clear();
        }
        let gauge = context.metrics.guard_ready.get_or_create(&labels);
        gauge.set(i64::from(answers.is_ok()));
        Some(Some(verdict(stage, answers)))
    }

    /// Whether the API server gets answers; None: nothing is known yet.
    async fn answers(&mut self, context: &Arc<Context>) -> Option<Result<(), Wrong>> {
        let (Some(server), Some(namespace)) =
            (self.settings.server(), self.settings.own_namespace.clone())
        else {
            let message =
                "the operator does not know which namespace it runs in; start it with --namespace";
            return Some(Err(Wrong(reason::NO_CERTIFICATE, message.to_owned())));
        };
        let shown = self.shown(&server);
        let cluster = self
            .cluster
            .get_or_insert_with(|| InCluster::follow(context, &namespace));
        let certificate = match cluster.secret() {
            Found::NotListed => return None,
            Found::Unreadable(why) => {
                let message =
                    format!("the Secret {NAME} cannot be read: {why}; apply config/guard");
                return Some(Err(Wrong(reason::NO_CERTIFICATE, message)));
            }
            found => {
                let certificate = match self.settings.certificate {
                    CertificateKeeper::Operator => {
                        certificate(cluster, &found, &server, shown.as_ref()).await
                    }
                    CertificateKeeper::Secret => match (kept_by_others(&found, &server), &shown) {
                        // What is good goes on being shown, whatever becomes of the Secret meanwhile.
                        (Err(_), Some(shown)) => Ok(shown.clone()),
                        (kept, _) => kept,
                    },
                };
                match certificate {
                    Ok(certificate) => certificate,
                    Err(wrong) => return Some(Err(wrong)),
                }
            }
        };
        // What is good goes on being shown until the API server knows the next one.
        let shown = match shown {
            Some(shown) => shown,
            None => match self.serve(context, &certificate) {
                Ok(()) => certificate.clone(),
                Err(wrong) => return Some(Err(wrong)),
            },
        };
        let authorities = certificate.authorities_beside(&shown);
        let cluster = self.cluster.as_ref()?;
        let url = self.settings.url();
        let told = match cluster.webhooks() {
            Found::NotListed => return None,
            Found::Unreadable(why) => Err(Wrong(
                reason::WEBHOOK_MISSING,
                format!(
                    "the ValidatingWebhookConfiguration {NAME} cannot be read: {why}; apply config/guard"
                ),
            )),
            Found::Absent => Err(Wrong(
                reason::WEBHOOK_MISSING,
                format!("there is no ValidatingWebhookConfiguration {NAME}: apply config/guard"),
            )),
            Found::Present(found) => {
                let telling = cluster.tell(&found, &authorities, url.as_deref());
                telling.await.map_err(|why| {
                    let message = format!(
                        "the ValidatingWebhookConfiguration {NAME} could not be told whom to trust: {why}"
                    );
                    Wrong(reason::WEBHOOK_MISSING, message)
                })
            }
        };
        let is_known = match told {
            Ok(is_known) => is_known,
            Err(wrong) => return Some(Err(wrong)),
        };
        let has_spread = self
            .handover
            .has_spread(&authorities, is_known, Instant::now());
        if has_spread
            && shown != certificate
            && let Err(wrong) = self.serve(context, &certificate)
        {
            return Some(Err(wrong));
        }
        let (listening, shown) = self.serving.as_ref()?;
        let trusting = Certificate {
            authorities,
            ..shown.clone()
        };
        let asked = probe(listening.address.port(), &server, &trusting).await;
        Some(asked.map_err(|error| Wrong(reason::NOT_ANSWERING, error.to_string())))
    }

    /// The certificate that is shown, if it is good.
    fn shown(&self, server: &str) -> Option<Certificate> {
        let (listening, shown) = self.serving.as_ref()?;
        let is_good = listening.is_running() && shown.examine(server, Timestamp::now()).is_ok();
        is_good.then(|| shown.clone())
    }

    /// Listens, with this certificate.
    fn serve(&mut self, context: &Context, certificate: &Certificate) -> Result<(), Wrong> {
        self.serving = self
            .serving
            .take()
            .filter(|(listening, _)| listening.is_running());
        let unfit =
            |error: &dyn std::error::Error| Wrong(reason::NO_CERTIFICATE, error.to_string());
        match &mut self.serving {
            Some((_, known)) if known == certificate => Ok(()),
            Some((listening, known)) => {
                listening
                    .renew(certificate)
                    .map_err(|error| unfit(&error))?;
                known.clone_from(certificate);
                Ok(())
            }
            None => {
                let address = self.settings.listen;
                let knowledge = self.knowledge.subscribe();
                let listening = serve(address, certificate, knowledge, context.metrics.clone())
                    .map_err(|error| Wrong(reason::NOT_ANSWERING, error.to_string()))?;
                tracing::info!(%address, "serving the webhook");
                self.serving = Some((listening, certificate.clone()));
                Ok(())
            }
        }
    }
}

/// The certificate in the Secret, if the API server will take it for long enough; otherwise a new one.
async fn certificate(
    cluster: &InCluster,
    secret: &Found<k8s_openapi::api::core::v1::Secret>,
    server: &str,
    shown: Option<&Certificate>,
) -> Result<Certificate, Wrong> {
    let known = match secret {
        Found::Present(secret) => cluster::read(secret),
        Found::Absent | Found::NotListed | Found::Unreadable(_) => None,
    };
    let now = Timestamp::now();
    if let Some(known) = &known
        && known.examine(server, now).is_ok()
        && known.examine(server, now + RENEWED_BEFORE).is_ok()
    {
        return Ok(known.clone());
    }
    // Only what is good now is trusted further on.
    let before = known.filter(|known| known.examine(server, now).is_ok());
    let made = Certificate::make(server, now, before.as_ref().or(shown));
    let made = made.map_err(|error| Wrong(reason::NO_CERTIFICATE, error.to_string()))?;
    let written = cluster.keep(secret, &made).await;
    written.map_err(|why| {
        let message = format!("the Secret {NAME} could not be written: {why}; apply config/guard");
        Wrong(reason::NO_CERTIFICATE, message)
    })?;
    tracing::info!(server, "the webhook has a new certificate");
    Ok(made)
}

/// The certificate that somebody else keeps in the Secret.
fn kept_by_others(
    secret: &Found<k8s_openapi::api::core::v1::Secret>,
    server: &str,
) -> Result<Certificate, Wrong> {
    let wrong = |what: String| {
        let message = format!(
            "{what}; the operator was started with --webhook-certificate=secret, so whoever keeps the Secret has to put \
             a certificate for {server} there: see the Certificate {NAME} of cert-manager"
        );
        Wrong(reason::NO_CERTIFICATE, message)
    };
    let Found::Present(secret) = secret else {
        return Err(wrong(format!("there is no Secret {NAME}")));
    };
    let known = cluster::read(secret).ok_or_else(|| {
        wrong(format!(
            "the Secret {NAME} lacks ca.crt, tls.crt or tls.key"
        ))
    })?;
    known
        .examine(server, Timestamp::now())
        .map_err(|unfit| wrong(format!("in the Secret {NAME} {unfit}")))?;
    Ok(known)
}

fn verdict(stage: GuardStage, answers: Result<(), Wrong>) -> Verdict {
    match answers {
        Ok(()) => {
            let does = match stage {
                GuardStage::Enforce => "refused",
                GuardStage::Off | GuardStage::Observe => "warned of",
            };
            Verdict {
                ready: "True",
                progress: Progress::Done(reason::ANSWERING),
                message: format!(
                    "policies that leave a landing zone's boundary undeclared are {does} when they are written"
                ),
            }
        }
        Err(Wrong(why, message)) => Verdict {
            ready: "False",
            progress: Progress::Done(why),
            message: format!(
                "policies are not judged when they are written, and can be written all the same, since the webhook \
                 is out: {message}; in the background they are judged still, and boundaries hold as before"
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret;

    use super::*;

    const SERVER: &str = "landing-zone-operator-guard.landing-zone-system.svc";

    fn secret(certificate: &Certificate) -> Secret {
        let data: BTreeMap<_, _> = [
            ("ca.crt", &certificate.authorities),
            ("tls.crt", &certificate.chain),
            ("tls.key", &certificate.key),
        ]
        .map(|(key, text)| (key.to_owned(), ByteString(text.clone().into_bytes())))
        .into();
        Secret {
            data: Some(data),
            ..Secret::default()
        }
    }

    #[test]
    fn what_others_keep_is_taken_as_long_as_it_is_good() {
        let made = |at| Certificate::make(SERVER, at, None).unwrap();
        let now = Timestamp::now();
        let good = made(now);
        let taken = kept_by_others(&Found::Present(secret(&good)), SERVER);
        assert!(taken.is_ok_and(|it| it == good));
        // Where the operator would have replaced it long ago.
        let nearly_over = made(now - Duration::from_hours(88 * 24));
        assert!(kept_by_others(&Found::Present(secret(&nearly_over)), SERVER).is_ok());

        let mut incomplete = secret(&good);
        incomplete.data.as_mut().unwrap().remove("ca.crt");
        let over = made(now - Duration::from_hours(91 * 24));
        for (found, words) in [
            (Found::Absent, "there is no Secret"),
            (Found::Present(incomplete), "lacks ca.crt"),
            (Found::Present(secret(&over)), "cannot be used"),
        ] {
            let Err(Wrong(why, message)) = kept_by_others(&found, SERVER) else {
                panic!("{words}: taken")
            };
            assert_eq!(why, reason::NO_CERTIFICATE);
            assert!(message.contains(words), "{message}");
            assert!(message.contains(SERVER), "{message}");
        }
        let other = kept_by_others(&Found::Present(secret(&good)), "other.default.svc");
        assert!(other.is_err());
    }
}
