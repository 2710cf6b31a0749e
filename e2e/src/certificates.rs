//! The certificates and keys of one cluster.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate authority whose files are in one folder.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
    folder: PathBuf,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, in PEM form.
    pub certificate: PathBuf,
    /// Its private key, in PEM form.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority and writes its certificate to `<folder>/<name>.crt`.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let key = KeyPair::generate().context("failed to make a key")?;
        let mut params = named(name, None)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let signed = params
            .self_signed(&key)
            .context("failed to sign a certificate")?;
        let certificate = folder.join(format!("{name}.crt"));
        write_private(&certificate, &signed.pem())?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
            folder: folder.to_path_buf(),
        })
    }

    /// The file of the authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Makes a certificate for a client; Kubernetes reads `user` and `group` from it.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<CertificateFiles> {
        let mut params = named(user, group)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, &user.replace(':', "-"))
    }

    /// Makes a certificate for a server, under all the names given.
    pub fn server(&self, name: &str, alternatives: &[&str]) -> Result<CertificateFiles> {
        let mut params = named(name, None)?;
        let names = alternatives
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>();
        params.subject_alt_names = CertificateParams::new(names)
            .context("a name that no certificate can hold")?
            .subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params, name)
    }

    fn issue(&self, params: &CertificateParams, file: &str) -> Result<CertificateFiles> {
        let key = KeyPair::generate().context("failed to make a key")?;
        let signed = params
            .signed_by(&key, &self.issuer)
            .context("failed to sign a certificate")?;
        let files = CertificateFiles {
            certificate: self.folder.join(format!("{file}.crt")),
            key: self.folder.join(format!("{file}.key")),
        };
        write_private(&files.certificate, &signed.pem())?;
        write_private(&files.key, &key.serialize_pem())?;
        Ok(files)
    }
}

/// The files of the key that signs the tokens of service accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKeyFiles {
    /// Signs.
    pub private: PathBuf,
    /// Verifies. The API server does not derive it from a private key of this form.
    pub public: PathBuf,
}

impl TokenKeyFiles {
    /// Makes a key and writes it to a folder.
    pub fn create(folder: &Path) -> Result<Self> {
        let key = KeyPair::generate().context("failed to make a key")?;
        let files = Self {
            private: folder.join("service-accounts.key"),
            public: folder.join("service-accounts.pub"),
        };
        write_private(&files.private, &key.serialize_pem())?;
        write_private(&files.public, &key.public_key_pem())?;
        Ok(files)
    }
}

/// Writes a file that only its owner may read.
pub fn write_private(file: &Path, text: &str) -> Result<()> {
    File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut open| open.write_all(text.as_bytes()))
        .with_context(|| format!("failed to write {}", file.display()))
}

fn named(name: &str, group: Option<&str>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).context("failed to begin a certificate")?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
