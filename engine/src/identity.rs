//! Who and what: identities, and the three kinds of sequence.
//!
//! Zero means "none" for every one of them, unless its own line says otherwise.

use crate::canonical::{Canonical, Field, FieldValue, identifier, record};

identifier! {
    /// A thing of value that accounts hold: BTC, USD.
    AssetId(u32);
    /// Something that is traded: BTC-USD.
    InstrumentId(u32);
    /// Who owns balances and orders.
    AccountId(u32);
    /// Accounts with the same non-zero group do not trade with one another; zero: the account alone.
    StpGroup(u32);
    /// One recoverable conversation. Zero: the command came from no session.
    SessionId(u32);
    /// A public key that the venue knows. Zero: the venue itself.
    KeyId(u32);
    /// The venue's name for an order: a handle, slot in the low 24 bits and generation in the high 40.
    OrderId(u64);
    /// The trader's name for an order, unique per account over open and recently closed orders. Zero: none.
    ClientOrderId(u64);
    /// The trade's number, unique in the venue.
    TradeId(u64);
    /// Number of an execution report within its account, without gaps, from 1.
    ExecId(u64);
    /// Place of a command in the one total order of the venue, from 1.
    Sequence(u64);
    /// Place of a message in its session's stream, per direction, from 1.
    SessionSequence(u64);
    /// Number of one login of a session; each must be greater than the last.
    SessionVersion(u64);
    /// Number of one opening of a session; each must be greater than the last. A time in nanoseconds serves.
    LoginNonce(u64);
    /// An administrator's name for a request, so that a repeated one acts once. Zero: none.
    IdempotencyKey(u64);
}

impl AccountId {
    /// The venue's own account, which collects fees and never trades. It exists from the beginning.
    pub const FEES: Self = Self(1);
}

impl KeyId {
    /// The venue itself: may do everything, signs nothing.
    pub const VENUE: Self = Self(0);
}

impl OrderId {
    /// Bits of the slot; the rest is the generation.
    pub const SLOT_BITS: u32 = 24;
    /// The last generation of a slot, after which the slot is retired.
    pub const GENERATION_MAX: u64 = (1 << (64 - Self::SLOT_BITS)) - 1;

    /// The handle of `slot` in its `generation`; both in range, generation from 1.
    pub const fn from_parts(slot: u32, generation: u64) -> Self {
        debug_assert!(slot < 1 << Self::SLOT_BITS && generation <= Self::GENERATION_MAX);
        Self(generation << Self::SLOT_BITS | slot as u64)
    }

    /// The same slot's next handle; its generation is not the last.
    pub(crate) const fn in_next_generation(self) -> Self {
        Self(self.0 + (1 << Self::SLOT_BITS))
    }

    /// The slot.
    pub const fn slot(self) -> u32 {
        (self.0 & ((1 << Self::SLOT_BITS) - 1)) as u32
    }

    /// The generation.
    pub const fn generation(self) -> u64 {
        self.0 >> Self::SLOT_BITS
    }
}

record! {
    /// The name of one event for ever: the command that caused it, and its place among that command's events.
    #[derive(PartialOrd, Ord, Hash)]
    pub struct EventId {
        /// The command.
        pub sequence: Sequence,
        /// From 0.
        pub index: u32,
    }
}

/// Printable ASCII of at most `N` bytes, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Self = Self([0; N]);

    /// `text`, if it is printable ASCII and fits.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: [u8; N]) -> Option<Self> {
        let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(N);
        let (text, padding) = bytes.split_at(length);
        let valid = text.iter().all(|byte| (0x20..0x7F).contains(byte)) && padding.iter().all(|&byte| byte == 0);
        valid.then_some(Self(bytes))
    }

    /// The text without its padding.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(N);
        core::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.first().is_none_or(|&byte| byte == 0)
    }
}

impl<const N: usize> core::fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> Canonical for Text<N> {
    const LENGTH: usize = N;

    fn encode(&self, out: &mut impl crate::canonical::ByteSink) {
        out.write(&self.0);
    }

    fn decode(input: &mut crate::canonical::Reader<'_>) -> Result<Self, crate::canonical::DecodeError> {
        Self::from_bytes(input.take()?).ok_or(crate::canonical::DecodeError::InvalidText)
    }
}

impl<const N: usize> Field for Text<N> {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Text(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_is_a_slot_and_a_generation() {
        let id = OrderId::from_parts(0xAB_CDEF, OrderId::GENERATION_MAX);
        assert_eq!(id.slot(), 0xAB_CDEF);
        assert_eq!(id.generation(), 0xFF_FFFF_FFFF);
        assert_eq!(OrderId::from_parts(7, 3).0, 3 * 16_777_216 + 7);
    }

    #[test]
    fn text_is_printable_ascii_that_fits() {
        assert_eq!(Text::<8>::new("BTC-USD").unwrap().as_str(), "BTC-USD");
        assert_eq!(Text::<7>::new("BTC-USD").unwrap().as_str(), "BTC-USD");
        assert_eq!(Text::<6>::new("BTC-USD"), None);
        assert_eq!(Text::<8>::new("a\nb"), None);
        assert_eq!(Text::<8>::new("é"), None);
        assert_eq!(Text::<4>::from_bytes(*b"a\0b\0"), None);
    }
}
