//! Certificates for one sandbox: an authority, the servers' certificate (localhost and 127.0.0.1, so that a
//! client may verify the identity) and a client's. Made anew each time: nothing secret is ever stored for long.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use super::Error;

/// The files of a sandbox's certificates, named as MySQL names them.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

// === impl Certificates ===

impl Certificates {
    pub fn create(folder: &Path) -> Result<Certificates, Error> {
        std::fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
        let certificates = Certificates {
            folder: folder.to_owned(),
        };
        let mut authority = named("splitrail sandbox authority", &[])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        write(&certificates.authority(), &authority.pem())?;
        let leaves = [
            (
                "server",
                &["localhost", "127.0.0.1", "::1"][..],
                ExtendedKeyUsagePurpose::ServerAuth,
            ),
            ("client", &[][..], ExtendedKeyUsagePurpose::ClientAuth),
        ];
        for (name, addresses, purpose) in leaves {
            let key = KeyPair::generate()?;
            let mut leaf = named(&format!("splitrail sandbox {name}"), addresses)?;
            leaf.extended_key_usages = vec![purpose];
            write(
                &folder.join(format!("{name}-cert.pem")),
                &leaf.signed_by(&key, &authority)?.pem(),
            )?;
            write(&folder.join(format!("{name}-key.pem")), &key.serialize_pem())?;
        }
        Ok(certificates)
    }

    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub fn server_certificate(&self) -> PathBuf {
        self.folder.join("server-cert.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.folder.join("server-key.pem")
    }

    pub fn client_certificate(&self) -> PathBuf {
        self.folder.join("client-cert.pem")
    }

    pub fn client_key(&self) -> PathBuf {
        self.folder.join("client-key.pem")
    }
}

fn named(common_name: &str, addresses: &[&str]) -> Result<CertificateParams, Error> {
    let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
    let mut parameters = CertificateParams::new(addresses)?;
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(parameters)
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::path("write", path))
}
