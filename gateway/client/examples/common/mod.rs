//! How the examples find a venue on this machine: its data folder holds its address, its certificate and the keys.

use std::error::Error;
use std::fs;
use std::path::Path;

use client::rustls::pki_types::pem::PemObject;
use client::rustls::pki_types::{CertificateDer, ServerName};
use client::wire::{AccountId, KeyId, SessionId};
use client::{Access, Credentials, Options, SigningKey, Trust};
use serde_json::Value;

/// How the holder of a key reaches the venue of a data folder, and the account that the key acts for.
pub(crate) fn access(data: &Path, name: &str, options: Options) -> Result<(Access, AccountId), Box<dyn Error>> {
    let venue: Value = json(&data.join("venue.json"))?;
    let address = venue["order_entry"].as_str().ok_or("venue.json: order_entry is missing")?.parse()?;
    let certificate = CertificateDer::from_pem_file(data.join("certificate.pem"))?;
    let key: Value = json(&data.join("keys").join(format!("{name}.json")))?;
    let number = |field: &str| key[field].as_u64().ok_or(format!("{name}.json: {field} is missing"));
    let credentials = Credentials {
        session: SessionId(number("session")?),
        key: KeyId(number("key")?),
        signing_key: SigningKey::from_bytes(&secret(key["secret"].as_str().unwrap_or_default())?),
    };
    let trust = Trust::certificate(ServerName::try_from("localhost")?, certificate)?;
    Ok((Access { addresses: vec![address], trust, credentials, options }, AccountId(number("account")?)))
}

fn json(file: &Path) -> Result<Value, Box<dyn Error>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// 64 hexadecimal digits.
fn secret(digits: &str) -> Result<[u8; 32], Box<dyn Error>> {
    let pairs =
        digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair)?, 16).map_err(Into::into));
    let bytes: Result<Vec<u8>, Box<dyn Error>> = pairs.collect();
    Ok(bytes?.try_into().map_err(|_| "the secret is not 64 hexadecimal digits")?)
}
