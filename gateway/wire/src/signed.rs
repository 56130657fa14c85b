//! The canonical text that a login's and an opening's signatures cover.
//!
//! Text and not the message's bytes, so that it does not depend on a schema's version or a block's padding, and so that
//! a person can see what was signed. Lines end with `\n`, numbers are decimal without leading zeros, names are the
//! schema's, and the first line says what is signed, so that one message's signature is never another's:
//!
//! ```text
//! Rialto Negotiate 1
//! SessionID=7
//! SessionVerID=3
//! KeyID=5
//! Timestamp=1790000000000000000
//! ```

use core::fmt::{self, Write};

use crate::market_data::LogonChallenge;
use crate::session::{Establish, Negotiate};
use crate::value::KeyId;

/// The longest text: 13 fields of a name and at most 20 digits each, and the first line.
const LENGTH_MAX: usize = 512;

/// Text to be signed or verified.
#[derive(Clone, Copy)]
pub struct SignedText {
    bytes: [u8; LENGTH_MAX],
    length: usize,
}

impl SignedText {
    fn new(subject: &str, fields: &[(&str, u64)]) -> Self {
        let mut text = Self { bytes: [0; LENGTH_MAX], length: 0 };
        text.fill(subject, fields).expect("the longest text fits; a test writes it");
        text
    }

    fn fill(&mut self, subject: &str, fields: &[(&str, u64)]) -> fmt::Result {
        writeln!(self, "Rialto {subject}")?;
        fields.iter().try_for_each(|(name, value)| writeln!(self, "{name}={value}"))
    }

    /// The text's bytes: what Ed25519 signs.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for SignedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl fmt::Debug for SignedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl Negotiate {
    /// What [`Negotiate::signature`] covers.
    pub fn signed_text(&self) -> SignedText {
        SignedText::new(
            "Negotiate 1",
            &[
                ("SessionID", self.session_id.0),
                ("SessionVerID", self.session_version.0),
                ("KeyID", self.key_id.0),
                ("Timestamp", self.timestamp.0),
            ],
        )
    }
}

impl LogonChallenge {
    /// What [`LogonSignature::signature`](crate::market_data::LogonSignature::signature) covers.
    pub fn signed_text(&self, key_id: KeyId) -> SignedText {
        SignedText::new(
            "Market Data Logon 1",
            &[("KeyID", key_id.0), ("ChallengeHigh", self.challenge_high.0), ("ChallengeLow", self.challenge_low.0)],
        )
    }
}

impl Establish {
    /// What [`Establish::signature`] covers.
    pub fn signed_text(&self) -> SignedText {
        SignedText::new(
            "Establish 1",
            &[
                ("SessionID", self.session_id.0),
                ("SessionVerID", self.session_version.0),
                ("KeyID", self.key_id.0),
                ("Nonce", self.nonce.0),
                ("Timestamp", self.timestamp.0),
                ("NextSeqNo", self.next_sequence.0),
                ("KeepAliveInterval", self.keep_alive.0.into()),
                ("CODTimeoutWindow", self.cancel_grace.0.into()),
                ("OrderEntrySchemaID", self.order_entry_schema_id.0.into()),
                ("OrderEntrySchemaVersion", self.order_entry_schema_version.0.into()),
                ("SessionSchemaVersion", self.session_schema_version.0.into()),
                ("CancelOnDisconnectType", self.cancel_on_disconnect as u64),
            ],
        )
    }
}
