//! An authority of a test's own, and certificates that it signed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use super::folder::{ServerFolder, ServerUser};

/// Files in PEM: `ca.pem`, `server.pem` and `server.key` for the host name `localhost`, `client.pem` and `client.key` for
/// the client that is named, `other-ca.pem` of an authority that signed nothing, and `server-all.pem` with the server's
/// key and certificate together.
#[derive(Debug)]
pub struct Certificates {
    folder: ServerFolder,
}

impl Certificates {
    /// New ones, with a certificate for this client.
    pub fn new(client: &str) -> Self {
        let owner = ServerUser::unprivileged();
        let made = Self {
            folder: ServerFolder::new("certificates", owner),
        };
        let authority = authority("the tests' authority");
        made.write("ca.pem", &authority.pem(), owner);
        made.write("other-ca.pem", &self::authority("another authority").pem(), owner);
        let server = params("localhost", &["localhost"], ExtendedKeyUsagePurpose::ServerAuth);
        let client = params(client, &[], ExtendedKeyUsagePurpose::ClientAuth);
        for (name, params) in [("server", server), ("client", client)] {
            let key = KeyPair::generate().expect("a key can be made");
            let certificate = params.signed_by(&key, &authority).expect("it can be signed");
            made.write(&format!("{name}.pem"), &certificate.pem(), owner);
            made.write(&format!("{name}.key"), &key.serialize_pem(), owner);
            let both = key.serialize_pem() + &certificate.pem();
            made.write(&format!("{name}-all.pem"), &both, owner);
        }
        made
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// The same as text.
    ///
    /// # Panics
    /// If the path is no text.
    pub fn text(&self, name: &str) -> String {
        let path = self.path(name);
        path.to_str().expect("the path is text").to_owned()
    }

    /// PostgreSQL takes a key only if nobody else may read it.
    fn write(&self, name: &str, text: &str, owner: Option<ServerUser>) {
        let path = self.path(name);
        fs::write(&path, text).expect("the file can be written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it can be hidden");
        if let Some(ServerUser { uid, gid }) = owner {
            chown(&path, Some(uid), Some(gid)).expect("it can be given away");
        }
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(params, key).expect("it signs itself")
}

fn params(name: &str, hosts: &[&str], purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| host.to_string()).collect();
    let mut params = CertificateParams::new(hosts).expect("host names are right");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}
