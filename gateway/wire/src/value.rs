//! The types of fields: integers with a meaning, and characters.
//!
//! A type that may be absent is an [`Option`]; its null value is sent instead: the highest integer for unsigned types,
//! the lowest for signed ones. Zero would do for identities, sequences and times, for there it names nothing, and the
//! engine takes a zero for "none" as well; but not every decoder recognises a null value of zero.

use crate::error::NotRepresentable;
use crate::layout::{Encoding, Presence, ValueLayout};

/// A value that can stand in a block.
pub trait Value: Copy {
    /// What the schema says about it.
    const LAYOUT: ValueLayout;
    /// Bytes in a block.
    const LENGTH: usize = Self::LAYOUT.length() as usize;
    /// Absent; where it cannot be, zero or the code that is known to nobody.
    const BLANK: Self;

    /// Writes it to `out`, which has [`Value::LENGTH`] bytes.
    fn write(self, out: &mut [u8]);

    /// Reads it from `bytes`, which are [`Value::LENGTH`] bytes. Every pattern of bits is some value.
    fn read(bytes: &[u8]) -> Self;
}

/// The bytes of one integer. The slice was cut to the integer's width by the caller, which knows it at compile time.
pub(crate) fn exact<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

pub(crate) const fn primitive_name(bytes: usize, signed: Signedness) -> &'static str {
    match (signed, bytes) {
        (Signedness::Signed, 1) => "int8",
        (Signedness::Signed, 8) => "int64",
        (Signedness::Unsigned, 1) => "uint8",
        (Signedness::Unsigned, 2) => "uint16",
        (Signedness::Unsigned, 4) => "uint32",
        (Signedness::Unsigned, 8) => "uint64",
        _ => panic!("no field has this width"),
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Signedness {
    Signed,
    Unsigned,
}

macro_rules! integers {
    ($(#[doc = $doc:literal] $name:ident($inner:ty, null $null:expr);)*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl Value for $name {
            const LAYOUT: ValueLayout = ValueLayout {
                type_name: stringify!($name),
                encoding: Encoding::Integer,
                primitive: primitive_name(
                    size_of::<$inner>(),
                    if <$inner>::MIN == 0 { Signedness::Unsigned } else { Signedness::Signed },
                ),
                primitive_bytes: size_of::<$inner>() as u16,
                count: 1,
                presence: Presence::Required,
                null: None,
                codes: &[],
            };
            const BLANK: Self = Self(0);

            #[inline]
            fn write(self, out: &mut [u8]) {
                out.copy_from_slice(&self.0.to_le_bytes());
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                Self(<$inner>::from_le_bytes(exact(bytes)))
            }
        }

        impl Value for Option<$name> {
            const LAYOUT: ValueLayout = ValueLayout {
                type_name: concat!("Optional", stringify!($name)),
                presence: Presence::Optional,
                null: Some($null as i128),
                ..<$name as Value>::LAYOUT
            };
            const BLANK: Self = None;

            #[inline]
            fn write(self, out: &mut [u8]) {
                self.unwrap_or($name($null)).write(out);
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                let value = $name::read(bytes);
                (value.0 != $null).then_some(value)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

integers! {
    /// One recoverable conversation, which outlives its connections.
    SessionId(u64, null u64::MAX);
    /// Number of one login of a session; greater than every one before.
    SessionVersion(u64, null u64::MAX);
    /// Number of one opening of a session; greater than every one before. A time in nanoseconds serves.
    Nonce(u64, null u64::MAX);
    /// A public key that the venue knows.
    KeyId(u64, null u64::MAX);
    /// Who owns balances and orders.
    AccountId(u64, null u64::MAX);
    /// An instrument.
    SecurityId(u64, null u64::MAX);
    /// A thing of value that accounts hold.
    AssetId(u64, null u64::MAX);
    /// The venue's name for an order.
    OrderId(u64, null u64::MAX);
    /// The trader's name for an order or a request.
    ClientOrderId(u64, null u64::MAX);
    /// The sender's name for a request that names no order.
    RequestId(u64, null u64::MAX);
    /// Number of a report within its account, from 1 without gaps.
    ExecutionId(u64, null u64::MAX);
    /// Number of a trade, unique in the venue.
    TradeId(u64, null u64::MAX);
    /// Place of a message in its session's stream, per direction, from 1.
    SessionSequence(u64, null u64::MAX);
    /// Place of a command in the venue's total order, from 1.
    JournalSequence(u64, null u64::MAX);
    /// Place of a message in its market data channel, from 1.
    FeedSequence(u64, null u64::MAX);
    /// A market data channel: one numbered stream of messages.
    ChannelId(u64, null u64::MAX);
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    Timestamp(u64, null u64::MAX);
    /// A length of time in milliseconds.
    Milliseconds(u32, null u32::MAX);
    /// Mantissa of a price; the exponent is the instrument's.
    Price(i64, null i64::MIN);
    /// Mantissa of a quantity; the exponent is the instrument's.
    Quantity(i64, null i64::MIN);
    /// Power of ten that mantissas are multiplied with.
    Exponent(i8, null i8::MIN);
    /// High 64 bits of an amount in its asset's smallest unit.
    AmountHigh(u64, null u64::MAX);
    /// High 64 bits of a signed amount in its asset's smallest unit, two's complement.
    SignedAmountHigh(i64, null i64::MIN);
    /// Low 64 bits of an amount in its asset's smallest unit; meaningless where the high half is absent.
    AmountLow(u64, null u64::MAX);
    /// How many messages.
    MessageCount(u64, null u64::MAX);
    /// How many orders.
    OrderCount(u32, null u32::MAX);
    /// How many price levels or entries.
    LevelCount(u32, null u32::MAX);
    /// Place of an event among its command's events, from 0.
    EventIndex(u32, null u32::MAX);
    /// Which message a template is.
    TemplateId(u16, null u16::MAX);
    /// Which schema.
    SchemaId(u16, null u16::MAX);
    /// Which version of a schema.
    SchemaVersion(u16, null u16::MAX);
    /// Half of a random number that is to be signed.
    Challenge(u64, null u64::MAX);
    /// How many messages were left out of a packet.
    LeftOutCount(u32, null u32::MAX);
    /// First eight bytes, little-endian, of a SHA-256 hash.
    Checksum(u64, null u64::MAX);
    /// How many messages a packet has.
    PacketCount(u16, null u16::MAX);
    /// A field's number.
    TagNumber(u32, null u32::MAX);
}

macro_rules! identities {
    ($($name:ident: $engine:ty, $inner:ty;)*) => {$(
        impl $name {
            /// The engine's identity on the wire; `None` where the engine says that there is none.
            pub fn present(identity: $engine) -> Option<Self> {
                (!identity.is_none()).then(|| identity.into())
            }
        }

        impl From<$engine> for $name {
            fn from(identity: $engine) -> Self {
                Self(identity.0.into())
            }
        }

        impl TryFrom<$name> for $engine {
            type Error = NotRepresentable;

            fn try_from(value: $name) -> Result<Self, NotRepresentable> {
                <$inner>::try_from(value.0)
                    .map(Self)
                    .map_err(|_| NotRepresentable { type_name: stringify!($name), value: value.0 })
            }
        }
    )*};
}

macro_rules! same_numbers {
    ($($name:ident: $engine:ty;)*) => {$(
        impl $name {
            /// The engine's number on the wire; `None` where the engine says that there is none.
            pub fn present(number: $engine) -> Option<Self> {
                (!number.is_none()).then_some(Self(number.0))
            }
        }

        impl From<$engine> for $name {
            fn from(number: $engine) -> Self {
                Self(number.0)
            }
        }

        impl From<$name> for $engine {
            fn from(number: $name) -> Self {
                Self(number.0)
            }
        }
    )*};
}

// The engine counts these in 32 bits: a larger one names nothing there.
identities! {
    SessionId: engine::SessionId, u32;
    KeyId: engine::KeyId, u32;
    AccountId: engine::AccountId, u32;
    SecurityId: engine::InstrumentId, u32;
    AssetId: engine::AssetId, u32;
}

same_numbers! {
    SessionVersion: engine::SessionVersion;
    Nonce: engine::LoginNonce;
    OrderId: engine::OrderId;
    ClientOrderId: engine::ClientOrderId;
    RequestId: engine::IdempotencyKey;
    ExecutionId: engine::ExecId;
    TradeId: engine::TradeId;
    SessionSequence: engine::SessionSequence;
    JournalSequence: engine::Sequence;
    Timestamp: engine::Timestamp;
}

impl From<Milliseconds> for engine::Nanoseconds {
    fn from(duration: Milliseconds) -> Self {
        Self(u64::from(duration.0) * 1_000_000)
    }
}

impl TryFrom<engine::Nanoseconds> for Milliseconds {
    type Error = NotRepresentable;

    /// Rounded up, so that nobody is cut off before the agreed time.
    fn try_from(duration: engine::Nanoseconds) -> Result<Self, NotRepresentable> {
        u32::try_from(duration.0.div_ceil(1_000_000))
            .map(Self)
            .map_err(|_| NotRepresentable { type_name: "Milliseconds", value: duration.0 })
    }
}

const fn characters(type_name: &'static str, count: usize) -> ValueLayout {
    ValueLayout {
        type_name,
        encoding: Encoding::Characters,
        primitive: "char",
        primitive_bytes: 1,
        count: count as u16,
        presence: Presence::Required,
        null: None,
        codes: &[],
    }
}

macro_rules! character_value {
    ($name:ident, $type_name:expr, $length:expr $(, const $parameter:ident)?) => {
        impl$(<const $parameter: usize>)? Value for $name$(<$parameter>)? {
            const LAYOUT: ValueLayout = characters($type_name, $length);
            const BLANK: Self = Self([0; $length]);

            fn write(self, out: &mut [u8]) {
                out.copy_from_slice(&self.0);
            }

            fn read(bytes: &[u8]) -> Self {
                Self(exact(bytes))
            }
        }
    };
}

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident[$length:literal];)*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name([u8; $length]);

        impl $name {
            /// No text.
            pub const EMPTY: Self = Self([0; $length]);

            /// As much of `text` as fits; a byte that is not printable ASCII becomes `?`.
            pub fn new(text: &str) -> Self {
                let mut bytes = [0; $length];
                for (byte, character) in bytes.iter_mut().zip(text.bytes()) {
                    *byte = if is_printable(character) { character } else { b'?' };
                }
                Self(bytes)
            }

            /// The text without its padding; `None` if a peer sent anything but printable ASCII and zeros behind it.
            pub fn as_str(&self) -> Option<&str> {
                let length = self.0.iter().position(|&byte| byte == 0).unwrap_or($length);
                let (text, padding) = self.0.split_at(length);
                let valid = text.iter().copied().all(is_printable) && padding.iter().all(|&byte| byte == 0);
                if valid { core::str::from_utf8(text).ok() } else { None }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "\"{}\"", self.0.escape_ascii())
            }
        }

        character_value!($name, stringify!($name), $length);
    )*};
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..0x7F)
}

