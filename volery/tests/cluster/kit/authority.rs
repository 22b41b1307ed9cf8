//! An authority of the tests' own: signs certificates for this machine, and says so to who must believe it.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// See the module.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of another name than what it signs: else that would look as if it had signed itself.
        params.distinguished_name.push(DnType::CommonName, "an authority of the tests");
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), params.self_signed(&key).expect("signed").pem()).expect("written");
        Self { issuer: Issuer::new(params, key), file }
    }

    /// Its own certificate, for who believes it.
    pub(crate) fn ca(&self) -> &Path {
        self.file.path()
    }

    /// Writes a certificate for 127.0.0.1 and its key, one after the other, as a person does. Where they are.
    pub(crate) fn signs(&self, folder: &Path) -> [PathBuf; 2] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(2126, 1, 1);
        let cert = params.signed_by(&key, &self.issuer).expect("signed").pem();
        let files = [folder.join("cert.pem"), folder.join("key.pem")];
        fs::write(&files[0], cert).expect("written");
        fs::write(&files[1], key.serialize_pem()).expect("written");
        files
    }
}
