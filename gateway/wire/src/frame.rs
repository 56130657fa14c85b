//! Frames: the simple open framing header and SBE's message header before every message.
//!
//! ```text
//!  0               4       6                                       14
//!  ├───────────────┼───────┼───────────────────────────────────────┼──────────
//!  │ messageLength │ EB50  │ blockLength templateId schemaId version │ body ...
//!  └───────────────┴───────┴───────────────────────────────────────┴──────────
//!  └────────────────────────── messageLength bytes ──────────────────────────┘
//! ```

use crate::error::FrameError;
use crate::message::Message;
use crate::value::{SchemaId, SchemaVersion, TemplateId};

/// Bytes of the framing header: `messageLength` (u32) and `encodingType` (u16).
pub const FRAMING_LENGTH: usize = 6;
/// Bytes of SBE's message header: four u16.
pub const MESSAGE_HEADER_LENGTH: usize = 8;
/// Bytes of both headers, and so the least that `messageLength` can be.
pub const FRAME_HEADER_LENGTH: usize = FRAMING_LENGTH + MESSAGE_HEADER_LENGTH;
/// The most that a frame of a session may have: room for the longest message to grow to three times its length.
pub const SESSION_FRAME_MAX: usize = 1024;
/// `encodingType` of SBE 1.0, little-endian.
pub const ENCODING_TYPE: u16 = 0xEB50;

/// SBE's message header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader {
    /// Bytes of the sender's block.
    pub block_length: u16,
    /// Which message.
    pub template_id: TemplateId,
    /// Of which schema.
    pub schema_id: SchemaId,
    /// The sender's version of the schema.
    pub version: SchemaVersion,
}

impl MessageHeader {
    fn read(bytes: [u8; MESSAGE_HEADER_LENGTH]) -> Self {
        let [b0, b1, t0, t1, s0, s1, v0, v1] = bytes;
        Self {
            block_length: u16::from_le_bytes([b0, b1]),
            template_id: TemplateId(u16::from_le_bytes([t0, t1])),
            schema_id: SchemaId(u16::from_le_bytes([s0, s1])),
            version: SchemaVersion(u16::from_le_bytes([v0, v1])),
        }
    }
}

/// Writes both headers of a frame of `frame_length` bytes to the [`FRAME_HEADER_LENGTH`] bytes of `out`.
pub(crate) fn write_headers<M: Message>(out: &mut [u8], frame_length: usize) {
    // A frame of this crate is at most two headers, a block and a group of u16 × u16 bytes: it fits a u32.
    out[..4].copy_from_slice(&(frame_length as u32).to_le_bytes());
    let words = [ENCODING_TYPE, M::BLOCK_LENGTH, M::TEMPLATE_ID.0, M::SCHEMA.id.0, M::SCHEMA.version.0];
    for (bytes, word) in out[4..].chunks_exact_mut(2).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

/// One message's bytes, with the header taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// SBE's message header.
    pub header: MessageHeader,
    /// The block and what is behind it.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame in `bytes`, which may be as long as they are, and what is behind it.
    ///
    /// # Errors
    ///
    /// Any [`FrameError`].
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), FrameError> {
        let truncated = FrameError::Truncated { found: bytes.len() };
        let length = frame_length(bytes, usize::MAX)?.ok_or(truncated)?;
        let (frame, rest) = bytes.split_at_checked(length).ok_or(truncated)?;
        Ok((Self::whole(frame)?, rest))
    }

    /// The frame that is all of `bytes`, whose framing header was checked.
    fn whole(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let header = bytes.get(FRAMING_LENGTH..).and_then(<[u8]>::split_first_chunk);
        let (&header, body) = header.ok_or(FrameError::Truncated { found: bytes.len() })?;
        Ok(Self { header: MessageHeader::read(header), body })
    }
}

/// The length of the frame that `bytes` begin with; `None` if too few are there to tell.
fn frame_length(bytes: &[u8], most: usize) -> Result<Option<usize>, FrameError> {
    let Some(&[l0, l1, l2, l3, e0, e1]) = bytes.first_chunk::<FRAMING_LENGTH>() else {
        return Ok(None);
    };
    let found = u16::from_le_bytes([e0, e1]);
    if found != ENCODING_TYPE {
        return Err(FrameError::UnknownEncoding { found });
    }
    let found = u32::from_le_bytes([l0, l1, l2, l3]);
    match usize::try_from(found) {
        Ok(length) if length < FRAME_HEADER_LENGTH => {
            Err(FrameError::LengthTooShort { found, least: FRAME_HEADER_LENGTH })
        }
        Ok(length) if length <= most => Ok(Some(length)),
        _ => Err(FrameError::LengthTooLong { found, most }),
    }
}

/// Cuts a stream of bytes into frames of at most `CAPACITY` bytes, without allocation.
///
/// Bytes go in as they arrive, through [`push`](Self::push) or straight into [`vacant`](Self::vacant); frames come out
/// of [`next_frame`](Self::next_frame). After an error the decoder stays where it is and repeats the error: there is
/// no next frame to be found.
#[derive(Debug, Clone)]
pub struct FrameDecoder<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    start: usize,
    end: usize,
}

impl<const CAPACITY: usize> Default for FrameDecoder<CAPACITY> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CAPACITY: usize> FrameDecoder<CAPACITY> {
    /// A decoder at the start of a stream.
    pub const fn new() -> Self {
        const { assert!(CAPACITY >= FRAME_HEADER_LENGTH, "no frame would fit") };
        Self { bytes: [0; CAPACITY], start: 0, end: 0 }
    }

    /// Takes as many of `bytes` as there is room for; returns how many.
    ///
    /// At least one is taken if every frame that was there has been taken out.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let vacant = self.vacant();
        let count = bytes.len().min(vacant.len());
        vacant[..count].copy_from_slice(&bytes[..count]);
        self.filled(count);
        count
    }

    /// Room for bytes to be read into; say how many there were with [`filled`](Self::filled).
    pub fn vacant(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut self.bytes[self.end..]
    }

    /// The first `count` bytes of the last [`vacant`](Self::vacant) have been filled.
    ///
    /// # Panics
    ///
    /// If there was room for fewer.
    pub fn filled(&mut self, count: usize) {
        assert!(count <= CAPACITY - self.end, "{count} bytes do not fit");
        self.end += count;
    }

    /// The next whole frame; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// Any [`FrameError`] but [`FrameError::Truncated`].
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let pending = &self.bytes[self.start..self.end];
        match frame_length(pending, CAPACITY)? {
            Some(length) if length <= pending.len() => {
                self.start += length;
                Frame::whole(&pending[..length]).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Bytes that belong to no frame yet.
    pub const fn pending(&self) -> usize {
        self.end - self.start
    }
}
