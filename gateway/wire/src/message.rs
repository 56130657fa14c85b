//! Blocks, messages and groups, and the two macros that declare them.
//!
//! `block!` declares a struct together with its bytes: each line has the offset, the schema's name and tag, the Rust
//! name and the type. `schema!` gathers a schema's messages under their template ids. A block that does not cover its
//! length without gap and overlap does not compile.

use core::iter::FusedIterator;
use core::marker::PhantomData;

use crate::error::{DecodeError, EncodeError};
use crate::frame::{FRAME_HEADER_LENGTH, Frame, MessageHeader, write_headers};
use crate::layout::{FieldLayout, GroupLayout};
use crate::value::{SchemaId, SchemaVersion, TemplateId, Value};

/// Bytes before the entries of a group: their length and how many there are, as u16 each.
pub const GROUP_HEADER_LENGTH: usize = 4;

/// A schema and the version of it that this build writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Changes when old readers can no longer read it.
    pub id: SchemaId,
    /// Grows when something is appended.
    pub version: SchemaVersion,
}

/// Fields at fixed offsets: the body of a message, or one entry of a group.
pub trait Block: Copy {
    /// The message's name in the schema, or the entry's in this crate.
    const NAME: &'static str;
    /// Bytes that this build writes.
    const BLOCK_LENGTH: u16;
    /// What the schema says about the fields.
    const FIELDS: &'static [FieldLayout];
    /// What it means.
    const DESCRIPTION: &'static str;
    /// Every optional field absent, every other one zero or not representable: a start for struct update syntax.
    const BLANK: Self;

    /// Writes the fields to `block`, which has [`Block::BLOCK_LENGTH`] bytes.
    fn write(&self, block: &mut [u8]);

    /// Reads the fields from the sender's block, which may be longer, or shorter by what was appended.
    ///
    /// # Errors
    ///
    /// [`DecodeError::FieldMissing`] if the block ends before a field that the sender's version has.
    fn read(block: Reader<'_>) -> Result<Self, DecodeError>;
}

/// A block with a template id in a schema.
pub trait Message: Block {
    /// Its number.
    const TEMPLATE_ID: TemplateId;
    /// Where it belongs.
    const SCHEMA: Schema;
    /// Bytes of a frame with this message: headers and block.
    const FRAME_LENGTH: usize = FRAME_HEADER_LENGTH + Self::BLOCK_LENGTH as usize;
}

/// A message without a group.
pub trait Flat: Message {}

/// A message with one group.
pub trait Grouped: Message {
    /// One entry.
    type Entry: Block;
    /// What the schema says about the group.
    const GROUP: GroupLayout;
}

/// The sender's block, and the version of the schema that it was written in.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The block's name, for errors.
    pub name: &'static str,
    /// The sender's version.
    pub version: SchemaVersion,
    /// The block.
    pub bytes: &'a [u8],
}

impl Reader<'_> {
    /// The field at `offset`, blank if the sender's version does not have it.
    #[inline]
    pub(crate) fn field<T: Value>(
        &self,
        field: &'static str,
        offset: usize,
        since: SchemaVersion,
    ) -> Result<T, DecodeError> {
        if self.version < since {
            return Ok(T::BLANK);
        }
        match self.bytes.get(offset..offset + T::LENGTH) {
            Some(bytes) => Ok(T::read(bytes)),
            None => Err(DecodeError::FieldMissing { block: self.name, field, block_length: self.bytes.len() }),
        }
    }
}

/// Writes a frame with `message` to the front of `out`; returns its length.
///
/// # Errors
///
/// [`EncodeError::BufferTooShort`] if `out` has fewer than [`Message::FRAME_LENGTH`] bytes.
pub fn encode<M: Flat>(message: &M, out: &mut [u8]) -> Result<usize, EncodeError> {
    let length = out.len();
    let frame = out.get_mut(..M::FRAME_LENGTH).ok_or(EncodeError::BufferTooShort { message: M::NAME, length })?;
    let (headers, block) = frame.split_at_mut(FRAME_HEADER_LENGTH);
    write_headers::<M>(headers, M::FRAME_LENGTH);
    message.write(block);
    Ok(M::FRAME_LENGTH)
}

