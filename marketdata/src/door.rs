//! Who may see what. Whoever runs a publisher decides it; here is what is asked, and in which words.

use std::collections::BTreeSet;
use std::net::IpAddr;

use engine::{Event, InstrumentId, KeyId};
use wire::FeedLevel;

/// What a subscriber may see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entitlement {
    /// Levels of detail, and of which instruments; none: of all. What one rule shows is shown.
    pub rules: Vec<(Vec<FeedLevel>, Option<BTreeSet<InstrumentId>>)>,
}

impl Entitlement {
    /// Everything.
    pub fn everything() -> Self {
        Self { rules: vec![(crate::LEVELS.to_vec(), None)] }
    }

    /// Whether a level of an instrument may be seen.
    pub fn sees(&self, instrument: InstrumentId, level: FeedLevel) -> bool {
        self.rules.iter().any(|(levels, instruments)| {
            levels.contains(&level) && instruments.as_ref().is_none_or(|instruments| instruments.contains(&instrument))
        })
    }

    /// Whether a level of some instrument may be seen.
    pub fn sees_level(&self, level: FeedLevel) -> bool {
        self.rules.iter().any(|(levels, _)| levels.contains(&level))
    }
}

/// Why a subscriber is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is not known, is revoked, or did not sign; or its holder may not come from there. Which, is not said.
    NotProven,
    /// It has guessed too often.
    LockedOut,
    /// It may see nothing.
    NotEntitled,
}

/// Decides who is let in. It is asked by several threads.
pub trait Door: Send + Sync {
    /// Takes in a released event; says whether anybody's rights changed.
    fn event(&self, event: &Event) -> bool;

    /// What is shown to whoever comes without a key; nothing: they have to log on.
    fn anonymous(&self, from: IpAddr) -> Option<Entitlement>;

    /// Whose the TLS client certificate is, in DER; that its holder has its key is proven.
    ///
    /// # Errors
    /// If it is nobody's, or that may see nothing.
    fn certificate(&self, certificate: &[u8], from: IpAddr) -> Result<(KeyId, Entitlement), Refusal>;

    /// Two random numbers, never the same twice.
    fn challenge(&self) -> [u64; 2];

    /// Whether a key may be asked for from there at all, before any signature is looked at.
    ///
    /// # Errors
    /// If it may not.
    fn knock(&self, key: KeyId, from: IpAddr) -> Result<(), Refusal>;

    /// Whether the holder of a key signed `text`.
    ///
    /// # Errors
    /// If not, or the key may see nothing.
    fn logon(&self, key: KeyId, text: &[u8], signature: &[u8; 64], from: IpAddr) -> Result<Entitlement, Refusal>;

    /// What a key may see now, after a change of rights; nothing: it is revoked.
    fn entitlement(&self, key: KeyId) -> Option<Entitlement>;
}

/// Lets everybody see everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenDoor;

impl Door for OpenDoor {
    fn event(&self, _: &Event) -> bool {
        false
    }

    fn anonymous(&self, _: IpAddr) -> Option<Entitlement> {
        Some(Entitlement::everything())
    }

    fn certificate(&self, _: &[u8], _: IpAddr) -> Result<(KeyId, Entitlement), Refusal> {
        Err(Refusal::NotProven)
    }

    fn challenge(&self) -> [u64; 2] {
        [0; 2]
    }

    fn knock(&self, _: KeyId, _: IpAddr) -> Result<(), Refusal> {
        Err(Refusal::NotProven)
    }

    fn logon(&self, _: KeyId, _: &[u8], _: &[u8; 64], _: IpAddr) -> Result<Entitlement, Refusal> {
        Err(Refusal::NotProven)
    }

    fn entitlement(&self, _: KeyId) -> Option<Entitlement> {
        None
    }
}
