//! Signed checkpoints: what a journal was at one place, said so that nobody can unsay it.
//!
//! A checkpoint names a link of the chain, and with it every byte before it, and the digests of the events and of the
//! state there. One is signed at every snapshot. Kept elsewhere, it shows whether a journal is still the one that it was.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "RIALTOCP"
//!      8      2  format version: 1
//!     10      2  zero
//!     12      4  venue
//!     16      4  shard
//!     20     16  journal id
//!     36      8  sequence, the last of a block of 1,024
//!     44      8  the core's time there
//!     52      8  events so far
//!     60     32  event digest at the block's end
//!     92     32  state digest behind the sequence
//!    124      8  segment that holds the link
//!    132      8  last command up to the link's end: the sequence, or a later one of the same batch
//!    140     32  hash of the link, a batch
//!    172     32  public key, Ed25519
//!    204     64  signature of bytes 0 to 171
//!    268      4  CRC-32C of bytes 0 to 267
//! ```

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use engine::canonical::{Canonical, Reader};
use engine::{Sequence, Timestamp};

use crate::checksum::{ChainHash, crc32c};
use crate::digest::Digest;
use crate::layout::FORMAT_VERSION;
use crate::segment::{JournalId, SegmentNumber};

const MAGIC: [u8; 8] = *b"RIALTOCP";
/// What is signed.
const SIGNED_BYTES: usize = 172;
/// Bytes of a signed checkpoint.
pub const CHECKPOINT_BYTES: usize = SIGNED_BYTES + 32 + 64 + 4;

/// A place in the chain: a batch, and the segment in which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which segment.
    pub segment: SegmentNumber,
    /// The last command up to its end.
    pub last: Sequence,
    /// Its hash, which the next link carries.
    pub hash: ChainHash,
}

/// What a journal was behind one command, the last of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which journal.
    pub journal: JournalId,
    /// The venue's number.
    pub venue: u32,
    /// Which of the venue's cores.
    pub shard: u32,
    /// Behind which command.
    pub sequence: Sequence,
    /// The core's time of that command.
    pub time: Timestamp,
    /// How many events there were.
    pub event_count: u64,
    /// Of all of them.
    pub event_digest: Digest,
    /// Of the state.
    pub state_digest: Digest,
    /// The batch that holds the command.
    pub link: Link,
}

/// A checkpoint, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is said.
    pub checkpoint: Checkpoint,
    /// The public half of the key that says it.
    pub key: [u8; 32],
    /// Over [`Checkpoint::to_bytes`].
    pub signature: [u8; 64],
}

/// Why bytes are no signed checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// They do not begin as one.
    #[error("this does not begin as a checkpoint does")]
    Magic,
    /// Written by another version of the format.
    #[error("checkpoint version {version} is unknown to this build")]
    Version {
        /// The version found.
        version: u16,
    },
    /// They are not as they were written.
    #[error("the checkpoint's checksum does not match")]
    Checksum,
    /// The signature is not the key's, over these values.
    #[error("the checkpoint's signature does not hold: it was not signed with the key that it names")]
    Signature,
}

impl Checkpoint {
    /// What is signed.
    pub fn to_bytes(&self) -> [u8; SIGNED_BYTES] {
        let mut bytes = Vec::with_capacity(CHECKPOINT_BYTES);
        bytes.extend_from_slice(&MAGIC);
        FORMAT_VERSION.encode(&mut bytes);
        0_u16.encode(&mut bytes);
        self.venue.encode(&mut bytes);
        self.shard.encode(&mut bytes);
        self.journal.0.encode(&mut bytes);
        self.sequence.encode(&mut bytes);
        self.time.encode(&mut bytes);
        self.event_count.encode(&mut bytes);
        self.event_digest.0.encode(&mut bytes);
        self.state_digest.0.encode(&mut bytes);
        self.link.segment.0.encode(&mut bytes);
        self.link.last.encode(&mut bytes);
        self.link.hash.0.encode(&mut bytes);
        bytes.try_into().expect("as many as the drawing says")
    }

    fn decode(bytes: &[u8; SIGNED_BYTES]) -> Result<Self, CheckpointFault> {
        let (magic, rest) = bytes.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(CheckpointFault::Magic);
        }
        let input = &mut Reader::new(rest);
        // As many bytes as are read, of types that take any.
        let version: u16 = input.read().map_err(|_| CheckpointFault::Magic)?;
        if version != FORMAT_VERSION {
            return Err(CheckpointFault::Version { version });
        }
        Self::decode_fields(input).ok_or(CheckpointFault::Magic)
    }

    fn decode_fields(input: &mut Reader<'_>) -> Option<Self> {
        let reserved: u16 = input.read().ok()?;
        let (venue, shard) = (input.read().ok()?, input.read().ok()?);
        let checkpoint = Self {
            venue,
            shard,
            journal: JournalId(input.read().ok()?),
            sequence: input.read().ok()?,
            time: input.read().ok()?,
            event_count: input.read().ok()?,
            event_digest: Digest(input.read().ok()?),
            state_digest: Digest(input.read().ok()?),
            link: Link {
                segment: SegmentNumber(input.read().ok()?),
                last: input.read().ok()?,
                hash: ChainHash(input.read().ok()?),
            },
        };
        (reserved == 0 && checkpoint.link.last >= checkpoint.sequence).then_some(checkpoint)
    }
}