/// Writes a frame with `message` and its group of `entries` to the front of `out`; returns its length.
///
/// # Errors
///
/// [`EncodeError::BufferTooShort`] if `out` has too few bytes, [`EncodeError::TooManyEntries`] above 65,535 entries.
pub fn encode_grouped<M: Grouped>(
    message: &M,
    entries: impl IntoIterator<Item = M::Entry>,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let too_short = EncodeError::BufferTooShort { message: M::NAME, length: out.len() };
    let (head, mut rest) = out.split_at_mut_checked(M::FRAME_LENGTH + GROUP_HEADER_LENGTH).ok_or(too_short)?;
    let mut length = head.len();
    let mut count: u16 = 0;
    for entry in entries {
        count = count.checked_add(1).ok_or(EncodeError::TooManyEntries { message: M::NAME })?;
        let (block, behind) = rest.split_at_mut_checked(usize::from(M::Entry::BLOCK_LENGTH)).ok_or(too_short)?;
        entry.write(block);
        length += block.len();
        rest = behind;
    }
    let (headers, body) = head.split_at_mut(FRAME_HEADER_LENGTH);
    let (block, dimensions) = body.split_at_mut(usize::from(M::BLOCK_LENGTH));
    write_headers::<M>(headers, length);
    message.write(block);
    dimensions[..2].copy_from_slice(&M::Entry::BLOCK_LENGTH.to_le_bytes());
    dimensions[2..].copy_from_slice(&count.to_le_bytes());
    Ok(length)
}

impl<'a> Frame<'a> {
    /// The message, which must be an `M`.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`].
    pub fn decode<M: Flat>(&self) -> Result<M, DecodeError> {
        let (message, rest) = self.block::<M>()?;
        self.nothing_behind::<M>(rest)?;
        Ok(message)
    }

    /// The message, which must be an `M`, and the entries of its group.
    ///
    /// # Errors
    ///
    /// Any [`DecodeError`].
    pub fn decode_grouped<M: Grouped>(&self) -> Result<(M, Group<'a, M::Entry>), DecodeError> {
        let (message, rest) = self.block::<M>()?;
        let (group, rest) = Group::parse(M::GROUP.name, self.header.version, rest)?;
        self.nothing_behind::<M>(rest)?;
        Ok((message, group))
    }

    fn block<M: Message>(&self) -> Result<(M, &'a [u8]), DecodeError> {
        let MessageHeader { block_length, template_id, schema_id, version } = self.header;
        if schema_id != M::SCHEMA.id {
            return Err(DecodeError::UnknownSchema { found: schema_id.0, expected: M::SCHEMA.id.0 });
        }
        if template_id != M::TEMPLATE_ID {
            return Err(DecodeError::UnknownTemplate { found: template_id.0 });
        }
        let (bytes, rest) = self
            .body
            .split_at_checked(usize::from(block_length))
            .ok_or(DecodeError::BlockTruncated { block: M::NAME, block_length, available: self.body.len() })?;
        Ok((M::read(Reader { name: M::NAME, version, bytes })?, rest))
    }

    /// A newer version may have appended a group; the versions that this build knows have not.
    fn nothing_behind<M: Message>(&self, rest: &[u8]) -> Result<(), DecodeError> {
        if rest.is_empty() || self.header.version > M::SCHEMA.version {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes { message: M::NAME, count: rest.len() })
        }
    }
}

/// The entries of a group, read as they are asked for.
#[derive(Debug, Clone)]
pub struct Group<'a, E> {
    name: &'static str,
    version: SchemaVersion,
    entry_length: usize,
    bytes: &'a [u8],
    left: usize,
    entry: PhantomData<E>,
}

impl<'a, E: Block> Group<'a, E> {
    fn parse(name: &'static str, version: SchemaVersion, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        let truncated = |needed, available| DecodeError::GroupTruncated { group: name, needed, available };
        let (&[l0, l1, n0, n1], rest) =
            bytes.split_first_chunk().ok_or_else(|| truncated(GROUP_HEADER_LENGTH, bytes.len()))?;
        let entry_length = usize::from(u16::from_le_bytes([l0, l1]));
        let left = usize::from(u16::from_le_bytes([n0, n1]));
        let needed = entry_length * left;
        let (bytes, rest) = rest.split_at_checked(needed).ok_or_else(|| truncated(needed, rest.len()))?;
        Ok((Self { name, version, entry_length, bytes, left, entry: PhantomData }, rest))
    }
}