texts! {
    /// Words for people: printable ASCII, padded with zeros.
    Text48[48];
    /// An instrument's name: printable ASCII, padded with zeros.
    Symbol16[16];
}

impl From<engine::Text<16>> for Symbol16 {
    fn from(name: engine::Text<16>) -> Self {
        Self::new(name.as_str())
    }
}

/// A raw Ed25519 signature. Made and verified elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Signature64(pub [u8; 64]);

impl core::fmt::Debug for Signature64 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

character_value!(Signature64, "Signature64", 64);

/// Bytes without a meaning, which fill a block; written as zeros and not read.
#[derive(Clone, Copy)]
pub(crate) struct Reserved<const N: usize>([u8; N]);

character_value!(Reserved, "Reserved", N, const N);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_made_printable() {
        assert_eq!(Symbol16::new("BTC-USD").as_str(), Some("BTC-USD"));
        assert_eq!(Symbol16::new("0123456789abcdefgh").as_str(), Some("0123456789abcdef"));
        assert_eq!(Symbol16::new("a\n").as_str(), Some("a?"));
        assert_eq!(Symbol16::EMPTY.as_str(), Some(""));
        assert_eq!(Symbol16(*b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0").as_str(), None);
        assert_eq!(Symbol16([0xFF; 16]).as_str(), None);
    }

    #[test]
    fn what_the_engine_cannot_count_is_an_error() {
        assert_eq!(engine::AccountId::try_from(AccountId(7)), Ok(engine::AccountId(7)));
        let error = engine::AccountId::try_from(AccountId(1 << 32)).unwrap_err();
        assert_eq!(error, NotRepresentable { type_name: "AccountId", value: 1 << 32 });
        assert_eq!(OrderId::present(engine::OrderId::NONE), None);
        assert_eq!(AccountId::present(engine::AccountId(3)), Some(AccountId(3)));
    }

    #[test]
    fn durations_are_rounded_up() {
        assert_eq!(Milliseconds::try_from(engine::Nanoseconds(1)), Ok(Milliseconds(1)));
        assert_eq!(Milliseconds::try_from(engine::Nanoseconds(2_000_000)), Ok(Milliseconds(2)));
        assert!(Milliseconds::try_from(engine::Nanoseconds(u64::MAX)).is_err());
        assert_eq!(engine::Nanoseconds::from(Milliseconds(3)), engine::Nanoseconds(3_000_000));
    }
}
