//! What an administrator signs: one text that says all of a request.
//!
//! ```text
//!   RIALTO-ADMIN-1
//!   POST                                     the method
//!   /admin/v1/instrument/halt                path and query, as sent
//!   1                                        the key
//!   1764000000000000000                      when, in nanoseconds since 1970
//!   8231                                     the request's idempotency key; 0 for what only reads
//!   af1349b9…                                BLAKE3 of the body, hexadecimal
//! ```
//!
//! Lines end in one line feed, the last one too. Numbers are decimal, without leading zeros.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use engine::{IdempotencyKey, KeyId, Timestamp};

/// The header that names the key.
pub const KEY_HEADER: &str = "rialto-key";
/// The header that says when, in nanoseconds since 1970.
pub const TIME_HEADER: &str = "rialto-time";
/// The header that names a change; absent or 0 for what only reads.
pub const REQUEST_HEADER: &str = "rialto-request";
/// The header with the signature, 128 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "rialto-signature";

/// How far a request's time may be from the venue's.
pub const TIME_TOLERANCE_NS: u64 = 5_000_000_000;

/// All that is signed.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// As in the request's first line.
    pub method: &'a str,
    /// Path and query, as in the request's first line.
    pub path: &'a str,
    /// Who signs.
    pub key: KeyId,
    /// When.
    pub time: Timestamp,
    /// The change's name; none for what only reads.
    pub idempotency_key: IdempotencyKey,
    /// The whole body.
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// The signature, as its header carries it.
    pub fn sign(&self, key: &SigningKey) -> String {
        key.sign(self.text().as_bytes()).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether the header's signature is that of the key.
    pub fn is_signed_by(&self, public_key: &[u8; 32], signature: &str) -> bool {
        let Some(signature) = bytes(signature) else { return false };
        let verified = VerifyingKey::from_bytes(public_key)
            .and_then(|key| key.verify_strict(self.text().as_bytes(), &Signature::from_bytes(&signature)));
        verified.is_ok()
    }

    fn text(&self) -> String {
        let Self { method, path, key, time, idempotency_key, body } = self;
        let body = blake3::hash(body).to_hex();
        format!("RIALTO-ADMIN-1\n{method}\n{path}\n{key}\n{}\n{idempotency_key}\n{body}\n", time.0)
    }
}

/// Exactly `N` bytes in hexadecimal.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let (pairs, odd) = digits.as_deref()?.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    if odd.is_empty() { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>() -> SignedRequest<'a> {
        SignedRequest {
            method: "POST",
            path: "/admin/v1/instrument/halt",
            key: KeyId(1),
            time: Timestamp(1_764_000_000_000_000_000),
            idempotency_key: IdempotencyKey(8_231),
            body: b"",
        }
    }

    #[test]
    fn the_text_is_what_the_page_says() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let text = format!("RIALTO-ADMIN-1\nPOST\n/admin/v1/instrument/halt\n1\n1764000000000000000\n8231\n{empty}\n");
        assert_eq!(request().text(), text);
    }

    #[test]
    fn a_signature_covers_every_part() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = request().sign(&key);
        assert!(request().is_signed_by(&public, &signature));
        let others = [
            SignedRequest { method: "GET", ..request() },
            SignedRequest { path: "/admin/v1/instrument/resume", ..request() },
            SignedRequest { key: KeyId(2), ..request() },
            SignedRequest { time: Timestamp(1), ..request() },
            SignedRequest { idempotency_key: IdempotencyKey(8_232), ..request() },
            SignedRequest { body: b" ", ..request() },
        ];
        for other in others {
            assert!(!other.is_signed_by(&public, &signature), "{other:?}");
        }
        let another = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        assert!(!request().is_signed_by(&another, &signature));
        for broken in ["", "00", &signature[1..], &format!("{signature}00"), &"é".repeat(64)] {
            assert!(!request().is_signed_by(&public, broken), "{broken}");
        }
    }
}