impl<E: Block> Iterator for Group<'_, E> {
    type Item = Result<E, DecodeError>;

    /// The next entry; an error if the sender's entries lack a field that the sender's version has.
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (bytes, rest) = self.bytes.split_at(self.entry_length);
        self.bytes = rest;
        Some(E::read(Reader { name: self.name, version: self.version, bytes }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E: Block> ExactSizeIterator for Group<'_, E> {}

impl<E: Block> FusedIterator for Group<'_, E> {}

macro_rules! block {
    (
        #[doc = $doc:literal]
        pub struct $name:ident, $length:literal bytes {
            $(
                #[doc = $field_doc:literal]
                @$offset:literal $(since $since:literal)? $fix:literal($id:literal) $field:ident: $type:ty,
            )*
        }
        $(reserved { $(@$gap:literal $(since $gap_since:literal)? $gap_name:literal($gap_id:literal): $gap_type:ty,)* })?
    ) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $(#[doc = $field_doc] pub $field: $type,)*
        }

        impl $crate::message::Block for $name {
            const NAME: &'static str = stringify!($name);
            const BLOCK_LENGTH: u16 = $length;
            const FIELDS: &'static [$crate::layout::FieldLayout] = &[
                $($crate::layout::FieldLayout {
                    name: $fix,
                    id: $id,
                    offset: $offset,
                    since_version: 0 $(+ $since)?,
                    value: <$type as $crate::value::Value>::LAYOUT,
                    description: $field_doc,
                },)*
                $($($crate::layout::FieldLayout {
                    name: $gap_name,
                    id: $gap_id,
                    offset: $gap,
                    since_version: 0 $(+ $gap_since)?,
                    value: <$gap_type as $crate::value::Value>::LAYOUT,
                    description: "Zero.",
                },)*)?
            ];
            const DESCRIPTION: &'static str = $doc;
            const BLANK: Self = Self { $($field: <$type as $crate::value::Value>::BLANK,)* };

            #[inline]
            fn write(&self, block: &mut [u8]) {
                use $crate::value::Value;
                $(self.$field.write(&mut block[$offset..$offset + <$type>::LENGTH]);)*
                $($(<$gap_type>::BLANK.write(&mut block[$gap..$gap + <$gap_type>::LENGTH]);)*)?
            }

            #[inline]
            fn read(
                block: $crate::message::Reader<'_>,
            ) -> Result<Self, $crate::error::DecodeError> {
                Ok(Self {
                    $($field: block.field($fix, $offset, $crate::value::SchemaVersion(0 $(+ $since)?))?,)*
                })
            }
        }

        const _: () = assert!(
            $crate::layout::tiles(<$name as $crate::message::Block>::FIELDS, $length),
            concat!("the fields of ", stringify!($name), " do not cover its block"),
        );
    };
}

