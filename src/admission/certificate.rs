//! The certificate of the webhook. Where the operator makes it, nobody else signs with its authority: both are made together,
//! the authority's key is forgotten at once, and both are replaced in good time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{RootCertStore, ServerConfig};

/// How long a certificate is valid.
const LIFETIME: Duration = Duration::from_hours(90 * 24);
/// So long before its end it is replaced.
pub const RENEWED_BEFORE: Duration = Duration::from_hours(30 * 24);
/// Clocks differ.
const SKEW: Duration = Duration::from_hours(24);

/// A certificate with its key and its authority, each in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom the API server has to trust: the authority, and after it the one before.
    pub authorities: String,
    /// The server's certificate, and after it those between it and its authority.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

/// Why a certificate cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It could not be made.
    #[error("failed to make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// It is not in PEM form.
    #[error("failed to read the certificate or its key")]
    Read(#[from] rustls::pki_types::pem::Error),
    /// The server or its clients cannot use it.
    #[error("the certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
    /// No client can trust it.
    #[error("no client can trust the certificate: {0}")]
    Trust(#[from] rustls::client::VerifierBuilderError),
    /// Nobody can be called so.
    #[error("\"{0}\" is no name that a server can have")]
    Name(String),
}

impl Certificate {
    /// Makes one for a server of that name, or address. An authority of before is still trusted for a while, so that
    /// nothing breaks off while the new one spreads.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn make(server: &str, now: Timestamp, before: Option<&Self>) -> Result<Self, Unfit> {
        let authority_key = KeyPair::generate()?;
        let mut authority = lasting(Vec::new(), "landing-zone-operator-guard authority", now)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let signed = authority.self_signed(&authority_key)?;
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate()?;
        let mut params = lasting(vec![server.to_owned()], "landing-zone-operator-guard", now)?;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &issuer)?;

        let mut authorities = signed.pem();
        if let Some(before) = before.and_then(|before| first(&before.authorities)) {
            authorities.push_str(before);
        }
        Ok(Self {
            authorities,
            chain: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Whom the API server has to trust while it may still be shown another certificate: the authorities of that one, too.
    #[must_use]
    pub fn authorities_beside(&self, shown: &Self) -> String {
        let mut authorities = self.authorities.clone();
        // Where somebody else keeps them, any of them may be the one that counts.
        for other in each(&shown.authorities) {
            // Another one of the same name may be among them: so the whole of it is compared.
            if authorities.contains(other.trim_end()) {
                continue;
            }
            if !authorities.ends_with('\n') {
                authorities.push('\n');
            }
            authorities.push_str(other);
        }
        authorities
    }

    /// Whether the API server will take a server of that name for what it is, at that time.
    ///
    /// # Errors
    /// Why it will not.
    pub fn examine(&self, server: &str, at: Timestamp) -> Result<(), Unfit> {
        self.for_server()?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect::<Result<_, _>>()?;
        let Some((certificate, between)) = chain.split_first() else {
            return Err(rustls::pki_types::pem::Error::NoItemsFound.into());
        };
        let at = Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default());
        let at = UnixTime::since_unix_epoch(at);
        verifier.verify_server_cert(certificate, between, &name(server)?, &[], at)?;
        Ok(())
    }

    /// For the server.
    ///
    /// # Errors
    /// When it cannot be read, or its key is another one's.
    pub fn for_server(&self) -> Result<Arc<ServerConfig>, Unfit> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain?, key)?;
        Ok(Arc::new(config))
    }

    /// Whom a client trusts that knows its authorities.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, Unfit> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(self.authorities.as_bytes()) {
            roots.add(authority?)?;
        }
        Ok(Arc::new(roots))
    }
}

/// The cryptography of the whole process.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server's name or address, as clients ask for it.
pub(super) fn name(server: &str) -> Result<ServerName<'static>, Unfit> {
    ServerName::try_from(server.to_owned()).map_err(|_| Unfit::Name(server.to_owned()))
}

