//! The venue's data folder: journal, development certificate, keys, and where a running venue listens.
//!
//! ```text
//! DIR/journal/…          the journal
//! DIR/founding/…         the journal of a venue in the making, for a moment
//! DIR/certificate.pem    the venue's certificate, for clients to trust
//! DIR/certificate.key    its private key, for the venue alone
//! DIR/checkpoint.key     what the venue signs its checkpoints with
//! DIR/checkpoint.pub     the public half, hexadecimal, for whoever checks them: keep a copy elsewhere
//! DIR/snapshots/…        states of the past, and signed checkpoints
//! DIR/history/…          what has happened, to be looked up; derived from the journal
//! DIR/keys/NAME.json     a demo key: who it is, what it may act for, its secret
//! DIR/access.jsonl        what was asked at the operator's door, line by line, each with the hash of the one before
//! DIR/venue.json         where the venue listens, while it runs
//! ```
//!
//! Secrets are readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use engine::{AccountId, KeyId, SessionId};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use crate::admin::signature::bytes;

/// A venue's data folder.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// What cannot be done with a data folder.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// The operating system failed.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file does not say what it should.
    #[error("{}: {reason}; move the file away to have a new one made", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A key with everything that is needed to log in with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    /// The key's identity.
    pub key: u32,
    /// The session that it opens.
    pub session: u32,
    /// The account that it trades for; 0 for an administrator.
    pub account: u32,
    /// The Ed25519 secret, hexadecimal.
    pub secret: String,
}

impl KeyFile {
    /// Makes a key pair and its file.
    pub fn make(file: &Path, key: KeyId, session: u32, account: u32) -> Result<SigningKey, DataFolderError> {
        let secret = random()?;
        let contents = Self { key: key.0, session, account, secret: hexadecimal(&secret) };
        let text = serde_json::to_string_pretty(&contents).expect("a plain record");
        write_new(file, &text, Readers::Owner)?;
        Ok(SigningKey::from_bytes(&secret))
    }

    /// What a key file says.
    pub fn read(file: &Path) -> Result<Self, DataFolderError> {
        let unusable =
            |error: serde_json::Error| DataFolderError::Unusable { file: file.to_owned(), reason: error.to_string() };
        serde_json::from_str(&read(file)?).map_err(unusable)
    }

    /// Its secret, as it signs; `file` is for the error.
    pub fn signing_key(&self, file: &Path) -> Result<SigningKey, DataFolderError> {
        let secret = bytes(&self.secret).ok_or_else(|| DataFolderError::Unusable {
            file: file.to_owned(),
            reason: "the secret is not 64 hexadecimal digits".to_owned(),
        })?;
        Ok(SigningKey::from_bytes(&secret))
    }
}

/// Random bytes of the system's.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], DataFolderError> {
    let mut bytes = [0; N];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| io_error(Path::new("random bytes"))(error.into()))?;
    Ok(bytes)
}

/// Where a data folder keeps the key of this name.
pub fn key_file(folder: &Path, name: &str) -> PathBuf {
    folder.join("keys").join(format!("{name}.json"))
}

/// Who a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHolder {
    /// The file's name.
    pub name: &'static str,
    /// The key's identity.
    pub key: KeyId,
    /// The session that it opens.
    pub session: SessionId,
    /// The account that it trades for; none for an administrator.
    pub account: AccountId,
}

/// A certificate and its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// What clients trust.
    pub certificate: String,
    /// What the venue signs with.
    pub private_key: String,
}

impl Certificate {
    /// What TLS libraries take.
    pub fn parse(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), DataFolderError> {
        let unusable = |error: pem::Error| DataFolderError::Unusable {
            file: PathBuf::from("certificate.pem and certificate.key"),
            reason: error.to_string(),
        };
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes()).map_err(unusable)?;
        Ok((certificates.map_err(unusable)?, key))
    }
}

impl DataFolder {
    /// The folder at `path`, made if it is not there.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let keys = path.join("keys");
        fs::create_dir_all(&keys).map_err(io_error(&keys))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The venue's certificate; one for this machine is made on first use.
    pub fn certificate(&self) -> Result<Certificate, DataFolderError> {
        let (certificate, key) = (self.path.join("certificate.pem"), self.path.join("certificate.key"));
        if !certificate.exists() {
            let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
            let made = rcgen::generate_simple_self_signed(names)
                .map_err(|error| DataFolderError::Unusable { file: certificate.clone(), reason: error.to_string() })?;
            // The certificate comes last: where there is none, a key that was left alone is replaced.
            write_new(&key, &made.signing_key.serialize_pem(), Readers::Owner)?;
            write_new(&certificate, &made.cert.pem(), Readers::All)?;
        }
        Ok(Certificate { certificate: read(&certificate)?, private_key: read(&key)? })
    }