impl SignedCheckpoint {
    /// Signs a checkpoint.
    pub fn sign(checkpoint: Checkpoint, key: &SigningKey) -> Self {
        let signature = key.sign(&checkpoint.to_bytes()).to_bytes();
        Self { checkpoint, key: key.verifying_key().to_bytes(), signature }
    }

    /// Whether the key that it names has signed it.
    pub fn is_signed(&self) -> bool {
        let signature = Signature::from_bytes(&self.signature);
        VerifyingKey::from_bytes(&self.key)
            .is_ok_and(|key| key.verify_strict(&self.checkpoint.to_bytes(), &signature).is_ok())
    }

    /// Its bytes in a file.
    pub fn to_bytes(&self) -> [u8; CHECKPOINT_BYTES] {
        let mut bytes = [0; CHECKPOINT_BYTES];
        let (covered, checksum) = bytes.split_at_mut(CHECKPOINT_BYTES - 4);
        let (signed, proof) = covered.split_at_mut(SIGNED_BYTES);
        signed.copy_from_slice(&self.checkpoint.to_bytes());
        proof[..32].copy_from_slice(&self.key);
        proof[32..].copy_from_slice(&self.signature);
        checksum.copy_from_slice(&crc32c(&[covered]).to_le_bytes());
        bytes
    }

    /// The checkpoint in these bytes, its checksum and its signature verified.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_bytes(bytes: &[u8; CHECKPOINT_BYTES]) -> Result<Self, CheckpointFault> {
        let (covered, checksum) = bytes.split_at(CHECKPOINT_BYTES - 4);
        let (signed, proof) = covered.split_first_chunk::<SIGNED_BYTES>().ok_or(CheckpointFault::Magic)?;
        let checkpoint = Checkpoint::decode(signed)?;
        if checksum != crc32c(&[covered]).to_le_bytes() {
            return Err(CheckpointFault::Checksum);
        }
        let (key, signature) = proof.split_first_chunk::<32>().ok_or(CheckpointFault::Magic)?;
        let signature = *signature.first_chunk::<64>().ok_or(CheckpointFault::Magic)?;
        let checkpoint = Self { checkpoint, key: *key, signature };
        if checkpoint.is_signed() { Ok(checkpoint) } else { Err(CheckpointFault::Signature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            journal: JournalId([7; 16]),
            venue: 1,
            shard: 0,
            sequence: Sequence(2_048),
            time: Timestamp(1_764_000_000_000_000_000),
            event_count: 5_000,
            event_digest: Digest([1; 32]),
            state_digest: Digest([2; 32]),
            link: Link { segment: SegmentNumber(3), last: Sequence(2_060), hash: ChainHash([3; 32]) },
        }
    }

    #[test]
    fn the_bytes_are_as_they_are_drawn() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let bytes = SignedCheckpoint::sign(checkpoint(), &key).to_bytes();
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!((&bytes[..8], &bytes[8..12]), (&b"RIALTOCP"[..], &[1, 0, 0, 0][..]));
        assert_eq!((word(36), word(44), word(52)), (2_048, 1_764_000_000_000_000_000, 5_000));
        assert_eq!((&bytes[20..36], &bytes[60..92], &bytes[92..124]), (&[7; 16][..], &[1; 32][..], &[2; 32][..]));
        assert_eq!((word(124), word(132), &bytes[140..172]), (3, 2_060, &[3; 32][..]));
        assert_eq!(&bytes[172..204], key.verifying_key().as_bytes());
    }

    /// The checksum finds what a disk does; the signature what somebody does who makes the checksum right again.
    #[test]
    fn a_checkpoint_in_which_any_bit_is_another_is_refused() {
        let signed = SignedCheckpoint::sign(checkpoint(), &SigningKey::from_bytes(&[9; 32]));
        assert_eq!(SignedCheckpoint::from_bytes(&signed.to_bytes()), Ok(signed));
        for bit in 0..8 * CHECKPOINT_BYTES {
            let mut bytes = signed.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SignedCheckpoint::from_bytes(&bytes).is_err(), "bit {bit}");
            let (covered, checksum) = bytes.split_at_mut(CHECKPOINT_BYTES - 4);
            checksum.copy_from_slice(&crc32c(&[covered]).to_le_bytes());
            let forged = SignedCheckpoint::from_bytes(&bytes);
            assert!(forged.is_err() || bit >= 8 * (CHECKPOINT_BYTES - 4), "bit {bit}, checksum made right");
        }
    }

    #[test]
    fn a_checkpoint_of_a_later_version_is_told_apart_from_damage() {
        let mut bytes = SignedCheckpoint::sign(checkpoint(), &SigningKey::from_bytes(&[9; 32])).to_bytes();
        bytes[8] = 2;
        assert_eq!(SignedCheckpoint::from_bytes(&bytes), Err(CheckpointFault::Version { version: 2 }));
    }
}