fn lasting(
    names: Vec<String>,
    subject: &str,
    now: Timestamp,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, subject);
    let day = |at: Timestamp| {
        let day = at.to_zoned(TimeZone::UTC).date();
        let [month, of_month] = [day.month(), day.day()].map(|it| u8::try_from(it).unwrap_or(1));
        date_time_ymd(day.year().into(), month, of_month)
    };
    params.not_before = day(now - SKEW);
    params.not_after = day(now + LIFETIME);
    Ok(params)
}

/// The first of several certificates.
fn first(authorities: &str) -> Option<&str> {
    const END: &str = "-----END CERTIFICATE-----";
    let end = authorities.find(END)? + END.len();
    let rest = authorities[end..]
        .strip_prefix("\r\n")
        .or(authorities[end..].strip_prefix('\n'));
    Some(&authorities[..authorities.len() - rest.map_or(0, str::len)])
}

/// Each of several certificates.
fn each(authorities: &str) -> impl Iterator<Item = &str> {
    let mut rest = authorities;
    std::iter::from_fn(move || {
        let found = first(rest)?;
        rest = &rest[found.len()..];
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "landing-zone-operator-guard.landing-zone-system.svc";

    fn now() -> Timestamp {
        "2026-11-26T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_new_certificate_is_good_for_its_name_until_it_ends() {
        let made = Certificate::make(SERVER, now(), None).unwrap();
        made.examine(SERVER, now()).unwrap();
        made.examine(SERVER, now() + RENEWED_BEFORE).unwrap();
        let ended = made.examine(SERVER, now() + LIFETIME + SKEW).unwrap_err();
        assert!(ended.to_string().contains("expired"), "{ended}");
        let other = made.examine("example.com", now()).unwrap_err();
        assert!(matches!(other, Unfit::Use(_)), "{other}");
    }

    #[test]
    fn addresses_are_names_too() {
        let made = Certificate::make("127.0.0.1", now(), None).unwrap();
        made.examine("127.0.0.1", now()).unwrap();
    }

    #[test]
    fn the_authority_of_before_is_trusted_for_a_while() {
        let first = Certificate::make(SERVER, now(), None).unwrap();
        let second = Certificate::make(SERVER, now(), Some(&first)).unwrap();
        let third = Certificate::make(SERVER, now(), Some(&second)).unwrap();
        for (trusting, serving, expected) in [
            (&second, &first, true),
            (&third, &second, true),
            (&third, &first, false),
        ] {
            let mixed = Certificate {
                authorities: trusting.authorities.clone(),
                ..serving.clone()
            };
            assert_eq!(mixed.examine(SERVER, now()).is_ok(), expected);
        }
    }

    #[test]
    fn whichever_authority_vouches_for_what_is_shown_is_told() {
        let make = || Certificate::make(SERVER, now(), None).unwrap();
        let (mut shown, other, next) = (make(), make(), make());
        // As a Secret of somebody else may have them: in any order.
        shown.authorities = other.authorities + &shown.authorities;
        shown.examine(SERVER, now()).unwrap();
        let told = next.authorities_beside(&shown);
        for served in [&shown, &next] {
            let seen = Certificate {
                authorities: told.clone(),
                ..served.clone()
            };
            seen.examine(SERVER, now()).unwrap();
        }
        // Each of them once.
        assert_eq!(told.matches("BEGIN CERTIFICATE").count(), 3);
        assert_eq!(shown.authorities_beside(&shown), shown.authorities);
    }

    #[test]
    fn what_does_not_belong_together_is_not_used() {
        let one = Certificate::make(SERVER, now(), None).unwrap();
        let other = Certificate::make(SERVER, now(), None).unwrap();
        for mixed in [
            Certificate {
                key: other.key.clone(),
                ..one.clone()
            },
            Certificate {
                authorities: other.authorities.clone(),
                ..one.clone()
            },
            Certificate {
                chain: "no certificate".to_owned(),
                ..one.clone()
            },
            Certificate {
                key: String::new(),
                ..one.clone()
            },
        ] {
            assert!(mixed.examine(SERVER, now()).is_err());
        }
    }
}
