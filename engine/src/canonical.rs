//! Canonical bytes: one encoding for the journal, snapshots and digests.
//!
//! Little-endian integers, fields in declaration order, no padding, no length prefixes. Every record kind has one
//! fixed length. The macros below declare a type and its bytes together, so that neither can drift from the other:
//!
//! * `identifier!` — a newtype over an unsigned integer whose zero means "none".
//! * `code_enum!` — a closed set of named codes; an unknown code does not decode.
//! * `record!` — a struct whose canonical bytes are its fields in order, and whose fields can be listed by name.
//! * `messages!` — a closed set of records, each behind a 16-bit kind.

use core::fmt;

/// Receives canonical bytes: a buffer, a hasher, a file.
pub trait ByteSink {
    /// Takes the next bytes of the stream.
    fn write(&mut self, bytes: &[u8]);
}

impl ByteSink for alloc::vec::Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Why bytes are not a canonical value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The input ended inside a value.
    Truncated,
    /// A code that this build does not know, and the type that it was read for.
    UnknownCode {
        /// The type's name.
        name: &'static str,
        /// The code found.
        code: u16,
    },
    /// Text that is not printable ASCII followed by zeros.
    InvalidText,
    /// Bytes are left over behind the value.
    TrailingBytes,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the input ended inside a value"),
            Self::UnknownCode { name, code } => write!(f, "{code} is not a known {name}"),
            Self::InvalidText => f.write_str("text is not printable ASCII followed by zeros"),
            Self::TrailingBytes => f.write_str("bytes are left over behind the value"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Reads canonical values from the front of a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `N` bytes.
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take_front().copied()
    }

    /// The next `N` bytes, where they are.
    #[inline]
    pub(crate) fn take_front<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next value.
    #[inline]
    pub fn read<T: Canonical>(&mut self) -> Result<T, DecodeError> {
        T::decode(self)
    }

    /// Succeeds only at the end of the input.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }
}

/// A record's bytes, put together before they are written at once: each field has its fixed place, so that no field looks
/// for room.
pub(crate) struct Whole<const N: usize> {
    pub(crate) bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Whole<N> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }
}

impl<const N: usize> ByteSink for Whole<N> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.bytes[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }
}

/// A value with exactly one byte representation.
pub trait Canonical: Sized {
    /// Bytes of every value of this type.
    const LENGTH: usize;

    /// Appends the value's bytes.
    fn encode(&self, out: &mut impl ByteSink);

    /// Reads a value; the inverse of [`Canonical::encode`].
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! canonical_integer {
    ($($type:ty),*) => {$(
        impl Canonical for $type {
            const LENGTH: usize = core::mem::size_of::<$type>();

            #[inline]
            fn encode(&self, out: &mut impl ByteSink) {
                out.write(&self.to_le_bytes());
            }

            #[inline]
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(input.take()?))
            }
        }
    )*};
}
canonical_integer!(u8, u16, u32, u64, u128, i32, i128);

impl<const N: usize> Canonical for [u8; N] {
    const LENGTH: usize = N;

    fn encode(&self, out: &mut impl ByteSink) {
        out.write(self);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.take()
    }
}

/// A closed set of named codes.
pub trait Code: Copy + 'static {
    /// The type's name.
    const NAME: &'static str;
    /// Every value, by ascending code.
    const ALL: &'static [Self];
    /// The number that stands for this value in canonical bytes and on the wire.
    fn code(self) -> u16;
    /// The value that a number stands for.
    fn from_code(code: u16) -> Option<Self>;
    /// The value's name, as declared.
    fn name(self) -> &'static str;
}

/// Absent is code 0xFF; no enum in a record uses it.
impl<T: Code + Canonical> Canonical for Option<T> {
    const LENGTH: usize = 1;

