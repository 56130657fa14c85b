//! What the Rust types say about their bytes, so that a test can hold it against the schema.
//!
//! The tables are built from the same declaration as the codec; nothing at run time reads them.

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One little-endian integer.
    Integer,
    /// Characters, padded with zeros.
    Characters,
    /// One little-endian integer whose values have names.
    Enumeration,
    /// One little-endian integer whose bits have names.
    Set,
}

/// Whether a value may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always there.
    Required,
    /// May be absent: then the null value is sent.
    Optional,
}

/// A named code of an enumeration, or a named bit of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLayout {
    /// Its name in the schema.
    pub name: &'static str,
    /// The code, or the bit's number from the lowest.
    pub code: u16,
    /// What it means.
    pub description: &'static str,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLayout {
    /// Its name in the schema.
    pub type_name: &'static str,
    /// How it is written.
    pub encoding: Encoding,
    /// SBE's name of the integer or character written: `uint64`.
    pub primitive: &'static str,
    /// Bytes of one such.
    pub primitive_bytes: u16,
    /// How many of them: above one for characters only.
    pub count: u16,
    /// Whether it may be absent.
    pub presence: Presence,
    /// What is sent when it is absent.
    pub null: Option<i128>,
    /// Names of codes or bits, where this crate declares them; reasons are the engine's own.
    pub codes: &'static [CodeLayout],
}

impl ValueLayout {
    /// Bytes in a block.
    pub const fn length(&self) -> u16 {
        self.primitive_bytes * self.count
    }
}

/// A field of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLayout {
    /// Its name in the schema: FIX's, where FIX has the field.
    pub name: &'static str,
    /// Its number: FIX's tag, where FIX has the field; from 20000 otherwise.
    pub id: u16,
    /// Bytes from the start of the block.
    pub offset: u16,
    /// The first version of the schema that has it.
    pub since_version: u16,
    /// Its type.
    pub value: ValueLayout,
    /// What it means.
    pub description: &'static str,
}

/// A repeating group behind a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLayout {
    /// Its name in the schema.
    pub name: &'static str,
    /// Its number.
    pub id: u16,
    /// Bytes of one entry.
    pub block_length: u16,
    /// What one entry is.
    pub description: &'static str,
    /// The fields of one entry.
    pub fields: &'static [FieldLayout],
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLayout {
    /// Its name in the schema.
    pub name: &'static str,
    /// Its number.
    pub template_id: u16,
    /// Bytes of its block.
    pub block_length: u16,
    /// What it means.
    pub description: &'static str,
    /// The fields of its block.
    pub fields: &'static [FieldLayout],
    /// The group behind its block.
    pub group: Option<GroupLayout>,
}

/// Whether the fields cover a block without gap or overlap, each aligned to its own width.
pub(crate) const fn tiles(fields: &[FieldLayout], block_length: u16) -> bool {
    let mut end = 0;
    let mut placed = 0;
    while end < block_length {
        match length_at(fields, end) {
            Some(length) => end += length,
            None => return false,
        }
        placed += 1;
    }
    end == block_length && placed == fields.len()
}

const fn length_at(fields: &[FieldLayout], offset: u16) -> Option<u16> {
    let mut index = 0;
    while index < fields.len() {
        let field = &fields[index];
        if field.offset == offset && offset.is_multiple_of(field.value.primitive_bytes) {
            return Some(field.value.length());
        }
        index += 1;
    }
    None
}
