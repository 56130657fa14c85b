//! The two superblocks: which snapshot is the newest. One is written while the other still holds.
//!
//! ```text
//! offset        bytes
//!      0            8  magic "RIALTOSB"
//!      8            2  format version: 1
//!     10            6  zeros
//!     16            8  generation: the higher counts
//!     24          272  the signed checkpoint of the newest snapshot
//!    296        3,796  zeros
//!  4,092            4  CRC-32C of the 4,092 bytes before
//! ```

use engine::canonical::{Canonical, Reader};

use super::format::{PAGE, open_page, sealed_page};
use crate::checkpoint::{CHECKPOINT_BYTES, SignedCheckpoint};
use crate::layout::FORMAT_VERSION;
use crate::page_buffer::PageBuffer;

const MAGIC: [u8; 8] = *b"RIALTOSB";
const USED_BYTES: usize = 24 + CHECKPOINT_BYTES;

/// The names of the two.
pub(super) const NAMES: [&str; 2] = ["superblock.1", "superblock.2"];
/// How long each is.
pub(super) const BYTES: u64 = PAGE as u64;

/// What a superblock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) generation: u64,
    pub(super) newest: SignedCheckpoint,
}

impl Superblock {
    pub(super) fn page(&self) -> PageBuffer {
        sealed_page(|bytes| {
            bytes.extend_from_slice(&MAGIC);
            FORMAT_VERSION.encode(bytes);
            bytes.extend_from_slice(&[0; 6]);
            self.generation.encode(bytes);
            bytes.extend_from_slice(&self.newest.to_bytes());
        })
    }

    /// Nothing if it is not as it was written, or another version's.
    pub(super) fn decode(page: &[u8]) -> Option<Self> {
        if page.len() != PAGE {
            return None;
        }
        let rest = open_page(page, USED_BYTES)?.strip_prefix(&MAGIC)?;
        let input = &mut Reader::new(rest);
        let (version, zeros): (u16, [u8; 6]) = (input.read().ok()?, input.take().ok()?);
        let generation = input.read().ok()?;
        let newest = SignedCheckpoint::from_bytes(&input.take().ok()?).ok()?;
        (version == FORMAT_VERSION && zeros == [0; 6]).then_some(Self { generation, newest })
    }
}
