//! The login that `docs/PROTOCOL.md` shows byte by byte is the one that a client sends.

use std::fs;
use std::path::Path;

use client::session::{Credentials, Options, Resume, Session};
use client::wire::{KeyId, SessionId, SessionVersion, Timestamp};
use ed25519_dalek::SigningKey;

const TIME: u64 = 1_790_000_000_000_000_000;

fn published() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/PROTOCOL.md")).unwrap()
}

/// The bytes of a block of hexadecimal with remarks.
fn bytes(block: &str) -> Vec<u8> {
    let digits = block.lines().flat_map(|line| line.split('|').next().unwrap_or_default().split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn the_published_login_is_what_is_sent() {
    let published = published();
    let login = published.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let secret = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let signing_key = SigningKey::from_bytes(&secret);
    let public_key: String = signing_key.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(published.contains(&public_key));
    let credentials = Credentials { session: SessionId(5), key: KeyId(5), signing_key };
    let mut session = Session::new(credentials, Options::DEFAULT, Resume::Anew(SessionVersion(TIME)), Timestamp(TIME));
    assert_eq!(session.take_out(), bytes(login));
}