    fn encode(&self, out: &mut impl ByteSink) {
        const { assert!(T::LENGTH == 1, "only one-byte codes can be optional") };
        match self {
            Some(value) => value.encode(out),
            None => 0xFF_u8.encode(out),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.read::<u8>()? {
            0xFF => Ok(None),
            code => {
                T::from_code(code.into()).map(Some).ok_or(DecodeError::UnknownCode { name: T::NAME, code: code.into() })
            }
        }
    }
}

/// One field of a record, for tools that print or compare records by name.
pub enum FieldValue<'a> {
    /// A price in ticks.
    Price(crate::Price),
    /// A quantity in lots.
    Quantity(crate::Quantity),
    /// An amount in an asset's smallest unit.
    Amount(u128),
    /// A signed amount in an asset's smallest unit.
    SignedAmount(i128),
    /// An unsigned number: an identity, a counter, a time, a limit.
    Unsigned(u64),
    /// A signed number.
    Signed(i64),
    /// A named code; `None` where an optional one is absent.
    Code(Option<&'static str>),
    /// Text.
    Text(&'a str),
    /// Raw bytes, such as a public key.
    Bytes(&'a [u8]),
    /// A record inside the record.
    Record(&'a dyn Fields),
}

/// A value that can stand as a named field.
pub trait Field {
    /// The value, with what it means.
    fn value(&self) -> FieldValue<'_>;
}

/// A record whose fields can be listed by name, in canonical order.
pub trait Fields {
    /// Calls `visit` with each field's name and value.
    fn fields<'a>(&'a self, visit: &mut dyn FnMut(&'static str, FieldValue<'a>));
}

macro_rules! unsigned_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn value(&self) -> FieldValue<'_> {
                FieldValue::Unsigned(u64::from(*self))
            }
        }
    )*};
}
unsigned_field!(u8, u16, u32, u64);

impl Field for i32 {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Signed(i64::from(*self))
    }
}

impl<const N: usize> Field for [u8; N] {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Bytes(self)
    }
}

impl<T: Code> Field for Option<T> {
    fn value(&self) -> FieldValue<'_> {
        FieldValue::Code(self.map(T::name))
    }
}

macro_rules! identifier {
    ($($(#[$meta:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// No such thing.
            pub const NONE: Self = Self(0);

            /// Whether this names nothing.
            pub const fn is_none(self) -> bool {
                self.0 == 0
            }

            /// The next one, saturating.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }

        $crate::canonical::canonical_newtype!($name($inner));

        impl $crate::canonical::Field for $name {
            fn value(&self) -> $crate::canonical::FieldValue<'_> {
                $crate::canonical::FieldValue::Unsigned(u64::from(self.0))
            }
        }
    )*};
}

macro_rules! canonical_newtype {
    ($name:ident($inner:ty)) => {
        impl $crate::canonical::Canonical for $name {
            const LENGTH: usize = core::mem::size_of::<$inner>();

            #[inline]
            fn encode(&self, out: &mut impl $crate::canonical::ByteSink) {
                let inner = self.0;
                $crate::canonical::Canonical::encode(&inner, out);
            }

            #[inline]
            fn decode(input: &mut $crate::canonical::Reader<'_>) -> Result<Self, $crate::canonical::DecodeError> {
                Ok(Self(input.read()?))
            }
        }
    };
}

macro_rules! code_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident: $inner:ty {
        $($(#[$variant_meta:meta])* $variant:ident = $code:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($inner)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant = $code,)*
        }

        impl $crate::canonical::Code for $name {
            const NAME: &'static str = stringify!($name);
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn code(self) -> u16 {
                self as u16
            }

            fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str($crate::canonical::Code::name(*self))
            }
        }

        impl $crate::canonical::Canonical for $name {
            const LENGTH: usize = core::mem::size_of::<$inner>();

            #[inline]
            fn encode(&self, out: &mut impl $crate::canonical::ByteSink) {
                (*self as $inner).encode(out);
            }

            fn decode(
                input: &mut $crate::canonical::Reader<'_>,
            ) -> Result<Self, $crate::canonical::DecodeError> {
                let code = u16::from(input.read::<$inner>()?);
                $crate::canonical::Code::from_code(code)
                    .ok_or($crate::canonical::DecodeError::UnknownCode { name: stringify!($name), code })
            }
        }

        impl $crate::canonical::Field for $name {
            fn value(&self) -> $crate::canonical::FieldValue<'_> {
                $crate::canonical::FieldValue::Code(Some($crate::canonical::Code::name(*self)))
            }
        }
    };
}

