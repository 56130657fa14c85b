//! Format version 1: the bytes of a journal, drawn once. Everything is little-endian.
//!
//! ```text
//! DIR/
//! ├── lock                     held exclusively by the one process that writes
//! └── journal/
//!     ├── 00000001.seg         segments, numbered without gaps from 1
//!     ├── 00000002.seg
//!     ├── 00000003.spare       allocated and zeroed ahead of need; becomes a segment by its header and a rename
//!     └── 00000004.spare
//!
//! segment                          batch                                record, 8-byte aligned
//! ┌──────────────────────┐ 0       ┌──────────────────────┐ 0           ┌──────────────────────┐ 0
//! │ header, 4,096 bytes  │         │ header, 72 bytes     │             │ length        2      │ of the value
//! │ zeros to alignment   │         ├──────────────────────┤ 72          │ kind          2      │
//! ├──────────────────────┤ A       │ record               │             │ CRC-32C       4      │ of all but itself
//! │ batch                │         │ record               │             ├──────────────────────┤ 8
//! ├──────────────────────┤ k × A   │ …                    │             │ value, canonical     │
//! │ batch                │         ├──────────────────────┤             │ zeros to 8           │
//! │ …                    │         │ zeros to alignment   │             └──────────────────────┘
//! ├──────────────────────┤         └──────────────────────┘
//! │ zeros                │
//! └──────────────────────┘         A, the alignment: max(4,096, the physical sector)
//!
//! segment header                   batch header                         values
//!    0   8  magic "RIALTOSG"          0   4  magic "RBAT"               1 command: Sequenced<Command>
//!    8   2  format version            4   2  format version             2 event digest, 40 bytes:
//!   10   2  zero                      6   2  zero                            8  block
//!   12   4  alignment                 8   8  term                           32  digest
//!   16   4  venue                    16   8  first sequence             3 seal, 40 bytes:
//!   20   4  shard                    24   4  commands                        8  last sequence
//!   24   8  term                     28   4  records                        32  event digest
//!   32  16  journal id               32   4  payload bytes
//!   48   8  segment number           36  32  previous hash
//!   56   8  first sequence           68   4  CRC-32C of bytes 0..68
//!   64  32  previous hash
//!   96   4  behaviour version
//!  100  32  capacity, canonical
//!  132      zeros
//! 4092   4  CRC-32C of bytes 0..4092
//! ```
//!
//! One chain runs through all of it, in file order: the hash of a link is BLAKE3 over all of its bytes, padding included,
//! and each link carries the hash of the one before. Links are segment headers (4,096 bytes) and batches. The first
//! segment's previous hash is zero.

use engine::canonical::Canonical;
use engine::{Capacity, Command, Sequenced};

/// The version of the format that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u16 = 1;

/// First bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"RIALTOSG";
/// Bytes of a segment header.
pub const SEGMENT_HEADER_BYTES: usize = 4_096;
/// Where a segment header's own checksum is.
pub(crate) const SEGMENT_CHECKSUM_AT: usize = SEGMENT_HEADER_BYTES - 4;

/// First bytes of a batch.
pub const BATCH_MAGIC: [u8; 4] = *b"RBAT";
/// Bytes of a batch header.
pub const BATCH_HEADER_BYTES: usize = 72;
/// Where a batch header's own checksum is.
pub(crate) const BATCH_CHECKSUM_AT: usize = BATCH_HEADER_BYTES - 4;

/// Batches start at multiples of at least this: a page, and more than the sector of nearly every device.
pub const ALIGNMENT_MIN: usize = 4_096;
/// No device has a larger sector; a larger alignment in a header is damage.
pub const ALIGNMENT_MAX: usize = 65_536;

/// Payload of the largest batch: large enough for the disk's full rate, small enough to be buffered and hashed at once.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Length, kind and checksum before a record's value.
pub const RECORD_PREFIX_BYTES: usize = 8;
/// Records start at multiples of this within their batch, so that the head moves them as words.
pub const RECORD_ALIGNMENT: usize = 8;
/// A command's longest record.
pub const RECORD_BYTES_MAX: usize = record_bytes(Sequenced::<Command>::LENGTH);
/// The value of an event digest or a seal: a number and 32 bytes.
pub const DIGEST_VALUE_BYTES: usize = 40;

/// Commands behind each event digest.
pub const BLOCK_COMMANDS: u64 = 1_024;

/// Bytes of the record whose value has `value_bytes`.
pub(crate) const fn record_bytes(value_bytes: usize) -> usize {
    RECORD_PREFIX_BYTES + value_bytes.next_multiple_of(RECORD_ALIGNMENT)
}

const _: () = {
    assert!(100 + Capacity::LENGTH == 132, "the capacity ends where the header's zeros begin");
    assert!(BATCH_HEADER_BYTES.is_multiple_of(RECORD_ALIGNMENT), "the first record is aligned");
    assert!(SEGMENT_HEADER_BYTES <= ALIGNMENT_MIN, "the first batch lies behind the header");
    assert!(ALIGNMENT_MIN.is_power_of_two() && ALIGNMENT_MAX.is_power_of_two());
    assert!(Sequenced::<Command>::LENGTH <= u16::MAX as usize, "a record's length fits its field");
    assert!(RECORD_BYTES_MAX <= 512, "the core encodes a record on its stack");
};