    /// A holder's key; made on first use.
    pub fn key(&self, holder: &KeyHolder) -> Result<SigningKey, DataFolderError> {
        let file = key_file(&self.path, holder.name);
        if !file.exists() {
            return KeyFile::make(&file, holder.key, holder.session.0, holder.account.0);
        }
        KeyFile::read(&file)?.signing_key(&file)
    }

    /// What the venue signs its checkpoints with; made on first use, with the public half beside it for whoever checks them.
    pub fn checkpoint_key(&self) -> Result<SigningKey, DataFolderError> {
        let (file, public) = (self.path.join("checkpoint.key"), self.path.join("checkpoint.pub"));
        if !file.exists() {
            write_new(&file, &hexadecimal(&random::<32>()?), Readers::Owner)?;
        }
        let secret = bytes(read(&file)?.trim()).ok_or_else(|| DataFolderError::Unusable {
            file: file.clone(),
            reason: "this is not 64 hexadecimal digits".to_owned(),
        })?;
        let key = SigningKey::from_bytes(&secret);
        let half = hexadecimal(key.verifying_key().as_bytes());
        if fs::read_to_string(&public).ok().as_ref() != Some(&half) {
            write_new(&public, &half, Readers::All)?;
        }
        Ok(key)
    }

    /// Says where the venue listens, for the tools that look for it.
    pub fn announce(&self, addresses: &impl Serialize) -> Result<(), DataFolderError> {
        let (file, new) = (self.path.join("venue.json"), self.path.join("venue.json.new"));
        let text = serde_json::to_string(addresses).expect("a plain record");
        fs::write(&new, text).map_err(io_error(&new))?;
        fs::rename(&new, &file).map_err(io_error(&file))
    }

    /// The venue listens no more.
    pub fn withdraw(&self) -> Result<(), DataFolderError> {
        let file = self.path.join("venue.json");
        remove_if_there(&file).map_err(io_error(&file))
    }
}

#[derive(Clone, Copy)]
enum Readers {
    Owner,
    All,
}

/// Writes a file that is there as a whole and for good, or not at all.
fn write_new(file: &Path, text: &str, readers: Readers) -> Result<(), DataFolderError> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::All => 0o644,
    };
    let unfinished = file.with_added_extension("new");
    let written = remove_if_there(&unfinished)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished))
        .and_then(|mut opened| opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all()))
        .and_then(|()| fs::rename(&unfinished, file));
    written.and_then(|()| File::open(folder_of(file))?.sync_all()).map_err(io_error(file))
}

/// Where a file or folder is, also for a bare name.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Another process may remove it first.
fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read(file: &Path) -> Result<String, DataFolderError> {
    fs::read_to_string(file).map_err(io_error(file))
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> DataFolderError + use<> {
    let file = file.to_owned();
    move |source| DataFolderError::Io { file: file.clone(), source }
}

/// Two digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ALICE: KeyHolder = KeyHolder { name: "alice", key: KeyId(2), session: SessionId(2), account: AccountId(2) };

    #[test]
    fn keys_and_certificates_are_made_once_and_secrets_are_the_owners() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path()).unwrap();
        let (key, certificate) = (folder.key(&ALICE).unwrap(), folder.certificate().unwrap());
        let again = DataFolder::open(place.path()).unwrap();
        assert_eq!(again.key(&ALICE).unwrap(), key);
        assert_eq!(again.certificate().unwrap().certificate, certificate.certificate);
        for secret in ["keys/alice.json", "certificate.key"] {
            let mode = fs::metadata(place.path().join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }

    #[test]
    fn a_damaged_key_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path()).unwrap();
        let file = place.path().join("keys/alice.json");
        for (contents, reason) in [
            ("{", "EOF"),
            (r#"{"key": 2, "session": 2, "account": 2, "secret": "00"}"#, "64 hexadecimal digits"),
            (r#"{"key": 2, "session": 2, "account": 2}"#, "missing field `secret`"),
        ] {
            fs::write(&file, contents).unwrap();
            let said = folder.key(&ALICE).unwrap_err().to_string();
            assert!(said.contains(reason) && said.contains("keys/alice.json"), "{said}");
        }
    }
}