macro_rules! record {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::canonical::Canonical for $name {
            const LENGTH: usize = 0 $(+ <$type as $crate::canonical::Canonical>::LENGTH)*;

            #[inline]
            fn encode(&self, out: &mut impl $crate::canonical::ByteSink) {
                #[allow(unused_mut, reason = "a record may have no fields")]
                let mut whole = $crate::canonical::Whole::<{ <$name as $crate::canonical::Canonical>::LENGTH }>::new();
                $(self.$field.encode(&mut whole);)*
                $crate::canonical::ByteSink::write(out, &whole.bytes);
            }

            #[inline]
            fn decode(
                input: &mut $crate::canonical::Reader<'_>,
            ) -> Result<Self, $crate::canonical::DecodeError> {
                let whole = input.take_front::<{ <$name as $crate::canonical::Canonical>::LENGTH }>()?;
                #[allow(unused_mut, unused_variables, reason = "a record may have no fields")]
                let mut fields = $crate::canonical::Reader::new(whole);
                Ok(Self { $($field: fields.read()?,)* })
            }
        }

        impl $crate::canonical::Fields for $name {
            fn fields<'a>(
                &'a self,
                visit: &mut dyn FnMut(&'static str, $crate::canonical::FieldValue<'a>),
            ) {
                let _ = &visit;
                $(visit(stringify!($field), $crate::canonical::Field::value(&self.$field));)*
            }
        }

        impl $crate::canonical::Field for $name {
            fn value(&self) -> $crate::canonical::FieldValue<'_> {
                $crate::canonical::FieldValue::Record(self)
            }
        }
    )*};
}

macro_rules! messages {
    ($(#[$meta:meta])* $vis:vis enum $name:ident, kinds $kind:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $code:literal,)*
    }) => {
        $crate::canonical::code_enum! {
            #[doc = concat!("Which [`", stringify!($name), "`]: the 16-bit kind before its canonical fields.")]
            $vis enum $kind: u16 {
                $($(#[$variant_meta])* $variant = $code,)*
            }
        }

        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant($variant),)*
        }

        impl $name {
            /// Which one this is.
            pub const fn kind(&self) -> $kind {
                match self {
                    $(Self::$variant(_) => $kind::$variant,)*
                }
            }

            /// The record inside, with its fields by name.
            pub fn record(&self) -> &dyn $crate::canonical::Fields {
                match self {
                    $(Self::$variant(record) => record,)*
                }
            }
        }

        impl $crate::canonical::Canonical for $name {
            /// The longest.
            const LENGTH: usize = {
                let mut longest = 0;
                $(
                    let length = <$variant as $crate::canonical::Canonical>::LENGTH;
                    if length > longest {
                        longest = length;
                    }
                )*
                2 + longest
            };

            #[inline]
            fn encode(&self, out: &mut impl $crate::canonical::ByteSink) {
                self.kind().encode(out);
                match self {
                    $(Self::$variant(record) => record.encode(out),)*
                }
            }

            #[inline]
            fn decode(
                input: &mut $crate::canonical::Reader<'_>,
            ) -> Result<Self, $crate::canonical::DecodeError> {
                Ok(match input.read::<$kind>()? {
                    $($kind::$variant => Self::$variant(input.read()?),)*
                })
            }
        }

        $(impl From<$variant> for $name {
            fn from(record: $variant) -> Self {
                Self::$variant(record)
            }
        })*
    };
}

pub(crate) use {canonical_newtype, code_enum, identifier, messages, record};