macro_rules! schema {
    (
        #[doc = $doc:literal]
        pub enum $name:ident$(<$generic:lifetime>)?, frames $frame:lifetime, schema $schema:expr => {
            $(#[doc = $message_doc:literal] $message:ident = $template:literal,)*
        }
        $(grouped {
            $(
                #[doc = $grouped_doc:literal]
                $grouped:ident = $grouped_template:literal, $group:literal($group_id:literal) of $entry:ident,
            )*
        })?
    ) => {
        /// The schema, and the version of it that this build writes.
        pub const SCHEMA: $crate::message::Schema = $schema;

        #[doc = $doc]
        #[derive(Debug, Clone)]
        #[allow(clippy::large_enum_variant, reason = "it is matched where it is decoded, and boxes would allocate")]
        pub enum $name$(<$generic>)? {
            $(#[doc = $message_doc] $message($message),)*
            $($(#[doc = $grouped_doc] $grouped($grouped, $crate::message::Group<$frame, $entry>),)*)?
        }

        impl<$frame> TryFrom<$crate::frame::Frame<$frame>> for $name$(<$generic>)? {
            type Error = $crate::error::DecodeError;

            fn try_from(frame: $crate::frame::Frame<$frame>) -> Result<Self, $crate::error::DecodeError> {
                let found = frame.header.schema_id.0;
                if found != SCHEMA.id.0 {
                    return Err($crate::error::DecodeError::UnknownSchema { found, expected: SCHEMA.id.0 });
                }
                match frame.header.template_id.0 {
                    $($template => frame.decode().map(Self::$message),)*
                    $($($grouped_template => {
                        frame.decode_grouped().map(|(message, group)| Self::$grouped(message, group))
                    })*)?
                    found => Err($crate::error::DecodeError::UnknownTemplate { found }),
                }
            }
        }

        $(
            impl $crate::message::Message for $message {
                const TEMPLATE_ID: $crate::value::TemplateId = $crate::value::TemplateId($template);
                const SCHEMA: $crate::message::Schema = SCHEMA;
            }

            impl $crate::message::Flat for $message {}
        )*
        $($(
            impl $crate::message::Message for $grouped {
                const TEMPLATE_ID: $crate::value::TemplateId = $crate::value::TemplateId($grouped_template);
                const SCHEMA: $crate::message::Schema = SCHEMA;
            }

            impl $crate::message::Grouped for $grouped {
                type Entry = $entry;
                const GROUP: $crate::layout::GroupLayout = $crate::layout::GroupLayout {
                    name: $group,
                    id: $group_id,
                    block_length: <$entry as $crate::message::Block>::BLOCK_LENGTH,
                    description: <$entry as $crate::message::Block>::DESCRIPTION,
                    fields: <$entry as $crate::message::Block>::FIELDS,
                };
            }
        )*)?

        /// Every message of the schema.
        pub const MESSAGES: &[$crate::layout::MessageLayout] = &[
            $($crate::layout::MessageLayout {
                name: stringify!($message),
                template_id: $template,
                block_length: <$message as $crate::message::Block>::BLOCK_LENGTH,
                description: <$message as $crate::message::Block>::DESCRIPTION,
                fields: <$message as $crate::message::Block>::FIELDS,
                group: None,
            },)*
            $($($crate::layout::MessageLayout {
                name: stringify!($grouped),
                template_id: $grouped_template,
                block_length: <$grouped as $crate::message::Block>::BLOCK_LENGTH,
                description: <$grouped as $crate::message::Block>::DESCRIPTION,
                fields: <$grouped as $crate::message::Block>::FIELDS,
                group: Some(<$grouped as $crate::message::Grouped>::GROUP),
            },)*)?
        ];
    };
}

pub(crate) use {block, schema};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::DecodeError;
    use crate::value::{OrderCount, OrderId};

    /// The first version of a message.
    #[allow(dead_code, unreachable_pub, reason = "the macro declares more than is looked at here")]
    mod old {
        use super::*;

        block! {
            /// A message.
            pub struct Growing, 8 bytes {
                /// Its order.
                @0 "OrderID"(37) order_id: OrderId,
            }
        }

        schema! {
            /// The schema's first version.
            pub enum AnyMessage, frames 'a, schema Schema { id: SchemaId(9), version: SchemaVersion(0) } => {
                /// A message.
                Growing = 1,
            }
        }
    }

    /// The same message after fields were appended.
    #[allow(dead_code, unreachable_pub, reason = "the macro declares more than is looked at here")]
    mod new {
        use super::*;
        use crate::code::Side;

        block! {
            /// A message.
            pub struct Growing, 16 bytes {
                /// Its order.
                @0 "OrderID"(37) order_id: OrderId,
                /// How many.
                @8 since 1 "NumberOfOrders"(346) order_count: Option<OrderCount>,
                /// Which side.
                @12 since 1 "Side"(54) side: Option<Side>,
            }
            reserved { @13 "Reserved1"(39001): crate::value::Reserved<3>, }
        }

        schema! {
            /// The schema's second version.
            pub enum AnyMessage, frames 'a, schema Schema { id: SchemaId(9), version: SchemaVersion(1) } => {
                /// A message.
                Growing = 1,
            }
        }
    }

    #[test]
    fn an_old_message_reads_as_new_with_the_appended_fields_absent() {
        let mut bytes = [0; 64];
        let length = encode(&old::Growing { order_id: OrderId(7) }, &mut bytes).unwrap();
        let (frame, _) = Frame::split(&bytes[..length]).unwrap();
        let expected = new::Growing { order_id: OrderId(7), ..new::Growing::BLANK };
        assert_eq!(frame.decode::<new::Growing>(), Ok(expected));
        assert_eq!((expected.order_count, expected.side), (None, None));
    }

    #[test]
    fn a_new_message_reads_as_old_without_what_was_appended() {
        let mut bytes = [0; 64];
        let message = new::Growing { order_id: OrderId(7), order_count: Some(OrderCount(3)), side: None };
        let length = encode(&message, &mut bytes).unwrap();
        let (frame, _) = Frame::split(&bytes[..length]).unwrap();
        assert_eq!(frame.decode::<old::Growing>(), Ok(old::Growing { order_id: OrderId(7) }));
        assert_eq!(frame.decode::<new::Growing>(), Ok(message));
    }

    #[test]
    fn an_appended_field_is_not_read_from_an_old_senders_padding() {
        let mut bytes = [0; 64];
        let message = new::Growing { order_count: Some(OrderCount(3)), ..new::Growing::BLANK };
        let length = encode(&message, &mut bytes).unwrap();
        bytes[12] = 0;
        let (frame, _) = Frame::split(&bytes[..length]).unwrap();
        assert_eq!(frame.decode::<new::Growing>().unwrap().order_count, None);
    }

    #[test]
    fn a_block_that_is_shorter_than_its_version_names_the_field() {
        let mut bytes = [0; 64];
        let length = encode(&old::Growing { order_id: OrderId(7) }, &mut bytes).unwrap();
        bytes[12] = 1;
        let (frame, _) = Frame::split(&bytes[..length]).unwrap();
        assert_eq!(
            frame.decode::<new::Growing>(),
            Err(DecodeError::FieldMissing { block: "Growing", field: "NumberOfOrders", block_length: 8 })
        );
    }
}
