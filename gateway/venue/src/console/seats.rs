//! The seats that the console has at order entry: one for each key that somebody is in with.
//!
//! A seat is a session like any trader's, opened with the key's file of the data folder. It has a number of its own, so
//! that the key's other programs go on beside it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use client::rustls::pki_types::pem::PemObject;
use client::rustls::pki_types::{CertificateDer, ServerName};
use client::{Access, Credentials, Options, Trust};
use engine::{AccountId, KeyId};

use super::locked;
use super::seat::Seat;
use crate::arguments::OrderEntrySecurity;
use crate::data_folder::KeyFile;
use crate::reach;

/// One more than the highest session that a venue has, and more than any key's number.
const SESSIONS: u64 = 16_384;

/// The console's session of a key: from above, where nobody begins to count.
fn session_of(key: KeyId) -> wire::SessionId {
    wire::SessionId(SESSIONS.saturating_sub(key.0.into()).max(1))
}

/// The seats, and how another is taken.
pub(super) struct Seats {
    data: PathBuf,
    order_entry: SocketAddr,
    security: OrderEntrySecurity,
    taken: Mutex<BTreeMap<KeyId, Arc<Seat>>>,
}

/// Why there is no seat, in words.
pub(super) type NoSeat = String;

impl Seats {
    pub(super) fn new(data: PathBuf, order_entry: SocketAddr, security: OrderEntrySecurity) -> Self {
        Self { data, order_entry: reach::reachable(order_entry), security, taken: Mutex::default() }
    }

    /// The key's seat, which is taken if it has none, or if the one it had is over or another account's.
    ///
    /// `public_key` is what the venue knows the key by: a file that has another secret is not its.
    pub(super) fn of(&self, key: KeyId, account: AccountId, public_key: [u8; 32]) -> Result<Arc<Seat>, NoSeat> {
        let mut taken = locked(&self.taken);
        if let Some(seat) = taken.get(&key).filter(|seat| seat.is_of(account.into())) {
            return Ok(Arc::clone(seat));
        }
        let access = self.access(key, public_key)?;
        let seat = Arc::new(Seat::take(access, account.into()));
        if let Some(before) = taken.insert(key, Arc::clone(&seat)) {
            // Both would have the same session.
            before.leave();
        }
        Ok(seat)
    }

    /// Gives up the seats of all keys but those that are kept.
    pub(super) fn keep(&self, is_kept: impl Fn(KeyId) -> bool) {
        locked(&self.taken).retain(|key, _| is_kept(*key));
    }

    fn access(&self, key: KeyId, public_key: [u8; 32]) -> Result<Access, NoSeat> {
        let signing_key = key_files(&self.data)
            .filter(|(_, file)| file.key == key.0)
            .filter_map(|(path, file)| file.signing_key(&path).ok())
            .find(|signing_key| signing_key.verifying_key().to_bytes() == public_key)
            .ok_or("the file of this key is not in the venue's data folder: the console cannot trade with it")?;
        let session = session_of(key);
        let credentials = Credentials { session, key: key.into(), signing_key };
        let addresses = vec![self.order_entry];
        Ok(Access { addresses, trust: self.trust()?, credentials, options: Options::DEFAULT })
    }

    fn trust(&self) -> Result<Trust, NoSeat> {
        if self.security == OrderEntrySecurity::PlainLoopback {
            return Ok(Trust::PlainLoopback);
        }
        let certificate = CertificateDer::from_pem_file(self.data.join("certificate.pem"));
        let certificate = certificate.map_err(|error| format!("the venue's certificate: {error}"))?;
        let name = ServerName::try_from("localhost").expect("a name");
        Trust::certificate(name, certificate).map_err(|error| format!("the venue's certificate: {error}"))
    }
}

/// The keys of a data folder that can be read.
fn key_files(data: &Path) -> impl Iterator<Item = (PathBuf, KeyFile)> {
    let files = std::fs::read_dir(data.join("keys")).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|end| end == "json")).filter_map(|path| {
        let file = KeyFile::read(&path).ok()?;
        Some((path, file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_folder::key_file;

    #[tokio::test]
    async fn a_key_that_trades_for_another_account_has_another_seat() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        let (key, [first, second]) = (KeyId(2), [2, 3].map(AccountId));
        let signing_key = KeyFile::make(&key_file(folder.path(), "alice"), key, 1, 2).unwrap();
        let public_key = signing_key.verifying_key().to_bytes();
        // Nobody listens there: a seat goes on trying.
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let seats = Seats::new(folder.path().to_owned(), nowhere, OrderEntrySecurity::PlainLoopback);

        let before = seats.of(key, first, public_key).unwrap();
        assert!(Arc::ptr_eq(&before, &seats.of(key, first, public_key).unwrap()));
        let after = seats.of(key, second, public_key).unwrap();
        assert!(!Arc::ptr_eq(&before, &after) && after.is_of(second.into()));
        // Whoever still holds the first does not hold its session.
        while before.is_of(first.into()) {
            tokio::task::yield_now().await;
        }
        assert!(Arc::ptr_eq(&after, &seats.of(key, second, public_key).unwrap()));
    }
}
