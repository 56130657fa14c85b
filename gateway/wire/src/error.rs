//! Why bytes are not a message, or a message does not become bytes. A peer can cause each, and none is a panic.

use core::fmt;

/// Why bytes are not a frame. The stream has no recognisable next frame after it: the connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// `messageLength` is less than that of the two headers.
    LengthTooShort {
        /// What it is.
        found: u32,
        /// The least that it can be.
        least: usize,
    },
    /// `messageLength` is more than the reader takes.
    LengthTooLong {
        /// What it is.
        found: u32,
        /// The most that it may be.
        most: usize,
    },
    /// `encodingType` is not that of SBE 1.0, little-endian.
    UnknownEncoding {
        /// What it is.
        found: u16,
    },
    /// The input ends inside a frame.
    Truncated {
        /// Bytes that are there.
        found: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthTooShort { found, least } => write!(f, "messageLength: {found} is less than {least}"),
            Self::LengthTooLong { found, most } => write!(f, "messageLength: {found} is more than {most}"),
            Self::UnknownEncoding { found } => write!(f, "encodingType: {found:#06x} is not 0xeb50"),
            Self::Truncated { found } => write!(f, "messageLength: the input ends after {found} bytes of the frame"),
        }
    }
}

impl core::error::Error for FrameError {}

/// Why a frame is not the message that was expected. The stream goes on behind the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// `schemaId` is another schema's.
    UnknownSchema {
        /// What it is.
        found: u16,
        /// The schema that was expected.
        expected: u16,
    },
    /// `templateId` is no message of the schema, or not the one that was expected.
    UnknownTemplate {
        /// What it is.
        found: u16,
    },
    /// `blockLength` reaches beyond the frame.
    BlockTruncated {
        /// The message or entry.
        block: &'static str,
        /// What it is.
        block_length: u16,
        /// Bytes that are left in the frame.
        available: usize,
    },
    /// The block ends before a field that the sender's version has.
    FieldMissing {
        /// The message or entry.
        block: &'static str,
        /// The field.
        field: &'static str,
        /// Where the block ends.
        block_length: usize,
    },
    /// The frame ends inside a group.
    GroupTruncated {
        /// The group.
        group: &'static str,
        /// Bytes that its entries need.
        needed: usize,
        /// Bytes that are left in the frame.
        available: usize,
    },
    /// Bytes are left over behind the message, and the sender's version has nothing there.
    TrailingBytes {
        /// The message.
        message: &'static str,
        /// How many.
        count: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSchema { found, expected } => write!(f, "schemaId: {found} is not {expected}"),
            Self::UnknownTemplate { found } => write!(f, "templateId: {found} is no message here"),
            Self::BlockTruncated { block, block_length, available } => {
                write!(f, "{block}: blockLength is {block_length}, but the frame has only {available} bytes left")
            }
            Self::FieldMissing { block, field, block_length } => {
                write!(f, "{block}.{field}: the block ends before it, after {block_length} bytes")
            }
            Self::GroupTruncated { group, needed, available } => {
                write!(f, "{group}: the group needs {needed} bytes, but the frame has only {available} left")
            }
            Self::TrailingBytes { message, count } => write!(f, "{message}: {count} bytes are left over behind it"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a message was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The buffer has no room for it.
    BufferTooShort {
        /// The message.
        message: &'static str,
        /// Bytes of the buffer.
        length: usize,
    },
    /// A group has more entries than a u16 can count.
    TooManyEntries {
        /// The message.
        message: &'static str,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooShort { message, length } => write!(f, "{message}: a buffer of {length} bytes is too short"),
            Self::TooManyEntries { message } => write!(f, "{message}: more than 65535 entries"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// A value on the wire that the engine has no word for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRepresentable {
    /// The type on the wire.
    pub type_name: &'static str,
    /// The value found; for a code that this build does not know, the one that stands for all such.
    pub value: u64,
}

impl fmt::Display for NotRepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} has no meaning here", self.type_name, self.value)
    }
}

impl core::error::Error for NotRepresentable {}
